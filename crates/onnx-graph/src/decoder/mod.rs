//! Language models that keep a cache of keys and values: what such a graph takes and gives, and
//! edits that make it cheaper to run without changing what it computes.

mod attention;
mod contract;
mod in_place;
mod last_logits;
mod scalar;
mod selection;

pub use contract::{CacheLayer, DecoderContract};
pub use in_place::{LENGTHS, TOTAL_LENGTH};
pub use last_logits::LAST_POSITION;
pub use selection::row_selection;
