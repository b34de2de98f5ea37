//! The checks that a model passes before anything else looks at it. What comes out of the reader
//! has a graph with inputs and outputs, in topological order, each tensor made once and read only
//! after that, no foreign operators, and constants that are as long as they say.

use std::collections::HashSet;

use crate::error::Problem;
use crate::names::subgraphs;
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto};
use crate::tensor::{self, External};

/// The newest IR version whose every field `proto` knows (ONNX 1.23).
const NEWEST_IR_VERSION: i64 = 14;
/// The newest operator set of ONNX 1.23. The runtime may know fewer, and says so.
const NEWEST_OPSET: i64 = 28;

/// Domains whose operators the runtime brings along. `ai.onnx` is the long form of the empty one.
const KNOWN_DOMAINS: [&str; 5] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"];

pub(crate) fn check(model: &ModelProto, external: External) -> Result<(), Problem> {
    let Some(ir_version) = model.ir_version else {
        return Err(Problem::Incomplete { what: "IR version" });
    };
    if !(3..=NEWEST_IR_VERSION).contains(&ir_version) {
        return Err(Problem::IrVersion { found: ir_version, newest: NEWEST_IR_VERSION });
    }
    let graph = model.graph.as_ref().ok_or(Problem::Incomplete { what: "graph" })?;
    let opset = opset_version(&model.opset_import);
    match opset {
        None => return Err(Problem::Incomplete { what: "operator set (`opset_import`)" }),
        Some(version) if version < 7 => return Err(Problem::OpsetTooOld { found: version }),
        Some(version) if version > NEWEST_OPSET => {
            return Err(Problem::OpsetTooNew { found: version, newest: NEWEST_OPSET });
        }
        Some(_) => {}
    }
    if inputs(graph).next().is_none() {
        return Err(Problem::Incomplete { what: "input" });
    }
    if graph.output.is_empty() {
        return Err(Problem::Incomplete { what: "output" });
    }
    let mut checker =
        Checker { functions: &model.functions, imports: &model.opset_import, external, scopes: Vec::new() };
    checker.graph(graph)?;
    for function in &model.functions {
        let mut checker = Checker {
            functions: &model.functions,
            imports: &function.opset_import,
            external,
            scopes: vec![function.input.iter().map(String::as_str).collect()],
        };
        checker.nodes(&function.node)?;
    }
    Ok(())
}

/// Version of the standard operator set.
pub(crate) fn opset_version(imports: &[OperatorSetIdProto]) -> Option<i64> {
    let standard = imports.iter().find(|import| is_standard(import.domain()));
    standard.map(OperatorSetIdProto::version)
}

pub(crate) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The inputs that a caller has to feed. Up to IR version 3 every initialiser was listed as input too.
pub(crate) fn inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let constants: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    graph.input.iter().filter(move |input| !constants.contains(input.name()))
}

/// How messages call a node: its name where it has one, and its operator.
pub(crate) fn node_label(node: &NodeProto) -> String {
    let op = node.op_type().escape_debug();
    match node.name() {
        "" => format!("{op} (making {:?})", node.output.first().map_or("", String::as_str)),
        name => format!("{name:?} ({op})"),
    }
}

struct Checker<'a> {
    functions: &'a [FunctionProto],
    imports: &'a [OperatorSetIdProto],
    external: External,
    /// Names that exist so far, one set per level of nesting; the last is that of the graph at hand.
    scopes: Vec<HashSet<&'a str>>,
}

impl<'a> Checker<'a> {
    fn graph(&mut self, graph: &'a GraphProto) -> Result<(), Problem> {
        let nameless = |what| Err(Problem::Incomplete { what });
        let mut known = HashSet::new();
        for input in &graph.input {
            if input.name().is_empty() {
                return nameless("name on one of its inputs");
            }
            if !known.insert(input.name()) {
                return Err(made_twice(input.name(), "another input"));
            }
        }
        let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        let mut constants = HashSet::new();
        for constant in graph.initializer.iter().chain(sparse) {
            if constant.name().is_empty() {
                return nameless("name on one of its initialisers");
            }
            if !constants.insert(constant.name()) {
                return Err(made_twice(constant.name(), "another initialiser"));
            }
            known.insert(constant.name());
        }
        // The element count of a sparse tensor is not its shape's, so only dense ones are checked.
        graph.initializer.iter().try_for_each(|constant| tensor::check(constant, self.external))?;
        self.scopes.push(known);
        self.nodes(&graph.node)?;
        for output in &graph.output {
            if !self.knows(output.name()) {
                return Err(Problem::OutputNotMade { tensor: output.name().to_owned() });
            }
        }
        self.scopes.pop();
        Ok(())
    }

    fn nodes(&mut self, nodes: &'a [NodeProto]) -> Result<(), Problem> {
        let made_here: HashSet<&str> = nodes.iter().flat_map(|node| &node.output).map(String::as_str).collect();
        for node in nodes {
            self.operator(node)?;
            for name in node.input.iter().filter(|name| !name.is_empty()) {
                if self.knows(name) {
                    continue;
                }
                let (node, tensor) = (node_label(node), name.clone());
                return Err(match made_here.contains(name.as_str()) {
                    true => Problem::OutOfOrder { node, tensor },
                    false => Problem::Dangling { node, tensor },
                });
            }
            for attribute in &node.attribute {
                let mut tensors = attribute.t.iter().chain(&attribute.tensors);
                tensors.try_for_each(|constant| tensor::check(constant, self.external))?;
            }
            for inner in subgraphs(node) {
                self.graph(inner)?;
            }
            let known = self.scopes.last_mut().expect("a scope is pushed before its nodes are looked at");
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                if !known.insert(name) {
                    return Err(made_twice(name, &node_label(node)));
                }
            }
        }
        Ok(())
    }

    fn operator(&self, node: &NodeProto) -> Result<(), Problem> {
        if node.op_type().is_empty() {
            return Err(Problem::Incomplete { what: "operator type on one of its nodes" });
        }
        let same = |a: &str, b: &str| a == b || (is_standard(a) && is_standard(b));
        let domain = node.domain();
        let defined_here =
            self.functions.iter().any(|function| function.name() == node.op_type() && same(function.domain(), domain));
        if !defined_here && !KNOWN_DOMAINS.contains(&domain) {
            return Err(Problem::CustomOperator { node: node_label(node), domain: domain.to_owned() });
        }
        if !self.imports.iter().any(|import| same(import.domain(), domain)) {
            return Err(Problem::OpsetMissing { node: node_label(node), domain: domain.to_owned() });
        }
        Ok(())
    }

    fn knows(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }
}

fn made_twice(tensor: &str, second: &str) -> Problem {
    Problem::MadeTwice { tensor: tensor.to_owned(), second: second.to_owned() }
}
