//! Turns the only output into one float32 vector per picture, named `feature`.

use crate::candidates::feature_axis;
use crate::chain::Chain;
use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::node::Attr;
use crate::value::{Dim, TensorType};

/// Name of the output after [`Model::append_pooling`].
pub const FEATURE: &str = "feature";

/// How a map or a sequence becomes one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// `[N, D]` as it is; `[N, C, H, W]` averaged; `[N, T, C]` by the number of tokens T: one more
    /// than a square (196 + 1) has a class token, a square (49) has none and is averaged.
    #[default]
    Auto,
    /// Average of `[N, C, H, W]` over all positions.
    Average,
    /// First of the tokens of `[N, T, C]`.
    ClassToken,
    /// Mean of the tokens of `[N, T, C]`.
    Mean,
}

impl Model {
    /// Makes the only output `[N, D]`, float32, named [`FEATURE`], and returns D. A tensor of the
    /// model that has the name already is renamed. Averages are taken in float32 also where the
    /// model computes in float16.
    ///
    /// # Errors
    /// If there are several outputs, or the output does not have 2, 3 or 4 axes, or the pooling
    /// does not fit it, or D is unknown.
    pub fn append_pooling(&mut self, pooling: Pooling) -> Result<u64, Error> {
        let output = self.only_output()?;
        let found = self.tensors().tensor(&output);
        let (feature_dim, step) = plan(&found, pooling).map_err(|why| {
            let (element, shape) = (found.element_text(), found.shape_text());
            self.fail(Problem::NotPoolable { tensor: output.clone(), element, shape, why })
        })?;
        self.reserve(FEATURE);
        let output = self.only_output()?;
        let mut chain = Chain::new(self, "pool", &output);
        if found.element != Some(ElementType::F32) {
            let float = i64::from(ElementType::F32.code());
            chain.push("Cast", &[], &[("to", Attr::Int(float))]);
        }
        match step {
            Step::Nothing => {}
            Step::Positions => {
                chain.push("GlobalAveragePool", &[], &[]);
                chain.push("Flatten", &[], &[("axis", Attr::Int(1))]);
            }
            Step::FirstToken => {
                let first = chain.integers("first_token", &[], &[0]);
                chain.push("Gather", &[&first], &[("axis", Attr::Int(1))]);
            }
            Step::MeanToken if self.opset() >= 18 => {
                // The axes became an input in operator set 18.
                let axes = chain.integers("token_axis", &[1], &[1]);
                chain.push("ReduceMean", &[&axes], &[("keepdims", Attr::Int(0))]);
            }
            Step::MeanToken => {
                chain.push("ReduceMean", &[], &[("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(0))]);
            }
        }
        chain.append(self, FEATURE);
        let batch = found.shape.and_then(|shape| shape.into_iter().next()).unwrap_or(Dim::Unknown);
        let shape = Some(vec![batch, Dim::Fixed(feature_dim)]);
        let feature = TensorType { element: Some(ElementType::F32), shape };
        self.graph_mut().output = vec![feature.declare(FEATURE)];
        Ok(feature_dim)
    }

    pub(crate) fn only_output(&self) -> Result<String, Error> {
        match self.graph().output.as_slice() {
            [only] => Ok(only.name().to_owned()),
            several => {
                let outputs = several.iter().map(|output| output.name().to_owned()).collect();
                Err(self.fail(Problem::SeveralOutputs { outputs }))
            }
        }
    }
}

enum Step {
    Nothing,
    Positions,
    FirstToken,
    MeanToken,
}

fn plan(found: &TensorType, pooling: Pooling) -> Result<(u64, Step), &'static str> {
    if !found.element.is_none_or(ElementType::is_float) {
        return Err("features are floating-point numbers");
    }
    let shape = found.shape.as_deref().ok_or(
        "its shape is unknown; run `onnx.shape_inference.infer_shapes` over the model, or name another tensor with `--feature NAME`",
    )?;
    let step = match (shape.len(), pooling) {
        (2, Pooling::Auto) => Step::Nothing,
        (4, Pooling::Auto | Pooling::Average) => Step::Positions,
        (3, Pooling::ClassToken) => Step::FirstToken,
        (3, Pooling::Mean) => Step::MeanToken,
        (3, Pooling::Auto) => by_tokens(&shape[1])?,
        (2, _) => return Err("it has one vector per picture already; leave the pooling out"),
        (3, Pooling::Average) => return Err("it has tokens and not positions; choose class token or mean"),
        (4, _) => return Err("it has positions and not tokens; choose average"),
        _ => return Err("expected 2, 3 or 4 axes"),
    };
    let dim = feature_axis(shape).and_then(Dim::fixed).filter(|dim| *dim > 0);
    let unknown = "the length of its feature axis is unknown; run `onnx.shape_inference.infer_shapes` over the model";
    Ok((dim.ok_or(unknown)?, step))
}

fn by_tokens(tokens: &Dim) -> Result<Step, &'static str> {
    let is_square = |n: u64| n.isqrt().pow(2) == n;
    match tokens.fixed() {
        Some(n) if n > 0 && is_square(n - 1) => Ok(Step::FirstToken),
        Some(n) if is_square(n) => Ok(Step::MeanToken),
        _ => {
            Err("the number of its tokens does not tell whether the first is a class token; choose class token or mean")
        }
    }
}
