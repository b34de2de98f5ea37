//! The loaded ONNX Runtime library: one a process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::ExecutionProvider;
use ort::logging::LogLevel;

use crate::error::chain;
use crate::library::{CUDA_PROVIDER, candidates, first, has_cuda_provider};
use crate::{Error, Result};

/// The loaded library and its environment, of which a process can ever have one.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) environment: Environment,
    library: PathBuf,
}

/// The one environment. Kept for good: the runtime does not allow a second one even after a drop.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library from the first place that has one.
    ///
    /// # Errors
    /// [`Error::NoRuntime`] with every place that was tried, when there is none or it is too old.
    pub fn load() -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let tried = candidates().iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        let Some(library) = first() else {
            return Err(Error::NoRuntime { found: "was not found".into(), tried });
        };
        let refuse = |e: &dyn std::error::Error| Error::NoRuntime {
            found: format!("at {} cannot be used: {}", library.display(), chain(e)),
            tried: tried.clone(),
        };
        // The call below comes too late for the first report of the builds that make one.
        if std::env::var_os("ORT_DISABLE_TELEMETRY").is_none_or(|value| value.is_empty()) {
            tracing::warn!("ONNX Runtime may tell its makers that it was started; ORT_DISABLE_TELEMETRY=1 forbids it");
        }
        // `init_from` and not `init`: the latter panics on a library that does not load.
        let builder = ort::init_from(&library).map_err(|e| refuse(&e))?;
        let environment = builder
            .with_name("headstart")
            .with_telemetry(false)
            .with_logger(logger())
            .build()
            .map_err(|e| refuse(&e))?;
        let runtime = Self { environment, library };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The file that was loaded.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The version that the library was built as, such as `1.24.0`; nothing where the file does not say.
    ///
    /// `ort` knows it and keeps it to itself, but on Linux all symbols of the library carry it.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let marked = std::fs::read(&self.library).ok().and_then(|bytes| symbol_version(&bytes));
        let name = self.library.file_name()?.to_string_lossy().into_owned();
        marked.or_else(|| name.split_once(".so.").map(|(_, version)| version.to_string()))
    }

    /// How the library was built, in its own words: commit, build type.
    #[must_use]
    pub fn build(&self) -> &'static str {
        ort::info()
    }

    /// The providers that headstart uses and this library was built with; whether CUDA's can be loaded shows in use.
    #[must_use]
    pub fn providers(&self) -> Vec<&'static str> {
        let cuda = ort::ep::CUDA::is_available().unwrap_or(false).then_some("cuda");
        std::iter::once("cpu").chain(cuda).collect()
    }

    /// The file of the CUDA provider, if it lies beside the library, where the runtime looks for it.
    #[must_use]
    pub fn cuda_provider(&self) -> Option<PathBuf> {
        has_cuda_provider().then(|| self.library.with_file_name(CUDA_PROVIDER))
    }
}

/// Behind `VERS_`, which is how the runtime's linker script names the version of its symbols.
fn symbol_version(library: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"VERS_";
    library.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK).find_map(|(at, _)| {
        let digits = library[at + MARK.len()..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.');
        let version = String::from_utf8(digits.copied().collect()).ok()?;
        version.contains('.').then_some(version)
    })
}

/// The runtime's own messages, one level down: its warnings are about its optimiser.
fn logger() -> ort::logging::LoggerFunction {
    Arc::new(|level, category, _id, location, message| match level {
        LogLevel::Fatal | LogLevel::Error => tracing::debug!("onnxruntime {category} {location}: {message}"),
        _ => tracing::trace!("onnxruntime {category} {location}: {message}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_symbols() {
        assert_eq!(symbol_version(b"\0libm.so\0VERS_x\0VERS_1.31.1\0rest"), Some("1.31.1".to_string()));
        assert_eq!(symbol_version(b"\0VERS_1\0no version"), None);
        assert_eq!(symbol_version(b"VERS_"), None);
    }
}
