//! What libraries take from the environment when a program starts, too early for it to say so itself: the program starts
//! anew, with its environment completed.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

const TUNABLES: &str = "GLIBC_TUNABLES";
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1";
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";
/// Which process has restarted itself.
const RESTARTED: &str = "HEADSTART_RESTARTED";

/// Something that a program wants from its start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromStart {
    /// Memory in pages of 2 MiB, for programs that read the same gigabytes again and again.
    ///
    /// A language model's step reads every weight once. In pages of 4 KiB much of that time goes into finding the pages:
    /// GPT-2 124M gave 15 % more tokens a second with pages of 2 MiB. A head's training reads features in random order, and
    /// was 15 % faster too. The kernel hands those out where a program asks (`madvise`), and glibc asks for all of its memory
    /// if a variable says so.
    HugePages,
    /// An ONNX Runtime that tells nobody of its use.
    ///
    /// From version 1.29 on the builds for Linux that Microsoft hands out report the start of a process, and keep an identifier
    /// of the machine in the cache folder, unless this variable is set. To turn telemetry off by a call comes too late for both.
    NoTelemetry,
}

impl FromStart {
    /// The variable that is missing for it; nothing where it is there, or is of no use. Whoever has set it to a value is not
    /// overruled.
    fn missing(self) -> Option<(&'static str, String)> {
        match self {
            Self::NoTelemetry => {
                let is_set = std::env::var_os(NO_TELEMETRY).is_some_and(|value| !value.is_empty());
                (!is_set).then(|| (NO_TELEMETRY, "1".to_string()))
            }
            Self::HugePages => {
                let hands_out = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
                let before = std::env::var(TUNABLES).unwrap_or_default();
                let is_wanted = cfg!(target_env = "gnu")
                    && !before.contains("glibc.malloc.hugetlb")
                    && hands_out.is_ok_and(|s| s.contains("[madvise]"));
                is_wanted.then(|| {
                    let separator = if before.is_empty() { "" } else { ":" };
                    (TUNABLES, format!("{before}{separator}{HUGE_PAGES}"))
                })
            }
        }
    }
}

/// Starts this program anew, in its own place, with whatever of `wanted` is missing; returns where nothing is, or it cannot be
/// done. To be called first, before anything is opened.
pub fn restart_with(wanted: &[FromStart]) {
    // The process keeps its number. The variables themselves do not tell: the loader takes some away from a program with
    // another owner's rights.
    let this = std::process::id().to_string();
    let is_second_start = std::env::var_os(RESTARTED).is_some_and(|process| *process == *this);
    let missing: Vec<_> = wanted.iter().filter_map(|wanted| wanted.missing()).collect();
    if is_second_start || missing.is_empty() {
        return;
    }
    if let Some(program) = startable() {
        let mut arguments = std::env::args_os();
        let mut command = Command::new(&program);
        command.arg0(arguments.next().as_deref().unwrap_or(program.as_os_str()));
        // Comes back only if it failed, and then the program runs as it is.
        let _ = command.args(arguments).envs(missing).env(RESTARTED, this).exec();
    }
}

/// This program's file, if it can be started by its name. It cannot where it was removed, and where it was started by the
/// dynamic loader, which then counts as the program. Found out before: a start that fails leaves signals changed.
fn startable() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let is_loader = program.file_name().is_none_or(|name| name.to_string_lossy().contains(".so"));
    let can_start = rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_ok();
    (can_start && !is_loader).then_some(program)
}
