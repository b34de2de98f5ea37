//! Scores of logits against labels, as scikit-learn defines them. Unweighted: what a class counted for in
//! training does not enter here.

use ndarray::{Array2, ArrayView2};

use crate::Result;
use crate::affine::argmax;
use crate::softmax::cross_entropy;
use crate::split::check_scored;

/// How well a set of logits meets its labels. Shares are in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Share of rows right.
    pub accuracy: f64,
    /// Mean recall over classes that occur among the labels, as scikit-learn's `balanced_accuracy_score`.
    pub balanced_accuracy: f64,
    /// Mean F1 over classes that occur among labels or predictions, as `f1_score(average="macro")`.
    pub macro_f1: f64,
    /// `[n_classes]`.
    pub per_class: Vec<ClassScores>,
    /// `[n_classes, n_classes]` counts: row the label, column the prediction.
    pub confusion: Array2<u64>,
}

/// One class's scores; a share of nothing is 0, as scikit-learn's `zero_division=0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// Right among those predicted to be of the class.
    pub precision: f64,
    /// Right among those labelled as the class.
    pub recall: f64,
    /// 2 TP / (2 TP + FP + FN).
    pub f1: f64,
    /// Rows labelled as the class.
    pub support: u64,
}

/// Scores `logits` f32 `[n, n_classes]` against `labels` `[n]`; the prediction is the largest logit, the first
/// of equals.
///
/// # Errors
/// No rows, another number of labels than rows, a label out of range, a logit that is not finite.
pub fn scores(logits: ArrayView2<'_, f32>, labels: &[u32]) -> Result<Scores> {
    check_scored(logits, labels)?;
    let n_classes = logits.ncols();
    let mut confusion = Array2::<u64>::zeros((n_classes, n_classes));
    let mut row = vec![0.0; n_classes];
    for (cells, &label) in logits.rows().into_iter().zip(labels) {
        row.iter_mut().zip(cells).for_each(|(to, from)| *to = *from);
        confusion[[label as usize, argmax(&row)]] += 1;
    }
    let (mut recalls, mut f1s) = (vec![], vec![]);
    let mut per_class = Vec::with_capacity(n_classes);
    for class in 0..n_classes {
        let right = confusion[[class, class]];
        let (support, predicted) = (confusion.row(class).sum(), confusion.column(class).sum());
        let found = ClassScores {
            precision: share(right, predicted),
            recall: share(right, support),
            f1: share(2 * right, support + predicted),
            support,
        };
        if support > 0 {
            recalls.push(found.recall);
        }
        if support + predicted > 0 {
            f1s.push(found.f1);
        }
        per_class.push(found);
    }
    Ok(Scores {
        loss: cross_entropy(logits, labels, None)?,
        accuracy: share(confusion.diag().sum(), labels.len() as u64),
        balanced_accuracy: mean(&recalls),
        macro_f1: mean(&f1s),
        per_class,
        confusion,
    })
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Of values of which there is at least one, since there is at least one row.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, Slice, array, concatenate};

    use super::*;
    use crate::softmax::tests::sample;

    // Expected values: scikit-learn 1.9.1, accuracy_score, balanced_accuracy_score, f1_score(average="macro"),
    // precision_recall_fscore_support(zero_division=0), confusion_matrix.
    #[test]
    fn scores_equal_scikit_learn() {
        let (logits, labels) = sample();
        let found = scores(logits.view(), &labels).unwrap();
        assert_eq!(found.confusion, array![[2, 0, 0], [1, 1, 1], [1, 1, 1]]);
        assert_eq!(found.accuracy, 0.5);
        assert!((found.balanced_accuracy - 0.555_555_555_555_555_6).abs() < 1e-15);
        assert!((found.macro_f1 - 0.488_888_888_888_888_93).abs() < 1e-15);
        assert!((found.loss - 0.910_844_407_098_799).abs() < 1e-7);
        let first = found.per_class[0];
        assert_eq!((first.precision, first.recall, first.support), (0.5, 1.0, 2));
        assert!((first.f1 - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_class_without_labels_counts_for_f1_when_predicted_but_not_for_balanced_accuracy() {
        let (logits, labels) = sample();
        let mut extra = Array2::from_elem((8, 2), -3.0);
        extra[[7, 0]] = 6.0;
        let logits = concatenate![Axis(1), logits, extra];
        let found = scores(logits.view(), &labels).unwrap();
        assert!((found.balanced_accuracy - 0.555_555_555_555_555_6).abs() < 1e-15);
        assert!((found.macro_f1 - 0.4).abs() < 1e-15, "{}", found.macro_f1);
        assert_eq!(found.per_class[3], ClassScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 });
        assert!((found.per_class[0].precision - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_to_score_is_an_error() {
        let (logits, labels) = sample();
        assert!(scores(logits.slice_axis(Axis(0), Slice::from(..0)), &[]).is_err());
        assert!(scores(logits.view(), &labels[1..]).is_err());
        assert!(scores(logits.view(), &[3; 8]).is_err());
    }
}
