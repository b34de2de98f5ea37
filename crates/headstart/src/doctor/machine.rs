//! The machine: programs, cores, memory, huge pages, disks, and how hubs are reached.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hub::Environment;

use super::Finding;
use super::cgroup::limits;
use crate::layout::{counted, size};
use crate::programs;

/// Less memory than this is not enough for a usual network and its pictures.
const LITTLE_MEMORY: u64 = 1_000_000_000;

/// Less space than this is soon gone: CIFAR-10's pictures and features take half a gigabyte, a model as much again.
const LITTLE_DISK: u64 = 5_000_000_000;

/// Whether all programs lie beside this one or on the path, in its version.
pub(super) fn programs() -> Vec<Finding> {
    let own = env!("CARGO_PKG_VERSION");
    let mut findings = vec![Finding::ok("headstart", own)];
    let (mut same, mut missing) = (Vec::new(), Vec::new());
    for command in programs::commands().into_iter().skip(1) {
        let name = command.get_name().to_string();
        match find(&name) {
            None => missing.push(name),
            Some(path) => match version(&path) {
                Some(version) if version == own => same.push(name),
                other => {
                    let version = other.unwrap_or("of unknown version".to_string());
                    let found = format!("{name} is {version}, at {}", path.display());
                    findings.push(Finding::warning("programs", found, "build all programs together: just build"));
                }
            },
        }
    }
    if !same.is_empty() {
        findings.push(Finding::ok("programs", format!("{}: {own} too", same.join(", "))));
    }
    if !missing.is_empty() {
        let found = format!("neither beside this program nor on PATH: {}", missing.join(", "));
        findings.push(Finding::warning("programs", found, "build them with `just build`; they are in target/release"));
    }
    findings
}

fn find(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = beside.into_iter().chain(std::env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join(name)).filter(|p| p.is_file()))
}

/// The last word of what `PROGRAM --version` prints.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.split_whitespace().last().map(str::to_string)
}

/// Cores, memory and huge pages.
pub(super) fn findings() -> Vec<Finding> {
    let limits = limits(Path::new("/"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limited =
        limits.cores.map_or("no limit by a cgroup".to_string(), |cores| format!("a cgroup allows {cores:.1}"));
    let mut findings = vec![Finding::ok(
        "cores",
        format!("{}, {limited}", counted(threads as u64, "thread by default", "threads by default")),
    )];

    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (total, available) = (meminfo_bytes(&meminfo, "MemTotal"), meminfo_bytes(&meminfo, "MemAvailable"));
    if let (Some(total), Some(available)) = (total, available) {
        // What the group uses counts the cache of files, which the kernel gives back; so its limit is what matters.
        let allowed = limits.memory.map_or(available, |m| m.limit.min(available));
        let group = limits.memory.map_or("no limit by a cgroup".to_string(), |m| {
            format!("a cgroup allows {} and uses {}", size(m.limit), size(m.used))
        });
        let found = format!("{} of {} available, {group}", size(available), size(total));
        findings.push(if allowed < LITTLE_MEMORY {
            let remedy = "end other programs or ask for more; a smaller --batch needs less";
            Finding::warning("memory", found, remedy)
        } else {
            Finding::ok("memory", found)
        });
    }
    if let Ok(setting) = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled") {
        findings.push(huge_pages(&setting));
    }
    findings
}

/// The setting in brackets: `always [madvise] never`.
fn huge_pages(setting: &str) -> Finding {
    let chosen = setting.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(setting.trim(), |(c, _)| c);
    match chosen {
        "never" => Finding::warning(
            "huge pages",
            "never: generate makes about 13 % fewer tokens a second",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        "madvise" => Finding::ok("huge pages", "madvise: generate asks for them by itself"),
        other => Finding::ok("huge pages", other),
    }
}

fn meminfo_bytes(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Free space where artifacts and downloads go.
pub(super) fn disks(run: &Path) -> Vec<Finding> {
    [("disk of runs", run.to_path_buf()), ("disk of the hub", Environment::read().cache)]
        .into_iter()
        .map(|(about, folder)| disk(about, &folder))
        .collect()
}

fn disk(about: &'static str, folder: &Path) -> Finding {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    // What is not there yet will lie on the disk of the nearest folder that is.
    let there = absolute.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Err(e) => Finding::warning(about, format!("{}: {e}", there.display()), "check the permissions of the folder"),
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let read_only = stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
            let found = format!("{} free at {}", size(free), folder.display());
            match (read_only, free < LITTLE_DISK) {
                (true, _) => {
                    Finding::warning(about, format!("{found}, mounted read-only"), "choose another folder to write to")
                }
                (false, true) => Finding::warning(about, found, "free some, or choose a folder on another disk"),
                (false, false) => Finding::ok(about, found),
            }
        }
    }
}

/// The settings for hubs. Of the token only that there is one.
pub(super) fn hub() -> Vec<Finding> {
    let environment = Environment::read();
    let token = if environment.token.is_some() { "with a token" } else { "without a token" };
    let found = format!("{}, {token}", without_password(&environment.endpoint));
    let certificates = environment.certificates.as_ref();
    let mut findings = vec![match environment.offline {
        true => Finding::ok("hub", format!("offline (HF_HUB_OFFLINE): only what is in the cache; else {found}")),
        false => Finding::ok("hub", found),
    }];
    findings.extend(certificates.filter(|path| !path.is_file()).map(|path| {
        let found = format!("SSL_CERT_FILE is {}, which is not there", path.display());
        Finding::problem("hub", found, "unset it, or give a file of certificates (PEM)")
    }));
    findings
}

/// An address may hold `user:password@`, which is nobody's to read.
fn without_password(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}{}", path.map_or(String::new(), |p| format!("/{p}")))
        }
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(meminfo_bytes(text, "MemTotal"), Some(24_576_000_000));
        assert_eq!(meminfo_bytes(text, "MemAvailable"), Some(20_480_000_000));
        assert_eq!(meminfo_bytes(text, "Mem"), None);
    }

    #[test]
    fn huge_pages_that_are_never_given_are_warned_of() {
        assert_eq!(huge_pages("always madvise [never]\n").verdict, Verdict::Warning);
        assert_eq!(huge_pages("always [madvise] never\n").verdict, Verdict::Ok);
        assert_eq!(huge_pages("[always] madvise never\n").found, "always");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("https://me:secret@hub.example/api"), "https://hub.example/api");
        assert_eq!(without_password("http://127.0.0.1:80"), "http://127.0.0.1:80");
    }
}
