//! Makes any tensor the only output and drops what it does not need.

use std::collections::HashSet;

use crate::error::{Error, Problem};
use crate::model::Model;
use crate::names::{nearest, reads, subgraphs};
use crate::proto::{FunctionProto, NodeProto, ValueInfoProto};
use crate::value::TensorType;

impl Model {
    /// Makes `tensor` the only output. Nodes, initialisers, inputs, functions and declarations that
    /// it does not depend on go, and so do training graphs, which speak of tensors that are gone.
    ///
    /// # Errors
    /// If there is no such tensor (the message offers the nearest names), or it is an input or a
    /// constant.
    pub fn cut(&mut self, tensor: &str) -> Result<(), Error> {
        let tensors = self.tensors();
        let not_cuttable = |why| self.fail(Problem::NotCuttable { tensor: tensor.to_owned(), why });
        if !self.graph().node.iter().any(|node| node.output.iter().any(|name| name == tensor && !name.is_empty())) {
            let graph = self.graph();
            if graph.input.iter().any(|input| input.name() == tensor) {
                return Err(not_cuttable("is an input of the model"));
            }
            if graph.initializer.iter().any(|constant| constant.name() == tensor) {
                return Err(not_cuttable("is a weight of the model"));
            }
            let names = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
            let nearest = nearest(tensor, names);
            return Err(self.fail(Problem::NoSuchTensor { tensor: tensor.to_owned(), nearest }));
        }
        if tensors.is_constant(tensor) {
            return Err(not_cuttable("is the same for every input"));
        }
        let output = self.declaration(tensor, &tensors.tensor(tensor));
        self.graph_mut().output = vec![output];
        self.drop_unneeded();
        Ok(())
    }

    /// Drops nodes, initialisers, inputs, functions and declarations that no output depends on, and
    /// training graphs, which speak of tensors that may be gone.
    pub(crate) fn drop_unneeded(&mut self) {
        let graph = self.graph_mut();
        let outputs: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
        let mut needed = outputs.clone();
        // From the back: a node is needed if a needed tensor comes out of it, and then so is all it reads.
        let mut keep: Vec<bool> = graph
            .node
            .iter()
            .rev()
            .map(|node| {
                let keep = node.output.iter().any(|name| needed.contains(name));
                if keep {
                    needed.extend(reads(node).into_iter().map(str::to_owned));
                }
                keep
            })
            .collect();
        graph.node.retain(|_| keep.pop().expect("one flag for each node"));
        // Outputs that a kept node makes besides remain in the graph, and so may their declarations.
        let made = graph.node.iter().flat_map(|node| &node.output);
        let alive: HashSet<&str> = made.chain(&needed).map(String::as_str).collect();
        graph.input.retain(|input| alive.contains(input.name()));
        graph.initializer.retain(|constant| alive.contains(constant.name()));
        graph.sparse_initializer.retain(|sparse| sparse.values.as_ref().is_some_and(|v| alive.contains(v.name())));
        graph.value_info.retain(|value| alive.contains(value.name()) && !outputs.contains(value.name()));
        graph.quantization_annotation.retain(|annotation| alive.contains(annotation.tensor_name()));
        self.proto.training_info.clear();
        self.drop_unused_functions();
    }

    /// What the file says about a tensor, completed by what was inferred.
    fn declaration(&self, tensor: &str, found: &TensorType) -> ValueInfoProto {
        let graph = self.graph();
        let mut declared = graph.output.iter().chain(&graph.value_info);
        let inferred = found.declare(tensor);
        match declared.find(|value| value.name() == tensor) {
            Some(declared) => ValueInfoProto { r#type: inferred.r#type, ..declared.clone() },
            None => inferred,
        }
    }

    fn drop_unused_functions(&mut self) {
        let mut used: HashSet<String> = HashSet::new();
        let mut queue: Vec<String> = Vec::new();
        let mut visit = |nodes: &[NodeProto], queue: &mut Vec<String>| {
            for op in nodes.iter().flat_map(operators) {
                if used.insert(op.clone()) {
                    queue.push(op);
                }
            }
        };
        visit(&self.graph().node, &mut queue);
        while let Some(op) = queue.pop() {
            for function in self.proto.functions.iter().filter(|function| function.name() == op) {
                visit(&function.node, &mut queue);
            }
        }
        self.proto.functions.retain(|function: &FunctionProto| used.contains(function.name()));
    }
}

/// Operators that a node calls, itself and in its subgraphs. By name alone: keeping a function of
/// another domain by mistake does no harm.
fn operators(node: &NodeProto) -> Vec<String> {
    let inner = subgraphs(node).flat_map(|graph| &graph.node).flat_map(operators);
    inner.chain([node.op_type().to_owned()]).collect()
}
