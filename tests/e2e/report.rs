//! `report.html` and the learning curve, by the real programs.

use std::collections::BTreeMap;
use std::fs;

use arrow_array::cast::AsArray;

use crate::program::{Dir, demo_backbone, table};

/// Shapes with features of the demo's network and, as a baseline, their raw pixels; one test picture is a training
/// picture under another name.
fn run(dir: &Dir) {
    for split in ["train", "test"] {
        for class in ["a <b>", "z&amp;\"'"] {
            for n in 0..20_u8 {
                let seed = n * 3 + u8::from(class.starts_with('z')) * 100 + u8::from(split == "test");
                let pixels = image::RgbImage::from_fn(32, 32, |x, y| {
                    let wave =
                        |k: u32| (u32::from(seed) * 31 * k + x * (5 + k) * u32::from(seed % 7 + 1) + y * y * k) as u8;
                    image::Rgb([seed, wave(3), wave(7)])
                });
                let mut bytes = std::io::Cursor::new(Vec::new());
                pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
                dir.write(&format!("in/{split}/{class}/{n}.png"), bytes.into_inner());
            }
        }
    }
    fs::copy(dir.path("in/train/a <b>/7.png"), dir.path("in/test/a <b>/twin.png")).unwrap();
    dir.data_prep().args(["--input", "in", "--run", "r"]).code(0);
    dir.feature_extract().args(["--run", "r", "--backbone"]).args([demo_backbone()]).code(0);
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels", "--out", "r/baseline/pixels/features"]).code(0);
}

fn html(dir: &Dir) -> String {
    fs::read_to_string(dir.path("r/head/report.html")).unwrap()
}

#[test]
fn the_report_holds_everything_and_needs_nothing_else() {
    let dir = Dir::new();
    run(&dir);
    let curve = ["--run", "r", "--validation", "0.3", "--epochs", "4", "--learning-curve", "--baseline", "pixels"];
    let stdout = dir.head_train().args(curve).args(["--threads", "1"]).code(0).stdout();
    assert!(stdout.contains("labelled rows a class") && stdout.contains("these features"), "{stdout}");
    let page = html(&dir);
    for outside in ["http:", "https:", "<script", "<link", "@import", "url(", "<b>b"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("a &lt;b&gt;") && page.contains("z&amp;amp;&quot;&#39;"), "class names are text");
    assert!(
        page.contains("identical, cosine 1.0000") && page.contains("test/a &lt;b&gt;/twin.png"),
        "the twin is found"
    );
    assert!(page.contains("Test accuracy by labelled examples a class") && page.contains("prefers-color-scheme"));
    // Six sizes would need 50 rows a class.
    let bytes = fs::read(dir.path("r/head/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let names: Vec<_> =
        metrics["learning_curve"].as_array().unwrap().iter().map(|l| l["features"].as_str().unwrap()).collect();
    assert_eq!(names, ["these features", "pixels"]);
    assert!(metrics["learning_curve"][0]["points"].as_array().unwrap().len() >= 4);

    let files = |name: &str| fs::read(dir.path("r/head").join(name)).unwrap();
    let before = (page, files("learning_curve.parquet"));
    dir.head_train().args(curve).args(["--threads", "3", "--overwrite"]).code(0);
    assert!(before == (html(&dir), files("learning_curve.parquet")), "the same run gives other bytes");
    dir.head_train().args(curve).code(0).says(&["up to date"]);
    dir.head_train().args(&curve[..6]).code(0).says(&["learning_curve: true → false"]);
    assert!(html(&dir).contains("--learning-curve measures it"));
    assert!(!dir.path("r/head/learning_curve.parquet").exists());
}

#[test]
fn a_head_trained_again_is_told_from_the_one_that_was_judged() {
    let dir = Dir::new();
    run(&dir);
    let settings = ["--run", "r", "--validation", "0.25", "--epochs", "3"];
    dir.head_train().args(settings).code(0);
    let (before, page) = (heads(&dir), html(&dir));
    assert!(before.values().all(|head| head == "exported"), "{before:?}");
    assert!(page.contains("were kept") && !page.contains("before refitting"));
    let stdout = dir.head_train().args(settings).args(["--refit"]).code(0).stdout();
    assert!(stdout.contains("(before refitting)"), "{stdout}");
    let heads = heads(&dir);
    let expected = [("train", "before refit"), ("validation", "before refit"), ("test", "exported")];
    assert_eq!(heads, expected.map(|(split, head)| (split.to_string(), head.to_string())).into());
    let page = html(&dir);
    for said in ["validation before refitting", "training before refitting", "trained on 40 rows", "trained anew"] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("were kept"));
    for batch in table(&dir.path("r/head"), "predictions.parquet") {
        let (splits, by) = (batch["split"].as_string::<i32>(), batch["head"].as_string::<i32>());
        assert!(splits.iter().zip(by).all(|(split, by)| heads.get(split.unwrap()).map(String::as_str) == by));
    }
    // Without test rows the gate is about a head that is not the exported one, and says so.
    fs::remove_dir_all(dir.path("in/test")).unwrap();
    for n in 0..20 {
        // One picture in both classes: no head has all of them right.
        fs::copy(dir.path(&format!("in/train/a <b>/{n}.png")), dir.path(&format!("in/train/z&amp;\"'/{n}x.png")))
            .unwrap();
    }
    dir.data_prep().args(["--input", "in", "--run", "r"]).code(0);
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels"]).code(0);
    let gate = dir.head_train().args(settings).args(["--refit", "--min-accuracy", "1"]).code(1).stdout();
    assert_eq!(html(&dir).matches("Of heads before refitting").count(), 4);
    assert!(gate.contains("validation accuracy") && gate.contains("(before refitting) is below"), "{gate}");
}

/// Which head each split was scored by.
fn heads(dir: &Dir) -> BTreeMap<String, String> {
    let bytes = fs::read(dir.path("r/head/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    ["train", "validation", "test"]
        .map(|split| (split.to_string(), metrics[split]["head"].as_str().unwrap().to_string()))
        .into()
}

#[test]
fn validation_rows_that_are_all_right_set_no_temperature() {
    let dir = Dir::new();
    for split in ["train", "test"] {
        for (class, grey) in [("dark", 20), ("light", 230)] {
            for n in 0..20_u8 {
                let mut bytes = std::io::Cursor::new(Vec::new());
                let picture = image::RgbImage::from_pixel(8, 8, image::Rgb([grey + n, grey, grey]));
                picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
                dir.write(&format!("in/{split}/{class}/{n}.png"), bytes.into_inner());
            }
        }
    }
    dir.data_prep().args(["--input", "in", "--run", "r"]).code(0);
    dir.feature_extract().args(["--run", "r", "--backbone", "pixels"]).code(0);
    dir.head_train()
        .args(["--run", "r", "--epochs", "5"])
        .code(0)
        .says(&["not calibrated", "validation rows are right"]);
    let metrics: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path("r/head/metrics.json")).unwrap()).unwrap();
    assert_eq!((&metrics["temperature"], &metrics["calibrated"]), (&1.0.into(), &false.into()));
    assert!(html(&dir).contains("No temperature can be fitted"));
}

#[test]
fn baselines_of_other_examples_and_without_a_curve_are_refused() {
    let dir = Dir::new();
    dir.shapes("r", 120, 40);
    dir.shapes("other", 121, 40);
    for run in ["r", "other"] {
        dir.feature_extract().args(["--run", run, "--backbone", "pixels"]).code(0);
    }
    let train = |args: &[&str]| dir.head_train().args(["--run", "r", "--epochs", "2", "--no-classifier"]).args(args);
    train(&["--learning-curve", "--baseline", "other=other/features"])
        .code(65)
        .says(&["--baseline other: other/features is not of the same examples as r/features", "rows: expected"]);
    train(&["--baseline", "other=other/features"]).code(2).says(&["--learning-curve"]);
    train(&["--learning-curve", "--baseline", "x=r/features", "--baseline", "x=r/features"]).code(2).says(&["taken"]);
    train(&["--learning-curve", "--baseline", "nothing"]).code(66).says(&["r/baseline/nothing/features"]);
    train(&["--learning-curve", "--validation", "0"]).code(2).says(&["needs validation rows"]);
    assert!(!dir.path("r/head").exists(), "nothing was written");
    train(&[]).code(0);
    assert!(html(&dir).contains("The pictures are not at hand"), "without a classifier no pictures are looked for");
    train(&["--examples", "r/examples"]).code(0);
    assert!(html(&dir).contains("data:image/png;base64,"));
}
