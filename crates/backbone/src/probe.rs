//! One picture that means nothing, for two sessions that have to agree on it.

use ndarray::ArrayD;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

/// How far numbers may lie apart, of the largest of them. What rounding does is a hundredth of it; a layout of tensors that is not
/// the expected one gives other numbers altogether.
const TOLERANCE: f32 = 1e-3;

/// Whether two sessions of the same u8 input have the same outputs.
pub(crate) fn agree(one: &mut Session, other: &mut Session) -> ort::Result<bool> {
    let Some(shape) = one.inputs().first().and_then(shape) else {
        return Err(ort::Error::new("the size of a picture is not known"));
    };
    let mut state = 1_u32;
    let picture = ArrayD::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let expected = one.run(ort::inputs![TensorRef::from_array_view(&picture)?])?;
    let found = other.run(ort::inputs![TensorRef::from_array_view(&picture)?])?;
    for ((_, expected), (_, found)) in expected.iter().zip(found.iter()) {
        let (expected, found) = (expected.try_extract_array::<f32>()?, found.try_extract_array::<f32>()?);
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        if !expected.iter().all(|value| value.is_finite()) {
            return Err(ort::Error::new("outputs of noise are not finite"));
        }
        let are_near = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * largest;
        if expected.shape() != found.shape() || !expected.iter().zip(&found).all(are_near) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The shape of one picture, where the rest of it is known.
fn shape(input: &Outlet) -> Option<Vec<usize>> {
    let ValueType::Tensor { ty: TensorElementType::Uint8, shape, .. } = input.dtype() else { return None };
    let (n, rest) = shape.split_first()?;
    let rest: Option<Vec<usize>> = rest.iter().map(|length| usize::try_from(*length).ok()).collect();
    Some([vec![usize::try_from(*n).map_or(1, |n| n.max(1))], rest?].concat())
}
