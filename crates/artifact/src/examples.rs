//! The examples artifact: `id` utf8, `label` int32 null, `pixels` fixed_size_binary(H·W·3).

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, FixedSizeBinaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Facts in the manifest of an examples artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamplesFacts {
    /// Rows of a stored picture, in pixels.
    pub height: u32,
    /// Columns of a stored picture, in pixels.
    pub width: u32,
    /// Class names; a label is an index into them.
    pub classes: Vec<String>,
    /// How pictures of another size were brought to this one, in words.
    pub resize: String,
    /// The same rule, for whoever has to follow it.
    pub resize_policy: ResizePolicy,
}

/// How pictures are brought to the stored size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "kebab-case")]
pub enum ResizePolicy {
    /// Not at all: a picture of another size is a reject.
    AsTheyAre,
    /// By interpolation, antialiased.
    Resized {
        /// What happens to the aspect ratio.
        fit: ResizeFit,
        /// The interpolation kernel.
        filter: ResizeFilter,
        /// Whether smaller pictures are enlarged; otherwise they are rejects.
        enlarge: bool,
    },
}

/// What happens to the aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeFit {
    /// Both sides are scaled apart.
    Squash,
    /// The shortest edge is scaled and the centre is cut out.
    Crop,
}

/// The interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeFilter {
    /// Triangle.
    Bilinear,
    /// Cubic with `a = −0.5`.
    Bicubic,
}

/// The rows of one part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExamplePart {
    /// Stable keys.
    pub ids: Vec<String>,
    /// Index into the classes, or nothing where the source had none.
    pub labels: Vec<Option<i32>>,
    /// RGB, row-major HWC, one picture after the other: `n · height · width · 3` bytes.
    pub pixels: Vec<u8>,
}

impl ExamplePart {
    /// The rows as an Arrow batch.
    ///
    /// # Errors
    /// [`Error::Bug`] when the three columns have different lengths.
    pub fn to_batch(self, facts: &ExamplesFacts) -> Result<RecordBatch> {
        let bytes = picture_bytes(facts).map_err(Error::Bug)?;
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("label", DataType::Int32, true),
            Field::new("pixels", DataType::FixedSizeBinary(bytes), false),
        ]);
        let pixels = FixedSizeBinaryArray::try_new(bytes, self.pixels.into(), None);
        let bug = |e: arrow_schema::ArrowError| Error::Bug(format!("examples part: {e}"));
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(StringArray::from(self.ids)),
                Arc::new(Int32Array::from(self.labels)),
                Arc::new(pixels.map_err(bug)?),
            ],
        )
        .map_err(bug)
    }

    /// Takes the memory of the pixels back from a batch that [`ExamplePart::to_batch`] made, with what is in it; none where
    /// another still reads it.
    #[must_use]
    pub fn memory_of(batch: RecordBatch) -> Vec<u8> {
        let pixels = batch.column_by_name("pixels").and_then(|column| column.as_fixed_size_binary_opt().cloned());
        drop(batch);
        let buffer = pixels.map(|pixels| pixels.into_parts().1);
        buffer.and_then(|buffer| buffer.into_vec().ok()).unwrap_or_default()
    }

    /// Reads the rows back and checks columns, picture size and label range.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the column, what was expected and what was found.
    pub fn from_batches(batches: &[RecordBatch], facts: &ExamplesFacts, path: &Path) -> Result<Self> {
        let bytes = picture_bytes(facts).map_err(|reason| Error::malformed(path, reason))?;
        let stored = DataType::FixedSizeBinary(bytes);
        let mut part = Self::default();
        let mut columns = Vec::with_capacity(batches.len());
        for batch in batches {
            read_keys(batch, facts.classes.len(), path, &mut part.ids, &mut part.labels)?;
            let pixels = column(batch, "pixels", &stored, path)?.as_fixed_size_binary();
            columns.push(&pixels.value_data()[..pixels.len() * bytes as usize]);
        }
        // At once: it is most of a program's memory, and would have up to twice its size while it grows.
        part.pixels = columns.concat();
        Ok(part)
    }
}

/// Bytes of one stored picture; Arrow counts them in 31 bits.
fn picture_bytes(facts: &ExamplesFacts) -> std::result::Result<i32, String> {
    let (height, width) = (u64::from(facts.height), u64::from(facts.width));
    let bytes = (height * width).checked_mul(3).and_then(|bytes| i32::try_from(bytes).ok());
    bytes.ok_or_else(|| format!("pictures of {height}×{width} (height × width): expected less than 2 GiB each"))
}

/// The column `name`, refused when absent, of another type or with nulls where none may be.
pub(crate) fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
    expected: &DataType,
    path: &Path,
) -> Result<&'a dyn Array> {
    let column = batch.column_by_name(name).ok_or_else(|| {
        let names: Vec<_> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        let reason = format!("column `{name}`: expected {expected}, found only columns {}", names.join(", "));
        Error::malformed(path, reason)
    })?;
    if column.data_type() != expected {
        let reason = format!("column `{name}`: expected {expected}, found {}", column.data_type());
        return Err(Error::malformed(path, reason));
    }
    if name != "label" && column.null_count() > 0 {
        return Err(Error::malformed(path, format!("column `{name}` has {} nulls", column.null_count())));
    }
    Ok(column.as_ref())
}

/// Appends `id` and `label`, which examples and features share.
pub(crate) fn read_keys(
    batch: &RecordBatch,
    n_classes: usize,
    path: &Path,
    ids: &mut Vec<String>,
    labels: &mut Vec<Option<i32>>,
) -> Result<()> {
    let id = column(batch, "id", &DataType::Utf8, path)?;
    ids.extend(id.as_string::<i32>().iter().flatten().map(str::to_owned));
    let label = column(batch, "label", &DataType::Int32, path)?;
    for value in label.as_primitive::<Int32Type>() {
        if let Some(v) = value
            && !(0..n_classes as i64).contains(&i64::from(v))
        {
            return Err(Error::malformed(path, format!("label {v} of row {} is outside 0..{n_classes}", labels.len())));
        }
        labels.push(value);
    }
    Ok(())
}
