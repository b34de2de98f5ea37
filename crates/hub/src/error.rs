//! Why a file of a hub is not to be had.

use std::path::{Path, PathBuf};

use crate::Reference;

/// What went wrong, with the address or path and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answers.
    #[error(
        "cannot reach {url}: {reason}; the address of the hub is HF_ENDPOINT, of a proxy HTTPS_PROXY, certificates of one's own SSL_CERT_FILE"
    )]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the system says.
        reason: String,
    },
    /// 401 or 403.
    #[error("{url}: the hub refuses it with {status}{said}; {}", remedy(*has_token))]
    Refused {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What the hub says about it.
        said: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// 404.
    #[error(
        "{url}: the hub has no such file, revision or repository ({status}{said}); look at its page for the spelling"
    )]
    NotFound {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What the hub says about it.
        said: String,
    },
    /// Any other status.
    #[error("{url}: the hub answers {status}{said}; try again later")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What the hub says about it.
        said: String,
    },
    /// An answer that no hub gives.
    #[error("{url}: {reason}; is HF_ENDPOINT the address of a hub?")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The transfer ended early, several times.
    #[error("{url}: the transfer ended early: expected {} bytes, found {found}{reason}; what came is kept, run again to go on", expected.map_or("more".into(), |n| n.to_string()))]
    Truncated {
        /// What was asked for.
        url: String,
        /// Bytes that were announced.
        expected: Option<u64>,
        /// Bytes that are here.
        found: u64,
        /// What the system says.
        reason: String,
    },
    /// The content is not what the hub says it is.
    #[error("{url}: wrong content: expected {expected}, found {found}; it was removed from {}: run again to fetch it anew, and if this repeats, something between here and the hub changes files", path.display())]
    Damaged {
        /// Where it came from.
        url: String,
        /// Its digest on the hub.
        expected: String,
        /// Its digest here.
        found: String,
        /// Where it was.
        path: PathBuf,
    },
    /// What the cache has is not what the hub said it is, and it may not be fetched again now.
    #[error("{reference}: the cache has wrong content at {}: expected {expected}, found {found}; it is left as it is, and fetched again by the next run that may ask the hub", path.display())]
    DamagedHere {
        /// What was asked for.
        reference: Box<Reference>,
        /// Its digest on the hub.
        expected: String,
        /// Its digest here.
        found: String,
        /// Where it is.
        path: PathBuf,
    },
    /// The hub has the repository, and not this in it.
    #[error("{reference}: there is no such file or folder in the repository{}", hint(near))]
    NoSuch {
        /// What was asked for.
        reference: Reference,
        /// What there is instead.
        near: Vec<String>,
    },
    /// A folder where a file is needed.
    #[error("{reference} is a folder, and a file is needed{}", hint(near))]
    Folder {
        /// What was asked for.
        reference: Reference,
        /// Files in it.
        near: Vec<String>,
    },
    /// HF_HUB_OFFLINE is set and the cache lacks a file.
    #[error("{reference} is not in the cache {}, and HF_HUB_OFFLINE forbids asking the hub", cache.display())]
    Offline {
        /// What was asked for.
        reference: Reference,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// Nothing may be downloaded and the cache lacks a file.
    #[error("{reference} is not in the cache {}, and nothing is downloaded now", cache.display())]
    NotFetched {
        /// What was asked for.
        reference: Reference,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// Without the hub nobody knows whether a folder is whole.
    #[error(
        "{reference}: the cache has files of this folder, and without the hub nothing says whether it has all of them; name the files one by one"
    )]
    Unlisted {
        /// What was asked for.
        reference: Reference,
    },
    /// The operating system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The listener asked to stop.
    #[error("stopped; what came is kept, run again to go on")]
    Stopped,
}

fn remedy(has_token: bool) -> &'static str {
    if has_token {
        "the token that was sent (HF_TOKEN or the token file) may not see it: ask for access on the repository's page, or check the spelling"
    } else {
        "it may be private, gated or misspelt: set HF_TOKEN to a token that may see it"
    }
}

fn hint(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; there is {}", near.join(", ")) }
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Truncated { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}
