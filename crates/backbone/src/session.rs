//! Sessions: a graph in memory onto a device.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::device::register_cuda;
use crate::error::chain;
use crate::precision;
use crate::{Device, Error, Provider, Result, Runtime};

/// How sessions are made: the same for all models of a run.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    /// Where to run.
    pub device: Device,
    /// Folder with the CUDA and cuDNN libraries, where they are not on the loader's path.
    pub cuda_libraries: Option<&'a Path>,
    /// Threads within an operator.
    pub threads: usize,
}

impl Placement<'_> {
    /// Loads a model from memory. `external` is the folder of its external data, if it has any.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when CUDA was asked for and is not to be had, [`Error::Model`] when the
    /// runtime refuses the model, [`Error::Int8Saturates`] on a processor that does.
    pub(crate) fn load(&self, runtime: &Runtime, model: &[u8], external: Option<&Path>) -> Result<(Session, Provider)> {
        let on_cuda = |index: u32| -> Result<(Session, Provider), String> {
            let mut builder = self.builder(runtime, external).map_err(|e| chain(&e))?;
            register_cuda(index, runtime, self.cuda_libraries, &mut builder)?;
            let session = builder.commit_from_memory(model).map_err(|e| chain(&e))?;
            Ok((session, Provider::Cuda(index)))
        };
        match self.device {
            Device::Cuda(index) => {
                return on_cuda(index).map_err(|reason| Error::NoDevice { device: format!("cuda:{index}"), reason });
            }
            Device::Auto => match on_cuda(0) {
                Ok(loaded) => return Ok(loaded),
                Err(reason) => tracing::debug!("no CUDA: {reason}"),
            },
            Device::Cpu => {}
        }
        let session = self.builder(runtime, external).and_then(|mut b| b.commit_from_memory(model));
        let session = session.map_err(|e| Error::Model(chain(&e)))?;
        precision::check(&session)?;
        Ok((session, Provider::Cpu))
    }

    /// The chain of builder calls keeps its errors in `ort`'s type: they hold the builder and are not `Send`.
    fn builder(&self, runtime: &Runtime, external: Option<&Path>) -> ort::Result<SessionBuilder> {
        let builder = Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.threads)?;
        match external {
            None => Ok(builder),
            Some(folder) => {
                let folder = folder.to_string_lossy();
                Ok(builder.with_config_entry("session.model_external_initializers_file_folder_path", folder)?)
            }
        }
    }
}
