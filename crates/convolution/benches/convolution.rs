//! The convolutions of ResNet-18 on a batch of 32 pictures of 224 × 224, and some of few pixels, in float32 and in 8 bits, in
//! multiply-adds that the definition has a second.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use convolution::{
    ByteKernel, ByteResize, Enlarging, Geometry, Images, Kernel, Operands, Scale, Workspace, convolve,
    convolve_and_pool_bytes, convolve_bytes, lanes, max_pool_bytes, multiplies_bytes, resize_bytes,
};
use divan::Bencher;
use divan::counter::ItemsCount;

const N: usize = 32;
/// (input channels, output channels, side of the input, side of the kernel, stride).
type Layer = (usize, usize, usize, usize, usize);

const LAYERS: [Layer; 13] = [
    (64, 64, 56, 3, 1),
    (64, 128, 56, 3, 2),
    (64, 128, 56, 1, 2),
    (128, 128, 28, 3, 1),
    (128, 256, 28, 3, 2),
    (256, 256, 14, 3, 1),
    (256, 512, 14, 3, 2),
    (512, 512, 7, 3, 1),
    (128, 128, 4, 3, 1),
    (128, 128, 2, 3, 1),
    (128, 128, 1, 3, 1),
    (512, 512, 2, 3, 1),
    (512, 512, 1, 3, 1),
];

fn main() {
    divan::main();
}

#[divan::bench(args = LAYERS, sample_count = 15, sample_size = 1)]
fn layer(bencher: Bencher<'_, '_>, layer: Layer) {
    let (in_channels, out_channels, side, kernel, _) = layer;
    let (geometry, images, [height, width]) = shapes(layer);
    let numbers = |n: usize| (0..n).map(|i| (i * 2_654_435_761 % 1009) as f32 / 1009.0 - 0.5).collect::<Vec<_>>();
    let weight = numbers(out_channels * in_channels * kernel * kernel);
    let input = numbers(N * in_channels * side * side);
    let kernel_of = |weight: &[f32]| Kernel::new(weight, out_channels, in_channels, geometry);
    let kernel_ready = kernel_of(&weight).expect("channels are multiples of every vector's");
    let mut output = vec![0.0; N * out_channels * height * width];
    let workspace = Workspace::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let operands = Operands { weight: &weight, input: &input, images, bias: None, sum: None, relu: true };
    assert!(lanes() > 1, "this processor has no vectors that are asked for here");
    bencher.counter(ItemsCount::new(output.len() * in_channels * kernel * kernel)).bench_local(|| {
        convolve(&kernel_ready, operands, black_box(&mut output), &workspace, threads, |n, piece| on(threads, n, piece))
    });
}

/// Layers in 8 bits: the first of ResNet-18, of MobileNetV2, and of ResNet-56, and inner ones.
const LAYERS_OF_BYTES: [Layer; 9] = [
    (3, 64, 224, 7, 2),
    (3, 32, 224, 3, 2),
    (3, 16, 32, 3, 1),
    (64, 64, 56, 3, 1),
    (128, 128, 28, 3, 1),
    (256, 256, 14, 3, 1),
    (512, 512, 7, 3, 1),
    (32, 32, 16, 3, 1),
    (64, 64, 8, 3, 1),
];

#[divan::bench(args = LAYERS_OF_BYTES, sample_count = 15, sample_size = 1)]
fn layer_of_bytes(bencher: Bencher<'_, '_>, layer: Layer) {
    let (in_channels, out_channels, side, kernel, _) = layer;
    let (geometry, images, [height, width]) = shapes(layer);
    let weight: Vec<i8> =
        (0..out_channels * in_channels * kernel * kernel).map(|i| (i * 37 % 101) as i8 - 50).collect();
    let input: Vec<u8> = (0..N * in_channels * side * side).map(|i| (i * 31 % 251) as u8).collect();
    let scale = Scale { scale: 0.01, zero: 3 };
    let kernel_ready = ByteKernel::new(&weight, [out_channels, in_channels], geometry, scale, &[0.01], scale, None);
    let kernel_ready = kernel_ready.expect("output channels are multiples of 16");
    let mut output = vec![0; N * out_channels * height * width];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    assert!(multiplies_bytes(), "this processor has no instruction for bytes");
    let workspace = Workspace::default();
    bencher.counter(ItemsCount::new(output.len() * in_channels * kernel * kernel)).bench_local(|| {
        let output = black_box(&mut output[..]);
        convolve_bytes(&kernel_ready, &input, images, output, (&workspace, threads), |n, piece| on(threads, n, piece))
    });
}

/// Pictures of 32 × 32 enlarged to 224 × 224, and pictures of that size as they are. Items are bytes of the output.
#[divan::bench(args = [32, 224], sample_count = 15, sample_size = 1)]
fn resize_to_bytes(bencher: Bencher<'_, '_>, side: usize) {
    let new_side = 224;
    let share = |new: usize, old: usize| {
        let centre = ((new as f32 + 0.5) * side as f32 / new_side as f32 - 0.5).clamp(0.0, side as f32 - 1.0);
        (1.0 - (centre - old as f32).abs()).max(0.0)
    };
    let rows: Vec<f32> = (0..new_side * side).map(|at| share(at / side, at % side)).collect();
    let columns: Vec<f32> = (0..side * new_side).map(|at| share(at % new_side, at / new_side)).collect();
    let enlarging = Enlarging { from: [side; 2], rows: &rows, columns: &columns };
    let scale = Scale { scale: 0.0078, zero: 128 };
    let resize = ByteResize::new([0.0078; 3], [-1.0; 3], (side < new_side).then_some(enlarging), scale);
    let resize = resize.expect("pixels are mixed from two neighbours");
    let images = Images { n: N, height: side, width: side };
    let input: Vec<u8> = (0..N * 3 * side * side).map(|i| (i * 31 % 251) as u8).collect();
    let mut output = vec![0; N * new_side * new_side * 3];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    bencher.counter(ItemsCount::new(output.len())).bench_local(|| {
        resize_bytes(&resize, &input, images, black_box(&mut output), |n, piece| on(threads, n, piece))
    });
}

/// The pooling behind the first layer of ResNet-18. Items are bytes of its output.
#[divan::bench(sample_count = 15, sample_size = 1)]
fn max_pool_of_bytes(bencher: Bencher<'_, '_>) {
    let geometry = Geometry { kernel: [3; 2], strides: [2; 2], dilations: [1; 2], pads: [1; 4] };
    let images = Images { n: N, height: 112, width: 112 };
    let (input, mut output) = (vec![7; N * 112 * 112 * 64], vec![0; N * 56 * 56 * 64]);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    bencher.counter(ItemsCount::new(output.len())).bench_local(|| {
        max_pool_bytes(geometry, 64, &input, images, black_box(&mut output), |n, piece| on(threads, n, piece))
    });
}

/// The first layer of ResNet-18 in 8 bits with the pooling behind it. Items are multiply-adds.
#[divan::bench(sample_count = 15, sample_size = 1)]
fn first_layer_and_pool_of_bytes(bencher: Bencher<'_, '_>) {
    let geometry = Geometry { kernel: [7; 2], strides: [2; 2], dilations: [1; 2], pads: [3; 4] };
    let pool = Geometry { kernel: [3; 2], strides: [2; 2], dilations: [1; 2], pads: [1; 4] };
    let images = Images { n: N, height: 224, width: 224 };
    let weight: Vec<i8> = (0..64 * 147).map(|i| (i * 37 % 101) as i8 - 50).collect();
    let input: Vec<u8> = (0..N * 3 * 224 * 224).map(|i| (i * 31 % 251) as u8).collect();
    let scale = Scale { scale: 0.01, zero: 3 };
    let kernel = ByteKernel::new(&weight, [64, 3], geometry, scale, &[0.01], scale, None);
    let kernel = kernel.expect("output channels are multiples of 16");
    let mut output = vec![0; N * 56 * 56 * 64];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    bencher.counter(ItemsCount::new(N * 112 * 112 * 64 * 147)).bench_local(|| {
        let run = |n: usize, piece: &(dyn Fn(usize) + Sync)| on(threads, n, piece);
        convolve_and_pool_bytes(&kernel, pool, &input, images, black_box(&mut output), run)
    });
}

#[divan::bench(sample_count = 5)]
fn weights_of_512_channels(bencher: Bencher<'_, '_>) {
    let geometry = Geometry { kernel: [3; 2], strides: [1; 2], dilations: [1; 2], pads: [1; 4] };
    let weight = vec![0.5; 512 * 512 * 9];
    bencher.bench_local(|| Kernel::new(&weight, 512, 512, geometry));
}

/// Where a layer's outputs look, its input images, and height and width of its output.
fn shapes((_, _, side, kernel, stride): Layer) -> (Geometry, Images, [usize; 2]) {
    let geometry = Geometry { kernel: [kernel; 2], strides: [stride; 2], dilations: [1; 2], pads: [kernel / 2; 4] };
    let images = Images { n: N, height: side, width: side };
    (geometry, images, geometry.output(images).expect("a layer of a network has an output"))
}

/// Calls `piece` with every number below `n`.
fn on(threads: usize, n: usize, piece: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(nth) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|nth| *nth < n) {
            piece(nth);
        }
    };
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}
