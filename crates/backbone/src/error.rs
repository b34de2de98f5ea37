//! Why a network could not be run.

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a network could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable ONNX Runtime library.
    #[error(
        "ONNX Runtime {found}; run `just setup` in the repository, or set ORT_DYLIB_PATH to a libonnxruntime of version 1.24 or newer (looked in: {tried})"
    )]
    NoRuntime {
        /// What was found instead: nothing, or a library that does not load and why.
        found: String,
        /// Every place that was looked at.
        tried: String,
    },
    /// The device that was asked for is not to be had.
    #[error(
        "device {device} is not available: {reason}; use --device cpu, or give an ONNX Runtime with the CUDA provider and the CUDA and cuDNN libraries (--cuda-libs FOLDER)"
    )]
    NoDevice {
        /// As it was asked for.
        device: String,
        /// What the runtime said.
        reason: String,
    },
    /// The runtime refuses the model.
    #[error("ONNX Runtime cannot load the model: {0}")]
    Model(String),
    /// The graph into which convolutions of ours were to be put could not be had.
    #[error(
        "the graph as ONNX Runtime optimised it cannot be kept in memory, for headstart's convolutions to be put into it: {0}; free memory, lift a limit of this process (ulimit -f), or give --convolution runtime"
    )]
    NotSaved(String),
    /// A network that headstart put into 8 bits, on a processor that would not add its products up exactly.
    #[error(
        "the network is in int8, and this processor has no VNNI (avx512_vnni or avx_vnni), without which sums of 8-bit products overflow in silence; run it on one that has, or make the features anew with --precision float32"
    )]
    Int8Saturates,
    /// The runtime failed while it ran the model.
    #[error("ONNX Runtime failed on {rows} rows: {reason}")]
    Run {
        /// Rows of the batch.
        rows: usize,
        /// What the runtime said.
        reason: String,
    },
    /// Memory of the device ran out.
    #[error("out of memory on {device} with a batch of {rows} rows: {reason}; try a smaller --batch")]
    OutOfMemory {
        /// The device.
        device: String,
        /// Rows of the batch.
        rows: usize,
        /// What the runtime said.
        reason: String,
    },
    /// A model that does not give one float32 vector a row.
    #[error("the model gives {found}; expected float32 [{rows}, {dim}]")]
    Output {
        /// Type and shape of the output.
        found: String,
        /// Rows that went in.
        rows: usize,
        /// Length of a vector.
        dim: usize,
    },
    /// A classifier without one of its outputs.
    #[error("the model has no output `{name}` of the type float32 [rows, width]; found {found}")]
    Port {
        /// Name of the output.
        name: &'static str,
        /// What there is instead.
        found: String,
    },
    /// A decoder that does not give logits for every row.
    #[error("the model gives logits of the shape {found:?}; expected [{rows}, positions, vocabulary]")]
    Logits {
        /// Shape of the output.
        found: Vec<i64>,
        /// Rows that went in.
        rows: usize,
    },
    /// Rows of different lengths for a decoder that can only take equal ones.
    #[error("rows of {shortest} to {longest} tokens in one batch, for a model that is not told what is padding")]
    Lengths {
        /// Tokens of the shortest row.
        shortest: usize,
        /// Tokens of the longest row.
        longest: usize,
    },
}

/// What the runtime's failure to run `rows` rows is.
pub(crate) fn run_error(error: &dyn std::error::Error, provider: crate::Provider, rows: usize) -> Error {
    let reason = chain(error);
    if reason.contains("Failed to allocate memory") || reason.contains("out of memory") {
        Error::OutOfMemory { device: provider.to_string(), rows, reason }
    } else {
        Error::Run { rows, reason }
    }
}

/// All links of an error's chain in one line. `Display` of the runtime's errors alone says too little.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(link) = source {
        let next = link.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = link.source();
    }
    text.replace('\n', " ").trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Provider;

    /// What ONNX Runtime 1.31 says of an arena, and CUDA of its own.
    #[test]
    fn fault_06_memory_that_runs_out_on_a_device_asks_for_a_smaller_batch() {
        for said in [
            "Failed to allocate memory for requested buffer of size 1073741824",
            "CUDA failure 2: out of memory ; GPU=0",
        ] {
            let error = run_error(&std::io::Error::other(said), Provider::Cuda(0), 64);
            assert!(matches!(error, Error::OutOfMemory { rows: 64, .. }), "{error}");
            assert!(error.to_string().contains("try a smaller --batch"), "{error}");
        }
        let error = run_error(&std::io::Error::other("bad shape"), Provider::Cpu, 1);
        assert!(matches!(error, Error::Run { .. }), "{error}");
    }
}
