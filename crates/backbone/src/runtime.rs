//! The loaded ONNX Runtime library: one a process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::error::chain;
use crate::library::{candidates, first};
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
}

/// The runtime's own messages, one level down: its warnings are about its optimiser.
fn logger() -> ort::logging::LoggerFunction {
    Arc::new(|level, category, _id, location, message| match level {
        LogLevel::Fatal | LogLevel::Error => tracing::debug!("onnxruntime {category} {location}: {message}"),
        _ => tracing::trace!("onnxruntime {category} {location}: {message}"),
    })
}
