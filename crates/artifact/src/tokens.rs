//! Token ids as Arrow stores them: list<int32>, one list a row. Rust holds them as `u32`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};

use crate::examples::column;
use crate::{Error, Result};

/// list<`item`>, neither list nor item null.
pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(element(item)))
}

pub(crate) fn element(item: DataType) -> Field {
    Field::new("element", item, false)
}

/// The column of `rows`.
pub(crate) fn to_column(rows: &[Vec<u32>]) -> Result<ArrayRef> {
    let mut builder = ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32));
    for row in rows {
        for id in row {
            let id = i32::try_from(*id).map_err(|_| Error::Bug(format!("token id {id} does not fit int32")))?;
            builder.values().append_value(id);
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

/// Appends the rows of the column `name`.
pub(crate) fn read(batch: &RecordBatch, name: &str, path: &Path, into: &mut Vec<Vec<u32>>) -> Result<()> {
    let lists = column(batch, name, &list_of(DataType::Int32), path)?.as_list::<i32>();
    for row in 0..lists.len() {
        let ids = lists.value(row);
        let ids = ids.as_primitive::<Int32Type>().values().iter();
        let ids = ids.map(|id| {
            u32::try_from(*id).map_err(|_| {
                let reason = format!("column `{name}`: expected ids from 0, found {id} in row {}", into.len());
                Error::malformed(path, reason)
            })
        });
        let ids = ids.collect::<Result<_>>()?;
        into.push(ids);
    }
    Ok(())
}
