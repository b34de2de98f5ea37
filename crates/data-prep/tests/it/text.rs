//! Texts of every kind of source become prompts: ids, tokens, other columns; and what is wrong with them.
//!
//! The tokenizers are those of the crate `text`, whose tests hold their ids against the Python package.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    ArrayRef, Int32Array, LargeStringArray, RecordBatch, StringArray, StringViewArray, StructArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use artifact::{Artifact, Kind, PromptPart, PromptsFacts, join_rows};

use crate::program::{Dir, rejects_of};

const BYTE_LEVEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../text/tests/fixtures/byte_level.json");
/// Puts `<s>` in front.
const BYTE_FALLBACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../text/tests/fixtures/byte_fallback.json");

fn artifact(dir: &Dir) -> Artifact {
    Artifact::open(&dir.path().join("run/prompts"), Kind::Prompts).unwrap()
}

/// All rows, as one part.
fn prompts(dir: &Dir) -> PromptPart {
    let artifact = artifact(dir);
    let read = |i| PromptPart::from_batches(&artifact.read_part(i).unwrap(), &artifact.part_path(i)).unwrap();
    let parts: Vec<_> = (0..artifact.manifest().parts.len()).map(read).collect();
    let other: Vec<_> = parts.iter().map(|p| p.other.clone()).collect();
    let mut all = PromptPart { ids: vec![], texts: vec![], input_ids: vec![], other: join_rows(&other).unwrap() };
    for part in parts {
        all.ids.extend(part.ids);
        all.texts.extend(part.texts);
        all.input_ids.extend(part.input_ids);
    }
    all
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect()
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    artifact::encode_parquet(&RecordBatch::try_from_iter_with_nullable(columns).unwrap(), &[]).unwrap()
}

#[test]
fn lines_are_prompts_with_ids_of_name_and_number() {
    let dir = Dir::new();
    dir.file("verse.txt", "\u{feff}Once upon a time\r\n the fox\n今天天气不错,\nlast");
    let report = dir.ok(&["--input", "verse.txt", "--tokenizer", BYTE_LEVEL]);
    assert_eq!((&report["state"], &report["rows"], &report["rejects"]), (&"made".into(), &4.into(), &0.into()));
    let part = prompts(&dir);
    assert_eq!(part.ids, ["verse/0000000", "verse/0000001", "verse/0000002", "verse/0000003"]);
    assert_eq!(part.texts, ["Once upon a time", " the fox", "今天天气不错,", "last"]);
    // As in `expected.json` of the tokenizers.
    assert_eq!(part.input_ids[1], [259, 272]);
    assert_eq!(part.input_ids[2][..4], [161, 120, 233, 162]);
    assert_eq!(part.other.num_columns(), 0);
    let facts: PromptsFacts = artifact(&dir).manifest().facts_as(Path::new("")).unwrap();
    let lengths: Vec<_> = part.input_ids.iter().map(Vec::len).collect();
    assert_eq!((facts.n_tokens, facts.longest), (lengths.iter().sum::<usize>() as u64, 19));
    assert_eq!((&report["tokens"], &report["longest"]), (&facts.n_tokens.into(), &19.into()));
    assert_eq!((facts.tokenizer.as_str(), facts.tokenizer_digest.len()), (BYTE_LEVEL, 64));
    assert_eq!(artifact(&dir).manifest().parts[0].file, "part-00000.parquet");
}

#[test]
fn the_line_for_people_has_a_rate_when_made() {
    let dir = Dir::new();
    dir.file("verse.txt", " the fox\n the fox the fox\n");
    let line = || String::from_utf8(dir.run(&["--input", "verse.txt", "--tokenizer", BYTE_LEVEL]).stdout).unwrap();
    let (made, found) = (line(), line());
    let start = "prompts: 2 prompts, 6 tokens (longest 4), 0 rejects";
    assert!(made.starts_with(&format!("{start}, ")) && made.trim_end().ends_with("/s → run/prompts"), "{made}");
    assert_eq!(found.trim_end(), format!("{start} → run/prompts"));
}

#[test]
fn stdin_is_lines_or_json_lines() {
    let dir = Dir::new();
    let run = |stdin: &str, args: &[&str]| {
        let output = dir.run_on(stdin, &[&["--input", "-", "--tokenizer", BYTE_LEVEL, "--json"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["state"].clone()
    };
    assert_eq!(run("one\ntwo\n", &[]), "made");
    assert_eq!(prompts(&dir).ids, ["stdin/0000000", "stdin/0000001"]);
    assert_eq!(run("one\ntwo\n", &[]), "up to date");
    assert_eq!(run("one\ntwo", &[]), "made");
    assert_eq!(run("{\"prompt\": \"one\", \"n\": 1}\n", &["--format", "jsonl"]), "made");
    assert_eq!((prompts(&dir).texts, names(&prompts(&dir).other)), (vec!["one".into()], vec!["n Int64".into()]));
    let refused = |args: &[&str]| String::from_utf8(dir.run_on("x", args).stderr).unwrap();
    assert!(refused(&["--input", "-", "--tokenizer", BYTE_LEVEL, "--format", "parquet"]).contains("give the path"));
    assert!(refused(&["--input", "-", "--input", "x", "--tokenizer", BYTE_LEVEL]).contains("stands alone"));
}

#[test]
fn json_lines_keep_their_other_keys_as_columns() {
    let dir = Dir::new();
    dir.file(
        "p.jsonl",
        concat!(
            "{\"question\": \"the fox\", \"key\": \"a\", \"n\": 1, \"x\": 1, \"good\": true, \"id\": 7}\n",
            "\n",
            "{\"key\": 2, \"question\": \"heron\", \"x\": 0.1, \"mixed\": [1, \"b\"], \"good\": null}\n",
            "{\"key\": 18446744073709551615, \"question\": \"ri\\u0076er\", \"mixed\": \"c\", \"n\": -5}\n",
        ),
    );
    dir.ok(&["--input", "p.jsonl", "--tokenizer", BYTE_LEVEL, "--text-field", "question", "--id-field", "key"]);
    let part = prompts(&dir);
    assert_eq!(part.ids, ["a", "2", "18446744073709551615"]);
    assert_eq!(part.texts, ["the fox", "heron", "river"]);
    // `id` is a name of ours.
    assert_eq!(names(&part.other), ["good Boolean", "input_id Int64", "mixed Utf8", "n Int64", "x Float64"]);
    let column = |name: &str| part.other.column_by_name(name).unwrap();
    assert_eq!(column("good").as_boolean().iter().collect::<Vec<_>>(), [Some(true), None, None]);
    assert_eq!(column("n").as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(-5)]);
    assert_eq!(column("x").as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(1.0), Some(0.1), None]);
    assert_eq!(column("mixed").as_string::<i32>().iter().collect::<Vec<_>>(), [None, Some("[1,\"b\"]"), Some("c")]);
    // Without a key for it, ids count the lines, blank ones too.
    dir.ok(&["--input", "p.jsonl", "--tokenizer", BYTE_LEVEL, "--text-field", "question"]);
    assert_eq!(prompts(&dir).ids, ["p/0000000", "p/0000002", "p/0000003"]);
}

#[test]
fn all_parts_have_the_columns_of_all_rows() {
    let dir = Dir::new();
    let line = |i: usize| match i {
        9 => "{\"text\": \"x\", \"late\": 0.5, \"n\": \"text\"}\n".to_string(),
        _ => format!("{{\"text\": \"the fox {i}\", \"n\": {i}}}\n"),
    };
    dir.file("p.jsonl", (0..10).map(line).collect::<String>());
    dir.ok(&["--input", "p.jsonl", "--tokenizer", BYTE_LEVEL, "--part-rows", "4"]);
    let artifact = artifact(&dir);
    for part in 0..3 {
        let batch = &artifact.read_part(part).unwrap()[0];
        assert_eq!(names(batch)[3..], ["late Float64", "n Utf8"]);
    }
    assert_eq!(artifact.manifest().parts.iter().map(|p| p.rows).collect::<Vec<_>>(), [4, 4, 2]);
}

#[test]
fn parquet_columns_of_any_text_type_keep_the_others_as_they_are() {
    let texts = ["the fox", "heron", "今天"];
    let kinds: [ArrayRef; 3] = [
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(StringViewArray::from(texts.to_vec())),
    ];
    let struct_field = Arc::new(Field::new("a", DataType::Int32, true));
    let nested: ArrayRef = Arc::new(StructArray::from(vec![(
        struct_field,
        Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])) as ArrayRef,
    )]));
    let key: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0, 5]));
    for text in kinds {
        let dir = Dir::new();
        dir.file("p.parquet", parquet(vec![("deep", nested.clone()), ("prompt", text.clone()), ("key", key.clone())]));
        dir.ok(&["--input", "p.parquet", "--tokenizer", BYTE_LEVEL, "--part-rows", "2"]);
        let part = prompts(&dir);
        assert_eq!(part.ids, ["p/0000000", "p/0000001", "p/0000002"]);
        assert_eq!(part.texts, texts);
        assert_eq!((part.other.column(0), part.other.column(1)), (&nested, &key));
        dir.ok(&["--input", "p.parquet", "--tokenizer", BYTE_LEVEL, "--text-field", "prompt", "--id-field", "key"]);
        let part = prompts(&dir);
        assert_eq!(part.ids, [u64::MAX.to_string(), "0".into(), "5".into()]);
        assert_eq!((part.other.num_columns(), part.other.column(0)), (1, &nested));
    }
}

#[test]
fn parquet_rows_are_the_same_in_parts_of_any_size_and_over_files() {
    let dir = Dir::new();
    let rows = |range: std::ops::Range<i32>| {
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(range.clone().map(|i| format!("text {i}"))));
        parquet(vec![("text", text), ("n", Arc::new(Int32Array::from_iter_values(range)))])
    };
    dir.file("data/a.parquet", rows(0..50));
    dir.file("data/b.parquet", rows(50..70));
    for part_rows in ["7", "50", "1000"] {
        dir.ok(&["--input", "data", "--tokenizer", BYTE_LEVEL, "--part-rows", part_rows]);
        let part = prompts(&dir);
        let n: Vec<i32> = part.other.column(0).as_primitive::<arrow_array::types::Int32Type>().values().to_vec();
        assert_eq!(n, (0..70).collect::<Vec<_>>());
        assert!(n.iter().all(|n| part.texts[*n as usize] == format!("text {n}")));
        assert_eq!((part.ids[49].as_str(), part.ids[50].as_str()), ("a/0000049", "b/0000000"));
    }
    let other: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let dir = Dir::new();
    dir.file("data/a.parquet", rows(0..5));
    dir.file("data/b.parquet", parquet(vec![("text", other.clone()), ("n", other)]));
    let message = dir.fails(65, &["--input", "data", "--tokenizer", BYTE_LEVEL]);
    assert!(
        message.contains("b.parquet: expected the columns of data/a.parquet, text Utf8, n Int32, found"),
        "{message}"
    );
}

#[test]
fn bad_rows_are_rejects_that_shift_nothing() {
    let dir = Dir::new();
    dir.file("p.txt", b"the fox\n\n12345678901\nbad \xff byte\nheron\n");
    let args = ["--input", "p.txt", "--tokenizer", BYTE_LEVEL, "--max-text-bytes", "10", "--part-rows", "2"];
    let report = dir.ok(&[&args[..], &["--max-bad", "3"]].concat());
    assert_eq!((&report["rows"], &report["rejects"]), (&2.into(), &3.into()));
    assert_eq!(
        (prompts(&dir).ids, prompts(&dir).texts),
        (vec!["p/0000000".to_string(), "p/0000004".into()], vec!["the fox".to_string(), "heron".into()])
    );
    let reasons = |dir: &Dir| -> Vec<String> {
        rejects_of(&artifact(dir)).into_iter().map(|(id, reason)| format!("{id} {reason}")).collect()
    };
    assert_eq!(reasons(&dir), ["p/0000001 empty", "p/0000002 too-long", "p/0000003 not-utf8"]);
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    let message = dir.fails(65, &[&args[..], &["--max-bad", "2"]].concat());
    for part in [
        "p/0000001 (p.txt line 2): it has no tokens",
        "p/0000002 (p.txt line 3): 11 bytes are over --max-text-bytes 10",
        "p/0000003 (p.txt line 4): byte 4 of the line, byte 25 of the file, is no UTF-8",
        "--max-bad 2",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // A tokenizer that begins every text with a token of its own makes a prompt of nothing.
    dir.ok(&["--input", "p.txt", "--tokenizer", BYTE_FALLBACK, "--max-bad", "1"]);
    assert_eq!((&prompts(&dir).texts[1][..], &prompts(&dir).input_ids[1][..]), ("", &[1][..]));
}

#[test]
fn bad_json_lines_are_rejects() {
    let dir = Dir::new();
    let mut content = concat!(
        "{\"text\": \"the fox\", \"key\": \"a\"}\n",
        "{\"text\": \"the\n",
        "[\"text\"]\n",
        "{\"key\": \"b\"}\n",
        "{\"text\": null, \"key\": \"c\"}\n",
        "{\"text\": 12, \"key\": \"d\"}\n",
        "{\"text\": \"no id\"}\n",
        "{\"text\": \"an id of no use\", \"key\": 1.5}\n",
        "{\"text\": \"\", \"key\": \"e\"}\n",
    )
    .to_string()
    .into_bytes();
    content.extend(b"{\"text\": \"bad \xff byte\", \"key\": \"f\"}\n");
    dir.file("p.jsonl", content);
    let args = ["--input", "p.jsonl", "--tokenizer", BYTE_LEVEL, "--id-field", "key", "--part-rows", "3"];
    dir.ok(&[&args[..], &["--max-bad", "9"]].concat());
    assert_eq!(prompts(&dir).ids, ["a"]);
    let found: Vec<_> = rejects_of(&artifact(&dir)).into_iter().map(|(id, reason)| format!("{id} {reason}")).collect();
    let expected = [
        "p/0000001 not-json",
        "p/0000002 not-json",
        "b no-text",
        "c no-text",
        "d no-text",
        "p/0000006 no-id",
        "p/0000007 no-id",
        "e empty",
        "p/0000009 not-utf8",
    ];
    assert_eq!(found, expected);
}

#[test]
fn fault_27_null_cells_and_long_ones_are_rejects() {
    let dir = Dir::new();
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("the fox"), None, Some("12345678901"), Some("heron")]));
    let key: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("c"), None]));
    let n: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    dir.file("p.parquet", parquet(vec![("text", text), ("key", key), ("n", n)]));
    let args = ["--input", "p.parquet", "--tokenizer", BYTE_LEVEL, "--id-field", "key", "--max-text-bytes", "10"];
    dir.ok(&[&args[..], &["--max-bad", "3"]].concat());
    let found: Vec<_> = rejects_of(&artifact(&dir)).into_iter().map(|(id, reason)| format!("{id} {reason}")).collect();
    assert_eq!(found, ["b no-text", "c too-long", "p/0000003 no-id"]);
    assert_eq!(prompts(&dir).other.num_rows(), 1);
}

#[test]
fn ids_that_come_twice_are_refused() {
    let dir = Dir::new();
    let line = |i: usize| format!("{{\"text\": \"x\", \"key\": {}}}\n", i % 7);
    dir.file("p.jsonl", (0..20).map(line).collect::<String>());
    let message = dir.fails(65, &["--input", "p.jsonl", "--tokenizer", BYTE_LEVEL, "--id-field", "key"]);
    assert!(message.contains("13 ids occur more than once, first [\"0\", \"1\", \"2\", \"3\", \"4\"];"), "{message}");
    let message = dir.fails(65, &["--input", "p.jsonl", "--input", "p.jsonl", "--tokenizer", BYTE_LEVEL]);
    assert!(message.contains("20 ids occur") && message.contains("/p/0000000\""), "{message}");
    let key: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 2]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    dir.file("p.parquet", parquet(vec![("text", text), ("key", key)]));
    let message = dir.fails(65, &["--input", "p.parquet", "--tokenizer", BYTE_LEVEL, "--id-field", "key"]);
    assert!(message.contains("1 id occurs more than once, first [\"2\"]"), "{message}");
}

#[test]
fn fields_that_are_not_there_are_named_with_those_that_are() {
    let dir = Dir::new();
    dir.file("p.jsonl", "{\"question\": \"x\", \"key\": 1}\n");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let number: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    dir.file("p.parquet", parquet(vec![("question", text), ("n", number)]));
    let says = |args: &[&str], expected: &str| {
        let message = dir.fails(65, &[args, &["--tokenizer", BYTE_LEVEL]].concat());
        assert!(message.contains(expected), "{message}");
    };
    says(&["--input", "p.jsonl"], "expected a key text or prompt, found key, question; name it with --text-field");
    says(&["--input", "p.jsonl", "--text-field", "a"], "expected a key a, found");
    says(&["--input", "p.jsonl", "--text-field", "question", "--id-field", "b"], "expected a key b, found");
    says(&["--input", "p.parquet"], "expected a column text or prompt, found question Utf8, n Int32; name it with");
    says(&["--input", "p.parquet", "--text-field", "n"], "column `n`: expected text, found Int32");
    says(&["--input", "p.parquet", "--text-field", "question", "--id-field", "b"], "expected a column b, found");
    for input in ["p.jsonl", "p.parquet"] {
        let both = ["--input", input, "--tokenizer", BYTE_LEVEL, "--text-field", "question", "--id-field", "question"];
        assert!(dir.fails(2, &both).contains("`question` would be both text and id"));
    }
}

#[test]
fn sources_that_are_none() {
    let dir = Dir::new();
    dir.file("empty.txt", "");
    dir.file("blank.jsonl", "\n  \n");
    dir.file("folder/picture.png", "x");
    dir.file("mixed/a.txt", "x");
    dir.file("mixed/b.jsonl", "{}");
    dir.file("broken.parquet", "PAR1 and no more");
    dir.file("p.txt", "x\n");
    let says = |exit, args: &[&str], expected: &str| {
        let message = dir.fails(exit, args);
        assert!(message.contains(expected), "{args:?}: {message}");
    };
    let with = |input| ["--input", input, "--tokenizer", BYTE_LEVEL];
    says(65, &with("empty.txt"), "no prompts found in empty.txt (read as lines)");
    says(65, &with("blank.jsonl"), "no prompts found in blank.jsonl (read as jsonl)");
    says(65, &with("folder"), "no texts found in folder (looked for .txt");
    says(2, &with("mixed"), "inputs of different kinds: mixed/a.txt looks like lines and mixed/b.jsonl like jsonl");
    says(65, &with("broken.parquet"), "not a readable Parquet file");
    says(66, &with("nowhere.txt"), "there is no such file");
    says(
        66,
        &["--input", "p.txt", "--tokenizer", "nowhere"],
        "no tokenizer at nowhere: there is no such file or folder",
    );
    says(66, &["--input", "p.txt", "--tokenizer", "folder"], "the folder has no tokenizer.json");
    says(65, &["--input", "p.txt", "--tokenizer", "p.txt"], "p.txt is not a tokenizer");
    says(2, &["--tokenizer", BYTE_LEVEL], "no --input");
}

#[test]
fn a_table_is_not_taken_for_lines_unless_asked() {
    let dir = Dir::new();
    dir.file("p.csv", "id,text\n1,x\n");
    let args = ["--input", "p.csv", "--tokenizer", BYTE_LEVEL];
    assert!(dir.fails(2, &args).contains("say --format lines"));
    dir.ok(&[&args[..], &["--format", "lines"]].concat());
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let dir = Dir::new();
    dir.file("p.txt", "x\n");
    let text = ["--input", "p.txt", "--tokenizer", BYTE_LEVEL];
    let cases: [&[&str]; 15] = [
        &["--size", "4"],
        &["--fit", "crop"],
        &["--filter", "bicubic"],
        &["--enlarge"],
        &["--rows", "train=3"],
        &["--max-pixels", "10"],
        &["--image-column", "x"],
        &["--label-column", "x"],
        &["--take", "train=3"],
        &["--split", "train=1"],
        &["--format", "folder"],
        &["--format", "shapes"],
        &["--text-field", "x"],
        &["--id-field", "x"],
        &["--input", "train=p.txt"],
    ];
    for case in cases {
        let message = dir.fails(2, &[&text[..], case].concat());
        assert!(message.contains(case[0]), "{case:?}: {message}");
    }
    let without_tokenizer: [&[&str]; 6] = [
        &["--text-field", "x"],
        &["--id-field", "x"],
        &["--max-text-bytes", "10"],
        &["--format", "lines"],
        &["--format", "jsonl"],
        &["--input", "-"],
    ];
    for case in without_tokenizer {
        let message = dir.fails(2, &[&["--input", "p.txt"], case].concat());
        assert!(message.contains(case[0]) && message.contains("give a --tokenizer"), "{case:?}: {message}");
    }
}

/// Enough lines for many parts, some of which cannot be used.
fn many(dir: &Dir) {
    let line = |i: usize| match i % 50 {
        7 => "not JSON\n".to_string(),
        _ => format!(
            "{{\"text\": \"the fox {i} and 今天 {}\", \"n\": {i}, \"key\": \"k{i}\"}}\n",
            "heron ".repeat(i % 9)
        ),
    };
    dir.file("p.jsonl", (0..1000).map(line).collect::<String>());
}

const MANY: [&str; 10] =
    ["--input", "p.jsonl", "--tokenizer", BYTE_LEVEL, "--id-field", "key", "--part-rows", "10", "--max-bad", "40"];

#[test]
fn a_second_run_is_up_to_date_and_a_change_is_not() {
    let dir = Dir::new();
    many(&dir);
    let first = dir.ok(&MANY);
    let second = dir.ok(&MANY);
    assert_eq!((&first["state"], &second["state"]), (&"made".into(), &"up to date".into()));
    assert_eq!((&first["tokens"], &first["longest"]), (&second["tokens"], &second["longest"]));
    let changes: [&[&str]; 4] =
        [&["--max-text-bytes", "5000"], &["--part-rows", "11"], &["--tokenizer", BYTE_FALLBACK], &["--id-field", "n"]];
    for change in changes {
        let is_given = |word: &&str| change.contains(word);
        let kept: Vec<_> = MANY.chunks(2).filter(|pair| !is_given(&pair[0])).flatten().copied().collect();
        assert_eq!(dir.ok(&[&kept, change].concat())["state"], "made", "{change:?}");
        assert_eq!(dir.ok(&MANY)["state"], "made", "back from {change:?}");
    }
    // The same tokenizer under another name is the same.
    let copy = dir.file("model/tokenizer.json", fs::read(BYTE_LEVEL).unwrap());
    let moved: Vec<_> = MANY.iter().map(|word| if *word == BYTE_LEVEL { "model" } else { word }).collect();
    assert_eq!(dir.ok(&moved)["state"], "up to date");
    fs::write(copy, fs::read(BYTE_FALLBACK).unwrap()).unwrap();
    let output = dir.run(&moved);
    assert!(String::from_utf8_lossy(&output.stderr).contains("made again, because changed input: model"));
}

#[test]
fn threads_make_no_difference() {
    let dir = Dir::new();
    many(&dir);
    dir.ok(&[&MANY[..], &["--threads", "1"]].concat());
    let one = dir.bytes_of("run/prompts");
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    dir.ok(&[&MANY[..], &["--threads", "2"]].concat());
    assert!(dir.bytes_of("run/prompts") == one && one.len() == 102);
}

#[test]
fn a_run_ended_by_a_signal_goes_on_to_the_same_bytes() {
    let dir = Dir::new();
    many(&dir);
    dir.ok(&[&MANY[..], &["--threads", "2"]].concat());
    let undisturbed = dir.bytes_of("run/prompts");
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    for signal in ["-TERM", "-KILL"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_data-prep"));
        let mut child = command.current_dir(dir.path()).args(MANY).args(["--run", "run", "--quiet"]).spawn().unwrap();
        let journal = dir.path().join("run/prompts.building/journal.jsonl");
        let n_before = fs::read(&journal).map_or(0, |bytes| bytes.len());
        while fs::read(&journal).map_or(0, |bytes| bytes.len()) <= n_before {
            std::thread::sleep(std::time::Duration::from_millis(1));
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        }
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), (signal == "-TERM").then_some(143));
        assert!(!dir.path().join("run/prompts").exists());
    }
    let output = dir.run(&MANY);
    assert!(String::from_utf8_lossy(&output.stderr).contains("going on after an interrupted run"));
    assert!(dir.bytes_of("run/prompts") == undisturbed);
}

#[test]
fn a_pipeline_without_this_stage_is_passed_over() {
    let dir = Dir::new();
    dir.file("p.toml", "stages = [\"generate\"]\n");
    let output = dir.run(&["--pipeline", "p.toml", "--set", "input=x"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), said.trim()),
        (Some(0), "data-prep: not a stage of p.toml (generate), nothing to do")
    );
    assert!(output.stdout.is_empty() && !dir.path().join("run").exists());
    assert_eq!(dir.ok(&["--pipeline", "p.toml"])["state"], "left out");
    assert_eq!(dir.run(&["--pipeline", "p.toml", "--check", "--json"]).stdout, b"");
    assert_eq!(dir.run(&["--pipeline", "p.toml", "--quiet"]).stderr, b"");
    dir.file("p.toml", "stages = [\"data-prep\", \"generate\"]\n[data-prep]\ninput = \"p.txt\"\n[head-train]\n");
    assert!(dir.fails(2, &["--pipeline", "p.toml"]).contains("[head-train] is about a stage that takes no part"));
}

#[test]
fn a_pipeline_file_says_it_all() {
    let dir = Dir::new();
    dir.file("p.txt", "the fox\n");
    let text =
        format!("stages = [\"data-prep\", \"generate\"]\n[data-prep]\ninput = \"p.txt\"\ntokenizer = {BYTE_LEVEL:?}\n");
    dir.file("p.toml", text);
    assert_eq!(dir.ok(&["--pipeline", "p.toml"])["rows"], 1);
    assert_eq!(dir.run(&["--pipeline", "p.toml", "--dry-run"]).status.code(), Some(0));
}

#[test]
fn empty_schema_is_no_trap() {
    // A table of nothing but text has no other columns, as lines have none.
    let dir = Dir::new();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["the fox", "heron"]));
    dir.file("p.parquet", parquet(vec![("text", text)]));
    dir.ok(&["--input", "p.parquet", "--tokenizer", BYTE_LEVEL]);
    assert_eq!((prompts(&dir).other.num_columns(), prompts(&dir).ids.len()), (0, 2));
    let none = Schema::new(vec![Field::new("text", DataType::Utf8, false)]);
    let batch = RecordBatch::new_empty(Arc::new(none));
    dir.file("none.parquet", artifact::encode_parquet(&batch, &[]).unwrap());
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    assert!(dir.fails(65, &["--input", "none.parquet", "--tokenizer", BYTE_LEVEL]).contains("no prompts found"));
}
