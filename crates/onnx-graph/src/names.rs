//! Names of tensors: which are taken, a fresh one, the nearest to a misspelt one, and renaming.

use std::collections::HashSet;

use crate::proto::{GraphProto, NodeProto, ValueInfoProto};

/// The graphs inside a node (branches of If, bodies of Loop and Scan).
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// Every tensor that a node reads, its subgraphs' reads from the outside included.
///
/// Names that a subgraph makes for itself are in the list too: that costs nothing, because whoever
/// asks only wants to know what must be kept.
pub(crate) fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    for graph in subgraphs(node) {
        names.extend(graph.node.iter().flat_map(reads));
        names.extend(graph.output.iter().map(ValueInfoProto::name));
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The names in use in a graph and its subgraphs; hands out fresh ones.
pub(crate) struct Names(HashSet<String>);

impl Names {
    pub(crate) fn of(graph: &GraphProto) -> Self {
        let mut taken = HashSet::new();
        collect(graph, &mut taken);
        Self(taken)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// `wanted`, or `wanted_1`, `wanted_2`, … if it is taken; taken from now on.
    pub(crate) fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut suffix = 0u64;
        while !self.0.insert(name.clone()) {
            suffix += 1;
            name = format!("{wanted}_{suffix}");
        }
        name
    }
}

fn collect(graph: &GraphProto, taken: &mut HashSet<String>) {
    let declared = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    taken.extend(declared.map(|value| value.name().to_owned()));
    taken.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    taken.extend(sparse.map(|tensor| tensor.name().to_owned()));
    for node in &graph.node {
        // Node names live in a name space of their own, but tools mix the two up; avoid both.
        taken.extend(node.input.iter().chain(&node.output).chain(&node.name).cloned());
        for inner in subgraphs(node) {
            collect(inner, taken);
        }
    }
}

/// Renames a tensor wherever it is mentioned. `to` must be fresh.
pub(crate) fn rename(graph: &mut GraphProto, from: &str, to: &str) {
    let set = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    let declared = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    declared.filter_map(|value| value.name.as_mut()).for_each(set);
    graph.initializer.iter_mut().filter_map(|tensor| tensor.name.as_mut()).for_each(set);
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|tensor| tensor.values.as_mut());
    sparse.filter_map(|tensor| tensor.name.as_mut()).for_each(set);
    for annotation in &mut graph.quantization_annotation {
        annotation.tensor_name.iter_mut().for_each(set);
        let parameters = annotation.quant_parameter_tensor_names.iter_mut();
        parameters.filter_map(|entry| entry.value.as_mut()).for_each(set);
    }
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(set);
        for attribute in &mut node.attribute {
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                rename(inner, from, to);
            }
        }
    }
}

/// Up to three names that resemble `name`, the best first.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> =
        names.map(|other| (strsim::jaro_winkler(name, other), other)).filter(|(score, _)| *score > 0.7).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup();
    scored.into_iter().take(3).map(|(_, other)| format!("{other:?}")).collect()
}
