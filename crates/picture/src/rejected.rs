//! Why a picture could not be used: one machine word for counting, one sentence for people.

/// A picture that could not be used.
///
/// The message says what was found; [`reason`](Rejected::reason) is the word that reject tables
/// store and count by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// No file of this name.
    #[error("{detail}")]
    Missing {
        /// The path and what the system says.
        detail: String,
    },
    /// A file that may not be read, or no file: a folder, a pipe, a socket, a device.
    #[error("{detail}")]
    Unreadable {
        /// The path and what the system says.
        detail: String,
    },
    /// Zero bytes.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to no picture format.
    #[error("not a picture: it begins with {found}")]
    NotAPicture {
        /// The first bytes, printable.
        found: String,
    },
    /// The data ends before the picture does.
    #[error("{format} ends too early: {detail}")]
    Truncated {
        /// The format's name.
        format: &'static str,
        /// What was missing.
        detail: String,
    },
    /// The data contradicts itself: a wrong checksum, an impossible code.
    #[error("{format} is damaged: {detail}")]
    Corrupt {
        /// The format's name.
        format: &'static str,
        /// What the decoder found.
        detail: String,
    },
    /// The header states more than the limits allow.
    #[error("{width}×{height} is over the limit of {limit}")]
    TooLarge {
        /// Width that the header states, before orientation.
        width: u32,
        /// Height that the header states, before orientation.
        height: u32,
        /// The limit and its unit.
        limit: String,
    },
    /// More bytes than a decoded picture may have.
    #[error("{bytes} bytes are over the limit of {limit} for one picture")]
    TooManyBytes {
        /// Size of the file.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A real picture of a kind that is not read here.
    #[error("{format} of a kind that is not read: {detail}")]
    Unsupported {
        /// The format's name.
        format: &'static str,
        /// The kind.
        detail: String,
    },
    /// Smaller than the wanted size, and enlarging was not asked for.
    #[error(
        "{width}×{height} is smaller than the wanted {wanted_width}×{wanted_height}: \
         ask for a smaller `--size` or pass `--enlarge`"
    )]
    TooSmall {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
        /// Width asked for.
        wanted_width: u32,
        /// Height asked for.
        wanted_height: u32,
    },
    /// Of another size than the one that all have to have as they are.
    #[error("{height}×{width} (height × width), and the wanted size is {wanted_height}×{wanted_width}")]
    OtherSize {
        /// Height of the picture.
        height: u32,
        /// Width of the picture.
        width: u32,
        /// Height asked for.
        wanted_height: u32,
        /// Width asked for.
        wanted_width: u32,
    },
}

impl Rejected {
    /// The stable machine word: `missing`, `unreadable`, `empty`, `not-a-picture`, `truncated`, `corrupt`,
    /// `too-large`, `unsupported`, `too-small` or `other-size`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Unreadable { .. } => "unreadable",
            Self::Empty => "empty",
            Self::NotAPicture { .. } => "not-a-picture",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
            Self::TooLarge { .. } | Self::TooManyBytes { .. } => "too-large",
            Self::Unsupported { .. } => "unsupported",
            Self::TooSmall { .. } => "too-small",
            Self::OtherSize { .. } => "other-size",
        }
    }
}
