//! Tests of the training loop: sameness, choice, stopping, divergence and refusals.

use std::ops::ControlFlow;

use super::*;
use crate::settings::tests::plain;
use crate::{ClassWeights, GridPoint, Settings};

/// Noisy classes on `feature_dim` features, from a small congruential generator so that the fixture is fixed.
fn problem(n: usize, feature_dim: usize, n_classes: usize) -> (Array2<f32>, Vec<u32>) {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let labels: Vec<u32> = (0..n).map(|row| (row % n_classes) as u32).collect();
    let features = Array2::from_shape_fn((n, feature_dim), |(row, column)| {
        let own = column % n_classes == row % n_classes;
        2.0 * noise() + f32::from(u8::from(own)) * 0.3
    });
    (features, labels)
}

fn quiet() -> impl FnMut(&EpochReport<'_>) -> ControlFlow<()> {
    |_| ControlFlow::Continue(())
}

fn fit(settings: Settings, validation_rows: usize) -> Result<Sweep> {
    let (features, labels) = problem(400, 37, 3);
    let n_train = 400 - validation_rows;
    let settings = settings.check(n_train, 3, 37)?;
    let split = |rows: std::ops::Range<usize>| Split {
        features: features.slice_axis(Axis(0), Slice::from(rows.clone())),
        labels: &labels[rows],
    };
    train(&settings, split(0..n_train), split(n_train..400), &mut quiet())
}

/// Enough points for several groups.
fn wide() -> Vec<GridPoint> {
    GridPoint::product(&[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0], &[0.0, 1e-4, 1e-2])
}

#[test]
fn same_bytes_again_and_with_1_2_8_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(plain(wide()), 100).unwrap())
    };
    let one = run(1);
    assert_eq!(one, run(1));
    assert_eq!(one, run(2));
    assert_eq!(one, run(8));
    let other = fit(Settings { seed: 8, ..plain(wide()) }, 100).unwrap();
    assert_ne!(one, other);
}

/// 48 rows · 300 classes · 400 numbers are several tasks in both products, and the last of each is a short one.
#[test]
fn many_classes_are_shared_by_threads_and_have_the_same_bytes() {
    let (features, labels) = problem(330, 400, 300);
    let split = |rows: std::ops::Range<usize>| Split {
        features: features.slice_axis(Axis(0), Slice::from(rows.clone())),
        labels: &labels[rows],
    };
    let settings = Settings { epochs: 2, batch_size: 48, ..plain(GridPoint::product(&[0.1, 0.3], &[1e-3])) };
    assert!(settings.batch_size * 300 * 400 > crate::sgd::FEWEST_SPLIT);
    let settings = settings.check(300, 300, 400).unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&settings, split(0..300), split(300..330), &mut quiet()).unwrap())
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(8));
    assert!(one.points[0].history[1].train_loss < one.points[0].history[0].train_loss);
}

#[test]
fn a_point_alone_has_the_bits_it_has_in_a_grid() {
    let grid = fit(plain(wide()), 100).unwrap();
    for point in [0, 5, 13, 20] {
        let alone = fit(plain(vec![wide()[point]]), 100).unwrap();
        assert_eq!(alone.points[0], grid.points[point]);
    }
}

#[test]
fn learns_and_chooses_on_validation() {
    let sweep = fit(plain(wide()), 100).unwrap();
    let loss = |point: &FittedPoint| point.history[point.best_epoch - 1].validation_loss.unwrap();
    let point = &sweep.points[sweep.best];
    assert!(sweep.points.iter().all(|other| loss(other) >= loss(point)));
    assert!(point.history.iter().all(|epoch| epoch.validation_loss.unwrap() >= loss(point)));
    let accuracy = point.history[point.best_epoch - 1].validation_accuracy.unwrap();
    assert!(accuracy > 0.7, "{accuracy}");
    assert_eq!(point.history.len(), 5);
    // The kept head is the best epoch's: it gives that epoch's figures.
    let (features, labels) = problem(400, 37, 3);
    let logits = point.head.logits(features.slice_axis(Axis(0), Slice::from(300..))).unwrap();
    let scores = crate::scores(logits.view(), &labels[300..]).unwrap();
    assert_eq!(scores.accuracy, accuracy);
    assert!((scores.loss - loss(point)).abs() < 1e-6);
}

#[test]
fn without_validation_the_last_epoch_is_kept_and_training_loss_chooses() {
    let sweep = fit(plain(wide()), 0).unwrap();
    let loss = |point: &FittedPoint| point.history[4].train_loss;
    assert!(sweep.points.iter().all(|point| point.best_epoch == 5 && point.history[4].validation_loss.is_none()));
    assert!(sweep.points.iter().all(|point| loss(point) >= loss(&sweep.points[sweep.best])));
    let patient = Settings { patience: Some(1), ..plain(wide()) };
    assert!(matches!(fit(patient, 0), Err(Error::Setting { name: "patience", .. })));
}

#[test]
fn patience_ends_the_sweep_early() {
    let settings = Settings { patience: Some(2), epochs: 200, ..plain(GridPoint::product(&[0.1], &[0.0])) };
    let sweep = fit(settings, 100).unwrap();
    let point = &sweep.points[0];
    assert_eq!(point.history.len(), point.best_epoch + 2);
    assert!(point.history.len() < 200);
}

#[test]
fn a_diverged_point_is_marked_and_not_chosen() {
    let settings = plain(GridPoint::product(&[3e38, 0.03], &[0.0]));
    let sweep = fit(settings, 100).unwrap();
    assert_eq!(sweep.best, 1);
    assert!(
        matches!(sweep.points[0].outcome, Outcome::Diverged { epoch: 1, step: 2.. }),
        "{:?}",
        sweep.points[0].outcome
    );
    assert_eq!((sweep.points[0].best_epoch, sweep.points[0].history.len()), (0, 0));
    assert_eq!(sweep.points[1], fit(plain(GridPoint::product(&[0.03], &[0.0])), 100).unwrap().points[0]);
}

#[test]
fn all_points_diverged_is_an_error_that_carries_a_finite_head() {
    match fit(plain(GridPoint::product(&[3e38, 2e38], &[0.0])), 100) {
        Err(Error::Diverged { epoch: 1, n_points: 2, head, .. }) => assert_eq!(head.feature_dim(), 37),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_can_stop_within_an_epoch() {
    // Windows of 4 MiB: 512 rows of 2,048 numbers each, so three an epoch.
    let (features, labels) = problem(1100, 2048, 3);
    let all = Split { features: features.view(), labels: &labels };
    let none = Split { features: features.slice_axis(Axis(0), Slice::from(..0)), labels: &[] };
    let settings = plain(GridPoint::product(&[0.01], &[0.0])).check(1100, 3, 2048).unwrap();
    let mut asked = 0;
    let result = train_stoppable(&settings, all, none, &mut quiet(), &mut || {
        asked += 1;
        if asked == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(Error::Stopped { epoch: 2 })), "{result:?}");
}

#[test]
fn a_caller_can_stop_and_sees_every_epoch() {
    let (features, labels) = problem(50, 6, 3);
    let settings = plain(GridPoint::product(&[0.1], &[0.0])).check(50, 3, 6).unwrap();
    let split = Split { features: features.view(), labels: &labels };
    let mut seen = vec![];
    let result = train(&settings, split, split, &mut |report| {
        seen.push((report.epoch, report.epochs, report.leader, report.points.len()));
        if report.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(Error::Stopped { epoch: 2 })));
    assert_eq!(seen, [(1, 5, 0, 1), (2, 5, 0, 1)]);
}

#[test]
fn a_rare_class_is_found_more_often_with_balanced_weights() {
    let (features, mut labels) = problem(600, 12, 2);
    // Nine tenths of class 1 are relabelled away, so class 1 is rare and class 0 is mixed.
    labels.iter_mut().enumerate().filter(|(row, _)| row % 20 != 1).for_each(|(_, label)| *label = 0);
    let split = Split { features: features.view(), labels: &labels };
    let recall = |class_weights| {
        let settings =
            Settings { class_weights, batch_size: 60, epochs: 20, ..plain(GridPoint::product(&[0.05], &[0.0])) };
        let sweep = train(
            &settings.check(600, 2, 12).unwrap(),
            split,
            Split { features: features.slice_axis(Axis(0), Slice::from(..0)), labels: &[] },
            &mut quiet(),
        )
        .unwrap();
        let logits = sweep.points[0].head.logits(features.view()).unwrap();
        crate::scores(logits.view(), &labels).unwrap().per_class[1].recall
    };
    let (balanced, uniform) = (recall(ClassWeights::Balanced), recall(ClassWeights::Uniform));
    assert!(balanced > uniform + 0.3, "{balanced} {uniform}");
}

#[test]
fn splits_that_cannot_be_trained_on_are_refused() {
    let (features, labels) = problem(50, 6, 3);
    let settings = plain(GridPoint::product(&[0.1], &[0.0])).check(50, 3, 6).unwrap();
    let good = Split { features: features.view(), labels: &labels };
    let one = [2; 50];
    let result = train(&settings, Split { features: features.view(), labels: &one }, good, &mut quiet());
    assert!(matches!(result, Err(Error::OneClass { label: 2, n_examples: 50 })));
    let fewer = Split { features: features.slice_axis(Axis(0), Slice::from(1..)), labels: &labels[1..] };
    assert!(matches!(
        train(&settings, fewer, good, &mut quiet()),
        Err(Error::Dimension { expected: 50, found: 49, .. })
    ));
    let narrow = Split { features: features.slice_axis(Axis(1), Slice::from(1..)), labels: &labels };
    assert!(matches!(
        train(&settings, good, narrow, &mut quiet()),
        Err(Error::Dimension { expected: 6, found: 5, .. })
    ));
}

#[test]
fn stopping_after_some_epochs_gives_the_bits_of_the_longer_run_at_that_epoch() {
    let one = || plain(GridPoint::product(&[0.1], &[0.01]));
    let whole = fit(one(), 0).unwrap();
    let part = fit(Settings { stop_after: Some(3), ..one() }, 0).unwrap();
    assert_eq!(part.points[0].history[..], whole.points[0].history[..3]);
    assert_eq!(part.points[0].best_epoch, 3);
    assert_ne!(part.points[0].head, whole.points[0].head);
}

/// Every batch of every epoch once, in the epoch's order: with several windows an epoch, the last of them short.
#[test]
fn windows_are_the_batches_of_each_epochs_own_order() {
    let (n, feature_dim, batch_size) = (21, 1 << 17, 4);
    let (features, labels) = problem(n, feature_dim, 3);
    let grid = GridPoint::product(&[1e-6], &[0.0]);
    let settings = Settings { epochs: 3, batch_size, ..plain(grid.clone()) };
    let initial = initial_weights(3, feature_dim, settings.seed);
    let (mut group, mut order) = (Group::new(&grid, initial.view(), batch_size), vec![0; n]);
    assert!(Window::new(batch_size, feature_dim, n).n_rows() < n);
    let (steps, mut step) = (n.div_ceil(batch_size), 0);
    for epoch in 1..=3 {
        shuffle(&mut order, settings.seed, epoch);
        for rows in order.chunks(batch_size) {
            let rows: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
            let batch_labels: Vec<u32> = rows.iter().map(|row| labels[*row]).collect();
            let batch = features.select(Axis(0), &rows);
            assert!(group.loss_and_slopes(batch.view(), &batch_labels, &[1.0; 3]));
            group.update(batch.view(), settings.momentum as f32, settings.schedule.factor(step, steps * 3));
            step += 1;
        }
    }
    let settings = settings.check(n, 3, feature_dim).unwrap();
    let split = Split { features: features.view(), labels: &labels };
    let none = Split { features: features.slice_axis(Axis(0), Slice::from(0..0)), labels: &[] };
    let sweep = train(&settings, split, none, &mut quiet()).unwrap();
    assert_eq!(sweep.points[0].head.weight(), group.lane_weight(0));
}
