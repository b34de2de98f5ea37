//! Where the ONNX Runtime library may be, and which file there it is.

use std::path::{Path, PathBuf};

/// Everything that is tried, in order. If `ORT_DYLIB_PATH` is set, nothing else is: somebody who
/// names a library wants that one or an error.
pub(crate) fn candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|p| !p.is_empty()) {
        let path = PathBuf::from(path);
        return vec![if path.is_dir() { in_folder(&path) } else { path }];
    }
    folders().iter().map(|folder| in_folder(folder)).collect()
}

/// The library that will be loaded, if there is one.
pub(crate) fn first() -> Option<PathBuf> {
    candidates().into_iter().find(|p| p.is_file())
}

/// File name of the CUDA provider, which exists for Linux only.
pub(crate) const CUDA_PROVIDER: &str = "libonnxruntime_providers_cuda.so";

/// Whether the CUDA provider lies beside the library, where the runtime looks for it.
pub(crate) fn has_cuda_provider() -> bool {
    first().is_some_and(|library| library.with_file_name(CUDA_PROVIDER).is_file())
}

fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf)) {
        folders.push(folder.join("lib"));
        folders.push(folder);
    }
    // The checkout that this program was built in; `just setup` puts the library there.
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/lib"));
    for prefix in ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(std::env::var_os) {
        let lib = Path::new(&prefix).join("lib");
        let pythons = std::fs::read_dir(&lib).into_iter().flatten().flatten().map(|e| e.path());
        let mut pythons: Vec<_> =
            pythons.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python3"))).collect();
        pythons.sort();
        folders.extend(pythons.iter().map(|p| p.join("site-packages/onnxruntime/capi")));
    }
    folders
}

/// The library in a folder: the plain name, or the one with a version behind it as in the wheel.
fn in_folder(folder: &Path) -> PathBuf {
    let plain = folder.join(format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
    if plain.exists() {
        return plain;
    }
    let is_library = |name: &str| {
        name.starts_with("libonnxruntime.so.") || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let mut found: Vec<_> =
        entries.filter(|p| p.file_name().is_some_and(|n| is_library(&n.to_string_lossy()))).collect();
    found.sort();
    found.pop().unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheels_file_name_is_found_and_providers_are_not_taken_for_it() {
        let dir = std::env::temp_dir().join(format!("headstart-library-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("libonnxruntime_providers_shared.so"), "").unwrap();
        assert!(!in_folder(&dir).exists());
        std::fs::write(dir.join("libonnxruntime.so.1.31.1"), "").unwrap();
        assert_eq!(in_folder(&dir), dir.join("libonnxruntime.so.1.31.1"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
