//! What was typed, with every value resolved: the rest of the crate sees no `Option` that means "default".

use std::path::PathBuf;

use artifact::FeatureType;
use backbone::{Device, Provider};
use onnx_graph::{Bytes, Interpolation, Pooling, Replacement};
use serde_json::{Value, json};
use stage::{Exit, Job, Local};

use crate::args::{Args, BackboneArg, Convolution, Dtype, InterpolationArg, NETWORK, PoolingArg, Precision, Weights};
use crate::int8;
use crate::preprocessing::{self, Pixels};

/// What a run is to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) examples: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) network: Network,
    pub(crate) batch: usize,
    pub(crate) dtype: FeatureType,
    pub(crate) device: Device,
    pub(crate) cuda_libraries: Option<PathBuf>,
    pub(crate) threads: usize,
}

/// What turns pixels into features.
#[derive(Debug, Clone)]
pub(crate) enum Network {
    /// Nothing: the pixels, divided by 255, are the features.
    Pixels,
    /// An ONNX file.
    Onnx(Box<Onnx>),
}

/// An ONNX file and how it is to be used.
#[derive(Debug, Clone)]
pub(crate) struct Onnx {
    pub(crate) path: PathBuf,
    /// What to call it: its path, or where on a hub it is from.
    pub(crate) name: String,
    /// Seed of random weights, or nothing for the file's own.
    pub(crate) random_weights: Option<u64>,
    /// The tensor to take; nothing means what the last layer reads, which only the file tells.
    pub(crate) feature: Option<String>,
    pub(crate) pooling: Pooling,
    pub(crate) pixels: Pixels,
    pub(crate) precision: Precision,
    /// Whose convolutions run on the CPU.
    pub(crate) convolution: Convolution,
}

impl Settings {
    pub(crate) fn resolve(job: &Job<Args>) -> anyhow::Result<Self> {
        let args = &job.args;
        let network = match &args.backbone {
            None => return Err(Exit::Usage.error("no network: give --backbone FILE.onnx, or --backbone pixels")),
            Some(BackboneArg::Pixels) => Network::Pixels,
            Some(BackboneArg::Onnx(location)) => {
                Network::Onnx(Box::new(onnx(args, stage::fetch(location, &NETWORK, &args.common)?)?))
            }
        };
        let dtype = match args.dtype {
            Dtype::Float32 => FeatureType::Float32,
            Dtype::Float16 => FeatureType::Float16,
        };
        Ok(Self {
            // Baselines share the examples of the pipeline itself: only what comes after differs.
            examples: args.examples.clone().unwrap_or_else(|| job.run_folder().join("examples")),
            out: job.out("features"),
            device: device(args, &network)?,
            network,
            batch: args.batch as usize,
            dtype,
            cuda_libraries: args.cuda_libs.clone(),
            threads: args.common.thread_count(),
        })
    }

    /// Every setting that can change a byte of the features, for the fingerprint.
    pub(crate) fn config(&self, provider: &str) -> Value {
        let mut config = json!({
            "provider": provider,
            // Kernels are chosen by shape, so another batch may round differently.
            "batch": self.batch,
            "dtype": self.dtype,
        });
        let network = match &self.network {
            Network::Pixels => json!({ "backbone": "pixels" }),
            Network::Onnx(onnx) => json!({
                "backbone": "onnx",
                "random_weights": onnx.random_weights,
                "feature": onnx.feature.as_deref().unwrap_or("what the last layer reads"),
                "pooling": format!("{:?}", onnx.pooling),
                "size": onnx.pixels.size,
                "rescale": onnx.pixels.rescale,
                "mean": onnx.pixels.mean,
                "std": onnx.pixels.std,
                "interpolation": format!("{:?}", onnx.pixels.interpolation),
            }),
        };
        if let (Value::Object(config), Value::Object(network)) = (&mut config, network) {
            config.extend(network);
            if matches!(&self.network, Network::Onnx(onnx) if onnx.precision == Precision::Int8) {
                config.insert("int8".to_string(), int8::rule());
            }
            // Where it is the runtime's, features are those of any program that runs the file.
            if matches!(&self.network, Network::Onnx(onnx) if onnx.replacement().convolutions)
                && provider == Provider::Cpu.to_string()
            {
                config.insert("convolution".to_string(), json!("winograd"));
            }
        }
        config
    }
}

/// Where to run. Nothing of the pixels baseline runs on a device, and int8 is for processors.
fn device(args: &Args, network: &Network) -> anyhow::Result<Device> {
    let Network::Onnx(onnx) = network else { return Ok(Device::Cpu) };
    match (onnx.precision, args.device) {
        (Precision::Float32, device) => Ok(device),
        (Precision::Int8, _) if backbone::is_int8_exact() => Ok(Device::Cpu),
        (Precision::Int8, _) => Err(Exit::Unavailable.error(
            "--precision int8: this processor has no VNNI (avx512_vnni or avx_vnni), and without it sums of 8-bit products \
             overflow in silence; leave it out",
        )),
    }
}

impl Onnx {
    /// What of ours runs on the CPU. Bytes are the same, so that only float32 is in the fingerprint.
    pub(crate) fn replacement(&self) -> Replacement {
        let is_ours = self.convolution == Convolution::Winograd;
        Replacement {
            convolutions: is_ours && self.precision == Precision::Float32,
            bytes: if is_ours && backbone::multiplies_bytes() { Bytes::All } else { Bytes::None },
        }
    }
}

fn onnx(args: &Args, found: Local) -> anyhow::Result<Onnx> {
    let Local { path, name, .. } = found;
    if !path.is_file() {
        let hint = if path.starts_with("data/local") {
            "; link a folder that has it with: just data FOLDER"
        } else {
            "; give --backbone the path of an ONNX file"
        };
        return Err(Exit::MissingInput.error(format!("no network at {}{hint}", path.display())));
    }
    let pooling = match args.pooling {
        PoolingArg::Auto => Pooling::Auto,
        PoolingArg::Average => Pooling::Average,
        PoolingArg::ClassToken => Pooling::ClassToken,
        PoolingArg::Mean => Pooling::Mean,
    };
    let interpolation = args.interpolation.map(|i| match i {
        InterpolationArg::Bilinear => Interpolation::Bilinear,
        InterpolationArg::Bicubic => Interpolation::Bicubic,
        InterpolationArg::Nearest => Interpolation::Nearest,
    });
    Ok(Onnx {
        // --list needs no preprocessing, and is what one runs before one knows it.
        pixels: if args.list { Pixels::none() } else { preprocessing::resolve(args, &path, interpolation)? },
        random_weights: (args.weights == Weights::Random).then_some(args.common.seed),
        feature: args.feature.clone(),
        pooling,
        precision: args.precision,
        convolution: args.convolution.unwrap_or(Convolution::Winograd),
        path,
        name,
    })
}
