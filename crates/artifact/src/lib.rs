//! The on-disk contract between stages.
//!
//! An artifact is a committed folder of Parquet parts and a `manifest.json`. This crate owns how
//! one is planned, written, resumed, committed, opened and verified, and the columns of the
//! artifacts that more than one stage touches. It knows no model, no command line and no clock.
//!
//! Invariants:
//! - A folder at an artifact's path is complete or it is not there: everything is written in
//!   `NAME.building/` beside it and moved into place in one rename.
//! - A reader uses only what the manifest names, and only after its size and BLAKE3 digest agree.
//! - Nothing that is written depends on time, thread count or on how often a run was interrupted.

mod build;
mod completions;
mod digest;
mod encode;
mod error;
mod examples;
mod failpoints;
mod feature_values;
mod features;
mod fingerprint;
mod journal;
mod known_files;
mod lock;
mod manifest;
mod open;
mod other_columns;
mod parquet_file;
mod predictions;
mod prompts;
mod publish;
mod reject;
mod seal;
mod split;
mod standing;
mod tokens;

pub use blake3::Hash;
pub use build::{Begin, Build, PartPlan, Plan, Preview, Redo};
pub use completions::{CompletionPart, CompletionsFacts, FinishCounts, FinishReason};
pub use digest::{Digest, DigestCache, special_file};
pub use encode::encode as encode_parquet;
pub use error::{Error, Result};
pub use examples::{ExamplePart, ExamplesFacts, ResizeFilter, ResizeFit, ResizePolicy};
#[cfg(feature = "failpoints")]
pub use failpoints::FAILPOINTS;
pub use feature_values::{Keys, feature_values};
pub use features::{FeaturePart, FeatureType, FeaturesFacts, GRAPH, Vectors};
pub use fingerprint::Fingerprint;
pub use manifest::{FORMAT_VERSION, FileEntry, Input, Kind, Manifest, PartEntry};
pub use open::Artifact;
pub use other_columns::{join_rows, no_columns, take_rows};
pub use parquet_file::{ParquetFile, decode as decode_parquet};
pub use predictions::{PredictionPart, PredictionsFacts, SplitScore};
pub use prompts::{PromptPart, PromptsFacts};
pub use reject::Reject;
pub use split::Split;
