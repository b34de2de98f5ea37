//! A scratch folder and a program run in it, which on failure shows everything there is to see.

use std::fmt::Write;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use arrow_array::RecordBatch;
use rustix::pty::{self, OpenptFlags};
use serde_json::Value;

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// The network that ships with the repository.
pub(crate) fn demo_backbone() -> PathBuf {
    repository().join("data/demo/backbone.onnx")
}

/// The language model that ships with the repository.
pub(crate) fn demo_lm() -> PathBuf {
    repository().join("data/demo/lm")
}

/// A scratch folder, removed at the end.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A pipe that nobody writes to: opening it would not end.
    pub(crate) fn pipe(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// A small picture whose colour tells its number.
    pub(crate) fn picture(&self, relative: &str, number: u8) -> PathBuf {
        let side = 8;
        let pixels = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([number, (x * 30) as u8, (y * 30) as u8]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        self.write(relative, bytes.into_inner())
    }

    fn command(&self, program: &str) -> Run<'_> {
        let mut command = Command::new(program);
        command.current_dir(self.0.path());
        for name in ["RUN", "SEED", "THREADS", "DEVICE", "CUDA_LIBS"] {
            command.env_remove(format!("HEADSTART_{name}"));
        }
        // The programs see to the second by themselves; cargo sets it for tests that load the runtime in their own process.
        command.env_remove("ORT_DYLIB_PATH").env_remove("ORT_DISABLE_TELEMETRY");
        // No test asks a hub that it did not start itself, nor the cache of whoever runs it.
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "SSL_CERT_FILE"] {
            command.env_remove(name);
        }
        command.env("HF_HOME", self.path("hf")).env("HF_ENDPOINT", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
        Run { dir: self, command }
    }

    pub(crate) fn data_prep(&self) -> Run<'_> {
        self.command(env!("CARGO_BIN_EXE_e2e-data-prep"))
    }

    pub(crate) fn feature_extract(&self) -> Run<'_> {
        self.command(env!("CARGO_BIN_EXE_e2e-feature-extract"))
    }

    pub(crate) fn head_train(&self) -> Run<'_> {
        self.command(env!("CARGO_BIN_EXE_e2e-head-train"))
    }

    pub(crate) fn classify(&self) -> Run<'_> {
        self.command(env!("CARGO_BIN_EXE_e2e-classify"))
    }

    pub(crate) fn generate(&self) -> Run<'_> {
        self.command(env!("CARGO_BIN_EXE_e2e-generate"))
    }

    pub(crate) fn headstart(&self) -> Run<'_> {
        self.command(env!("CARGO_BIN_EXE_e2e-headstart"))
    }

    /// Shapes in `run/examples`: the smallest real input of the other stages.
    pub(crate) fn shapes(&self, run: &str, train: usize, test: usize) {
        let rows = format!("train={train},test={test}");
        self.data_prep().args(["--format", "shapes", "--rows", &rows, "--part-rows", "64", "--run", run]).code(0);
    }

    /// All files below a folder, with their bytes, hidden ones left out.
    pub(crate) fn contents(&self, relative: &str) -> Vec<(String, Vec<u8>)> {
        let folder = self.path(relative);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|e| e.unwrap().path())
            .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&p).unwrap()))
            .collect();
        files.sort();
        files
    }
}

/// A program about to be run.
pub(crate) struct Run<'a> {
    dir: &'a Dir,
    command: Command,
}

impl Run<'_> {
    pub(crate) fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Runs to the end and checks the exit code.
    pub(crate) fn code(mut self, expected: i32) -> Ran {
        let output = self.command.stdin(Stdio::null()).output().unwrap();
        let ran = Ran { shown: self.show(&output), output };
        assert_eq!(ran.output.status.code(), Some(expected), "exit code\n{}", ran.shown);
        assert!(!ran.shown.contains("panicked"), "a panic\n{}", ran.shown);
        ran
    }

    /// The same program with the same arguments, started by another one.
    pub(crate) fn under(mut self, wrapper: &[&str]) -> Self {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.command.get_program()).args(self.command.get_args());
        command.current_dir(self.dir.0.path());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.command = command;
        self
    }

    /// Runs to whatever end.
    pub(crate) fn ended(mut self) -> std::process::ExitStatus {
        self.command.stdin(Stdio::null()).output().unwrap().status
    }

    /// Runs until a failpoint kills it, and says whether one did; a run that ends must end well.
    pub(crate) fn killed(mut self) -> bool {
        let output = self.command.stdin(Stdio::null()).output().unwrap();
        let is_killed = output.status.signal() == Some(9);
        assert!(is_killed || output.status.success(), "{}", self.show(&output));
        is_killed
    }

    /// Runs to the end with a terminal as stdout, and gives what a person would see there.
    pub(crate) fn on_a_terminal(mut self) -> String {
        let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&terminal).unwrap();
        pty::unlockpt(&terminal).unwrap();
        let name = pty::ptsname(&terminal, Vec::new()).unwrap();
        let screen = fs::File::options().write(true).open(Path::new(name.to_str().unwrap())).unwrap();
        let mut child = self.command.stdin(Stdio::null()).stdout(screen).stderr(Stdio::null()).spawn().unwrap();
        // The program's end of the terminal is open here too, until the command goes.
        drop(self.command);
        let mut shown = Vec::new();
        let mut buffer = [0; 4096];
        // A terminal that nobody writes to any more is an error (EIO), not an end.
        while let Ok(n) = rustix::io::read(&terminal, &mut buffer) {
            shown.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(child.wait().unwrap().code(), Some(0));
        String::from_utf8(shown).unwrap().replace("\r\n", "\n")
    }

    /// Starts it; what it says can be read when it has ended.
    pub(crate) fn start(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts it with a pipe as stdin, which the caller fills and closes.
    pub(crate) fn fed(mut self) -> Child {
        self.command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn show(&self, output: &Output) -> String {
        let mut text = format!("command: {:?}\nstatus: {}\n", self.command, output.status);
        let _ = write!(
            text,
            "stdout:\n{}\nstderr:\n{}\n",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let mut listing = Vec::new();
        list(self.dir.0.path(), &mut listing);
        listing.sort();
        let _ = write!(text, "files:\n{}", listing.join("\n"));
        text
    }
}

/// A manifest that someone changed and vouches for all the same: with the digest of its own bytes at its end.
pub(crate) fn sealed(mut manifest: Value) -> String {
    manifest.as_object_mut().unwrap().remove("blake3");
    let text = serde_json::to_string_pretty(&manifest).unwrap();
    let body = text.strip_suffix("\n}").unwrap();
    let with = |digest: &str| format!("{body},\n  \"blake3\": \"{digest}\"\n}}\n");
    with(artifact::Digest::of(with("").as_bytes()).as_str())
}

/// A Parquet file beside an artifact's parts.
pub(crate) fn table(folder: &Path, file: &str) -> Vec<RecordBatch> {
    artifact::decode_parquet(fs::read(folder.join(file)).unwrap(), &folder.join(file)).unwrap()
}

fn list(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, into);
        } else {
            into.push(format!("  {} ({} bytes)", path.display(), entry.metadata().map_or(0, |m| m.len())));
        }
    }
}

/// A program that has run.
pub(crate) struct Ran {
    output: Output,
    shown: String,
}

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|e| panic!("stdout is not one JSON object: {e}\n{}", self.shown))
    }

    /// Checks that stderr says all of these.
    pub(crate) fn says(self, all: &[&str]) -> Self {
        let stderr = String::from_utf8_lossy(&self.output.stderr).into_owned();
        for text in all {
            assert!(stderr.contains(text), "stderr does not say {text:?}\n{}", self.shown);
        }
        self
    }

    /// Checks that stderr does not say this.
    pub(crate) fn does_not_say(&self, text: &str) {
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        assert!(!stderr.contains(text), "stderr says {text:?}\n{}", self.shown);
    }
}
