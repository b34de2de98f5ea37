//! Which nodes compute in 8 bits, and which tensors that takes a range of.

use std::collections::{HashMap, HashSet};

use crate::element::ElementType;
use crate::model::Model;
use crate::preprocess::PREFIX;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::shape::Tensors;
use crate::value::Dim;
use crate::wiring::Wiring;

use super::fold::n_readers;
use super::weights::Weight;

/// What is put into 8 bits.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Nodes with constant weights, by their place in the graph.
    pub(super) products: HashMap<usize, Product>,
    /// Tensors that get a pair of nodes behind them, in the order of the graph.
    pub(super) tensors: Vec<String>,
    /// Tensors among them with the range of another: what a MaxPool gives is in the range of what it reads, and with the
    /// same scale it works on bytes.
    pub(super) same_range: HashMap<String, String>,
}

/// A node with its constant weights.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) weight: Weight,
    /// Float32 `[output channels]`, if it has a bias.
    pub(super) bias: Option<Vec<f32>>,
}

impl Plan {
    pub(super) fn of(model: &Model) -> Self {
        let (graph, tensors) = (model.graph(), model.tensors());
        let mut planner = Planner {
            tensors: &tensors,
            wiring: Wiring::of(graph),
            readers: Readers::of(graph),
            batch: batch(graph, &tensors),
            plan: Self::default(),
            chosen: HashSet::new(),
        };
        for (index, node) in graph.node.iter().enumerate() {
            planner.visit(index, node);
        }
        planner.plan.tensors = in_order(graph, &planner.chosen);
        planner.plan
    }

    /// Tensors whose range has to be measured.
    pub(super) fn measured(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(String::as_str).filter(|name| !self.same_range.contains_key(*name))
    }
}

/// Chosen tensors that a node makes; an input of the graph cannot be renamed, and is bytes here.
fn in_order(graph: &GraphProto, chosen: &HashSet<&str>) -> Vec<String> {
    graph.node.iter().flat_map(|node| &node.output).filter(|name| chosen.contains(name.as_str())).cloned().collect()
}

/// The size of the batch, which tells activations from everything else.
fn batch(graph: &GraphProto, tensors: &Tensors) -> Option<Dim> {
    let fed = graph.input.iter().map(ValueInfoProto::name).find(|name| !tensors.is_constant(name))?;
    tensors.shape(fed)?.first().cloned()
}

struct Readers<'a> {
    counts: HashMap<&'a str, usize>,
    /// The last node that reads a tensor; the only one where the count is 1.
    last: HashMap<&'a str, &'a NodeProto>,
}

impl<'a> Readers<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let reads = |node: &'a NodeProto| node.input.iter().map(move |name| (name.as_str(), node));
        Self { counts: n_readers(graph), last: graph.node.iter().flat_map(reads).collect() }
    }

    fn only(&self, tensor: &str) -> Option<&'a NodeProto> {
        (self.counts.get(tensor) == Some(&1)).then(|| self.last.get(tensor).copied())?
    }
}

struct Planner<'a> {
    tensors: &'a Tensors,
    wiring: Wiring<'a>,
    readers: Readers<'a>,
    batch: Option<Dim>,
    plan: Plan,
    chosen: HashSet<&'a str>,
}

impl<'a> Planner<'a> {
    fn visit(&mut self, index: usize, node: &'a NodeProto) {
        let Some(output) = node.output.first().map(String::as_str) else { return };
        match node.standard_op() {
            "Conv" | "Gemm" | "MatMul" => {
                let Some(product) = self.product(node) else { return };
                self.plan.products.insert(index, product);
                self.chosen.insert(node.input[0].as_str());
                self.choose_result(output);
            }
            // A residual sum, or branches side by side: in 8 bits if all that goes in is.
            "Add" if self.comes_in_8_bits(node) && self.has_one_shape(node) => self.choose_result(output),
            "Concat" if self.comes_in_8_bits(node) => self.choose_result(output),
            "MaxPool" if node.output.len() == 1 && self.comes_in_8_bits(node) => {
                let input = node.input[0].clone();
                let measured = self.plan.same_range.get(&input).cloned().unwrap_or(input);
                self.plan.same_range.insert(output.to_owned(), measured);
                self.chosen.insert(output);
            }
            _ => {}
        }
    }

    /// The tensor to be in 8 bits behind a node: what a Relu or Clip makes of its output, where nothing else reads it. The
    /// runtime then drops the Relu, since the range already ends where it cuts.
    fn choose_result(&mut self, output: &'a str) {
        let cut = self.readers.only(output).filter(|node| matches!(node.standard_op(), "Relu" | "Clip"));
        let cut = cut.filter(|node| node.input[0] == output).and_then(|node| node.output.first());
        self.chosen.insert(cut.map_or(output, String::as_str));
    }

    fn comes_in_8_bits(&self, node: &NodeProto) -> bool {
        !node.input.is_empty() && node.input.iter().all(|name| self.chosen.contains(name.as_str()))
    }

    fn has_one_shape(&self, node: &NodeProto) -> bool {
        let mut shapes = node.input.iter().map(|name| self.tensors.shape(name));
        let first = shapes.next().flatten();
        first.is_some() && shapes.all(|shape| shape == first)
    }

    fn product(&self, node: &NodeProto) -> Option<Product> {
        // What enlarges pictures before the network sees them stays exact.
        if node.name().starts_with(PREFIX) {
            return None;
        }
        let input = node.reads_at(0)?;
        let found = self.tensors.get(input)?;
        let is_activation = self.wiring.maker(input).is_some() && !found.constant;
        let first = found.tensor.shape.as_ref().and_then(|shape| shape.first());
        if !is_activation || found.tensor.element != Some(ElementType::F32) || first != self.batch.as_ref() {
            return None;
        }
        let constant = self.wiring.constant(node.reads_at(1)?)?;
        let axis = match node.standard_op() {
            "Conv" => 0,
            "Gemm" => {
                let is_one = |name: &str| node.float(name).unwrap_or(1.0) == 1.0;
                let is_plain = is_one("alpha") && is_one("beta") && node.int("transA").unwrap_or(0) == 0;
                let transposed = node.int("transB").unwrap_or(0) != 0;
                is_plain.then_some(usize::from(!transposed))?
            }
            _ => (constant.dims.len() == 2).then_some(1)?,
        };
        let weight = Weight::new(constant, axis)?;
        let bias = match node.reads_at(2) {
            Some(name) => {
                // `[n]` or `[1, n]`: a Gemm may also add one number a row.
                let (bias, n) = (self.wiring.constant(name)?, weight.n_channels());
                let is_of_channels = bias.dims.last() == Some(&n) && bias.values.len() == n;
                Some(is_of_channels.then_some(bias.values)?)
            }
            None => None,
        };
        Some(Product { weight, bias })
    }
}
