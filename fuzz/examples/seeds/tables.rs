//! Parquet files as other programs write them.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::pictures::small_png;
use crate::write_with;

pub(crate) fn tables() {
    let png = small_png();
    let cells = BinaryArray::from_iter([Some(&png[..]), None, Some(b"no picture")]);
    let paths = StringArray::from(vec![Some("a.png"), None, Some("c.png")]);
    let image = StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), Arc::new(cells.clone()) as ArrayRef),
        (Arc::new(Field::new("path", DataType::Utf8, true)), Arc::new(paths) as ArrayRef),
    ]);
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("x"), None]);
    lists.append_null();
    lists.append_value([Some("y")]);
    let names: DictionaryArray<arrow_array::types::Int32Type> = ["ant", "bee", "ant"].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("image", Arc::new(image)),
        ("label", Arc::new(Int64Array::from(vec![Some(0), Some(1), None]))),
        ("tags", Arc::new(lists.finish())),
        ("name", Arc::new(names)),
        ("score", Arc::new(Float64Array::from(vec![0.5, -1.0, f64::NAN]))),
    ];
    let nested = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .expect("columns are a batch");
    let mut flat = BinaryBuilder::new();
    (0..40).for_each(|i| if i % 7 == 0 { flat.append_null() } else { flat.append_value(&png) });
    let flat = RecordBatch::try_from_iter([
        ("img", Arc::new(flat.finish()) as ArrayRef),
        ("fine_label", Arc::new(Int32Array::from_iter_values((0..40).map(|i| i / 10)))),
        ("text", Arc::new(LargeStringArray::from_iter_values((0..40).map(|i| format!("row {i}"))))),
    ])
    .expect("columns are a batch");
    assert_eq!(nested.num_rows(), nested.column(0).len());
    let properties = || WriterProperties::builder().set_max_row_group_row_count(Some(16));
    let kinds = [
        ("plain", properties().set_compression(Compression::UNCOMPRESSED).set_dictionary_enabled(false)),
        ("snappy", properties().set_compression(Compression::SNAPPY)),
        ("gzip", properties().set_compression(Compression::GZIP(Default::default()))),
        ("lz4", properties().set_compression(Compression::LZ4_RAW)),
        ("pages", properties().set_writer_version(WriterVersion::PARQUET_2_0).set_data_page_row_count_limit(5)),
    ];
    for (i, (name, kind)) in kinds.into_iter().enumerate() {
        write_with("table", &format!("flat-{name}"), i as u8, &parquet_of(&flat, kind.clone().build()));
        write_with("table", &format!("nested-{name}"), i as u8, &parquet_of(&nested, kind.build()));
    }
    write_with("table", "deltas", 0, &deltas());
}

/// Whole numbers as differences, and texts as prefixes.
fn deltas() -> Vec<u8> {
    let properties = WriterProperties::builder().set_dictionary_enabled(false);
    let properties = properties.set_column_encoding("label".into(), Encoding::DELTA_BINARY_PACKED);
    let properties = properties.set_column_encoding("n".into(), Encoding::BYTE_STREAM_SPLIT);
    let properties = properties.set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY);
    let batch = RecordBatch::try_from_iter([
        ("label", Arc::new(Int64Array::from_iter_values((0..40).map(|i| i * i))) as ArrayRef),
        ("n", Arc::new(Int32Array::from_iter((0..40).map(|i| (i % 3 > 0).then_some(-i))))),
        ("text", Arc::new(StringArray::from_iter_values((0..40).map(|i| format!("row {i}"))))),
    ]);
    parquet_of(&batch.expect("columns are a batch"), properties.build())
}

pub(crate) fn parquet_of(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("the schema is sound");
    writer.write(batch).expect("a batch can be written");
    writer.into_inner().expect("a file can be ended")
}
