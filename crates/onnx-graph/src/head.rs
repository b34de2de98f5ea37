//! Puts a linear head and a softmax behind a model that gives feature vectors.

use crate::chain::Chain;
use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::names;
use crate::node::Attr;
use crate::value::{Dim, TensorType};

/// Name of the first output after [`Model::append_head`].
pub const PROBABILITIES: &str = "probabilities";
/// Name of the second output after [`Model::append_head`].
pub const LOGITS: &str = "logits";
/// Name of the third output after [`Model::append_head`].
pub const FEATURES: &str = "features";

impl Model {
    /// Appends `logits = weight · features + bias` and `probabilities = softmax(logits / temperature)`, both
    /// `[N, n_classes]` float32. The outputs are then [`PROBABILITIES`], [`LOGITS`] and [`FEATURES`], which the
    /// output that was there is renamed to. Other tensors of the model that have these names are renamed.
    ///
    /// `weight` is `[n_classes, feature_dim]` row-major, `bias` is `[n_classes]`.
    ///
    /// # Errors
    /// If the model does not have one float32 output `[N, feature_dim]`, or a length or the temperature is wrong.
    pub fn append_head(&mut self, weight: &[f32], bias: &[f32], temperature: f32) -> Result<(), Error> {
        let output = self.only_output()?;
        let found = self.tensors().tensor(&output);
        let head = |what, found: String, expected: String| self.fail(Problem::Head { what, found, expected });
        let (batch, feature_dim) = match (found.element, found.shape.as_deref()) {
            (Some(ElementType::F32), Some([batch, Dim::Fixed(dim)])) => (batch.clone(), *dim),
            _ => {
                let expected = "float32 [N, feature_dim]; append pooling first".to_owned();
                return Err(head("the model's output", found.to_string(), expected));
            }
        };
        let n_classes = bias.len() as u64;
        if n_classes == 0 {
            return Err(head("number of classes", "0".to_owned(), "1 or more".to_owned()));
        }
        if Some(weight.len() as u64) != n_classes.checked_mul(feature_dim) {
            let expected = format!("{n_classes} classes x {feature_dim} features");
            return Err(head("length of the weight", weight.len().to_string(), expected));
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(head("temperature", temperature.to_string(), "a finite number above 0".to_owned()));
        }
        self.reserve(LOGITS);
        self.reserve(PROBABILITIES);
        if output != FEATURES {
            self.reserve(FEATURES);
        }
        let output = self.only_output()?;
        names::rename(self.graph_mut(), &output, FEATURES);
        let mut chain = Chain::new(self, "head", FEATURES);
        let weight = chain.floats("weight", &[n_classes, feature_dim], weight);
        let bias = chain.floats("bias", &[n_classes], bias);
        chain.push("Gemm", &[&weight, &bias], &[("transB", Attr::Int(1))]);
        chain.append(self, LOGITS);
        let mut chain = Chain::new(self, "head", LOGITS);
        if temperature != 1.0 {
            let temperature = chain.floats("temperature", &[], &[temperature]);
            chain.push("Div", &[&temperature], &[]);
        }
        chain.push("Softmax", &[], &[("axis", Attr::Int(1))]);
        chain.append(self, PROBABILITIES);
        let declare = |name, width| {
            let shape = Some(vec![batch.clone(), Dim::Fixed(width)]);
            TensorType { element: Some(ElementType::F32), shape }.declare(name)
        };
        self.graph_mut().output =
            vec![declare(PROBABILITIES, n_classes), declare(LOGITS, n_classes), declare(FEATURES, feature_dim)];
        Ok(())
    }
}
