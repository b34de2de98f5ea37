//! Shapes after operators with a window: convolutions, pooling, padding, resizing. All are
//! channels-first, as ONNX defines them.

use crate::proto::NodeProto;
use crate::value::Dim;

use super::Tensors;

pub(super) fn conv(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let weight = tensors.shape(node.reads_at(1)?)?;
    let kernel: Option<Vec<i64>> = weight.get(2..)?.iter().map(|dim| i64::try_from(dim.fixed()?).ok()).collect();
    windowed(node, tensors, kernel, Some(weight.first()?.clone()))
}

pub(super) fn conv_transpose(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let group = u64::try_from(node.int("group").unwrap_or(1)).ok()?;
    let per_group = tensors.shape(node.reads_at(1)?)?.get(1)?;
    let channels = per_group.fixed().and_then(|c| c.checked_mul(group));
    let mut shape = vec![input.first()?.clone(), channels.map_or(Dim::Unknown, Dim::Fixed)];
    shape.resize(input.len().max(2), Dim::Unknown);
    Some(shape)
}

pub(super) fn pool(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    windowed(node, tensors, None, None)
}

pub(super) fn global_pool(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let [batch, channels, rest @ ..] = input else {
        return None;
    };
    let mut shape = vec![batch.clone(), channels.clone()];
    shape.extend(rest.iter().map(|_| Dim::Fixed(1)));
    Some(shape)
}

fn windowed(node: &NodeProto, tensors: &Tensors, kernel: Option<Vec<i64>>, channels: Option<Dim>) -> Option<Vec<Dim>> {
    let [batch, input_channels, spatial @ ..] = tensors.shape(node.reads_at(0)?)? else {
        return None;
    };
    let kernel = kernel.or_else(|| node.ints("kernel_shape").map(<[i64]>::to_vec))?;
    let n = spatial.len();
    let list = |name: &str, length: usize, default: i64| match node.ints(name) {
        Some(list) if list.len() == length => Some(list.to_vec()),
        Some([]) | None => Some(vec![default; length]),
        Some(_) => None,
    };
    let (strides, dilations) = (list("strides", n, 1)?, list("dilations", n, 1)?);
    let pads = list("pads", n.checked_mul(2)?, 0)?;
    let mut shape = vec![batch.clone(), channels.unwrap_or_else(|| input_channels.clone())];
    for axis in 0..n {
        let window = Window {
            reach: dilations[axis].checked_mul(kernel.get(axis)?.checked_sub(1)?)?.checked_add(1)?,
            stride: strides[axis],
            padding: pads[axis].checked_add(pads[axis + n])?,
            ceil: node.int("ceil_mode").unwrap_or(0) != 0,
        };
        shape.push(match node.text("auto_pad").unwrap_or(b"NOTSET") {
            b"SAME_UPPER" | b"SAME_LOWER" => Window::same(&spatial[axis], window.stride),
            b"VALID" => Window { padding: 0, ..window }.slide(&spatial[axis]),
            _ => window.slide(&spatial[axis]),
        });
    }
    Some(shape)
}

struct Window {
    /// Pixels from the first to the last that one output looks at.
    reach: i64,
    stride: i64,
    /// Both sides together.
    padding: i64,
    ceil: bool,
}

impl Window {
    /// `floor((in + padding - reach) / stride) + 1`.
    fn slide(&self, input: &Dim) -> Dim {
        if self.stride == 1 && self.reach.checked_sub(1) == Some(self.padding) {
            return input.clone();
        }
        let steps = || {
            let room = i64::try_from(input.fixed()?).ok()?.checked_add(self.padding)?.checked_sub(self.reach)?;
            let round_up = if self.ceil { self.stride.checked_sub(1)? } else { 0 };
            let steps = room.checked_add(round_up)?.checked_div(self.stride)?;
            (room >= 0 && self.stride > 0).then_some(steps)?.checked_add(1)?.try_into().ok()
        };
        steps().map_or(Dim::Unknown, Dim::Fixed)
    }

    fn same(input: &Dim, stride: i64) -> Dim {
        match (input, u64::try_from(stride)) {
            (dim, Ok(1)) => dim.clone(),
            (Dim::Fixed(size), Ok(stride)) if stride > 0 => Dim::Fixed(size.div_ceil(stride)),
            _ => Dim::Unknown,
        }
    }
}

pub(super) fn resize(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    let sizes = node.reads_at(3).and_then(|name| tensors.entries(name));
    if let Some(sizes) = sizes.filter(|sizes| sizes.len() == input.len()) {
        return Some(sizes.iter().map(super::Entry::to_dim).collect());
    }
    // Scales are floats, which are not followed; image networks leave the first two axes alone.
    let keep = input.iter().take(2).cloned();
    Some(keep.chain(input.iter().skip(2).map(|_| Dim::Unknown)).collect())
}

pub(super) fn pad(node: &NodeProto, tensors: &Tensors) -> Option<Vec<Dim>> {
    let input = tensors.shape(node.reads_at(0)?)?;
    // Up to operator set 10 an attribute, then an input.
    let pads = match node.reads_at(1) {
        Some(name) => tensors.integers(name)?,
        None => node.ints("pads")?.to_vec(),
    };
    if node.reads_at(3).is_some() || pads.len() != input.len().checked_mul(2)? {
        return None;
    }
    let (before, after) = pads.split_at(input.len());
    let padded = input.iter().zip(before.iter().zip(after)).map(|(dim, (&before, &after))| {
        let total = before.checked_add(after)?;
        if total == 0 {
            return Some(dim.clone());
        }
        let size = i64::try_from(dim.fixed()?).ok()?.checked_add(total)?;
        u64::try_from(size).ok().map(Dim::Fixed)
    });
    Some(padded.map(|dim| dim.unwrap_or(Dim::Unknown)).collect())
}
