//! Features that tell the classes apart beat random numbers, at every size.

use linear_head::{ClassWeights, GridPoint, Schedule, Start};

use super::*;

/// `n` rows of three classes; `signal` moves a class away from the others.
fn rows(split: &str, n: usize, signal: f32) -> Rows {
    let ids: Vec<String> = (0..n).map(|i| format!("{split}{i}")).collect();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    let features = Array2::from_shape_fn((n, 24), |(i, j)| {
        let noise = Rank::position(&format!("{}/{j}", ids[i]), "noise") as f32 - 0.5;
        noise + if j % 3 == labels[i] as usize { signal } else { 0.0 }
    });
    Rows { ids, labels, features: features.into() }
}

fn data(signal: f32) -> Data {
    let (train, validation, test) = (rows("t", 240, signal), rows("v", 90, signal), rows("e", 120, signal));
    Data { train, validation, test, unlabelled: 0, drawn: false }
}

fn settings() -> linear_head::Settings {
    linear_head::Settings {
        epochs: 5,
        batch_size: 64,
        momentum: 0.9,
        schedule: Schedule::Cosine,
        seed: 1,
        grid: GridPoint::product(&[0.03, 0.1], &[0.0, 0.1]),
        class_weights: ClassWeights::Uniform,
        patience: Some(1),
        stop_after: None,
        start: Start::Zero,
    }
}

fn curves(threads: usize) -> Vec<Line> {
    let (own, settings) = (data(0.35), settings());
    let n = own.train.ids.len();
    let checked = settings.clone().check(n, 3, 24).unwrap();
    let split = |rows: &'static str| match rows {
        "train" => Split { features: own.train.features.view(), labels: &own.train.labels },
        _ => Split { features: own.validation.features.view(), labels: &own.validation.labels },
    };
    let sweep =
        linear_head::train(&checked, split("train"), split("validation"), &mut |_| std::ops::ControlFlow::Continue(()))
            .unwrap();
    let baselines = [Baseline { name: "noise".into(), data: data(0.0) }];
    let asked = Asked { n_classes: 3, sweep: &settings, standardise: true };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| run(&own, &sweep, &baselines, &asked).unwrap())
}

#[test]
fn features_with_a_signal_beat_random_numbers_and_gain_from_labels() {
    let lines = curves(2);
    assert_eq!(lines.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), [OWN, "noise"]);
    let mean = |line: usize| lines[line].points.iter().map(|p| p.spread().0).collect::<Vec<_>>();
    let (own, noise) = (mean(0), mean(1));
    assert_eq!(own.len(), SIZES.len() + 1, "80 rows a class are more than every size");
    assert!(own.iter().zip(&noise).all(|(own, noise)| own > noise), "{own:?} {noise:?}");
    assert!(own[5] > 0.9 && own[5] > own[0] + 0.1, "{own:?}");
    assert!(noise.iter().all(|share| (0.2..0.47).contains(share)), "noise is no better than guessing: {noise:?}");
}

#[test]
fn no_size_chooses_on_more_validation_rows_than_it_trains_on() {
    for line in curves(2) {
        for point in &line.points {
            let n_draws = if point.per_class.is_some() { N_DRAWS } else { 1 };
            assert_eq!(point.draws.len(), n_draws);
            for draw in &point.draws {
                assert_eq!(draw.train_rows, point.per_class.unwrap_or(80) * 3);
                assert_eq!(draw.validation_rows, point.per_class.unwrap_or(30).min(30) * 3);
            }
        }
        assert!(line.points[1].draws.iter().any(|d| d.test_accuracy != line.points[1].draws[0].test_accuracy));
    }
}

#[test]
fn the_same_curve_twice_and_with_any_number_of_threads() {
    let one = curves(1);
    assert_eq!(one, curves(1));
    assert_eq!(one, curves(4));
}

#[test]
fn a_larger_draw_holds_every_smaller_one_and_classes_give_what_they_have() {
    let mut few = rows("t", 30, 0.0);
    few.labels = (0..30).map(|i| u32::from(i >= 3)).collect();
    let prepared = Prepared::new(&few, None).unwrap();
    let (small, labels) = prepared.draw(2, 2, "key");
    assert_eq!((small.nrows(), labels.iter().sum::<u32>()), (4, 2));
    let (large, labels) = prepared.draw(5, 2, "key");
    assert_eq!((large.nrows(), labels.iter().sum::<u32>()), (8, 5));
    assert!(small.outer_iter().all(|row| large.outer_iter().any(|other| row == other)));
    assert_ne!(small, prepared.draw(2, 2, "other key").0);
}

#[test]
fn few_rows_get_more_epochs_and_many_those_that_were_asked_for() {
    let settings = settings();
    assert_eq!(few_steps(&settings, 3).epochs, 100);
    assert_eq!(few_steps(&settings, 128).epochs, 50);
    assert_eq!(few_steps(&settings, 6400).epochs, 5);
    assert_eq!(few_steps(&settings, 3).patience, None);
}
