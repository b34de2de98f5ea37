//! Columns that are none of ours: what the input had besides text and id, carried along as it is.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow_schema::{ArrowError, Field, FieldRef, Schema};
use arrow_select::concat::concat;
use arrow_select::take::take_record_batch;

use crate::{Error, Result};

/// A batch of `n_rows` rows and no column: what a part carries whose input had nothing else.
#[must_use]
pub fn no_columns(n_rows: usize) -> RecordBatch {
    batch(Vec::new(), Vec::new(), n_rows).unwrap_or_else(|_| RecordBatch::new_empty(Arc::new(Schema::empty())))
}

/// The given rows of a batch, in the given order; a row may be taken several times.
///
/// # Errors
/// [`Error::Bug`] when there is no such row.
pub fn take_rows(from: &RecordBatch, rows: &[usize]) -> Result<RecordBatch> {
    if let Some(row) = rows.iter().find(|r| **r >= from.num_rows()) {
        return Err(Error::Bug(format!("row {row} of a batch of {} was asked for", from.num_rows())));
    }
    if from.num_columns() == 0 {
        return Ok(no_columns(rows.len()));
    }
    let rows = UInt64Array::from_iter_values(rows.iter().map(|r| *r as u64));
    take_record_batch(from, &rows).map_err(|e| Error::Bug(format!("cannot take rows: {e}")))
}

/// Our own columns with the others behind them, all of those nullable. One that is named as one of ours gets
/// `input_` in front, as often as it takes.
pub(crate) fn append(own: Vec<(Field, ArrayRef)>, other: &RecordBatch, what: &'static str) -> Result<RecordBatch> {
    let (fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = own.into_iter().unzip();
    let mut fields: Vec<FieldRef> = fields.into_iter().map(Arc::new).collect();
    let schema = other.schema();
    for (field, column) in schema.fields().iter().zip(other.columns()) {
        let mut name = field.name().clone();
        let theirs = |name: &str| schema.fields().iter().any(|f| f.name() == name);
        while fields.iter().any(|f| *f.name() == name) || (name != *field.name() && theirs(&name)) {
            name.insert_str(0, "input_");
        }
        fields.push(Arc::new(field.as_ref().clone().with_name(name).with_nullable(true)));
        columns.push(Arc::clone(column));
    }
    let n_rows = columns.first().map_or(0, Array::len);
    batch(fields, columns, n_rows).map_err(|e| Error::Bug(format!("{what} part: {e}")))
}

/// The rows of several batches, which have the same columns, behind each other.
///
/// # Errors
/// [`Error::Bug`] when the columns are not the same.
pub fn join_rows(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let n_rows = batches.iter().map(RecordBatch::num_rows).sum();
    let Some(first) = batches.first() else { return Ok(no_columns(0)) };
    let mut columns = Vec::new();
    for (i, field) in first.schema().fields().iter().enumerate() {
        let bug = |reason: String| Error::Bug(format!("cannot join column `{}`: {reason}", field.name()));
        let pieces = batches.iter().map(|b| b.columns().get(i).map(AsRef::as_ref)).collect::<Option<Vec<_>>>();
        let pieces = pieces.ok_or_else(|| bug("a batch lacks it".into()))?;
        columns.push(concat(&pieces).map_err(|e| bug(e.to_string()))?);
    }
    batch(first.schema().fields().to_vec(), columns, n_rows).map_err(|e| Error::Bug(e.to_string()))
}

/// All columns but our own, of all batches of one file.
pub(crate) fn collect(batches: &[RecordBatch], own: &[&str], path: &Path) -> Result<RecordBatch> {
    let others = batches.iter().map(|batch| {
        let schema = batch.schema();
        let indices = (0..batch.num_columns()).filter(|i| !own.contains(&schema.field(*i).name().as_str()));
        batch.project(&indices.collect::<Vec<_>>()).map_err(|e| Error::malformed(path, e))
    });
    join_rows(&others.collect::<Result<Vec<_>>>()?).map_err(|e| Error::malformed(path, e))
}

fn batch(fields: Vec<FieldRef>, columns: Vec<ArrayRef>, n_rows: usize) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

#[cfg(test)]
mod tests {
    use arrow_array::Int32Array;

    use super::*;

    fn ints(name: &str, values: &[i32]) -> (Field, ArrayRef) {
        let column: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        (Field::new(name, column.data_type().clone(), false), column)
    }

    fn of(columns: &[(&str, &[i32])]) -> RecordBatch {
        let (fields, columns): (Vec<_>, Vec<_>) = columns.iter().map(|(n, v)| ints(n, v)).unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    #[test]
    fn names_of_ours_are_set_apart_and_stay_unique() {
        let other = of(&[("id", &[1]), ("input_id", &[2]), ("key", &[3])]);
        let joined = append(vec![ints("id", &[0])], &other, "test").unwrap();
        let names: Vec<_> = joined.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["id", "input_input_id", "input_id", "key"]);
        assert!(joined.schema().fields()[1..].iter().all(|f| f.is_nullable()));
    }

    #[test]
    fn another_number_of_rows_is_a_bug() {
        let joined = append(vec![ints("id", &[0, 1])], &of(&[("key", &[3])]), "test");
        assert!(matches!(joined, Err(Error::Bug(_))), "{joined:?}");
    }

    #[test]
    fn rows_are_taken_in_any_order_and_repeated() {
        let taken = take_rows(&of(&[("key", &[10, 11, 12])]), &[2, 2, 0]).unwrap();
        assert_eq!(taken, of(&[("key", &[12, 12, 10])]));
        assert_eq!(take_rows(&no_columns(3), &[2, 2, 0, 0]).unwrap().num_rows(), 4);
        assert!(matches!(take_rows(&no_columns(3), &[3]), Err(Error::Bug(_))));
    }
}
