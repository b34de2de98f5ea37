//! Parquet files to Arrow batches.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::SchemaDescriptor;

use crate::{Error, Result};

/// Rows of one decoded batch. Reading 100 MB as one batch costs three times as much, all of it
/// page faults.
const BATCH_ROWS: usize = 4096;

/// Bytes of memory that cells of a fixed size may take in one reading. Of a part also so many for each byte of it, as large
/// parts of ours hold such cells as they are.
const MOST_READ: u64 = 1 << 30;
const MOST_UNPACKED: u64 = 256;

/// Decodes a whole Parquet file in memory. `path` is for messages. One without rows gives an empty
/// batch, so that its columns are known.
///
/// # Errors
/// [`Error::Malformed`] when the bytes are no Parquet file.
pub fn decode(bytes: Vec<u8>, path: &Path) -> Result<Vec<RecordBatch>> {
    decode_masked(Bytes::from(bytes), path, |_| ProjectionMask::all())
}

/// As [`decode`], of the named top-level columns alone.
pub(crate) fn decode_columns(bytes: Bytes, columns: &[&str], path: &Path) -> Result<Vec<RecordBatch>> {
    decode_masked(bytes, path, |schema| ProjectionMask::columns(schema, columns.iter().copied()))
}

fn decode_masked(
    bytes: Bytes,
    path: &Path,
    mask: impl FnOnce(&SchemaDescriptor) -> ProjectionMask,
) -> Result<Vec<RecordBatch>> {
    guarded(path, || {
        let n_bytes = bytes.len() as u64;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| Error::malformed(path, e))?;
        let most = n_bytes.saturating_mul(MOST_UNPACKED).max(MOST_READ);
        check_rows(builder.metadata())
            .and_then(|n_rows| check_cells(builder.schema(), n_rows.into(), most))
            .map_err(|reason| Error::malformed(path, reason))?;
        let mask = mask(builder.parquet_schema());
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|e| Error::malformed(path, e))?;
        let schema = reader.schema();
        let mut batches = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| Error::malformed(path, e))?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    })
}

/// A Parquet file that is not ours: a data set as it was downloaded.
#[derive(Debug)]
pub struct ParquetFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Opens the file and reads its footer.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::Malformed`] when it is no Parquet file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let metadata = guarded(path, || {
            ArrowReaderMetadata::load(&file, Default::default())
                .map_err(|e| Error::malformed(path, format!("not a readable Parquet file: {e}")))
        })?;
        check_rows(metadata.metadata()).map_err(|reason| Error::malformed(path, reason))?;
        Ok(Self { path: path.to_path_buf(), file, metadata })
    }

    /// Columns and, in the schema's metadata, what the writer left there (such as `huggingface`).
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.metadata.schema())
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.metadata.metadata().row_groups().iter().map(|g| g.num_rows() as usize).sum()
    }

    /// Bytes in memory of a row's cells of fixed sizes, whatever is in them. In the file they may take none.
    #[must_use]
    pub fn fixed_row_bytes(&self) -> u64 {
        let bytes = |field: &FieldRef| fixed_bytes(field.data_type());
        self.metadata.schema().fields().iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Reads the named top-level columns of the given rows, ascending and without repetition.
    /// Row groups that hold none of the rows are not touched.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the data cannot be decoded, [`Error::Bug`] when the rows are not
    /// ascending or not in the file.
    pub fn read(&self, columns: &[&str], rows: &[usize]) -> Result<Vec<RecordBatch>> {
        self.read_masked(rows, |schema| ProjectionMask::columns(schema, columns.iter().copied()))
    }

    /// Reads all columns of the given rows, as [`ParquetFile::read`] does.
    ///
    /// # Errors
    /// As [`ParquetFile::read`].
    pub fn read_all(&self, rows: &[usize]) -> Result<Vec<RecordBatch>> {
        self.read_masked(rows, |_| ProjectionMask::all())
    }

    fn read_masked(
        &self,
        rows: &[usize],
        mask: impl FnOnce(&SchemaDescriptor) -> ProjectionMask,
    ) -> Result<Vec<RecordBatch>> {
        let in_order = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || rows.last().is_some_and(|last| *last >= self.rows()) {
            return Err(Error::Bug(format!(
                "rows to read from {} are not ascending or not in it",
                self.path.display()
            )));
        }
        guarded(&self.path, || {
            let mut groups = Vec::new();
            let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
            let (mut start, mut kept, mut next) = (0, 0, 0);
            for (g, group) in self.metadata.metadata().row_groups().iter().enumerate() {
                let n = group.num_rows().max(0) as usize;
                let first = next;
                while next < rows.len() && rows[next] < start + n {
                    let row = rows[next] - start + kept;
                    match ranges.last_mut() {
                        Some(range) if range.end == row => range.end += 1,
                        _ => ranges.push(row..row + 1),
                    }
                    next += 1;
                }
                if next > first {
                    groups.push(g);
                    kept += n;
                }
                start += n;
            }
            let file = self.file.try_clone().map_err(Error::io("read", &self.path))?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = mask(builder.parquet_schema());
            let reader = builder
                .with_projection(mask)
                .with_row_groups(groups)
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges.into_iter(), kept))
                .with_batch_size(1024)
                .build()
                .map_err(|e| Error::malformed(&self.path, e))?;
            check_cells(&reader.schema(), rows.len() as u64, MOST_READ)
                .map_err(|reason| Error::malformed(&self.path, reason))?;
            reader.collect::<std::result::Result<_, _>>().map_err(|e| Error::malformed(&self.path, e))
        })
    }
}

/// Refuses a footer whose numbers of rows contradict it: whoever plans by them would run out of memory. Gives the number.
fn check_rows(metadata: &ParquetMetaData) -> std::result::Result<u32, String> {
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows();
        // A column of lists may have any number of values; all others have one a row, null or not.
        let mut flat = group.columns().iter().filter(|column| column.column_descr().max_rep_level() == 0);
        if let Some(column) = flat.find(|column| column.num_values() != rows) {
            let (name, values) = (column.column_descr().name(), column.num_values());
            return Err(format!("row group {i}: its footer says {rows} rows, and {values} values of column `{name}`"));
        }
    }
    let rows =
        metadata.row_groups().iter().try_fold(0, |sum, group| u32::try_from(group.num_rows()).ok()?.checked_add(sum));
    rows.ok_or_else(|| "its footer says that a row group has fewer than 0 rows, or all have more than 2³²".into())
}

/// Refuses cells of a fixed size that would take more than `most` bytes of memory: a null among them takes its whole size, and no
/// byte of the file.
fn check_cells(schema: &Schema, n_rows: u64, most: u64) -> std::result::Result<(), String> {
    let too_large = |field: &&FieldRef| n_rows.saturating_mul(fixed_bytes(field.data_type())) > most;
    match schema.fields().iter().find(too_large) {
        None => Ok(()),
        Some(field) => Err(format!(
            "column `{}` would take {n_rows} × {} bytes of memory, and {most} bytes are the most; leave it out, or write it as lists \
             of any length",
            field.name(),
            fixed_bytes(field.data_type())
        )),
    }
}

/// Bytes of a cell that has the same size whatever is in it; 0 of others.
fn fixed_bytes(cell: &DataType) -> u64 {
    match cell {
        DataType::FixedSizeBinary(n) => u64::try_from(*n).unwrap_or(0),
        DataType::FixedSizeList(item, n) => {
            let of_item = match item.data_type() {
                DataType::Struct(fields) => fields.len() as u64 * 8,
                item => item.primitive_width().map_or(1, |width| width as u64),
            };
            u64::try_from(*n).unwrap_or(0).saturating_mul(fixed_bytes(item.data_type()).max(of_item))
        }
        DataType::Struct(fields) => {
            fields.iter().fold(0, |sum, field| sum.saturating_add(fixed_bytes(field.data_type())))
        }
        DataType::List(item) | DataType::LargeList(item) => fixed_bytes(item.data_type()),
        _ => 0,
    }
}

/// The Parquet reader panics on some damaged footers (8 of 6,000 flips were seen to); for a
/// reader of files from anywhere that is one more way to say "malformed".
pub(crate) fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::malformed(path, "the Parquet structure contradicts itself")))
}
