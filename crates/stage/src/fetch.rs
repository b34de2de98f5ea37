//! Models and data sets on a hub: brought to this machine before a stage looks at them, with a bar.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hub::{Environment, Event, Fetched, Hub, Location, Policy, Reference, Wanted};
use serde_json::json;

use crate::invocation::{Job, StageArgs};
use crate::program::print_line;
use crate::{Common, Exit, Progress, check_stop, path_as_text, printable};

/// A model or data set on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Where it is.
    pub path: PathBuf,
    /// What to call it: the path as text, or `hf://…` with the commit. It goes into manifests; fingerprints hold its digest.
    pub name: String,
    fetched: Option<Fetched>,
}

impl Local {
    /// What to call a file that lies in it or came with it.
    #[must_use]
    pub fn name_of(&self, file: &Path) -> String {
        let on_hub = self.fetched.as_ref().and_then(|fetched| fetched.name_of(file));
        on_hub.unwrap_or_else(|| path_as_text(file))
    }
}

/// The hub of this process: it asks once for the commit of a branch, so that all files of a run are of one.
static HUB: Mutex<Option<(Policy, Hub)>> = Mutex::new(None);

/// Brings what a location names to this machine. A path is taken as it is, without looking.
///
/// With `--dry-run` only the cache is looked at; with `--rehash` what is in it is hashed again.
///
/// # Errors
/// [`Exit::Unavailable`] if it is not to be had, [`Exit::BadData`] if it is not what the hub says it is.
pub fn fetch(location: &Location, wanted: &Wanted, common: &Common) -> anyhow::Result<Local> {
    match location {
        Location::Path(path) => Ok(Local { path: path.clone(), name: path_as_text(path), fetched: None }),
        Location::Hub(reference) => {
            let fetched = from_hub(reference, wanted, policy(common))?;
            Ok(Local { name: fetched.pinned.to_string(), path: fetched.path.clone(), fetched: Some(fetched) })
        }
    }
}

/// Where in the cache a file or folder of a hub is, all of it if it is a folder. Nothing is downloaded.
///
/// # Errors
/// As [`fetch`], and [`Exit::Unavailable`] for what is not in the cache.
pub fn find_in_cache(reference: &Reference) -> anyhow::Result<PathBuf> {
    Ok(from_hub(reference, &Wanted::ALL, Policy::Look)?.path)
}

fn policy(common: &Common) -> Policy {
    match (common.dry_run || common.preview, common.rehash) {
        (true, _) => Policy::Look,
        (false, true) => Policy::Recheck,
        (false, false) => Policy::Download,
    }
}

fn from_hub(reference: &Reference, wanted: &Wanted, policy: Policy) -> anyhow::Result<Fetched> {
    let mut guard = HUB.lock().unwrap_or_else(PoisonError::into_inner);
    let hub = match &mut *guard {
        Some((known, hub)) if *known == policy => hub,
        other => &mut other.insert((policy, Hub::new(Environment::read(), policy)?)).1,
    };
    let mut progress: Option<Progress> = None;
    let mut listener = |event: Event<'_>| {
        match (event, &mut progress) {
            (Event::File { name, bytes, present }, _) => {
                progress = Some(Progress::of_bytes(name, bytes.unwrap_or(0), present));
            }
            (Event::At(bytes), Some(progress)) => progress.set(bytes),
            _ => {}
        }
        if check_stop().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let fetched = hub.fetch(reference, wanted, &mut listener);
    drop(progress);
    check_stop()?;
    fetched.map_err(|error| {
        use hub::Error as E;
        let is_absent = matches!(error, E::Unreachable { .. } | E::Offline { .. } | E::NotFetched { .. });
        let error = anyhow::Error::new(error);
        let (exit, reason) = (Exit::of(&error), format!("{error:#}"));
        let subject = if reason.contains("hf://") { String::new() } else { format!("{reference}: ") };
        exit.error(format!("{subject}{reason}{}", if is_absent { REMEDY } else { "" }))
    })
}

const REMEDY: &str = "; fetch it where the hub can be reached, with `just fetch PIPELINE` or a stage's --fetch \
                      (for a machine without access, copy the cache, HF_HOME, to it)";

/// `--fetch`: whatever the jobs name on a hub, and nothing else.
pub(crate) fn fetch_all<A: StageArgs>(stage: &str, jobs: &[Job<A>]) -> anyhow::Result<Exit> {
    let mut seen: Vec<&Location> = Vec::new();
    let mut rows = Vec::new();
    for job in jobs {
        let common = job.args.common();
        for (location, wanted) in job.args.sources() {
            let Location::Hub(reference) = location else { continue };
            if seen.contains(&location) {
                continue;
            }
            seen.push(location);
            let fetched = from_hub(reference, &wanted, policy(common))?;
            let (name, path) = (fetched.pinned.to_string(), fetched.path.display().to_string());
            if !common.json {
                let was = match fetched.n_downloaded {
                    0 => "in the cache".to_string(),
                    n => format!("{n} of {} files downloaded", fetched.n_files),
                };
                print_line(&printable(&format!("{name}: {was}, {path}")))?;
            }
            rows.push(
                json!({ "name": name, "path": path, "files": fetched.n_files, "downloaded": fetched.n_downloaded }),
            );
        }
    }
    if jobs[0].args.common().json {
        print_line(&json!({ "stage": stage, "state": "fetched", "fetched": rows }).to_string())?;
    } else if rows.is_empty() {
        crate::say(format!("{stage}: nothing of its inputs is on a hub"));
    }
    Ok(Exit::Done)
}
