//! What a build has finished so far: one JSON line a part, appended after the part is in place.
//!
//! The journal lives beside the parts while they are built and goes when they are committed. A
//! part counts as done only if its line is there and its bytes still have the recorded digest.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Fingerprint, PartEntry, Reject, Result};

/// One finished part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) part: PartEntry,
    pub(crate) rejects: Vec<Reject>,
}

/// The lines of one build.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
}

impl Journal {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// All whole lines. A torn last line, the trace of a kill, is passed over.
    pub(crate) fn read(&self) -> Result<Vec<Line>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io("read", &self.path)(e)),
        }
    }

    /// Appends one line and makes it durable.
    pub(crate) fn append(&self, line: &Line) -> Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(|e| Error::Bug(e.to_string()))?;
        // The newline in front ends a line that an earlier process left torn.
        bytes.insert(0, b'\n');
        bytes.push(b'\n');
        File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            })
            .map_err(Error::io("write", &self.path))
    }
}

/// Where the parts and the journal of `out` stand until they are committed.
#[derive(Debug, Clone)]
pub(crate) struct BuildFolder {
    pub(crate) root: PathBuf,
}

impl BuildFolder {
    pub(crate) fn of(out: &Path) -> Self {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        Self { root: out.with_file_name(format!("{name}.building")) }
    }

    /// The folder that becomes the artifact.
    pub(crate) fn artifact(&self) -> PathBuf {
        self.root.join("artifact")
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::at(self.root.join("journal.jsonl"))
    }

    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.root) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("remove", &self.root)(e)),
        }
    }
}
