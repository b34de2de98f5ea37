//! A softmax linear head: standardisation, training, sweeps, scores and calibration.
//!
//! Arrays in, arrays out. This crate knows nothing about files, tables, progress bars or clocks; the
//! stage that calls it owns those. Features are `f32 [n_examples, feature_dim]`, labels are `u32` in
//! `0..n_classes`, logits are `f32 [n_examples, n_classes]`; every sum over examples is kept in `f64` and
//! taken in a fixed order, so results are the same bytes whatever the number of rayon threads.
//!
//! The usual path: [`Standardiser::fit`] on training features, [`Settings::check`], [`train`],
//! [`Standardiser::fold`] the best head back onto raw features, [`scores`], [`fit_temperature`].
//!
//! Between machines "the same bytes" holds for products and softmax where the processor fuses a product with a sum, whatever the
//! width of its vectors; schedules, losses and temperatures also take the C library's `cos`, `exp` and `ln`, as it rounds them.
#![forbid(unsafe_code)]

mod affine;
mod calibration;
mod draws;
mod error;
mod exponential;
mod head;
mod kernels;
mod metrics;
mod nearest;
mod panels;
mod pca;
mod report;
mod row_span;
mod settings;
mod sgd;
mod softmax;
mod split;
mod standardise;
mod sweep;
mod window;

pub use calibration::{Calibration, N_BINS, ReliabilityBin, Temperature, expected_calibration_error, fit_temperature};
pub use error::Error;
pub use head::Head;
pub use metrics::{ClassScores, Scores, scores};
pub use nearest::{Neighbour, nearest};
pub use pca::{PrincipalPlane, principal_plane};
pub use report::{EpochReport, EpochScores, FittedPoint, Outcome, Sweep};
pub use row_span::RowSpan;
pub use settings::{Checked, ClassWeights, GridPoint, Schedule, Settings, Start};
pub use softmax::{cross_entropy, log_sum_exp, softmax_in_place};
pub use split::Split;
pub use standardise::Standardiser;
pub use sweep::{train, train_stoppable};

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;
