//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;

use backbone::Device;
use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};
use hub::{Location, OfFolder, ParseError, Wanted};
use stage::{Common, Exit, StageArgs, location_parser, parse_location};

/// Run a frozen network over an examples artifact and keep one feature vector per picture
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "feature-extract", version, max_term_width = 100)]
pub struct Args {
    /// Examples artifact to read [default: `examples` in the run's folder]
    #[arg(long, value_name = "FOLDER")]
    pub examples: Option<PathBuf>,

    /// The network: an ONNX file, also on a hub (hf://OWNER/NAME[@REVISION]/PATH), or `pixels` for the raw
    /// pixels themselves (a baseline)
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().try_map(BackboneArg::parse))]
    pub backbone: Option<BackboneArg>,

    /// Use the network's own weights, or draw them anew at random with --seed (a baseline)
    #[arg(long, value_enum, default_value_t = Weights::Pretrained)]
    pub weights: Weights,

    /// Tensor to take as feature [default: what the network's last layer reads]
    #[arg(long, value_name = "TENSOR")]
    pub feature: Option<String>,

    /// How a map [N, C, H, W] or a sequence [N, T, C] becomes one vector
    #[arg(long, value_enum, default_value_t = PoolingArg::Auto)]
    pub pooling: PoolingArg,

    /// List the tensors that can serve as feature, and do nothing else
    #[arg(long)]
    pub list: bool,

    /// Preprocessing as Hugging Face writes it [default: preprocessor_config.json beside the network, or above a
    /// folder onnx/ that it is in]
    #[arg(long, value_name = "FILE", value_parser = location_parser())]
    pub preprocessor: Option<Location>,

    /// Side of the picture that the network is given, in pixels: N or HxW [default: what the network
    /// or its preprocessor says]
    #[arg(long, value_name = "PIXELS", value_parser = parse_size)]
    pub size: Option<(u64, u64)>,

    /// Factor on the bytes 0..255 before mean and std [default: the preprocessor's, else 1/255]
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER")]
    pub rescale: Option<f32>,

    /// Mean of red, green, blue (or one for all) to subtract after rescaling [default: the preprocessor's]
    #[arg(long, allow_negative_numbers = true, value_name = "R,G,B", value_delimiter = ',', num_args = 1..=3)]
    pub mean: Option<Vec<f32>>,

    /// Standard deviation of red, green, blue (or one for all) to divide by [default: the preprocessor's]
    #[arg(long, allow_negative_numbers = true, value_name = "R,G,B", value_delimiter = ',', num_args = 1..=3)]
    pub std: Option<Vec<f32>>,

    /// How stored pictures are enlarged to the network's size [default: the preprocessor's, else bilinear]
    #[arg(long, value_enum)]
    pub interpolation: Option<InterpolationArg>,

    /// Pictures in one run of the network
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,

    /// What the network computes in; int8 (CPU only) quantises a float32 network, with ranges measured on training
    /// pictures
    #[arg(long, value_enum, default_value_t = Precision::Float32)]
    pub precision: Precision,

    /// Whose convolutions run on the CPU: headstart's, which multiply less (Winograd's algorithm for 3x3 kernels), or
    /// ONNX Runtime's [default: winograd; of int8 both compute the same]
    #[arg(long, value_enum)]
    pub convolution: Option<Convolution>,

    /// Number format of the stored features
    #[arg(long, value_enum, default_value_t = Dtype::Float32)]
    pub dtype: Dtype,

    /// Where to run: auto, cpu, cuda or cuda:N. cuda that is not there is an error, auto says which it took
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "HEADSTART_DEVICE")]
    pub device: Device,

    /// Folder with the CUDA and cuDNN libraries, where they are not on the loader's path
    #[arg(long, value_name = "FOLDER", env = "HEADSTART_CUDA_LIBS")]
    pub cuda_libs: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,
}

/// What turns pixels into features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackboneArg {
    /// Nothing.
    Pixels,
    /// An ONNX file.
    Onnx(Location),
}

impl BackboneArg {
    fn parse(typed: OsString) -> Result<Self, ParseError> {
        Ok(if typed == "pixels" { Self::Pixels } else { Self::Onnx(parse_location(&typed)?) })
    }
}

/// What is wanted of a network on a hub: its file, and what says how pictures are to be given to it.
pub(crate) const NETWORK: Wanted =
    Wanted { beside: &["preprocessor_config.json", "../preprocessor_config.json"], of_folder: OfFolder::Nothing };

/// Which weights the network runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Weights {
    /// Those in the file.
    Pretrained,
    /// He-normal draws in the same graph.
    Random,
}

/// How a tensor becomes one vector per picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoolingArg {
    /// As it is, average over positions, or class token, after the tensor's shape.
    Auto,
    /// Average over positions of [N, C, H, W].
    Average,
    /// First token of [N, T, C].
    ClassToken,
    /// Mean of the tokens of [N, T, C].
    Mean,
}

/// How pictures are enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InterpolationArg {
    /// Linear in each direction.
    Bilinear,
    /// Cubic in each direction.
    Bicubic,
    /// The nearest pixel.
    Nearest,
}

/// What the network computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// As the file has it.
    Float32,
    /// Products in 8-bit integers: half again to twice as fast, where the processor has VNNI.
    Int8,
}

/// Whose convolutions run on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Convolution {
    /// headstart's: a quarter of the multiply-adds where kernels are 3 x 3 and take every pixel. Kernels of one pixel
    /// are ONNX Runtime's.
    Winograd,
    /// ONNX Runtime's.
    Runtime,
}

/// Number format of stored features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// 4 bytes a number.
    Float32,
    /// 2 bytes a number, three significant digits.
    Float16,
}

impl StageArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
        // Nothing of raw pixels is computed.
        if matches!(self.backbone, Some(BackboneArg::Pixels)) {
            return Ok(());
        }
        let refuse = |text: &str| Err(Exit::Usage.error(text));
        match (self.precision, self.convolution, self.device) {
            // CUDA's provider has few of its operators, and would carry every tensor back and forth.
            (Precision::Int8, _, Device::Cuda(_)) => {
                refuse("--precision int8 runs on the CPU only; leave it out, or give --device cpu")
            }
            (Precision::Int8, Some(Convolution::Winograd), _) => {
                refuse("--convolution winograd is for float32; leave it out, or --precision int8")
            }
            (_, Some(Convolution::Winograd), Device::Cuda(_)) => {
                refuse("--convolution winograd runs on the CPU only; give --convolution runtime, or --device cpu")
            }
            _ => Ok(()),
        }
    }

    fn sources(&self) -> Vec<(&Location, Wanted)> {
        let network = match &self.backbone {
            Some(BackboneArg::Onnx(location)) => Some((location, NETWORK)),
            Some(BackboneArg::Pixels) | None => None,
        };
        network.into_iter().chain(self.preprocessor.iter().map(|file| (file, Wanted::FILE))).collect()
    }
}

/// `224` or `256x192` (height x width).
fn parse_size(text: &str) -> Result<(u64, u64), String> {
    let side = |s: &str| s.trim().parse::<u64>().ok().filter(|n| (1..=65535).contains(n));
    let parsed = match text.split_once('x') {
        Some((h, w)) => side(h).zip(side(w)),
        None => side(text).map(|n| (n, n)),
    };
    parsed.ok_or_else(|| format!("expected pixels from 1 to 65535 as N or HxW, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("224"), Ok((224, 224)));
        assert_eq!(parse_size("256x192"), Ok((256, 192)));
        assert!(parse_size("0").is_err());
        assert!(parse_size("224 by 3").is_err());
    }
}
