//! The cache on disk, as Python's `huggingface_hub` lays it out: `blobs/` by ETag, `snapshots/COMMIT/PATH` as links to
//! them, `refs/REVISION` with a commit. What only this crate knows is in `.headstart/`, which others pass over.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use hf_hub::{Cache, CacheRepo};

use crate::location::{is_commit, is_path};
use crate::{Error, Reference};

/// The cache of one repository.
#[derive(Debug)]
pub(crate) struct Store {
    repo: CacheRepo,
    /// `models--OWNER--NAME` in the cache.
    folder: PathBuf,
    locks: PathBuf,
}

impl Store {
    pub(crate) fn new(cache: &Path, reference: &Reference) -> Self {
        let name = reference.repo().folder_name();
        Self {
            repo: Cache::new(cache.to_path_buf()).repo(reference.repo()),
            folder: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    /// Where a file of a commit is, or would be.
    pub(crate) fn pointer(&self, commit: &str, path: &str) -> PathBuf {
        let snapshot = self.repo.pointer_path(commit);
        if path.is_empty() { snapshot } else { snapshot.join(path) }
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.repo.blob_path(etag)
    }

    /// Where a download grows. The name is the one that Python's programs use, so that either goes on where the
    /// other stopped.
    pub(crate) fn part(&self, etag: &str) -> PathBuf {
        self.repo.blob_path(&format!("{etag}.incomplete"))
    }

    /// The commit that a branch or tag was at when it was last asked for.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_string());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(text.trim().to_string()).filter(|c| is_path(c) && !c.contains('/'))
    }

    pub(crate) fn keep_commit(&self, revision: &str, commit: &str) -> Result<(), Error> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        write(&self.folder.join("refs").join(revision), commit.as_bytes())
    }

    /// All files of a commit, if the hub was once asked for them.
    pub(crate) fn listing(&self, commit: &str) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.listing_path(commit)).ok()?;
        let files: Vec<_> = text.lines().map(str::to_string).collect();
        files.iter().all(|f| is_path(f)).then_some(files)
    }

    pub(crate) fn keep_listing(&self, commit: &str, files: &[String]) -> Result<(), Error> {
        if self.listing(commit).as_deref() == Some(files) {
            return Ok(());
        }
        write(&self.listing_path(commit), format!("{}\n", files.join("\n")).as_bytes())
    }

    fn listing_path(&self, commit: &str) -> PathBuf {
        self.folder.join(".headstart").join("files").join(commit)
    }

    /// Files of a commit that are here, in byte order. There may be more on the hub.
    pub(crate) fn present(&self, commit: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.pointer(commit, ""), "", &mut found);
        found.sort();
        found
    }

    /// The ETag of a file: the name of the blob that it links to. Where links were followed in copying, there is none.
    pub(crate) fn etag_of(&self, pointer: &Path) -> Option<String> {
        let target = fs::read_link(pointer).ok()?;
        let is_blob = target.parent().and_then(Path::file_name).is_some_and(|n| n == "blobs");
        is_blob.then(|| target.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }

    /// Lets a commit's path lead to a blob.
    pub(crate) fn link(&self, etag: &str, commit: &str, path: &str) -> Result<(), Error> {
        let pointer = self.pointer(commit, path);
        let folder = pointer.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        // Relative, so that the cache can be moved: out of the folders of the path, the commit and `snapshots`.
        let up = "../".repeat(path.split('/').count() + 1);
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        if fs::read_link(&pointer).is_ok_and(|t| t == target) {
            return Ok(());
        }
        let aside = pointer.with_file_name(format!(".{}.{}", etag, std::process::id()));
        let _ = fs::remove_file(&aside);
        std::os::unix::fs::symlink(&target, &aside).map_err(Error::io("create the link", &pointer))?;
        fs::rename(&aside, &pointer).map_err(Error::io("create the link", &pointer))
    }

    /// Whether the blob was found right before, and has not been written since.
    pub(crate) fn was_checked(&self, etag: &str, blob: &Path) -> bool {
        let stamp = fs::read_to_string(self.stamp_path(etag)).ok();
        stamp.is_some() && stamp == stamp_of(blob)
    }

    /// A cache that cannot be written costs a check each time, and is no error.
    pub(crate) fn keep_checked(&self, etag: &str, blob: &Path) {
        if let Some(stamp) = stamp_of(blob)
            && let Err(error) = write(&self.stamp_path(etag), stamp.as_bytes())
        {
            tracing::debug!("{error}");
        }
    }

    fn stamp_path(&self, etag: &str) -> PathBuf {
        self.folder.join(".headstart").join("checked").join(etag)
    }

    /// Waits until no other process downloads this blob; Python's programs take the same lock. `waiting` is called
    /// in between and may give up.
    pub(crate) fn lock(&self, etag: &str, waiting: &mut dyn FnMut() -> Result<(), Error>) -> Result<File, Error> {
        for folder in [&self.locks, &self.folder.join("blobs")] {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let path = self.locks.join(format!("{etag}.lock"));
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
        let mut is_said = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    if !is_said {
                        tracing::info!("another process downloads the same file; waiting for it ({})", path.display());
                        is_said = true;
                    }
                    waiting()?;
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
            }
        }
    }
}

/// Length and time of change.
fn stamp_of(blob: &Path) -> Option<String> {
    let metadata = fs::metadata(blob).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} {}", metadata.len(), modified.as_nanos()))
}

fn walk(folder: &Path, below: &str, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        // Links lead to files only; following none keeps the walk finite.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), &path, into);
        } else if entry.path().is_file() {
            into.push(path);
        }
    }
}

/// Writes aside and renames, so that nobody reads half a file.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written =
        File::create(&aside).and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&aside, path));
    written.map_err(Error::io("write", path))
}
