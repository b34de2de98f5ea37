//! A Parquet file with a column of texts.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use artifact::{ParquetFile, join_rows};
use stage::{Exit, printable};

use crate::load::Refusal;
use crate::text::ids::Ids;
use crate::text::settings::Settings;
use crate::text::source::{Fields, Raw};

/// Encoded bytes of one reading.
const READ_BYTES: u64 = 4 << 20;

/// Rows of one reading: a reading begins with a search for its first row.
const READ_ROWS: std::ops::RangeInclusive<u64> = 16..=65_536;

/// An opened Parquet file.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    file: ParquetFile,
    rows_per_read: usize,
}

/// Rows that were read and perhaps not all used.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Option<(usize, usize, RecordBatch)>);

impl Table {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = ParquetFile::open(path)?;
        let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
        let row_bytes = (bytes / file.rows().max(1) as u64).max(file.fixed_row_bytes()).max(1);
        let rows_per_read = (READ_BYTES / row_bytes).clamp(*READ_ROWS.start(), *READ_ROWS.end()) as usize;
        Ok(Self { path: path.to_path_buf(), file, rows_per_read })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.file.rows()
    }

    /// Which columns text and id are.
    pub(crate) fn fields(&self, settings: &Settings) -> anyhow::Result<Fields> {
        let schema = self.file.schema();
        let found = || -> Vec<String> {
            schema.fields().iter().map(|f| printable(&format!("{} {}", f.name(), f.data_type()))).collect()
        };
        let pick = |names: &[String], option: &str, is_fit: fn(&DataType) -> bool, expected: &str| {
            let field = names.iter().find_map(|name| schema.field_with_name(name).ok()).ok_or_else(|| {
                Exit::BadData.error(format!(
                    "{}: expected a column {}, found {}; name it with {option}",
                    self.path.display(),
                    names.join(" or "),
                    found().join(", ")
                ))
            })?;
            if !is_fit(field.data_type()) {
                return Err(Exit::BadData.error(format!(
                    "{}: column `{}`: expected {expected}, found {}; name another with {option}",
                    self.path.display(),
                    field.name(),
                    field.data_type()
                )));
            }
            Ok(field.name().clone())
        };
        let text = pick(&settings.text_names, "--text-field", is_text, "text")?;
        let is_id = |t: &DataType| is_text(t) || t.is_integer();
        let id = settings
            .id_name
            .as_ref()
            .map(|name| pick(std::slice::from_ref(name), "--id-field", is_id, "text or whole numbers"));
        Ok(Fields { text, id: id.transpose()? })
    }

    /// Refuses a table whose columns are not those of the first one.
    pub(crate) fn check_like(&self, first: &Self) -> anyhow::Result<()> {
        let columns = |schema: SchemaRef| -> Vec<String> {
            schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect()
        };
        let (expected, found) = (columns(first.file.schema()), columns(self.file.schema()));
        if expected == found {
            return Ok(());
        }
        Err(Exit::BadData.error(format!(
            "{}: expected the columns of {}, {}, found {}; prepare the files apart",
            self.path.display(),
            first.path.display(),
            expected.join(", "),
            found.join(", ")
        )))
    }

    /// Takes all ids in.
    pub(crate) fn add_ids(&self, name: &str, into: &mut Ids) -> anyhow::Result<()> {
        let rows: Vec<_> = (0..self.n_rows()).collect();
        for batch in self.file.read(&[name], &rows)? {
            ids(batch.column(0)).into_iter().flatten().for_each(|id| into.add(id));
        }
        Ok(())
    }

    /// Rows `start..end` of file number `source`: ids and texts, and the other columns.
    pub(crate) fn read(
        &self,
        source: usize,
        rows: std::ops::Range<usize>,
        fields: &Fields,
        ahead: &mut Ahead,
    ) -> anyhow::Result<(Vec<Raw>, RecordBatch)> {
        let mut pieces = Vec::new();
        let mut next = rows.start;
        while next < rows.end {
            let batch = match &ahead.0 {
                Some((of, first, batch)) if *of == source && (*first..*first + batch.num_rows()).contains(&next) => {
                    let start = next - first;
                    batch.slice(start, (batch.num_rows() - start).min(rows.end - next))
                }
                _ => {
                    let wanted: Vec<_> = (next..self.n_rows().min(next + self.rows_per_read)).collect();
                    let batch = join_rows(&self.file.read_all(&wanted)?)?;
                    if batch.num_rows() != wanted.len() {
                        return Err(Exit::BadData.error(format!(
                            "{}: expected {} rows, found {}",
                            self.path.display(),
                            wanted.len(),
                            batch.num_rows()
                        )));
                    }
                    ahead.0 = Some((source, next, batch));
                    continue;
                }
            };
            next += batch.num_rows();
            pieces.push(batch);
        }
        let batch = join_rows(&pieces)?;
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| Exit::Bug.error(format!("column `{name}` went away")))
        };
        let texts = texts(column(&fields.text)?);
        let ids = match &fields.id {
            Some(name) => ids(column(name)?).into_iter().map(|id| Some(id.ok_or_else(no_id))).collect(),
            None => vec![None; batch.num_rows()],
        };
        let raw = ids.into_iter().zip(texts).map(|(id, text)| Raw::Cells { id, text });
        let is_other = |i: &usize| {
            let schema = batch.schema_ref();
            *schema.field(*i).name() != fields.text && Some(schema.field(*i).name()) != fields.id.as_ref()
        };
        let others: Vec<_> = (0..batch.num_columns()).filter(is_other).collect();
        Ok((raw.collect(), batch.project(&others).map_err(|e| Exit::Bug.wrap(e))?))
    }
}

fn no_id() -> Refusal {
    Refusal { reason: "no-id", detail: "the cell of the id is null or empty".into() }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn texts(column: &ArrayRef) -> Vec<Option<String>> {
    let owned = |cell: Option<&str>| cell.map(str::to_string);
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().map(owned).collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().map(owned).collect(),
        DataType::Utf8View => column.as_string_view().iter().map(owned).collect(),
        _ => vec![None; column.len()],
    }
}

fn ids(column: &ArrayRef) -> Vec<Option<String>> {
    fn numbers<T: ArrowPrimitiveType<Native: ToString>>(column: &PrimitiveArray<T>) -> Vec<Option<String>> {
        column.iter().map(|v| v.map(|v| v.to_string())).collect()
    }
    match column.data_type() {
        DataType::Int8 => numbers(column.as_primitive::<Int8Type>()),
        DataType::Int16 => numbers(column.as_primitive::<Int16Type>()),
        DataType::Int32 => numbers(column.as_primitive::<Int32Type>()),
        DataType::Int64 => numbers(column.as_primitive::<Int64Type>()),
        DataType::UInt8 => numbers(column.as_primitive::<UInt8Type>()),
        DataType::UInt16 => numbers(column.as_primitive::<UInt16Type>()),
        DataType::UInt32 => numbers(column.as_primitive::<UInt32Type>()),
        DataType::UInt64 => numbers(column.as_primitive::<UInt64Type>()),
        _ => texts(column).into_iter().map(|id| id.filter(|id| !id.is_empty())).collect(),
    }
}
