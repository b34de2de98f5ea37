//! Files that people name or that lie in the folders they name: which there are, whether one can be opened at all, and
//! what the fingerprint depends on.

use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use artifact::{DigestCache, Hash};
use rustix::io::Errno;
use walkdir::{DirEntry, WalkDir};

use crate::{Exit, name_as_text, printable};

/// What a path leads to, links followed, if that is neither a file nor a folder: `a pipe`, `a socket` or `a device`.
///
/// Asked before anything is opened. Nothing is said of what is not there: whoever opens it will.
#[must_use]
pub fn special_file(path: &Path) -> Option<&'static str> {
    artifact::special_file(fs::metadata(path).ok()?.file_type())
}

/// Refuses an input that is a pipe, a socket or a device; `shown` is what to call it.
///
/// # Errors
/// Exit 65, with what to do.
pub fn refuse_special_file(shown: impl Display, path: &Path) -> anyhow::Result<()> {
    match special_file(path) {
        None => Ok(()),
        Some(what) => {
            let shown = printable(&shown.to_string());
            Err(Exit::BadData.error(format!("{shown} is {what}, not a file: {SAVE_FIRST}")))
        }
    }
}

/// What to do with a pipe.
pub(crate) const SAVE_FIRST: &str = "save what it gives to a file first, and give that";

/// Something below a folder that is no folder itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its `/`-separated path below the folder in text, see [`name_as_text`].
    pub name: String,
    /// What it is, links followed, if no file, as [`special_file`] has it.
    pub special: Option<&'static str>,
}

/// Whatever is no folder and visible below `root`, links followed, in no order. A folder that contains itself through a link, and a link to itself, are passed over.
///
/// Pipes and links that lead nowhere are among them: that they cannot be read is for their readers to say.
pub fn walk(root: &Path) -> impl Iterator<Item = anyhow::Result<Found>> + '_ {
    let visible = |e: &DirEntry| e.depth() == 0 || !e.file_name().as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible);
    entries.filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_dir() => None,
        Ok(entry) => Some(Ok(below(root, entry.path(), artifact::special_file(entry.file_type())))),
        Err(e) if e.loop_ancestor().is_some() => None,
        Err(e) if e.io_error().is_some_and(|io| io.raw_os_error() == Some(Errno::LOOP.raw_os_error())) => None,
        Err(e) if e.io_error().is_some_and(|io| io.kind() == ErrorKind::NotFound) => {
            e.path().map(|path| Ok(below(root, path, None)))
        }
        Err(e) => Some(Err(Exit::Io.error(format!("cannot list {}: {e}", root.display())))),
    })
}

fn below(root: &Path, path: &Path, special: Option<&'static str>) -> Found {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|c| name_as_text(c.as_os_str().as_encoded_bytes())).collect();
    Found { path: path.to_path_buf(), name: parts.join("/"), special }
}

/// What one of many files holds, as far as a fingerprint depends on it. There are millions of them, so it is small; what it is in
/// a digest over all of them is its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Read(Hash),
    /// Nothing that can be read, and why: the file will be a reject, and that it could not be read is part of the input too.
    Unread(String),
}

impl Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(hash) => f.write_str(&hash.to_hex()),
            Self::Unread(reason) => f.write_str(reason),
        }
    }
}

/// What one of many files holds.
///
/// # Errors
/// Exit 74 where the system refuses and the file is not at fault.
pub fn content(file: &Path, cache: &mut DigestCache) -> anyhow::Result<Content> {
    match cache.hash(file) {
        Ok(hash) => Ok(Content::Read(hash)),
        Err(artifact::Error::NotAFile { what, .. }) => Ok(Content::Unread(what.to_string())),
        Err(artifact::Error::Io { source, .. })
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::NotADirectory
            ) || source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) =>
        {
            Ok(Content::Unread(source.kind().to_string()))
        }
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_file_is_known_through_links_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let _listener = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), "").unwrap();
        symlink("socket", path("link")).unwrap();
        symlink("nowhere", path("broken")).unwrap();
        let found = ["socket", "link", "file", "broken", "absent", "."].map(|name| special_file(&path(name)));
        assert_eq!(found, [Some("a socket"), Some("a socket"), None, None, None, None]);
        assert_eq!(special_file(Path::new("/dev/null")), Some("a device"));
        let error = refuse_special_file("--input x", &path("link")).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::BadData);
        assert!(error.to_string().starts_with("--input x is a socket, not a file: save "), "{error}");
    }

    #[test]
    fn all_that_is_visible_is_found_and_no_two_names_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("b/.git")).unwrap();
        for name in [&b"a\xff"[..], b"a\xfe", b"a%FF", b".hidden", b"b/.git/x", b"b/1"] {
            fs::write(root.join(OsStr::from_bytes(name)), "").unwrap();
        }
        let _listener = UnixListener::bind(root.join("b/socket")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        symlink("..", root.join("b/above")).unwrap();
        symlink("itself", root.join("itself")).unwrap();
        let mut found: Vec<_> = walk(root).map(|file| file.unwrap()).map(|found| (found.name, found.special)).collect();
        found.sort();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a%25FF", "a%FE", "a%FF", "b/1", "b/socket", "broken"]);
        let special: Vec<_> = found.iter().filter_map(|(name, special)| Some((name.as_str(), (*special)?))).collect();
        assert_eq!(special, [("b/socket", "a socket")]);
    }

    #[test]
    fn what_cannot_be_read_has_a_reason_in_place_of_a_digest() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = DigestCache::empty(&dir.path().join("digests.json"));
        let mut of = |path: &Path| content(path, &mut cache).unwrap().to_string();
        assert_eq!(of(&dir.path().join("absent")), ErrorKind::NotFound.to_string());
        // It would never end.
        assert_eq!(of(Path::new("/dev/zero")), "a device");
        fs::write(dir.path().join("file"), "x").unwrap();
        assert_eq!(of(&dir.path().join("file")), artifact::Digest::of(b"x").to_string());
    }
}
