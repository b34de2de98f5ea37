//! The verb: batches of pixels in, probabilities out, one batch at a time, in order.

use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;

use artifact::Reject;
use backbone::Classifier;
use ndarray::{Array2, ArrayView4};
use stage::{Exit, Progress, check_stop, printable};

use crate::about::About;
use crate::batches::{Batch, Moved};
use crate::deployed::backbone_error;

/// What the classifier says of a batch.
#[derive(Debug)]
pub(crate) struct Scored {
    /// The part that its rows are of.
    pub(crate) part: usize,
    /// Whether the part ends with them.
    pub(crate) is_last: bool,
    pub(crate) ids: Vec<String>,
    pub(crate) labels: Vec<Option<i32>>,
    /// `[n, n_classes]`.
    pub(crate) probabilities: Array2<f32>,
    pub(crate) rejects: Vec<Reject>,
}

/// Runs the classifier over all batches, and hands on what it says until nobody wants more.
pub(crate) fn infer(
    classifier: &mut Classifier,
    about: &About,
    batches: Receiver<Moved>,
    progress: &mut Progress,
    mut hand_on: impl FnMut(Scored) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()> {
    for moved in batches {
        check_stop()?;
        let Batch { part, is_last, ids, labels, pixels, rejects } = moved?;
        let shape = (ids.len(), about.height as usize, about.width as usize, 3);
        let probabilities = if ids.is_empty() {
            Array2::zeros((0, about.classes.len()))
        } else {
            let pixels = ArrayView4::from_shape(shape, &pixels).expect("a batch holds one picture a row");
            classifier.run(pixels).map_err(backbone_error)?.probabilities
        };
        check_finite(&probabilities, &ids)?;
        progress.add((ids.len() + rejects.len()) as u64);
        if hand_on(Scored { part, is_last, ids, labels, probabilities, rejects })?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Of what is not a number no class is the most probable.
fn check_finite(probabilities: &Array2<f32>, ids: &[String]) -> anyhow::Result<()> {
    match probabilities.outer_iter().position(|row| !row.iter().all(|p| p.is_finite())) {
        None => Ok(()),
        Some(row) => Err(Exit::BadData.error(format!(
            "the probabilities of {} are not finite: its pixels overflow in the network, or the file of the classifier is damaged",
            printable(&ids[row])
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_named_and_no_prediction() {
        let ids = ["a".to_string(), "b".to_string()];
        let mut probabilities = ndarray::array![[0.5_f32, 0.5], [1.0, 0.0]];
        assert!(check_finite(&probabilities, &ids).is_ok());
        probabilities[[1, 0]] = f32::NAN;
        let error = check_finite(&probabilities, &ids).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::BadData);
        assert!(error.to_string().contains("the probabilities of b "), "{error}");
    }
}
