//! Which device was asked for, and which one runs.

use std::path::Path;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider};
use ort::session::builder::SessionBuilder;

use crate::Runtime;
use crate::error::chain;

/// What was asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// CUDA if it works, else the CPU; which one is said.
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA device N or an error, never a silent run on the CPU.
    Cuda(u32),
}

/// Where a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The CPU.
    Cpu,
    /// CUDA device N.
    Cuda(u32),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", n)) => {
                n.parse().map(Self::Cuda).map_err(|_| format!("expected a device number behind cuda:, found {n:?}"))
            }
            _ => Err(format!("expected auto, cpu, cuda or cuda:N, found {text:?}")),
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl Device {
    /// The provider, where it is known without loading a model: always for the CPU, and for `auto`
    /// where the runtime has no CUDA provider.
    #[must_use]
    pub fn settled(self) -> Option<Provider> {
        match self {
            Self::Cpu => Some(Provider::Cpu),
            Self::Auto if !crate::library::has_cuda_provider() => Some(Provider::Cpu),
            Self::Auto | Self::Cuda(_) => None,
        }
    }
}

/// Registers CUDA device `index`, or says why that is not possible.
///
/// `libraries` is a folder with the CUDA and cuDNN libraries to load first, for machines where
/// they are not on the loader's path.
pub(crate) fn register_cuda(
    index: u32,
    runtime: &Runtime,
    libraries: Option<&Path>,
    builder: &mut SessionBuilder,
) -> Result<(), String> {
    if !crate::library::has_cuda_provider() {
        return Err(format!("{} has no CUDA provider beside it", runtime.library().display()));
    }
    if let Some(folder) = libraries {
        // cuDNN is not needed by every release of the provider; what is missing shows in `register`.
        if let Err(e) = ep::cuda::preload_dylibs(Some(folder), None) {
            return Err(chain(&e));
        }
        if let Err(e) = ep::cuda::preload_dylibs(None, Some(folder)) {
            tracing::debug!("cuDNN not loaded from {}: {e}", folder.display());
        }
    }
    let cuda = ep::CUDA::default()
        .with_device_id(index as i32)
        .with_conv_max_workspace(true)
        // TF32 has 10 bits of mantissa: features would differ from the CPU's in the third digit.
        .with_tf32(false);
    cuda.register(builder).map_err(|e| chain(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed() {
        assert_eq!("cuda:3".parse(), Ok(Device::Cuda(3)));
        assert_eq!("auto".parse(), Ok(Device::Auto));
        for bad in ["gpu", "cuda:", "cuda:x", "cpu:0", ""] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
