//! Exit codes: one enum, and the one place that decides which error ends in which code.
//!
//! Schedulers retry 75 and the signals, never 2, 65, 66 or 70.

use crate::signals::Stopped;

/// How a stage program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already up to date.
    Done = 0,
    /// A quality gate such as `--min-accuracy` failed; the artifact is there.
    GateFailed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// The data (or the model's content) cannot be used.
    BadData = 65,
    /// An input is missing or incomplete.
    MissingInput = 66,
    /// A device, the runtime or a model is not to be had.
    Unavailable = 69,
    /// A bug of ours.
    Bug = 70,
    /// The operating system refused: disk full, no permission.
    Io = 74,
    /// Another process holds the lock: try again.
    Busy = 75,
    /// Stopped by SIGINT; run again to go on.
    Interrupted = 130,
    /// Stopped by SIGTERM; run again to go on.
    Terminated = 143,
}

/// An error that knows its exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Exit {
    /// An error of this code with a message.
    pub fn error(self, message: impl std::fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Failure { exit: self, error: anyhow::anyhow!("{message}") })
    }

    /// Gives an error of another library this code: `.map_err(|e| Exit::BadData.wrap(e))`.
    pub fn wrap(self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        anyhow::Error::new(Failure { exit: self, error: error.into() })
    }

    /// The code of an error chain: the first link that knows one.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_link).unwrap_or(Self::Bug)
    }

    fn of_link(link: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(failure) = link.downcast_ref::<Failure>() {
            return Some(failure.exit);
        }
        if let Some(stopped) = link.downcast_ref::<Stopped>() {
            return Some(stopped.exit());
        }
        if let Some(error) = link.downcast_ref::<artifact::Error>() {
            return Some(Self::of_artifact(error));
        }
        if let Some(error) = link.downcast_ref::<hub::Error>() {
            return Some(Self::of_hub(error));
        }
        link.downcast_ref::<std::io::Error>().map(Self::of_io)
    }

    /// A folder that was given where a file is needed is whoever typed it's business, all else the system's.
    fn of_io(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::IsADirectory { Self::Usage } else { Self::Io }
    }

    /// Wrong bytes are bad data; whatever keeps bytes from coming is the hub's absence.
    fn of_hub(error: &hub::Error) -> Self {
        use hub::Error as E;
        match error {
            E::Damaged { .. } => Self::BadData,
            E::Folder { .. } => Self::Usage,
            E::Io { .. } => Self::Io,
            _ => Self::Unavailable,
        }
    }

    fn of_artifact(error: &artifact::Error) -> Self {
        use artifact::Error as E;
        match error {
            E::Missing { .. } | E::Incomplete { .. } => Self::MissingInput,
            E::Damaged { .. } | E::Malformed { .. } | E::NotAFile { .. } => Self::BadData,
            E::WrongKind { .. } | E::Occupied { .. } | E::OtherSettings { .. } => Self::Usage,
            E::Locked { .. } | E::Replaced { .. } => Self::Busy,
            E::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Self::MissingInput,
            E::Io { source, .. } => Self::of_io(source),
            _ => Self::Bug,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.error)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn context_keeps_the_code() {
        let error =
            Err::<(), _>(Exit::BadData.error("label 12 is outside 0..10")).context("cannot read part 3").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::BadData);
        assert_eq!(format!("{error:#}"), "cannot read part 3: label 12 is outside 0..10");
    }

    #[test]
    fn unclassified_is_a_bug_and_io_is_not() {
        assert_eq!(Exit::of(&anyhow::anyhow!("?")), Exit::Bug);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Exit::of(&anyhow::Error::new(full).context("cannot write x")), Exit::Io);
        let folder = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        assert_eq!(Exit::of(&anyhow::Error::new(folder).context("cannot read x")), Exit::Usage);
    }

    #[test]
    fn artifact_errors_have_codes() {
        let missing = artifact::Error::Missing { kind: "examples".into(), path: "x".into(), stage: "data-prep" };
        assert_eq!(Exit::of(&missing.into()), Exit::MissingInput);
        let locked = artifact::Error::Locked { path: "x".into(), holder: "y".into() };
        assert_eq!(Exit::of(&locked.into()), Exit::Busy);
    }
}
