//! What a person meets at the command line: precedence, suggestions, JSON, dry runs, the runtime.

use crate::program::{Dir, demo_backbone};

#[test]
fn flag_over_environment_over_file_over_default() {
    let dir = Dir::new();
    dir.write("p.toml", "seed = 3\n[data-prep]\nformat = \"shapes\"\nrows = \"train=100,test=50\"\n");
    let seed = |args: &[&str], env: Option<&str>| {
        let run = dir.data_prep().args(["--pipeline", "p.toml"]).args(args);
        let run = if let Some(seed) = env { run.env("HEADSTART_SEED", seed) } else { run };
        run.code(0);
        let bytes = std::fs::read(dir.path("runs/p/examples/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        manifest["config"].to_string()
    };
    let is = |config: &str, seed: u64| {
        assert!(config.contains(&format!("\"seed\":{seed}")), "expected seed {seed} in {config}");
    };
    is(&seed(&[], None), 3);
    is(&seed(&[], Some("4")), 4);
    is(&seed(&["--seed", "5"], Some("4")), 5);
    is(&seed(&["--set", "seed=6"], None), 6);
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let dir = Dir::new();
    dir.write("p.toml", "[data-prep]\nformt = \"shapes\"\n");
    dir.data_prep()
        .args(["--pipeline", "p.toml"])
        .code(2)
        .says(&["unknown key `formt`; did you mean `format`?", "p.toml, [data-prep]"]);
    dir.data_prep().args(["--set", "sise=3"]).code(2).says(&["did you mean `size`?"]);
    dir.data_prep().args(["--formt", "shapes"]).code(2).says(&["--format"]);
    dir.head_train().args(["--pipeline", "absent.toml"]).code(66).says(&["cannot read pipeline file absent.toml"]);
    dir.write("bad.toml", "[head-train]\nepochs = \"many\"\n");
    dir.head_train().args(["--pipeline", "bad.toml"]).code(2).says(&["bad.toml, [head-train]", "invalid value 'many'"]);
    dir.write("broken.toml", "[head-train\n");
    dir.head_train().args(["--pipeline", "broken.toml"]).code(2).says(&["broken.toml"]);
}

#[test]
fn json_is_one_object_on_stdout_also_for_errors() {
    let dir = Dir::new();
    let json = dir
        .data_prep()
        .args(["--format", "shapes", "--rows", "train=60,test=20", "--run", "r", "--json"])
        .code(0)
        .json();
    assert_eq!(json["rows"], 80);
    assert_eq!(json["stage"], "data-prep");
    let json = dir.head_train().args(["--run", "r", "--json"]).code(66).json();
    assert_eq!(json["exit"], 66);
    assert!(json["error"].as_str().unwrap().contains("run feature-extract to make it"), "{json}");
}

#[test]
fn a_dry_run_does_nothing() {
    let dir = Dir::new();
    let shapes = ["--format", "shapes", "--rows", "train=60,test=20", "--run", "r", "--dry-run"];
    let said = dir.data_prep().args(shapes).code(0).stdout();
    assert!(said.contains("would make"), "{said}");
    assert!(!dir.path("r/examples").exists() && !dir.path("r/examples.building").exists());
}

#[test]
fn a_gate_fails_with_one_and_keeps_the_head() {
    let dir = Dir::new();
    dir.shapes("r", 200, 60);
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
    dir.head_train().args(["--epochs", "1", "--min-accuracy", "99%", "--run", "r"]).code(1);
    assert!(dir.path("r/head/head.safetensors").is_file());
    dir.head_train().args(["--epochs", "1", "--min-accuracy", "1%", "--run", "r"]).code(0).says(&["up to date"]);
}

#[test]
fn a_missing_or_unusable_runtime_is_69_and_says_what_to_run() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    let backbone = demo_backbone().display().to_string();
    let extract = |library: &str| {
        dir.feature_extract().args(["--backbone", &backbone, "--run", "r"]).env("ORT_DYLIB_PATH", library)
    };
    extract("absent/libonnxruntime.so").code(69).says(&["just setup", "ORT_DYLIB_PATH", "absent/libonnxruntime.so"]);
    let text = dir.write("libonnxruntime.so", "not a library");
    extract(&text.display().to_string()).code(69).says(&["just setup", "cannot be used"]);
}

/// Microsoft's builds of the runtime keep an identifier of the machine there, and report their start.
#[test]
fn the_runtime_leaves_nothing_in_the_home_folder() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    std::fs::create_dir(dir.path("home")).unwrap();
    let extract = || {
        let extract = dir.feature_extract().args(["--backbone", &demo_backbone().display().to_string(), "--run", "r"]);
        // It keeps quiet by itself where it believes to be in a test.
        ["CI", "GITHUB_ACTIONS", "TF_BUILD", "XDG_CACHE_HOME"]
            .iter()
            .fold(extract, |extract, name| extract.without(name))
    };
    extract().env("HOME", dir.path("home")).code(0);
    // A value of nothing is none.
    extract().env("HOME", dir.path("home")).env("ORT_DISABLE_TELEMETRY", "").args(["--overwrite"]).code(0);
    assert_eq!(std::fs::read_dir(dir.path("home")).unwrap().count(), 0);
}

/// As bundles do that bring their own libraries: the loader is then the program that runs.
#[test]
fn a_program_can_be_started_by_the_dynamic_loader() {
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loader = loaders.into_iter().find(|path| std::path::Path::new(path).exists()).expect("there is a glibc");
    let dir = Dir::new();
    for (program, name) in [(dir.feature_extract(), "feature-extract"), (dir.generate(), "generate")] {
        let said = program.args(["--version"]).under(&[loader]).code(0).stdout();
        assert!(said.starts_with(name), "{said}");
    }
}

#[test]
fn fault_07_cuda_that_is_not_there_is_69_and_auto_says_what_it_took() {
    let dir = Dir::new();
    dir.shapes("r", 60, 20);
    let backbone = demo_backbone().display().to_string();
    let extract =
        |device: &str| dir.feature_extract().args(["--backbone", &backbone, "--run", "r", "--device", device]);
    // The library that `just setup` fetches has no CUDA provider, on any machine.
    extract("cuda").code(69).says(&["cuda:0 is not available", "--device cpu"]);
    extract("cuda:1").code(69).says(&["cuda:1"]);
    extract("gpu").code(2).says(&["expected auto, cpu, cuda or cuda:N"]);
    extract("auto").code(0).says(&["on cpu"]);
}

#[test]
fn fault_29_a_reader_that_goes_away_is_no_error() {
    let dir = Dir::new();
    let program = env!("CARGO_BIN_EXE_e2e-data-prep");
    let script =
        format!("'{program}' --format shapes --rows train=60,test=20 --run r --json | true; exit ${{PIPESTATUS[0]}}");
    let status = std::process::Command::new("bash").args(["-c", &script]).current_dir(dir.path(".")).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_result_that_cannot_be_written_is_74() {
    let dir = Dir::new();
    let program = env!("CARGO_BIN_EXE_e2e-data-prep");
    let script = format!("'{program}' --format shapes --rows train=60,test=20 --run r --json >/dev/full");
    let output = std::process::Command::new("bash").args(["-c", &script]).current_dir(dir.path(".")).output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_baseline_may_replace_an_option_by_one_that_excludes_it() {
    let dir = Dir::new();
    dir.write(
        "p.toml",
        "run = \"r\"\n[head-train]\nlr = [0.1, 0.3]\nepochs = 2\n[baseline.slow.head-train]\nraw-lr = 0.001\n",
    );
    dir.shapes("r", 200, 60);
    dir.feature_extract().args(["--backbone", "pixels", "--run", "r"]).code(0);
    let shown = dir.head_train().args(["--pipeline", "p.toml"]).code(0).stdout();
    assert!(shown.contains("slow"), "{shown}");
    let chosen = std::fs::read_to_string(dir.path("r/baseline/slow/head/metrics.json")).unwrap();
    assert!(chosen.contains("\"raw_lr\": 0.001"), "{chosen}");
    // The same holds for what is typed over what stands in the file.
    dir.head_train().args(["--pipeline", "p.toml", "--raw-lr", "0.01", "--out", "h"]).code(0);
}

#[test]
fn check_reads_everything_and_does_nothing() {
    let dir = Dir::new();
    dir.write("p.toml", "[data-prep]\nformat = \"shapes\"\n[head-train]\nepochs = \"many\"\n");
    dir.data_prep().args(["--pipeline", "p.toml", "--check"]).code(0);
    assert!(!dir.path("runs").exists());
    dir.head_train().args(["--pipeline", "p.toml", "--check"]).code(2).says(&["invalid value 'many'"]);
    // Values that do not go together, too, wherever in the file they are.
    let baseline =
        "[feature-extract]\nbackbone = \"b.onnx\"\nconvolution = \"winograd\"\n[baseline.small.feature-extract]\n";
    dir.write("p.toml", format!("{baseline}precision = \"int8\"\n"));
    let said = ["baseline small: --convolution winograd is for float32", "leave it out"];
    dir.feature_extract().args(["--pipeline", "p.toml", "--check"]).code(2).says(&said);
    dir.write("p.toml", format!("{baseline}precision = \"int8\"\nconvolution = \"runtime\"\n"));
    dir.feature_extract().args(["--pipeline", "p.toml", "--check"]).code(0);
}

#[test]
fn settings_that_cannot_be_are_2_before_anything_is_read() {
    let dir = Dir::new();
    for wrong in [
        ["--epochs", "0"],
        ["--batch", "0"],
        ["--lr", "nan"],
        ["--momentum", "1"],
        ["--patience", "0"],
        ["--validation", "1"],
        ["--lr", "-1"],
    ] {
        dir.head_train().args(wrong).args(["--run", "r"]).code(2);
    }
    dir.write("p.toml", "[data-prep]\nmax-bad = 1.0\nformat = \"shapes\"\nrows = \"train=60,test=20\"\n");
    dir.data_prep().args(["--pipeline", "p.toml", "--set", "=1"]).code(2).says(&["KEY=VALUE"]);
    dir.data_prep().args(["--pipeline", "p.toml", "--set", "run=5"]).code(2);
}
