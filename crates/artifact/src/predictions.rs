//! The predictions artifact: `id` and `class` utf8, `predicted` int32, `probability` float32, `probabilities`
//! fixed_size_list<float32, n_classes>.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::examples::column;
use crate::{Error, Result, Split};

/// Facts in the manifest of a predictions artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionsFacts {
    /// Class names; `predicted` is an index into them.
    pub classes: Vec<String>,
    /// The classifier, as the person named it.
    pub classifier: String,
    /// BLAKE3 of the classifier's file.
    pub classifier_digest: String,
    /// Where it ran: `cpu` or `cuda:N`.
    pub provider: String,
    /// Rows of a picture as the classifier takes it, in pixels.
    pub height: u32,
    /// Columns of a picture as the classifier takes it, in pixels.
    pub width: u32,
    /// Pictures that could not be used.
    pub rejects: u64,
    /// How many of the labelled rows are predicted as labelled, by split; empty where no row has a label.
    pub scores: Vec<SplitScore>,
}

/// Predictions of one split against its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitScore {
    /// The split.
    pub split: Split,
    /// Rows that have a label.
    pub labelled: u64,
    /// Those of them whose label was predicted.
    pub correct: u64,
}

impl SplitScore {
    /// `correct / labelled`.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.labelled as f64
    }
}

/// The rows of one part.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictionPart {
    /// Stable keys, those of the pictures.
    pub ids: Vec<String>,
    /// Index of the most probable class.
    pub predicted: Vec<i32>,
    /// Its probability.
    pub probability: Vec<f32>,
    /// Of every class, one row a key: `[n, n_classes]`.
    pub probabilities: Array2<f32>,
}

impl PredictionPart {
    /// Keys and probabilities `[n, n_classes]`, with the most probable class of each row; of equal ones the first.
    #[must_use]
    pub fn new(ids: Vec<String>, probabilities: Array2<f32>) -> Self {
        let best = |row: ndarray::ArrayView1<'_, f32>| {
            row.iter().enumerate().fold(0, |best, (k, p)| if *p > row[best] { k } else { best })
        };
        let best: Vec<usize> = probabilities.outer_iter().map(best).collect();
        let probability = probabilities.outer_iter().zip(&best).map(|(row, best)| row[*best]).collect();
        Self { ids, predicted: best.iter().map(|best| *best as i32).collect(), probability, probabilities }
    }

    /// The rows as an Arrow batch.
    ///
    /// # Errors
    /// [`Error::Bug`] when the columns have different lengths, or a class is none of the facts'.
    pub fn to_batch(self, facts: &PredictionsFacts) -> Result<RecordBatch> {
        let bug = |e: arrow_schema::ArrowError| Error::Bug(format!("predictions part: {e}"));
        let class = |predicted: &i32| {
            let name = usize::try_from(*predicted).ok().and_then(|k| facts.classes.get(k));
            name.ok_or_else(|| Error::Bug(format!("predictions part: class {predicted} has no name")))
        };
        let classes = self.predicted.iter().map(class).collect::<Result<Vec<_>>>()?;
        let values = Float32Array::from_iter_values(self.probabilities.iter().copied());
        let list = FixedSizeListArray::try_new(item(), facts.classes.len() as i32, Arc::new(values), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.ids)),
            Arc::new(StringArray::from_iter_values(classes)),
            Arc::new(Int32Array::from(self.predicted)),
            Arc::new(Float32Array::from(self.probability)),
            Arc::new(list.map_err(bug)?),
        ];
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("class", DataType::Utf8, false),
            Field::new("predicted", DataType::Int32, false),
            Field::new("probability", DataType::Float32, false),
            Field::new("probabilities", list_of(facts.classes.len()), false),
        ]);
        RecordBatch::try_new(Arc::new(schema), columns).map_err(bug)
    }

    /// Reads the rows back and checks columns and classes.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the column, what was expected and what was found.
    pub fn from_batches(batches: &[RecordBatch], facts: &PredictionsFacts, path: &Path) -> Result<Self> {
        let n_classes = facts.classes.len();
        let (mut part, mut values) = (Self::default(), Vec::new());
        for batch in batches {
            let ids = column(batch, "id", &DataType::Utf8, path)?.as_string::<i32>();
            part.ids.extend(ids.iter().flatten().map(str::to_owned));
            let predicted = column(batch, "predicted", &DataType::Int32, path)?.as_primitive::<Int32Type>().values();
            if let Some(row) = predicted.iter().position(|k| !(0..n_classes as i64).contains(&i64::from(*k))) {
                let reason = format!("class {} of row {row} is outside 0..{n_classes}", predicted[row]);
                return Err(Error::malformed(path, reason));
            }
            part.predicted.extend_from_slice(predicted);
            let probability = column(batch, "probability", &DataType::Float32, path)?;
            part.probability.extend_from_slice(probability.as_primitive::<Float32Type>().values());
            let list = column(batch, "probabilities", &list_of(n_classes), path)?.as_fixed_size_list();
            values.extend_from_slice(list.values().as_primitive::<Float32Type>().values());
        }
        part.probabilities = Array2::from_shape_vec((part.ids.len(), n_classes), values)
            .map_err(|e| Error::malformed(path, format!("column `probabilities`: {e}")))?;
        Ok(part)
    }
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

fn list_of(n_classes: usize) -> DataType {
    DataType::FixedSizeList(item(), n_classes as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> PredictionsFacts {
        PredictionsFacts {
            classes: vec!["cat".into(), "dog".into(), "eel".into()],
            classifier: "c.onnx".into(),
            classifier_digest: String::new(),
            provider: "cpu".into(),
            height: 1,
            width: 1,
            rejects: 0,
            scores: Vec::new(),
        }
    }

    #[test]
    fn rows_come_back_as_they_were_with_the_class_by_name() {
        let probabilities = ndarray::array![[0.25, 0.5, 0.25], [0.4, 0.4, 0.2]];
        let part = PredictionPart::new(vec!["a".into(), "b".into()], probabilities);
        // Of two equally probable classes the first.
        assert_eq!((part.predicted.as_slice(), part.probability.as_slice()), (&[1, 0][..], &[0.5, 0.4][..]));
        let batch = part.clone().to_batch(&facts()).unwrap();
        let names: Vec<_> = batch["class"].as_string::<i32>().iter().flatten().collect();
        assert_eq!(names, ["dog", "cat"]);
        let read = PredictionPart::from_batches(&[batch.slice(1, 1)], &facts(), Path::new("x")).unwrap();
        assert_eq!((read.ids, read.predicted), (vec!["b".to_string()], vec![0]));
        assert_eq!(PredictionPart::from_batches(&[batch], &facts(), Path::new("x")).unwrap(), part);
    }

    #[test]
    fn no_rows_at_all_are_a_part_too() {
        let batch = PredictionPart::new(Vec::new(), Array2::zeros((0, 3))).to_batch(&facts()).unwrap();
        assert_eq!(PredictionPart::from_batches(&[batch], &facts(), Path::new("x")).unwrap().ids.len(), 0);
    }

    #[test]
    fn a_class_without_a_name_is_refused() {
        let part = PredictionPart::new(vec!["a".into()], ndarray::array![[0.1_f32, 0.2, 0.7]]);
        let batch = part.clone().to_batch(&facts()).unwrap();
        let mut two = facts();
        two.classes.pop();
        assert!(matches!(part.to_batch(&two), Err(Error::Bug(_))));
        let error = PredictionPart::from_batches(&[batch], &two, Path::new("x")).unwrap_err();
        assert!(error.to_string().contains("class 2 of row 0 is outside 0..2"), "{error}");
    }
}
