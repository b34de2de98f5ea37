//! What can go wrong with an artifact, in words that say what to do next.

use std::path::{Path, PathBuf};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an artifact could not be read, written or committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing at the path.
    #[error("no {kind} artifact at {path}; run {stage} to make it")]
    Missing {
        /// Kind that was asked for.
        kind: String,
        /// Where it was looked for.
        path: PathBuf,
        /// Stage that makes this kind.
        stage: &'static str,
    },
    /// A build was started and not finished, or a folder has no manifest.
    #[error("{path} is incomplete: {detail}; run {stage} again, it goes on where it stopped")]
    Incomplete {
        /// The artifact's path.
        path: PathBuf,
        /// What is missing.
        detail: String,
        /// Stage that makes this kind.
        stage: String,
    },
    /// Bytes on disk are not those that the manifest recorded.
    #[error(
        "{path} is damaged: {what}: expected {expected}, found {found}; run {stage} again with --rehash to rebuild it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was compared: size or digest.
        what: &'static str,
        /// Value in the manifest.
        expected: String,
        /// Value on disk.
        found: String,
        /// Stage that made the artifact.
        stage: String,
    },
    /// Content that does not follow the contract.
    #[error("{path} is malformed: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An artifact of another kind than the one asked for.
    #[error("{path} holds {found}, not {expected}; give the path of the {expected} artifact")]
    WrongKind {
        /// The artifact's path.
        path: PathBuf,
        /// Kind that was asked for.
        expected: String,
        /// Kind in the manifest.
        found: String,
    },
    /// The path to write to is taken by something that is not ours to replace.
    #[error("{path} exists and is {found}; it is not replaced, choose another --out")]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// Something finished, which was not to be discarded, was made with other settings.
    #[error(
        "{path} was made with other settings (there → wanted): {differences}; go on with those, or leave --resume out, which discards it"
    )]
    OtherSettings {
        /// The artifact, or the folder of an interrupted build.
        path: PathBuf,
        /// Settings and inputs that differ, as `key: old → new`.
        differences: String,
    },
    /// Another process writes the same artifact.
    #[error("{path} is being written by {holder}; try again when it has ended")]
    Locked {
        /// The artifact's path.
        path: PathBuf,
        /// Program, process id and host of the writer.
        holder: String,
    },
    /// The artifact was replaced by a newer one between opening and reading.
    #[error("{path} was replaced while it was read; try again")]
    Replaced {
        /// The artifact's path.
        path: PathBuf,
    },
    /// A pipe, a socket or a device, which cannot be read more than once or has no end.
    #[error("{path} is {what}, not a file: save what it gives to a file first, and give that")]
    NotAFile {
        /// What was to be read.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was being done, as an infinitive.
        operation: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The caller broke the contract of this crate.
    #[error("{0}")]
    Bug(String),
}

impl Error {
    pub(crate) fn malformed(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Malformed { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// Wraps an I/O error: `fs::read(p).map_err(Error::io("read", p))`.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { operation, path, source }
    }
}
