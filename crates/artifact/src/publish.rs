//! Write aside, sync, rename, sync the folder: the only way in which this crate makes a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use crate::failpoints::failpoint;
use crate::{Error, Result};

/// Makes `path` hold exactly `bytes`, or leaves what was there before.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_beside(path);
    let written = File::create(&temporary).and_then(|mut file| {
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        failpoint("half-written")?;
        file.write_all(rest)?;
        failpoint("written")?;
        file.sync_all()?;
        failpoint("synced")
    });
    if let Err(source) = written.and_then(|()| fs::rename(&temporary, path)) {
        // Asked before the half-written file goes, which may be what fills the disk.
        let source = with_room(source, path, bytes.len() as u64);
        fs::remove_file(&temporary).ok();
        return Err(Error::io("write", path)(source));
    }
    failpoint("renamed").map_err(Error::io("write", path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    failpoint("folder-synced").map_err(Error::io("write", path))
}

/// An error for want of room, with what was needed and what there is.
fn with_room(error: io::Error, path: &Path, needed: u64) -> io::Error {
    let room = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            free.map_or(String::new(), |free| format!(", {free} more were free"))
        }
        ErrorKind::FileTooLarge => ", more than this process may write into one file (ulimit -f)".to_string(),
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {needed} bytes were needed{room}; nothing that was there is lost"))
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
    fn a_failed_write_leaves_the_old_file_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write_atomically(&path, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
