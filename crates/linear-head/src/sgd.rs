//! One optimiser step for a group of grid points that stand side by side as columns of one product.
//!
//! A point is a *lane*: `n_classes` columns of the logits `[n, n_lanes · n_classes]`. Lanes
//! share the products and nothing else, so one that leaves the finite numbers cannot touch its neighbours.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::GridPoint;
use crate::exponential::exp_in_place;
use crate::kernels::{Affine, Step, descend};
use crate::panels::{PANEL, Panels};
use crate::softmax::{largest, normalise};

/// Weighted loss and hits over some examples; summed in a fixed order by its callers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) loss: f64,
    pub(crate) weight: f64,
    pub(crate) n_correct: usize,
    pub(crate) n_seen: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.weight += other.weight;
        self.n_correct += other.n_correct;
        self.n_seen += other.n_seen;
    }

    pub(crate) fn mean_loss(&self) -> f64 {
        self.loss / self.weight
    }

    pub(crate) fn accuracy(&self) -> f64 {
        self.n_correct as f64 / self.n_seen as f64
    }

    fn count(&mut self, score: Score, weight: f64) {
        self.n_correct += usize::from(score.is_hit);
        self.n_seen += 1;
        self.loss += weight * score.loss;
        self.weight += weight;
    }

    /// Counts examples for lane after lane: `scores` `[n, n_lanes]` as [`score`] leaves them.
    pub(crate) fn count_all(tallies: &mut [Self], scores: &[Score], labels: &[u32], class_weights: &[f64]) {
        for (scores, label) in scores.chunks_exact(tallies.len()).zip(labels) {
            let weight = class_weights[*label as usize];
            tallies.iter_mut().zip(scores).for_each(|(tally, score)| tally.count(*score, weight));
        }
    }
}

/// How one example did in one lane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Score {
    /// log Σⱼ exp(zⱼ) − z(y), in nats, not weighted.
    loss: f64,
    is_hit: bool,
}

/// Turns logits f32 `[n, stride]`, in whose rows the cells of the lanes come first, into each lane's probabilities, and says in
/// `scores` `[n, n_lanes]` how they did.
pub(crate) fn score(logits: &mut [f32], stride: usize, labels: &[u32], n_classes: usize, scores: &mut [Score]) {
    let n_lanes = scores.len() / labels.len().max(1);
    for ((row, &label), scores) in logits.chunks_exact_mut(stride).zip(labels).zip(scores.chunks_exact_mut(n_lanes)) {
        for (cells, score) in row.chunks_exact_mut(n_classes).zip(scores) {
            let (largest, label) = (largest(cells), label as usize);
            let is_hit = cells[label] == largest && cells[..label].iter().all(|cell| *cell < largest);
            *score = Score { loss: f64::from(largest) - f64::from(cells[label]), is_hit };
            cells.iter_mut().for_each(|cell| *cell -= largest);
        }
    }
    // Over lanes and rows, since the classes of one lane are often fewer than a vector has places.
    exp_in_place(logits);
    for (row, scores) in logits.chunks_exact_mut(stride).zip(scores.chunks_exact_mut(n_lanes)) {
        for (cells, score) in row.chunks_exact_mut(n_classes).zip(scores) {
            score.loss += normalise(cells).ln();
        }
    }
}

/// One grid point's place in a group.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) point: GridPoint,
    /// The running epoch's training figures.
    pub(crate) tally: Tally,
    /// False once the loss has left the finite numbers.
    pub(crate) alive: bool,
}

/// Lanes with their weights, velocities and scratch space; but for a tally a lane nothing is allocated after [`Group::new`].
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) n_classes: usize,
    /// f32 `[n_lanes · n_classes, feature_dim]`.
    pub(crate) weight: Panels,
    /// `[n_places]`, as all that has one value for a column.
    pub(crate) bias: Vec<f32>,
    velocity: Panels,
    bias_velocity: Vec<f32>,
    pub(crate) bias_gradient: Vec<f32>,
    learning_rate: Vec<f32>,
    weight_decay: Vec<f32>,
    /// f32 `[batch_size, n_places]`: logits, then ∂loss/∂logits.
    logits: Vec<f32>,
    /// `[batch_size, n_lanes]`.
    scores: Vec<Score>,
}

/// Multiply-adds of a batch from which on it is shared by all threads. One of fewer stays with one, in whose cache the weights are.
pub(crate) const FEWEST_SPLIT: usize = 1 << 22;

/// Multiply-adds of a task within a batch that is shared.
const TASK_PRODUCTS: usize = 1 << 20;

/// Panels of a task: those of one tile.
const TASK_PANELS: usize = 2;

/// Rows of a task are a multiple of this: whole tiles, and enough rows for reading all weights to pay.
const TASK_ROWS: usize = 16;

impl Group {
    /// Every lane starts from the same `initial` f32 `[n_classes, feature_dim]` and a zero bias.
    pub(crate) fn new(points: &[GridPoint], initial: ArrayView2<'_, f32>, batch_size: usize) -> Self {
        let n_classes = initial.nrows();
        let velocity = Panels::zeros(points.len() * n_classes, initial.ncols());
        let (mut weight, places) = (velocity.clone(), vec![0.0; velocity.n_places()]);
        let mut weight_decay = places.clone();
        for (first, point) in (0..).step_by(n_classes).zip(points) {
            weight.assign(first, initial);
            weight_decay[first..first + n_classes].fill(point.weight_decay as f32);
        }
        let lane = |&point| Lane { point, tally: Tally::default(), alive: true };
        Self {
            lanes: points.iter().map(lane).collect(),
            n_classes,
            weight,
            bias: places.clone(),
            bias_velocity: places.clone(),
            bias_gradient: places.clone(),
            learning_rate: places,
            weight_decay,
            logits: vec![0.0; batch_size * velocity.n_places()],
            velocity,
            scores: vec![Score::default(); batch_size * points.len()],
        }
    }

    /// Computes the batch's loss and its slopes for every lane, at the present weights:
    /// ∂/∂z(i, c) = w(yᵢ) / Σᵢ w(yᵢ) · (p(i, c) − [c = yᵢ]), ∂/∂b = Σᵢ ∂/∂zᵢ. Adds the batch to
    /// each living lane's tally; kills a lane whose loss is not finite. True while some lane lives.
    pub(crate) fn loss_and_slopes(
        &mut self,
        features: ArrayView2<'_, f32>,
        labels: &[u32],
        class_weights: &[f64],
    ) -> bool {
        let (n_classes, n_lanes, n) = (self.n_classes, self.lanes.len(), labels.len());
        let (n_columns, stride, feature_dim) = (n_lanes * n_classes, self.weight.n_places(), features.ncols());
        let features = features.to_slice().expect("a window is row-major");
        let logits = &mut self.logits[..n * stride];
        let scores = &mut self.scores[..n * n_lanes];
        let batch_weight: f64 = labels.iter().map(|label| class_weights[*label as usize]).sum();
        let task_rows = if n * n_columns * feature_dim < FEWEST_SPLIT {
            n
        } else {
            (TASK_PRODUCTS / (n_columns * feature_dim)).next_multiple_of(TASK_ROWS).max(TASK_ROWS)
        };
        let rows = (features.par_chunks(task_rows * feature_dim), labels.par_chunks(task_rows));
        let results = (logits.par_chunks_mut(task_rows * stride), scores.par_chunks_mut(task_rows * n_lanes));
        (rows.0, rows.1, results.0, results.1).into_par_iter().for_each(|(features, labels, logits, scores)| {
            Affine { features, weight: &self.weight, bias: &self.bias, logits, stride }.run();
            score(logits, stride, labels, n_classes, scores);
            for (row, label) in logits.chunks_exact_mut(stride).zip(labels) {
                let share = (class_weights[*label as usize] / batch_weight) as f32;
                let (row, behind) = row.split_at_mut(n_columns);
                behind.fill(0.0); // Nobody reads these places, but their velocities would grow.
                row.iter_mut().skip(*label as usize).step_by(n_classes).for_each(|cell| *cell -= 1.0);
                row.iter_mut().for_each(|cell| *cell *= share);
            }
        });
        self.bias_gradient.fill(0.0);
        for row in logits.chunks_exact(stride) {
            self.bias_gradient.iter_mut().zip(row).for_each(|(sum, cell)| *sum += cell);
        }
        let mut tallies = vec![Tally::default(); n_lanes];
        Tally::count_all(&mut tallies, scores, labels, class_weights);
        for (lane, batch) in self.lanes.iter_mut().zip(tallies).filter(|(lane, _)| lane.alive) {
            lane.alive = batch.loss.is_finite();
            if lane.alive {
                lane.tally.add(batch);
            }
        }
        self.lanes.iter().any(|lane| lane.alive)
    }

    /// v ← m · v + (g + wd · w), w ← w − lr · v, with ∂/∂W = (∂/∂Z)ᵀ · X of the batch that [`Group::loss_and_slopes`] has seen
    /// last, and wd on weights alone: PyTorch's `SGD` with `dampening=0` and
    /// `nesterov=False`, whose first step is this one from v = 0. `lr_factor` is the schedule's share.
    pub(crate) fn update(&mut self, features: ArrayView2<'_, f32>, momentum: f32, lr_factor: f64) {
        for (places, lane) in self.learning_rate.chunks_mut(self.n_classes).zip(&self.lanes) {
            places.fill((lane.point.learning_rate * lr_factor) as f32);
        }
        let features = features.to_slice().expect("a window is row-major");
        let (learning_rate, weight_decay) = (&self.learning_rate[..], &self.weight_decay[..]);
        let step = Step { features, slopes: &self.logits, momentum, learning_rate, weight_decay };
        let (products, n_panels) = (features.len() * self.weight.n_places(), self.weight.n_places() / PANEL);
        let panels_in_task = if products < FEWEST_SPLIT { n_panels } else { TASK_PANELS };
        descend(step, &mut self.weight, &mut self.velocity, panels_in_task);
        let biases = self.bias.iter_mut().zip(&mut self.bias_velocity);
        for ((b, v), (gradient, learning_rate)) in biases.zip(self.bias_gradient.iter().zip(learning_rate)) {
            *v = momentum * *v + gradient;
            *b -= learning_rate * *v;
        }
    }

    /// The weight of one lane, f32 `[n_classes, feature_dim]`.
    pub(crate) fn lane_weight(&self, lane: usize) -> Array2<f32> {
        self.weight.rows(lane * self.n_classes, self.n_classes)
    }

    /// The bias of one lane.
    pub(crate) fn lane_bias(&self, lane: usize) -> &[f32] {
        &self.bias[lane * self.n_classes..(lane + 1) * self.n_classes]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, Slice, array};

    use super::*;
    use crate::softmax::cross_entropy;

    fn tiny() -> (Array2<f32>, [u32; 6], Array2<f32>) {
        let features = array![
            [0.5, -1.0, 2.0],
            [1.5, 0.25, -0.5],
            [-0.75, 1.0, 0.125],
            [2.0, -0.5, 0.75],
            [0.1, 0.2, -1.3],
            [-1.0, -1.5, 0.6]
        ];
        (features, [0, 1, 2, 1, 0, 1], array![[0.1, -0.2, 0.05], [0.0, 0.3, -0.1], [-0.15, 0.02, 0.2]])
    }

    /// Three steps of two rows each.
    fn three_steps(class_weights: &[f64]) -> (Vec<f64>, Group) {
        let (features, labels, initial) = tiny();
        let mut group = Group::new(&[GridPoint { learning_rate: 0.1, weight_decay: 0.01 }], initial.view(), 2);
        let mut losses = vec![];
        for step in 0..3 {
            let rows = 2 * step..2 * step + 2;
            group.lanes[0].tally = Tally::default();
            let batch = features.slice_axis(Axis(0), Slice::from(rows.clone()));
            assert!(group.loss_and_slopes(batch, &labels[rows], class_weights));
            losses.push(group.lanes[0].tally.mean_loss());
            group.update(batch, 0.9, 1.0);
        }
        (losses, group)
    }

    fn assert_close(found: impl IntoIterator<Item = f64>, expected: &[f64]) {
        let found: Vec<f64> = found.into_iter().collect();
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 5e-7, "off by {worst}: {found:?}");
    }

    #[test]
    fn three_steps_equal_torch_sgd() {
        // torch 2.15.0: SGD([{W, weight_decay=0.01}, {b}], lr=0.1, momentum=0.9), F.cross_entropy(X @ W.T + b, y).
        let (losses, group) = three_steps(&[1.0; 3]);
        assert_close(losses, &[0.910_491_82, 1.153_018_24, 1.577_448_49]);
        let weight = [
            0.017_581_83,
            -0.246_038_41,
            0.132_419_24,
            0.234_621_93,
            0.202_901_1,
            -0.087_607_57,
            -0.301_923_51,
            0.162_464_68,
            0.104_347_54,
        ];
        assert_close(group.lane_weight(0).iter().map(|w| f64::from(*w)), &weight);
        assert_close(group.lane_bias(0).iter().map(|b| f64::from(*b)), &[-0.025_468_03, 0.107_211_15, -0.081_743_14]);
    }

    #[test]
    fn three_class_weighted_steps_equal_torch_sgd() {
        // As above with F.cross_entropy(…, weight=[1, 2/3, 2]): `balanced` for these six labels.
        let (losses, group) = three_steps(&[1.0, 2.0 / 3.0, 2.0]);
        assert_close(losses, &[0.902_100_09, 1.098_063_47, 1.538_013_58]);
        let weight = [
            0.089_117_68,
            -0.286_303_55,
            0.166_885_36,
            0.162_101_82,
            0.212_761_91,
            -0.116_534_75,
            -0.300_939_23,
            0.192_869_05,
            0.098_808_6,
        ];
        assert_close(group.lane_weight(0).iter().map(|w| f64::from(*w)), &weight);
        assert_close(group.lane_bias(0).iter().map(|b| f64::from(*b)), &[0.023_040_96, 0.020_148_28, -0.043_189_24]);
    }

    #[test]
    fn gradient_equals_finite_differences() {
        let (features, labels, initial) = tiny();
        let class_weights = [1.0, 2.0 / 3.0, 2.0];
        let loss = |weight: &Array2<f32>, bias: &[f32]| {
            let logits = features.dot(&weight.t()) + ndarray::aview1(bias);
            cross_entropy(logits.view(), &labels, Some(&class_weights)).unwrap()
        };
        // A step of length 1 from standing takes the gradient off the weights.
        let mut group = Group::new(&[GridPoint { learning_rate: 1.0, weight_decay: 0.0 }], initial.view(), 6);
        group.loss_and_slopes(features.view(), &labels, &class_weights);
        group.update(features.view(), 0.0, 1.0);
        let gradient = &initial - &group.lane_weight(0);
        // A wide step, since logits are f32: the truncation error h² / 6 · f‴ is then about the rounding error.
        let h = 0.01_f32;
        for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
            let (mut above, mut below) = (initial.clone(), initial.clone());
            above[[row, column]] += h;
            below[[row, column]] -= h;
            let slope = (loss(&above, &[0.0; 3]) - loss(&below, &[0.0; 3])) / f64::from(2.0 * h);
            assert!((slope - f64::from(gradient[[row, column]])).abs() < 1e-4, "W[{row}, {column}]: {slope}");
        }
        for class in 0..3 {
            let (mut above, mut below) = ([0.0; 3], [0.0; 3]);
            above[class] = h;
            below[class] = -h;
            let slope = (loss(&initial, &above) - loss(&initial, &below)) / f64::from(2.0 * h);
            assert!((slope - f64::from(group.bias_gradient[class])).abs() < 1e-4, "b[{class}]: {slope}");
        }
    }

    #[test]
    fn a_lane_that_diverges_leaves_its_neighbour_alone() {
        let (features, labels, initial) = tiny();
        let sound = GridPoint { learning_rate: 0.1, weight_decay: 0.01 };
        let run = |points: &[GridPoint], first_weight: f32| {
            let mut group = Group::new(points, initial.view(), 6);
            group.weight.assign(0, array![[first_weight, initial[[0, 1]], initial[[0, 2]]]].view());
            for _ in 0..5 {
                assert!(group.loss_and_slopes(features.view(), &labels, &[1.0; 3]));
                group.update(features.view(), 0.9, 1.0);
            }
            group
        };
        let (alone, beside) = (run(&[sound], initial[[0, 0]]), run(&[sound, sound], f32::INFINITY));
        assert!(!beside.lanes[0].alive && beside.lanes[1].alive);
        assert_eq!(alone.lane_weight(0), beside.lane_weight(1));
        assert_eq!(alone.lane_bias(0), beside.lane_bias(1));
    }
}
