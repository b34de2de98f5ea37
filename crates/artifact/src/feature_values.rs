//! Feature vectors out of a part, straight into a place in memory.
//!
//! A training set is read as often as a head is trained, and Arrow's reader of lists goes through it value by value. Parts of
//! ours hold the vectors plain, uncompressed and without nulls: the bytes of the values are in the pages as they are to be in
//! memory, and are copied from there. A part that is stored in another way goes through Arrow.

use std::ops::Range;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::examples::{column, read_keys};
use crate::features::list_type;
use crate::parquet_file::{decode_columns, guarded};
use crate::{Artifact, Error, FeatureType, FeaturesFacts, Result};

/// `id` and `label` of some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Stable keys.
    pub ids: Vec<String>,
    /// Index into the classes, or nothing where the source had none.
    pub labels: Vec<Option<i32>>,
}

impl Artifact {
    /// Reads part `index` of features: its keys, and its vectors as float32 into `values`, `[rows of the part,
    /// feature_dim]` row-major. `buffer` is for the file's bytes; given again, it spares asking for memory.
    ///
    /// # Errors
    /// As [`Artifact::read_part`]; [`Error::Malformed`] naming the column, what was expected and what was found.
    pub fn read_features(
        &self,
        index: usize,
        facts: &FeaturesFacts,
        buffer: &mut Vec<u8>,
        values: &mut [f32],
    ) -> Result<Keys> {
        self.read_part_bytes(index, buffer)?;
        feature_values(buffer, facts, &self.part_path(index), values)
    }
}

/// The keys of a part whose bytes are at hand, and its vectors as float32 into `values`, as many as the part has rows.
/// `path` is for messages; `buffer` comes back as it was.
///
/// # Errors
/// [`Error::Malformed`] when the bytes are no part of such features.
pub fn feature_values(buffer: &mut Vec<u8>, facts: &FeaturesFacts, path: &Path, values: &mut [f32]) -> Result<Keys> {
    let bytes = Bytes::from(std::mem::take(buffer));
    let read = guarded(path, || read(&bytes, facts, path, values));
    *buffer = Vec::from(bytes);
    read
}

fn read(bytes: &Bytes, facts: &FeaturesFacts, path: &Path, values: &mut [f32]) -> Result<Keys> {
    let expected = list_type(facts, path)?;
    let malformed = |e: ParquetError| Error::malformed(path, e);
    let schema = ArrowReaderMetadata::load(bytes, Default::default()).map_err(malformed)?.schema().clone();
    column(&RecordBatch::new_empty(schema), "feature", &expected, path)?;
    let is_plain =
        facts.dtype == FeatureType::Float32 && copy_plain(bytes, facts.feature_dim, values).map_err(malformed)?;
    let columns: &[&str] = if is_plain { &["id", "label"] } else { &["id", "label", "feature"] };
    let mut keys = Keys::default();
    let mut filled = 0;
    for batch in decode_columns(bytes.clone(), columns, path)? {
        read_keys(&batch, facts.classes.len(), path, &mut keys.ids, &mut keys.labels)?;
        if is_plain {
            continue;
        }
        let list = column(&batch, "feature", &expected, path)?.as_fixed_size_list().values().clone();
        let Some(room) = values.get_mut(filled..filled + list.len()) else {
            return Err(other_rows(path, values.len() / facts.feature_dim.max(1), "more"));
        };
        match facts.dtype {
            FeatureType::Float32 => room.copy_from_slice(list.as_primitive::<Float32Type>().values()),
            FeatureType::Float16 => {
                let halves = list.as_primitive::<Float16Type>().values();
                room.iter_mut().zip(halves).for_each(|(to, from)| *to = from.to_f32());
            }
        }
        filled += list.len();
    }
    let n_rows = values.len() / facts.feature_dim.max(1);
    if keys.ids.len() == n_rows { Ok(keys) } else { Err(other_rows(path, n_rows, &keys.ids.len().to_string())) }
}

fn other_rows(path: &Path, expected: usize, found: &str) -> Error {
    Error::malformed(path, format!("rows: expected {expected}, found {found}"))
}

/// Copies the values of column `feature` from its pages. False, with `values` in part written, where they are stored in another
/// way than ours, are not as many, or are not lists of `feature_dim` each.
fn copy_plain(bytes: &Bytes, feature_dim: usize, values: &mut [f32]) -> std::result::Result<bool, ParquetError> {
    let file = SerializedFileReader::new(bytes.clone())?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let of_feature = |i: &usize| schema.column(*i).path().parts().first().is_some_and(|name| name == "feature");
    let Some(column) = (0..schema.num_columns()).find(of_feature) else { return Ok(false) };
    let (n_values, mut room) = (values.len(), values);
    for group in 0..file.num_row_groups() {
        for page in file.get_row_group(group)?.get_column_page_reader(column)? {
            let Page::DataPage { buf, num_values, encoding: Encoding::PLAIN, .. } = page? else { return Ok(false) };
            let (first, n) = (n_values - room.len(), num_values as usize);
            let Some((repetition, stored)) = levels_and_values(&buf) else { return Ok(false) };
            let Some((to, rest)) = room.split_at_mut_checked(n) else { return Ok(false) };
            if stored.len() != size_of_val(to) || !are_lists_of(feature_dim, repetition, first..first + n) {
                return Ok(false);
            }
            for (to, from) in to.iter_mut().zip(stored.as_chunks().0) {
                *to = f32::from_le_bytes(*from);
            }
            room = rest;
        }
    }
    Ok(room.is_empty())
}

/// The repetition levels of a data page of version 1, and what is behind them and the definition levels, each led by its length
/// in bytes. Only if no list is empty and no value null are there as many values as levels.
fn levels_and_values(page: &[u8]) -> Option<(&[u8], &[u8])> {
    let split = |bytes| -> Option<(&[u8], &[u8])> {
        let (length, rest): (&[u8; 4], &[u8]) = <[u8]>::split_first_chunk(bytes)?;
        rest.split_at_checked(u32::from_le_bytes(*length) as usize)
    };
    let (repetition, rest) = split(page)?;
    Some((repetition, split(rest)?.1))
}

/// Whether the repetition levels of the values at `positions` of a column say that a list begins (level 0) at every
/// `feature_dim`-th, and goes on (level 1) at all others. As many values could be lists of other lengths.
///
/// The levels are Parquet's hybrid of runs and packed bits, one bit wide: a varint, of which the last bit says which of them
/// follows, and the others how many levels, or groups of eight.
fn are_lists_of(feature_dim: usize, mut levels: &[u8], positions: Range<usize>) -> bool {
    let mut at = positions.start;
    let mut expect = |level: bool, n: usize| {
        let n = n.min(positions.end - at);
        let in_list = at % feature_dim.max(1);
        at += n;
        match (level, n) {
            (_, 0) => true,
            (true, _) => in_list > 0 && n <= feature_dim - in_list,
            (false, _) => in_list == 0 && (n == 1 || feature_dim == 1),
        }
    };
    while let Some((head, rest)) = varint(levels) {
        let n = (head >> 1) as usize;
        let is_packed = head & 1 == 1;
        let Some((stored, rest)) = rest.split_at_checked(if is_packed { n } else { 1 }) else { return false };
        levels = rest;
        let is_sound = if is_packed {
            stored.iter().all(|&byte| match byte {
                0xff => expect(true, 8),
                _ => (0..8).all(|bit| expect(byte >> bit & 1 == 1, 1)),
            })
        } else {
            stored[0] <= 1 && expect(stored[0] == 1, n)
        };
        if !is_sound {
            return false;
        }
    }
    at == positions.end
}

/// A number in groups of seven bits, the lowest first, and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at(last + 1);
    Some((number.iter().rev().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f)), rest))
}
