//! Against ONNX's operators, one by one.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// ONNX's operators one by one, each on all numbers: `Mul`, `Add`, twice `MatMul`, `QuantizeLinear`.
fn by_steps(
    (input, images): (&[u8], Images),
    [factor, offset]: [[f32; 3]; 2],
    matrices: Option<[&[f32]; 2]>,
    Scale { scale, zero }: Scale,
) -> Vec<u8> {
    let Images { n, height, width } = images;
    let normal = |image: usize, y: usize, x: usize, channel: usize| {
        f32::from(input[((image * height + y) * width + x) * 3 + channel]) * factor[channel] + offset[channel]
    };
    let product = |length: usize, of: &dyn Fn(usize) -> (f32, f32)| {
        (0..length).map(of).fold(0.0_f32, |sum, (a, b)| a.mul_add(b, sum))
    };
    let [new_height, new_width] =
        matrices.map_or([height, width], |[rows, columns]| [rows.len() / height, columns.len() / width]);
    let mut bytes = Vec::new();
    for (image, y) in (0..n).flat_map(|image| (0..new_height).map(move |y| (image, y))) {
        for (x, channel) in (0..new_width).flat_map(|x| (0..3).map(move |channel| (x, channel))) {
            let number = match matrices {
                None => normal(image, y, x, channel),
                Some([rows, columns]) => product(width, &|x_of| {
                    let down = |y_of| (rows[y * height + y_of], normal(image, y_of, x_of, channel));
                    (product(height, &down), columns[x_of * new_width + x])
                }),
            };
            let rounded = (number / scale).round_ties_even() + f32::from(zero);
            bytes.push(rounded.clamp(0.0, 255.0) as u8);
        }
    }
    bytes
}

fn found(resize: &ByteResize, input: &[u8], images: Images) -> Vec<u8> {
    let [height, width] = resize.output(images).unwrap();
    let mut output = vec![77; images.n * height * width * 3];
    resize_bytes(resize, input, images, &mut output, |n, piece| (0..n).rev().for_each(piece)).unwrap();
    output
}

prop_compose! {
    /// `[to, from]`, two neighbours each.
    fn matrix()(from in 1_usize..20)(
        mixes in vec((0..from, -0.5_f32..1.5, prop_oneof![Just(0.0_f32), -0.5_f32..1.5]), 1..130), from in Just(from)
    ) -> (usize, Vec<f32>) {
        let mut all = vec![0.0; mixes.len() * from];
        for (row, (first, share, other)) in all.chunks_exact_mut(from).zip(mixes) {
            row[first] = share;
            if let Some(next) = row.get_mut(first + 1) {
                *next = other;
            }
        }
        (from, all)
    }
}

prop_compose! {
    fn scale()(scale in 0.001_f32..0.1, zero in any::<u8>()) -> Scale {
        Scale { scale, zero }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_steps_one_by_one(
        rows in matrix(), columns in matrix(), n in 0_usize..3, scale in scale(),
        factor in [0.001_f32..0.1, 0.001..0.1, 0.001..0.1], offset in [-2.0_f32..2.0, -2.0..2.0, -2.0..2.0],
        bytes in vec(any::<u8>(), 19 * 19 * 3 * 2)
    ) {
        let ((height, rows), (width, across)) = (rows, columns);
        let columns: Vec<f32> = (0..width).flat_map(|x| across.iter().skip(x).step_by(width).copied()).collect();
        let images = Images { n, height, width };
        let input = &bytes[..n * height * width * 3];
        let enlarging = Some(Enlarging { from: [height, width], rows: &rows, columns: &columns });
        let resize = ByteResize::new(factor, offset, enlarging, scale).unwrap();
        let expected = by_steps((input, images), [factor, offset], Some([&rows, &columns]), scale);
        prop_assert_eq!(found(&resize, input, images), expected);
    }

    #[test]
    fn pictures_may_stay_as_large_as_they_are(
        sides in (0_usize..3, 0_usize..130, 0_usize..9), scale in scale(),
        factor in [0.001_f32..0.1, 0.001..0.1, 0.001..0.1], offset in [-2.0_f32..2.0, -2.0..2.0, -2.0..2.0],
        bytes in vec(any::<u8>(), 2 * 129 * 8 * 3)
    ) {
        let (n, height, width) = sides;
        let (images, input) = (Images { n, height, width }, &bytes[..n * height * width * 3]);
        let resize = ByteResize::new(factor, offset, None, scale).unwrap();
        let expected = by_steps((input, images), [factor, offset], None, scale);
        prop_assert_eq!(found(&resize, input, images), expected);
    }

    /// Not only to a byte, which hides most of what is rounded otherwise.
    #[test]
    fn numbers_are_the_same_to_the_last_bit(
        lines in [[vec(-9.0_f32..9.0, 40), vec(-9.0_f32..9.0, 40)], [vec(-9.0_f32..9.0, 40), vec(-9.0_f32..9.0, 40)]],
        down in [-0.5_f32..1.5, -0.5..1.5], across in [vec(-0.5_f32..1.5, 40), vec(-0.5_f32..1.5, 40)],
        (pixels, factor) in (vec(any::<u8>(), 40), vec(0.001_f32..0.1, 40)), scale in scale(), byte in any::<u8>()
    ) {
        let sum = |terms: [(f32, f32); 2]| terms.iter().fold(0.0_f32, |sum, (a, b)| a.mul_add(*b, sum));
        let mut mixed = vec![0.0; 40];
        let [[left_above, right_above], [left_below, right_below]] = &lines;
        mix([[left_above, right_above], [left_below, right_below]], down, [&across[0], &across[1]], &mut mixed);
        let mut normal = vec![0.0; 40];
        normalise(&pixels, &factor, left_above, &mut normal);
        for at in 0..40 {
            let left = sum([(down[0], left_above[at]), (down[1], left_below[at])]);
            let right = sum([(down[0], right_above[at]), (down[1], right_below[at])]);
            prop_assert_eq!(mixed[at], sum([(left, across[0][at]), (right, across[1][at])]));
            let product = f32::from(pixels[at]) * factor[at];
            prop_assert_eq!(normal[at], product + left_above[at]);
        }
        // Around the middle between two bytes.
        let middle = (f32::from(byte) - f32::from(scale.zero) + 0.5) * scale.scale;
        let numbers = [middle.next_down(), middle, middle.next_up()];
        let mut bytes = [0; 3];
        Rounding::new(scale).write(&numbers, &mut bytes);
        let rounded = |number: f32| (number / scale.scale).round_ties_even() + f32::from(scale.zero);
        prop_assert_eq!(bytes, numbers.map(|number| rounded(number).clamp(0.0, 255.0) as u8));
    }
}

#[test]
fn halves_go_to_the_even_byte_and_the_rest_to_an_end() {
    let scale = Scale { scale: 2.0, zero: 100 };
    let resize = ByteResize::new([1.0, 1.0, 1e30], [0.0, -250.0, 0.0], None, scale).unwrap();
    let images = Images { n: 1, height: 1, width: 4 };
    let input = [1, 1, 0, 3, 3, 1, 5, 101, 2, 255, 255, 255];
    assert_eq!(found(&resize, &input, images), [100, 0, 100, 102, 0, 255, 102, 26, 255, 228, 102, 255]);
    // 0 times infinity is no number, and the least byte.
    let resize = ByteResize::new([f32::INFINITY, 1.0, 1.0], [0.0; 3], None, scale).unwrap();
    assert_eq!(found(&resize, &[0, 2, 4], Images { width: 1, ..images }), [0, 101, 102]);
}

#[test]
fn what_does_not_fit_is_said() {
    let scale = Scale { scale: 1.0, zero: 0 };
    let new = |from: [usize; 2], rows: &[f32], columns: &[f32]| {
        let enlarging = Some(Enlarging { from, rows, columns });
        ByteResize::new([1.0; 3], [0.0; 3], enlarging, scale)
    };
    assert_eq!(new([2, 1], &[1.0; 3], &[1.0]).unwrap_err(), Error::Length { which: "rows", expected: 2, found: 3 });
    assert_eq!(new([1, 1], &[1.0], &[]).unwrap_err(), Error::NoOutput { height: 1, width: 1 });
    assert_eq!(new([0, 1], &[], &[1.0]).unwrap_err(), Error::NoOutput { height: 0, width: 1 });
    assert_eq!(new([3, 1], &[0.5, 0.0, 0.5], &[1.0]).unwrap_err(), Error::Shares);
    assert_eq!(new([1, 3], &[1.0], &[0.5, 0.25, 0.25]).unwrap_err(), Error::Shares);

    let resize = new([1, 2], &[1.0], &[0.5, 0.5]).unwrap();
    let images = Images { n: 1, height: 1, width: 2 };
    let run = |input: &[u8], images, output: &mut [u8]| resize_bytes(&resize, input, images, output, |n, _| n);
    assert_eq!(run(&[0; 6], images, &mut [0; 3]), Ok(1));
    assert_eq!(run(&[0; 5], images, &mut [0; 3]), Err(Error::Length { which: "the input", expected: 6, found: 5 }));
    assert_eq!(run(&[0; 6], images, &mut [0; 6]), Err(Error::Length { which: "the output", expected: 3, found: 6 }));
    let taller = Images { height: 2, ..images };
    assert_eq!(run(&[0; 12], taller, &mut [0; 3]), Err(Error::Sides { expected: [1, 2], found: [2, 2] }));
    assert_eq!(run(&[], Images { n: 0, ..images }, &mut []), Ok(0));
}
