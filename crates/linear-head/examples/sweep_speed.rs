//! How long a sweep takes on made-up features, ten epochs, for so many examples, feature width, classes, grid points and
//! rows in a batch: `cargo run --release -p linear-head --example sweep_speed -- 50000 512 10 1 32`.
//! Not a test: it prints and checks nothing.
#![allow(clippy::print_stdout)] // A measuring program has no other way to tell.

use std::ops::ControlFlow;
use std::time::Instant;

use linear_head::{ClassWeights, GridPoint, Schedule, Settings, Split, Start, train};
use ndarray::{Array2, Axis, Slice};

fn main() -> linear_head::Result<()> {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let size = |position: usize, usual: usize| asked.get(position).copied().unwrap_or(usual);
    let (n_examples, feature_dim, n_classes, n_points) = (size(0, 50_000), size(1, 512), size(2, 10), size(3, 1));
    let mut state = 1_u32;
    let features = Array2::from_shape_simple_fn((n_examples, feature_dim), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    let labels: Vec<u32> = (0..n_examples).map(|row| (row % n_classes) as u32).collect();
    let learning_rates: Vec<f64> = (0..n_points).map(|point| 1e-3 * 1.1_f64.powi(point as i32)).collect();
    let settings = Settings {
        epochs: 10,
        batch_size: size(4, 32),
        momentum: 0.9,
        schedule: Schedule::Cosine,
        seed: 0,
        grid: GridPoint::product(&learning_rates, &[1e-4]),
        class_weights: ClassWeights::Uniform,
        patience: None,
        stop_after: None,
        start: Start::Zero,
    };
    let settings = settings.check(n_examples, n_classes, feature_dim)?;
    let all = Split { features: features.view(), labels: &labels };
    let none = Split { features: features.slice_axis(Axis(0), Slice::from(..0)), labels: &[] };
    let start = Instant::now();
    let sweep = train(&settings, all, none, &mut |_| ControlFlow::Continue(()))?;
    let loss = sweep.points[sweep.best].history.last().map_or(f64::NAN, |epoch| epoch.train_loss);
    println!("{:.3} s, last training loss {loss:.4}", start.elapsed().as_secs_f64());
    Ok(())
}
