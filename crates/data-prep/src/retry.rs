//! `--retry-rejects`: only parts that have rejects are made again, where nothing but the files of rejects has changed.

use std::collections::HashSet;
use std::path::Path;

use arrow_array::cast::AsArray;
use artifact::{Artifact, Build, Kind, Plan};
use stage::Exit;

use crate::inputs::Digested;
use crate::plan::Work;

/// The fact of an artifact that says what all but its rejects was made from.
pub(crate) const FACT: &str = "inputs_but_rejects";

/// An artifact whose parts without rejects can be taken over.
#[derive(Debug)]
pub(crate) struct Retry {
    before: Artifact,
    /// Indices of these parts.
    kept: Vec<usize>,
}

impl Retry {
    /// What of the artifact at `out` a retry can keep; nothing where there are no rejects, or where more than their
    /// files has changed.
    ///
    /// # Errors
    /// Exit 65 for an artifact that is damaged.
    pub(crate) fn of(out: &Path, plan: &Plan, work: &Work, inputs: &Digested) -> anyhow::Result<Option<Self>> {
        let Some(before) = Artifact::find(out)?.filter(|artifact| artifact.manifest().kind == Kind::Examples) else {
            return Ok(None);
        };
        let manifest = before.manifest();
        let rows = |index: usize| work.parts[index].rows.len() as u64;
        let is_same = manifest.config == plan.config
            && manifest.parts.len() == work.parts.len()
            && manifest.facts[FACT] == inputs.without(&sources(&before)?.iter().map(String::as_str).collect()).as_str();
        if !is_same {
            tracing::warn!(
                "more than the rejects has changed since {} was made: all of it is made again",
                out.display()
            );
            return Ok(None);
        }
        let (kept, again): (Vec<_>, Vec<_>) =
            (0..work.parts.len()).partition(|index| manifest.parts[*index].rows == rows(*index));
        if again.is_empty() {
            return Ok(None);
        }
        stage::say(format!("examples: {} of {} parts have rejects and are made again", again.len(), work.parts.len()));
        Ok(Some(Self { before, kept }))
    }

    /// Takes the parts without rejects over, but those that an interrupted run has.
    pub(crate) fn take_over(&self, build: &mut Build) -> anyhow::Result<()> {
        let missing = build.missing();
        for index in self.kept.iter().filter(|index| missing.contains(index)) {
            stage::check_stop()?;
            build.adopt_part(*index, &self.before)?;
        }
        Ok(())
    }
}

/// The files that an artifact's rejects came from.
fn sources(artifact: &Artifact) -> anyhow::Result<HashSet<String>> {
    const FILE: &str = "rejects.parquet";
    if !artifact.manifest().files.iter().any(|entry| entry.file == FILE) {
        return Ok(HashSet::new());
    }
    let path = artifact.folder().join(FILE);
    let mut sources = HashSet::new();
    for batch in artifact::decode_parquet(artifact.read_file(FILE)?, &path)? {
        let column = batch.column_by_name("source").and_then(|column| column.as_string_opt::<i32>());
        let column =
            column.ok_or_else(|| Exit::BadData.error(format!("{}: no column source of text", path.display())))?;
        sources.extend(column.iter().flatten().map(ToString::to_string));
    }
    Ok(sources)
}
