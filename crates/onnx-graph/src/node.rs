//! Nodes: reading their attributes, and making new ones.

use bytes::Bytes;

use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::validate::is_standard;

impl NodeProto {
    /// Operator name if it is a standard one, else the empty string, which no rule matches.
    pub(crate) fn standard_op(&self) -> &str {
        if is_standard(self.domain()) { self.op_type() } else { "" }
    }

    /// Name of input `index`; `None` if it is left out.
    pub(crate) fn reads_at(&self, index: usize) -> Option<&str> {
        self.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(crate) fn attr(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name() == name)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.attr(name)?.i
    }

    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        self.attr(name)?.f
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        Some(&self.attr(name)?.ints)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&[u8]> {
        Some(self.attr(name)?.s())
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attr(name)?.t.as_ref()
    }
}

/// The value of an attribute of a new node.
#[derive(Clone, Copy)]
pub(crate) enum Attr<'a> {
    Int(i64),
    Float(f32),
    Ints(&'a [i64]),
    Text(&'static str),
}

/// A node of the standard operator set, named after its output.
pub(crate) fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attr<'_>)]) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: Some(output.to_owned()),
        op_type: Some(op.to_owned()),
        attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

pub(crate) fn attribute(name: &str, value: &Attr<'_>) -> AttributeProto {
    let empty = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
    // The numbers are those of `AttributeProto.AttributeType`.
    match value {
        Attr::Float(f) => AttributeProto { f: Some(*f), r#type: Some(1), ..empty },
        Attr::Int(i) => AttributeProto { i: Some(*i), r#type: Some(2), ..empty },
        Attr::Text(s) => AttributeProto { s: Some(Bytes::from_static(s.as_bytes())), r#type: Some(3), ..empty },
        Attr::Ints(ints) => AttributeProto { ints: ints.to_vec(), r#type: Some(7), ..empty },
    }
}
