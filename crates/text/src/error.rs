//! What can go wrong with a tokenizer, in words that say what to do next.

use std::path::{Path, PathBuf};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a tokenizer could not be read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no tokenizer.json at the path.
    #[error("no tokenizer at {path}: {remedy}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do about it.
        remedy: String,
    },
    /// The file is no tokenizer.json, or one that contradicts itself.
    #[error("{path} is not a tokenizer: {reason}")]
    NotATokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer cannot be applied to this text or to these ids.
    #[error("the tokenizer {path} cannot {operation}: {reason}")]
    Unusable {
        /// The tokenizer's file.
        path: PathBuf,
        /// What was being done, as an infinitive.
        operation: &'static str,
        /// What the library says.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn not_a_tokenizer(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::NotATokenizer { path: path.to_path_buf(), reason: reason.to_string() }
    }
}
