//! Every kind of source gives the right ids, labels, splits and pixels.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Schema};
use artifact::Split;

use crate::program::{Dir, is_png, png};

#[test]
fn folder_of_classes_is_sorted_and_drawn_into_splits() {
    let dir = Dir::new();
    for n in 0..40 {
        dir.file(&format!("data/{}/{n:02}.png", if n % 2 == 0 { "dog" } else { "cat/deep" }), png(n, 4, 6));
    }
    dir.file("data/README.txt", "not a picture");
    dir.file("data/.hidden.png", "not a picture either");
    let report = dir.ok(&["--input", "data"]);
    assert_eq!(
        (report["rows"].as_u64(), report["height"].as_u64(), report["width"].as_u64()),
        (Some(40), Some(4), Some(6))
    );
    assert_eq!(dir.facts().classes, ["cat", "dog"]);
    let rows = dir.rows();
    for row in &rows {
        let n: u8 = row.id[row.id.len() - 6..row.id.len() - 4].parse().unwrap();
        assert_eq!(row.label, Some(1 - i32::from(n % 2)), "{}", row.id);
        assert!(is_png(n, &row.pixels), "{}", row.id);
    }
    // More pictures move none of those that were there.
    for n in 40..80 {
        dir.file(&format!("data/dog/{n:02}.png"), png(n, 4, 6));
    }
    dir.ok(&["--input", "data"]);
    let now: HashMap<_, _> = dir.rows().into_iter().map(|r| (r.id, r.split)).collect();
    assert_eq!(now.len(), 80);
    assert!(rows.iter().all(|r| now[&r.id] == r.split));
    assert!(Split::ALL.iter().all(|s| now.values().any(|split| split == s)), "all splits were drawn");
}

#[test]
fn folder_of_splits_keeps_them_and_so_does_a_prefix() {
    let dir = Dir::new();
    for (n, name) in ["train/a/0", "train/b/0", "val/a/0", "test/b/0"].iter().enumerate() {
        dir.file(&format!("data/{name}.png"), png(n as u8, 2, 2));
    }
    dir.ok(&["--input", "data"]);
    let found: Vec<_> = dir.rows().into_iter().map(|r| (r.id, r.split, r.label)).collect();
    let expected = [
        ("train/a/0.png".into(), Split::Train, Some(0)),
        ("train/b/0.png".into(), Split::Train, Some(1)),
        ("val/a/0.png".into(), Split::Validation, Some(0)),
        ("test/b/0.png".into(), Split::Test, Some(1)),
    ];
    assert_eq!(found, expected);
    dir.ok(&["--input", "train=data/train", "--input", "test=data/test"]);
    assert_eq!(dir.ids(), ["train/a/0.png", "train/b/0.png", "test/b/0.png"]);
}

#[cfg(unix)]
#[test]
fn folder_links_are_followed_and_loops_are_harmless() {
    let dir = Dir::new();
    dir.file("elsewhere/0.png", png(0, 2, 2));
    dir.file("data/b/0.png", png(1, 2, 2));
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("data/a")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("data"), dir.path().join("data/b/loop")).unwrap();
    dir.ok(&["--input", "data", "--split", "train=1"]);
    assert_eq!(dir.ids(), ["a/0.png", "b/0.png"]);
}

/// `img` struct<bytes, path> and `label`, as Hugging Face writes it. The picture of row `i` is `png(i)`.
pub(crate) fn hugging_face(labels: &[Option<i64>], picture: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    let bytes: Vec<_> = (0..labels.len()).map(|i| picture(i as u8)).collect();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
    let path: ArrayRef = Arc::new(StringArray::from_iter_values(labels.iter().map(|_| "dog/wrong.png")));
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
    let img = StructArray::from(vec![(field("bytes", DataType::Binary), bytes), (field("path", DataType::Utf8), path)]);
    let label: ArrayRef = Arc::new(Int64Array::from(labels.to_vec()));
    let names = r#"{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}"#;
    let schema = Schema::new(vec![
        Field::new("img", arrow_array::Array::data_type(&img).clone(), true),
        Field::new("label", DataType::Int64, true),
    ])
    .with_metadata([("huggingface".to_string(), names.to_string())]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(img), label]).unwrap();
    artifact::encode_parquet(&batch, &[]).unwrap()
}

#[test]
fn parquet_has_class_names_and_splits_by_file_name() {
    let dir = Dir::new();
    dir.file("data/train-00000-of-00001.parquet", hugging_face(&[Some(0), Some(1), Some(1)], |n| png(n, 3, 3)));
    dir.file("data/test-00000-of-00001.parquet", hugging_face(&[Some(1)], |n| png(n + 100, 3, 3)));
    dir.ok(&["--input", "data"]);
    assert_eq!(dir.facts().classes, ["cat", "dog"]);
    let rows = dir.rows();
    assert_eq!(rows[0].id, "train-00000-of-00001/0000000");
    assert_eq!(rows.iter().map(|r| r.label).collect::<Vec<_>>(), [Some(0), Some(1), Some(1), Some(1)]);
    assert!(rows[..3].iter().enumerate().all(|(n, r)| is_png(n as u8, &r.pixels)));
    assert!(is_png(100, &rows[3].pixels) && rows[3].split == Split::Test);
}

#[test]
fn parquet_rows_of_drawn_splits_keep_their_pixels() {
    let dir = Dir::new();
    let labels: Vec<_> = (0..200).map(|n| Some(n % 2)).collect();
    dir.file("all.parquet", hugging_face(&labels, |n| png(n, 2, 2)));
    dir.ok(&["--input", "all.parquet", "--part-rows", "7"]);
    let rows = dir.rows();
    assert_eq!(rows.len(), 200);
    for row in rows {
        let n: u8 = row.id.rsplit('/').next().unwrap().parse().unwrap();
        assert!(is_png(n, &row.pixels) && row.label == Some(i32::from(n % 2)), "{}", row.id);
    }
}

#[test]
fn parquet_rows_of_a_small_train_split_keep_the_order_of_the_file() {
    let dir = Dir::new();
    let labels: Vec<_> = (0..100).map(|n| Some(n % 2)).collect();
    dir.file("all.parquet", hugging_face(&labels, |n| png(n, 2, 2)));
    // The first row is of another split than the second.
    dir.ok(&["--input", "all.parquet", "--take", "train=10,validation=1,test=4"]);
    let rows = dir.rows();
    assert_eq!(rows.len(), 15);
    assert!(rows.iter().all(|r| is_png(r.id.rsplit('/').next().unwrap().parse().unwrap(), &r.pixels)));
}

#[test]
fn parquet_of_plain_binary_and_text_labels_by_named_columns() {
    let dir = Dir::new();
    let picture: ArrayRef = Arc::new(BinaryArray::from_iter_values([png(1, 2, 2), png(2, 2, 2)]));
    let kind: ArrayRef = Arc::new(StringArray::from(vec!["zebra", "ant"]));
    let batch = RecordBatch::try_from_iter([("picture", picture), ("kind", kind)]).unwrap();
    dir.file("train.parquet", artifact::encode_parquet(&batch, &[]).unwrap());
    let message = dir.fails(65, &["--input", "train.parquet"]);
    assert!(message.contains("image or img") && message.contains("picture Binary, kind Utf8"), "{message}");
    dir.ok(&["--input", "train.parquet", "--image-column", "picture", "--label-column", "kind"]);
    assert_eq!(dir.facts().classes, ["ant", "zebra"]);
    assert_eq!(dir.rows()[0].label, Some(1));
}

#[test]
fn cifar_batches_are_planar() {
    let dir = Dir::new();
    let record = |labels: &[u8], n: u8| [labels, &[n; 1024], &[n + 1; 1024], &[n + 2; 1024]].concat();
    dir.file("ten/data_batch_1.bin", [record(&[3], 10), record(&[9], 20)].concat());
    dir.file("ten/test_batch.bin", record(&[0], 30));
    dir.ok(&["--input", "ten"]);
    let rows = dir.rows();
    assert_eq!(rows[1].id, "data_batch_1/0000001");
    assert_eq!(
        (rows[1].label, rows[1].split, &rows[1].pixels[..6]),
        (Some(9), Split::Train, &[20, 21, 22, 20, 21, 22][..])
    );
    assert_eq!((rows[2].label, rows[2].split), (Some(0), Split::Test));
    assert_eq!(dir.facts().classes[9], "truck");

    let dir = Dir::new();
    dir.file("train.bin", [record(&[4, 99], 10), record(&[4, 0], 20)].concat());
    dir.ok(&["--input", "train.bin"]);
    assert_eq!(dir.facts().classes[dir.rows()[0].label.unwrap() as usize], "worm");
    assert_eq!(dir.rows()[0].pixels[..3], [10, 11, 12]);
    dir.file("train.bin", [record(&[4, 99], 10), vec![1; 5]].concat());
    let output = dir.run(&["--input", "train.bin"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).contains("5 too many"));
}

#[test]
fn listings_in_csv_and_json_lines_are_alike() {
    let csv = "path,label,split\npics/0.png,10,train\npics/1.png,9,test\n../outside.png,9,train\n";
    let json = "{\"path\": \"pics/0.png\", \"label\": 10, \"split\": \"train\"}\n{\"path\": \"pics/1.png\", \"label\": 9, \"split\": \"test\"}\n\n{\"path\": \"../outside.png\", \"label\": 9, \"split\": \"train\"}\n";
    let mut found = Vec::new();
    for (name, text) in [("l/list.csv", csv), ("l/list.jsonl", json)] {
        let dir = Dir::new();
        dir.file("l/pics/0.png", png(0, 2, 2));
        dir.file("l/pics/1.png", png(1, 2, 2));
        dir.file("outside.png", png(2, 2, 2));
        dir.file(name, text);
        dir.ok(&["--input", name]);
        assert_eq!(dir.facts().classes, ["9", "10"]);
        found.push(dir.rows());
    }
    assert_eq!(found[0], found[1]);
    let ids: Vec<_> = found[0].iter().map(|r| (r.id.as_str(), r.label)).collect();
    assert_eq!(ids, [("pics/0.png", Some(1)), ("../outside.png", Some(0)), ("pics/1.png", Some(0))]);
    assert!(is_png(2, &found[0][1].pixels));
}

fn tar(members: &[(impl AsRef<Path>, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn webdataset_joins_members_by_key() {
    let dir = Dir::new();
    let members = [
        ("a/0.png", png(0, 2, 2)),
        ("a/0.cls", b"1\n".to_vec()),
        ("a/0.txt", b"a caption".to_vec()),
        ("a/1.json", b"{\"label\": 0}".to_vec()),
        ("a/1.png", png(1, 2, 2)),
    ];
    let whole = tar(&members);
    dir.file("train-0.tar", &whole);
    dir.ok(&["--input", "train-0.tar"]);
    let rows = dir.rows();
    assert_eq!(
        rows.iter().map(|r| (r.id.as_str(), r.label)).collect::<Vec<_>>(),
        [("train-0/a/0", Some(1)), ("train-0/a/1", Some(0))]
    );
    assert!(is_png(0, &rows[0].pixels) && is_png(1, &rows[1].pixels));

    let dir = Dir::new();
    dir.file("x.tar", &whole[..whole.len() - 2000]);
    assert!(dir.fails(65, &["--input", "x.tar"]).contains("a/1.json at byte"));
    // Between two members, in the padding of the last one, and with nothing but the mark cut off.
    for cut in [2048, 1025, 1024] {
        dir.file("x.tar", &whole[..whole.len() - cut]);
        let message = dir.fails(65, &["--input", "x.tar"]);
        assert!(message.contains("end-of-archive mark at byte") && message.contains("fetch it again"), "{message}");
    }
    // One block of zeros is enough: some writers leave it at that.
    dir.file("train-x.tar", &whole[..whole.len() - 512]);
    dir.ok(&["--input", "train-x.tar"]);
    let dir = Dir::new();
    dir.file("x.tar.gz", [0x1f, 0x8b, 8, 0]);
    assert!(dir.fails(65, &["--input", "x.tar.gz"]).contains("decompress"));
}

#[test]
fn keys_that_are_no_utf8_stay_apart() {
    let dir = Dir::new();
    let names = [&b"a\xff.png"[..], b"a\xfe.png", b"a%FF.png"].map(OsStr::from_bytes);
    let members: Vec<_> = names.iter().zip(0..).map(|(name, i)| (name, png(i, 2, 2))).collect();
    dir.file("train-0.tar", tar(&members));
    dir.ok(&["--input", "train-0.tar"]);
    let ids: Vec<_> = dir.rows().into_iter().map(|r| r.id).collect();
    assert_eq!(ids, ["train-0/a%FF", "train-0/a%FE", "train-0/a%25FF"]);
}

#[test]
fn a_picture_alone_is_no_folder() {
    let dir = Dir::new();
    dir.file("cat.png", png(0, 2, 2));
    let message = dir.fails(2, &["--format", "folder", "--input", "cat.png"]);
    assert!(message.contains("expected a folder of pictures, found a file; give the folder"), "{message}");
}

#[test]
fn shapes_need_no_input_and_more_rows_change_none() {
    let dir = Dir::new();
    dir.ok(&["--format", "shapes", "--rows", "train=20,test=10"]);
    let few = dir.rows();
    assert_eq!((few[0].id.as_str(), few[20].id.as_str(), few.len()), ("train/000000", "test/000000", 30));
    dir.ok(&["--format", "shapes", "--rows", "train=30,test=10"]);
    let more = dir.rows();
    assert_eq!(few[..20], more[..20]);
    assert_eq!(few[20..], more[30..]);
    dir.ok(&["--format", "shapes", "--rows", "train=20,test=10", "--seed", "1"]);
    assert_ne!(few, dir.rows());
}
