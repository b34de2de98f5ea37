//! Places at which a test can kill the process or make the disk fail, by name. Nothing of it is in the programs: they are
//! built without the feature `failpoints`.
//!
//! `FAILPOINTS='renamed=2*off->return'` in the environment kills at the third passage of `renamed`, as SIGKILL does;
//! `return(28)` lets the operating system's error 28 happen there instead. The grammar is that of the crate `fail`.

use std::io;

/// Every name, in the order in which a build passes them first.
#[cfg(feature = "failpoints")]
pub const FAILPOINTS: [&str; 12] = [
    "begun",
    "half-written",
    "written",
    "synced",
    "renamed",
    "folder-synced",
    "journal-half-written",
    "journal-written",
    "journal-synced",
    "cleaned",
    "swapped",
    "committed",
];

/// Does what the environment says of the place `name`.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(name: &str) -> io::Result<()> {
    static READ: std::sync::Once = std::sync::Once::new();
    // The scenario would be over when dropped.
    READ.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    debug_assert!(FAILPOINTS.contains(&name), "{name} is not listed");
    fail::fail_point!(name, |errno| match errno.and_then(|errno| errno.parse().ok()) {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            unreachable!("SIGKILL ends a process")
        }
    });
    Ok(())
}

#[cfg(not(feature = "failpoints"))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "the other form of it can fail")]
pub(crate) fn failpoint(_name: &str) -> io::Result<()> {
    Ok(())
}
