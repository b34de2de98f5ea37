//! Rows of Parquet files for the eye: a picture by its size and mean colour, a vector by its length and first numbers.

use std::path::PathBuf;

use ::artifact::ParquetFile;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use serde_json::Value;
use stage::{count, printable};

use super::Sections;
use crate::layout::{Tint, clipped, size};

/// The longest cell, in columns; the rest of a text is seldom what one looks for.
const LONGEST: usize = 200;

/// What the facts of an artifact say about its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    /// Rows and columns of a stored picture.
    picture: Option<(usize, usize)>,
    classes: Vec<String>,
}

impl Context {
    pub(super) fn of(facts: &Value) -> Self {
        let side = |name: &str| facts[name].as_u64().map(|n| n as usize);
        let classes = facts["classes"].as_array().into_iter().flatten();
        Self {
            picture: side("height").zip(side("width")),
            classes: classes.filter_map(Value::as_str).map(str::to_string).collect(),
        }
    }
}

/// Name and type of every column.
pub(super) fn schema(schema: &Schema) -> Vec<(String, String)> {
    let column = |field: &arrow_schema::FieldRef| {
        let nullable = if field.is_nullable() { ", may be null" } else { "" };
        (field.name().clone(), format!("{}{nullable}", type_name(field.data_type())))
    };
    schema.fields().iter().map(column).collect()
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => "text".to_string(),
        DataType::FixedSizeBinary(n) => format!("{} bytes", count(u64::from(n.unsigned_abs()))),
        DataType::FixedSizeList(item, n) => {
            format!("{} × {}", count(u64::from(n.unsigned_abs())), type_name(item.data_type()))
        }
        DataType::List(item) | DataType::LargeList(item) => format!("list of {}", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type()))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

/// Shows the first rows of the files, as a table where it fits, else one column a line.
pub(super) fn first_rows(
    files: &[PathBuf],
    n_rows: usize,
    n_all: u64,
    context: &Context,
    shown: &mut Sections,
) -> anyhow::Result<Value> {
    let mut heading: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for file in files {
        if rows.len() >= n_rows {
            break;
        }
        let file = ParquetFile::open(file)?;
        let wanted: Vec<usize> = (0..file.rows().min(n_rows - rows.len())).collect();
        for batch in file.read_all(&wanted)? {
            heading = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
            rows.extend((0..batch.num_rows()).map(|row| cells(&batch, row, context)));
        }
    }
    let json = rows.iter().map(|row| {
        let cells = heading.iter().cloned().zip(row.iter().map(|cell| Value::from(cell.as_str())));
        Value::from(cells.collect::<serde_json::Map<_, _>>())
    });
    let json = json.collect();
    if rows.is_empty() {
        return Ok(json);
    }
    shown.heading(&format!("first {} of {} rows", count(rows.len() as u64), count(n_all)));
    if !shown.table(&heading, &rows) {
        for (r, row) in rows.iter().enumerate() {
            let gap = if r > 0 { "\n" } else { "" };
            let label = shown.screen.paint(Tint::Faint, &format!("row {r}"));
            shown.text += &format!("{gap}  {label}\n");
            let pairs: Vec<_> =
                heading.iter().zip(row).map(|(name, cell)| (printable(name), printable(cell))).collect();
            shown.text += &shown.screen.pairs(4, &pairs);
        }
    }
    Ok(json)
}

fn cells(batch: &RecordBatch, row: usize, context: &Context) -> Vec<String> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    columns.map(|(field, column)| clipped(&cell(field.name(), column.as_ref(), row, context), LONGEST)).collect()
}

fn cell(name: &str, column: &dyn Array, row: usize, context: &Context) -> String {
    if column.is_null(row) {
        return "null".to_string();
    }
    match column.data_type() {
        DataType::FixedSizeBinary(n) => {
            let bytes = column.as_fixed_size_binary().value(row);
            match context.picture {
                Some((height, width)) if height * width * 3 == n.unsigned_abs() as usize => {
                    picture(height, width, bytes)
                }
                _ => size(bytes.len() as u64),
            }
        }
        DataType::Binary => size(column.as_binary::<i32>().value(row).len() as u64),
        DataType::LargeBinary => size(column.as_binary::<i64>().value(row).len() as u64),
        DataType::Int32 if name == "label" || name == "predicted" => {
            let label = column.as_primitive::<Int32Type>().value(row);
            let class = usize::try_from(label).ok().and_then(|l| context.classes.get(l));
            class.map_or(label.to_string(), |class| format!("{label} {class}"))
        }
        DataType::Struct(fields) => {
            let array = column.as_struct();
            let cells = fields.iter().zip(array.columns());
            let cells = cells.map(|(f, c)| format!("{} {}", f.name(), cell(f.name(), c.as_ref(), row, context)));
            cells.collect::<Vec<_>>().join(", ")
        }
        DataType::FixedSizeList(..) => list(column.as_fixed_size_list().value(row).as_ref(), true, context),
        DataType::List(_) => list(column.as_list::<i32>().value(row).as_ref(), false, context),
        DataType::LargeList(_) => list(column.as_list::<i64>().value(row).as_ref(), false, context),
        _ => scalar(column, row),
    }
}

/// `32×32×3, mean (120, 118, 101)`: height, width, channels, and the mean of each.
fn picture(height: usize, width: usize, bytes: &[u8]) -> String {
    let mut sums = [0_u64; 3];
    for pixel in bytes.chunks_exact(3) {
        sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
    }
    let n = ((height * width) as u64).max(1);
    let [r, g, b] = sums.map(|sum| (sum + n / 2) / n);
    format!("{height}×{width}×3, mean ({r}, {g}, {b})")
}

/// How long, and the first items; of a vector of floats its Euclidean norm too.
fn list(items: &dyn Array, is_vector: bool, context: &Context) -> String {
    const MOST: usize = 4;
    let shown: Vec<_> = (0..items.len().min(MOST)).map(|i| cell("", items, i, context)).collect();
    let more = if items.len() > MOST { ", …" } else { "" };
    let norm = match floats(items) {
        Some(values) if is_vector => {
            let squares: f64 = values.iter().map(|v| v * v).sum();
            format!("norm {}, ", number(squares.sqrt()))
        }
        _ => String::new(),
    };
    let is_numeric = items.data_type().is_integer() || items.data_type().is_floating();
    let what = if is_numeric { "numbers" } else { "items" };
    format!("{} {what}, {norm}[{}{more}]", count(items.len() as u64), shown.join(", "))
}

fn floats(items: &dyn Array) -> Option<Vec<f64>> {
    Some(match items.data_type() {
        DataType::Float16 => items.as_primitive::<Float16Type>().values().iter().map(|v| v.to_f64()).collect(),
        DataType::Float32 => items.as_primitive::<Float32Type>().values().iter().map(|v| f64::from(*v)).collect(),
        DataType::Float64 => items.as_primitive::<Float64Type>().values().to_vec(),
        _ => return None,
    })
}

fn scalar(column: &dyn Array, row: usize) -> String {
    macro_rules! integer {
        ($kind:ty) => {
            column.as_primitive::<$kind>().value(row).to_string()
        };
    }
    match column.data_type() {
        DataType::Utf8 => in_one_line(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => in_one_line(column.as_string::<i64>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            floats(column.slice(row, 1).as_ref()).map_or(String::new(), |values| number(values[0]))
        }
        other => format!("({})", type_name(other)),
    }
}

/// The start of a text, enough for any cell, so that megabytes are not copied.
fn in_one_line(text: &str) -> String {
    let start: String = text.chars().take(LONGEST + 1).collect();
    printable(&start)
}

/// Four digits that count.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    match magnitude {
        0.0 => "0".to_string(),
        m if !(1e-3..1e5).contains(&m) => format!("{value:.3e}"),
        m => {
            let decimals = (3 - m.log10().floor() as i32).clamp(0, 6) as usize;
            format!("{value:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Int32Array, StringArray};
    use arrow_schema::Field;
    use serde_json::json;

    use super::*;

    fn context() -> Context {
        Context::of(&json!({ "height": 1, "width": 2, "classes": ["cat", "dog"] }))
    }

    #[test]
    fn pictures_are_shown_by_their_mean() {
        let column = FixedSizeBinaryArray::try_new(6, vec![10_u8, 20, 30, 20, 40, 61].into(), None).unwrap();
        assert_eq!(cell("pixels", &column, 0, &context()), "1×2×3, mean (15, 30, 46)");
        assert_eq!(cell("pixels", &column, 0, &Context::default()), "6 B");
    }

    #[test]
    fn vectors_are_shown_by_norm_and_first_numbers() {
        let item = Arc::new(Field::new("element", DataType::Float32, false));
        let values = Float32Array::from(vec![3.0, 4.0, 0.0, 0.0, 0.0]);
        let column = FixedSizeListArray::try_new(item, 5, Arc::new(values), None).unwrap();
        assert_eq!(cell("feature", &column, 0, &context()), "5 numbers, norm 5.000, [3.000, 4.000, 0, 0, …]");
    }

    #[test]
    fn labels_have_their_class_and_control_signs_are_not_obeyed() {
        let labels = Int32Array::from(vec![Some(1), None, Some(7)]);
        let shown: Vec<_> = (0..3).map(|row| cell("label", &labels, row, &context())).collect();
        assert_eq!(shown, ["1 dog", "null", "7"]);
        assert_eq!(cell("rank", &labels, 0, &context()), "1");
        let texts = StringArray::from(vec!["a\n\u{1b}[31mb"]);
        assert_eq!(cell("text", &texts, 0, &context()), "a\\n\\u{1b}[31mb");
    }

    #[test]
    fn numbers_have_four_digits() {
        let shown = [0.0, 1.5, -123.456, 0.012_34, 1e-7, 123_456.0].map(number);
        assert_eq!(shown, ["0", "1.500", "-123.5", "0.01234", "1.000e-7", "1.235e5"]);
    }
}
