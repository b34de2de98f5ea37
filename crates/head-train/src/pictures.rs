//! The stored pictures behind the features, for what needs to look at them: the check of an export, thumbnails.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use artifact::{Artifact, ExamplePart, ExamplesFacts, Kind};
use stage::{Exit, check_stop};

use crate::plan::Settings;

/// The examples artifact that the features were made from.
#[derive(Debug, Clone)]
pub(crate) struct Pictures {
    examples: Artifact,
    facts: ExamplesFacts,
}

impl Pictures {
    /// Opens `--examples`, or where features say that they come from. It must be the very artifact they were made of.
    ///
    /// # Errors
    /// Exit 66 when it is not there, or another one is in its place.
    pub(crate) fn open(settings: &Settings, features: &Artifact) -> anyhow::Result<Self> {
        let made_from = features.manifest().inputs.first();
        let made_from = made_from.ok_or_else(|| {
            Exit::BadData
                .error(format!("{}: its manifest does not say what it was made from", features.folder().display()))
        })?;
        let folder = place(settings, &made_from.name);
        let remedy = "give --examples FOLDER, or leave the one file out with --no-classifier";
        let examples = Artifact::open(&folder, Kind::Examples).map_err(|e| {
            Exit::MissingInput.error(format!("{e}; classifier.onnx is checked on pictures before it is kept: {remedy}"))
        })?;
        let found = examples.manifest().fingerprint.to_string();
        if found != made_from.digest {
            return Err(Exit::MissingInput.error(format!(
                "{} holds other examples than the features in {} were made from (fingerprint: expected {}, found {found}); \
                 run feature-extract again, or {remedy}",
                folder.display(),
                features.folder().display(),
                made_from.digest
            )));
        }
        let facts = examples.manifest().facts_as(examples.folder())?;
        Ok(Self { examples, facts })
    }

    /// Sizes and classes.
    pub(crate) fn facts(&self) -> &ExamplesFacts {
        &self.facts
    }

    /// Pixels u8 `[ids.len(), height, width, 3]`, in the order of `ids`.
    ///
    /// Parts are read one by one, and no further than needed: for the first rows of a split that is one part.
    ///
    /// # Errors
    /// Exit 65 when an id is not among the examples, or a part is damaged.
    pub(crate) fn of(&self, ids: &[String]) -> anyhow::Result<Vec<u8>> {
        let bytes = self.facts.height as usize * self.facts.width as usize * 3;
        let mut wanted: HashMap<&str, usize> = ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
        let mut pixels = vec![0; bytes * ids.len()];
        for index in 0..self.examples.manifest().parts.len() {
            if wanted.is_empty() {
                break;
            }
            check_stop()?;
            let path = self.examples.part_path(index);
            let part = ExamplePart::from_batches(&self.examples.read_part(index)?, &self.facts, &path)?;
            for (row, id) in part.ids.iter().enumerate() {
                if let Some(to) = wanted.remove(id.as_str()) {
                    pixels[to * bytes..][..bytes].copy_from_slice(&part.pixels[row * bytes..][..bytes]);
                }
            }
        }
        match wanted.keys().min() {
            None => Ok(pixels),
            Some(id) => Err(Exit::BadData.error(format!(
                "{}: there is no picture {id}, which the features have; make both again",
                self.examples.folder().display()
            ))),
        }
    }
}

/// `--examples`, the run's own, or the folder that the features name.
fn place(settings: &Settings, named: &str) -> PathBuf {
    match &settings.examples {
        Some(typed) => typed.clone(),
        None if settings.run_examples.is_dir() => settings.run_examples.clone(),
        None => Path::new(named).to_path_buf(),
    }
}
