//! Write aside, sync, rename, sync the folder: the only way in which this crate makes a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use crate::failpoints::failpoint;
use crate::{Digest, Error, Result};

/// Bytes that are hashed and written at a time: they are in the processor's cache for both.
const STRETCH: usize = 256 << 10;

/// What a file was found to hold when it was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) blake3: Digest,
}

/// Makes `path` hold exactly `bytes`, or leaves what was there before.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<Written> {
    stream_atomically(path, |sink| sink.write_all(bytes).map_err(Error::io("write", path)))
}

/// Makes `path` hold exactly what `write` writes, or leaves what was there before. If there is no room, `write` is asked once
/// more, to see how much it needs.
pub(crate) fn stream_atomically(path: &Path, write: impl Fn(&mut (dyn Write + Send)) -> Result<()>) -> Result<Written> {
    let temporary = temporary_beside(path);
    let written = write_durably(&temporary, &write).and_then(|written| {
        fs::rename(&temporary, path).map_err(Error::io("write", path))?;
        Ok(written)
    });
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            // Asked before the half-written file goes, which may be what fills the disk.
            let error = at_path(error, path, &write);
            fs::remove_file(&temporary).ok();
            return Err(error);
        }
    };
    failpoint("renamed").map_err(Error::io("write", path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    failpoint("folder-synced").map_err(Error::io("write", path))?;
    Ok(written)
}

fn write_durably(path: &Path, write: impl Fn(&mut (dyn Write + Send)) -> Result<()>) -> Result<Written> {
    let file = File::create(path).map_err(Error::io("write", path))?;
    let mut sink = Sink::to(file);
    let written = write(&mut sink);
    // Whoever wrote may say less of why it could not than the system did.
    if let Some(refused) = sink.refused.take() {
        return Err(Error::io("write", path)(refused));
    }
    written.and_then(|()| sink.finish().map_err(Error::io("write", path)))
}

/// A file that is hashed while it is written.
struct Sink {
    file: File,
    hasher: blake3::Hasher,
    n_bytes: u64,
    /// What is neither hashed nor written yet.
    stretch: Vec<u8>,
    /// The system's answer when it did not take more.
    refused: Option<io::Error>,
}

impl Sink {
    fn to(file: File) -> Self {
        Self { file, hasher: blake3::Hasher::new(), n_bytes: 0, stretch: Vec::with_capacity(STRETCH), refused: None }
    }

    fn finish(mut self) -> io::Result<Written> {
        self.hasher.update(&self.stretch);
        let (half, rest) = self.stretch.split_at(self.stretch.len() / 2);
        self.file.write_all(half)?;
        failpoint("half-written")?;
        self.file.write_all(rest)?;
        failpoint("written")?;
        self.file.sync_all()?;
        failpoint("synced")?;
        Ok(Written { bytes: self.n_bytes + self.stretch.len() as u64, blake3: Digest::of_hash(self.hasher.finalize()) })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stretch.len() == STRETCH {
            self.hasher.update(&self.stretch);
            if let Err(error) = self.file.write_all(&self.stretch) {
                let kind = error.kind();
                self.refused = Some(error);
                return Err(kind.into());
            }
            self.n_bytes += STRETCH as u64;
            self.stretch.clear();
        }
        let n = bytes.len().min(STRETCH - self.stretch.len());
        self.stretch.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is written, and keeps nothing.
#[derive(Default)]
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error of writing the temporary file as one of writing `path`; if it is for want of room, with what was needed and what
/// there is.
fn at_path(error: Error, path: &Path, write: impl Fn(&mut (dyn Write + Send)) -> Result<()>) -> Error {
    let Error::Io { source, .. } = error else { return error };
    let room = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            free.map_or(String::new(), |free| format!(", {free} more were free"))
        }
        ErrorKind::FileTooLarge => ", more than this process may write into one file (ulimit -f)".to_string(),
        _ => return Error::io("write", path)(source),
    };
    let mut needed = Counter::default();
    if let Err(error) = write(&mut needed) {
        return error;
    }
    let needed = needed.0;
    let detail = format!("{source}: {needed} bytes were needed{room}; nothing that was there is lost");
    Error::io("write", path)(io::Error::new(source.kind(), detail))
}

/// Makes renames in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync", folder))
}

/// Puts the folder `new` at `place`. What was at `place` ends up at `new`.
pub(crate) fn swap_into_place(new: &Path, place: &Path) -> Result<()> {
    let exchanged = match rustix::fs::renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::NOENT) => fs::rename(new, place),
        // File systems without exchange (some network ones): two renames, with a moment between
        // them in which the path is empty. A reader then sees "missing", never a mixture.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => two_renames(new, place),
        Err(errno) => Err(errno.into()),
    };
    exchanged.and_then(|()| failpoint("swapped")).map_err(Error::io("move the new artifact to", place))?;
    sync_folder(place.parent().unwrap_or(Path::new(".")))?;
    failpoint("committed").map_err(Error::io("move the new artifact to", place))
}

fn two_renames(new: &Path, place: &Path) -> io::Result<()> {
    let previous = new.with_extension("previous");
    fs::rename(place, &previous)?;
    fs::rename(new, place)?;
    fs::rename(&previous, new)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The process id keeps two writers of one cache file apart; artifacts have a lock besides.
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_replaces_and_keeps_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (new, place) = (dir.path().join("new"), dir.path().join("place"));
        for (rename, name) in [
            (swap_into_place as fn(&Path, &Path) -> Result<()>, "exchange"),
            (|a, b| two_renames(a, b).map_err(Error::io("rename", b)), "two renames"),
        ] {
            fs::create_dir_all(&new).unwrap();
            fs::create_dir_all(&place).unwrap();
            fs::write(new.join("f"), "new").unwrap();
            fs::write(place.join("f"), "old").unwrap();
            rename(&new, &place).unwrap();
            assert_eq!(fs::read_to_string(place.join("f")).unwrap(), "new", "{name}");
            assert_eq!(fs::read_to_string(new.join("f")).unwrap(), "old", "{name}");
        }
    }

    #[test]
    fn what_is_streamed_is_written_counted_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for n_bytes in [0, 1, STRETCH - 1, STRETCH, 3 * STRETCH + 5] {
            let content: Vec<u8> = (0..n_bytes).map(|i| (i * 31 + i / 251) as u8).collect();
            let stream = |sink: &mut (dyn Write + Send)| {
                content.chunks(1000).try_for_each(|chunk| sink.write_all(chunk)).map_err(Error::io("write", &path))
            };
            let written = stream_atomically(&path, stream).unwrap();
            assert_eq!((written.bytes, written.blake3), (n_bytes as u64, Digest::of(&content)));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        let before = fs::read(&path).unwrap();
        let fails = |sink: &mut (dyn Write + Send)| {
            sink.write_all(b"half").map_err(Error::io("write", &path))?;
            Err(Error::Bug("it stops here".into()))
        };
        assert_eq!(stream_atomically(&path, fails).unwrap_err().to_string(), "it stops here");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write_atomically(&path, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
