//! Manifests and parts that no program of ours writes; each was found by a fuzz target (see `fuzz/`).

#![allow(clippy::unwrap_used)] // In a test that is how it fails.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, FixedSizeListArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use artifact::{
    Artifact, ExamplePart, ExamplesFacts, FORMAT_VERSION, FeaturePart, FeatureType, FeaturesFacts, Manifest,
    ParquetFile, ResizePolicy, Split, Vectors, decode_parquet, encode_parquet, feature_values,
};
use bytes::Bytes;
use ndarray::Array2;
use parquet::arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions, encode_arrow_schema};
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use serde_json::json;

fn examples(height: u32, width: u32) -> ExamplesFacts {
    let classes = vec!["ant".to_string()];
    ExamplesFacts { height, width, classes, resize: "none".into(), resize_policy: ResizePolicy::AsTheyAre }
}

fn features(feature_dim: usize) -> FeaturesFacts {
    FeaturesFacts {
        feature_dim,
        dtype: FeatureType::Float32,
        classes: vec!["ant".to_string()],
        backbone: "b.onnx".into(),
        backbone_digest: String::new(),
        tensor: "t".into(),
        preprocessing: "none".into(),
        provider: "cpu".into(),
        height: 2,
        width: 2,
        resize_policy: ResizePolicy::AsTheyAre,
    }
}

#[test]
fn rows_beyond_64_bits_do_not_overflow() {
    let folder = tempfile::tempdir().unwrap();
    let part = json!({"file": "a", "split": "train", "rows": u64::MAX, "bytes": 1, "blake3": "00"});
    let manifest: Manifest = serde_json::from_value(json!({
        "format_version": FORMAT_VERSION, "kind": "examples", "stage": "data-prep", "fingerprint": "f", "inputs": [],
        "config": {}, "facts": {}, "parts": [part, part], "files": [],
    }))
    .unwrap();
    fs::write(folder.path().join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    let found = Artifact::find(folder.path()).unwrap().unwrap();
    assert_eq!((found.manifest().rows(), found.manifest().rows_of(Split::Train)), (u64::MAX, u64::MAX));
}

#[test]
fn a_picture_of_2_to_the_32_bytes_and_some_is_not_one_of_some() {
    let rows = ExamplePart { ids: vec!["a".into()], labels: vec![None], pixels: vec![0; 12] };
    let batch = rows.clone().to_batch(&examples(2, 2)).unwrap();
    // 4 · 1073741825 · 3 is 12 in 32 bits.
    let error = ExamplePart::from_batches(&[batch], &examples(4, 1_073_741_825), Path::new("p")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "p is malformed: pictures of 4×1073741825 (height × width): expected less than 2 GiB each"
    );
    assert!(rows.to_batch(&examples(u32::MAX, u32::MAX)).is_err());
}

/// One row of four numbers.
fn part_of_4() -> Vec<u8> {
    let vectors = Vectors::Float32(Array2::zeros((1, 4)));
    let batch = FeaturePart { ids: vec!["a".into()], labels: vec![None], vectors }.to_batch().unwrap();
    encode_parquet(&batch, &[]).unwrap()
}

#[test]
fn features_of_another_length_or_number_are_refused() {
    let says = |feature_dim, n_values| {
        let mut values = vec![0.0; n_values];
        feature_values(&mut part_of_4(), &features(feature_dim), Path::new("p"), &mut values).map(|keys| keys.ids.len())
    };
    assert_eq!(says(4, 4).unwrap(), 1);
    // Two rows of two numbers are four numbers too.
    let error = says(2, 4).unwrap_err().to_string();
    assert!(error.contains("column `feature`: expected FixedSizeList(2 x"), "{error}");
    for n_values in [0, 8] {
        let error = says(4, n_values).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "p is malformed: rows: expected {}, found {}",
                n_values / 4,
                if n_values == 0 { "more" } else { "1" }
            )
        );
    }
}

/// A part of someone else's: its schema says that all lists have the length of the first, and its pages what `lengths` says.
fn part_of_lists(lengths: &[usize]) -> Vec<u8> {
    let item = Arc::new(Field::new("element", DataType::Float32, false));
    let mut lists = ListBuilder::new(Float32Builder::new()).with_field(item.clone());
    let mut n_values = 0;
    for &length in lengths {
        lists.append_value((n_values..n_values + length).map(|i| Some(i as f32)));
        n_values += length;
    }
    let schema = |lists: DataType| {
        Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("label", DataType::Int32, true),
            Field::new("feature", lists, false),
        ])
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..lengths.len()).map(|i| i.to_string()))),
        Arc::new(Int32Array::new_null(lengths.len())),
        Arc::new(lists.finish()),
    ];
    let written = Arc::new(schema(DataType::List(item.clone())));
    let said = encode_arrow_schema(&schema(DataType::FixedSizeList(item, lengths[0] as i32)));
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(vec![KeyValue::new("ARROW:schema".to_string(), said)]));
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties.build());
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), written.clone(), options).unwrap();
    writer.write(&RecordBatch::try_new(written, columns).unwrap()).unwrap();
    writer.into_inner().unwrap()
}

/// Found by the fuzz target `part`.
#[test]
fn nulls_of_gigabytes_each_are_refused_by_the_footer() {
    let mut lists = ListBuilder::new(Float32Builder::new());
    lists.append_null();
    let batch = RecordBatch::try_from_iter([("feature", Arc::new(lists.finish()) as ArrayRef)]).unwrap();
    let huge = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, true)), i32::MAX);
    let said = encode_arrow_schema(&Schema::new(vec![Field::new("feature", huge, true)]));
    let key = KeyValue::new("ARROW:schema".to_string(), said);
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![key])).build();
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    let file = writer.into_inner().unwrap();

    let expected = "column `feature` would take 1 × 8589934588 bytes of memory";
    let error = decode_parquet(file.clone(), Path::new("p")).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    fs::write(&path, file).unwrap();
    let error = ParquetFile::open(&path).unwrap().read_all(&[0]).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

/// A data set in which few rows have an embedding, or none: sound, and small.
#[test]
fn nulls_of_kilobytes_each_are_read() {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let embedding: ArrayRef = Arc::new(FixedSizeListArray::new_null(item, 1536, 20_000));
    let batch = RecordBatch::try_from_iter([("embedding", embedding)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.parquet");
    fs::write(&path, encode_parquet(&batch, &[]).unwrap()).unwrap();
    let file = ParquetFile::open(&path).unwrap();
    assert_eq!((file.rows(), file.fixed_row_bytes()), (20_000, 4 * 1536));
    // As a part of prompts too, which keep such columns.
    let batches = decode_parquet(fs::read(&path).unwrap(), &path).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
    let rows: usize = file.read_all(&[0, 7, 19_999]).unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 3);
}

#[test]
fn lists_of_other_lengths_are_not_taken_for_features() {
    let says = |lengths: &[usize]| {
        let mut values = vec![0.0; lengths.iter().sum()];
        feature_values(&mut part_of_lists(lengths), &features(lengths[0]), Path::new("p"), &mut values)
            .map(|keys| (keys.ids.len(), values))
    };
    let counted = |n| (0..n).map(|i| i as f32).collect::<Vec<_>>();
    for lengths in [[3; 3].as_slice(), &[1; 100], &[20; 5], &[512; 70]] {
        assert_eq!(says(lengths).unwrap(), (lengths.len(), counted(lengths.iter().sum())), "{lengths:?}");
    }
    for lengths in [[3, 2, 4].as_slice(), &[1, 1, 2, 0], &[20, 21, 19], &[512, 511, 513], &[8, 16, 0]] {
        let error = says(lengths).unwrap_err().to_string();
        assert!(error.contains("p is malformed"), "{error}");
    }
}

#[test]
fn a_feature_of_2_to_the_32_numbers_and_some_is_not_one_of_some() {
    let error = feature_values(&mut part_of_4(), &features((1 << 32) + 4), Path::new("p"), &mut [0.0; 4]);
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "p is malformed: features of 4294967300 numbers: expected fewer than 2³¹");
}

/// A file of three rows whose footer says of each of its `n_groups` row groups that it has `rows`, and its only column
/// `values`.
fn parquet_that_claims(rows: i64, values: i64, n_groups: usize) -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let file = encode_parquet(&RecordBatch::try_from_iter([("label", column)]).unwrap(), &[]).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file.clone())).unwrap();
    let group = metadata.row_group(0).clone();
    let column = group.column(0).clone().into_builder().set_num_values(values).build().unwrap();
    let group = group.into_builder().set_num_rows(rows).set_column_metadata(vec![column]).build().unwrap();
    let metadata = metadata.into_builder().set_row_groups(vec![group; n_groups]).build();
    let mut changed = file;
    ParquetMetaDataWriter::new(&mut changed, &metadata).finish().unwrap();
    changed
}

#[test]
fn a_footer_that_claims_other_rows_than_its_columns_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for rows in [2, 4, 1 << 40, i64::MAX, -1] {
        fs::write(&path, parquet_that_claims(rows, 3, 1)).unwrap();
        let error = ParquetFile::open(&path).unwrap_err().to_string();
        let expected = format!("row group 0: its footer says {rows} rows, and 3 values of column `label`");
        assert!(error.contains(&expected), "{error}");
    }
    fs::write(&path, parquet_that_claims(3, 3, 2)).unwrap();
    assert_eq!(ParquetFile::open(&path).unwrap().rows(), 6);
}

#[test]
fn a_footer_that_claims_more_rows_than_fit_into_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for (rows, n_groups) in [(1 << 40, 1), (1 << 31, 3), (-1, 1)] {
        fs::write(&path, parquet_that_claims(rows, rows, n_groups)).unwrap();
        let error = ParquetFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("fewer than 0 rows, or all have more than 2³²"), "{error}");
    }
}
