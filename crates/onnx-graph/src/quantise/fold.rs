//! BatchNormalization into the convolution before it.

use std::collections::HashMap;

use crate::element::ElementType;
use crate::model::Model;
use crate::names::{Names, reads};
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::shape::Tensors;
use crate::tensor;
use crate::wiring::Wiring;

/// PyTorch's default and ONNX's.
const EPSILON: f32 = 1e-5;

/// A convolution with other weights, and the node behind it that they make superfluous.
struct Folded {
    conv: usize,
    norm: usize,
    dims: Vec<u64>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Model {
    /// Where nothing but a BatchNormalization reads a convolution: w' = w · γ/√(σ² + ε), b' = (b − μ) · γ/√(σ² + ε) + β for
    /// each output channel (Jacob et al. 2018, eq. 14), in float64.
    pub(super) fn fold_batch_norms(&mut self) {
        let found = foldable(self.graph(), &self.tensors());
        let mut names = Names::of(self.graph());
        let mut constants = Vec::new();
        let graph = self.graph_mut();
        for Folded { conv, norm, dims, weight, bias } in &found {
            let (weight_name, bias_name) = (names.fresh("folded_weight"), names.fresh("folded_bias"));
            constants.push(tensor::from_floats(&weight_name, dims, weight));
            constants.push(tensor::from_floats(&bias_name, &[bias.len() as u64], bias));
            let output = graph.node[*norm].output[0].clone();
            let conv = &mut graph.node[*conv];
            conv.input.resize(3, String::new());
            (conv.input[1], conv.input[2]) = (weight_name, bias_name);
            conv.output[0] = output;
        }
        let mut gone: Vec<usize> = found.iter().map(|folded| folded.norm).collect();
        gone.sort_unstable();
        let mut at = 0..;
        graph.node.retain(|_| gone.binary_search(&at.next().expect("there are numbers enough")).is_err());
        if !found.is_empty() {
            self.add_constants(constants);
            self.drop_unneeded();
        }
    }
}

fn foldable(graph: &GraphProto, tensors: &Tensors) -> Vec<Folded> {
    let wiring = Wiring::of(graph);
    let readers = n_readers(graph);
    let makers: HashMap<&str, usize> =
        graph.node.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |name| (name.as_str(), i))).collect();
    let norms = graph.node.iter().enumerate().filter(|(_, node)| node.standard_op() == "BatchNormalization");
    norms
        .filter_map(|(norm, node)| {
            let input = node.reads_at(0)?;
            let conv = *makers.get(input)?;
            let is_alone = node.output.len() == 1 && readers.get(input) == Some(&1);
            // What is folded is float32, and so has to be what it meets.
            let in_float32 = tensors.tensor(graph.node[conv].reads_at(0)?).element == Some(ElementType::F32);
            if graph.node[conv].standard_op() != "Conv" || !is_alone || !in_float32 {
                return None;
            }
            fold(&graph.node[conv], node, &wiring).map(|(dims, weight, bias)| Folded { conv, norm, dims, weight, bias })
        })
        .collect()
}

fn fold(conv: &NodeProto, norm: &NodeProto, wiring: &Wiring<'_>) -> Option<(Vec<u64>, Vec<f32>, Vec<f32>)> {
    if norm.int("training_mode").unwrap_or(0) != 0 {
        return None;
    }
    let weight = wiring.constant(conv.reads_at(1)?)?;
    let n_channels = *weight.dims.first().filter(|n| **n > 0)?;
    let of_channels = |node: &NodeProto, index: usize| {
        wiring.constant(node.reads_at(index)?).map(|c| c.values).filter(|values| values.len() == n_channels)
    };
    let bias = match conv.reads_at(2) {
        Some(_) => of_channels(conv, 2)?,
        None => vec![0.0; n_channels],
    };
    let (gamma, beta) = (of_channels(norm, 1)?, of_channels(norm, 2)?);
    let (mean, variance) = (of_channels(norm, 3)?, of_channels(norm, 4)?);
    let epsilon = f64::from(norm.float("epsilon").unwrap_or(EPSILON));
    let (mut new_weight, mut new_bias) = (weight.values, Vec::with_capacity(n_channels));
    let n_of_channel = new_weight.len() / n_channels;
    if n_of_channel == 0 {
        return None;
    }
    for (channel, values) in new_weight.chunks_mut(n_of_channel).enumerate() {
        let factor = f64::from(gamma[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        values.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
        let shifted = f64::from(bias[channel]) - f64::from(mean[channel]);
        new_bias.push((shifted * factor + f64::from(beta[channel])) as f32);
    }
    let dims = weight.dims.iter().map(|dim| *dim as u64).collect();
    Some((dims, new_weight, new_bias))
}

/// How many nodes and outputs read each tensor.
pub(super) fn n_readers(graph: &GraphProto) -> HashMap<&str, usize> {
    let mut readers = HashMap::new();
    let outputs = graph.output.iter().map(ValueInfoProto::name);
    for name in graph.node.iter().flat_map(reads).chain(outputs) {
        *readers.entry(name).or_insert(0) += 1;
    }
    readers
}
