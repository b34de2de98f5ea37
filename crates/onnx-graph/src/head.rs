//! Puts a linear head and a softmax behind a model that gives feature vectors.

use crate::chain::Chain;
use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::node::Attr;
use crate::value::{Dim, TensorType};

/// Name of the first output after [`Model::append_head`].
pub const PROBABILITIES: &str = "probabilities";
/// Name of the second output after [`Model::append_head`].
pub const LOGITS: &str = "logits";

impl Model {
    /// Appends `logits = weight · feature + bias` and `probabilities = softmax(logits)`, both
    /// `[N, n_classes]` float32, and makes them the outputs, [`PROBABILITIES`] first. Tensors of the
    /// model that have these names already are renamed.
    ///
    /// `weight` is `[n_classes, feature_dim]` row-major, `bias` is `[n_classes]`.
    ///
    /// # Errors
    /// If the model does not have one float32 output `[N, feature_dim]`, or a length is wrong.
    pub fn append_head(&mut self, weight: &[f32], bias: &[f32]) -> Result<(), Error> {
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
        self.reserve(LOGITS);
        self.reserve(PROBABILITIES);
        let output = self.only_output()?;
        let mut chain = Chain::new(self, "head", &output);
        let weight = chain.floats("weight", &[n_classes, feature_dim], weight);
        let bias = chain.floats("bias", &[n_classes], bias);
        chain.push("Gemm", &[&weight, &bias], &[("transB", Attr::Int(1))]);
        chain.append(self, LOGITS);
        let mut chain = Chain::new(self, "head", LOGITS);
        chain.push("Softmax", &[], &[("axis", Attr::Int(1))]);
        chain.append(self, PROBABILITIES);
        let shape = Some(vec![batch, Dim::Fixed(n_classes)]);
        let tensor = TensorType { element: Some(ElementType::F32), shape };
        self.graph_mut().output = vec![tensor.declare(PROBABILITIES), tensor.declare(LOGITS)];
        Ok(())
    }
}
