//! `classifier.onnx`: the graph that made the features with the head behind it, checked on real pictures before it
//! is committed.
//!
//! The graph comes from the features artifact and not from the backbone's file, so that what is deployed is what was
//! used: the same tensor, the same pooling, the same preprocessing.

use artifact::{Artifact, ExamplesFacts, FeatureType, FeaturesFacts, GRAPH};
use backbone::{Classifier, Device, Placement, Runtime};
use ndarray::{Array2, ArrayView4, Axis, s};
use onnx_graph::Model;
use serde_json::{Value, json};
use stage::{Exit, check_stop};

use crate::data::Data;
use crate::outputs::{probabilities, temperature};
use crate::pictures::Pictures;
use crate::train::Trained;

/// The name of the file.
pub(crate) const CLASSIFIER: &str = "classifier.onnx";

/// Pictures that the export is checked on: enough to meet every class of a common problem.
const MAX_CHECKED: usize = 64;

/// Pictures that are run together while checking.
const BATCH: usize = 16;

/// What is needed for an export, loaded before anything is trained, so that what is missing is said first.
#[derive(Debug)]
pub(crate) struct Exporter {
    runtime: Runtime,
    backbone: Model,
    pictures: Pictures,
    threads: usize,
}

/// An exported classifier.
#[derive(Debug)]
pub(crate) struct Exported {
    /// The ONNX file.
    pub(crate) bytes: Vec<u8>,
    /// For `metrics.json`: on how many rows it was compared, and what differed.
    pub(crate) check: Value,
}

impl Exporter {
    /// # Errors
    /// Exit 69 without ONNX Runtime, 65 for a graph that is damaged.
    pub(crate) fn load(features: &Artifact, pictures: Pictures, threads: usize) -> anyhow::Result<Self> {
        let runtime = Runtime::load().map_err(backbone_error)?;
        let name = features.folder().join(GRAPH).display().to_string();
        let backbone = Model::parse(features.read_file(GRAPH)?, &name).map_err(|e| Exit::BadData.wrap(e))?;
        Ok(Self { runtime, backbone, pictures, threads })
    }

    /// Appends the head, writes down where it comes from, and compares the result with the two stages.
    ///
    /// # Errors
    /// Exit 70 when the probabilities, with the temperature or without, differ by more than [`tolerance`] allows.
    pub(crate) fn export(
        mut self,
        features: &Artifact,
        facts: &FeaturesFacts,
        data: &Data,
        trained: &Trained,
    ) -> anyhow::Result<Exported> {
        let head = &trained.head;
        let weight: Vec<f32> = head.weight().iter().copied().collect();
        let appended = self.backbone.append_head(&weight, &head.bias().to_vec(), temperature(trained) as f32);
        appended.map_err(|e| Exit::Bug.wrap(e))?;
        let is_int8 = self.backbone.is_int8();
        // What the backbone's file says of itself, such as its own classes, is not true of this one.
        self.backbone.prefix_metadata_props("backbone.");
        for (key, value) in about(features, facts, trained) {
            self.backbone.set_metadata_prop(&format!("headstart.{key}"), &value);
        }
        if is_int8 {
            self.backbone.set_metadata_prop("headstart.precision", "int8");
        }
        let bytes = self.backbone.encode().map_err(|e| Exit::BadData.wrap(e))?;
        let check = self.check(&bytes, facts, data, trained)?;
        Ok(Exported { bytes, check })
    }

    fn check(&self, model: &[u8], facts: &FeaturesFacts, data: &Data, trained: &Trained) -> anyhow::Result<Value> {
        let rows = [&data.validation, &data.test, &data.train].into_iter().find(|rows| !rows.ids.is_empty());
        let rows = rows.ok_or_else(|| Exit::Bug.error("there are no rows to check the classifier on"))?;
        let n = rows.ids.len().min(MAX_CHECKED);
        let pixels = self.pictures.of(&rows.ids[..n])?;
        let ExamplesFacts { height, width, .. } = *self.pictures.facts();
        let shape = (n, height as usize, width as usize, 3);
        let pixels = ArrayView4::from_shape(shape, &pixels).expect("there is one picture a row");
        // On the CPU: where one-file deployments run, and what every machine has.
        let placement = Placement { device: Device::Cpu, cuda_libraries: None, threads: self.threads, rewrites: &[] };
        let mut classifier = Classifier::load(&self.runtime, model, placement).map_err(backbone_error)?;
        let mut one_file = [(); 2].map(|()| Array2::zeros((n, facts.classes.len())));
        for start in (0..n).step_by(BATCH) {
            check_stop()?;
            let end = (start + BATCH).min(n);
            let predicted = classifier.run(pixels.slice(s![start..end, .., .., ..])).map_err(backbone_error)?;
            one_file[0].slice_mut(s![start..end, ..]).assign(&probabilities(predicted.logits.view(), 1.0));
            one_file[1].slice_mut(s![start..end, ..]).assign(&predicted.probabilities);
        }
        let logits = trained.head.logits(rows.features.view().slice(s![..n, ..])).map_err(crate::head_error)?;
        let tolerance = tolerance(facts);
        let compare = |one_file: &Array2<f32>, temperature: f64| {
            let two_stages = probabilities(logits.view(), temperature);
            compare(&two_stages, one_file, &rows.ids, &facts.classes, tolerance)
        };
        let uncalibrated = compare(&one_file[0], 1.0)?;
        let calibrated = compare(&one_file[1], temperature(trained))?;
        tracing::debug!("{CLASSIFIER}: probabilities of {n} rows differ by {calibrated} at most");
        Ok(json!({
            "rows_checked": n,
            "max_abs_difference": calibrated,
            "max_abs_difference_uncalibrated": uncalibrated,
            "tolerance": tolerance,
        }))
    }
}

/// Largest allowed difference of a probability: of kernels that round differently, or of features that were rounded
/// to float16 when they were stored, which those inside the classifier are not.
fn tolerance(facts: &FeaturesFacts) -> f64 {
    match (facts.dtype, facts.provider.as_str()) {
        (FeatureType::Float32, "cpu") => 1e-4,
        (FeatureType::Float32, _) => 1e-3,
        (FeatureType::Float16, _) => 2e-2,
    }
}

/// The largest difference of a probability.
fn compare(
    two_stages: &Array2<f32>,
    one_file: &Array2<f32>,
    ids: &[String],
    classes: &[String],
    tolerance: f64,
) -> anyhow::Result<f64> {
    let mut largest = 0.0_f64;
    for (row, (expected, found)) in two_stages.outer_iter().zip(one_file.axis_iter(Axis(0))).enumerate() {
        for (class, (expected, found)) in expected.iter().zip(found).enumerate() {
            let difference = (f64::from(*expected) - f64::from(*found)).abs();
            if difference.is_nan() || difference > tolerance {
                return Err(Exit::Bug.error(format!(
                    "{CLASSIFIER} does not do what backbone and head do apart: for row {} it gives class {} the \
                     probability {found}, expected {expected} within {tolerance}; nothing was written. Extract the features \
                     again with --overwrite; if it stays so, please report it, and leave the file out with --no-classifier",
                    ids[row], classes[class]
                )));
            }
            largest = largest.max(difference);
        }
    }
    Ok(largest)
}

/// What the file says about itself, as ONNX metadata. `classify` needs the first few.
fn about(features: &Artifact, facts: &FeaturesFacts, trained: &Trained) -> Vec<(&'static str, String)> {
    let examples = features.manifest().inputs.first().map(|input| input.digest.clone()).unwrap_or_default();
    let mut about = vec![
        ("classes", json!(facts.classes).to_string()),
        ("height", facts.height.to_string()),
        ("width", facts.width.to_string()),
        ("resize", json!(facts.resize_policy).to_string()),
        ("temperature", temperature(trained).to_string()),
        ("preprocessing", facts.preprocessing.clone()),
        ("backbone", facts.backbone.clone()),
        ("backbone_digest", facts.backbone_digest.clone()),
        ("tensor", facts.tensor.clone()),
        ("features_fingerprint", features.manifest().fingerprint.to_string()),
        ("examples_fingerprint", examples),
        ("version", env!("CARGO_PKG_VERSION").to_string()),
    ];
    if let Some(test) = &trained.test {
        about.push(("test_accuracy", test.scores.accuracy.to_string()));
    }
    about
}

/// An error of `backbone` with its exit code: a graph that ran when the features were made is not the person's fault.
fn backbone_error(error: backbone::Error) -> anyhow::Error {
    use backbone::Error as E;
    match error {
        E::NoRuntime { .. } | E::NoDevice { .. } | E::OutOfMemory { .. } | E::Int8Saturates => {
            Exit::Unavailable.wrap(error)
        }
        _ => Exit::Bug.wrap(error),
    }
}

#[cfg(test)]
mod tests {
    use artifact::ResizePolicy;

    use super::*;

    fn facts(dtype: FeatureType, provider: &str) -> FeaturesFacts {
        FeaturesFacts {
            feature_dim: 1,
            dtype,
            classes: vec!["a".into(), "b".into()],
            backbone: String::new(),
            backbone_digest: String::new(),
            tensor: String::new(),
            preprocessing: String::new(),
            provider: provider.into(),
            height: 1,
            width: 1,
            resize_policy: ResizePolicy::AsTheyAre,
        }
    }

    #[test]
    fn a_difference_beyond_rounding_is_a_bug_that_names_the_row() {
        let (ids, classes) = (["x", "y"].map(String::from), ["a", "b"].map(String::from));
        let expected = ndarray::array![[0.25_f32, 0.75], [0.5, 0.5]];
        let compare = |found: &Array2<f32>, tolerance| compare(&expected, found, &ids, &classes, tolerance);
        let cpu = tolerance(&facts(FeatureType::Float32, "cpu"));
        let mut found = expected.clone();
        found[[1, 0]] += 5e-5;
        let largest = compare(&found, cpu).unwrap();
        assert!((largest - 5e-5).abs() < 1e-7, "{largest}");
        for wrong in [0.5002, f32::NAN] {
            found[[1, 0]] = wrong;
            let error = compare(&found, cpu).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Bug);
            assert!(error.to_string().contains("row y") && error.to_string().contains("class a"), "{error}");
        }
        found[[1, 0]] = 0.5005;
        assert!(compare(&found, tolerance(&facts(FeatureType::Float32, "cuda:0"))).is_ok());
        assert!(compare(&found, tolerance(&facts(FeatureType::Float16, "cpu"))).is_ok());
    }
}
