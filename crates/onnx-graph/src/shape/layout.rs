//! Shapes after operators that move, join or drop axes.

use crate::proto::NodeProto;
use crate::value::Dim;

use super::shape_values::Entry;
use super::{Tensors, arithmetic};

/// An axis counted from the front; negative ones count from the end.
fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}

/// The axes of a node: an attribute in old operator sets, an input in new ones. The outer `None`
/// means that they exist and are not known, the inner one that the node names none.
fn axes_of(node: &NodeProto, input: usize, tensors: &Tensors) -> Option<Option<Vec<i64>>> {
    match (node.reads_at(input), node.ints("axes")) {
        (Some(name), _) => tensors.integers(name).map(Some),
        (None, Some(axes)) => Some(Some(axes.to_vec())),
        (None, None) => Some(None),
    }
}

fn product(dims: &[Dim]) -> Dim {
    match dims {
        [] => Dim::Fixed(1),
        [only] => only.clone(),
        many => {
            let total = many.iter().try_fold(1u64, |product, dim| product.checked_mul(dim.fixed()?));
            total.map_or(Dim::Unknown, Dim::Fixed)
        }
    }
}

pub(super) fn flatten(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let axis = node.int("axis").unwrap_or(1);
    let axis = if axis == input.len() as i64 { input.len() } else { axis_of(axis, input.len())? };
    Some(vec![product(&input[..axis]), product(&input[axis..])])
}

/// 0 keeps the input's axis; one -1 takes what is left. Sizes that are not fixed cancel out between
/// input and target where they are the same, so `[N, 64, 1, 1]` to `[N, -1]` gives `[N, 64]`.
pub(super) fn reshape(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let target = tensors.entries(node.reads_at(1)?)?;
    let input = node.reads_at(0).and_then(|name| tensors.shape(name));
    let zero_is_zero = node.int("allowzero").unwrap_or(0) != 0;
    let mut shape: Vec<Dim> = target.iter().map(Entry::to_dim).collect();
    let mut rest = None;
    for (axis, entry) in target.iter().enumerate() {
        match entry.known() {
            Some(0) if !zero_is_zero => {
                shape[axis] = input.and_then(|input| input.get(axis)).cloned().unwrap_or(Dim::Unknown);
            }
            Some(-1) => rest = Some(axis),
            _ => {}
        }
    }
    if let (Some(rest), Some(input)) = (rest, input) {
        shape[rest] = remaining(input, &shape, rest);
    }
    Some(shape)
}

fn remaining(input: &[Dim], shape: &[Dim], rest: usize) -> Dim {
    let others = shape.iter().enumerate().filter(|(axis, _)| *axis != rest).map(|(_, dim)| dim);
    let (mut open, mut divisor) = (input.to_vec(), 1u64);
    for dim in others {
        match (dim, open.iter().position(|candidate| candidate == dim)) {
            (Dim::Unknown, _) => return Dim::Unknown,
            (_, Some(same)) => drop(open.remove(same)),
            (Dim::Fixed(size), None) => match divisor.checked_mul(*size) {
                Some(product) => divisor = product,
                None => return Dim::Unknown,
            },
            (Dim::Named(_), None) => return Dim::Unknown,
        }
    }
    let named: Vec<&Dim> = open.iter().filter(|dim| dim.fixed().is_none()).collect();
    let fixed = open.iter().filter_map(Dim::fixed).try_fold(1u64, u64::checked_mul);
    match (named.as_slice(), fixed) {
        ([], Some(total)) if divisor > 0 && total % divisor == 0 => Dim::Fixed(total / divisor),
        ([only], Some(total)) if total == divisor => (*only).clone(),
        _ => Dim::Unknown,
    }
}

pub(super) fn expand(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let target = tensors.entries(node.reads_at(1)?)?;
    let target: Vec<Dim> = target.iter().map(Entry::to_dim).collect();
    Some(arithmetic::broadcast(tensors.shape(node.reads_at(0)?)?, &target))
}

pub(super) fn constant_of_shape(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    Some(tensors.entries(node.reads_at(0)?)?.iter().map(Entry::to_dim).collect())
}

pub(super) fn transpose(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    match node.ints("perm") {
        None => Some(input.iter().rev().cloned().collect()),
        Some(perm) if perm.len() == input.len() => {
            perm.iter().map(|&axis| Some(input[axis_of(axis, input.len())?].clone())).collect()
        }
        Some(_) => None,
    }
}

/// Inputs of unknown shape are passed over: the others still tell rank and the common axes.
pub(super) fn concat(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let shapes: Vec<Option<&[Dim]>> = node.input.iter().map(|name| tensors.shape(name)).collect();
    let rank = shapes.iter().flatten().next()?.len();
    let axis = axis_of(node.int("axis")?, rank)?;
    if shapes.iter().flatten().any(|shape| shape.len() != rank) {
        return None;
    }
    let joined = shapes.iter().try_fold(0u64, |sum, shape| sum.checked_add((*shape)?[axis].fixed()?));
    let common = |at: usize| {
        let known = shapes.iter().flatten().map(|shape| &shape[at]);
        let best = known.min_by_key(|dim| match dim {
            Dim::Fixed(_) => 0,
            Dim::Named(_) => 1,
            Dim::Unknown => 2,
        });
        best.cloned().unwrap_or(Dim::Unknown)
    };
    let joined = joined.map_or(Dim::Unknown, Dim::Fixed);
    Some((0..rank).map(|at| if at == axis { joined.clone() } else { common(at) }).collect())
}

pub(super) fn squeeze(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let dropped: Vec<usize> = match axes_of(node, 1, tensors)? {
        Some(axes) => axes.iter().map(|&axis| axis_of(axis, input.len())).collect::<Option<_>>()?,
        // Without axes all of size 1 go, and which those are must be known.
        None if input.iter().any(|dim| dim.fixed().is_none()) => return None,
        None => (0..input.len()).filter(|&axis| input[axis] == Dim::Fixed(1)).collect(),
    };
    let kept = input.iter().enumerate().filter(|(axis, _)| !dropped.contains(axis));
    Some(kept.map(|(_, dim)| dim.clone()).collect())
}

pub(super) fn unsqueeze(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let mut input = tensors.shape(node.reads_at(0)?)?.iter().cloned();
    let axes = axes_of(node, 1, tensors)??;
    let rank = input.len() + axes.len();
    let added: Vec<usize> = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<_>>()?;
    (0..rank).map(|axis| if added.contains(&axis) { Some(Dim::Fixed(1)) } else { input.next() }).collect()
}

pub(super) fn gather(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let axis = axis_of(node.int("axis").unwrap_or(0), input.len())?;
    let indices = tensors.shape(node.reads_at(1)?)?;
    Some([&input[..axis], indices, &input[axis + 1..]].concat())
}

/// Only the axes that are cut become unknown, or fixed where all numbers are.
pub(super) fn slice(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let list = |index: usize| tensors.integers(node.reads_at(index)?);
    let (starts, ends) = match node.ints("starts") {
        Some(starts) => (Some(starts.to_vec()), node.ints("ends").map(<[i64]>::to_vec)),
        None => (list(1), list(2)),
    };
    let length = starts.as_ref().or(ends.as_ref())?.len();
    let axes = axes_of(node, 3, tensors)?.unwrap_or_else(|| (0..length as i64).collect());
    let steps = if node.reads_at(4).is_some() { list(4) } else { Some(vec![1; length]) };
    let mut shape = input.to_vec();
    for (at, &axis) in axes.iter().enumerate() {
        let axis = axis_of(axis, input.len())?;
        let cut = || {
            let size = i64::try_from(input[axis].fixed()?).ok()?;
            let (start, end) = (*starts.as_ref()?.get(at)?, *ends.as_ref()?.get(at)?);
            let step = steps.as_ref()?.get(at).copied().filter(|step| *step > 0)?;
            let clamp = |bound: i64| (if bound < 0 { bound.saturating_add(size) } else { bound }).clamp(0, size);
            u64::try_from((clamp(end) - clamp(start)).max(0)).ok().map(|n| n.div_ceil(step as u64))
        };
        shape[axis] = cut().map_or(Dim::Unknown, Dim::Fixed);
    }
    Some(shape)
}

/// Output `index` of a split: in equal pieces, or in pieces of the stated sizes.
pub(super) fn split(node: &NodeProto, index: usize, tensors: &Tensors) -> Option<Vec<Dim>> {
    let mut shape = tensors.shape(node.reads_at(0)?)?.to_vec();
    let axis = axis_of(node.int("axis").unwrap_or(0), shape.len())?;
    let stated = match node.reads_at(1) {
        Some(name) => Some(tensors.integers(name)),
        None => node.ints("split").map(|sizes| Some(sizes.to_vec())),
    };
    let size = match stated {
        Some(sizes) => sizes.and_then(|sizes| u64::try_from(*sizes.get(index)?).ok()),
        None => {
            let n = node.output.len() as u64;
            shape[axis].fixed().filter(|size| size % n == 0).map(|size| size / n)
        }
    };
    shape[axis] = size.map_or(Dim::Unknown, Dim::Fixed);
    Some(shape)
}

pub(super) fn reduce(node: &NodeProto, tensors: &Tensors, opset: i64) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let reduced: Vec<usize> = match axes_of(node, 1, tensors)?.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| axis_of(axis, input.len())).collect::<Option<_>>()?,
        None if opset >= 18 && node.int("noop_with_empty_axes").unwrap_or(0) != 0 => Vec::new(),
        None => (0..input.len()).collect(),
    };
    Some(drop_axes(input, &reduced, keep))
}

pub(super) fn arg(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let axis = axis_of(node.int("axis").unwrap_or(0), input.len())?;
    Some(drop_axes(input, &[axis], node.int("keepdims").unwrap_or(1) != 0))
}

fn drop_axes(input: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let dims = input.iter().enumerate();
    dims.filter(|(axis, _)| keep || !axes.contains(axis))
        .map(|(axis, dim)| if axes.contains(&axis) { Dim::Fixed(1) } else { dim.clone() })
        .collect()
}
