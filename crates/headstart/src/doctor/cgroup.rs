//! What the control group allows: cores and memory, version 2 and version 1, on whatever the machine mounts.

use std::fs;
use std::path::{Path, PathBuf};

/// The tightest limits on the way from this process's group to the root.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Limits {
    /// Cores, which may be a fraction.
    pub(super) cores: Option<f64>,
    /// Bytes of memory, with what is used of them.
    pub(super) memory: Option<Memory>,
}

/// A limit of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// The limit in bytes.
    pub(super) limit: u64,
    /// Bytes that all of the group use, the kernel's cache of files included.
    pub(super) used: u64,
}

/// A mounted hierarchy of groups.
struct Mount {
    /// The group that the mount point shows.
    root: String,
    point: PathBuf,
    /// Version 2, or the controllers of version 1.
    controllers: Option<Vec<String>>,
}

/// Reads the limits; `root` is `/` but in tests.
pub(super) fn limits(root: &Path) -> Limits {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mounts = mounts(&read("proc/self/mountinfo"));
    let mut limits = Limits::default();
    for line in read("proc/self/cgroup").lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let named: Vec<_> = controllers.split(',').collect();
        let is_of = |mount: &&Mount| match &mount.controllers {
            None => controllers.is_empty(),
            Some(all) => !controllers.is_empty() && named.iter().all(|c| all.iter().any(|a| a == c)),
        };
        let Some(mount) = mounts.iter().find(is_of) else { continue };
        for folder in way_up(root, mount, group) {
            let cores = if mount.controllers.is_none() { cores_v2(&folder) } else { cores_v1(&folder) };
            limits.cores = tighter(limits.cores, cores, |a, b| a < b);
            let memory = if mount.controllers.is_none() {
                memory(&folder, "memory.max", "memory.current")
            } else {
                memory(&folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
            };
            limits.memory = tighter(limits.memory, memory, |a, b| a.limit < b.limit);
        }
    }
    limits
}

fn tighter<T: Copy>(a: Option<T>, b: Option<T>, less: impl Fn(&T, &T) -> bool) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if less(&b, &a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Mounts of groups: `ID PARENT DEV ROOT POINT OPTIONS … - TYPE SOURCE SUPER_OPTIONS`.
fn mounts(mountinfo: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?.to_string(), before.next()?);
        let mut after = after.split(' ');
        let controllers = match after.next()? {
            "cgroup2" => None,
            "cgroup" => Some(after.nth(1)?.split(',').map(str::to_string).collect()),
            _ => return None,
        };
        Some(Mount { root, point: PathBuf::from(point.trim_start_matches('/')), controllers })
    };
    mountinfo.lines().filter_map(mount).collect()
}

/// Folders of the group and of all above it, as far as the mount shows them.
fn way_up(root: &Path, mount: &Mount, group: &str) -> Vec<PathBuf> {
    let point = root.join(&mount.point);
    // In a container the group may be named from outside, while the mount shows only what is below it.
    let below = if mount.root == "/" { Some(group) } else { group.strip_prefix(mount.root.as_str()) };
    let below = Path::new(below.unwrap_or("").trim_start_matches('/'));
    let inner = point.join(below);
    let leaf = if inner.is_dir() { inner } else { point.clone() };
    leaf.ancestors().take_while(|folder| folder.starts_with(&point)).map(Path::to_path_buf).collect()
}

fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `cpu.max`: `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn cores_v2(folder: &Path) -> Option<f64> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?)
}

fn cores_v1(folder: &Path) -> Option<f64> {
    share(number(&folder.join("cpu.cfs_quota_us"))?, number(&folder.join("cpu.cfs_period_us"))?)
}

/// A quota of -1 is none.
fn share(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn memory(folder: &Path, limit: &str, used: &str) -> Option<Memory> {
    /// Version 1 says "no limit" by a number near 2⁶³, rounded down to pages.
    const NO_LIMIT: u64 = 1 << 60;
    let limit = number::<u64>(&folder.join(limit)).filter(|limit| *limit < NO_LIMIT)?;
    Some(Memory { limit, used: number(&folder.join(used)).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn version_2_takes_the_tightest_on_the_way_up() {
        let machine = machine(&[
            ("proc/self/cgroup", "0::/jobs/17\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/jobs/17/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/jobs/17/memory.max", "8000000000\n"),
            ("sys/fs/cgroup/jobs/17/memory.current", "1000\n"),
            ("sys/fs/cgroup/jobs/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/jobs/memory.max", "2000000000\n"),
            ("sys/fs/cgroup/jobs/memory.current", "500000000\n"),
        ]);
        let memory = Some(Memory { limit: 2_000_000_000, used: 500_000_000 });
        assert_eq!(limits(machine.path()), Limits { cores: Some(1.5), memory });
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let machine = machine(&[
            ("proc/self/cgroup", "4:memory:/a/b\n2:cpu,cpuacct:/a\n1:name=systemd:/\n0::/\n"),
            (
                "proc/self/mountinfo",
                "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                 35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n"),
            ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000000000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "10\n"),
        ]);
        let memory = Some(Memory { limit: 1_000_000_000, used: 10 });
        assert_eq!(limits(machine.path()), Limits { cores: Some(4.0), memory });
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let machine = machine(&[
            ("proc/self/cgroup", "0::/docker/abc/inner\n"),
            ("proc/self/mountinfo", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"),
            ("sys/fs/cgroup/cpu.max", "200000 100000\n"),
            ("sys/fs/cgroup/inner/cpu.max", "50000 100000\n"),
        ]);
        assert_eq!(limits(machine.path()).cores, Some(0.5));
    }

    #[test]
    fn no_groups_no_limits() {
        assert_eq!(limits(machine(&[]).path()), Limits::default());
        let unlimited = machine(&[
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
        ]);
        assert_eq!(limits(unlimited.path()), Limits::default());
    }
}
