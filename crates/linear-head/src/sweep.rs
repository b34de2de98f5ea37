//! The training loop: a whole grid in one pass over the examples, the validation split choosing.
//!
//! Grid points are cut into groups of about [`GROUP_COLUMNS`] columns; a window of mini-batches is gathered
//! once, in the epoch's order, and every group walks through it as one task. Neither cut depends on the
//! number of threads, and groups share nothing, so results do not either.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use crate::affine::{CHUNK_ROWS, affine_into};
use crate::draws::{initial_weights, shuffle};
use crate::sgd::{Group, Score, Tally, score};
use crate::window::Window;
use crate::{Checked, EpochReport, EpochScores, Error, FittedPoint, Head, Outcome, Result, Split, Start, Sweep};

/// Columns a group aims at: wide enough to fill the product's tiles, narrow enough to give threads work.
const GROUP_COLUMNS: usize = 32;

/// Trains every grid point of `settings` side by side on `train` and keeps, for each, the epoch that did best
/// on `validation`: lower loss, then earlier. An empty `validation` means the last epoch
/// is kept and the lower training loss chooses between points.
///
/// A point gets the same bits alone as within a grid, and whatever the number of rayon threads. A point whose
/// loss or weights leave the finite numbers stops there, keeps its last finite best head, and is not chosen.
///
/// # Errors
/// Splits that do not fit the settings, are not finite, hold an unknown label, or train on one class only;
/// [`Error::Setting`] for patience without validation; [`Error::Diverged`] once no point is left;
/// [`Error::Stopped`] when `on_epoch` breaks.
pub fn train(
    settings: &Checked,
    train: Split<'_>,
    validation: Split<'_>,
    on_epoch: &mut (dyn FnMut(&EpochReport<'_>) -> ControlFlow<()> + Send),
) -> Result<Sweep> {
    train_stoppable(settings, train, validation, on_epoch, &mut || ControlFlow::Continue(()))
}

/// As [`train`], and asks `go_on` many times an epoch whether to: an epoch of many classes may take minutes.
///
/// # Errors
/// As [`train`]; [`Error::Stopped`] also when `go_on` breaks.
pub fn train_stoppable(
    settings: &Checked,
    train: Split<'_>,
    validation: Split<'_>,
    on_epoch: &mut (dyn FnMut(&EpochReport<'_>) -> ControlFlow<()> + Send),
    go_on: &mut (dyn FnMut() -> ControlFlow<()> + Send),
) -> Result<Sweep> {
    // On a thread of the pool: from outside of it, every window would wait for two threads to wake.
    rayon::scope(|_| sweep(settings, train, validation, on_epoch, go_on))
}

/// [`train_stoppable`] on the thread that it is called on.
fn sweep(
    settings: &Checked,
    train: Split<'_>,
    validation: Split<'_>,
    on_epoch: &mut dyn FnMut(&EpochReport<'_>) -> ControlFlow<()>,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Sweep> {
    check_splits(settings, train, validation)?;
    let asked = settings.settings();
    let (n_classes, feature_dim) = (settings.n_classes(), settings.feature_dim());
    let class_weights = asked.class_weights.resolve(train.labels, n_classes);
    let initial = match asked.start {
        Start::Zero => Array2::zeros((n_classes, feature_dim)),
        Start::Normal => initial_weights(n_classes, feature_dim, asked.seed),
    };
    let lanes_per_group = (GROUP_COLUMNS / n_classes).max(1);
    let mut groups: Vec<Group> =
        asked.grid.chunks(lanes_per_group).map(|points| Group::new(points, initial.view(), asked.batch_size)).collect();
    let mut records: Vec<Record> = asked.grid.iter().map(|_| Record::new(initial.view())).collect();
    // Groups train on one window while the next one is gathered, be it the next epoch's first.
    let [mut window, mut next] = [(); 2].map(|()| Window::new(asked.batch_size, feature_dim, train.labels.len()));
    let [mut order, mut next_order] = [(); 2].map(|()| vec![0; train.labels.len()]);
    let steps_per_epoch = settings.steps_per_epoch();
    let n_steps = steps_per_epoch * asked.epochs;
    let last_epoch = asked.stop_after.unwrap_or(asked.epochs);
    shuffle(&mut order, asked.seed, 1);
    window.gather_first(train, &order);
    for epoch in 1..=last_epoch {
        groups.iter_mut().flat_map(|group| &mut group.lanes).for_each(|lane| lane.tally = Tally::default());
        let mut deaths = vec![None; records.len()];
        let windows: Vec<&[u32]> = order.chunks(window.n_rows()).collect();
        for (nth, rows) in windows.iter().enumerate() {
            if go_on().is_break() {
                return Err(Error::Stopped { epoch });
            }
            let first_step = nth * (window.n_rows() / asked.batch_size);
            let walk = |(group, deaths): (&mut Group, &mut [Option<usize>])| {
                for (step, (features, labels)) in (first_step..).zip(window.batches(rows.len(), asked.batch_size)) {
                    let some_alive = group.loss_and_slopes(features, labels, &class_weights);
                    for (_, death) in group.lanes.iter().zip(deaths.iter_mut()).filter(|(lane, _)| !lane.alive) {
                        death.get_or_insert(step + 1);
                    }
                    if !some_alive {
                        return;
                    }
                    let global_step = (epoch - 1) * steps_per_epoch + step;
                    group.update(features, asked.momentum as f32, asked.schedule.factor(global_step, n_steps));
                }
            };
            rayon::join(
                || groups.par_iter_mut().zip(deaths.par_chunks_mut(lanes_per_group)).for_each(walk),
                || match windows.get(nth + 1) {
                    Some(rows) => next.gather(train, rows),
                    None if epoch < last_epoch => {
                        shuffle(&mut next_order, asked.seed, epoch + 1);
                        next.gather_first(train, &next_order);
                    }
                    None => {}
                },
            );
            std::mem::swap(&mut window, &mut next);
        }
        std::mem::swap(&mut order, &mut next_order);
        let validated = validate(&groups, validation, &class_weights);
        let last_factor = asked.schedule.factor(epoch * steps_per_epoch - 1, n_steps);
        let mut scores = Vec::with_capacity(records.len());
        for (point, record) in records.iter_mut().enumerate() {
            let (group, lane) = (&mut groups[point / lanes_per_group], point % lanes_per_group);
            let died = record.outcome != Outcome::Finished;
            scores.push(if died {
                None
            } else {
                record.close_epoch(epoch, group, lane, &validated[point], last_factor)
            });
            if !died && scores[point].is_none() {
                let step = deaths[point].unwrap_or(steps_per_epoch);
                record.outcome = Outcome::Diverged { epoch, step };
            }
        }
        let Some(leader) = leader(&records) else {
            return Err(all_diverged(settings, records));
        };
        let report = EpochReport { epoch, epochs: asked.epochs, points: &scores, leader };
        if on_epoch(&report).is_break() {
            return Err(Error::Stopped { epoch });
        }
        let living = || records.iter().filter(|record| record.outcome == Outcome::Finished);
        if asked.patience.is_some_and(|patience| living().all(|record| epoch - record.best_epoch >= patience)) {
            break;
        }
    }
    let Some(best) = leader(&records) else {
        return Err(all_diverged(settings, records));
    };
    let fitted = records.into_iter().zip(&asked.grid).map(|(record, point)| {
        Ok(FittedPoint {
            learning_rate: point.learning_rate,
            weight_decay: point.weight_decay,
            head: Head::new(record.weight, record.bias)?,
            best_epoch: record.best_epoch,
            history: record.history,
            outcome: record.outcome,
        })
    });
    Ok(Sweep { points: fitted.collect::<Result<_>>()?, best })
}

/// What is kept of one point while it trains.
struct Record {
    weight: Array2<f32>,
    bias: Array1<f32>,
    best: Option<EpochScores>,
    best_epoch: usize,
    history: Vec<EpochScores>,
    outcome: Outcome,
}

impl Record {
    fn new(initial: ArrayView2<'_, f32>) -> Self {
        let bias = Array1::zeros(initial.nrows());
        let weight = initial.to_owned();
        Self { weight, bias, best: None, best_epoch: 0, history: vec![], outcome: Outcome::Finished }
    }

    /// Books the epoch and keeps its weights if they are the best; `None`, and a dead lane, if anything is not
    /// finite. Weights are looked at as well, since the last step of an epoch has no loss after it.
    fn close_epoch(
        &mut self,
        epoch: usize,
        group: &mut Group,
        lane: usize,
        validated: &Tally,
        lr_factor: f64,
    ) -> Option<EpochScores> {
        let weight = group.lane_weight(lane);
        let finite = weight.iter().chain(group.lane_bias(lane)).all(|value| value.is_finite());
        if !(group.lanes[lane].alive && finite && validated.loss.is_finite()) {
            group.lanes[lane].alive = false;
            return None;
        }
        let (tally, point) = (group.lanes[lane].tally, group.lanes[lane].point);
        let has_validation = validated.n_seen > 0;
        let scores = EpochScores {
            learning_rate: point.learning_rate * lr_factor,
            train_loss: tally.mean_loss(),
            train_accuracy: tally.accuracy(),
            validation_loss: has_validation.then(|| validated.mean_loss()),
            validation_accuracy: has_validation.then(|| validated.accuracy()),
        };
        self.history.push(scores);
        if !has_validation || self.best.is_none_or(|best| scores.better_than(&best)) {
            self.weight = weight;
            self.bias.iter_mut().zip(group.lane_bias(lane)).for_each(|(to, from)| *to = *from);
            self.best = Some(scores);
            self.best_epoch = epoch;
        }
        Some(scores)
    }
}

/// The point whose best epoch is best among those that did not diverge; `None` when all did.
fn leader(records: &[Record]) -> Option<usize> {
    let mut leader: Option<(usize, EpochScores)> = None;
    for (point, record) in records.iter().enumerate().filter(|(_, record)| record.outcome == Outcome::Finished) {
        let Some(best) = record.best else { continue };
        if leader.is_none_or(|(_, leading)| best.better_than(&leading)) {
            leader = Some((point, best));
        }
    }
    leader.map(|(point, _)| point)
}

/// The error that carries the head of the point that lasted longest, the first of equals.
fn all_diverged(settings: &Checked, records: Vec<Record>) -> Error {
    let n_points = records.len();
    let lasted = |record: &Record| match record.outcome {
        Outcome::Diverged { epoch, step } => (epoch, step),
        Outcome::Finished => (usize::MAX, 0),
    };
    let points = settings.settings().grid.iter().zip(records);
    let longest = points.reduce(|a, b| if lasted(&b.1) > lasted(&a.1) { b } else { a });
    let (point, record) = longest.expect("a checked grid has a point");
    let (epoch, step) = lasted(&record);
    match Head::new(record.weight, record.bias) {
        Ok(head) => Error::Diverged { epoch, step, learning_rate: point.learning_rate, n_points, head: Box::new(head) },
        Err(error) => error,
    }
}

/// Every point's loss and hits on the validation split, in grid order.
fn validate(groups: &[Group], validation: Split<'_>, class_weights: &[f64]) -> Vec<Tally> {
    let n_rows = validation.labels.len();
    let n_chunks = n_rows.div_ceil(CHUNK_ROWS);
    let tasks: Vec<(&Group, usize)> =
        groups.iter().flat_map(|group| (0..n_chunks).map(move |chunk| (group, chunk * CHUNK_ROWS))).collect();
    let partial: Vec<Vec<Tally>> = tasks
        .into_par_iter()
        .map(|(group, first)| {
            let rows = first..n_rows.min(first + CHUNK_ROWS);
            let stride = group.weight.n_places();
            let mut logits = Array2::zeros((rows.len(), stride));
            let features = validation.features.slice_axis(Axis(0), Slice::from(rows.clone()));
            affine_into(features, &group.weight, &group.bias, logits.view_mut());
            let labels = &validation.labels[rows];
            let mut scores = vec![Score::default(); labels.len() * group.lanes.len()];
            score(logits.as_slice_mut().expect("logits are row-major"), stride, labels, group.n_classes, &mut scores);
            let mut tallies = vec![Tally::default(); group.lanes.len()];
            Tally::count_all(&mut tallies, &scores, labels, class_weights);
            tallies
        })
        .collect();
    let mut total = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let first = total.len();
        total.resize(first + group.lanes.len(), Tally::default());
        for tallies in &partial[index * n_chunks..(index + 1) * n_chunks] {
            total[first..].iter_mut().zip(tallies).for_each(|(total, tally)| total.add(*tally));
        }
    }
    total
}

fn check_splits(settings: &Checked, train: Split<'_>, validation: Split<'_>) -> Result<()> {
    let found = train.features.nrows();
    if found != settings.n_examples() {
        return Err(Error::Dimension { what: "training examples", expected: settings.n_examples(), found });
    }
    train.check("training", settings.n_classes(), settings.feature_dim())?;
    validation.check("validation", settings.n_classes(), settings.feature_dim())?;
    let label = train.labels[0];
    if train.labels.iter().all(|other| *other == label) {
        return Err(Error::OneClass { label, n_examples: found });
    }
    match settings.settings().patience {
        Some(patience) if validation.labels.is_empty() => Err(Error::Setting {
            name: "patience",
            value: patience.to_string(),
            allowed: "none without a validation split",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
