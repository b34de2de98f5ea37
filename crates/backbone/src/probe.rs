//! One picture that means nothing, for two sessions that have to agree on it.

use ndarray::ArrayD;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

/// How far numbers may lie apart, of the largest of them. What rounding does is a hundredth of it; a layout of tensors that is not
/// the expected one gives other numbers altogether.
const TOLERANCE: f32 = 1e-3;

/// What a session of one u8 input says of noise: of one picture, or of as many as the model insists on.
pub(crate) fn outputs(session: &mut Session) -> ort::Result<Vec<ArrayD<f32>>> {
    let unknown = || ort::Error::new("the size of a picture is not known");
    let shape = session.inputs().first().and_then(shape).ok_or_else(unknown)?;
    let mut state = 1_u32;
    let pictures = ArrayD::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let outputs = session.run(ort::inputs![TensorRef::from_array_view(&pictures)?])?;
    outputs.iter().map(|(_, output)| Ok(output.try_extract_array()?.to_owned())).collect()
}

/// Whether outputs are the same, bit for bit.
pub(crate) fn are_same(expected: &[ArrayD<f32>], found: &[ArrayD<f32>]) -> bool {
    let bits = |outputs: &ArrayD<f32>| outputs.mapv(f32::to_bits);
    expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| bits(a) == bits(b))
}

/// Whether outputs are the same beyond rounding. What is not finite is not.
pub(crate) fn are_near(expected: &[ArrayD<f32>], found: &[ArrayD<f32>]) -> bool {
    let is_near = |(expected, found): (&ArrayD<f32>, &ArrayD<f32>)| {
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        expected.shape() == found.shape()
            && expected.iter().zip(found).all(|(a, b)| (a - b).abs() <= TOLERANCE * largest)
    };
    expected.len() == found.len() && expected.iter().zip(found).all(is_near)
}

/// The shape of a batch of one, where the rest of it is known.
fn shape(input: &Outlet) -> Option<Vec<usize>> {
    let ValueType::Tensor { ty: TensorElementType::Uint8, shape, .. } = input.dtype() else { return None };
    let (n, rest) = shape.split_first()?;
    let rest: Option<Vec<usize>> = rest.iter().map(|length| usize::try_from(*length).ok()).collect();
    Some([vec![usize::try_from(*n).map_or(1, |n| n.max(1))], rest?].concat())
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    #[test]
    fn the_same_is_the_same_bits() {
        let same = |expected: &[f32], found: &[f32]| are_same(&[arr1(expected).into_dyn()], &[arr1(found).into_dyn()]);
        assert!(same(&[1.0, f32::NAN], &[1.0, f32::NAN]));
        assert!(!same(&[1.0], &[1.0 + f32::EPSILON]) && !same(&[0.0], &[-0.0]) && !same(&[1.0], &[1.0, 1.0]));
        assert!(!are_same(&[arr1(&[1.0]).into_dyn()], &[]));
    }

    #[test]
    fn rounding_is_near_and_nothing_else_is() {
        let near = |expected: &[f32], found: &[f32]| are_near(&[arr1(expected).into_dyn()], &[arr1(found).into_dyn()]);
        assert!(near(&[1.0, -200.0, 0.0], &[1.1, -200.1, -0.1]));
        assert!(!near(&[1.0, -200.0, 0.0], &[1.0, -200.0, 0.3]));
        assert!(!near(&[1.0, 2.0], &[2.0, 1.0]));
        assert!(!near(&[1.0], &[1.0, 1.0]));
        assert!(!near(&[1.0, f32::NAN], &[1.0, f32::NAN]) && !near(&[f32::INFINITY], &[f32::INFINITY]));
        assert!(!are_near(&[arr1(&[1.0]).into_dyn()], &[]));
    }
}
