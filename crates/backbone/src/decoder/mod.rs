//! A language model with a cache: tokens in, logits out, and the cache stays where it is computed.
//!
//! Two layouts of the cache are known. *In place*: one buffer for each tensor, with room for what is
//! to come, which the graph reads and writes (`[rows, heads, capacity, dim]`); rows are told their
//! lengths. *Grown*: each run reads the past and gives a longer present; shorter rows are padded on
//! the left and the padding is masked.

mod cache;
mod logits;
mod ports;
mod run;

pub use cache::Cache;
pub use ports::{CacheType, DecoderGraph, DecoderPorts, InPlacePorts};
pub use run::Decoder;
