//! Which files hold the texts, of which kind they are, and stdin as one of them.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use artifact::Digest;
use stage::{Exit, say, special_file, wait_for};

use crate::args::InputPath;
use crate::source::files::{extension, find, materials};
use crate::source::{Material, check_exists};
use crate::text::settings::{Form, Kind, Settings};

/// A file to read and what its rows are called after.
pub(crate) struct Opened {
    /// As messages name it.
    pub(crate) shown: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

/// Finds and opens what the settings name, all of one kind.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<(Kind, Vec<Opened>, Vec<Material>)> {
    if let Form::Stdin(kind) = settings.form {
        let (file, digest) = read_stdin()?;
        let opened = Opened { shown: "stdin".into(), name: "stdin".into(), path: "stdin".into(), file };
        return Ok((kind, vec![opened], vec![Material::Stdin { digest }]));
    }
    let streamed = |input: &InputPath, e: anyhow::Error| match special_file(&input.path) {
        Some(_) => Exit::BadData.error(format!("{e}; or let it come on stdin, with --input -")),
        None => e,
    };
    settings.inputs.iter().try_for_each(|input| check_exists(input).map_err(|e| streamed(input, e)))?;
    // A folder may hold other things than texts; a file that is named is one, whatever its name.
    let known = if let Form::Known(kind) = settings.form { Some(kind) } else { None };
    let is_wanted = |name: &str| match (known, extension(Path::new(name)).as_str()) {
        (None, end) => matches!(end, "txt" | "jsonl" | "ndjson" | "parquet"),
        (Some(Kind::Lines), _) => true,
        (Some(kind), _) => by_name(Path::new(name)) == kind,
    };
    let files = find(&settings.inputs, is_wanted)?;
    if let Some(other) = files.iter().map(|f| &f.path).find(|p| known.is_none() && is_something_else(p)) {
        return Err(Exit::Usage.error(format!(
            "--input {}: by its name this is neither lines, JSON lines nor Parquet, and its lines would become prompts as they \
             stand; make one of these of it, or say --format lines",
            other.display()
        )));
    }
    let mut kinds = files.iter().map(|f| (known.unwrap_or_else(|| by_name(&f.path)), &f.path));
    let (kind, first) = kinds.next().ok_or_else(|| {
        let typed: Vec<_> = settings.inputs.iter().map(|i| i.typed.as_str()).collect();
        let expected = "looked for .txt, .jsonl, .ndjson and .parquet; --format names another kind of source";
        Exit::BadData.error(format!("no texts found in {} ({expected})", typed.join(", ")))
    })?;
    if let Some((other, path)) = kinds.find(|(other, _)| *other != kind) {
        return Err(Exit::Usage.error(format!(
            "inputs of different kinds: {} looks like {} and {} like {}; prepare them apart, or name one --format",
            first.display(),
            kind.name(),
            path.display(),
            other.name()
        )));
    }
    let materials = materials(&settings.inputs, &files);
    let opened = files.into_iter().map(|source| {
        let shown = source.path.display().to_string();
        let file = File::open(&source.path).with_context(|| format!("cannot open {shown}"))?;
        Ok(Opened { shown, name: source.name, path: source.path, file })
    });
    Ok((kind, opened.collect::<anyhow::Result<_>>()?, materials))
}

/// Whether a file's name says that its lines are no texts: tables, documents, archives.
fn is_something_else(path: &Path) -> bool {
    const ENDINGS: [&str; 16] = [
        "csv", "tsv", "json", "arrow", "feather", "gz", "zst", "bz2", "xz", "zip", "tar", "xlsx", "pdf", "docx",
        "html", "onnx",
    ];
    ENDINGS.contains(&extension(path).as_str())
}

/// The kind that a file's name shows.
fn by_name(path: &Path) -> Kind {
    match extension(path).as_str() {
        "jsonl" | "ndjson" => Kind::Jsonl,
        "parquet" => Kind::Parquet,
        _ => Kind::Lines,
    }
}

/// All of stdin in a temporary file without a name, since it is read more than once.
fn read_stdin() -> anyhow::Result<(File, Digest)> {
    let mut stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        say("reading prompts from the terminal, one a line; Ctrl-D ends them");
    }
    let cannot_keep = "cannot keep stdin in a temporary file";
    let mut file = tempfile::tempfile().context(cannot_keep)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        wait_for(&stdin).context("cannot wait for stdin")?;
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => file.write_all(&buffer[..n]).context(cannot_keep)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e).context("cannot read stdin"),
        }
    }
    file.rewind().context(cannot_keep)?;
    let digest = Digest::of_reader(&file).context(cannot_keep)?;
    Ok((file, digest))
}
