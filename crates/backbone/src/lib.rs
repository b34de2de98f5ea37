//! Runs a network in ONNX Runtime: finds the library, chooses the device, moves tensors.
//!
//! The sole user of `ort`. It knows neither Parquet nor the command line, and it does not look
//! into models: a [`Backbone`] takes u8 pixels and gives float32 rows, a [`Classifier`] gives probabilities
//! besides, a [`Decoder`] takes tokens and gives logits, by the names that it is told. `onnx-graph` saw to that.

mod backbone;
mod batches;
mod byte_operators;
mod classifier;
mod convolve;
mod decoder;
mod device;
mod error;
mod library;
mod precision;
mod probe;
mod runtime;
mod session;

pub use backbone::Backbone;
pub use classifier::{Classifier, Predicted};
pub use convolution::multiplies_bytes;
pub use decoder::{Cache, CacheType, Decoder, DecoderGraph, DecoderPorts, InPlacePorts};
pub use device::{Device, Provider};
pub use error::{Error, Result};
pub use precision::is_int8_exact;
pub use runtime::Runtime;
pub use session::{Placement, Rewrite};
