//! One Parquet file, ours or anybody's.

use std::path::Path;

use ::artifact::ParquetFile;
use serde_json::{Value, json};
use stage::{Exit, count};

use super::Sections;
use super::artifact::columns;
use super::rows::{Context, first_rows, schema};
use crate::layout::size;

pub(super) fn describe(path: &Path, n_rows: usize, shown: &mut Sections) -> anyhow::Result<Value> {
    let file = ParquetFile::open(path)?;
    let bytes = std::fs::metadata(path).map_err(|e| Exit::Io.wrap(e))?.len();
    shown.title(&format!("{}: Parquet", path.display()));
    let schema_of = file.schema();
    let mut first = vec![("rows".to_string(), count(file.rows() as u64)), ("size".to_string(), size(bytes))];
    // What the writer left there; Arrow's own schema, which is long and says the columns again, is not in it.
    let mut left: Vec<_> = schema_of.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    left.sort();
    first.extend(left.iter().map(|(key, value)| (key.clone(), crate::layout::clipped(value, 200))));
    shown.pairs("", &first);
    shown.pairs("columns", &schema(&schema_of));
    let rows = first_rows(&[path.to_path_buf()], n_rows, file.rows() as u64, &Context::default(), shown)?;
    Ok(json!({
        "path": path.display().to_string(),
        "what": "parquet",
        "rows": file.rows(),
        "bytes": bytes,
        "metadata": left.into_iter().map(|(k, v)| (k, Value::from(v))).collect::<serde_json::Map<_, _>>(),
        "columns": columns(&file),
        "first_rows": rows,
    }))
}
