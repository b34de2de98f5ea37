//! Int8 inference: pairs of QuantizeLinear and DequantizeLinear around the products of a network, which a runtime turns
//! into integer arithmetic.
//!
//! The form is the one that ONNX Runtime is fastest with on processors with VNNI: activations in uint8 with a zero point
//! of their own, weights in int8, symmetric, with a scale for each output channel (Jacob et al. 2018, "Quantization and
//! Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", eq. 1; Krishnamoorthi 2018, §2).
//! What a range is taken from is the caller's business: [`Model::observe_ranges`] makes a graph that tells the least and the
//! largest value of every tensor in question for each picture, [`Model::quantise`] takes what came out.
//!
//! - `fold` takes BatchNormalization into the convolution before it, so that it needs no pair of its own;
//! - `plan` says which tensors are to be in 8 bits;
//! - `weights` is the arithmetic;
//! - `rewrite` puts the nodes in.

mod fold;
mod plan;
mod rewrite;
mod weights;

use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::names::Names;
use crate::node::{Attr, node};
use crate::tensor;
use crate::value::{Dim, TensorType};
use plan::Plan;

/// Name of the output after [`Model::observe_ranges`].
pub const RANGES: &str = "ranges";

/// The operator set in which scales became possible for each channel.
const OPSET_OF_CHANNELS: i64 = 13;

/// The least and the largest value that a tensor was seen with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Least value.
    pub low: f32,
    /// Largest value.
    pub high: f32,
}

/// Entry of the metadata that programs which run the model look at.
const PRECISION: &str = "headstart.precision";

impl Model {
    /// Prepares the model for [`Model::quantise`]: BatchNormalization goes into the convolutions. Gives the tensors whose
    /// ranges are needed, in the order of the graph.
    ///
    /// # Errors
    /// [`Problem::NothingToQuantise`] where no product of float32 activations with constant weights is found, and
    /// [`Problem::QuantisingNeedsOpset13`] for an older operator set.
    pub fn prepare_quantisation(&mut self) -> Result<Vec<String>, Error> {
        if self.opset() < OPSET_OF_CHANNELS {
            return Err(self.fail(Problem::QuantisingNeedsOpset13 { found: self.opset() }));
        }
        self.fold_batch_norms();
        let plan = Plan::of(self);
        if plan.products.is_empty() {
            return Err(self.fail(Problem::NothingToQuantise));
        }
        Ok(plan.measured().map(str::to_owned).collect())
    }

    /// Makes the only output [`RANGES`], float32 `[N, 2 · tensors + feature_dim]`: for each picture the least and the largest
    /// value of each tensor, side by side, and behind them the tensor `feature`, float32 `[N, feature_dim]`.
    pub fn observe_ranges(&mut self, tensors: &[String], feature: &str, feature_dim: u64) {
        self.reserve(RANGES);
        let batch = self.graph().input.first().map(TensorType::of).and_then(|input| input.shape?.into_iter().next());
        let mut names = Names::of(self.graph());
        let (mut nodes, mut columns) = (Vec::new(), Vec::new());
        // The axes became an input in operator set 18.
        let axes = (self.opset() >= 18).then(|| names.fresh("range_axis"));
        for tensor in tensors {
            let flat = names.fresh("range_flat");
            nodes.push(node("Flatten", &[tensor], &flat, &[("axis", Attr::Int(1))]));
            for op in ["ReduceMin", "ReduceMax"] {
                let column = names.fresh("range_column");
                nodes.push(match &axes {
                    Some(axes) => node(op, &[&flat, axes], &column, &[("keepdims", Attr::Int(1))]),
                    None => node(op, &[&flat], &column, &[("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(1))]),
                });
                columns.push(column);
            }
        }
        let width = Dim::Fixed(columns.len() as u64 + feature_dim);
        let columns: Vec<&str> = columns.iter().map(String::as_str).chain([feature]).collect();
        nodes.push(node("Concat", &columns, RANGES, &[("axis", Attr::Int(1))]));
        if let Some(axes) = axes {
            self.add_constants(vec![tensor::from_integers(&axes, &[1], &[1])]);
        }
        let shape = Some(vec![batch.unwrap_or(Dim::Unknown), width]);
        let graph = self.graph_mut();
        graph.node.extend(nodes);
        graph.output = vec![TensorType { element: Some(ElementType::F32), shape }.declare(RANGES)];
        self.drop_unneeded();
    }

    /// Puts the products into 8 bits. `ranges` are those of the tensors that [`Model::prepare_quantisation`] gave, in that
    /// order. The names of tensors that can be told from outside stay. The metadata says so, as `headstart.precision`.
    ///
    /// # Errors
    /// [`Problem::RangeUnknown`] for a range that is missing or not finite.
    pub fn quantise(&mut self, ranges: &[Range]) -> Result<(), Error> {
        let plan = Plan::of(self);
        let measured: Vec<&str> = plan.measured().collect();
        let is_usable = |range: &Range| range.low.is_finite() && range.high.is_finite() && range.low <= range.high;
        let unusable = measured.iter().enumerate().find(|(i, _)| !ranges.get(*i).is_some_and(is_usable));
        if let Some((i, tensor)) = unusable {
            let found = ranges.get(i).map_or("nothing".to_owned(), |range| format!("{} to {}", range.low, range.high));
            return Err(self.fail(Problem::RangeUnknown { tensor: (*tensor).to_owned(), found }));
        }
        let ranges = measured.into_iter().zip(ranges.iter().copied()).collect();
        let rewritten = rewrite::rewrite(self, &plan, &ranges);
        let graph = self.graph_mut();
        graph.node = rewritten.nodes;
        self.add_constants(rewritten.constants);
        self.drop_unneeded();
        self.set_metadata_prop(PRECISION, "int8");
        Ok(())
    }

    /// Whether [`Model::quantise`] made it what it is.
    #[must_use]
    pub fn is_int8(&self) -> bool {
        self.metadata().metadata_props.iter().any(|(key, value)| key == PRECISION && value == "int8")
    }
}
