//! What `hf://…` means: a place on a hub, parsed without looking at any.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hf_hub::{Repo, RepoType};

/// The revision where none is named.
const DEFAULT_REVISION: &str = "main";

/// Where a model or data set is: on this machine, or on a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file or folder of this machine.
    Path(PathBuf),
    /// A file or folder of a repository on a hub.
    Hub(Reference),
}

/// A file or folder of a repository on a hub: `hf://[datasets/]OWNER/NAME[@REVISION][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    pub(crate) kind: RepoKind,
    /// `OWNER/NAME`.
    pub(crate) repository: String,
    /// A branch, a tag or a commit.
    pub(crate) revision: String,
    /// Below the repository's root, without slashes at its ends; empty for the root itself.
    pub(crate) path: String,
}

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RepoKind {
    /// `hf://OWNER/NAME`
    Model,
    /// `hf://datasets/OWNER/NAME`
    Dataset,
}

/// Why a text is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {reason}")]
pub struct ParseError {
    text: String,
    reason: String,
}

const EXPECTED: &str = "expected hf://OWNER/NAME[@REVISION][/PATH] or hf://datasets/OWNER/NAME[@REVISION][/PATH]";

impl FromStr for Location {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |reason: String| Err(ParseError { text: text.into(), reason });
        if text.is_empty() {
            return fail("is empty: expected a path, or hf://OWNER/NAME/PATH".into());
        }
        match text.split_once("://") {
            Some(("hf", _)) => Ok(Self::Hub(text.parse()?)),
            Some(("http" | "https", _)) => fail(format!(
                "is an address on the web, and those are not fetched: download it and give its path, or, if it is on a hub, {EXPECTED}"
            )),
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                fail(format!("begins with {scheme}://, which is not known; {EXPECTED}, or a path"))
            }
            _ if text.starts_with("hf:") => {
                fail(format!("begins with hf: without //; {EXPECTED} (or ./{text} if it is the name of a file)"))
            }
            _ => Ok(Self::Path(text.into())),
        }
    }
}

impl Location {
    /// Whether it is on a hub.
    #[must_use]
    pub fn is_on_hub(&self) -> bool {
        matches!(self, Self::Hub(_))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Hub(reference) => reference.fmt(f),
        }
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).map_err(|reason| ParseError { text: text.into(), reason })
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    let rest = text.strip_prefix("hf://").ok_or_else(|| EXPECTED.to_string())?;
    let (kind, rest) = match rest.split_once('/') {
        Some(("datasets", rest)) => (RepoKind::Dataset, rest),
        Some(("spaces", _)) => return Err("names a space, which holds neither models nor data".into()),
        Some(("models", rest)) => return Err(format!("has one word too many: of models, hf://{rest} is enough")),
        _ => (RepoKind::Model, rest),
    };
    let Some((owner, rest)) = rest.split_once('/').filter(|(owner, rest)| !owner.is_empty() && !rest.is_empty()) else {
        let hint = "; the old names without an owner have one now: gpt2 is openai-community/gpt2";
        return Err(format!("does not say whose repository it is: {EXPECTED}{hint}"));
    };
    if owner.contains('@') {
        return Err(format!("has its @REVISION behind the owner; it belongs behind the name: {EXPECTED}"));
    }
    let end = rest.find(['/', '@']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let (revision, path) = match rest.strip_prefix('@') {
        Some(rest) => split_revision(rest),
        None => (DEFAULT_REVISION.to_string(), rest),
    };
    for (what, word) in [("owner", owner), ("name", name)] {
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_sound = !word.is_empty()
            && word.len() <= 96
            && word.chars().all(is_known)
            && !word.starts_with(['.', '-'])
            && !word.ends_with(['.', '-'])
            && !word.contains("..")
            && !word.contains("--");
        if !is_sound {
            return Err(format!(
                "has {word:?} as {what}: expected letters, digits, `-`, `_` and `.`, with no sign at the ends and none twice"
            ));
        }
    }
    if !is_revision(&revision) {
        return Err(format!("has {revision:?} as revision: expected the name of a branch or tag, or a commit"));
    }
    let path = path.trim_matches('/');
    if !path.is_empty() && !is_path(path) {
        return Err(format!(
            "has {path:?} as path in the repository: expected names with / between them, no . and no .."
        ));
    }
    Ok(Reference { kind, repository: format!("{owner}/{name}"), revision, path: path.into() })
}

/// The revision in front, and the rest. One with slashes is written with %2F, but for the two forms that hubs make.
fn split_revision(text: &str) -> (String, &str) {
    let words: Vec<&str> = text.splitn(4, '/').collect();
    let end = match words.as_slice() {
        ["refs", "pr" | "convert", number, ..] => "refs/".len() + words[1].len() + 1 + number.len(),
        _ => words[0].len(),
    };
    (text[..end].replace("%2F", "/").replace("%2f", "/"), &text[end..])
}

/// Whether this can be a revision, and so the name of a file below `refs/`.
fn is_revision(text: &str) -> bool {
    let is_known = |c: char| c.is_ascii_graphic() && !"~^:?*[\\#%@".contains(c);
    text.len() <= 200 && text.chars().all(is_known) && is_path(text)
}

/// Whether this is a path that stays below where it begins.
pub(crate) fn is_path(text: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name != "." && name != "..";
    text.split('/').all(is_name) && !text.contains(['\\', '\0'])
}

/// Whether a revision is a commit, which never changes what it means.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Reference {
    /// The path in the repository, empty for its root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The branch, tag or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same place at another revision.
    pub(crate) fn at(&self, revision: &str) -> Self {
        Self { revision: revision.into(), ..self.clone() }
    }

    /// The same repository and revision, at another path.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    /// The repository in `hf-hub`'s terms.
    pub(crate) fn repo(&self) -> Repo {
        let kind = match self.kind {
            RepoKind::Model => RepoType::Model,
            RepoKind::Dataset => RepoType::Dataset,
        };
        Repo::with_revision(self.repository.clone(), kind, self.revision.clone())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, repository, revision, path } = self;
        let kind = if *kind == RepoKind::Dataset { "datasets/" } else { "" };
        write!(f, "hf://{kind}{repository}")?;
        if revision != DEFAULT_REVISION {
            let is_plain = split_revision(revision).1.is_empty();
            write!(f, "@{}", if is_plain { revision.clone() } else { revision.replace('/', "%2F") })?;
        }
        if path.is_empty() { Ok(()) } else { write!(f, "/{path}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> Reference {
        match text.parse() {
            Ok(Location::Hub(reference)) => reference,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_part_is_found_and_written_again() {
        for (text, kind, repository, revision, path) in [
            ("hf://o/n", RepoKind::Model, "o/n", "main", ""),
            ("hf://o/n/onnx/model.onnx", RepoKind::Model, "o/n", "main", "onnx/model.onnx"),
            ("hf://o/n@v1.0/a b.onnx", RepoKind::Model, "o/n", "v1.0", "a b.onnx"),
            ("hf://datasets/o/n/d/x.parquet", RepoKind::Dataset, "o/n", "main", "d/x.parquet"),
            ("hf://datasets/o/n@refs/convert/parquet/d", RepoKind::Dataset, "o/n", "refs/convert/parquet", "d"),
            ("hf://o/n@refs/pr/12", RepoKind::Model, "o/n", "refs/pr/12", ""),
            ("hf://o/n@dev%2Fnew/x", RepoKind::Model, "o/n", "dev/new", "x"),
            ("hf://o/n@v1/odd@name", RepoKind::Model, "o/n", "v1", "odd@name"),
        ] {
            let found = hub(text);
            assert_eq!((found.kind, found.repository.as_str()), (kind, repository), "{text}");
            assert_eq!((found.revision(), found.path()), (revision, path), "{text}");
            assert_eq!(found.to_string(), text);
        }
        assert_eq!(hub("hf://o/n/onnx/").to_string(), "hf://o/n/onnx");
        assert_eq!(hub("hf://o/n@main/x").to_string(), "hf://o/n/x");
    }

    #[test]
    fn whatever_else_is_a_path() {
        for text in ["model.onnx", "data/local/x", "/a/b", "hf/x", "./hf:x", "a=b://c"] {
            assert_eq!(text.parse(), Ok(Location::Path(text.into())));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("", "is empty"),
            ("hf:/o/n", "without //"),
            ("hf://gpt2", "whose repository"),
            ("hf://gpt2/", "whose repository"),
            ("hf://datasets/o", "whose repository"),
            ("hf://o@v1/n", "behind the owner"),
            ("hf://spaces/o/n", "a space"),
            ("hf://models/o/n", "hf://o/n is enough"),
            ("hf://o/..", "as name"),
            ("hf://o/n@", "as revision"),
            ("hf://o/n@%2F..%2Fx", "as revision"),
            ("hf://o/n/../../x", "as path"),
            ("hf://o/n//x//y", "as path"),
            ("https://hub/o/n/resolve/main/x", "on the web"),
            ("s3://bucket/x", "s3://, which is not known"),
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
