//! One picture's file to its bytes, and which failures to read are the picture's fault.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::{Limits, Rejected};

/// Names that promise a picture. What the content really is shows when it is decoded; of HEIC and
/// AVIF it will be said that they are not read.
const EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "heic", "avif"];

/// Whether a file of this extension, in lower case, is tried as a picture where a folder holds other files too.
#[must_use]
pub fn is_extension(extension: &str) -> bool {
    EXTENSIONS.contains(&extension)
}

/// Why a file gave no bytes.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The picture is at fault: it is not there, closed to us, too large, or no file at all.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Something else is, such as a disk that fails.
    #[error(transparent)]
    Io(io::Error),
}

/// Reads a file, but no more than one picture may have. Pipes, sockets and devices are not opened: a pipe waits for whoever
/// writes into it, and a device may have no end.
///
/// # Errors
/// As [`ReadError`] says.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let found = fs::metadata(path).map_err(|error| failed(path, error))?;
    refuse_special(path, &found)?;
    read_known_file(path, limits)
}

/// As [`read_file`], of what was seen to be no pipe, socket or device: to ask by the path once more takes a tenth of the time of a
/// small picture. If it has become one since, it is opened, but neither waited for nor read.
///
/// # Errors
/// As [`ReadError`] says.
pub fn read_known_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let failed = |error| failed(path, error);
    let mut file = match File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path) {
        Ok(file) => file,
        // A socket, or a file that another program has a lease on; or it cannot be opened at all.
        Err(_) => {
            refuse_special(path, &fs::metadata(path).map_err(failed)?)?;
            File::open(path).map_err(failed)?
        }
    };
    let found = file.metadata().map_err(failed)?;
    refuse_special(path, &found)?;
    limits.check_bytes(found.len())?;
    let content = read_all(&mut file, found.len() as usize, limits.max_alloc_bytes).map_err(failed)?;
    limits.check_bytes(content.len() as u64)?;
    Ok(content)
}

fn failed(path: &Path, error: io::Error) -> ReadError {
    Rejected::unread(path, &error).map_or(ReadError::Io(error), ReadError::Rejected)
}

fn refuse_special(path: &Path, found: &Metadata) -> Result<(), Rejected> {
    special(found.file_type()).map_or(Ok(()), |what| Err(Rejected::not_a_file(path, what)))
}

/// All that is in a file that is said to have `n_bytes`, or one more than `most`: it may have grown, and what the kernel makes up,
/// as in /proc, has no size.
fn read_all(file: &mut File, n_bytes: usize, most: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; n_bytes + 1];
    let n_read = loop {
        match file.read(&mut content) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    content.truncate(n_read);
    // Where there was room for one more, this was the end.
    if n_read != n_bytes || n_bytes == 0 {
        file.take(most.saturating_add(1).saturating_sub(n_read as u64)).read_to_end(&mut content)?;
    }
    Ok(content)
}

/// What is neither a file nor a folder. (A folder can be opened, and says itself that it cannot be read.)
fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_dir() {
        None
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

impl Rejected {
    /// What is at `path` is a pipe, a socket or a device: `what`, with its article.
    #[must_use]
    pub fn not_a_file(path: &Path, what: &str) -> Self {
        Self::Unreadable { detail: format!("cannot read {}: it is {what}, not a file", path.display()) }
    }

    /// What a failure to read `path` says of the picture there: a file that is not there is the picture's fault, a
    /// disk that fails is not (`None`).
    #[must_use]
    pub fn unread(path: &Path, error: &io::Error) -> Option<Self> {
        let detail = format!("cannot read {}: {error}", path.display());
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return Some(Self::Unreadable { detail });
        }
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                Some(Self::Missing { detail })
            }
            ErrorKind::PermissionDenied | ErrorKind::IsADirectory => Some(Self::Unreadable { detail }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(path: &str, limits: &Limits) -> Rejected {
        match read_file(Path::new(path), limits) {
            Err(ReadError::Rejected(rejected)) => rejected,
            Err(error) => panic!("{path}: {error}"),
            Ok(content) => panic!("{path}: {} bytes", content.len()),
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_limit_holds_also_for_what_has_no_size() {
        let limits = Limits { max_alloc_bytes: 16, ..Limits::default() };
        // A file whose size is said to be 0.
        let rejected = rejection("/proc/self/status", &limits);
        assert_eq!(rejected.reason(), "too-large");
        assert_eq!(rejected.to_string(), "17 bytes are over the limit of 16 for one picture");
    }

    #[test]
    fn what_is_not_there_or_no_file_is_the_pictures_fault() {
        let places = [
            ("/absent/x.png", "missing"),
            ("/dev/null/x.png", "missing"),
            ("/", "unreadable"),
            ("/dev/zero", "unreadable"),
        ];
        let limits = Limits { max_alloc_bytes: 1 << 16, ..Limits::default() };
        for (path, reason) in places {
            let rejected = rejection(path, &limits);
            assert_eq!(rejected.reason(), reason);
            assert!(rejected.to_string().starts_with(&format!("cannot read {path}: ")), "{rejected}");
        }
        assert!(rejection("/dev/zero", &limits).to_string().ends_with(": it is a device, not a file"));
    }
}
