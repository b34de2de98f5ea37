//! Digests of files: SHA-256 of those in large file storage, git's SHA-1 of the others. A hub sends them as ETag.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// What a hub says about a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected<'a> {
    Sha256(&'a str),
    /// Of `blob LENGTH\0` and the content, as git names it; some mirrors leave the front out.
    Sha1(&'a str),
}

impl<'a> Expected<'a> {
    /// An ETag that is a digest. Others, such as those of some mirrors, say nothing about the content.
    pub(crate) fn of_etag(etag: &'a str) -> Option<Self> {
        let is_hex = etag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match etag.len() {
            64 if is_hex => Some(Self::Sha256(etag)),
            40 if is_hex => Some(Self::Sha1(etag)),
            _ => None,
        }
    }

    /// What was found instead, or nothing if the file is as expected. Called with every stretch that was read.
    pub(crate) fn differs(
        self,
        path: &Path,
        on_read: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Option<(String, String)>> {
        match self {
            Self::Sha256(expected) => {
                let mut hasher = Sha256::new();
                read(path, |bytes| hasher.update(bytes), on_read)?;
                let found = hex(&hasher.finalize());
                Ok((found != expected).then(|| (format!("SHA-256 {expected}"), found)))
            }
            Self::Sha1(expected) => {
                let bytes = std::fs::metadata(path)?.len();
                let mut of_git = Sha1::new();
                of_git.update(format!("blob {bytes}\0"));
                let mut plain = Sha1::new();
                let both = |bytes: &[u8]| {
                    of_git.update(bytes);
                    plain.update(bytes);
                };
                read(path, both, on_read)?;
                let found = hex(&of_git.finalize());
                let is_right = found == expected || hex(&plain.finalize()) == expected;
                Ok((!is_right).then(|| (format!("SHA-1 {expected}"), found)))
            }
        }
    }
}

fn read(path: &Path, mut take: impl FnMut(&[u8]), on_read: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        on_read()?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(content: &[u8], etag: &str) -> Option<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, content).unwrap();
        Expected::of_etag(etag).unwrap().differs(&path, &mut || Ok(())).unwrap()
    }

    #[test]
    fn digests_are_those_of_sha256sum_git_and_sha1sum() {
        // printf abc | sha256sum; printf abc | git hash-object --stdin (git 2.47); printf abc | sha1sum
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for etag in [sha256, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f", "a9993e364706816aba3e25717850c26c9cd0d89d"] {
            assert_eq!(differs(b"abc", etag), None, "{etag}");
            assert!(differs(b"abd", etag).is_some(), "{etag}");
        }
        assert_eq!(differs(b"", sha256).unwrap().0, format!("SHA-256 {sha256}"));
    }

    #[test]
    fn other_etags_say_nothing() {
        for etag in ["", "abc", &"g".repeat(40), &"a".repeat(32), &"A".repeat(64)] {
            assert_eq!(Expected::of_etag(etag), None);
        }
    }
}
