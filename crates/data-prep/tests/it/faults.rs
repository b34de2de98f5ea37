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
    assert!(message.contains("not-a-picture 1. First: a/04.png") && message.contains("--max-bad 1%"), "{message}");
    let message = dir.fails(65, &["--input", "data", "--size", "64"]);
    assert!(message.contains("leave --size out"), "{message}");
    // What an artifact was allowed to bear does not hold for a stricter run.
    dir.ok(&["--input", "data", "--max-bad", "1"]);
    assert_eq!(dir.run(&["--input", "data", "--max-bad", "0"]).status.code(), Some(65));
}

#[test]
fn no_good_picture_is_an_error_whatever_is_borne() {
    let dir = Dir::new();
    dir.file("data/a/0.png", "x");
    dir.file("data/b/0.png", "y");
    dir.fails(65, &["--input", "data", "--max-bad", "100%"]);
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
fn labels_that_are_missing_or_out_of_range_are_rejects() {
    let dir = Dir::new();
    dir.file("train.parquet", hugging_face(&[Some(0), None, Some(1), Some(2), Some(1)], |n| png(n, 2, 2)));
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
    assert!(message.contains("20 ids") && message.contains("a/00.png") && !message.contains("a/10.png"), "{message}");
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
