//! The predictions artifact: its plan, its parts, its scores where the pictures have labels.
//!
//! Reading, inference and writing overlap. Part k is made from part k of the examples, or from the k-th stretch of the
//! pictures, in batches that never cross a part.

use std::ops::{ControlFlow, Range};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::Context;
use artifact::{
    Artifact, Build, ExamplePart, ExamplesFacts, PartPlan, PredictionPart, PredictionsFacts, Reject, Split, SplitScore,
};
use backbone::Classifier;
use ndarray::Array2;
use stage::{Exit, Progress};

use crate::about::About;
use crate::batches::{Decoding, of_examples};
use crate::infer::infer;
use crate::pictures::Pictures;
use crate::plan::Settings;
use crate::rejects::Tally;

/// Pictures of one part where they do not come in parts.
const PART_ROWS: usize = 2048;

/// Batches that the reader of examples is ahead of the network, at least.
const BATCHES_AHEAD: usize = 4;

/// What is classified.
#[derive(Debug)]
pub(crate) enum Material {
    Pictures(Pictures),
    Examples { artifact: Box<Artifact>, facts: ExamplesFacts },
}

impl Material {
    /// The parts of the predictions.
    pub(crate) fn parts(&self) -> Vec<PartPlan> {
        match self {
            Self::Pictures(pictures) => (0..pictures.all.len().div_ceil(PART_ROWS)).map(PartPlan::unsplit).collect(),
            Self::Examples { artifact, .. } => {
                let parts = &artifact.manifest().parts;
                parts.iter().map(|p| PartPlan { file: p.file.clone(), split: p.split }).collect()
            }
        }
    }

    pub(crate) fn n_rows(&self) -> u64 {
        match self {
            Self::Pictures(pictures) => pictures.all.len() as u64,
            Self::Examples { artifact, .. } => artifact.manifest().rows(),
        }
    }

    /// Whether there may be labels, and they mean what the classifier's classes mean.
    fn has_labels(&self, about: &About) -> bool {
        match self {
            Self::Pictures(_) => false,
            Self::Examples { facts, .. } => facts.classes == about.classes,
        }
    }
}

/// Makes the missing parts and commits. Also returns the rate, in pictures a second.
pub(crate) fn make(
    build: Build,
    classifier: &mut Classifier,
    about: &About,
    material: &Material,
    settings: &Settings,
    mut facts: PredictionsFacts,
) -> anyhow::Result<(Artifact, f64)> {
    let missing = build.missing();
    let (n_good, n_bad) = build.finished();
    let mut progress = Progress::start("pictures", material.n_rows(), n_good + n_bad);
    let mut tally = Tally::new(settings.max_bad, material.n_rows());
    tally.add(build.rejects())?;
    let mut scores = Scores::new(material.has_labels(about), material.parts());
    let sizing = settings.resizing.sizing(about);
    let decoding = Decoding { sizing, limits: &settings.limits, batch: settings.batch, threads: settings.threads };

    let of_build = &facts;
    let build = thread::scope(|scope| {
        let (to_network, batches) = sync_channel(decoding.batches_ahead().max(BATCHES_AHEAD));
        let (to_writer, finished) = sync_channel::<Finished>(1);
        // Each thread owns its end of a channel, so that when it stops the others notice.
        scope.spawn(|| {
            let to_network = to_network;
            match material {
                Material::Pictures(pictures) => {
                    decoding.send(&pictures.all, &stretches(&missing, pictures), &to_network);
                }
                Material::Examples { artifact, facts } => {
                    of_examples(artifact, facts, &missing, settings.batch, &to_network);
                }
            }
        });
        let writer = scope.spawn(move || write(build, &finished, of_build));
        let mut part = Part::default();
        let inferred = infer(classifier, about, batches, &mut progress, |scored| {
            tally.add(&scored.rejects)?;
            part.ids.extend(scored.ids);
            part.labels.extend(scored.labels);
            part.probabilities.extend(scored.probabilities.iter());
            part.rejects.extend(scored.rejects);
            if !scored.is_last {
                return Ok(ControlFlow::Continue(()));
            }
            let Part { ids, labels, probabilities, rejects } = std::mem::take(&mut part);
            let shape = (ids.len(), about.classes.len());
            let probabilities = Array2::from_shape_vec(shape, probabilities).map_err(|e| Exit::Bug.wrap(e))?;
            let predictions = PredictionPart::new(ids, probabilities);
            scores.add(scored.part, &labels, &predictions.predicted);
            let sent = to_writer.send((scored.part, predictions, rejects));
            // The writer has stopped, and will say why.
            Ok(if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        drop(to_writer);
        let written = writer.join().map_err(|_| Exit::Bug.error("the writing thread panicked"))?;
        // The writer's error first: it is the cause when a part could not be handed over.
        let build = written?;
        inferred.map(|()| build)
    })?;
    let rate = progress.rate();
    drop(progress);
    if let (Material::Examples { artifact, facts: of_examples }, true) = (material, scores.is_counting) {
        // Parts of an earlier run were scored there, and nobody wrote it down.
        for index in (0..artifact.manifest().parts.len()).filter(|index| !missing.contains(index)) {
            let path = artifact.part_path(index);
            let rows = ExamplePart::from_batches(&artifact.read_part(index)?, of_examples, &path)?;
            let predictions = PredictionPart::from_batches(&build.read_part(index)?, &facts, &path)?;
            scores.add(index, &rows.labels, &predictions.predicted);
        }
    }
    facts.rejects = tally.n_rejects();
    facts.scores = scores.of_splits();
    Ok((build.commit(serde_json::to_value(&facts).context("cannot express the facts")?)?, rate))
}

/// The rows of the parts that are to be made.
fn stretches(missing: &[usize], pictures: &Pictures) -> Vec<(usize, Range<usize>)> {
    let rows = |part: &usize| (*part, part * PART_ROWS..pictures.all.len().min((part + 1) * PART_ROWS));
    missing.iter().map(rows).collect()
}

/// A part that is being put together.
#[derive(Debug, Default)]
struct Part {
    ids: Vec<String>,
    labels: Vec<Option<i32>>,
    probabilities: Vec<f32>,
    rejects: Vec<Reject>,
}

/// A part on its way to the writer.
type Finished = (usize, PredictionPart, Vec<Reject>);

fn write(mut build: Build, finished: &Receiver<Finished>, facts: &PredictionsFacts) -> anyhow::Result<Build> {
    for (index, part, rejects) in finished {
        build.write_part(index, &part.to_batch(facts)?, rejects)?;
    }
    Ok(build)
}

/// Counts what was predicted as labelled, split by split.
struct Scores {
    is_counting: bool,
    parts: Vec<PartPlan>,
    labelled: [u64; 3],
    correct: [u64; 3],
}

impl Scores {
    fn new(is_counting: bool, parts: Vec<PartPlan>) -> Self {
        Self { is_counting, parts, labelled: [0; 3], correct: [0; 3] }
    }

    fn add(&mut self, part: usize, labels: &[Option<i32>], predicted: &[i32]) {
        let Some(split) = self.parts[part].split.filter(|_| self.is_counting) else { return };
        let labelled = labels.iter().zip(predicted).filter_map(|(label, predicted)| Some((*label)? == *predicted));
        for is_correct in labelled {
            self.labelled[split as usize] += 1;
            self.correct[split as usize] += u64::from(is_correct);
        }
    }

    fn of_splits(&self) -> Vec<SplitScore> {
        let score = |split| {
            let (labelled, correct) = (self.labelled[split as usize], self.correct[split as usize]);
            SplitScore { split, labelled, correct }
        };
        Split::ALL.into_iter().map(score).filter(|score| score.labelled > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labelled_rows_are_scored_each_in_its_split() {
        let parts = vec![PartPlan::new(Split::Train, 0), PartPlan::new(Split::Test, 0), PartPlan::new(Split::Test, 1)];
        let mut scores = Scores::new(true, parts.clone());
        scores.add(1, &[Some(0), None, Some(2)], &[0, 1, 1]);
        scores.add(2, &[Some(3)], &[3]);
        assert_eq!(scores.of_splits(), [SplitScore { split: Split::Test, labelled: 3, correct: 2 }]);
        let mut scores = Scores::new(false, parts);
        scores.add(1, &[Some(0)], &[0]);
        assert!(scores.of_splits().is_empty());
    }
}
