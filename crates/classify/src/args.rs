//! What can be typed.

use std::path::PathBuf;

use backbone::Device;
use clap::ValueEnum;
use hub::{Location, Wanted};
use stage::{Common, Exit, MaxBad, StageArgs, location_parser};

/// Say what is in pictures, by the classifier.onnx that head-train has written
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "classify", version, max_term_width = 100)]
pub struct Args {
    /// The classifier, an ONNX file, or hf://OWNER/NAME/FILE [default: `head/classifier.onnx` in the run's folder]
    #[arg(long, value_name = "FILE", value_parser = location_parser())]
    pub classifier: Option<Location>,

    /// Pictures: files, or folders with all that is below them. Without --out or --pipeline the result is printed
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "examples", value_parser = location_parser())]
    pub input: Vec<Location>,

    /// Examples artifact to classify [default: `examples` in the run's folder, if there is no --input]
    #[arg(long, value_name = "FOLDER")]
    pub examples: Option<PathBuf>,

    /// Classes to print of each picture, most probable first [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,

    /// Print one JSON object a picture
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,

    /// What happens to the aspect ratio of pictures of another size [default: as data-prep was told]
    #[arg(long, value_enum)]
    pub fit: Option<Fit>,

    /// Interpolation when pictures are brought to size [default: as data-prep was told]
    #[arg(long, value_enum)]
    pub filter: Option<Filter>,

    /// Enlarge pictures that are smaller than the classifier takes them; else they are rejects
    #[arg(long)]
    pub enlarge: bool,

    /// Most pictures that may be unusable, as a number or a share of all; more are an error [default: 1% where an
    /// artifact is made, all but one where the result is printed]
    #[arg(long, value_name = "N|N%")]
    pub max_bad: Option<MaxBad>,

    /// Largest picture that is decoded, in pixels (height times width)
    #[arg(
        long, value_name = "N", default_value_t = picture::Limits::default().max_pixels,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub max_pixels: u64,

    /// Pictures in one run of the network
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,

    /// Whose convolutions run on the CPU: headstart's, which multiply less and take longer to load, or ONNX Runtime's
    /// [default: winograd for more than 100 pictures, else runtime]
    #[arg(long, value_enum)]
    pub convolution: Option<Convolution>,

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

/// What happens to the aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fit {
    /// Both sides scaled apart: everything stays, shapes distort
    Squash,
    /// Shortest edge to size, then the centre cut out
    Crop,
}

/// The interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    /// Triangle
    Bilinear,
    /// Cubic, a = −0.5
    Bicubic,
}

/// Whose convolutions run on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Convolution {
    /// headstart's (feature-extract's default).
    Winograd,
    /// ONNX Runtime's.
    Runtime,
}

impl StageArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
        match (self.convolution, self.device) {
            (Some(Convolution::Winograd), Device::Cuda(_)) => Err(Exit::Usage
                .error("--convolution winograd runs on the CPU only; give --convolution runtime, or --device cpu")),
            _ => Ok(()),
        }
    }

    fn sources(&self) -> Vec<(&Location, Wanted)> {
        let inputs = self.input.iter().map(|input| (input, Wanted::ALL));
        self.classifier.iter().map(|file| (file, Wanted::FILE)).chain(inputs).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn one_input_takes_what_a_shell_makes_of_a_star() {
        let args = Args::parse_from(["classify", "--input", "a.png", "b.png", "--input", "c", "--top", "3"]);
        let typed: Vec<_> = args.input.iter().map(ToString::to_string).collect();
        assert_eq!(typed, ["a.png", "b.png", "c"]);
        assert!(Args::try_parse_from(["classify", "--input", "a.png", "--examples", "e"]).is_err());
    }
}
