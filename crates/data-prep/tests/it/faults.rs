//! Bad data ends in a reject or in an error with the right code, never in a panic.

use crate::program::{Dir, is_png, png};
use crate::sources::hugging_face;

/// Ten pictures of each of two classes.
fn twenty(dir: &Dir) {
    for n in 0..20 {
        dir.file(&format!("data/{}/{n:02}.png", ["a", "b"][n as usize % 2]), png(n, 8, 8));
    }
}

#[test]
fn rejects_shift_nothing() {
    let dir = Dir::new();
    twenty(&dir);
    dir.file("data/a/04.png", "text, not a picture");
    dir.file("data/b/07.png", "");
    dir.file("data/b/09.png", &png(9, 8, 8)[..30]);
    dir.file("data/b/11.png", png(11, 9, 8));
    let report = dir.ok(&["--input", "data", "--max-bad", "4", "--part-rows", "3", "--split", "train=1"]);
    assert_eq!((report["rows"].as_u64(), report["rejects"].as_u64()), (Some(16), Some(4)));
    for row in dir.rows() {
        let n: u8 = row.id[2..4].parse().unwrap();
        assert!(is_png(n, &row.pixels) && row.label == Some(i32::from(n % 2)), "{}", row.id);
    }
    let rejects = dir.rejects();
    let reason = |id: &str| rejects.iter().find(|(found, _)| found == id).map(|(_, reason)| reason.as_str());
    assert_eq!(reason("a/04.png"), Some("not-a-picture"));
    assert_eq!(reason("b/07.png"), Some("empty"));
    assert_eq!(reason("b/11.png"), Some("other-size"));
    // The PNG decoder does not tell a cut from other damage everywhere.
    assert!(matches!(reason("b/09.png"), Some("truncated" | "corrupt")));
}

#[test]
fn too_many_rejects_stop_with_counts_and_advice() {
    let dir = Dir::new();
    twenty(&dir);
    dir.file("data/a/04.png", "text, not a picture");
    let message = dir.fails(65, &["--input", "data"]);
    assert!(message.contains("not-a-picture 1. First:\n  a/04.png") && message.contains("--max-bad 1%"), "{message}");
    let message = dir.fails(65, &["--input", "data", "--size", "64"]);
    assert!(message.contains("leave --size out"), "{message}");
    // What an artifact was allowed to bear does not hold for a stricter run.
    dir.ok(&["--input", "data", "--max-bad", "1"]);
    assert_eq!(dir.run(&["--input", "data", "--max-bad", "0"]).status.code(), Some(65));
}

#[test]
fn ten_rejects_are_named_and_verbose_names_all() {
    let dir = Dir::new();
    twenty(&dir);
    for n in 0..12 {
        dir.file(&format!("data/{}/{n:02}.png", ["a", "b"][n % 2]), "text, not a picture");
    }
    let message = dir.fails(65, &["--input", "data", "--split", "train=1"]);
    assert_eq!(message.lines().filter(|l| l.starts_with("  ")).count(), 10, "{message}");
    assert!(message.contains("not-a-picture 12") && message.contains("-v names all"), "{message}");
    let message = dir.fails(65, &["--input", "data", "--split", "train=1", "-v"]);
    assert_eq!(message.lines().filter(|l| l.contains("DEBUG") && l.contains(": reject ")).count(), 12, "{message}");
}

#[test]
fn no_good_picture_is_an_error_whatever_is_borne() {
    let dir = Dir::new();
    dir.file("data/a/0.png", "x");
    dir.file("data/b/0.png", "y");
    let message = dir.fails(65, &["--input", "data", "--max-bad", "100%", "--split", "train=1"]);
    assert!(message.contains("data/a/0.png: not a picture: it begins with"), "{message}");
    assert!(dir.fails(65, &["--input", "data", "--max-bad", "100%", "--size", "4"]).contains("no row can be used"));
}

/// CRC-32 as PNG has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

#[test]
fn a_decompression_bomb_is_rejected_by_its_header() {
    let dir = Dir::new();
    twenty(&dir);
    let mut bomb = png(0, 8, 8);
    bomb[16..20].copy_from_slice(&30_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&30_000u32.to_be_bytes());
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    // The first picture in order: it must not decide the size either.
    dir.file("data/a/00.png", bomb);
    let report = dir.ok(&["--input", "data", "--max-bad", "1"]);
    assert_eq!((report["height"].as_u64(), report["rows"].as_u64()), (Some(8), Some(19)));
    assert_eq!(dir.rejects(), [("a/00.png".to_string(), "too-large".to_string())]);
}

#[test]
fn fault_21_labels_that_are_missing_or_out_of_range_are_rejects() {
    let dir = Dir::new();
    dir.file("train.parquet", hugging_face(&[Some(0), None, Some(1), Some(2), Some(1)], |n| png(n, 2, 2)));
    let message = dir.fails(65, &["--input", "train.parquet"]);
    assert!(message.contains("no-label 1") && message.contains("label-out-of-range 1"), "{message}");
    dir.ok(&["--input", "train.parquet", "--max-bad", "2"]);
    let reasons: Vec<_> = dir.rejects().into_iter().map(|(id, reason)| format!("{id} {reason}")).collect();
    assert_eq!(reasons, ["train/0000001 no-label", "train/0000003 label-out-of-range"]);
    assert!(dir.rows().iter().all(|r| is_png(r.id[12..].parse().unwrap(), &r.pixels)));
}

#[test]
fn unlabelled_sources_are_fine_and_one_class_is_not() {
    let dir = Dir::new();
    dir.file("plain/0.png", png(0, 2, 2));
    dir.file("plain/1.png", png(1, 2, 2));
    dir.ok(&["--input", "plain"]);
    assert!(dir.rows().iter().all(|r| r.label.is_none()) && dir.facts().classes.is_empty());
    let dir = Dir::new();
    dir.file("one/a/0.png", png(0, 2, 2));
    let message = dir.fails(65, &["--input", "one"]);
    assert!(message.contains("one class only: 1 of 1 rows are \"a\""), "{message}");
}

#[test]
fn duplicate_ids_are_refused() {
    let dir = Dir::new();
    twenty(&dir);
    let message = dir.fails(65, &["--input", "data", "--input", "data"]);
    assert!(
        message.contains("20 ids occur") && message.contains("a/00.png") && !message.contains("a/10.png"),
        "{message}"
    );
}

#[test]
fn missing_files_of_a_listing_are_rejects() {
    let dir = Dir::new();
    dir.file("0.png", png(0, 2, 2));
    dir.file("1.png", png(1, 2, 2));
    dir.file("list.csv", "path,label\n0.png,a\nnowhere.png,b\n1.png,b\n");
    dir.ok(&["--input", "list.csv", "--max-bad", "1"]);
    assert_eq!(dir.rejects(), [("nowhere.png".to_string(), "missing".to_string())]);
}

#[test]
fn inputs_that_are_not_there_or_empty() {
    let dir = Dir::new();
    assert!(dir.fails(66, &["--input", "data/local/cifar"]).contains("just data FOLDER"));
    assert!(!dir.fails(66, &["--input", "nowhere"]).contains("just data"));
    dir.file("empty/notes.txt", "x");
    assert!(dir.fails(65, &["--input", "empty"]).contains("no pictures found in empty"));
    dir.file("broken.parquet", "PAR1 and no more");
    dir.fails(65, &["--input", "broken.parquet"]);
    dir.fails(2, &[]);
    dir.fails(2, &["--input", "empty", "--rows", "train=3"]);
    dir.fails(2, &["--input", "empty", "--split", "train=0.5"]);
    dir.fails(2, &["--format", "shapes", "--input", "empty"]);
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let dir = Dir::new();
    twenty(&dir);
    let cases: [&[&str]; 7] = [
        &["--input", "data", "--label-column", "x"],
        &["--input", "data", "--image-column", "x"],
        &["--format", "shapes", "--label-column", "x"],
        &["--input", "data", "--fit", "squash"],
        &["--input", "data", "--filter", "bilinear"],
        &["--input", "data", "--enlarge"],
        &["--input", "data", "--rows", "train=3"],
    ];
    for case in cases {
        let option = case.iter().rev().find(|word| word.starts_with("--")).unwrap();
        let message = dir.fails(2, case);
        assert!(message.contains(option), "{case:?}: {message}");
    }
}

#[test]
fn limits_out_of_range_are_usage_errors_and_a_small_one_is_named() {
    let dir = Dir::new();
    twenty(&dir);
    dir.fails(2, &["--format", "shapes", "--rows", "train=99999999999"]);
    dir.fails(2, &["--input", "data", "--max-pixels", "0"]);
    let message = dir.fails(65, &["--input", "data", "--max-pixels", "10"]);
    assert!(
        message.contains("of 20 rows") && message.contains("8×8 (height × width) is over --max-pixels 10"),
        "{message}"
    );
    let message = dir.fails(65, &["--format", "shapes", "--max-pixels", "10"]);
    assert!(message.contains("the first is built-in shapes, picture 0: 32×32"), "{message}");
}

#[test]
fn a_folder_beside_those_of_the_splits_is_refused() {
    let dir = Dir::new();
    for (n, name) in ["train/a/0", "train/b/0", "test/a/0", "test/b/0"].iter().enumerate() {
        dir.file(&format!("data/{name}.png"), png(n as u8, 2, 2));
    }
    // A folder without pictures is none of them.
    dir.file("data/notes/readme.txt", "x");
    dir.file("flat/a/1.png", png(9, 2, 2));
    dir.file("flat/b/1.png", png(8, 2, 2));
    let message = dir.fails(65, &["--input", "train=flat", "--input", "test=data"]);
    assert!(message.contains("its folders test, train are named as splits are"), "{message}");
    dir.file("data/unlabelled/0.png", png(7, 2, 2));
    let message = dir.fails(65, &["--input", "data"]);
    assert!(message.contains("named as splits are (test, train) and some are not (unlabelled)"), "{message}");
    assert!(message.contains("--input test=data/test --input train=data/train"), "{message}");
    dir.ok(&["--input", "train=data"]);
    assert_eq!(dir.facts().classes, ["test", "train", "unlabelled"]);
    std::fs::remove_dir_all(dir.path().join("data/unlabelled")).unwrap();
    dir.ok(&["--input", "train=data"]);
    assert_eq!(dir.facts().classes, ["test", "train"]);
    dir.ok(&["--input", "data"]);
    assert_eq!(dir.facts().classes, ["a", "b"]);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_utf8_are_rows_of_their_own() {
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new();
    twenty(&dir);
    for byte in [0xfe, 0xff] {
        let name = [b"data/a/x", &[byte][..], b".png"].concat();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&name)), png(byte, 8, 8)).unwrap();
    }
    dir.ok(&["--input", "data", "--split", "train=1"]);
    let rows = dir.rows();
    let row = |id: &str| rows.iter().find(|r| r.id == id).unwrap();
    assert!(is_png(0xfe, &row("a/x%FE.png").pixels) && is_png(0xff, &row("a/x%FF.png").pixels));
}

#[cfg(unix)]
#[test]
fn an_output_whose_path_is_no_utf8_is_reported() {
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_data-prep"));
    command.current_dir(dir.path()).args(["--format", "shapes", "--rows", "train=20", "--json", "--run"]);
    let output = command.arg(std::ffi::OsStr::from_bytes(b"run\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"rows\":20"));
}

#[test]
fn an_output_inside_an_input_is_refused() {
    let dir = Dir::new();
    twenty(&dir);
    let message = dir.fails(2, &["--input", "data", "--out", "data/a/new/examples"]);
    assert!(message.contains("inside --input data"), "{message}");
    dir.fails(2, &["--input", ".", "--split", "train=1"]);
    assert_eq!(dir.run(&["--input", "data", "--out", "data/../data2"]).status.code(), Some(0));
}
