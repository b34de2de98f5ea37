//! BLAKE3 digests of files, and a cache that spares hashing what is known to be unchanged.

use std::fs::{self, FileType, Metadata};
use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use blake3::Hash;
use serde::{Deserialize, Serialize};

use crate::known_files::{Known, KnownFiles};
use crate::publish::stream_atomically;
use crate::{Error, Result};

/// What is neither a file nor a folder: `a pipe`, `a socket` or `a device`.
///
/// Asked before anything is opened: opening a pipe waits for whoever writes into it, where no signal is heeded, and a device may
/// have no end.
#[must_use]
pub fn special_file(kind: FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_dir() {
        None
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// A BLAKE3 digest, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // Below about 128 KiB the fork-join of the parallel form costs more than it saves.
        let mut hasher = blake3::Hasher::new();
        if bytes.len() < 128 * 1024 {
            hasher.update(bytes);
        } else {
            hasher.update_rayon(bytes);
        }
        Self::of_hash(hasher.finalize())
    }

    /// Digest of all of these, one after another.
    #[must_use]
    pub fn of_all(pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        pieces.into_iter().for_each(|piece| {
            hasher.update(piece.as_ref());
        });
        Self::of_hash(hasher.finalize())
    }

    /// Digest of a file's content, in bounded memory.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        hash_file(path).map(Self::of_hash)
    }

    /// Digest of all that a reader gives, in bounded memory.
    ///
    /// # Errors
    /// That of the reader.
    pub fn of_reader(reader: impl Read) -> std::io::Result<Self> {
        hash_reader(reader).map(Self::of_hash)
    }

    pub(crate) fn of_hash(hash: Hash) -> Self {
        Self(hash.to_hex().to_string())
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn hash_file(path: &Path) -> Result<Hash> {
    let file = fs::File::open(path).map_err(Error::io("open", path))?;
    hash_reader(file).map_err(Error::io("read", path))
}

fn hash_reader(reader: impl Read) -> std::io::Result<Hash> {
    // `std::io::copy` hands over 8 KiB at a time, of which half of the widest vectors' places stay empty.
    Ok(blake3::Hasher::new().update_reader(reader)?.finalize())
}

/// Digests of input files by path, trusted while size and modification time stay the same.
///
/// Only digests enter fingerprints: touching a file hashes it again and finds it unchanged. The
/// cache is no part of any artifact; deleting it costs one reading of the inputs.
#[derive(Debug, Default)]
pub struct DigestCache {
    path: PathBuf,
    /// As it was read.
    known: KnownFiles,
    /// By this run, in the order in which files were asked for; it is looked into by later runs only.
    learnt: KnownFiles,
    /// Whether it is stored even if nothing was learnt.
    is_new: bool,
    /// The folder that was asked for last, as it was named and without links.
    folder: Option<(PathBuf, PathBuf)>,
}

impl DigestCache {
    /// Opens the cache at `path`. One that is absent or unreadable is an empty one.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let known = fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { path: path.to_path_buf(), known, ..Self::default() }
    }

    /// An empty cache that will be stored at `path`: everything is hashed again.
    #[must_use]
    pub fn empty(path: &Path) -> Self {
        Self { path: path.to_path_buf(), is_new: true, ..Self::default() }
    }

    /// The digest of a file, from the cache where size and modification time are as recorded.
    ///
    /// # Errors
    /// [`Error::NotAFile`] of what is not opened, [`Error::Io`] when the file cannot be read.
    pub fn digest(&mut self, file: &Path) -> Result<Digest> {
        self.hash(file).map(Digest::of_hash)
    }

    /// As [`DigestCache::digest`], in a third of its memory.
    ///
    /// # Errors
    /// As [`DigestCache::digest`].
    pub fn hash(&mut self, file: &Path) -> Result<Hash> {
        let (path, metadata) = self.resolve(file).map_err(Error::io("open", file))?;
        if let Some(what) = special_file(metadata.file_type()) {
            return Err(Error::NotAFile { path: file.to_path_buf(), what });
        }
        // The keys are JSON. A name that is not UTF-8 could only be written down as one that another file has too.
        let Some(key) = path.to_str() else { return hash_file(file) };
        let modified = metadata.modified().map_err(Error::io("read the time of", file))?;
        let modified_ns = modified.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        if let Some(known) = self.known.get(key)
            && known.bytes == metadata.len()
            && known.modified_ns == modified_ns
        {
            return Ok(known.digest);
        }
        let digest = hash_file(file)?;
        self.learnt.push(key, Known { bytes: metadata.len(), modified_ns, digest });
        Ok(digest)
    }

    /// The path without links, and what the system knows of the file. Links are looked for in each folder once: mostly it is one
    /// folder's files that are asked for, one after another.
    fn resolve(&mut self, file: &Path) -> std::io::Result<(PathBuf, Metadata)> {
        let metadata = fs::symlink_metadata(file)?;
        let (Some(folder), Some(name), false) = (file.parent(), file.file_name(), metadata.is_symlink()) else {
            return Ok((fs::canonicalize(file)?, fs::metadata(file)?));
        };
        let known = self.folder.take().filter(|(named, _)| named == folder);
        let (named, resolved) = match known {
            Some(known) => known,
            None => {
                let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                (folder.to_path_buf(), fs::canonicalize(here)?)
            }
        };
        let path = resolved.join(name);
        self.folder = Some((named, resolved));
        Ok((path, metadata))
    }

    /// Stores what was learnt.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self) -> Result<()> {
        if self.learnt.is_empty() && !self.is_new {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let all = self.known.with(&self.learnt);
        let write =
            |sink: &mut (dyn Write + Send)| serde_json::to_writer(sink, &all).map_err(|e| Error::Bug(e.to_string()));
        stream_atomically(&self.path, write).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touch_keeps_the_digest_and_edit_changes_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.onnx");
        let store = dir.path().join("digests.json");
        fs::write(&file, b"one").unwrap();
        let mut cache = DigestCache::open(&store);
        let first = cache.digest(&file).unwrap();
        cache.save().unwrap();

        fs::File::options().append(true).open(&file).unwrap().set_modified(UNIX_EPOCH).unwrap();
        let mut cache = DigestCache::open(&store);
        assert_eq!(cache.digest(&file).unwrap(), first);

        fs::write(&file, b"two").unwrap();
        assert_ne!(cache.digest(&file).unwrap(), first);
        assert_eq!(cache.digest(&file).unwrap(), Digest::of(b"two"));
    }

    #[test]
    fn a_file_is_known_by_one_name_through_links_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["a", "b"] {
            fs::create_dir(path(folder)).unwrap();
            fs::write(path(folder).join("file"), folder).unwrap();
        }
        std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("b/file"), path("a/other")).unwrap();
        let mut cache = DigestCache::empty(&path("digests.json"));
        for (file, content) in
            [("a/file", "a"), ("link/file", "a"), ("b/file", "b"), ("a/other", "b"), ("a/../b/file", "b")]
        {
            assert_eq!(cache.digest(&path(file)).unwrap(), Digest::of(content.as_bytes()), "{file}");
        }
        cache.save().unwrap();
        let stored: serde_json::Map<_, _> = serde_json::from_slice(&fs::read(path("digests.json")).unwrap()).unwrap();
        assert_eq!(stored.len(), 2, "{:?}", stored.keys());
        assert!(cache.digest(&path("a/absent")).is_err() && cache.digest(&path("absent/file")).is_err());
    }

    #[test]
    fn names_that_differ_only_in_bytes_that_are_no_utf8_are_two_files() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let dir = tempfile::tempdir().unwrap();
        let files = [&b"a\xff"[..], b"a\xfe"].map(|name| dir.path().join(OsStr::from_bytes(name)));
        let mut cache = DigestCache::open(&dir.path().join("digests.json"));
        for (file, content) in files.iter().zip(["one", "two"]) {
            fs::write(file, content).unwrap();
            fs::File::options().append(true).open(file).unwrap().set_modified(UNIX_EPOCH).unwrap();
            assert_eq!(cache.digest(file).unwrap(), Digest::of(content.as_bytes()));
        }
    }
}
