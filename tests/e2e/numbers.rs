//! Features are the numbers that they claim to be.

use artifact::{Artifact, FeaturesFacts, Kind};
use onnx_graph::Model;

use crate::program::{Dir, demo_backbone};

/// All values of a features artifact, row-major, and the length of a row.
fn values(dir: &Dir, folder: &str) -> (Vec<f32>, usize) {
    let artifact = Artifact::open(&dir.path(folder), Kind::Features).unwrap();
    let facts: FeaturesFacts = artifact.manifest().facts_as(artifact.folder()).unwrap();
    let mut values = Vec::new();
    for (index, part) in artifact.manifest().parts.iter().enumerate() {
        let mut own = vec![0.0; part.rows as usize * facts.feature_dim];
        artifact.read_features(index, &facts, &mut Vec::new(), &mut own).unwrap();
        values.extend(own);
    }
    (values, facts.feature_dim)
}

#[test]
fn the_layer_taken_off_gives_the_original_logits_back() {
    let dir = Dir::new();
    dir.shapes("r", 96, 32);
    let backbone = demo_backbone();
    let extract =
        |args: &[&str]| dir.feature_extract().args(["--run", "r", "--backbone"]).args([&backbone]).args(args).code(0);
    extract(&["--out", "f"]);
    let model = Model::read(&backbone).unwrap();
    let classifier = model.find_classifier().unwrap();
    extract(&["--out", "l", "--feature", &classifier.logits]);
    let last = model.last_layer(&classifier).unwrap();
    let ((features, dim), (logits, n_classes)) = (values(&dir, "f"), values(&dir, "l"));
    assert_eq!((dim as u64, n_classes as u64), (classifier.feature_dim, classifier.n_classes));
    let mut worst = 0f64;
    for (row, expected) in features.chunks(dim).zip(logits.chunks(n_classes)) {
        for (class, expected) in expected.iter().enumerate() {
            let weights = &last.weight[class * dim..(class + 1) * dim];
            let sum: f64 = weights.iter().zip(row).map(|(w, f)| f64::from(*w) * f64::from(*f)).sum();
            worst = worst.max((sum + f64::from(last.bias[class]) - f64::from(*expected)).abs());
        }
    }
    assert!(worst < 1e-4, "the logits differ by {worst}");
}

#[test]
fn convolutions_of_ours_are_those_of_the_runtime_beyond_rounding() {
    let dir = Dir::new();
    dir.shapes("r", 70, 10);
    let backbone = demo_backbone();
    let extract = |out: &str, args: &[&str]| {
        dir.feature_extract()
            .args(["--run", "r", "--out", out, "--device", "cpu", "--backbone"])
            .args([&backbone])
            .args(args)
    };
    let mut worst = 0.0;
    // The second has a sum and no ReLU behind its last convolution.
    for (feature, runtime, ours) in [("features", "runtime", "ours"), ("block3.add", "runtime-sum", "ours-sum")] {
        extract(runtime, &["--feature", feature, "--convolution", "runtime"]).code(0);
        extract(ours, &["--feature", feature]).code(0);
        let (expected, found) = (values(&dir, runtime).0, values(&dir, ours).0);
        let largest = expected.iter().copied().fold(0.0, f32::max);
        worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-5 * largest, "features up to {largest} differ by {worst}");
    }
    // Where they are to be had, they were used.
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        assert!(worst > 0.0);
    }

    extract("ours", &["--feature", "features", "--convolution", "winograd"]).code(0).says(&["up to date"]);
    extract("ours", &["--feature", "features", "--convolution", "runtime", "--dry-run"])
        .code(0)
        .does_not_say("up to date");
    for threads in ["1", "5"] {
        extract("threads", &["--feature", "features", "--threads", threads, "--overwrite"]).code(0);
        assert!(dir.contents("ours") == dir.contents("threads"), "{threads}");
    }
    extract("no", &["--convolution", "winograd", "--precision", "int8"])
        .code(2)
        .says(&["for float32; leave it out, or --precision int8"]);
    let on_cuda =
        dir.feature_extract().args(["--run", "r", "--convolution", "winograd", "--device", "cuda", "--backbone"]);
    on_cuda.args([&backbone]).code(2).says(&["runs on the CPU only"]);
}

#[test]
fn the_batch_size_does_not_change_features_beyond_rounding() {
    let dir = Dir::new();
    dir.shapes("r", 70, 10);
    let backbone = demo_backbone();
    for batch in ["1", "7", "32"] {
        dir.feature_extract()
            .args(["--run", "r", "--out", batch, "--batch", batch, "--backbone"])
            .args([&backbone])
            .code(0);
    }
    let one = values(&dir, "1").0;
    for batch in ["7", "32"] {
        let other = values(&dir, batch).0;
        let worst = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "batch {batch} differs by {worst}");
    }
}

#[test]
fn random_weights_depend_on_the_seed_and_on_nothing_else() {
    let dir = Dir::new();
    dir.shapes("r", 64, 8);
    let backbone = demo_backbone();
    for (out, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let args = ["--run", "r", "--weights", "random", "--seed", seed, "--out", out, "--backbone"];
        dir.feature_extract().args(args).args([&backbone]).code(0);
    }
    assert_eq!(dir.contents("a"), dir.contents("b"));
    assert_ne!(values(&dir, "a").0, values(&dir, "c").0);
}

#[test]
fn list_shows_the_candidates_and_marks_the_choice() {
    let dir = Dir::new();
    let text = dir.feature_extract().args(["--list", "--backbone"]).args([demo_backbone()]).code(0).stdout();
    let classifier = Model::read(demo_backbone()).unwrap().find_classifier().unwrap();
    assert!(text.lines().any(|l| l.starts_with("* ") && l.contains(&classifier.feature)), "{text}");
}
