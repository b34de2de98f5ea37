//! A session that turns stored u8 pixels into class probabilities, logits and features: a `classifier.onnx`.

use ndarray::{Array2, ArrayView4, Axis};
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use crate::batches::{fixed_batch, in_batches};
use crate::error::run_error;
use crate::{Error, Placement, Provider, Result, Runtime};

/// Names of the outputs, in the order of [`Predicted`]'s fields.
const OUTPUTS: [&str; 3] = ["probabilities", "logits", "features"];

/// A loaded classifier: u8 pixels `[n, height, width, 3]` in, [`Predicted`] out.
#[derive(Debug)]
pub struct Classifier {
    session: Session,
    provider: Provider,
    /// The number of rows that the model insists on, if it does.
    fixed_batch: Option<usize>,
    /// Lengths of a row of each output.
    widths: [usize; 3],
}

/// What a classifier says of `n` pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// float32 `[n, n_classes]`, `softmax(logits / temperature)`.
    pub probabilities: Array2<f32>,
    /// float32 `[n, n_classes]`, before the temperature.
    pub logits: Array2<f32>,
    /// float32 `[n, feature_dim]`, what the head reads.
    pub features: Array2<f32>,
}

impl Classifier {
    /// Loads a model from memory to where it is to run. Its outputs are told by
    /// their names, so that their order does not matter.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when CUDA was asked for and is not to be had, [`Error::Model`] when the
    /// runtime refuses the model, [`Error::Port`] when it lacks one of the outputs.
    pub fn load(runtime: &Runtime, model: &[u8], placement: Placement<'_>) -> Result<Self> {
        let (session, provider) = placement.load(runtime, model, None)?;
        let mut widths = [0; 3];
        for (width, name) in widths.iter_mut().zip(OUTPUTS) {
            *width = declared_width(session.outputs(), name)?;
        }
        let [n_classes, n_logits, _] = widths;
        if n_classes != n_logits {
            let found = format!("{n_logits} numbers a row, and `{}` has {n_classes}", OUTPUTS[0]);
            return Err(Error::Port { name: OUTPUTS[1], found });
        }
        Ok(Self { fixed_batch: fixed_batch(&session), session, provider, widths })
    }

    /// Where it runs.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.widths[0]
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn feature_dim(&self) -> usize {
        self.widths[2]
    }

    /// What the classifier says of a batch of pictures.
    ///
    /// A model with a fixed batch size is fed so many rows at a time, the last ones filled up with
    /// zeros whose results are dropped.
    ///
    /// # Errors
    /// [`Error::Run`] or [`Error::OutOfMemory`] when the runtime fails, [`Error::Output`] when a
    /// result has another shape than the model declares.
    pub fn run(&mut self, pixels: ArrayView4<'_, u8>) -> Result<Predicted> {
        let [probabilities, logits, features] = in_batches(self.fixed_batch, pixels, |rows| self.run_batch(rows))?;
        Ok(Predicted { probabilities, logits, features })
    }

    fn run_batch(&mut self, pixels: ArrayView4<'_, u8>) -> Result<[Array2<f32>; 3]> {
        let rows = pixels.len_of(Axis(0));
        let provider = self.provider;
        let fail = |e: &dyn std::error::Error| run_error(e, provider, rows);
        let input = TensorRef::from_array_view(pixels).map_err(|e| fail(&e))?;
        let outputs = self.session.run(ort::inputs![input]).map_err(|e| fail(&e))?;
        let mut found = [(); 3].map(|()| Array2::default((0, 0)));
        for ((found, name), dim) in found.iter_mut().zip(OUTPUTS).zip(self.widths) {
            let output = &outputs[name];
            let wrong = || Error::Output { found: output.dtype().to_string(), rows, dim };
            let array = output.try_extract_array::<f32>().map_err(|_| wrong())?;
            let array = array.into_dimensionality().map_err(|_| wrong())?;
            if array.dim() != (rows, dim) {
                return Err(wrong());
            }
            *found = array.to_owned();
        }
        Ok(found)
    }
}

/// The length of a row of the output `name`, as the model declares it.
fn declared_width(outputs: &[Outlet], name: &'static str) -> Result<usize> {
    let Some(output) = outputs.iter().find(|output| output.name() == name) else {
        let names: Vec<_> = outputs.iter().map(Outlet::name).collect();
        return Err(Error::Port { name, found: format!("the outputs {}", names.join(", ")) });
    };
    let width = match output.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => match shape[..] {
            [_, width] => usize::try_from(width).ok().filter(|width| *width > 0),
            _ => None,
        },
        _ => None,
    };
    width.ok_or_else(|| Error::Port { name, found: output.dtype().to_string() })
}
