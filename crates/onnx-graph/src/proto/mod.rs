//! The messages of onnx.proto as of ONNX 1.23 (IR version 14), written out by hand as `prost`
//! structs, so that neither `protoc` nor a build script is needed.
//!
//! Every field is here, also those that nothing in this crate reads, and every scalar is an `Option`:
//! a file that is read and written back loses nothing, not even the difference between "absent" and
//! "zero". Whether lists are packed follows onnx.proto too, so the bytes come out as they went in.
//! Large tensors are `Bytes`: slices of the buffer that the file was read into, never copied.

#![allow(missing_docs, reason = "names and meanings of the fields are those of onnx.proto")]

mod graph;
mod model;
mod sharding;
mod tensor;

pub use graph::*;
pub use model::*;
pub use prost::DecodeError;
pub use sharding::*;
pub use tensor::*;
