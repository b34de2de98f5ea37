//! Digests of what the artifact is made from.

use std::io::ErrorKind;
use std::path::Path;

use artifact::{Digest, DigestCache, Error, Input};
use stage::{Job, check_stop};

use crate::args::Args;
use crate::source::Material;

/// One digest for every `--input`: of the file, or of the sorted list of names and file digests.
///
/// Files whose size and time of change are as they were last time are not read again.
pub(crate) fn digests(materials: &[Material], job: &Job<Args>) -> anyhow::Result<Vec<Input>> {
    let mut cache = job.digest_cache();
    let mut inputs = Vec::new();
    for material in materials {
        inputs.push(match material {
            Material::BuiltIn { name, version } => Input { name: (*name).into(), digest: (*version).into() },
            Material::Files { typed, files } => Input { name: typed.clone(), digest: of_files(files, &mut cache)? },
        });
    }
    // A dry run touches nothing, not even the cache.
    if !job.args.common.dry_run {
        cache.save()?;
    }
    Ok(inputs)
}

fn of_files(files: &[(String, std::path::PathBuf)], cache: &mut DigestCache) -> anyhow::Result<String> {
    if let [(name, path)] = files
        && name.is_empty()
    {
        return Ok(cache.digest(path)?.to_string());
    }
    let mut lines = Vec::with_capacity(files.len());
    for (name, path) in files {
        check_stop()?;
        lines.push(format!("{name}\0{}\n", of_file(path, cache)?));
    }
    lines.sort();
    Ok(Digest::of(lines.concat().as_bytes()).to_string())
}

/// A file that cannot be read will be a reject; that it could not is part of the input too.
fn of_file(path: &Path, cache: &mut DigestCache) -> anyhow::Result<String> {
    match cache.digest(path) {
        Ok(digest) => Ok(digest.to_string()),
        Err(Error::Io { source, .. })
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::NotADirectory
            ) =>
        {
            Ok(source.kind().to_string())
        }
        Err(e) => Err(e.into()),
    }
}
