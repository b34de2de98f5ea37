//! Against the definition, with the processor's instruction and without it.

use std::iter;

use proptest::prelude::*;

use super::*;

/// A convolution of bytes that mean nothing.
#[derive(Debug, Clone)]
struct Problem {
    geometry: Geometry,
    images: Images,
    channels: [usize; 2],
    scales: [Scale; 2],
    of_all: bool,
    with_bias: bool,
    seed: u32,
}

fn bytes(n: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(n)
    .collect()
}

impl Problem {
    fn input(&self) -> Vec<u8> {
        bytes(self.images.n * self.images.pixels() * self.channels[0], self.seed)
    }

    fn weight(&self) -> Vec<i8> {
        let [height, width] = self.geometry.kernel;
        let weights = bytes(self.channels[0] * self.channels[1] * height * width, self.seed + 1);
        weights.into_iter().map(|byte| byte as i8).collect()
    }

    fn weight_scale(&self) -> Vec<f32> {
        let scales = bytes(if self.of_all { 1 } else { self.channels[1] }, self.seed + 2);
        scales.into_iter().map(|byte| f32::from(byte) * 1e-4).collect()
    }

    fn bias(&self) -> Option<Vec<i32>> {
        let biases = || bytes(self.channels[1], self.seed + 3).into_iter().map(|byte| (i32::from(byte) - 128) * 300);
        self.with_bias.then(|| biases().collect())
    }

    fn kernel(&self, vnni: Option<Vnni>) -> ByteKernel {
        let ([input, output], [of_input, of_output]) = (self.channels, self.scales);
        let (weight, scale, bias) = (self.weight(), self.weight_scale(), self.bias());
        ByteKernel::new(&weight, [output, input], self.geometry, of_input, &scale, of_output, bias.as_deref())
            .unwrap()
            .by(vnni)
    }

    /// `QLinearConv` as ONNX defines it, of what a byte stands for, with sums in whole numbers.
    fn expected(&self) -> Vec<u8> {
        let ([height, width], [channels, out_channels]) = (self.geometry.output(self.images).unwrap(), self.channels);
        let (input, weight, scale, bias) = (self.input(), self.weight(), self.weight_scale(), self.bias());
        let ([of_input, of_output], [_, kernel_width]) = (self.scales, self.geometry.kernel);
        let taps = self.geometry.kernel[0] * kernel_width;
        let place = |n: usize| (n / width / height, n / width % height, n % width);
        let pixels = (0..self.images.n * height * width).map(place);
        let byte = |((image, y, x), out): ((usize, usize, usize), usize)| {
            let mut sum = bias.as_ref().map_or(0, |bias| i64::from(bias[out]));
            for (tap, channel) in (0..taps).flat_map(|tap| (0..channels).map(move |channel| (tap, channel))) {
                let Some(at) = inside(self.geometry, self.images, [y, x], [tap / kernel_width, tap % kernel_width])
                else {
                    continue;
                };
                let seen = input[(image * self.images.pixels() + at) * channels + channel];
                let weight = weight[(out * channels + channel) * taps + tap];
                sum += (i64::from(seen) - i64::from(of_input.zero)) * i64::from(weight);
            }
            let factor = of_input.scale * scale[if self.of_all { 0 } else { out }] / of_output.scale;
            let rounded = (sum as f32 * factor).round_ties_even() + f32::from(of_output.zero);
            rounded.clamp(0.0, 255.0) as u8
        };
        pixels.flat_map(|pixel| (0..out_channels).map(move |out| (pixel, out))).map(byte).collect()
    }

    fn by(&self, vnni: Option<Vnni>) -> Vec<u8> {
        let [height, width] = self.geometry.output(self.images).unwrap();
        let mut output = vec![77; self.images.n * height * width * self.channels[1]];
        let input = self.input();
        let (kernel, workspace) = (self.kernel(vnni), Workspace::default());
        let run = |n, piece: &(dyn Fn(usize) + Sync)| (0..n).rev().for_each(piece);
        convolve_bytes(&kernel, &input, self.images, &mut output, (&workspace, 2), run).unwrap();
        output
    }
}

/// The pixel of the input that a tap of an output pixel is, if it lies inside.
fn inside(geometry: Geometry, images: Images, output: [usize; 2], tap: [usize; 2]) -> Option<usize> {
    let [y, x] = [0, 1].map(|axis| {
        (output[axis] * geometry.strides[axis] + tap[axis] * geometry.dilations[axis]).checked_sub(geometry.pads[axis])
    });
    y.zip(x).filter(|(y, x)| *y < images.height && *x < images.width).map(|(y, x)| y * images.width + x)
}

prop_compose! {
    fn window()(
        kernel in [1_usize..8, 1_usize..8], strides in [1_usize..4, 1_usize..4],
        dilations in [1_usize..3, 1_usize..3], pads in [0_usize..5, 0..5, 0..5, 0..5]
    ) -> Geometry {
        Geometry { kernel, strides, dilations, pads }
    }
}

fn images() -> impl Strategy<Value = Images> {
    (0_usize..3, 0_usize..24, 0_usize..50).prop_map(|(n, height, width)| Images { n, height, width })
}

prop_compose! {
    fn problem()(
        geometry in window(), images in images(), channels in 1_usize..5, vectors in 1_usize..8,
        zeros in [any::<u8>(), any::<u8>()], output_scale in 0.05_f32..5.0,
        (of_all, with_bias, seed) in (any::<bool>(), any::<bool>(), 0_u32..1000)
    ) -> Problem {
        let geometry = Geometry { dilations: [geometry.dilations[0], 1], ..geometry };
        let scales = [Scale { scale: 0.02, zero: zeros[0] }, Scale { scale: output_scale, zero: zeros[1] }];
        Problem { geometry, images, channels: [channels, 16 * vectors], scales, of_all, with_bias, seed }
    }
}

prop_compose! {
    /// As of the inside of a network.
    fn inner()(
        pads in [0_usize..4, 0..4, 0..4, 0..4], sides in (0_usize..4, 1_usize..40, 1_usize..40),
        channels in 1_usize..4, problem in problem()
    ) -> Problem {
        let (n, height, width) = sides;
        let geometry = Geometry { kernel: [3; 2], strides: [1; 2], dilations: [1; 2], pads };
        let channels = [32 * channels, problem.channels[1]];
        Problem { geometry, images: Images { n, height, width }, channels, ..problem }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_convolution_of_bytes(problem in problem()) {
        prop_assume!(problem.geometry.output(problem.images).is_ok());
        let expected = problem.expected();
        prop_assert_eq!(&problem.by(None), &expected);
        if let Some(vnni) = Vnni::detect() {
            prop_assert_eq!(&problem.by(Some(vnni)), &expected);
        }
    }

    #[test]
    fn a_pooling_may_follow(problem in problem(), pool in window()) {
        prop_assume!(problem.geometry.output(problem.images).is_ok());
        let [height, width] = problem.geometry.output(problem.images).unwrap();
        let (between, channels) = (Images { height, width, ..problem.images }, problem.channels[1]);
        prop_assume!(pool.output(between).is_ok());
        let [height, width] = pool.output(between).unwrap();
        let [mut expected, mut found] = [77, 78].map(|byte| vec![byte; between.n * height * width * channels]);
        let run = |n, piece: &(dyn Fn(usize) + Sync)| (0..n).rev().for_each(piece);
        max_pool_bytes(pool, channels, &problem.by(Vnni::detect()), between, &mut expected, run).unwrap();
        let kernel = problem.kernel(Vnni::detect());
        convolve_and_pool_bytes(&kernel, pool, &problem.input(), problem.images, &mut found, run).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn it_is_the_largest_of_a_window(geometry in window(), images in images(), channels in 1_usize..70, seed in 0_u32..1000) {
        prop_assume!(geometry.output(images).is_ok());
        let [height, width] = geometry.output(images).unwrap();
        let input = bytes(images.n * images.pixels() * channels, seed);
        let mut output = vec![77; images.n * height * width * channels];
        max_pool_bytes(geometry, channels, &input, images, &mut output, |n, piece| (0..n).rev().for_each(piece)).unwrap();
        for (at, found) in output.iter().enumerate() {
            let (pixel, channel) = (at / channels, at % channels);
            let (image, y, x) = (pixel / width / height, pixel / width % height, pixel % width);
            let taps = (0..geometry.kernel[0]).flat_map(|down| (0..geometry.kernel[1]).map(move |across| [down, across]));
            let seen = taps.filter_map(|tap| inside(geometry, images, [y, x], tap));
            let largest = seen.map(|at| input[(image * images.pixels() + at) * channels + channel]).max();
            prop_assert_eq!(*found, largest.unwrap_or(0), "{} {} {} {}", image, y, x, channel);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_is_the_convolution_of_many_channels(problem in inner()) {
        prop_assume!(problem.geometry.output(problem.images).is_ok());
        let expected = problem.expected();
        prop_assert_eq!(&problem.by(None), &expected);
        if let Some(vnni) = Vnni::detect() {
            prop_assert_eq!(&problem.by(Some(vnni)), &expected);
        }
    }
}

/// The same by either algorithm, of bytes and weights as they are told by the sum of their row and column.
fn extreme(side: usize, byte: impl Fn(usize) -> u8, weight: impl Fn(usize) -> i8) {
    let geometry = Geometry { kernel: [3; 2], strides: [1; 2], dilations: [1; 2], pads: [1; 4] };
    let (images, channels) = (Images { n: 1, height: side, width: side }, 96);
    let input: Vec<u8> =
        (0..side * side * channels).map(|at| byte(at / channels / side + at / channels % side)).collect();
    let weights: Vec<i8> = (0..16 * channels * 9).map(|at| weight(at % 9 / 3 + at % 3)).collect();
    let (scale, output) = (Scale { scale: 1.0, zero: 0 }, Scale { scale: 50_000.0, zero: 128 });
    let make = |vnni| {
        let kernel = ByteKernel::new(&weights, [16, channels], geometry, scale, &[1.0], output, None).unwrap().by(vnni);
        let mut output = vec![77; side * side * 16];
        let run = |n, piece: &(dyn Fn(usize) + Sync)| (0..n).for_each(piece);
        convolve_bytes(&kernel, &input, images, &mut output, (&Workspace::default(), 1), run).unwrap();
        (output, kernel.points().is_some())
    };
    let (by_definition, _) = make(None);
    let (found, by_points) = make(Vnni::detect());
    assert_eq!(found, by_definition, "side {side}");
    assert_eq!(by_points, Vnni::detect().is_some(), "side {side}");
}

/// Points of 16 bits are nowhere larger than for bytes and weights that change between their ends from pixel to pixel.
#[test]
fn the_largest_numbers_fit() {
    for side in 1..12 {
        extreme(side, |_| 255, |_| 127);
        extreme(side, |at| if at % 2 == 0 { 255 } else { 0 }, |at| if at % 2 == 0 { 127 } else { -128 });
        extreme(side, |at| if at % 4 < 2 { 255 } else { 0 }, |at| if at % 2 == 0 { -128 } else { 127 });
        extreme(side, |at| if at % 3 == 0 { 0 } else { 255 }, |_| -128);
    }
}

/// With them 26 bits would not hold a sum.
#[test]
fn many_large_weights_of_one_sign_are_left_to_the_definition() {
    let geometry = Geometry { kernel: [3; 2], strides: [1; 2], dilations: [1; 2], pads: [0; 4] };
    let scale = Scale { scale: 1.0, zero: 0 };
    let has_points = |channels: usize, weight: &dyn Fn(usize) -> i8| {
        let weights: Vec<i8> = (0..16 * channels * 9).map(weight).collect();
        ByteKernel::new(&weights, [16, channels], geometry, scale, &[1.0], scale, None).unwrap().points().is_some()
    };
    assert_eq!(has_points(96, &|_| 127), Vnni::detect().is_some());
    assert_eq!(has_points(96, &|_| -128), Vnni::detect().is_some());
    assert!(!has_points(128, &|_| 127) && !has_points(128, &|_| -128));
    // One output channel is enough, and it does not help that its sums may be small.
    let one_too_large = |at: usize| if at / (256 * 9) == 7 { [127, -128][at % 2] } else { 1 };
    assert!(!has_points(256, &one_too_large));
    assert_eq!(has_points(128, &one_too_large), Vnni::detect().is_some());
}

/// As the runtime has it.
#[test]
fn what_is_no_number_is_the_least_byte() {
    let geometry = Geometry { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0; 4] };
    let (scale, images) = (Scale { scale: 1.0, zero: 9 }, Images { n: 1, height: 4, width: 20 });
    let scales: [f32; 16] = std::array::from_fn(|out| [f32::NAN, f32::INFINITY, 1.0][out % 3]);
    for vnni in [None, Vnni::detect()] {
        let kernel = ByteKernel::new(&[1; 16], [16, 1], geometry, scale, &scales, scale, None).unwrap().by(vnni);
        let mut output = [77; 4 * 20 * 16];
        // 9 is nothing, and infinitely often that is no number.
        let input: Vec<u8> = (0..80).map(|pixel| [9, 8, 10][pixel % 3]).collect();
        let run = |n, piece: &(dyn Fn(usize) + Sync)| (0..n).for_each(piece);
        convolve_bytes(&kernel, &input, images, &mut output, (&Workspace::default(), 1), run).unwrap();
        for (at, found) in output.iter().enumerate() {
            let (pixel, out) = (at / 16, at % 16);
            let expected = [[0, 0, 9], [0, 0, 8], [0, 255, 10]][pixel % 3][out % 3];
            assert_eq!(*found, expected, "pixel {pixel}, channel {out}, {vnni:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let geometry = Geometry { kernel: [3, 3], strides: [2, 2], dilations: [1, 1], pads: [0; 4] };
    let scale = Scale { scale: 1.0, zero: 0 };
    let kernel = |weight: &[i8], channels: [usize; 2], geometry, scales: &[f32], bias: Option<&[i32]>| {
        ByteKernel::new(weight, channels, geometry, scale, scales, scale, bias).map(|_| ()).unwrap_err()
    };
    let weight = [1; 16 * 3 * 9];
    let refused = kernel(&weight, [24, 3], geometry, &[1.0], None);
    assert_eq!(refused, Error::Channels { which: "output", channels: 24, lanes: 16 });
    let refused = kernel(&weight, [16, 0], geometry, &[1.0], None);
    assert_eq!(refused, Error::NoChannels { which: "input" });
    let refused = kernel(&weight[1..], [16, 3], geometry, &[1.0], None);
    assert_eq!(refused, Error::Length { which: "the kernel", expected: 432, found: 431 });
    let refused = kernel(&weight, [16, 3], geometry, &[1.0; 3], None);
    assert_eq!(refused, Error::Length { which: "the weights' scale", expected: 16, found: 3 });
    let refused = kernel(&weight, [16, 3], geometry, &[1.0], Some(&[0; 17]));
    assert_eq!(refused, Error::Length { which: "the bias", expected: 16, found: 17 });
    let odd = Geometry { dilations: [1, 2], ..geometry };
    assert_eq!(kernel(&weight, [16, 3], odd, &[1.0], None), Error::Dilated(odd));
    let odd = Geometry { strides: [0, 1], ..geometry };
    assert_eq!(kernel(&weight, [16, 3], odd, &[1.0], None), Error::Geometry(odd));

    let kernel = ByteKernel::new(&weight, [16, 3], geometry, scale, &[1.0], scale, None).unwrap();
    let images = Images { n: 1, height: 3, width: 5 };
    let workspace = Workspace::default();
    let run = |input: &[u8], images, output: &mut [u8]| {
        convolve_bytes(&kernel, input, images, output, (&workspace, 1), |n, _| n)
    };
    assert_eq!(run(&[0; 45], images, &mut [0; 32]), Ok(1));
    assert_eq!(run(&[0; 44], images, &mut [0; 32]), Err(Error::Length { which: "the input", expected: 45, found: 44 }));
    assert_eq!(
        run(&[0; 45], images, &mut [0; 16]),
        Err(Error::Length { which: "the output", expected: 32, found: 16 })
    );
    assert_eq!(run(&[], Images { height: 2, ..images }, &mut []), Err(Error::NoOutput { height: 2, width: 5 }));
    assert_eq!(run(&[], Images { n: 0, ..images }, &mut []), Ok(0));
}
