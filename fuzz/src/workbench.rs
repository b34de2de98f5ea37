//! A folder in memory for readers that want a path.

use std::path::{Path, PathBuf};

/// A folder of this process, made once and emptied by nobody: in memory where the system has a place for that.
#[derive(Debug)]
pub struct Workbench {
    folder: tempfile::TempDir,
}

impl Workbench {
    /// Makes the folder.
    #[must_use]
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("headstart-fuzz-").tempdir_in(place);
        Self { folder: folder.expect("a temporary folder can be made") }
    }

    /// The path of `name` in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder can be made in a temporary folder");
        }
        std::fs::write(&path, content).expect("a file can be written in a temporary folder");
        path
    }
}

impl Default for Workbench {
    fn default() -> Self {
        Self::new()
    }
}

thread_local! {
    static BENCH: Workbench = Workbench::new();
}

/// Calls `work` with the folder of this thread.
pub fn with<T>(work: impl FnOnce(&Workbench) -> T) -> T {
    BENCH.with(work)
}
