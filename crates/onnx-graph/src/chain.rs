//! A row of new nodes, each reading what the one before it made, with names that are free.

use std::collections::HashSet;

use crate::model::Model;
use crate::names::{self, Names};
use crate::node::{Attr, node};
use crate::proto::{NodeProto, TensorProto};
use crate::tensor;

pub(crate) struct Chain {
    names: Names,
    /// In front of every new name, so that a reader of the graph sees who put the nodes there.
    prefix: &'static str,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    opset: i64,
    /// The tensor made last.
    at: String,
}

impl Chain {
    pub(crate) fn new(model: &Model, prefix: &'static str, start: &str) -> Self {
        let names = Names::of(model.graph());
        Self { names, prefix, nodes: Vec::new(), constants: Vec::new(), opset: model.opset(), at: start.to_owned() }
    }

    /// Adds a node that reads the tensor made last, then `more` (an empty name leaves an input out).
    pub(crate) fn push(&mut self, op: &str, more: &[&str], attributes: &[(&str, Attr<'_>)]) {
        let output = self.names.fresh(&format!("{}_{}", self.prefix, op.to_lowercase()));
        let inputs: Vec<&str> = [self.at.as_str()].into_iter().chain(more.iter().copied()).collect();
        self.nodes.push(node(op, &inputs, &output, attributes));
        self.at = output;
    }

    /// As [`Chain::push`], but the tensor made last is what is read last, behind `first`.
    pub(crate) fn push_behind(&mut self, op: &str, first: &str) {
        let made = std::mem::replace(&mut self.at, first.to_owned());
        self.push(op, &[&made], &[]);
    }

    /// Adds a float32 constant and gives its name.
    pub(crate) fn floats(&mut self, name: &str, dims: &[u64], values: &[f32]) -> String {
        let name = self.names.fresh(&format!("{}_{name}", self.prefix));
        self.constants.push(tensor::from_floats(&name, dims, values));
        name
    }

    /// Adds an int64 constant and gives its name.
    pub(crate) fn integers(&mut self, name: &str, dims: &[u64], values: &[i64]) -> String {
        let name = self.names.fresh(&format!("{}_{name}", self.prefix));
        self.constants.push(tensor::from_integers(&name, dims, values));
        name
    }

    /// Version of the standard operator set that the nodes have to be written in.
    pub(crate) fn opset(&self) -> i64 {
        self.opset
    }

    /// Puts the nodes before all others; the last one makes `end`, which they read.
    pub(crate) fn prepend(self, model: &mut Model, end: &str) {
        let nodes = self.finish(model, end);
        model.graph_mut().node.splice(0..0, nodes);
    }

    /// Puts the nodes after all others; the last one makes `end`.
    pub(crate) fn append(self, model: &mut Model, end: &str) {
        let nodes = self.finish(model, end);
        model.graph_mut().node.extend(nodes);
    }

    /// Puts the nodes before the node that makes `reader`; gives the name of what the last one makes.
    pub(crate) fn insert_before(self, model: &mut Model, reader: &str) -> String {
        let end = self.at.clone();
        let at = model.graph().node.iter().position(|n| n.output.iter().any(|o| o == reader));
        let nodes = self.finish(model, &end);
        let graph = model.graph_mut();
        let at = at.unwrap_or(graph.node.len());
        graph.node.splice(at..at, nodes);
        end
    }

    fn finish(mut self, model: &mut Model, end: &str) -> Vec<NodeProto> {
        if self.nodes.is_empty() {
            self.push("Identity", &[], &[]);
        }
        if let Some(output) = self.nodes.last_mut().and_then(|node| node.output.first_mut()) {
            end.clone_into(output);
        }
        model.add_constants(self.constants);
        self.nodes
    }
}

impl Model {
    /// Adds initialisers, which then need not be listed as inputs, and no others are either.
    ///
    /// Up to IR version 3 all of them had to be, as if they had to be fed. Version 4 lifted that, and lets whoever runs
    /// the model override those that are listed all the same: the runtime then takes none of them for a constant, and
    /// fuses nothing into a weight.
    pub(crate) fn add_constants(&mut self, constants: Vec<TensorProto>) {
        if constants.is_empty() {
            return;
        }
        self.proto.ir_version = self.proto.ir_version.max(Some(4));
        let graph = self.graph_mut();
        graph.initializer.extend(constants);
        let names: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
        graph.input.retain(|input| !names.contains(input.name()));
    }

    /// Frees a name that the edited model shall use; a tensor of the model that has it gets another.
    pub(crate) fn reserve(&mut self, name: &str) {
        let mut taken = Names::of(self.graph());
        if taken.contains(name) {
            let other = taken.fresh(name);
            names::rename(self.graph_mut(), name, &other);
        }
    }
}
