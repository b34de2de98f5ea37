//! `manifest.json`: what an artifact consists of and what it was made from.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::seal::{self, Seal};
use crate::{Digest, Error, Fingerprint, Result, Split};

/// Version of the layout of artifacts. It enters every fingerprint.
pub const FORMAT_VERSION: u32 = 3;

/// The name of the manifest's file.
pub(crate) const FILE_NAME: &str = "manifest.json";

/// How the file begins, whatever the version.
const FIRST: &[u8] = b"{\n  \"format_version\": ";

/// What an artifact holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Labelled pictures, by data-prep.
    Examples,
    /// Feature vectors, by feature-extract.
    Features,
    /// A trained head and its scores, by head-train.
    Head,
    /// What a classifier says of pictures, by classify.
    Predictions,
    /// Texts as token ids, by data-prep.
    Prompts,
    /// What a language model wrote behind them, by generate.
    Completions,
}

impl Kind {
    /// The kind's name, which is also the default name of the artifact's folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Examples => "examples",
            Self::Features => "features",
            Self::Head => "head",
            Self::Predictions => "predictions",
            Self::Prompts => "prompts",
            Self::Completions => "completions",
        }
    }

    /// The stage that makes it.
    #[must_use]
    pub fn stage(self) -> &'static str {
        match self {
            Self::Examples | Self::Prompts => "data-prep",
            Self::Features => "feature-extract",
            Self::Head => "head-train",
            Self::Predictions => "classify",
            Self::Completions => "generate",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that an artifact was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is, as the person named it: a path or a generator.
    pub name: String,
    /// Fingerprint of an artifact, or digest of a file or of a list of files.
    pub digest: String,
}

/// One Parquet part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// File name in the artifact's folder.
    pub file: String,
    /// The split that all its rows belong to, in artifacts that have splits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Number of rows.
    pub rows: u64,
    /// File size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub blake3: Digest,
}

/// A file that is no part, such as `head.safetensors` or `rejects.parquet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// File name in the artifact's folder.
    pub file: String,
    /// File size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub blake3: Digest,
}

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout.
    pub format_version: u32,
    /// What the artifact holds.
    pub kind: Kind,
    /// Program that made it.
    pub stage: String,
    /// Digest over everything that the content depends on.
    pub fingerprint: Fingerprint,
    /// What it was made from.
    pub inputs: Vec<Input>,
    /// The settings it was made with, every value resolved.
    pub config: Value,
    /// Facts of this kind of artifact, such as [`crate::ExamplesFacts`].
    pub facts: Value,
    /// Parts in order; where there are splits, all of train, then validation, then test.
    pub parts: Vec<PartEntry>,
    /// Other files.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Reads the manifest of the artifact in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        Self::parse(&bytes, &path)
    }

    /// Reads the bytes of a manifest that lies at `path`, which is named in errors.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they are not those that were written, [`Error::Malformed`] when they are no manifest, or
    /// one of another version.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let seal = seal::check(bytes);
        if let Seal::Broken { expected, found } = seal {
            // Which stage made it is in the part that cannot be trusted.
            let stage = "the stage that made it".to_string();
            return Err(Error::Damaged { path: path.to_path_buf(), what: "BLAKE3", expected, found, stage });
        }
        // The version first: another layout need not have today's fields.
        let value: Value = serde_json::from_slice(bytes).map_err(|e| Error::malformed(path, e))?;
        let version = value.get("format_version").and_then(Value::as_u64);
        if version != Some(u64::from(FORMAT_VERSION)) {
            let found = version.map_or("none".to_string(), |v| v.to_string());
            let reason = format!(
                "format version: expected {FORMAT_VERSION}, found {found}; make the artifact again with this version of headstart"
            );
            return Err(Error::malformed(path, reason));
        }
        if seal == Seal::Absent {
            return Err(Error::malformed(
                path,
                "it does not end with its own digest, so it was cut or written by hand",
            ));
        }
        let manifest: Self = serde_json::from_value(value).map_err(|e| Error::malformed(path, e))?;
        manifest.check_names(path)?;
        Ok(manifest)
    }

    /// Whether the file was ever a manifest of ours: other programs have files of this name too.
    pub(crate) fn is_ours(folder: &Path) -> Result<bool> {
        let path = folder.join(FILE_NAME);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        Ok(bytes.starts_with(FIRST) || seal::check(&bytes) != Seal::Absent)
    }

    /// A manifest names files in its own folder; anything else would let it reach outside.
    fn check_names(&self, path: &Path) -> Result<()> {
        let names = self.parts.iter().map(|p| &p.file).chain(self.files.iter().map(|f| &f.file));
        for name in names {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return Err(Error::malformed(path, format!("file name {name:?} is not a plain name")));
            }
        }
        Ok(())
    }

    /// The text of `manifest.json`. Its last key, `blake3`, is the digest of the text with this key's value empty.
    ///
    /// # Errors
    /// [`Error::Bug`] for what JSON cannot say.
    pub fn to_json(&self) -> Result<String> {
        seal::seal(self, true)
    }

    /// Number of rows in one split.
    #[must_use]
    pub fn rows_of(&self, split: Split) -> u64 {
        let parts = self.parts.iter().filter(|p| p.split == Some(split));
        parts.map(|p| p.rows).fold(0, u64::saturating_add)
    }

    /// Number of rows in all parts.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|p| p.rows).fold(0, u64::saturating_add)
    }

    /// The facts as the type that belongs to the kind.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a fact is absent or of another type.
    pub fn facts_as<T: DeserializeOwned>(&self, folder: &Path) -> Result<T> {
        serde_json::from_value(self.facts.clone())
            .map_err(|e| Error::malformed(&folder.join(FILE_NAME), format!("facts: {e}")))
    }
}
