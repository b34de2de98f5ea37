//! The graph with the nodes of a plan in it.

use std::collections::HashMap;

use crate::element::ElementType;
use crate::model::Model;
use crate::names::Names;
use crate::node::{Attr, node};
use crate::proto::{NodeProto, TensorProto};
use crate::tensor;

use super::Range;
use super::plan::{Plan, Product};
use super::weights::Activation;

pub(super) struct Rewritten {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
}

/// `ranges` has every tensor of the plan that is measured.
pub(super) fn rewrite(model: &Model, plan: &Plan, ranges: &HashMap<&str, Range>) -> Rewritten {
    let measured = |name: &str| ranges[plan.same_range.get(name).map_or(name, String::as_str)];
    let activations = plan.tensors.iter().map(|name| (name.as_str(), Activation::of(measured(name)))).collect();
    let made = Rewritten { nodes: Vec::new(), constants: Vec::new() };
    let mut writer = Writer { names: Names::of(model.graph()), activations, made };
    for (index, node) in model.graph().node.iter().enumerate() {
        let mut node = node.clone();
        if let Some(product) = plan.products.get(&index) {
            writer.weights(&mut node, product);
        }
        // Readers go on reading the old name: the pair stands between them and the maker, whose result gets a new one.
        let pairs: Vec<_> = node.output.iter_mut().filter_map(|output| writer.pair_behind(output)).collect();
        writer.made.nodes.push(node);
        writer.made.nodes.extend(pairs.into_iter().flatten());
    }
    writer.made
}

struct Writer<'a> {
    names: Names,
    activations: HashMap<&'a str, Activation>,
    made: Rewritten,
}

impl Writer<'_> {
    /// Puts weights and bias as integers in front of a node.
    fn weights(&mut self, product: &mut NodeProto, found: &Product) {
        let input = self.activations[product.input[0].as_str()];
        let integers = found.weight.to_integers(found.bias.as_deref(), input);
        let dims: Vec<u64> = found.weight.dims.iter().map(|dim| *dim as u64).collect();
        let channels = [integers.scales.len() as u64];
        let bytes = integers.weights.iter().map(|w| w.to_le_bytes()[0]).collect();
        let stored = [
            self.constant("weight_int8", &dims, ElementType::I8, bytes),
            self.floats("weight_scale", &channels, &integers.scales),
            self.constant("weight_zero", &channels, ElementType::I8, vec![0; integers.scales.len()]),
        ];
        product.input[1] = self.dequantised(&stored, "weight", found.weight.axis);
        if let Some(bias) = integers.bias {
            let scales: Vec<f32> = integers.scales.iter().map(|scale| scale * input.scale).collect();
            let bytes = bias.iter().flat_map(|b| b.to_le_bytes()).collect();
            let stored = [
                self.constant("bias_int32", &channels, ElementType::I32, bytes),
                self.floats("bias_scale", &channels, &scales),
                self.constant("bias_zero", &channels, ElementType::I32, vec![0; 4 * scales.len()]),
            ];
            product.input[2] = self.dequantised(&stored, "bias", 0);
        }
    }

    fn dequantised(&mut self, stored: &[String; 3], name: &str, axis: usize) -> String {
        let name = self.names.fresh(&format!("quantise_{name}"));
        let inputs = stored.each_ref().map(String::as_str);
        let axis = ("axis", Attr::Int(axis as i64));
        self.made.nodes.push(node("DequantizeLinear", &inputs, &name, &[axis]));
        name
    }

    /// The two nodes behind a tensor that is to be in 8 bits; its maker then makes what the first of them reads.
    fn pair_behind(&mut self, output: &mut String) -> Option<[NodeProto; 2]> {
        let Activation { scale, zero } = *self.activations.get(output.as_str())?;
        let scale = self.floats("scale", &[], &[scale]);
        let zero = self.constant("zero", &[], ElementType::U8, vec![zero]);
        let (exact, bytes) = (self.names.fresh("quantise_exact"), self.names.fresh("quantise_bytes"));
        let to_bytes = node("QuantizeLinear", &[&exact, &scale, &zero], &bytes, &[]);
        // The maker may be called as its tensor, and names of nodes are unique too.
        let name = Some(self.names.fresh("quantise_back"));
        let back = NodeProto { name, ..node("DequantizeLinear", &[&bytes, &scale, &zero], output, &[]) };
        *output = exact;
        Some([to_bytes, back])
    }

    fn floats(&mut self, name: &str, dims: &[u64], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, dims, ElementType::F32, bytes)
    }

    fn constant(&mut self, name: &str, dims: &[u64], element: ElementType, bytes: Vec<u8>) -> String {
        let name = self.names.fresh(&format!("quantise_{name}"));
        self.made.constants.push(tensor::from_bytes(&name, dims, element, bytes));
        name
    }
}
