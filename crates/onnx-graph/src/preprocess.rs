//! Puts preprocessing in front of a model, as ONNX nodes: what crosses to the device is the stored
//! bytes, and an exported model carries the very preprocessing that it was trained behind.
//!
//! Order of the nodes, each only where needed:
//!
//! 1. Transpose to channels-first, on bytes, where a move costs a quarter.
//! 2. Cast to float32.
//! 3. Mul and Add: `x·(scale/std) − mean/std`, both constants computed in float64. For bilinear and
//!    nearest this comes before enlarging, on the small picture: their weights sum to 1, so it is
//!    the same number up to rounding. For bicubic it comes after, because the overshoot has to be
//!    clipped to 0…255 first, as Pillow does.
//! 4. Enlarging; shrinking is refused. Bilinear is two products with constant weights where the picture is small, and
//!    Resize else. Pillow is the reference: half-pixel centres; bicubic with
//!    a = −0.5 (PyTorch's own is −0.75) and weights renormalised at the border. Nearest is two
//!    Gathers with rows and columns worked out in integers, because Resize decides in float32 which
//!    pixel is nearest and picks another than Pillow where two are equally near.
//! 5. Transpose back for channels-last models, and a cast to the model's type.
//!
//! Against Pillow on float pictures the difference stays under 0.005 of 255 steps (ONNX Runtime
//! 1.31, Pillow 13). On byte pictures Pillow also rounds after each of its two directions: under one
//! step for bilinear, and more for bicubic where the first direction overshoots and is clipped.
//! Small as that is, networks see it: on enlarged CIFAR-10 photos features differ from those behind
//! Pillow's rounded bytes by 18 % of their norm (MobileNetV2) and 4 % (SqueezeNet).

use crate::chain::Chain;
use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::image_input::{ImageInput, Layout};
use crate::model::Model;
use crate::node::Attr;
use crate::value::{Dim, TensorType};

/// Name of the input after [`Model::prepend_preprocessing`].
pub const PIXELS: &str = "pixels";

/// In front of the names of the nodes.
pub(crate) const PREFIX: &str = "preprocess";

/// Pictures larger than this in either direction are a mistake in the configuration.
const MAX_SIDE: u64 = 65_535;

/// Stored pictures up to this many pixels a side are enlarged by products, whose cost grows with the side.
const MAX_SIDE_OF_PRODUCTS: u64 = 64;

/// How pictures are enlarged to the model's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// Linear between the nearest two pixels in each direction.
    Bilinear,
    /// Cubic over the nearest four, a = −0.5.
    Bicubic,
    /// The nearest pixel, the one below or to the right where two are equally near.
    Nearest,
}

/// What happens to a stored picture before the network sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// Height of the stored pictures, in pixels.
    pub stored_height: u64,
    /// Width of the stored pictures, in pixels.
    pub stored_width: u64,
    /// Height that the model is to be given, in pixels.
    pub height: u64,
    /// Width that the model is to be given, in pixels.
    pub width: u64,
    /// What bytes are multiplied by, such as 1/255.
    pub scale: f32,
    /// Subtracted after scaling, per channel (red, green, blue).
    pub mean: [f32; 3],
    /// Divided by at the end, per channel.
    pub std: [f32; 3],
    /// How pictures are enlarged where the sizes differ.
    pub interpolation: Interpolation,
}

impl Preprocessing {
    fn resizes(&self) -> bool {
        (self.stored_height, self.stored_width) != (self.height, self.width)
    }

    /// Whether enlarging is two products with constant weights. From 32 to 224 those take a fifth of Resize's time, which
    /// is a tenth of an int8 network's.
    fn multiplies(&self) -> bool {
        let is_small = self.stored_height.max(self.stored_width) <= MAX_SIDE_OF_PRODUCTS;
        self.resizes() && self.interpolation == Interpolation::Bilinear && is_small
    }

    /// Whether new pixels are mixed from several old ones, which needs floats.
    fn interpolates(&self) -> bool {
        self.resizes() && self.interpolation != Interpolation::Nearest
    }

    /// `(factor, offset)` per channel: `x·factor + offset = (x·scale − mean) / std`.
    fn affine(&self) -> ([f32; 3], [f32; 3]) {
        let std = self.std.map(f64::from);
        let factor = std.map(|std| (f64::from(self.scale) / std) as f32);
        // Adding 0 turns −0 into 0, so that a mean of zero is recognised as nothing to do.
        let offset = |channel: usize| (-f64::from(self.mean[channel]) / std[channel] + 0.0) as f32;
        (factor, [offset(0), offset(1), offset(2)])
    }
}

impl Model {
    /// Makes the model take [`PIXELS`], uint8 `[N, stored_height, stored_width, 3]`, RGB, in place
    /// of its image input. A batch size that the model fixes stays fixed. A tensor of the model that
    /// has the name already is renamed.
    ///
    /// # Errors
    /// If the model does not take one RGB picture, the sizes disagree or would shrink the picture,
    /// a constant is not usable, or a resize is needed and the operator set is older than 11.
    pub fn prepend_preprocessing(&mut self, preprocessing: &Preprocessing) -> Result<(), Error> {
        let input = self.image_input()?;
        check(preprocessing, &input, self.opset()).map_err(|problem| self.fail(problem))?;
        self.reserve(PIXELS);
        let input = self.image_input()?;
        let mut chain = Chain::new(self, PREFIX, PIXELS);
        fill(&mut chain, preprocessing, &input);
        chain.prepend(self, &input.name);
        self.replace_input(&input.name, preprocessing);
        Ok(())
    }

    /// Declares the pixels in place of the old input, whose declaration goes to the inner tensors
    /// with the size that it now has in every run.
    fn replace_input(&mut self, old: &str, preprocessing: &Preprocessing) {
        let Preprocessing { stored_height, stored_width, height, width, .. } = *preprocessing;
        let graph = self.graph_mut();
        let at = graph.input.iter().position(|input| input.name() == old).expect("it was just found there");
        let declared = TensorType::of(&graph.input[at]);
        let batch = declared.shape.as_ref().and_then(|shape| shape.first().cloned()).filter(|dim| *dim != Dim::Unknown);
        let batch = batch.unwrap_or_else(|| Dim::Named("batch".to_owned()));
        let fixed = Dim::Fixed;
        let pixels = vec![batch.clone(), fixed(stored_height), fixed(stored_width), fixed(3)];
        let pixels = TensorType { element: Some(ElementType::U8), shape: Some(pixels) };
        graph.input[at] = pixels.declare(PIXELS);
        let inner = match declared.shape.as_deref() {
            Some([_, Dim::Fixed(3), _, _]) => vec![batch, fixed(3), fixed(height), fixed(width)],
            Some([_, _, _, Dim::Fixed(3)]) => vec![batch, fixed(height), fixed(width), fixed(3)],
            _ => return,
        };
        let inner = TensorType { element: declared.element, shape: Some(inner) };
        graph.value_info.retain(|value| value.name() != old);
        graph.value_info.push(inner.declare(old));
    }
}

fn check(p: &Preprocessing, input: &ImageInput, opset: i64) -> Result<(), Problem> {
    let problem =
        |what, found: String, expected: &str| Problem::Preprocessing { what, found, expected: expected.to_owned() };
    let sides = [
        ("stored height", p.stored_height),
        ("stored width", p.stored_width),
        ("height", p.height),
        ("width", p.width),
    ];
    if let Some((what, side)) = sides.into_iter().find(|(_, side)| !(1..=MAX_SIDE).contains(side)) {
        return Err(problem(what, side.to_string(), "1 to 65535 pixels"));
    }
    if input.channels != 3 {
        return Err(problem("number of channels of the model's input", input.channels.to_string(), "3 (RGB)"));
    }
    for (what, wanted, fixed) in [("height", p.height, input.height), ("width", p.width, input.width)] {
        if let Some(fixed) = fixed.filter(|fixed| *fixed != wanted) {
            return Err(problem(what, wanted.to_string(), &format!("{fixed}, which the model fixes")));
        }
    }
    let (factor, offset) = p.affine();
    let usable = |x: &f32| x.is_finite();
    if !factor.iter().all(|x| x.is_normal()) || !offset.iter().all(usable) {
        let found = format!("scale {}, mean {:?}, std {:?}", p.scale, p.mean, p.std);
        return Err(problem("normalisation", found, "finite numbers, scale and std not 0"));
    }
    if input.element == ElementType::U8 && (factor, offset) != ([1.0; 3], [0.0; 3]) {
        let found = format!("scale {}, mean {:?}, std {:?}", p.scale, p.mean, p.std);
        return Err(problem(
            "normalisation",
            found,
            "scale 1, mean 0, std 1, because the model takes bytes and normalises them itself",
        ));
    }
    if p.stored_height > p.height || p.stored_width > p.width {
        return Err(Problem::Downscaling {
            stored_height: p.stored_height,
            stored_width: p.stored_width,
            height: p.height,
            width: p.width,
        });
    }
    // Resize of operator set 10 has no half-pixel centres.
    if p.interpolates() && !p.multiplies() && opset < 11 {
        return Err(Problem::ResizeNeedsOpset11 { found: opset });
    }
    Ok(())
}

fn fill(chain: &mut Chain, p: &Preprocessing, input: &ImageInput) {
    let cast = |chain: &mut Chain, to: ElementType| {
        chain.push("Cast", &[], &[("to", Attr::Int(i64::from(to.code())))]);
    };
    let transpose = |chain: &mut Chain, perm: &[i64]| {
        chain.push("Transpose", &[], &[("perm", Attr::Ints(perm))]);
    };
    // The runtime resizes cubically in channels-first order only, so channels-last takes a detour.
    let channels_first = p.interpolates() || input.layout == Layout::Nchw;
    if channels_first {
        transpose(chain, &[0, 3, 1, 2]);
    }
    let in_floats = p.interpolates() || input.element != ElementType::U8;
    if in_floats {
        cast(chain, ElementType::F32);
    }
    let clips = p.interpolates() && p.interpolation == Interpolation::Bicubic;
    if !clips {
        normalise(chain, p, channels_first);
    }
    if p.resizes() {
        match p.interpolation {
            Interpolation::Nearest => repeat_pixels(chain, p, if channels_first { 2 } else { 1 }),
            Interpolation::Bilinear if p.multiplies() => multiply(chain, p),
            Interpolation::Bilinear => resize(chain, p, &[("mode", Attr::Text("linear"))]),
            Interpolation::Bicubic => {
                let border = ("exclude_outside", Attr::Int(1));
                resize(chain, p, &[("mode", Attr::Text("cubic")), ("cubic_coeff_a", Attr::Float(-0.5)), border]);
            }
        }
    }
    if clips {
        let (low, high) = (chain.floats("low", &[], &[0.0]), chain.floats("high", &[], &[255.0]));
        chain.push("Clip", &[&low, &high], &[]);
        normalise(chain, p, channels_first);
    }
    if channels_first && input.layout == Layout::Nhwc {
        transpose(chain, &[0, 2, 3, 1]);
    }
    match input.element {
        ElementType::U8 if in_floats => {
            chain.push("Round", &[], &[]);
            cast(chain, ElementType::U8);
        }
        ElementType::F16 => cast(chain, ElementType::F16),
        _ => {}
    }
}

fn normalise(chain: &mut Chain, p: &Preprocessing, channels_first: bool) {
    let dims: [u64; 4] = if channels_first { [1, 3, 1, 1] } else { [1, 1, 1, 3] };
    let (factor, offset) = p.affine();
    if factor != [1.0; 3] {
        let factor = chain.floats("factor", &dims, &factor);
        chain.push("Mul", &[&factor], &[]);
    }
    if offset != [0.0; 3] {
        let offset = chain.floats("offset", &dims, &offset);
        chain.push("Add", &[&offset], &[]);
    }
}

/// Output pixel `x` is input pixel `floor((x + 1/2) · from / to)`.
fn repeat_pixels(chain: &mut Chain, p: &Preprocessing, height_axis: i64) {
    let sides = [("rows", p.stored_height, p.height), ("columns", p.stored_width, p.width)];
    for (axis, (name, from, to)) in (height_axis..).zip(sides) {
        // In integers, and below 2³³, because sides are at most 65535.
        let nearest: Vec<i64> = (0..to).map(|x| ((2 * x + 1) * from / (2 * to)) as i64).collect();
        let nearest = chain.integers(name, &[to], &nearest);
        chain.push("Gather", &[&nearest], &[("axis", Attr::Int(axis))]);
    }
}

/// Rows first, while they are short: `[H, h] · [N, 3, h, w]`, then `[N, 3, H, w] · [w, W]`.
fn multiply(chain: &mut Chain, p: &Preprocessing) {
    let rows = chain.floats("rows", &[p.height, p.stored_height], &linear_weights(p.stored_height, p.height));
    chain.push_behind("MatMul", &rows);
    let columns = transposed(&linear_weights(p.stored_width, p.width), p.stored_width as usize);
    let columns = chain.floats("columns", &[p.stored_width, p.width], &columns);
    chain.push("MatMul", &[&columns], &[]);
}

/// `[to, from]`: what share of each old pixel is in each new one, those of Resize with half-pixel centres. At the border the
/// outermost pixel stands for what would be behind it.
fn linear_weights(from: u64, to: u64) -> Vec<f32> {
    let mut weights = vec![0.0; (from * to) as usize];
    for (new, shares) in weights.chunks_exact_mut(from as usize).enumerate() {
        let centre = ((new as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let (before, behind) = (centre.floor(), centre - centre.floor());
        shares[before as usize] += (1.0 - behind) as f32;
        shares[(before as usize + 1).min(from as usize - 1)] += behind as f32;
    }
    weights
}

fn transposed(matrix: &[f32], n_columns: usize) -> Vec<f32> {
    (0..n_columns).flat_map(|column| matrix.iter().skip(column).step_by(n_columns).copied()).collect()
}

/// By scales and not by sizes, because sizes would have to name the batch, which may be open.
fn resize(chain: &mut Chain, p: &Preprocessing, mode: &[(&str, Attr<'_>)]) {
    let scales = [1.0, 1.0, exact_scale(p.stored_height, p.height), exact_scale(p.stored_width, p.width)];
    let scales = chain.floats("scales", &[4], &scales);
    // Operator set 11 demands a region of interest even though only cropping reads it; from 13 on it
    // may be left out, and some runtimes then want it left out.
    let roi = if chain.opset() < 13 { chain.floats("roi", &[0], &[]) } else { String::new() };
    let centres = ("coordinate_transformation_mode", Attr::Text("half_pixel"));
    let attributes: Vec<_> = mode.iter().copied().chain([centres]).collect();
    chain.push("Resize", &[&roi, &scales], &attributes);
}

/// The smallest float32 at or above `to / from`: the runtime takes `floor(from · scale)`, so a
/// quotient that was rounded down could lose the last row.
fn exact_scale(from: u64, to: u64) -> f32 {
    let exact = to as f64 / from as f64;
    let rounded = exact as f32;
    if f64::from(rounded) < exact { rounded.next_up() } else { rounded }
}
