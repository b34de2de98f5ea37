//! One picture's file to its bytes, and which failures to read are the picture's fault.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

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
    /// The picture is at fault: it is not there, closed to us, or too large.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Something else is, such as a disk that fails.
    #[error(transparent)]
    Io(io::Error),
}

/// Reads a file, but no more than one picture may have.
///
/// # Errors
/// As [`ReadError`] says.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let read = || {
        let mut content = Vec::new();
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        if bytes <= limits.max_alloc_bytes {
            content.reserve_exact(bytes as usize);
            // What has no size, such as a device, may have no end either.
            file.take(limits.max_alloc_bytes.saturating_add(1)).read_to_end(&mut content)?;
        }
        Ok((bytes.max(content.len() as u64), content))
    };
    match read() {
        Ok((bytes, content)) => {
            limits.check_bytes(bytes)?;
            Ok(content)
        }
        Err(error) => Err(Rejected::unread(path, &error).map_or(ReadError::Io(error), ReadError::Rejected)),
    }
}

impl Rejected {
    /// What a failure to read `path` says of the picture there: a file that is not there is the picture's fault, a
    /// disk that fails is not (`None`).
    #[must_use]
    pub fn unread(path: &Path, error: &io::Error) -> Option<Self> {
        let detail = format!("cannot read {}: {error}", path.display());
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

    #[test]
    fn the_limit_holds_also_for_what_has_no_size() {
        let limits = Limits { max_alloc_bytes: 1 << 16, ..Limits::default() };
        let error = read_file(Path::new("/dev/zero"), &limits).unwrap_err();
        let ReadError::Rejected(rejected) = error else { panic!("{error}") };
        assert_eq!(rejected.reason(), "too-large");
        assert_eq!(rejected.to_string(), "65537 bytes are over the limit of 65536 for one picture");
    }

    #[test]
    fn what_is_not_there_is_the_pictures_fault() {
        for (path, reason) in [("/absent/x.png", "missing"), ("/dev/null/x.png", "missing"), ("/", "unreadable")] {
            let error = read_file(Path::new(path), &Limits::default()).unwrap_err();
            let ReadError::Rejected(rejected) = error else { panic!("{path}: {error}") };
            assert_eq!(rejected.reason(), reason);
            assert!(rejected.to_string().starts_with(&format!("cannot read {path}: ")), "{rejected}");
        }
    }
}
