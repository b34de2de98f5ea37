//! What a build has finished so far: one sealed JSON line a part, appended after the part is in place.
//!
//! The journal lives beside the parts while they are built and goes when they are committed. A
//! part counts as done only if its line is there and its bytes still have the recorded digest.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::build::Plan;
use crate::failpoints::failpoint;
use crate::publish::write_atomically;
use crate::seal::{self, Seal};
use crate::{Error, Fingerprint, Input, PartEntry, Reject, Result};

/// Name of the record of what a build was begun with.
const BEGUN: &str = "begun.json";

/// One finished part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) part: PartEntry,
    pub(crate) rejects: Vec<Reject>,
}

/// What a build was begun with: a digest alone could not say in what another plan differs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) config: Value,
    pub(crate) inputs: Vec<Input>,
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

    /// All intact lines. A torn last line, the trace of a kill, is passed over, as is one whose bytes have changed: its
    /// part is then made again.
    pub(crate) fn read(&self) -> Result<Vec<Line>> {
        match fs::read(&self.path) {
            Ok(text) => {
                let intact = text.split(|byte| *byte == b'\n').filter(|line| seal::check(line) == Seal::Intact);
                Ok(intact.filter_map(|line| serde_json::from_slice(line).ok()).collect())
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io("read", &self.path)(e)),
        }
    }

    /// Appends one line and makes it durable.
    pub(crate) fn append(&self, line: &Line) -> Result<()> {
        // The newline in front ends a line that an earlier process left torn.
        let text = format!("\n{}\n", seal::seal(line, false)?);
        File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| {
                let (half, rest) = text.as_bytes().split_at(text.len() / 2);
                file.write_all(half)?;
                failpoint("journal-half-written")?;
                file.write_all(rest)?;
                failpoint("journal-written")?;
                file.sync_all()?;
                failpoint("journal-synced")
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
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".building");
        Self { root: out.with_file_name(name) }
    }

    /// The folder that becomes the artifact.
    pub(crate) fn artifact(&self) -> PathBuf {
        self.root.join("artifact")
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::at(self.root.join("journal.jsonl"))
    }

    /// Records what the build is made to.
    pub(crate) fn begin(&self, plan: &Plan) -> Result<()> {
        let begun = Begun { fingerprint: plan.fingerprint(), config: plan.config.clone(), inputs: plan.inputs.clone() };
        write_atomically(&self.root.join(BEGUN), seal::seal(&begun, true)?.as_bytes()).map(drop)
    }

    /// What the build that was interrupted was made to; nothing if there is none, or its record is damaged.
    pub(crate) fn begun(&self) -> Result<Option<Begun>> {
        let path = self.root.join(BEGUN);
        match fs::read(&path) {
            Ok(text) if seal::check(&text) == Seal::Intact => Ok(serde_json::from_slice(&text).ok()),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }

    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.root) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("remove", &self.root)(e)),
        }
    }
}
