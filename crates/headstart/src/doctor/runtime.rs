//! ONNX Runtime: where it was found, its version and providers, or what was tried.

use backbone::{Error, Runtime};

use super::Finding;

/// The findings, and the runtime if it could be loaded.
pub(super) fn findings() -> (Vec<Finding>, Option<Runtime>) {
    match Runtime::load() {
        Ok(runtime) => {
            let version = runtime.version().unwrap_or("of unknown version".to_string());
            let library = runtime.library();
            // Found by way of the folder of sources it may have dots in it.
            let library = library.canonicalize().unwrap_or(library.to_path_buf());
            let findings = vec![
                Finding::ok("ONNX Runtime", format!("{version}, {}", library.display())),
                Finding::ok("providers", runtime.providers().join(", ")),
            ];
            (findings, Some(runtime))
        }
        Err(error) => {
            let found = match error {
                Error::NoRuntime { found, tried } => format!("{found}; looked in {tried}"),
                other => other.to_string(),
            };
            let remedy = "run `just setup` in the repository, or set ORT_DYLIB_PATH to a libonnxruntime of version 1.24 or newer";
            (vec![Finding::problem("ONNX Runtime", found, remedy)], None)
        }
    }
}
