//! Ten epochs of SGD over 50,000 × 512 and 10 classes: one setting and a grid, and the products that they are made of.
//!
//! `cargo bench -p linear-head --bench sweep`. Items are multiply-adds of both products, 2 · n · dim · columns an epoch.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use linear_head::{ClassWeights, GridPoint, Head, Schedule, Settings, Split, Start, train};
use ndarray::{Array1, Array2, Axis, Slice};

const N: usize = 50_000;
const DIM: usize = 512;
const N_CLASSES: usize = 10;
const EPOCHS: usize = 10;

/// Uniform numbers from a small congruential generator, and labels that nothing can be learnt of: speed does not depend on it.
static DATA: LazyLock<(Array2<f32>, Vec<u32>)> = LazyLock::new(|| {
    let mut state = 1_u32;
    let features = Array2::from_shape_simple_fn((N, DIM), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    (features, (0..N).map(|row| (row % N_CLASSES) as u32).collect())
});

/// Rows in a batch and settings in the grid.
#[divan::bench(args = [(32, 1), (256, 1), (32, 52), (256, 52)], sample_count = 5)]
fn sweep(bencher: Bencher<'_, '_>, (batch_size, n_points): (usize, usize)) {
    let learning_rates: Vec<f64> = (0..n_points).map(|point| 1e-3 * 1.1_f64.powi(point as i32)).collect();
    let settings = Settings {
        epochs: EPOCHS,
        batch_size,
        momentum: 0.9,
        schedule: Schedule::Constant,
        seed: 0,
        grid: GridPoint::product(&learning_rates, &[0.0]),
        class_weights: ClassWeights::Uniform,
        patience: None,
        stop_after: None,
        start: Start::Zero,
    };
    let settings = settings.check(N, N_CLASSES, DIM).expect("the settings are sound");
    let (features, labels) = &*DATA;
    let all = Split { features: features.view(), labels };
    let none = Split { features: features.slice_axis(Axis(0), Slice::from(..0)), labels: &[] };
    bencher
        .counter(ItemsCount::new(2 * N * DIM * N_CLASSES * n_points * EPOCHS))
        .bench(|| train(&settings, all, none, &mut |_| ControlFlow::Continue(())).expect("it stays finite"));
}

/// One epoch of 1,000 classes on 3,072 numbers.
#[divan::bench(args = [32, 256], sample_count = 5)]
fn many_classes(bencher: Bencher<'_, '_>, batch_size: usize) {
    const ROWS: usize = 2048;
    const DIM: usize = 3072;
    const N_CLASSES: usize = 1000;
    let features = Array2::from_shape_fn((ROWS, DIM), |(row, column)| DATA.0[(row, column % 512)]);
    let labels: Vec<u32> = (0..ROWS).map(|row| (row % N_CLASSES) as u32).collect();
    let settings = Settings {
        epochs: 1,
        batch_size,
        momentum: 0.9,
        schedule: Schedule::Constant,
        seed: 0,
        grid: GridPoint::product(&[1e-3], &[0.0]),
        class_weights: ClassWeights::Uniform,
        patience: None,
        stop_after: None,
        start: Start::Zero,
    };
    let settings = settings.check(ROWS, N_CLASSES, DIM).expect("the settings are sound");
    let all = Split { features: features.view(), labels: &labels };
    let none = Split { features: features.slice_axis(Axis(0), Slice::from(..0)), labels: &[] };
    bencher
        .counter(ItemsCount::new(2 * ROWS * DIM * N_CLASSES))
        .bench(|| train(&settings, all, none, &mut |_| ControlFlow::Continue(())).expect("it stays finite"));
}

/// Logits of all rows.
#[divan::bench]
fn logits(bencher: Bencher<'_, '_>) {
    let weight = Array2::from_shape_fn((N_CLASSES, DIM), |(c, k)| (c * 7 + k) as f32 * 1e-3);
    let head = Head::new(weight, Array1::zeros(N_CLASSES)).expect("it is finite");
    let features = &DATA.0;
    bencher
        .counter(ItemsCount::new(N * DIM * N_CLASSES))
        .bench(|| head.logits(features.view()).expect("the widths are equal"));
}

fn main() {
    divan::main();
}
