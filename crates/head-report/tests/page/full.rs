//! A page with everything on it.

use head_report::{
    Bin, ClassScore, Confusion, Curve, Curves, Duplicate, Duplicates, Ending, EpochFigures, Fact, Grid, GridCell,
    LearningCurve, LearningLine, LearningPoint, Map, MapPoint, Mistake, Mistakes, Named, Page, PerClass, Provenance,
    Reliability, ReliabilityDiagram, Section, SplitScores, Thumbnail,
};

pub(crate) fn thumbnail() -> Thumbnail {
    Thumbnail { width: 4, height: 4, rgb: (0..48).map(|v| v * 5).collect() }
}

/// A page with everything on it, every text being `name`.
pub(crate) fn page(name: &str, n_classes: usize) -> Page {
    let epoch = |i: usize| EpochFigures {
        train_loss: 2.0 / (i + 1) as f64,
        train_accuracy: 0.5 + 0.04 * i as f64,
        validation_loss: Some(2.1 / (i + 1) as f64),
        validation_accuracy: Some(0.5 + 0.03 * i as f64),
    };
    let curve = || Curve { label: name.into(), epochs: (0..10).map(epoch).collect() };
    let cell = |decay: usize, ending: Ending| GridCell { rate: 0, decay, ending, chosen: decay == 0 };
    let bin = Bin { lower: 0.8, upper: 1.0, count: 9, confidence: 0.9, accuracy: 0.8 };
    let diagram = ReliabilityDiagram { ece: 0.1, bins: vec![bin] };
    let point = |per_class: Option<usize>| LearningPoint { per_class, rows: 20, mean: 0.6, lowest: 0.5, highest: 0.7 };
    let line = || LearningLine { name: name.into(), points: vec![point(Some(1)), point(None)] };
    let scores = SplitScores {
        name: "test",
        rows: 100,
        accuracy: 0.8,
        balanced_accuracy: 0.79,
        macro_f1: 0.78,
        loss: 0.5,
        ece: Some((0.1, 0.02)),
    };
    // Of every class most rows right, and some of the next but one's taken for the next.
    let counts = (0..n_classes * n_classes).map(|i| match (i / n_classes, i % n_classes) {
        (class, predicted) if class == predicted => 9,
        (class, predicted) => u64::from((class + predicted) % 7 == 0) * (class % 3) as u64,
    });
    let confusion = Confusion { split: "test", counts: counts.collect() };
    let fact = || Fact { name: name.into(), value: name.into() };
    Page {
        title: name.into(),
        summary: name.into(),
        classes: (0..n_classes).map(|i| format!("{name}{i}")).collect(),
        splits: vec![scores],
        is_refit: false,
        temperature: Some(1.3),
        curves: Curves { settings: vec![curve(), curve()], chosen: 1, best_epoch: 9 },
        grid: Grid {
            rates: vec![name.into()],
            decays: vec![name.into(), "0.1".into()],
            cells: vec![
                cell(0, Ending::Finished { loss: 0.4, accuracy: Some(0.8) }),
                cell(1, Ending::Diverged { epoch: 3 }),
            ],
            chosen_by: "validation",
        },
        confusion: Section::Shown(confusion.clone()),
        per_class: Section::Shown(PerClass {
            split: "test",
            scores: vec![ClassScore { precision: 0.5, recall: 0.25, f1: 0.3, support: 9 }; n_classes],
        }),
        reliability: Section::Shown(Reliability {
            split: "test",
            before: diagram.clone(),
            after: diagram,
            temperature: 1.3,
        }),
        mistakes: Section::Shown(Mistakes {
            split: "test",
            shown: vec![Mistake { picture: thumbnail(), id: name.into(), label: 0, predicted: 1, probability: 0.99 }],
            n_wrong: 20,
        }),
        map: Section::Shown(Map {
            split: "test",
            points: (0..50)
                .map(|i| MapPoint {
                    x: f64::from(i).sin(),
                    y: f64::from(i).cos(),
                    class: i as usize % n_classes.max(1),
                })
                .collect(),
            named: Named::choose(&vec![2; n_classes], Some(&confusion)),
            n_rows: 100,
            explained: [0.4, 0.2],
        }),
        learning_curve: Section::Shown(LearningCurve { lines: vec![line(), line()], n_draws: 5 }),
        duplicates: Section::Shown(Duplicates {
            shown: vec![Duplicate {
                train: thumbnail(),
                test: thumbnail(),
                ids: (name.into(), name.into()),
                labels: (0, 1),
                difference: 0.0,
                similarity: 1.0,
            }],
            n_pairs: 3,
            rule: name.into(),
        }),
        provenance: Provenance { command: name.into(), facts: vec![fact()], settings: vec![fact()] },
    }
}
