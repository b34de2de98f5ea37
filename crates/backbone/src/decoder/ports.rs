//! The names of a decoder's inputs and outputs, and the graphs that have them.

use std::path::Path;

/// Number format of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheType {
    /// IEEE binary32.
    Float32,
    /// IEEE binary16.
    Float16,
}

/// What a decoder is fed and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderPorts {
    /// int64 `[rows, sequence]`.
    pub input_ids: String,
    /// int64 `[rows, past + sequence]`.
    pub attention_mask: Option<String>,
    /// int64 `[rows, sequence]`.
    pub position_ids: Option<String>,
    /// bool `[1]`.
    pub use_cache_branch: Option<String>,
    /// int64 `[rows, 1, 1]`: the position whose logits are wanted; without it all positions have theirs.
    pub last_position: Option<String>,
    /// Given when the cache is in place.
    pub in_place: Option<InPlacePorts>,
    /// float `[rows, positions, vocabulary]`.
    pub logits: String,
    /// Keys and values of all layers: inputs. Empty where the graph takes no cache.
    pub past: Vec<String>,
    /// Keys and values of all layers: outputs, in the order of `past`.
    pub present: Vec<String>,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Numbers of one head.
    pub head_dim: usize,
    /// Number format of the cache.
    pub cache_type: CacheType,
}

/// Inputs of a graph whose cache is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlacePorts {
    /// int32 `[rows]`: tokens of each row after the run, less one.
    pub lengths: String,
    /// int32 `[1]`: tokens of the longest row after the run.
    pub total_length: String,
}

/// A graph in memory.
#[derive(Debug, Clone, Copy)]
pub struct DecoderGraph<'a> {
    /// The bytes of the ONNX model.
    pub model: &'a [u8],
    /// Folder of its external data, if it has any.
    pub external: Option<&'a Path>,
    /// Its inputs and outputs.
    pub ports: &'a DecoderPorts,
}
