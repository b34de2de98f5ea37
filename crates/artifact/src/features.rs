//! The features artifact: `id`, `label`, `feature` fixed_size_list<float32 or float16, D>.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, FixedSizeListArray, Float16Array, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use half::f16;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::{Error, ResizePolicy, Result};

/// Number format of stored features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureType {
    /// IEEE binary32.
    Float32,
    /// IEEE binary16: half the bytes, relative error up to 2⁻¹¹.
    Float16,
}

impl FeatureType {
    fn arrow(self) -> DataType {
        match self {
            Self::Float32 => DataType::Float32,
            Self::Float16 => DataType::Float16,
        }
    }
}

/// Facts in the manifest of a features artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeaturesFacts {
    /// Length of a feature vector.
    pub feature_dim: usize,
    /// Number format.
    pub dtype: FeatureType,
    /// Class names; a label is an index into them.
    pub classes: Vec<String>,
    /// The network, as the person named it.
    pub backbone: String,
    /// BLAKE3 of the network's file.
    pub backbone_digest: String,
    /// The tensor that the features are, with its pooling.
    pub tensor: String,
    /// What happens to the stored pixels before the network, in words.
    pub preprocessing: String,
    /// Where the network ran: `cpu` or `cuda:N`.
    pub provider: String,
    /// Rows of a stored picture, in pixels, as the graph in [`GRAPH`] takes it.
    pub height: u32,
    /// Columns of a stored picture, in pixels.
    pub width: u32,
    /// How pictures were brought to that size.
    pub resize_policy: ResizePolicy,
}

/// The file of a features artifact that holds the graph which made them: stored pixels in, features out.
///
/// It is what a head is exported with, so that what is deployed is what was used.
pub const GRAPH: &str = "backbone.onnx";

/// Feature vectors `[n, feature_dim]` in the format they are stored in.
#[derive(Debug, Clone, PartialEq)]
pub enum Vectors {
    /// float32.
    Float32(Array2<f32>),
    /// float16.
    Float16(Array2<f16>),
}

/// The rows of one part.
#[derive(Debug, Clone, PartialEq)]
pub struct FeaturePart {
    /// Stable keys, those of the examples.
    pub ids: Vec<String>,
    /// Index into the classes, or nothing where the source had none.
    pub labels: Vec<Option<i32>>,
    /// One row a key.
    pub vectors: Vectors,
}

impl Vectors {
    /// Stores float32 vectors in the given format. A value beyond ±65504 becomes infinite in float16.
    #[must_use]
    pub fn from_f32(values: Array2<f32>, dtype: FeatureType) -> Self {
        match dtype {
            FeatureType::Float32 => Self::Float32(values),
            FeatureType::Float16 => Self::Float16(values.mapv(f16::from_f32)),
        }
    }

    /// Rows that hold a value that is not finite.
    #[must_use]
    pub fn rows_not_finite(&self) -> Vec<usize> {
        fn rows<T: Copy>(values: ArrayView2<T>, finite: impl Fn(T) -> bool) -> Vec<usize> {
            let bad = |row: ndarray::ArrayView1<T>| !row.iter().all(|v| finite(*v));
            values.outer_iter().enumerate().filter(|(_, row)| bad(*row)).map(|(i, _)| i).collect()
        }
        match self {
            Self::Float32(v) => rows(v.view(), f32::is_finite),
            Self::Float16(v) => rows(v.view(), f16::is_finite),
        }
    }
}

impl FeaturePart {
    /// The rows as an Arrow batch.
    ///
    /// # Errors
    /// [`Error::Bug`] when the columns have different lengths.
    pub fn to_batch(self) -> Result<RecordBatch> {
        let (dim, dtype, values): (usize, DataType, Arc<dyn Array>) = match self.vectors {
            Vectors::Float32(v) => (v.ncols(), DataType::Float32, Arc::new(Float32Array::from(row_major(v)))),
            Vectors::Float16(v) => (v.ncols(), DataType::Float16, Arc::new(Float16Array::from(row_major(v)))),
        };
        let bug = |e: arrow_schema::ArrowError| Error::Bug(format!("features part: {e}"));
        let item = Arc::new(Field::new("element", dtype, false));
        let list = FixedSizeListArray::try_new(item, dim as i32, values, None).map_err(bug)?;
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("label", DataType::Int32, true),
            Field::new("feature", list.data_type().clone(), false),
        ]);
        let columns: Vec<Arc<dyn Array>> =
            vec![Arc::new(StringArray::from(self.ids)), Arc::new(Int32Array::from(self.labels)), Arc::new(list)];
        RecordBatch::try_new(Arc::new(schema), columns).map_err(bug)
    }
}

/// The type of column `feature`.
pub(crate) fn list_type(facts: &FeaturesFacts, path: &Path) -> Result<DataType> {
    let item = Arc::new(Field::new("element", facts.dtype.arrow(), false));
    let dim = i32::try_from(facts.feature_dim).map_err(|_| {
        Error::malformed(path, format!("features of {} numbers: expected fewer than 2³¹", facts.feature_dim))
    })?;
    Ok(DataType::FixedSizeList(item, dim))
}

fn row_major<T: Clone>(array: Array2<T>) -> Vec<T> {
    if array.is_standard_layout() {
        let (values, offset) = array.into_raw_vec_and_offset();
        debug_assert_eq!(offset.unwrap_or(0), 0, "an owned array of standard layout starts at its first element");
        values
    } else {
        array.iter().cloned().collect()
    }
}
