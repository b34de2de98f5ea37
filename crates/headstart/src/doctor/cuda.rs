//! CUDA: a driver, a provider beside the runtime, and the libraries that the provider needs, found by name where the
//! loader looks. Nothing is loaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use backbone::Runtime;

use super::Finding;

/// What to do where libraries are missing.
const GIVE_LIBRARIES: &str = "install CUDA and cuDNN, or give the folder that holds them with --cuda-libs";

/// Families of libraries that a CUDA provider is linked with, as their names begin.
const FAMILIES: [&str; 7] = ["libcublas", "libcublasLt", "libcudart", "libcudnn", "libcufft", "libcurand", "libnvrtc"];

pub(super) fn findings(runtime: Option<&Runtime>, cuda_libs: Option<&Path>) -> Vec<Finding> {
    let driver = driver(Path::new("/"));
    let provider = runtime.and_then(Runtime::cuda_provider);
    let mut findings = Vec::new();
    match (&driver, &provider) {
        (None, None) => findings.push(Finding::ok("CUDA", "no NVIDIA driver and no CUDA provider: networks run on the CPU")),
        (None, Some(_)) => findings.push(Finding::warning(
            "CUDA",
            "a CUDA provider, but no NVIDIA driver: networks run on the CPU",
            "on a machine with an NVIDIA card, install its driver; in a container, start it with its devices (--gpus all)",
        )),
        (Some(version), None) => findings.push(Finding::warning(
            "CUDA",
            format!("NVIDIA driver {version}, but no CUDA provider beside ONNX Runtime: networks run on the CPU"),
            "set ORT_DYLIB_PATH to the library in the package onnxruntime-gpu",
        )),
        (Some(version), Some(provider)) => {
            findings.push(Finding::ok("CUDA", format!("NVIDIA driver {version}, provider {}", provider.display())));
        }
    }
    if let Some(folder) = cuda_libs.filter(|folder| !folder.is_dir()) {
        let found = format!("--cuda-libs {}: not a folder", folder.display());
        findings.push(Finding::problem("CUDA libraries", found, GIVE_LIBRARIES));
    }
    let folders = folders(cuda_libs);
    // A provider says in its own file what it is linked with; without one there is nothing that is needed.
    let Some(provider) = provider else {
        let found = with_prefix(&folders, "libcudart.so.");
        if !found.is_empty() {
            findings.push(Finding::ok("CUDA libraries", format!("libcudart: {}", shown(&found))));
        }
        return findings;
    };
    let needed = fs::read(&provider).map(|bytes| linked(&bytes)).unwrap_or_default();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &needed {
        match folders.iter().map(|f| f.join(name)).find(|p| p.is_file()) {
            Some(path) => found.push(path),
            None => missing.push(name.clone()),
        }
    }
    if missing.is_empty() {
        findings.push(Finding::ok("CUDA libraries", shown(&found)));
    } else {
        let places = if found.is_empty() { String::new() } else { format!("; found {}", shown(&found)) };
        let text = format!("not found: {}{places}", missing.join(", "));
        findings.push(match driver {
            Some(_) => Finding::problem("CUDA libraries", text, GIVE_LIBRARIES),
            None => Finding::warning("CUDA libraries", text, GIVE_LIBRARIES),
        });
    }
    findings
}

/// The version of the NVIDIA driver, or that its device is there; nothing without either.
fn driver(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("proc/driver/nvidia/version")).ok();
    // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
    let version = text.as_deref().and_then(|text| {
        let mut words = text.lines().next()?.split_whitespace();
        words.find(|w| w.contains('.') && w.chars().all(|c| c.is_ascii_digit() || c == '.')).map(str::to_string)
    });
    let is_there = root.join("dev/nvidia0").exists();
    match (version, is_there) {
        (Some(version), true) => Some(version),
        (Some(version), false) => Some(format!("{version} (no /dev/nvidia0)")),
        (None, true) => Some("of unknown version (/dev/nvidia0 is there)".to_string()),
        (None, false) => text.map(|_| "of unknown version".to_string()),
    }
}

/// Where the loader looks, in its order: the folder given, LD_LIBRARY_PATH, ld.so.conf, the system's own.
fn folders(cuda_libs: Option<&Path>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = cuda_libs.map(Path::to_path_buf).into_iter().collect();
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        folders.extend(std::env::split_paths(&path).filter(|p| !p.as_os_str().is_empty()));
    }
    folders.extend(configured(&Path::new("/etc").join("ld.so.conf"), 0));
    let system =
        ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    folders.extend(system.into_iter().chain(["/lib64", "/usr/lib64", "/lib", "/usr/lib"]).map(PathBuf::from));
    folders
}

/// Folders in a configuration file of the loader and in those that it includes (`include DIR/*.conf`).
fn configured(file: &Path, depth: usize) -> Vec<PathBuf> {
    /// Files that include each other would go on for ever.
    const DEEPEST: usize = 4;
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut folders = Vec::new();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match line.strip_prefix("include ").map(|pattern| Path::new(pattern.trim())) {
            Some(pattern) if depth < DEEPEST => {
                let folder = file.parent().unwrap_or(Path::new("/")).join(pattern.parent().unwrap_or(Path::new("")));
                let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
                let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|x| x == "conf")).collect();
                files.sort();
                folders.extend(files.iter().flat_map(|file| configured(file, depth + 1)));
            }
            None if line.starts_with('/') => folders.push(PathBuf::from(line)),
            _ => {}
        }
    }
    folders
}

/// Names such as `libcudart.so.12` in the bytes of a library.
fn linked(library: &[u8]) -> BTreeSet<String> {
    let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || b"._-+".contains(b);
    let words =
        library.split(|b| !is_of_name(b)).filter(|word| word.starts_with(b"libcu") || word.starts_with(b"libnvrtc"));
    let names = words.filter_map(|word| std::str::from_utf8(word).ok()).filter(|name| {
        let version =
            name.split_once(".so.").filter(|(family, _)| FAMILIES.contains(family)).map(|(_, version)| version);
        version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    });
    names.map(str::to_string).collect()
}

fn with_prefix(folders: &[PathBuf], prefix: &str) -> Vec<PathBuf> {
    let entries = folders.iter().flat_map(|f| fs::read_dir(f).into_iter().flatten().flatten().map(|e| e.path()));
    let is_named = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix));
    entries.filter(is_named).collect()
}

/// Names by the folder that they are in.
fn shown(paths: &[PathBuf]) -> String {
    let mut by_folder: Vec<(&Path, Vec<String>)> = Vec::new();
    for path in paths {
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        let name = name.to_string_lossy().into_owned();
        match by_folder.iter_mut().find(|(f, _)| *f == folder) {
            Some((_, names)) if !names.contains(&name) => names.push(name),
            Some(_) => {}
            None => by_folder.push((folder, vec![name])),
        }
    }
    let each = by_folder.iter().map(|(folder, names)| format!("{} in {}", names.join(", "), folder.display()));
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_needs_stands_in_its_bytes() {
        let bytes = b"\0libcudart.so.12\0libcublas.so.12\0libcudnn.so.9\0libcuda_fake.so.1\0libcudart.so\0libc.so.6\0";
        let names: Vec<_> = linked(bytes).into_iter().collect();
        assert_eq!(names, ["libcublas.so.12", "libcudart.so.12", "libcudnn.so.9"]);
    }

    #[test]
    fn the_loaders_configuration_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        fs::write(dir.path().join("ld.so.conf"), "include conf.d/*.conf\n/last # here\n").unwrap();
        fs::write(dir.path().join("conf.d/b.conf"), "/b\n").unwrap();
        fs::write(dir.path().join("conf.d/a.conf"), "# none\n/a\n").unwrap();
        fs::write(dir.path().join("conf.d/c.txt"), "/c\n").unwrap();
        let found = configured(&dir.path().join("ld.so.conf"), 0);
        assert_eq!(found, ["/a", "/b", "/last"].map(PathBuf::from));
    }

    #[test]
    fn the_drivers_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(driver(dir.path()), None);
        fs::create_dir_all(dir.path().join("proc/driver/nvidia")).unwrap();
        fs::create_dir_all(dir.path().join("dev")).unwrap();
        let text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version: 12.2.0\n";
        fs::write(dir.path().join("proc/driver/nvidia/version"), text).unwrap();
        assert_eq!(driver(dir.path()).as_deref(), Some("550.54.15 (no /dev/nvidia0)"));
        fs::write(dir.path().join("dev/nvidia0"), "").unwrap();
        assert_eq!(driver(dir.path()).as_deref(), Some("550.54.15"));
    }
}
