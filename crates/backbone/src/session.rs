//! Sessions: a graph in memory onto a device.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::device::register_cuda;
use crate::error::chain;
use crate::{Device, Error, Provider, Result, Runtime};
use crate::{convolve, precision, probe};

/// How sessions are made: the same for all models of a run.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    /// Where to run.
    pub device: Device,
    /// Folder with the CUDA and cuDNN libraries, where they are not on the loader's path.
    pub cuda_libraries: Option<&'a Path>,
    /// Threads within an operator.
    pub threads: usize,
    /// What puts the convolutions of `convolution` into a graph, on the CPU; with none the runtime's own are used.
    pub rewrite: Option<Rewrite>,
}

/// Takes a graph as the runtime optimised it, and how many channels stand in one of its blocks; gives it with `headstart.Conv` for
/// convolutions of the runtime, or nothing where it has none.
pub type Rewrite = fn(Vec<u8>, usize) -> Option<Vec<u8>>;

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
        let session = match self.rewrite {
            Some(rewrite) if external.is_none() => self.rewritten(runtime, model, rewrite),
            _ => self.builder(runtime, external).and_then(|mut builder| builder.commit_from_memory(model)),
        };
        let session = session.map_err(|e| Error::Model(chain(&e)))?;
        precision::check(&session)?;
        Ok((session, Provider::Cpu))
    }

    /// A session with convolutions of ours, or the runtime's where that cannot be had.
    fn rewritten(&self, runtime: &Runtime, model: &[u8], rewrite: Rewrite) -> ort::Result<Session> {
        let plain = |e: &dyn std::fmt::Display| {
            tracing::debug!("the runtime's own convolutions are used: {e}");
            self.builder(runtime, None)?.commit_from_memory(model)
        };
        let folder = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(e) => return plain(&e),
        };
        let path = folder.path().join("optimised.onnx");
        let saved = self.builder(runtime, None).and_then(|b| Ok(b.with_optimized_model_path(&path)?));
        let mut session = match saved.and_then(|mut builder| builder.commit_from_memory(model)) {
            Ok(session) => session,
            Err(e) => return plain(&e),
        };
        let graph = std::fs::read(&path).ok().and_then(|graph| rewrite(graph, convolution::lanes()));
        drop(folder);
        let Some(graph) = graph else { return Ok(session) };
        let ours = self.builder(runtime, None).and_then(|builder| {
            let builder = builder.with_optimization_level(GraphOptimizationLevel::Disable)?;
            builder.with_operators(convolve::domain(self.threads)?)?.commit_from_memory(&graph)
        });
        match ours.and_then(|mut ours| Ok(probe::agree(&mut session, &mut ours)?.then_some(ours))) {
            Ok(Some(ours)) => return Ok(ours),
            Ok(None) => tracing::warn!("this processor's convolutions are not as expected; the runtime's own are used"),
            Err(e) => tracing::debug!("the runtime's own convolutions are used: {e}"),
        }
        Ok(session)
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
