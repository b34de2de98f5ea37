//! Shapes under NumPy broadcasting and matrix products.

use crate::proto::NodeProto;
use crate::value::Dim;

use super::Tensors;

pub(super) fn broadcast_inputs(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let mut inputs = node.input.iter();
    let first = tensors.shape(inputs.next()?)?.to_vec();
    inputs.try_fold(first, |shape, name| Some(broadcast(&shape, tensors.shape(name)?)))
}

/// Aligned at the last axis; an axis of size 1 stretches to the other's size.
pub(super) fn broadcast(a: &[Dim], b: &[Dim]) -> Vec<Dim> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], axis: usize| {
        // Missing leading axes count as 1.
        (axis + shape.len()).checked_sub(rank).map_or(Dim::Fixed(1), |axis| shape[axis].clone())
    };
    (0..rank).map(|axis| broadcast_dim(at(a, axis), at(b, axis))).collect()
}

fn broadcast_dim(a: Dim, b: Dim) -> Dim {
    match (a, b) {
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => other,
        // A fixed size above 1 decides: the other axis can only be equal to it or 1.
        (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Dim::Fixed(size),
        (a, b) if a == b => a,
        _ => Dim::Unknown,
    }
}

pub(super) fn matmul(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let a = tensors.shape(node.reads_at(0)?)?;
    let b = tensors.shape(node.reads_at(1)?)?;
    let ([.., _, rows, _] | [rows, _]) = a else {
        return None;
    };
    let ([.., _, _, columns] | [_, columns]) = b else {
        return None;
    };
    let mut shape = broadcast(&a[..a.len() - 2], &b[..b.len() - 2]);
    shape.extend([rows.clone(), columns.clone()]);
    Some(shape)
}

pub(super) fn gemm(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let a = tensors.shape(node.reads_at(0)?)?;
    let b = tensors.shape(node.reads_at(1)?)?;
    let rows = a.get(usize::from(node.int("transA").unwrap_or(0) != 0))?;
    let columns = b.get(usize::from(node.int("transB").unwrap_or(0) == 0))?;
    Some(vec![rows.clone(), columns.clone()])
}
