//! Runs a network in ONNX Runtime: finds the library, chooses the device, moves tensors.
//!
//! The sole user of `ort`. It knows neither Parquet nor the command line, and it does not look
//! into models: what it is given takes u8 pixels and gives float32 rows, which `onnx-graph` saw to.

mod backbone;
mod device;
mod error;
mod library;
mod runtime;

pub use backbone::Backbone;
pub use device::{Device, Provider};
pub use error::{Error, Result};
pub use runtime::Runtime;
