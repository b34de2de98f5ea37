//! Parquet as Hugging Face datasets writes it: pictures in struct<bytes, path> or plain binary,
//! labels as numbers with ClassLabel names in the schema's metadata, or as text.

use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::{DataType, Schema};
use artifact::ParquetFile;
use serde_json::{Value, json};
use stage::{Exit, printable};

use super::files::{SourceFile, extension, find, identity, materials};
use super::{Index, Names, Place, Row, Storage, set_labels};
use crate::args::InputPath;
use crate::classes::{Label, RawLabel, by_name_or_number, with_names};
use crate::settings::Columns;

/// Encoded bytes of one reading. Two are in memory: one being decoded, one being read.
const READ_BYTES: u64 = 32 << 20;

/// An opened Parquet file and where its pictures are.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    /// Rows that are read at once, so that large pictures do not fill the memory.
    pub(crate) rows_per_read: usize,
    file: ParquetFile,
    image: String,
}

/// Reads footers and label columns.
pub(super) fn index(inputs: &[InputPath], columns: &Columns) -> anyhow::Result<Index> {
    let files = find(inputs, |name| extension(name.as_ref()) == "parquet")?;
    let (mut tables, mut raw, mut rows, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Names::default());
    let mut names: Option<(Vec<String>, &SourceFile)> = None;
    for source in &files {
        let (table, label) = open(source, columns)?;
        if let Some(found) = label.as_deref().and_then(|l| class_names(&table.file.schema(), l)) {
            match &names {
                Some((first, file)) if *first != found => {
                    return Err(Exit::BadData.error(format!(
                        "class names: expected those of {}, {first:?}, found {found:?} in {}; prepare the files apart",
                        file.path.display(),
                        source.path.display()
                    )));
                }
                _ => names = Some((found, source)),
            }
        }
        let n_rows = table.file.rows();
        match &label {
            Some(label) => raw.extend(table.labels(label)?),
            None => raw.extend((0..n_rows).map(|_| RawLabel::Missing)),
        }
        for row in 0..n_rows as u32 {
            let place = Place::Row { file: tables.len() as u32, row };
            rows.push(Row { id: ids.len() as u32, label: Label::Unlabelled, split: source.split, place });
            ids.push(format_args!("{}/{row:07}", source.name));
        }
        tables.push(table);
    }
    let (classes, labels) = match names {
        Some((names, _)) => {
            let labels = with_names(raw, &names);
            (names, labels)
        }
        None => by_name_or_number(&raw),
    };
    set_labels(&mut rows, labels);
    let identity = json!({ "files": identity(&files), "image": columns.image, "label": columns.label });
    Ok(Index {
        rows,
        ids: ids.into(),
        classes,
        storage: Storage::Parquet(tables),
        materials: materials(inputs, &files),
        is_sorted_by_class: false,
        identity,
    })
}

impl Table {
    /// The encoded pictures of these rows, ascending; nothing where the cell is null.
    pub(crate) fn pictures(&self, rows: &[usize]) -> anyhow::Result<Vec<Option<Vec<u8>>>> {
        let mut pictures = Vec::with_capacity(rows.len());
        for batch in self.file.read(&[&self.image], rows)? {
            cells(batch.column(0), &mut pictures);
        }
        if pictures.len() != rows.len() {
            return Err(Exit::BadData.error(format!(
                "{}: expected {} rows, found {}",
                self.path.display(),
                rows.len(),
                pictures.len()
            )));
        }
        Ok(pictures)
    }

    fn labels(&self, column: &str) -> anyhow::Result<Vec<RawLabel>> {
        let rows: Vec<_> = (0..self.file.rows()).collect();
        let mut labels = Vec::with_capacity(rows.len());
        for batch in self.file.read(&[column], &rows)? {
            let cells = batch.column(0);
            labels.extend(raw_labels(cells).ok_or_else(|| {
                Exit::BadData.error(format!(
                    "{}: column `{column}`: expected whole numbers or text, found {}; name another with --label-column",
                    self.path.display(),
                    cells.data_type()
                ))
            })?);
        }
        Ok(labels)
    }
}

fn open(source: &SourceFile, columns: &Columns) -> anyhow::Result<(Table, Option<String>)> {
    let path = source.path.clone();
    let file = ParquetFile::open(&path)?;
    let schema = file.schema();
    let pick = |wanted: &[String]| wanted.iter().find(|name| schema.column_with_name(name).is_some()).cloned();
    let found = || {
        let columns = schema.fields().iter().map(|f| format!("{} {}", f.name(), brief(f.data_type())));
        printable(&columns.collect::<Vec<_>>().join(", "))
    };
    let missing = |wanted: &[String], option| {
        Exit::BadData.error(format!(
            "{}: expected a column {}, found {}; name it with {option}",
            path.display(),
            wanted.join(" or "),
            found()
        ))
    };
    let image = pick(&columns.image).ok_or_else(|| missing(&columns.image, "--image-column"))?;
    let data_type = schema.field_with_name(&image).map_err(|e| Exit::BadData.wrap(e))?.data_type();
    if !holds_pictures(data_type) {
        return Err(Exit::BadData.error(format!(
            "{}: column `{image}`: expected binary or struct<bytes: binary, path>, found {}; name another with --image-column",
            path.display(), brief(data_type)
        )));
    }
    let label = pick(&columns.label);
    if label.is_none() && columns.label_is_named {
        return Err(missing(&columns.label, "--label-column"));
    }
    if label.is_none() {
        tracing::warn!(
            "{}: no column {}, so its pictures have no labels; --label-column names one of: {}",
            path.display(),
            columns.label.join(" or "),
            found()
        );
    }
    let file_bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
    let row_bytes = (file_bytes / file.rows().max(1) as u64).max(1);
    let rows_per_read = (READ_BYTES / row_bytes).clamp(8, 2048) as usize;
    Ok((Table { path, rows_per_read, file, image }, label))
}

fn brief(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}: {}", f.name(), brief(f.data_type()))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn holds_pictures(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Struct(fields) => fields
            .find("bytes")
            .is_some_and(|(_, f)| !matches!(f.data_type(), DataType::Struct(_)) && holds_pictures(f.data_type())),
        _ => false,
    }
}

/// The encoded pictures of a column that [`holds_pictures`].
fn cells(column: &ArrayRef, into: &mut Vec<Option<Vec<u8>>>) {
    match column.data_type() {
        DataType::Binary => into.extend(column.as_binary::<i32>().iter().map(|c| c.map(<[u8]>::to_vec))),
        DataType::LargeBinary => into.extend(column.as_binary::<i64>().iter().map(|c| c.map(<[u8]>::to_vec))),
        DataType::BinaryView => into.extend(column.as_binary_view().iter().map(|c| c.map(<[u8]>::to_vec))),
        DataType::Struct(_) => {
            let start = into.len();
            if let Some(bytes) = column.as_struct().column_by_name("bytes") {
                cells(bytes, into);
            }
            // A null struct may stand over bytes that mean nothing.
            for (row, cell) in into[start..].iter_mut().enumerate() {
                if column.is_null(row) {
                    *cell = None;
                }
            }
        }
        _ => {}
    }
}

fn raw_labels(column: &ArrayRef) -> Option<Vec<RawLabel>> {
    fn numbers<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>) -> Vec<RawLabel>
    where
        i64: TryFrom<T::Native>,
    {
        // A number beyond i64 is out of every range, as −2 is.
        let number = |v| i64::try_from(v).unwrap_or(-2);
        column.iter().map(|v| v.map_or(RawLabel::Missing, |v| RawLabel::Number(number(v)))).collect()
    }
    fn texts<'a>(column: impl Iterator<Item = Option<&'a str>>) -> Vec<RawLabel> {
        column.map(|v| v.map_or(RawLabel::Missing, RawLabel::from_text)).collect()
    }
    Some(match column.data_type() {
        DataType::Int8 => numbers(column.as_primitive::<Int8Type>()),
        DataType::Int16 => numbers(column.as_primitive::<Int16Type>()),
        DataType::Int32 => numbers(column.as_primitive::<Int32Type>()),
        DataType::Int64 => numbers(column.as_primitive::<Int64Type>()),
        DataType::UInt8 => numbers(column.as_primitive::<UInt8Type>()),
        DataType::UInt16 => numbers(column.as_primitive::<UInt16Type>()),
        DataType::UInt32 => numbers(column.as_primitive::<UInt32Type>()),
        DataType::UInt64 => numbers(column.as_primitive::<UInt64Type>()),
        DataType::Utf8 => texts(column.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(column.as_string::<i64>().iter()),
        DataType::Utf8View => texts(column.as_string_view().iter()),
        DataType::Null => vec![RawLabel::Missing; column.len()],
        _ => return None,
    })
}

/// The ClassLabel names that Hugging Face datasets left in the schema's metadata.
fn class_names(schema: &Schema, label: &str) -> Option<Vec<String>> {
    let features: Value = serde_json::from_str(schema.metadata().get("huggingface")?).ok()?;
    let names = features.pointer("/info/features")?.get(label)?.get("names")?.as_array()?;
    names.iter().map(|n| n.as_str().map(str::to_string)).collect()
}
