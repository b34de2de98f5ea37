//! SIGINT and SIGTERM: the first asks the stage to stop between batches, a second one ends it at once.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::low_level;

use crate::Exit;

static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// The stage was asked to stop. Finished parts are kept.
#[derive(Debug, thiserror::Error)]
#[error("stopped by {}; run the same command again to go on where it stopped", self.name())]
pub struct Stopped(i32);

impl Stopped {
    fn name(&self) -> &'static str {
        if self.0 == SIGINT { "SIGINT" } else { "SIGTERM" }
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.0 == SIGINT { Exit::Interrupted } else { Exit::Terminated }
    }
}

/// Called by stages between batches: an error once a signal has come.
///
/// # Errors
/// [`Stopped`] after SIGINT or SIGTERM.
pub fn check_stop() -> Result<(), Stopped> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(Stopped(signal)),
    }
}

/// Waits until there is something to read, or nothing more will come: a read itself would not heed a signal.
///
/// # Errors
/// [`Stopped`] after SIGINT or SIGTERM, or what the system says.
pub fn wait_for(input: &impl AsFd) -> anyhow::Result<()> {
    let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    loop {
        check_stop()?;
        match poll(&mut [PollFd::new(input, PollFlags::IN)], Some(&tenth)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        }
    }
}

/// Installs the handlers. Called once, before any work.
pub(crate) fn install() -> std::io::Result<()> {
    // A file that grows beyond `ulimit -f` is then an error of the write, with a message, and not the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let asked = Arc::new(AtomicBool::new(false));
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if asked.swap(true, Ordering::Relaxed) {
                low_level::exit(128 + signal);
            }
            RECEIVED.store(signal, Ordering::Relaxed);
        }
    })?;
    Ok(())
}
