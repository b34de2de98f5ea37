//! The verb: which files are wanted, which commit a revision is at, what of it is here already, and the rest.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::client::{Client, Head};
use crate::download::{check, download};
use crate::location::is_commit;
use crate::store::Store;
use crate::wanted::Selection;
use crate::{Environment, Error, Reference, Wanted};

/// What may be done to bring files here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Whatever is missing is downloaded.
    Download,
    /// As [`Policy::Download`], and what is here is hashed again, whenever it was last written.
    Recheck,
    /// The hub is not asked and nothing is downloaded: what is missing is an error.
    Look,
}

/// What happens during a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A download begins, `present` bytes of which an earlier one has left.
    File {
        /// Its path in the repository.
        name: &'a str,
        /// Its length, where the hub says so.
        bytes: Option<u64>,
        /// Bytes that are here.
        present: u64,
    },
    /// So many of its bytes are here now.
    At(u64),
    /// Nothing new; a good moment to stop.
    Waiting,
}

/// Is told what happens, and may stop it.
pub type Listener<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// What was asked for, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is: a file, or a folder with (at least) what was wanted of it.
    pub path: PathBuf,
    /// The same place at the commit that it is of.
    pub pinned: Reference,
    /// The folder of that commit in the cache.
    pub snapshot: PathBuf,
    /// Number of files that were looked at.
    pub n_files: usize,
    /// Number of those that had to be downloaded.
    pub n_downloaded: usize,
}

impl Fetched {
    /// What to call a file of the same commit: `hf://OWNER/NAME@COMMIT/PATH`.
    #[must_use]
    pub fn name_of(&self, file: &Path) -> Option<String> {
        let path = file.strip_prefix(&self.snapshot).ok()?;
        Some(self.pinned.with_path(path.to_str()?).to_string())
    }
}

/// A hub and the cache of what was fetched from it.
#[derive(Debug)]
pub struct Hub {
    environment: Environment,
    client: Client,
    policy: Policy,
    /// Why the hub is not asked any more.
    silent: Option<Silence>,
    /// What is known of repositories at revisions: each is asked for once, so that all files are of one commit.
    known: HashMap<Reference, Known>,
}

#[derive(Debug, Clone)]
enum Silence {
    OnlyLooking,
    Offline,
    Unreachable { url: String, reason: String },
}

/// What the cache has of a file.
#[derive(Debug)]
enum Here {
    Missing,
    Whole,
    /// In this blob.
    Damaged(PathBuf),
}

#[derive(Debug, Clone)]
struct Known {
    commit: String,
    files: Option<Vec<String>>,
}

impl Hub {
    /// A hub as the environment names it.
    ///
    /// # Errors
    /// If the certificates that the environment names cannot be read.
    pub fn new(environment: Environment, policy: Policy) -> Result<Self, Error> {
        let client = Client::new(&environment)?;
        let silent = match (environment.offline, policy) {
            (true, _) => Some(Silence::Offline),
            (false, Policy::Look) => Some(Silence::OnlyLooking),
            (false, Policy::Download | Policy::Recheck) => None,
        };
        Ok(Self { environment, client, policy, silent, known: HashMap::new() })
    }

    /// Brings a file or folder to this machine, or finds it there, and checks it.
    ///
    /// A branch or tag is resolved once. Where nobody answers, the commit that it was at last time is used with a
    /// warning, if what is wanted of it is here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn fetch(
        &mut self,
        reference: &Reference,
        wanted: &Wanted,
        listener: &mut Listener<'_>,
    ) -> Result<Fetched, Error> {
        let store = Store::new(&self.environment.cache, reference);
        // Most locations are of a file; then one question is enough, and no list of all files is needed.
        if wanted.beside.is_empty() && looks_like_a_file(reference.path()) {
            match self.file_alone(&store, reference, listener) {
                Err(Error::NotFound { .. } | Error::Offline { .. } | Error::NotFetched { .. })
                    if self.is_folder_here(&store, reference) => {}
                Err(Error::NotFound { .. }) if self.silent.is_none() => {}
                done => return done,
            }
        }
        let (commit, files, is_whole) = self.files(&store, reference)?;
        let pinned = reference.at(&commit);
        let selection = Selection::new(reference, wanted, &files);
        if !is_whole && selection.needs_the_whole_list() {
            return Err(Error::Unlisted { reference: pinned });
        }
        let paths = match selection {
            Selection::Files { paths, .. } => paths,
            // Of an incomplete list, absence says nothing.
            _ if !is_whole => return Err(self.missing(reference)),
            Selection::None { near } => return Err(Error::NoSuch { reference: pinned, near }),
            Selection::FolderNotFile { near } => return Err(Error::Folder { reference: pinned, near }),
        };
        let mut n_downloaded = 0;
        for path in &paths {
            n_downloaded += usize::from(self.bring(&store, &pinned.with_path(path), None, listener)?);
        }
        let path = store.pointer(&commit, reference.path());
        Ok(Fetched { path, snapshot: store.pointer(&commit, ""), pinned, n_files: paths.len(), n_downloaded })
    }

    /// One file that no others go with.
    fn file_alone(
        &mut self,
        store: &Store,
        reference: &Reference,
        listener: &mut Listener<'_>,
    ) -> Result<Fetched, Error> {
        let key = reference.with_path("");
        let known = self.known.get(&key).map(|k| k.commit.clone());
        let named = is_commit(reference.revision()).then(|| reference.revision().to_string());
        let (commit, head) = match (named.or(known), &self.silent) {
            (Some(commit), _) => (commit, None),
            (None, None) => match self.client.head(reference) {
                Ok(head) => (head.commit.clone(), Some(head)),
                Err(error) => (self.fall_back(store, reference, error)?, None),
            },
            (None, Some(_)) => (store.commit_of(reference.revision()).ok_or_else(|| self.missing(reference))?, None),
        };
        let pinned = reference.at(&commit);
        let n_downloaded = usize::from(self.bring(store, &pinned, head, listener)?);
        self.remember(store, &key, Known { commit: commit.clone(), files: None })?;
        let (path, snapshot) = (store.pointer(&commit, reference.path()), store.pointer(&commit, ""));
        Ok(Fetched { path, snapshot, pinned, n_files: 1, n_downloaded })
    }

    /// The commit of a revision with its files, and whether those are all.
    fn files(&mut self, store: &Store, reference: &Reference) -> Result<(String, Vec<String>, bool), Error> {
        let key = reference.with_path("");
        if let Some(Known { commit, files: Some(files) }) = self.known.get(&key) {
            return Ok((commit.clone(), files.clone(), true));
        }
        let settled = self.known.get(&key).map(|k| k.commit.clone());
        let settled = settled.or_else(|| is_commit(reference.revision()).then(|| reference.revision().to_string()));
        if let Some(files) = settled.as_ref().and_then(|commit| store.listing(commit)) {
            return Ok((settled.unwrap_or_default(), files, true));
        }
        let commit = if self.silent.is_none() {
            // If a file of this repository was fetched already, this is about the same commit.
            let asked = settled.as_ref().map_or(key.clone(), |commit| key.at(commit));
            match self.client.list(&asked) {
                Ok((commit, files)) => {
                    let commit = settled.unwrap_or(commit);
                    self.remember(store, &key, Known { commit: commit.clone(), files: Some(files.clone()) })?;
                    return Ok((commit, files, true));
                }
                Err(error) => self.fall_back(store, reference, error)?,
            }
        } else {
            settled.or_else(|| store.commit_of(reference.revision())).ok_or_else(|| self.missing(reference))?
        };
        match store.listing(&commit) {
            Some(files) => Ok((commit, files, true)),
            None => {
                let files = store.present(&commit);
                Ok((commit, files, false))
            }
        }
    }

    /// The commit that a revision was at last time, if the hub is merely not there. It is not asked again.
    fn fall_back(&mut self, store: &Store, reference: &Reference, error: Error) -> Result<String, Error> {
        let (url, reason) = match &error {
            Error::Unreachable { url, reason } => (url.clone(), reason.clone()),
            Error::Status { url, status, .. } if error.is_passing() => (url.clone(), format!("it answers {status}")),
            _ => return Err(error),
        };
        let Some(commit) = store.commit_of(reference.revision()) else { return Err(error) };
        tracing::warn!(
            "cannot reach {url} ({reason}): using what is in the cache, {} as of commit {commit}",
            reference.with_path("")
        );
        self.silent = Some(Silence::Unreachable { url, reason });
        Ok(commit)
    }

    /// Makes sure that one file of a commit is here and whole. Says whether it was downloaded.
    fn bring(
        &self,
        store: &Store,
        file: &Reference,
        head: Option<Head>,
        listener: &mut Listener<'_>,
    ) -> Result<bool, Error> {
        let damaged = match self.look(store, file, listener)? {
            Here::Whole => return Ok(false),
            Here::Damaged(blob) => Some(blob),
            Here::Missing => None,
        };
        if self.silent.is_some() {
            return Err(self.missing(file));
        }
        let head = match head {
            Some(head) => head,
            None => self.client.head(file)?,
        };
        // Not before the hub has answered: what cannot be replaced is better than nothing.
        damaged.iter().try_for_each(|blob| remove(blob))?;
        // Another commit may have the same file.
        let mut is_new = !store.blob(&head.etag).is_file();
        if is_new {
            download(&self.client, store, file, &head, listener)?;
        }
        store.link(&head.etag, file.revision(), file.path())?;
        // What another program has downloaded is checked as well.
        if !is_new && let Here::Damaged(blob) = self.look(store, file, listener)? {
            remove(&blob)?;
            download(&self.client, store, file, &head, listener)?;
            is_new = true;
        }
        Ok(is_new)
    }

    /// Whether a file is in the cache and has the content that its name there promises. It changes no file: a damaged
    /// one is an error where it cannot be fetched again, and else a warning.
    fn look(&self, store: &Store, file: &Reference, listener: &mut Listener<'_>) -> Result<Here, Error> {
        let pointer = store.pointer(file.revision(), file.path());
        if !pointer.is_file() {
            return Ok(Here::Missing);
        }
        let Some(etag) = store.etag_of(&pointer) else { return Ok(Here::Whole) };
        let blob = store.blob(&etag);
        if self.policy != Policy::Recheck && store.was_checked(&etag, &blob) {
            return Ok(Here::Whole);
        }
        match check(&etag, &blob, &file.to_string(), listener)? {
            None => {
                if self.policy != Policy::Look {
                    store.keep_checked(&etag, &blob);
                }
                Ok(Here::Whole)
            }
            Some((expected, found)) if self.silent.is_some() => {
                Err(Error::DamagedHere { reference: Box::new(file.clone()), expected, found, path: blob })
            }
            Some((expected, found)) => {
                let what = "the cache has wrong content, to be fetched again";
                tracing::warn!("{file}: {what}: expected {expected}, found {found} in {}", blob.display());
                Ok(Here::Damaged(blob))
            }
        }
    }

    fn is_folder_here(&self, store: &Store, reference: &Reference) -> bool {
        let commit = store.commit_of(reference.revision());
        commit.is_some_and(|commit| store.pointer(&commit, reference.path()).is_dir())
    }

    fn remember(&mut self, store: &Store, key: &Reference, known: Known) -> Result<(), Error> {
        if self.silent.is_none() {
            // A shared cache that one may only read serves all the same.
            let kept = store.keep_commit(key.revision(), &known.commit);
            let kept = kept.and_then(|()| known.files.iter().try_for_each(|f| store.keep_listing(&known.commit, f)));
            kept.unwrap_or_else(|error| tracing::debug!("{error}"));
        }
        self.known.insert(key.clone(), known);
        Ok(())
    }

    /// Why what is not here cannot be fetched.
    fn missing(&self, reference: &Reference) -> Error {
        let (reference, cache) = (reference.clone(), self.environment.cache.clone());
        match &self.silent {
            Some(Silence::Unreachable { url, reason }) => Error::Unreachable {
                url: url.clone(),
                reason: format!("{reason}, and {reference} is not in the cache {}", cache.display()),
            },
            Some(Silence::Offline) => Error::Offline { reference, cache },
            Some(Silence::OnlyLooking) | None => Error::NotFetched { reference, cache },
        }
    }
}

fn remove(blob: &Path) -> Result<(), Error> {
    fs::remove_file(blob).map_err(Error::io("remove", blob))
}

/// Whether a path is most likely that of a file: its last name has an ending.
fn looks_like_a_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.trim_start_matches('.').contains('.')
}
