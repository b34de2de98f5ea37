//! Arrow batches to Parquet files.
//!
//! Pixels are most of what is ever written, and are in memory as they are to be in the file. The library's writer would copy
//! them four times on the way (into Arrow's chunk, the encoder, the page, the column); here their pages are made of the bytes
//! as they lie, and everything else is the library's.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, FixedSizeBinaryArray, RecordBatch};
use arrow_schema::{DataType, Field};
use bytes::{Buf, Bytes};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::compute_leaves;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, OffsetIndexBuilder};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, ColumnPath};

use crate::{Error, Result};

/// Bytes of pixels in a page, as far as a single picture is not more: what readers expect of a page.
const PAGE_BYTES: usize = 1 << 20;

/// Encodes one batch as a Parquet file of a single row group.
///
/// # Errors
/// [`Error::Bug`] when the batch cannot be expressed in Parquet.
pub fn encode(batch: &RecordBatch, footer: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_to(batch, footer, &mut bytes)?;
    Ok(bytes)
}

/// As [`encode`], to `sink`.
///
/// Pixels and feature vectors are stored plain and uncompressed, since neither dictionary nor
/// zstd pays for itself on them; everything else is zstd.
///
/// # Errors
/// [`Error::Bug`] when the batch cannot be expressed in Parquet, and when the sink fails: whoever made the sink knows better why.
pub(crate) fn encode_to(batch: &RecordBatch, footer: &[(&str, &str)], sink: impl Write + Send) -> Result<()> {
    write(batch, footer, sink).map_err(|e| Error::Bug(format!("cannot encode a part: {e}")))
}

fn write(batch: &RecordBatch, footer: &[(&str, &str)], sink: impl Write + Send) -> ParquetResult<()> {
    let properties = properties(batch, footer);
    let (mut file, columns) = ArrowWriter::try_new(sink, batch.schema(), Some(properties))?.into_serialized_writer()?;
    if batch.num_rows() > 0 {
        let leaves = file.schema_descr().columns().to_vec();
        let mut writers = columns.create_column_writers(0)?.into_iter().zip(&leaves);
        let mut group = file.next_row_group()?;
        for (field, cells) in batch.schema().fields().iter().zip(batch.columns()) {
            if let Some(cells) = plain(field, cells) {
                let (_, column) = writers.next().ok_or_else(|| too_few(field))?;
                append_plain(&mut group, column, cells)?;
                continue;
            }
            for leaf in compute_leaves(field, cells)? {
                let (mut writer, _) = writers.next().ok_or_else(|| too_few(field))?;
                writer.write(&leaf)?;
                writer.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
    }
    file.close()?;
    Ok(())
}

fn too_few(field: &Field) -> ParquetError {
    ParquetError::General(format!("there is no column left for `{}`", field.name()))
}

fn properties(batch: &RecordBatch, footer: &[(&str, &str)]) -> WriterProperties {
    let metadata = footer.iter().map(|(k, v)| KeyValue::new((*k).to_string(), Some((*v).to_string()))).collect();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(metadata));
    for field in batch.schema().fields() {
        let path = match field.data_type() {
            DataType::FixedSizeBinary(_) => ColumnPath::from(field.name().as_str()),
            DataType::FixedSizeList(item, _) => {
                ColumnPath::new(vec![field.name().clone(), "list".into(), item.name().clone()])
            }
            _ => continue,
        };
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), Encoding::PLAIN)
            .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    properties.build()
}

/// The cells of a column of which a page holds nothing but their bytes: of a fixed size, and none can be null.
fn plain<'a>(field: &Field, cells: &'a dyn Array) -> Option<&'a FixedSizeBinaryArray> {
    cells.as_fixed_size_binary_opt().filter(|cells| !field.is_nullable() && cells.value_length() > 0)
}

/// Appends cells as plain, uncompressed pages that are made of them as they lie.
fn append_plain<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &ColumnDescPtr,
    cells: &FixedSizeBinaryArray,
) -> ParquetResult<()> {
    let width = cells.value_length() as usize;
    let values = Bytes::from_owner(cells.values().clone()).slice(..cells.len() * width);

    let mut chunk = TrackedWrite::new(Pieces::of(values.clone()));
    let mut pages = SerializedPageWriter::new(&mut chunk);
    let mut index = OffsetIndexBuilder::new();
    let page_bytes = (PAGE_BYTES / width).max(1) * width;
    for first in (0..values.len()).step_by(page_bytes) {
        let buf = values.slice(first..values.len().min(first + page_bytes));
        let (n_bytes, n_rows) = (buf.len(), buf.len() / width);
        let page = Page::DataPage {
            buf,
            num_values: n_rows as u32,
            encoding: Encoding::PLAIN,
            // Of levels there are none, but the header has to name an encoding.
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = pages.write_page(CompressedPage::new(page, n_bytes))?;
        index.append_row_count(n_rows as i64);
        index.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
    }
    pages.close()?;

    let n_bytes = chunk.bytes_written();
    let metadata = ColumnChunkMetaData::builder(Arc::clone(column))
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
        .set_compression(Compression::UNCOMPRESSED)
        .set_num_values(cells.len() as i64)
        .set_total_compressed_size(n_bytes as i64)
        .set_total_uncompressed_size(n_bytes as i64)
        .set_data_page_offset(0)
        .build()?;
    let close = ColumnCloseResult {
        bytes_written: n_bytes as u64,
        rows_written: cells.len() as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(index.build()),
    };
    group.append_column(&chunk.into_inner()?, close)
}

/// A column chunk in pieces: what lies in `values` stays there, all else is copied.
#[derive(Debug, Clone)]
struct Pieces {
    values: Bytes,
    pieces: VecDeque<Bytes>,
}

impl Pieces {
    fn of(values: Bytes) -> Self {
        Self { values, pieces: VecDeque::new() }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lies_there = self.values.as_ptr_range().contains(&bytes.as_ptr());
        self.pieces.push_back(if lies_there { self.values.slice_ref(bytes) } else { Bytes::copy_from_slice(bytes) });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.front_mut() else { return Ok(0) };
        let n = piece.len().min(to.len());
        piece.copy_to_slice(&mut to[..n]);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Ok(n)
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl ChunkReader for Pieces {
    type T = Self;

    fn get_read(&self, start: u64) -> ParquetResult<Self> {
        let mut rest = self.clone();
        io::copy(&mut (&mut rest).take(start), &mut io::sink())?;
        Ok(rest)
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow_array::{ArrayRef, StringArray};
    use arrow_schema::Schema;
    use arrow_select::concat::concat_batches;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection};
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::decode_parquet;

    const WIDTH: usize = 300_000;

    /// Rows of a name and of cells that are all different.
    fn batch(n_rows: usize, null: Option<usize>) -> RecordBatch {
        let cell = |row: usize| (0..WIDTH).map(move |i| (i * 7 + row * 31) as u8).collect::<Vec<_>>();
        let cells = (0..n_rows).map(|row| (Some(row) != null).then(|| cell(row)));
        let cells = FixedSizeBinaryArray::try_from_sparse_iter_with_size(cells, WIDTH as i32).unwrap();
        let names = StringArray::from_iter_values((0..n_rows).map(|row| format!("row-{row}")));
        let fields = vec![
            Field::new("pixels", DataType::FixedSizeBinary(WIDTH as i32), null.is_some()),
            Field::new("id", DataType::Utf8, false),
        ];
        let columns: Vec<ArrayRef> = vec![Arc::new(cells), Arc::new(names)];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn decoded(bytes: Vec<u8>) -> RecordBatch {
        let batches = decode_parquet(bytes, Path::new("p")).unwrap();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    }

    #[test]
    fn cells_come_back_from_many_pages_and_from_a_slice() {
        let rows = batch(12, None).slice(1, 10);
        let bytes = encode(&rows, &[("key", "value")]).unwrap();
        // Three cells are nearly a MiB, and so is a page.
        let file = SerializedFileReader::new(Bytes::from(bytes.clone())).unwrap();
        let pages = file.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
        let sizes: Vec<u32> = pages.map(|page| page.unwrap().num_values()).collect();
        assert_eq!(sizes, [3, 3, 3, 1]);
        assert_eq!(decoded(bytes.clone()).columns(), rows.columns());
        // Found by the index of pages, without reading those before.
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(bytes), options).unwrap();
        let selection = RowSelection::from_consecutive_ranges(std::iter::once(5..10), 10);
        let found = reader.with_row_selection(selection).build().unwrap().next().unwrap().unwrap();
        assert_eq!(found.columns(), rows.slice(5, 5).columns());
    }

    #[test]
    fn nulls_and_no_rows_at_all_come_back_too() {
        for rows in [batch(4, Some(2)), batch(3, None).slice(1, 0)] {
            assert_eq!(decoded(encode(&rows, &[]).unwrap()), rows);
        }
    }
}
