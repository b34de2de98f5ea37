//! The label-efficiency curve: test accuracy against labelled examples a class, for the features and for baselines.
//!
//! Each size is tried on several draws of examples. A draw has as many validation rows a class as training rows, never
//! more: further ones would be labels that a person with so few does not have. Everything else is as in the run itself:
//! the same grid, the validation loss choosing. Features are standardised by all training rows, which takes no label.
//! Nothing that is chosen anywhere depends on the test accuracies that are measured here.

use anyhow::Context;
use artifact::{Artifact, FeaturesFacts, Kind, Split as Rank};
use linear_head::{Head, RowSpan, Split, Standardiser, Sweep};
use ndarray::{Array2, ArrayView2, Axis, CowArray};
use rayon::prelude::*;
use stage::{Exit, check_stop, count};

use crate::data::{self, Data, Rows};
use crate::head_error;
use crate::matrix::{Home, Matrix};
use crate::plan::{BaselineFeatures, Settings};
use crate::train::go_on;

/// Labelled examples a class that are tried, beside all there are.
pub(crate) const SIZES: [usize; 6] = [1, 2, 5, 10, 20, 50];
/// Draws of examples at each size.
pub(crate) const N_DRAWS: usize = 5;
/// Steps of SGD at least: as many epochs as asked for, and more where those make fewer steps. A handful of rows is one
/// batch, and 20 steps would not have led anywhere yet.
const LEAST_STEPS: usize = 100;
/// How the features themselves are called among baselines.
pub(crate) const OWN: &str = "these features";

/// Features of the same rows by other means.
#[derive(Debug)]
pub(crate) struct Baseline {
    name: String,
    data: Data,
}

/// The curve of one kind of features.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// How heads are trained, as in the run itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) n_classes: usize,
    pub(crate) sweep: &'a linear_head::Settings,
    pub(crate) standardise: bool,
}

/// One size; `per_class` is nothing for all rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) per_class: Option<usize>,
    pub(crate) draws: Vec<Draw>,
}

/// One head that was trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Draw {
    pub(crate) train_rows: usize,
    pub(crate) validation_rows: usize,
    pub(crate) learning_rate: f64,
    pub(crate) weight_decay: f64,
    pub(crate) epoch: usize,
    pub(crate) test_accuracy: f64,
}

impl Point {
    /// Mean, lowest and highest test accuracy of the draws.
    pub(crate) fn spread(&self) -> (f64, f64, f64) {
        let accuracies = || self.draws.iter().map(|d| d.test_accuracy);
        let mean = accuracies().sum::<f64>() / self.draws.len().max(1) as f64;
        (mean, accuracies().fold(f64::INFINITY, f64::min), accuracies().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Training rows, a mean over the draws.
    pub(crate) fn train_rows(&self) -> usize {
        self.draws.iter().map(|d| d.train_rows).sum::<usize>() / self.draws.len().max(1)
    }
}

/// Reads the features of every baseline and holds them against those of the run: the same rows in the same splits.
///
/// # Errors
/// Exit 65 where rows, labels or classes differ; 2 where there is nothing to choose or to score on.
pub(crate) fn read(
    settings: &Settings,
    own: &Data,
    facts: &FeaturesFacts,
    home: &Home,
) -> anyhow::Result<Vec<Baseline>> {
    if settings.learning_curve {
        let needed = [("validation", &own.validation, "choose settings"), ("test", &own.test, "measure accuracy")];
        if let Some((split, _, why)) = needed.iter().find(|(_, rows, _)| rows.ids.is_empty()) {
            return Err(Exit::Usage.error(format!("--learning-curve needs {split} rows to {why} on; there are none")));
        }
    }
    settings.baselines.iter().map(|baseline| read_one(baseline, settings, own, facts, home)).collect()
}

fn read_one(
    baseline: &BaselineFeatures,
    settings: &Settings,
    own: &Data,
    facts: &FeaturesFacts,
    home: &Home,
) -> anyhow::Result<Baseline> {
    let BaselineFeatures { name, folder } = baseline;
    let features = Artifact::open(folder, Kind::Features)?;
    let theirs: FeaturesFacts = features.manifest().facts_as(features.folder())?;
    let differs = |what: String| {
        Exit::BadData.error(format!(
            "--baseline {name}: {} is not of the same examples as {}: {what}; extract both from one examples artifact",
            folder.display(),
            settings.features.display()
        ))
    };
    if theirs.classes != facts.classes {
        return Err(differs(format!("classes: expected {:?}, found {:?}", facts.classes, theirs.classes)));
    }
    let data = data::read(&features, &theirs, settings.validation, home)?;
    let splits = [(Rank::Train, &own.train, &data.train), (Rank::Validation, &own.validation, &data.validation)];
    for (split, own, found) in splits.into_iter().chain([(Rank::Test, &own.test, &data.test)]) {
        let (n_own, n_found) = (count(own.ids.len() as u64), count(found.ids.len() as u64));
        if n_own != n_found {
            return Err(differs(format!("{split} rows: expected {n_own}, found {n_found}")));
        }
        let differ = |row: &usize| own.ids[*row] != found.ids[*row] || own.labels[*row] != found.labels[*row];
        if let Some(row) = (0..own.ids.len()).find(differ) {
            let (expected, found) = ((&own.ids[row], own.labels[row]), (&found.ids[row], found.labels[row]));
            return Err(differs(format!(
                "{split} row {row}: expected {} with label {}, found {} with label {}",
                expected.0, expected.1, found.0, found.1
            )));
        }
    }
    Ok(Baseline { name: name.clone(), data })
}

/// The curves: of the features themselves first, then of the baselines. `sweep` is that of the run itself, which is
/// the last point of its curve.
pub(crate) fn run(own: &Data, sweep: &Sweep, baselines: &[Baseline], asked: &Asked<'_>) -> anyhow::Result<Vec<Line>> {
    let all =
        std::iter::once((OWN, own, Some(sweep))).chain(baselines.iter().map(|b| (b.name.as_str(), &b.data, None)));
    all.map(|(name, data, sweep)| line(name, data, sweep, asked)).collect()
}

/// Rows of a split as they are trained on.
struct Prepared<'a> {
    /// Nothing where they are as they were read.
    standardised: Option<Matrix>,
    rows: &'a Rows,
}

impl<'a> Prepared<'a> {
    fn new(rows: &'a Rows, standardiser: Option<&Standardiser>) -> anyhow::Result<Self> {
        Ok(Self { standardised: standardiser.map(|by| rows.features.standardised(by)).transpose()?, rows })
    }

    fn features(&self) -> ArrayView2<'_, f32> {
        self.standardised.as_ref().unwrap_or(&self.rows.features).view()
    }

    fn split(&self) -> Split<'_> {
        Split { features: self.features(), labels: &self.rows.labels }
    }

    /// At most `per_class` rows of each class, drawn by a hash of id: a larger draw holds every smaller one.
    fn draw(&self, per_class: usize, n_classes: usize, key: &str) -> (Array2<f32>, Vec<u32>) {
        let mut order: Vec<(f64, usize)> =
            self.rows.ids.iter().enumerate().map(|(row, id)| (Rank::position(id, key), row)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut left = vec![per_class; n_classes];
        let mut drawn = Vec::new();
        for (_, row) in order {
            let left = &mut left[self.rows.labels[row] as usize];
            if *left > 0 {
                *left -= 1;
                drawn.push(row);
            }
        }
        (self.features().select(Axis(0), &drawn), drawn.iter().map(|row| self.rows.labels[*row]).collect())
    }
}

fn line(name: &str, data: &Data, sweep: Option<&Sweep>, asked: &Asked<'_>) -> anyhow::Result<Line> {
    let n_classes = asked.n_classes;
    stage::say(format!("head: learning curve of {name}"));
    let standardiser = match asked.standardise {
        true => Some(Standardiser::fit(data.train.features.view()).map_err(head_error)?),
        false => None,
    };
    let prepared = |rows| Prepared::new(rows, standardiser.as_ref());
    let (train, validation, test) = (prepared(&data.train)?, prepared(&data.validation)?, prepared(&data.test)?);
    let mut counts = vec![0; n_classes];
    data.train.labels.iter().for_each(|label| counts[*label as usize] += 1);
    let largest = counts.into_iter().max().unwrap_or(0);
    let sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size < largest).collect();
    let tasks: Vec<(usize, usize)> = sizes.iter().flat_map(|size| (0..N_DRAWS).map(move |nth| (*size, nth))).collect();
    let one = |(size, nth): (usize, usize)| -> anyhow::Result<Draw> {
        check_stop()?;
        let key = |split: &str| format!("learning-curve/{split}/{}/{nth}", asked.sweep.seed);
        let (features, labels) = train.draw(size, n_classes, &key("train"));
        let (validation_features, validation_labels) = validation.draw(size, n_classes, &key("validation"));
        let (train, validation) = (
            Split { features: features.view(), labels: &labels },
            Split { features: validation_features.view(), labels: &validation_labels },
        );
        let few = few_steps(asked.sweep, labels.len());
        fit_and_score(train, validation, test.split(), n_classes, few)
            .with_context(|| format!("learning curve of {name}, {size} labelled rows a class"))
    };
    // Draws beside each other, since each of them is too small to keep many threads busy.
    let draws: Vec<Draw> = tasks.into_par_iter().map(one).collect::<anyhow::Result<_>>()?;
    let mut points: Vec<Point> = sizes
        .iter()
        .zip(draws.chunks(N_DRAWS))
        .map(|(size, draws)| Point { per_class: Some(*size), draws: draws.to_vec() })
        .collect();
    let last = match sweep {
        Some(sweep) => Draw {
            train_rows: data.train.ids.len(),
            validation_rows: data.validation.ids.len(),
            ..score(sweep, &sweep.points[sweep.best].head, test.split())?
        },
        None => fit_and_score(train.split(), validation.split(), test.split(), n_classes, asked.sweep.clone())
            .with_context(|| format!("learning curve of {name}, all rows"))?,
    };
    points.push(Point { per_class: None, draws: vec![last] });
    Ok(Line { name: name.to_string(), points })
}

/// The run's settings for a training set of `n` rows.
fn few_steps(asked: &linear_head::Settings, n: usize) -> linear_head::Settings {
    let mut sweep = asked.clone();
    let steps_per_epoch = n.div_ceil(sweep.batch_size.min(n)).max(1);
    sweep.epochs = sweep.epochs.max(LEAST_STEPS.div_ceil(steps_per_epoch));
    // Patience is counted in epochs, which are far shorter here.
    sweep.patience = None;
    sweep
}

/// Trains the grid, and scores the best head of it on test rows.
fn fit_and_score(
    train: Split<'_>,
    validation: Split<'_>,
    test: Split<'_>,
    n_classes: usize,
    sweep: linear_head::Settings,
) -> anyhow::Result<Draw> {
    let (n, dim) = train.features.dim();
    // Half as many rows as features or fewer: the same head from a smaller problem.
    let span = (2 * n <= dim).then(|| RowSpan::of(train.features));
    let (seen, seen_validation) = match &span {
        Some(span) => {
            (span.coordinates().into(), CowArray::from(span.project(validation.features).map_err(head_error)?))
        }
        None => (CowArray::from(train.features), CowArray::from(validation.features)),
    };
    let checked = sweep.check(n, n_classes, seen.ncols()).map_err(head_error)?;
    let fitted = linear_head::train_stoppable(
        &checked,
        Split { features: seen.view(), labels: train.labels },
        Split { features: seen_validation.view(), labels: validation.labels },
        &mut |_| go_on(),
        &mut go_on,
    );
    check_stop()?;
    let fitted = fitted.map_err(head_error)?;
    let best = &fitted.points[fitted.best].head;
    let head = match &span {
        Some(span) => span.back(best).map_err(head_error)?,
        None => best.clone(),
    };
    Ok(Draw { train_rows: n, validation_rows: validation.labels.len(), ..score(&fitted, &head, test)? })
}

/// The best setting of a sweep with the test accuracy of its head; the caller knows how many rows it was trained on.
fn score(sweep: &Sweep, head: &Head, test: Split<'_>) -> anyhow::Result<Draw> {
    let best = &sweep.points[sweep.best];
    let logits = head.logits(test.features).map_err(head_error)?;
    let scores = linear_head::scores(logits.view(), test.labels).map_err(head_error)?;
    Ok(Draw {
        train_rows: 0,
        validation_rows: 0,
        learning_rate: best.learning_rate,
        weight_decay: best.weight_decay,
        epoch: best.best_epoch,
        test_accuracy: scores.accuracy,
    })
}

#[cfg(test)]
#[path = "learning_curve_tests.rs"]
mod tests;
