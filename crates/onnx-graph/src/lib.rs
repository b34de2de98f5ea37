//! Reads and edits ONNX model files: looks for the last layer, cuts it off, and puts preprocessing
//! in front and pooling or a new head behind. It works on the protobuf alone: it runs nothing, and
//! what it cannot tell from the file it does not claim.
//!
//! A [`Model`] exists only after the reader's checks, so everything behind them can rely on a
//! complete graph in topological order.

mod byte_operators;
mod byte_preprocess;
mod candidates;
mod chain;
mod classifier;
mod convolutions;
mod cut;
mod decoder;
mod element;
mod error;
mod head;
mod image_input;
mod model;
mod names;
mod node;
mod pixels;
mod pool;
mod preprocess;
pub mod proto;
mod quantise;
mod random_weights;
mod replacement;
mod reshapes;
mod shape;
mod sniff;
mod tensor;
mod validate;
mod value;
mod wiring;

pub use candidates::Candidate;
pub use classifier::{Classifier, ClassifierKind, LastLayer};
pub use decoder::{CacheLayer, DecoderContract, LAST_POSITION, LENGTHS, TOTAL_LENGTH, row_selection};
pub use element::ElementType;
pub use error::{Error, Problem};
pub use head::{FEATURES, LOGITS, PROBABILITIES};
pub use image_input::{ImageInput, Layout};
pub use model::{Metadata, Model, Port};
pub use pool::{FEATURE, Pooling};
pub use preprocess::{Interpolation, PIXELS, Preprocessing};
pub use quantise::{RANGES, Range};
pub use replacement::{Bytes, Replacement};
pub use value::{Dim, TensorType};
