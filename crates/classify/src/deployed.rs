//! The classifier's file: finding it, its digest, loading it onto a device.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use artifact::{Artifact, Kind};
use backbone::{Classifier, Placement, Rewrite, Runtime};
use onnx_graph::{Bytes, Model, Problem, Replacement};
use stage::{Exit, Job, refuse_special_file};

use crate::about::About;
use crate::args::Args;
use crate::plan::{Settings, Where};

/// The name of the file in a head artifact.
const CLASSIFIER: &str = "classifier.onnx";

/// A classifier that was found and looked at, but not loaded.
#[derive(Debug)]
pub(crate) struct Deployed {
    /// As the person named it, or with the commit if it is of a hub.
    pub(crate) name: String,
    pub(crate) about: About,
    /// What operators of ours may do of its work. Of an int8 classifier not those of float32, as its fingerprint does not tell of them.
    pub(crate) ours: Vec<Replacement>,
    path: PathBuf,
    /// The artifact that it lies in, if its place was not given.
    head: Option<Artifact>,
}

impl Deployed {
    /// # Errors
    /// Exit 66 where there is none, with what to run; 65 for what is no classifier or no file.
    pub(crate) fn find(settings: &Settings) -> anyhow::Result<Self> {
        let (name, path, head) = match &settings.classifier {
            Where::File(local) => (local.name.clone(), local.path.clone(), head_of(&local.path)?),
            Where::Head(folder) => {
                let head =
                    Artifact::open(folder, Kind::Head).context("no --classifier, so that of the run is wanted")?;
                if !head.manifest().files.iter().any(|f| f.file == CLASSIFIER) {
                    return Err(Exit::MissingInput.error(format!(
                        "{} has no {CLASSIFIER}; run head-train again without --no-classifier, or give a --classifier",
                        folder.display()
                    )));
                }
                let path = folder.join(CLASSIFIER);
                (path.display().to_string(), path, Some(head))
            }
        };
        refuse_special_file(format_args!("--classifier {name}"), &path)?;
        if let Some(head) = &head {
            // What the manifest vouches for, before it is looked into.
            let model = Model::parse(head.read_file(CLASSIFIER)?, &name).map_err(|e| Exit::BadData.wrap(e))?;
            return Self::of(&model, name, path, Some(head.clone()), settings.batch);
        }
        let model = Model::read(&path).map_err(|error| match &*error.problem {
            Problem::Read(e) if e.kind() == std::io::ErrorKind::NotFound => Exit::MissingInput.error(format!(
                "there is no classifier at {name}; run head-train to make one ({CLASSIFIER} of the head artifact)"
            )),
            Problem::Read(e) if e.kind() == std::io::ErrorKind::IsADirectory => Exit::Usage.error(format!(
                "--classifier {name} is a folder; give the file, such as {}",
                path.join(CLASSIFIER).display()
            )),
            Problem::Read(_) => Exit::Io.wrap(error),
            _ => Exit::BadData.wrap(error),
        })?;
        Self::of(&model, name, path, head, settings.batch)
    }

    fn of(model: &Model, name: String, path: PathBuf, head: Option<Artifact>, batch: usize) -> anyhow::Result<Self> {
        let about = About::of(model)?;
        let bytes = if backbone::multiplies_bytes() { Bytes::All } else { Bytes::None };
        let ours = Replacement { convolutions: !model.is_int8(), bytes }.choices(model, batch);
        Ok(Self { name, about, ours, path, head })
    }

    /// BLAKE3 of the file.
    pub(crate) fn digest(&self, job: &Job<Args>) -> anyhow::Result<String> {
        if let Some(entry) = self.head.iter().flat_map(|h| &h.manifest().files).find(|f| f.file == CLASSIFIER) {
            return Ok(entry.blake3.to_string());
        }
        let mut cache = job.digest_cache();
        let digest = cache.digest(&self.path)?;
        save(&cache, job)?;
        Ok(digest.to_string())
    }

    /// # Errors
    /// Exit 69 without ONNX Runtime or the device, 74 without room for convolutions of ours, 65 for a file that it refuses.
    pub(crate) fn load(&self, settings: &Settings, ours: &[Replacement]) -> anyhow::Result<Classifier> {
        let runtime = Runtime::load().map_err(backbone_error)?;
        let bytes = match &self.head {
            Some(head) => head.read_file(CLASSIFIER)?,
            None => fs::read(&self.path).map_err(|e| Exit::Io.error(format!("cannot read {}: {e}", self.name)))?,
        };
        let rewrites: Vec<_> =
            ours.iter().map(|ours| Rewrite { apply: ours.function(), is_exact: ours.is_exact() }).collect();
        let placement = Placement {
            device: settings.device,
            cuda_libraries: settings.cuda_libraries.as_deref(),
            threads: settings.threads,
            rewrites: &rewrites,
        };
        let classifier =
            Classifier::load(&runtime, &bytes, placement).map_err(backbone_error).with_context(|| self.name.clone())?;
        if settings.device == backbone::Device::Auto {
            tracing::debug!("--device auto took {}", classifier.provider());
        }
        Ok(classifier)
    }
}

/// The head artifact that a file is the classifier of, whose manifest vouches for it. One that was copied elsewhere, or that
/// has another name, stands for itself.
fn head_of(file: &Path) -> anyhow::Result<Option<Artifact>> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if file.file_name().is_none_or(|name| name != CLASSIFIER) {
        return Ok(None);
    }
    let head = match Artifact::find(folder) {
        Ok(found) => found.filter(|head| head.manifest().kind == Kind::Head),
        // Another program's manifest.json.
        Err(artifact::Error::Malformed { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(head.filter(|head| head.manifest().files.iter().any(|f| f.file == CLASSIFIER)))
}

/// A dry run touches nothing, not even the cache.
pub(crate) fn save(cache: &artifact::DigestCache, job: &Job<Args>) -> anyhow::Result<()> {
    if !job.args.common.dry_run {
        cache.save()?;
    }
    Ok(())
}

/// An error of `backbone` with its exit code.
pub(crate) fn backbone_error(error: backbone::Error) -> anyhow::Error {
    use backbone::Error as E;
    match error {
        E::NoRuntime { .. } | E::NoDevice { .. } | E::OutOfMemory { .. } | E::Int8Saturates => {
            Exit::Unavailable.wrap(error)
        }
        E::NotSaved(_) => Exit::Io.wrap(error),
        E::Model(_) | E::Run { .. } | E::Output { .. } | E::Port { .. } => Exit::BadData.wrap(error),
        _ => Exit::Bug.wrap(error),
    }
}
