//! A session that turns stored u8 pixels into feature vectors.

use ndarray::{Array2, ArrayView4, Axis};
use ort::session::Session;
use ort::value::TensorRef;

use crate::batches::{fixed_batch, in_batches};
use crate::error::run_error;
use crate::{Error, Placement, Provider, Result, Runtime};

/// A loaded network: u8 pixels `[n, height, width, 3]` in, float32 `[n, feature_dim]` out.
#[derive(Debug)]
pub struct Backbone {
    session: Session,
    provider: Provider,
    /// The number of rows that the model insists on, if it does.
    fixed_batch: Option<usize>,
    feature_dim: usize,
}

impl Backbone {
    /// Loads a model from memory to where it is to run.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when CUDA was asked for and is not to be had, [`Error::Model`] when the
    /// runtime refuses the model.
    pub fn load(runtime: &Runtime, model: &[u8], feature_dim: usize, placement: Placement<'_>) -> Result<Self> {
        let (session, provider) = placement.load(runtime, model, None)?;
        Ok(Self { fixed_batch: fixed_batch(&session), session, provider, feature_dim })
    }

    /// Where it runs.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The features of a batch of pictures, float32 `[n, feature_dim]`.
    ///
    /// A model with a fixed batch size is fed so many rows at a time, the last ones filled up with
    /// zeros whose features are dropped.
    ///
    /// # Errors
    /// [`Error::Run`] or [`Error::OutOfMemory`] when the runtime fails, [`Error::Output`] when the
    /// result has another shape.
    pub fn run(&mut self, pixels: ArrayView4<'_, u8>) -> Result<Array2<f32>> {
        let [features] = in_batches(self.fixed_batch, pixels, |rows| Ok([self.run_batch(rows)?]))?;
        Ok(features)
    }

    fn run_batch(&mut self, pixels: ArrayView4<'_, u8>) -> Result<Array2<f32>> {
        let rows = pixels.len_of(Axis(0));
        let (provider, dim) = (self.provider, self.feature_dim);
        let fail = |e: &dyn std::error::Error| run_error(e, provider, rows);
        let input = TensorRef::from_array_view(pixels).map_err(|e| fail(&e))?;
        let outputs = self.session.run(ort::inputs![input]).map_err(|e| fail(&e))?;
        let output = &outputs[0];
        let wrong = || Error::Output { found: output.dtype().to_string(), rows, dim };
        let features = output.try_extract_array::<f32>().map_err(|_| wrong())?;
        let features = features.into_dimensionality().map_err(|_| wrong())?;
        if features.dim() == (rows, dim) { Ok(features.to_owned()) } else { Err(wrong()) }
    }
}
