//! What picture a model takes: name, type, layout and size of its input.

use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::shape::Tensors;
use crate::validate;
use crate::value::{Dim, TensorType};

/// Order of the axes of a batch of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Batch, channels, height, width.
    Nchw,
    /// Batch, height, width, channels.
    Nhwc,
}

/// The picture that a model takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageInput {
    /// Name of the input tensor.
    pub name: String,
    /// float32, float16 or uint8.
    pub element: ElementType,
    /// Order of the axes.
    pub layout: Layout,
    /// Pictures per run, where the model fixes it.
    pub batch: Option<u64>,
    /// Colour channels: 1 or 3.
    pub channels: u64,
    /// Height in pixels, where the model fixes it.
    pub height: Option<u64>,
    /// Width in pixels, where the model fixes it.
    pub width: Option<u64>,
}

impl Model {
    /// The picture that the model takes. Initialisers that old files list as inputs do not count.
    ///
    /// # Errors
    /// If the model takes several inputs or something that is not a picture.
    pub fn image_input(&self) -> Result<ImageInput, Error> {
        let inputs: Vec<_> = validate::inputs(self.graph()).collect();
        let [input] = inputs.as_slice() else {
            let inputs = inputs.iter().map(|input| input.name().to_owned()).collect();
            return Err(self.fail(Problem::SeveralInputs { inputs }));
        };
        let declared = TensorType::of(input);
        let fail = |remark: &str| {
            let found = format!(
                "{:?} of type {} and shape {}{remark}",
                input.name(),
                declared.element_text(),
                declared.shape_text()
            );
            self.fail(Problem::NotAnImage { found })
        };
        let element = declared
            .element
            .filter(|element| matches!(element, ElementType::F32 | ElementType::F16 | ElementType::U8))
            .ok_or_else(|| fail(""))?;
        let shape = match &declared.shape {
            Some(shape) => <[Dim; 4]>::try_from(shape.clone()).map_err(|_| fail(""))?,
            None => [Dim::Unknown, Dim::Unknown, Dim::Unknown, Dim::Unknown],
        };
        let (layout, channels) = by_size(&shape)
            .or_else(|| by_first_convolution(self, input.name()))
            .ok_or_else(|| fail(" (no axis of 1 or 3 channels)"))?;
        let [batch, a, b, c] = &shape;
        let (stated, height, width) = match layout {
            Layout::Nchw => (a, b, c),
            Layout::Nhwc => (c, a, b),
        };
        if stated.fixed().is_some_and(|stated| stated != channels) || !matches!(channels, 1 | 3) {
            return Err(fail(" (neither grey nor RGB)"));
        }
        Ok(ImageInput {
            name: input.name().to_owned(),
            element,
            layout,
            batch: batch.fixed(),
            channels,
            height: height.fixed(),
            width: width.fixed(),
        })
    }
}

/// By the axis that has 3 entries, else the one that has 1; channels first where both have.
fn by_size([_, second, _, last]: &[Dim; 4]) -> Option<(Layout, u64)> {
    [3, 1].into_iter().find_map(|channels| {
        let is = |dim: &Dim| *dim == Dim::Fixed(channels);
        let layout = if is(second) { Some(Layout::Nchw) } else { is(last).then_some(Layout::Nhwc) };
        layout.map(|layout| (layout, channels))
    })
}

/// By the weight of the first convolution, for exports that name all axes and fix none (optimum
/// does that with vision transformers).
fn by_first_convolution(model: &Model, input: &str) -> Option<(Layout, u64)> {
    const POINTWISE: [&str; 8] = ["Cast", "Identity", "Sub", "Add", "Mul", "Div", "Clip", "Pad"];
    let tensors: Tensors = model.tensors();
    let mut pictures: Vec<(&str, Layout)> = vec![(input, Layout::Nchw)];
    for node in &model.graph().node {
        let read = pictures.iter().find(|(name, _)| node.input.iter().any(|input| input == name));
        let Some(&(_, layout)) = read else {
            continue;
        };
        let layout = match node.standard_op() {
            "Conv" => {
                let per_group = tensors.shape(node.reads_at(1)?)?.get(1)?.fixed()?;
                let group = u64::try_from(node.int("group").unwrap_or(1)).ok()?;
                return per_group.checked_mul(group).map(|channels| (layout, channels));
            }
            "Transpose" if node.ints("perm") == Some(&[0, 3, 1, 2]) => Layout::Nhwc,
            op if POINTWISE.contains(&op) => layout,
            _ => continue,
        };
        pictures.extend(node.output.iter().map(|name| (name.as_str(), layout)));
    }
    None
}
