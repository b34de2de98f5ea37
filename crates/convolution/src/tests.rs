//! Against the definition, and one kind of vectors against the others.

use std::iter;
use std::sync::Mutex;

use proptest::prelude::*;
use pulp::{Scalar128b, Scalar256b, Scalar512b, Simd};

use crate::kernel::Kernel;
use crate::shape::{Error, Geometry, Images};
use crate::task::{Buffers, Task};
use crate::tasks::{self, Operands, Workspace, convolve};

/// A convolution of numbers that mean nothing, in plain order: images `[n, channels, height, width]`, weights `[out, in, height, width]`.
#[derive(Debug, Clone)]
struct Problem {
    geometry: Geometry,
    images: Images,
    channels: [usize; 2],
    relu: bool,
    with_bias: bool,
    with_sum: bool,
    seed: u32,
}

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(n)
    .collect()
}

/// `[outer, channels, inner]` as `[outer, channels / lanes, inner, lanes]`.
fn blocked(values: &[f32], channels: usize, inner: usize, lanes: usize) -> Vec<f32> {
    let mut blocked = vec![0.0; values.len()];
    for (at, value) in values.iter().enumerate() {
        let (outer, channel, place) = (at / inner / channels, at / inner % channels, at % inner);
        blocked[((outer * channels / lanes + channel / lanes) * inner + place) * lanes + channel % lanes] = *value;
    }
    blocked
}

/// The way back.
fn plain(values: &[f32], channels: usize, inner: usize, lanes: usize) -> Vec<f32> {
    let mut plain = vec![0.0; values.len()];
    for (at, value) in values.iter().enumerate() {
        let (block, place, lane) = (at / lanes / inner, at / lanes % inner, at % lanes);
        plain[(block / (channels / lanes) * channels + block % (channels / lanes) * lanes + lane) * inner + place] =
            *value;
    }
    plain
}

impl Problem {
    fn taps(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    fn input(&self) -> Vec<f32> {
        numbers(self.images.n * self.channels[0] * self.images.pixels(), self.seed)
    }

    fn weight(&self) -> Vec<f32> {
        numbers(self.channels[0] * self.channels[1] * self.taps(), self.seed + 1)
    }

    fn blocked_weight(&self, lanes: usize) -> Vec<f32> {
        let [in_channels, out_channels] = self.channels;
        plain_to_blocks_of_both(&self.weight(), out_channels, in_channels, self.taps(), lanes)
    }

    fn bias(&self) -> Option<Vec<f32>> {
        self.with_bias.then(|| numbers(self.channels[1], self.seed + 2))
    }

    fn sum(&self, n: usize) -> Option<Vec<f32>> {
        self.with_sum.then(|| numbers(n, self.seed + 3))
    }

    fn kernel(&self, lanes: usize) -> Kernel {
        let [in_channels, out_channels] = self.channels;
        Kernel::with_lanes(&self.blocked_weight(lanes), out_channels, in_channels, self.geometry, lanes).unwrap()
    }

    /// The definition, in float64.
    fn expected(&self) -> Vec<f64> {
        let [height, width] = self.geometry.output(self.images).unwrap();
        let Geometry { kernel, strides, dilations, pads } = self.geometry;
        let [in_channels, out_channels] = self.channels;
        let (input, weight) = (self.input(), self.weight());
        let (bias, sum) = (self.bias(), self.sum(self.images.n * out_channels * height * width));
        let at = |image: usize, channel: usize, y: isize, x: isize| {
            let Images { height, width, .. } = self.images;
            let (y, x) =
                (usize::try_from(y).ok().filter(|y| *y < height), usize::try_from(x).ok().filter(|x| *x < width));
            y.zip(x).map_or(0.0, |(y, x)| input[((image * in_channels + channel) * height + y) * width + x])
        };
        let mut expected = Vec::new();
        for place in 0..self.images.n * out_channels * height * width {
            let (x, y) = (place % width, place / width % height);
            let (out, image) = (place / width / height % out_channels, place / width / height / out_channels);
            let mut value = bias.as_ref().map_or(0.0, |bias| f64::from(bias[out]));
            for (channel, tap) in (0..in_channels).flat_map(|channel| (0..self.taps()).map(move |tap| (channel, tap))) {
                let y = (y * strides[0] + tap / kernel[1] * dilations[0]) as isize - pads[0] as isize;
                let x = (x * strides[1] + tap % kernel[1] * dilations[1]) as isize - pads[1] as isize;
                let weight = weight[(out * in_channels + channel) * self.taps() + tap];
                value += f64::from(at(image, channel, y, x)) * f64::from(weight);
            }
            value += sum.as_ref().map_or(0.0, |sum| f64::from(sum[place]));
            expected.push(if self.relu { value.max(0.0) } else { value });
        }
        expected
    }

    /// The output in plain order, made by `run` of blocked operands.
    fn by(&self, lanes: usize, run: impl FnOnce(&Kernel, Operands<'_>, &mut [f32])) -> Vec<f32> {
        let [height, width] = self.geometry.output(self.images).unwrap();
        let [in_channels, out_channels] = self.channels;
        let mut output = vec![f32::NAN; self.images.n * out_channels * height * width];
        let input = blocked(&self.input(), in_channels, self.images.pixels(), lanes);
        let (bias, sum) = (self.bias(), self.sum(output.len()));
        let sum = sum.map(|sum| blocked(&sum, out_channels, height * width, lanes));
        let (bias, sum) = (bias.as_deref(), sum.as_deref());
        let weight = self.blocked_weight(lanes);
        let operands = Operands { weight: &weight, input: &input, images: self.images, bias, sum, relu: self.relu };
        run(&self.kernel(lanes), operands, &mut output);
        plain(&output, out_channels, height * width, lanes)
    }

    /// By one kind of vectors.
    fn on<S: Simd>(&self, simd: S, threads: usize) -> Vec<f32> {
        self.by(S::F32_LANES, |kernel, operands, output| {
            let mut buffers = Buffers::default();
            for piece in tasks::pieces(kernel, operands, output, threads).unwrap() {
                let (piece, mut lines) = piece.into_inner().unwrap().unwrap();
                simd.vectorize(Task { piece, lines: &mut lines, buffers: &mut buffers });
            }
        })
    }
}

/// `[out, in, taps]` as `[out / L, in / L, taps, L of in, L of out]`.
fn plain_to_blocks_of_both(weight: &[f32], out: usize, channels: usize, taps: usize, lanes: usize) -> Vec<f32> {
    let mut arranged = vec![0.0; weight.len()];
    for (at, value) in weight.iter().enumerate() {
        let (o, i, tap) = (at / taps / channels, at / taps % channels, at % taps);
        let block = (o / lanes * (channels / lanes) + i / lanes) * taps + tap;
        arranged[(block * lanes + i % lanes) * lanes + o % lanes] = *value;
    }
    assert_eq!(out * channels * taps, weight.len());
    arranged
}

/// A third of them those that Winograd's algorithm is for, and a third those that look like them.
fn geometry() -> impl Strategy<Value = Geometry> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let pads =
        || prop_oneof![[0_usize..4, 0..4, 0..4, 0..4], [0_usize..4, 0..9, 0..9, 0..4], [6_usize..9, 0..4, 0..4, 6..9]];
    prop_oneof![
        pads().prop_map(|pads| Geometry { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads }),
        (pair(1..4), pads()).prop_map(|(dilations, pads)| Geometry {
            kernel: [3, 3],
            strides: [1, 1],
            dilations,
            pads
        }),
        (pair(1..4), pair(1..4), pair(1..3), pads()).prop_map(|(kernel, strides, dilations, pads)| Geometry {
            kernel,
            strides,
            dilations,
            pads
        }),
    ]
}

prop_compose! {
    fn problem()(
        geometry in geometry(),
        (n, height, width) in prop_oneof![
            (0_usize..4, 1_usize..20, 1_usize..20),
            // So large that an image is cut, and so small that images are made together.
            (1_usize..3, 30_usize..50, 30_usize..50),
            (0_usize..70, 1_usize..4, 1_usize..4),
        ],
        blocks in [1_usize..4, 1_usize..4],
        (relu, with_bias, with_sum, seed) in (any::<bool>(), any::<bool>(), any::<bool>(), 0_u32..1000)
    ) -> Problem {
        let channels = blocks.map(|blocks| 16 * blocks);
        Problem { geometry, images: Images { n, height, width }, channels, relu, with_bias, with_sum, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_convolution(problem in problem(), threads in 1_usize..9) {
        prop_assume!(problem.geometry.output(problem.images).is_ok());
        let found = problem.by(crate::lanes(), |kernel, operands, output| {
            let nothing = Workspace::default();
            let seen = Mutex::new(0);
            convolve(kernel, operands, output, &nothing, threads, |n, piece| (0..n).rev().for_each(|nth| {
                piece(nth);
                *seen.lock().unwrap() += 1;
            })).unwrap();
        });
        let expected = problem.expected();
        // The largest sum that there could be is ten times this.
        let scale = (problem.channels[0] * problem.taps()) as f64 / 10.0;
        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
            prop_assert!((f64::from(*found) - expected).abs() <= 1e-5 * scale, "{}: {}, expected {}", place, found, expected);
        }
    }

    #[test]
    fn vectors_of_every_width_and_pieces_of_every_size_make_the_same_bits(problem in problem(), threads in 2_usize..9) {
        prop_assume!(problem.geometry.output(problem.images).is_ok());
        let expected = problem.on(Scalar512b, 1);
        prop_assert_eq!(&expected, &problem.on(Scalar512b, threads));
        prop_assert_eq!(&expected, &problem.on(Scalar256b, threads));
        prop_assert_eq!(&expected, &problem.on(Scalar128b, 1));
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            prop_assert_eq!(&expected, &problem.on(simd, threads));
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V4::try_new() {
            prop_assert_eq!(&expected, &problem.on(simd, threads));
        }
    }
}

const SMALL: Geometry = Geometry { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] };

#[test]
fn what_does_not_fit_is_said() {
    let lanes = 16;
    let weight = vec![0.0; 16 * 16 * 9];
    let kernel = |weight: &[f32], geometry| Kernel::with_lanes(weight, 16, 16, geometry, lanes);
    let refused = Kernel::with_lanes(&weight, 16, 24, SMALL, lanes).unwrap_err();
    assert_eq!(refused, Error::Channels { which: "input", channels: 24, lanes });
    let refused = kernel(&weight[1..], SMALL).unwrap_err();
    assert_eq!(refused, Error::Length { which: "the kernel", expected: 2304, found: 2303 });
    let no_stride = Geometry { strides: [1, 0], ..SMALL };
    assert_eq!(kernel(&weight, no_stride).unwrap_err(), Error::Geometry(no_stride));

    let kernel = kernel(&weight, Geometry { pads: [0; 4], ..SMALL }).unwrap();
    let run = |images: Images, input: &[f32], output: &mut [f32]| {
        let operands = Operands { weight: &weight, input, images, bias: None, sum: None, relu: false };
        tasks::pieces(&kernel, operands, output, 2).map(|pieces| pieces.len())
    };
    let images = Images { n: 1, height: 2, width: 9 };
    assert_eq!(run(images, &[], &mut []), Err(Error::NoOutput { height: 2, width: 9 }));
    let images = Images { n: 1, height: 3, width: 4 };
    let refused = run(images, &[0.0; 12 * 16], &mut [0.0; 16]).unwrap_err();
    assert_eq!(refused, Error::Length { which: "the output", expected: 32, found: 16 });
    let refused = run(images, &[0.0; 11 * 16], &mut [0.0; 32]).unwrap_err();
    assert_eq!(refused, Error::Length { which: "the input", expected: 192, found: 176 });
    assert_eq!(run(images, &[0.0; 12 * 16], &mut [0.0; 32]), Ok(1));
    assert_eq!(run(Images { n: 0, ..images }, &[], &mut []), Ok(0));
}

/// A network whose numbers have run away says so in its features.
#[test]
fn not_a_number_stays_one_behind_a_relu() {
    let problem = Problem {
        geometry: SMALL,
        images: Images { n: 1, height: 4, width: 4 },
        channels: [16, 16],
        relu: true,
        with_bias: false,
        with_sum: false,
        seed: 1,
    };
    let lanes = crate::lanes();
    let found = problem.by(lanes, |kernel, operands, output| {
        let input = vec![f32::NAN; operands.input.len()];
        let operands = Operands { input: &input, ..operands };
        let workspace = Workspace::default();
        convolve(kernel, operands, output, &workspace, 1, |n, piece| (0..n).for_each(piece)).unwrap();
    });
    assert!(found.iter().all(|value| value.is_nan()), "{found:?}");
}
