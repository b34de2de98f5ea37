//! What is known of files that were hashed, in little memory: the cache of digests may know millions of them. Paths lie one behind
//! the other, and what is kept of each file beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use blake3::Hash;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What a file was when it was hashed, and its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) bytes: u64,
    pub(crate) modified_ns: u64,
    #[serde(with = "hexadecimal")]
    pub(crate) digest: Hash,
}

/// As [`crate::Digest`] is written, in a third of its memory.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &blake3::Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hash.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<blake3::Hash, D::Error> {
        blake3::Hash::from_hex(<&str>::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Files and what is known of them, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    paths: String,
    /// Each file's place in `paths`, and what is known of it.
    files: Vec<(Range<usize>, Known)>,
}

impl KnownFiles {
    pub(crate) fn push(&mut self, path: &str, known: Known) {
        let start = self.paths.len();
        self.paths += path;
        self.files.push((start..self.paths.len(), known));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What is known of a file, if all were added in byte order of their paths, as those that are read from JSON are.
    pub(crate) fn get(&self, path: &str) -> Option<&Known> {
        let found = self.files.binary_search_by(|(place, _)| self.paths[place.clone()].cmp(path));
        found.ok().map(|at| &self.files[at].1)
    }

    /// All of these and of those, each file once, in byte order; what those know counts.
    pub(crate) fn with<'a>(&'a self, those: &'a Self) -> BTreeMap<&'a str, &'a Known> {
        self.iter().chain(those.iter()).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.files.iter().map(|(place, known)| (&self.paths[place.clone()], known))
    }
}

impl<'de> Deserialize<'de> for KnownFiles {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(InByteOrder)
    }
}

/// Reads what [`KnownFiles::with`] gives, which is in byte order. Anything else was not written by this program.
struct InByteOrder;

impl<'de> Visitor<'de> for InByteOrder {
    type Value = KnownFiles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("files in byte order of their paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KnownFiles, A::Error> {
        let mut found = KnownFiles::default();
        let mut last: Option<String> = None;
        while let Some((path, known)) = map.next_entry::<String, Known>()? {
            if last.is_some_and(|last| last >= path) {
                return Err(A::Error::custom("files are not in byte order"));
            }
            found.push(&path, known);
            last = Some(path);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(bytes: u64) -> Known {
        Known { bytes, modified_ns: 7, digest: blake3::hash(&bytes.to_le_bytes()) }
    }

    #[test]
    fn what_was_learnt_last_is_found_again_in_json() {
        let (mut old, mut new) = (KnownFiles::default(), KnownFiles::default());
        old.push("/a", known(1));
        old.push("/b \"ä\"", known(2));
        new.push("/c", known(3));
        new.push("/a", known(4));
        new.push("/a/b", known(5));
        new.push("/c", known(6));
        let json = serde_json::to_string(&old.with(&new)).unwrap();
        let read: KnownFiles = serde_json::from_str(&json).unwrap();
        let expected = [("/a", known(4)), ("/a/b", known(5)), ("/b \"ä\"", known(2)), ("/c", known(6))];
        assert_eq!(read.iter().map(|(path, known)| (path, known.clone())).collect::<Vec<_>>(), expected);
        assert!(expected.iter().all(|(path, known)| read.get(path) == Some(known)));
        assert_eq!(read.get("/b"), None);
        let entry = serde_json::to_string(&known(1)).unwrap();
        let unsorted = format!(r#"{{"/b":{entry},"/a":{entry}}}"#);
        assert!(serde_json::from_str::<KnownFiles>(&unsorted).is_err());
    }
}
