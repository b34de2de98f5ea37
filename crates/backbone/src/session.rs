//! Sessions: a graph in memory onto a device.

use std::fs::File;
use std::io::Read;
use std::mem;
use std::os::fd::AsRawFd;
use std::path::Path;

use ndarray::ArrayD;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::device::register_cuda;
use crate::error::chain;
use crate::{Device, Error, Provider, Result, Runtime, convolve, precision, probe};

/// How sessions are made: the same for all models of a run.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    /// Where to run.
    pub device: Device,
    /// Folder with the CUDA and cuDNN libraries, where they are not on the loader's path.
    pub cuda_libraries: Option<&'a Path>,
    /// Threads within an operator.
    pub threads: usize,
    /// What puts operators of `convolution` into a graph, on the CPU, the best first; with none the runtime's own are used.
    pub rewrites: &'a [Rewrite],
}

/// What puts operators of headstart's (`headstart.Conv`, `headstart.QLinearConv` and others) into a graph in place of some of the
/// runtime's.
#[derive(Debug, Clone, Copy)]
pub struct Rewrite {
    /// Takes a graph as the runtime optimised it, and how many channels stand in one of its blocks; gives the other, or nothing where
    /// it has nothing to replace.
    pub apply: fn(Vec<u8>, usize) -> Option<Vec<u8>>,
    /// Whether outputs have to stay the same bit for bit, and not only but for rounding.
    pub is_exact: bool,
}

impl Placement<'_> {
    /// Loads a model from memory. `external` is the folder of its external data, if it has any.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when CUDA was asked for and is not to be had, [`Error::Model`] when the
    /// runtime refuses the model, [`Error::NotSaved`] without memory for convolutions of ours, [`Error::Int8Saturates`] on a
    /// processor that does.
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
        let session = match block() {
            Some(block) if external.is_none() && !self.rewrites.is_empty() => self.rewritten(runtime, model, block)?,
            _ => self.plain(runtime, model, external)?,
        };
        precision::check(&session)?;
        Ok((session, Provider::Cpu))
    }

    /// A session with operators of ours, or with the runtime's where there are none to replace or where the two do not agree.
    fn rewritten(&self, runtime: &Runtime, model: &[u8], block: usize) -> Result<Session> {
        let (mut session, mut optimised) = match self.optimised(runtime, model) {
            Ok(optimised) => optimised,
            Err(e) => {
                let plain = self.plain(runtime, model, None);
                // Where it is the model's fault, that says so. Else it is this machine's today, which no result may depend on.
                let is_exact = self.rewrites.iter().all(|rewrite| rewrite.is_exact);
                return if is_exact { plain } else { plain.and(Err(Error::NotSaved(chain(&e)))) };
            }
        };
        let last = self.rewrites.len() - 1;
        let graphs = self.rewrites.iter().enumerate().filter_map(|(nth, rewrite)| {
            // It holds all weights, so the last one gets it.
            let optimised = if nth == last { mem::take(&mut optimised) } else { optimised.clone() };
            Some((rewrite, (rewrite.apply)(optimised, block)?))
        });
        let mut graphs = graphs.peekable();
        if graphs.peek().is_none() {
            return Ok(session);
        }
        let said = probe::outputs(&mut session);
        // One after the other: each holds all weights.
        drop(session);
        for (rewrite, graph) in graphs {
            let agreeing = said.as_ref().map_err(ToString::to_string);
            match agreeing
                .and_then(|said| self.agreeing(runtime, said, &graph, rewrite.is_exact).map_err(|e| chain(&e)))
            {
                Ok(Some(ours)) => {
                    tracing::debug!("operators of headstart's run in place of some of the runtime's");
                    return Ok(ours);
                }
                Ok(None) => tracing::warn!("some operators are left to the runtime: its results are others"),
                Err(e) => tracing::warn!("some operators are left to the runtime: {e}"),
            }
        }
        self.plain(runtime, model, None)
    }

    /// A session with operators of the runtime alone.
    fn plain(&self, runtime: &Runtime, model: &[u8], external: Option<&Path>) -> Result<Session> {
        let session = self.builder(runtime, external).and_then(|mut builder| builder.commit_from_memory(model));
        session.map_err(|e| Error::Model(chain(&e)))
    }

    /// A session of a graph that is optimised already, with operators of ours, if it says of a picture what `expected` says.
    fn agreeing(
        &self,
        runtime: &Runtime,
        expected: &[ArrayD<f32>],
        graph: &[u8],
        is_exact: bool,
    ) -> ort::Result<Option<Session>> {
        let builder = self.builder(runtime, None)?.with_optimization_level(GraphOptimizationLevel::Disable)?;
        let mut ours = builder.with_operators(convolve::domain(self.threads)?)?.commit_from_memory(graph)?;
        let found = probe::outputs(&mut ours)?;
        let agree = if is_exact { probe::are_same(expected, &found) } else { probe::are_near(expected, &found) };
        Ok(agree.then_some(ours))
    }

    /// A session, and its graph as the runtime optimised it.
    fn optimised(&self, runtime: &Runtime, model: &[u8]) -> ort::Result<(Session, Vec<u8>)> {
        // The runtime writes to a path only. This one is in memory, where no disk is full and nothing is left behind.
        let file = memfd_create("optimised.onnx", MemfdFlags::CLOEXEC).map(File::from);
        let mut file = file.map_err(ort::Error::wrap)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let session = self.builder(runtime, None)?.with_optimized_model_path(path)?.commit_from_memory(model)?;
        let mut optimised = Vec::new();
        file.read_to_end(&mut optimised).map_err(ort::Error::wrap)?;
        Ok((session, optimised))
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

/// Channels in a block of the runtime's layout, where that is known to be a vector: with AVX2 and with AVX-512.
fn block() -> Option<usize> {
    let lanes = convolution::lanes();
    (cfg!(target_arch = "x86_64") && lanes >= 8).then_some(lanes)
}
