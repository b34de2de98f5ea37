//! What can be typed.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

/// See how a pipeline stands, look into its files, check them, and check the machine
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "headstart", version, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

/// What is asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show which artifacts are fresh, stale, incomplete or missing, and why
    ///
    /// With --pipeline the stages themselves are asked, with the settings that they would run with: what is not `fresh`
    /// here is what they would make. Nothing is loaded or made. Without it, all artifacts of a run are listed, with
    /// whether they were made from the artifacts that lie beside them now. Of finished files the sizes are compared
    /// with the manifest and no bytes are read: `headstart verify` does that. Ends with exit code 0 also if something
    /// is not fresh, unless --exit-code is given.
    Status(Status),
    /// Show what an artifact or a file holds
    ///
    /// Takes the folder of an artifact, a Parquet file, an ONNX file or a `head.safetensors`. Digests are not checked;
    /// that is what `headstart verify` does.
    Inspect(Inspect),
    /// Compare every byte of artifacts with the digests in their manifests
    ///
    /// Takes folders of artifacts, folders of runs (all artifacts in them, those of baselines included), single files of
    /// an artifact, and ONNX files, whose structure is checked. Files that lie in an artifact and are not in its
    /// manifest are named, and are no damage: no stage reads them. Ends with exit code 65 if something is damaged
    /// and 66 if something is missing or incomplete.
    Verify(Verify),
    /// Check whether this machine can run the programs, and say what to do where it cannot
    ///
    /// Ends with exit code 69 if ONNX Runtime cannot be loaded.
    Doctor(Doctor),
    /// Print a script that completes options when Tab is pressed
    ///
    /// For bash, in ~/.bashrc: source <(headstart completions bash)
    Completions(Completions),
    /// Print or write manual pages
    ///
    /// To read one: headstart man head-train | man -l -
    Man(Man),
}

/// Arguments of `headstart status`.
#[derive(Debug, Clone, clap::Args)]
pub struct Status {
    /// Pipeline file whose stages are asked
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,

    /// Folder of the run [default: that of the pipeline; without a pipeline, all in runs/]
    #[arg(long, value_name = "FOLDER", env = "HEADSTART_RUN")]
    pub run: Option<PathBuf>,

    /// Change one value of the pipeline file, as for the stages
    #[arg(long, value_name = "SECTION.KEY=VALUE", requires = "pipeline")]
    pub set: Vec<String>,

    /// End with exit code 1 if something is not fresh
    #[arg(long)]
    pub exit_code: bool,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `headstart inspect`.
#[derive(Debug, Clone, clap::Args)]
pub struct Inspect {
    /// Folder of an artifact, or a Parquet, ONNX or safetensors file
    pub path: PathBuf,

    /// Rows to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rows: usize,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `headstart verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct Verify {
    /// Artifacts, runs or files
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `headstart doctor`.
#[derive(Debug, Clone, clap::Args)]
pub struct Doctor {
    /// Folder whose disk is to hold the artifacts
    #[arg(long, value_name = "FOLDER", env = "HEADSTART_RUN", default_value = "runs")]
    pub run: PathBuf,

    /// Folder with the CUDA and cuDNN libraries, where they are not on the loader's path
    #[arg(long, value_name = "FOLDER", env = "HEADSTART_CUDA_LIBS")]
    pub cuda_libs: Option<PathBuf>,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `headstart completions`.
#[derive(Debug, Clone, clap::Args)]
pub struct Completions {
    /// Shell that is to read the script
    #[arg(value_enum)]
    pub shell: Shell,

    /// Program that is to be completed [default: all]
    pub program: Option<String>,
}

/// Arguments of `headstart man`.
#[derive(Debug, Clone, clap::Args)]
pub struct Man {
    /// Program or subcommand, such as `head-train` or `headstart-status` [default: headstart; with --out, all]
    pub program: Option<String>,

    /// Write pages into this folder, which is made if it is not there; a file that is no page of ours is never replaced
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// Print which pages were written as one JSON object
    #[arg(long, requires = "out")]
    pub json: bool,
}
