//! Which rows `report.html` says its figures are of.

use std::fs;

use crate::program::Dir;

/// The page of a run, and a head trained on features that need no network.
fn page(dir: &Dir, rows: &str, more: &[&str]) -> String {
    dir.data_prep().args(["--format", "shapes", "--rows", rows, "--run", "r"]).code(0);
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels"]).code(0);
    let train = ["--run", "r", "--epochs", "2", "--no-classifier", "--examples", "r/examples"];
    dir.head_train().args(train).args(more).code(0);
    fs::read_to_string(dir.path("r/head/report.html")).unwrap()
}

#[test]
fn without_test_rows_classes_confusion_and_mistakes_are_of_validation_rows() {
    let dir = Dir::new();
    let html = page(&dir, "train=200,validation=60", &[]);
    for said in [
        "There are no test rows.",
        "On 60 validation rows. The settings were chosen by these rows",
        "Validation rows of each true class (row)",
        "validation pictures that are wrong",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert!(!html.contains("There are neither test nor validation rows."));
    // Without either, there is nothing to judge the head by.
    let dir = Dir::new();
    let html = page(&dir, "train=100", &["--validation", "0"]);
    let reasons = html.matches("There are neither test nor validation rows.").count();
    assert_eq!(reasons, 3, "classes, confusion and mistakes");
}

#[test]
fn test_rows_are_said_to_be_scored_once_only_where_they_are() {
    let dir = Dir::new();
    let rows = "train=120,test=60";
    let html = page(&dir, rows, &[]);
    assert!(html.contains("Scored once on 60 test rows.") && html.contains("On 60 test rows."));
    let html = page(&dir, rows, &["--learning-curve"]);
    assert!(!html.contains("Scored once"));
    // Five draws of 1, 2, 5 and 10 rows a class; the head of all rows is the run's own.
    assert!(
        html.contains("Scored on 60 test rows; the learning curve scored 20 more heads on them"),
        "{}",
        &html[html.find("class=\"lede\"").unwrap()..][..400]
    );
    let html = page(&dir, rows, &["--learning-curve", "--refit"]);
    assert!(html.contains("the learning curve scored 21 more heads on them"), "the refitted head is another one");
}
