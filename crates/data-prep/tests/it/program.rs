//! A folder to work in, the program run in it, and its artifact read back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use artifact::{Artifact, ExamplePart, ExamplesFacts, Kind, Split};
use serde_json::Value;

/// A temporary folder, removed at the end.
pub(crate) struct Dir(tempfile::TempDir);

/// One row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) split: Split,
    pub(crate) label: Option<i32>,
    pub(crate) pixels: Vec<u8>,
}

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and the folders above it.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs `data-prep ARGS --run run` in the folder.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_data-prep"));
        command.current_dir(self.path()).env_remove("HEADSTART_RUN").args(args).args(["--run", "run"]);
        command.output().unwrap()
    }

    /// Runs it as [`Dir::run`] does, with this on stdin.
    pub(crate) fn run_on(&self, stdin: impl AsRef<[u8]>, args: &[&str]) -> Output {
        let input = self.file(".stdin", stdin);
        let mut command = Command::new(env!("CARGO_BIN_EXE_data-prep"));
        command.current_dir(self.path()).env_remove("HEADSTART_RUN").args(args).args(["--run", "run"]);
        command.stdin(fs::File::open(input).unwrap()).output().unwrap()
    }

    /// Runs it and expects success; the JSON report.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs it and expects this exit code; what it says.
    pub(crate) fn fails(&self, exit: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {message}");
        let is_there = |name: &str| self.path().join("run").join(name).exists();
        assert!(!is_there("examples") && !is_there("prompts"), "{args:?} failed and committed");
        message
    }

    pub(crate) fn artifact(&self) -> Artifact {
        Artifact::open(&self.path().join("run/examples"), Kind::Examples).unwrap()
    }

    pub(crate) fn facts(&self) -> ExamplesFacts {
        let artifact = self.artifact();
        artifact.manifest().facts_as(artifact.folder()).unwrap()
    }

    /// All rows, in the order of the parts.
    pub(crate) fn rows(&self) -> Vec<Stored> {
        let (artifact, facts) = (self.artifact(), self.facts());
        let bytes = (facts.height * facts.width * 3) as usize;
        let mut rows = Vec::new();
        for (i, entry) in artifact.manifest().parts.iter().enumerate() {
            let part =
                ExamplePart::from_batches(&artifact.read_part(i).unwrap(), &facts, &artifact.part_path(i)).unwrap();
            let pixels = part.pixels.chunks(bytes).map(<[u8]>::to_vec);
            for ((id, label), pixels) in part.ids.into_iter().zip(part.labels).zip(pixels) {
                rows.push(Stored { id, split: entry.split.unwrap(), label, pixels });
            }
        }
        rows
    }

    /// Ids, in the order of the parts.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.rows().into_iter().map(|r| r.id).collect()
    }

    /// `(id, reason)` of every reject.
    pub(crate) fn rejects(&self) -> Vec<(String, String)> {
        rejects_of(&self.artifact())
    }

    /// Every file of the artifact with its bytes.
    pub(crate) fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        self.bytes_of("run/examples")
    }

    /// Every file of a folder with its bytes.
    pub(crate) fn bytes_of(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.path().join(folder))
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).unwrap()))
            .collect();
        files.sort();
        files
    }
}

/// `(id, reason)` of every reject of an artifact.
pub(crate) fn rejects_of(artifact: &Artifact) -> Vec<(String, String)> {
    use arrow_array::cast::AsArray;
    let bytes = artifact.read_file("rejects.parquet").unwrap();
    let batches = artifact::decode_parquet(bytes, Path::new("rejects.parquet")).unwrap();
    let text = |b: &arrow_array::RecordBatch, c: usize, r: usize| b.column(c).as_string::<i32>().value(r).to_string();
    batches.iter().flat_map(|b| (0..b.num_rows()).map(|r| (text(b, 0, r), text(b, 2, r)))).collect()
}

/// A PNG of one colour that differs for every `n`.
pub(crate) fn png(n: u8, height: u32, width: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb(colour(n)));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The colour of [`png`] `n`.
pub(crate) fn colour(n: u8) -> [u8; 3] {
    [n, n.wrapping_mul(7), 255 - n]
}

/// Whether stored pixels are those of [`png`] `n`.
pub(crate) fn is_png(n: u8, pixels: &[u8]) -> bool {
    !pixels.is_empty() && pixels.chunks(3).all(|p| p == colour(n))
}
