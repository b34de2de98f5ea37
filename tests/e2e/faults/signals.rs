//! SIGTERM and SIGINT all along a run: it ends soon, with the right code, and goes on to the same bytes.

use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::jobs::{JOBS, bytes, inputs};

const STEP: Duration = Duration::from_millis(50);

#[test]
fn fault_03_sigterm_every_50_ms_along_a_run_ends_it_and_it_goes_on() {
    let dir = inputs();
    for job in JOBS {
        let expected = bytes(&dir.path("r").join(job.makes));
        for (signal, code, number) in [(Signal::TERM, 143, 15), (Signal::INT, 130, 2)] {
            for step in 0.. {
                let out = format!("{}-{code}-{step}", job.makes);
                let mut child = job.to(&dir, &out).spawn();
                sleep(STEP * step);
                let is_over = child.try_wait().unwrap().is_some();
                if !is_over {
                    kill_process(Pid::from_child(&child), signal).unwrap();
                }
                let sent = Instant::now();
                let status = child.wait().unwrap();
                assert!(sent.elapsed() < Duration::from_secs(10), "{}: {:?}", job.makes, sent.elapsed());
                // Before the program has set its handler, the signal itself ends it, which a shell shows as the same code.
                let is_stopped = status.code() == Some(code) || status.signal() == Some(number);
                assert!(is_stopped || status.success(), "{} after {step} steps: {status}", job.makes);
                job.to(&dir, &out).code(0);
                assert_eq!(bytes(&dir.path(&out)), expected, "{} after {step} steps", job.makes);
                if is_over {
                    assert!(step > 0, "no signal met a running program");
                    break;
                }
            }
        }
    }
}
