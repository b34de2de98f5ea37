//! One writer at a time, by an operating-system lock that dies with its process.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::{Error, Result};

/// Holds the lock of an artifact until dropped. The empty file stays: removing it would let two
/// processes lock two files of the same name.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the artifact at `out`, or says who holds it.
    pub(crate) fn acquire(out: &Path) -> Result<Self> {
        let mut name = OsString::from(".");
        name.push(out.file_name().unwrap_or_default());
        name.push(".lock");
        let path = out.with_file_name(name);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let holder = format!("{} (process {} on {})", program(), std::process::id(), host());
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { path: out.to_path_buf(), holder: holder_of(&path) });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
        }
        // Only a message: a disk too full for it is reported by the first part that is written.
        let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(Self { _file: file })
    }
}

/// The name that whoever holds a lock has written into it. That is done right after locking, so a name that is not there yet
/// is waited for.
fn holder_of(lock: &Path) -> String {
    let read = || fs::read_to_string(lock).ok().filter(|holder| !holder.is_empty());
    let mut looks = (0..20_u64).map(|nth| {
        thread::sleep(Duration::from_millis(nth.min(10)));
        read()
    });
    looks.find_map(|holder| holder).unwrap_or_else(|| "another process".to_string())
}

fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().map_or("headstart".to_string(), |n| n.to_string_lossy().into_owned())
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map_or("this host".to_string(), |h| h.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_yet_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = File::create(dir.path().join(".x.lock")).unwrap();
        held.lock().unwrap();
        let refused = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                held.write_all(b"a program").unwrap();
            });
            Lock::acquire(&dir.path().join("x"))
        });
        assert!(matches!(&refused, Err(Error::Locked { holder, .. }) if holder == "a program"), "{refused:?}");
    }
}
