//! Lists of sizes that travel through a graph as tensors: exporters compute the target of a Reshape
//! by `Shape → Gather → Concat`, and following that is the only way to know the result's shape.

use crate::proto::NodeProto;
use crate::value::Dim;

use super::Tensors;

/// One number of such a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    Known(i64),
    /// The size of an axis that is not fixed.
    Size(Dim),
}

impl Entry {
    pub(super) fn known(&self) -> Option<i64> {
        match self {
            Self::Known(number) => Some(*number),
            Self::Size(_) => None,
        }
    }

    pub(super) fn from_dim(dim: &Dim) -> Self {
        match dim {
            Dim::Fixed(size) => i64::try_from(*size).map_or(Self::Size(Dim::Unknown), Self::Known),
            other => Self::Size(other.clone()),
        }
    }

    pub(super) fn to_dim(&self) -> Dim {
        match self {
            Self::Known(number) => u64::try_from(*number).map_or(Dim::Unknown, Dim::Fixed),
            Self::Size(dim) => dim.clone(),
        }
    }
}

/// The list that a node makes out of other lists; `None` if it makes something else.
pub(super) fn of(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Entry>> {
    let first = node.reads_at(0);
    let list = |index: usize| tensors.entries(node.reads_at(index)?);
    match node.standard_op() {
        "Shape" => {
            let shape = tensors.shape(first?)?;
            let start = clamp(node.int("start").unwrap_or(0), shape.len());
            let end = clamp(node.int("end").unwrap_or(i64::MAX), shape.len());
            Some(shape.get(start..end)?.iter().map(Entry::from_dim).collect())
        }
        "Identity" | "Cast" | "Squeeze" | "Unsqueeze" => list(0).map(<[Entry]>::to_vec),
        "Concat" => {
            let mut all = Vec::new();
            for name in &node.input {
                all.extend_from_slice(tensors.entries(name)?);
            }
            (all.len() <= 64).then_some(all)
        }
        "Gather" => {
            let entries = list(0)?;
            let picks = tensors.integers(node.reads_at(1)?)?;
            let at = |pick: i64| {
                let index = if pick < 0 { pick.checked_add(entries.len() as i64)? } else { pick };
                entries.get(usize::try_from(index).ok()?).cloned()
            };
            picks.into_iter().map(at).collect()
        }
        "Slice" => {
            let entries = list(0)?;
            let number = |index: usize| tensors.integers(node.reads_at(index)?)?.first().copied();
            if node.reads_at(4).is_some() && number(4) != Some(1) {
                return None;
            }
            let range = clamp(number(1)?, entries.len())..clamp(number(2)?, entries.len());
            entries.get(range).map(<[Entry]>::to_vec)
        }
        "Add" | "Sub" | "Mul" | "Div" => {
            let (left, right) = (list(0)?, list(1)?);
            if left.len() != right.len() {
                return None;
            }
            let pairs = left.iter().zip(right);
            Some(
                pairs
                    .map(|(a, b)| combine(node.op_type(), a, b).map_or(Entry::Size(Dim::Unknown), Entry::Known))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn combine(op: &str, a: &Entry, b: &Entry) -> Option<i64> {
    let (a, b) = (a.known()?, b.known()?);
    match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        _ => a.checked_div(b),
    }
}

/// A Python-style bound: negative counts from the end, too large is the end.
fn clamp(bound: i64, length: usize) -> usize {
    let length = length as i64;
    let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
    bound.clamp(0, length) as usize
}
