//! Opening a committed artifact and reading from it what its manifest vouches for.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use crate::journal::BuildFolder;
use crate::manifest::{FILE_NAME, Manifest};
use crate::parquet_file::decode;
use crate::{Digest, Error, Kind, Result};

/// A committed artifact.
#[derive(Debug, Clone)]
pub struct Artifact {
    folder: PathBuf,
    manifest: Manifest,
}

impl Artifact {
    /// Opens the artifact at `folder`, which must be of the given kind.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Incomplete`] when there is nothing committed there,
    /// [`Error::WrongKind`] and [`Error::Malformed`] when it is something else.
    pub fn open(folder: &Path, kind: Kind) -> Result<Self> {
        let Some(artifact) = Self::find(folder)? else { return Err(absent(folder, kind)) };
        if artifact.manifest.kind != kind {
            return Err(Error::WrongKind {
                path: folder.to_path_buf(),
                expected: kind.to_string(),
                found: artifact.manifest.kind.to_string(),
            });
        }
        Ok(artifact)
    }

    /// The artifact at `folder`, of whatever kind; nothing where none is committed.
    ///
    /// # Errors
    /// [`Error::Malformed`] when its manifest cannot be understood.
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        if !folder.join(FILE_NAME).is_file() {
            return Ok(None);
        }
        Ok(Some(Self { folder: folder.to_path_buf(), manifest: Manifest::read(folder)? }))
    }

    /// How many parts an interrupted build of `folder` has finished; nothing if there is no such build.
    ///
    /// # Errors
    /// [`Error::Io`] when its journal cannot be read.
    pub fn unfinished(folder: &Path) -> Result<Option<usize>> {
        let building = BuildFolder::of(folder);
        if !building.root.is_dir() {
            return Ok(None);
        }
        let mut files: Vec<_> = building.journal().read()?.into_iter().map(|line| line.part.file).collect();
        files.sort();
        files.dedup();
        Ok(Some(files.len()))
    }

    pub(crate) fn new(folder: PathBuf, manifest: Manifest) -> Self {
        Self { folder, manifest }
    }

    /// The artifact's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it consists of.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of part `index`.
    #[must_use]
    pub fn part_path(&self, index: usize) -> PathBuf {
        self.folder.join(&self.manifest.parts[index].file)
    }

    /// Reads part `index` after its size and digest were found to be those of the manifest.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they differ, [`Error::Replaced`] when a newer artifact took the
    /// place of this one.
    pub fn read_part(&self, index: usize) -> Result<Vec<RecordBatch>> {
        let part = &self.manifest.parts[index];
        let bytes = self.read_checked(&part.file, part.bytes, &part.blake3)?;
        let path = self.part_path(index);
        let batches = decode(bytes, &path)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows as u64 != part.rows {
            return Err(Error::malformed(&path, format!("rows: expected {}, found {rows}", part.rows)));
        }
        Ok(batches)
    }

    /// Reads the bytes of part `index` into `buffer`, in place of what is in it, checked as in [`Artifact::read_part`].
    ///
    /// # Errors
    /// As [`Artifact::read_part`].
    pub fn read_part_bytes(&self, index: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let part = &self.manifest.parts[index];
        self.read_checked_into(&part.file, part.bytes, &part.blake3, buffer)
    }

    /// Reads a file that is no part, checked in the same way.
    ///
    /// # Errors
    /// As [`Artifact::read_part`]; [`Error::Malformed`] when the manifest names no such file.
    pub fn read_file(&self, name: &str) -> Result<Vec<u8>> {
        let entry = self.manifest.files.iter().find(|f| f.file == name);
        let entry =
            entry.ok_or_else(|| Error::malformed(&self.folder, format!("the manifest names no file {name}")))?;
        self.read_checked(&entry.file, entry.bytes, &entry.blake3)
    }

    /// Reads every file once and compares it with the manifest.
    ///
    /// # Errors
    /// [`Error::Damaged`] for the first that differs.
    pub fn verify(&self) -> Result<()> {
        let parts = self.manifest.parts.iter().map(|p| (&p.file, p.bytes, &p.blake3));
        let files = self.manifest.files.iter().map(|f| (&f.file, f.bytes, &f.blake3));
        parts.chain(files).try_for_each(|(file, bytes, digest)| self.read_checked(file, bytes, digest).map(drop))
    }

    /// As [`Artifact::verify`], but goes on after a file that differs, and holds none in memory.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read; those that differ are what is returned.
    pub fn damages(&self) -> Result<Vec<Error>> {
        let parts = self.manifest.parts.iter().map(|p| (&p.file, p.bytes, &p.blake3));
        let files = self.manifest.files.iter().map(|f| (&f.file, f.bytes, &f.blake3));
        let mut found = Vec::new();
        for (file, bytes, digest) in parts.chain(files) {
            let path = self.folder.join(file);
            match fs::metadata(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    found.push(self.differs(path, "file", file.to_string(), "nothing".to_string()));
                    continue;
                }
                Err(e) => return Err(Error::io("read", &path)(e)),
                Ok(metadata) if metadata.len() != bytes => {
                    let there = format!("{} bytes", metadata.len());
                    found.push(self.differs(path, "size", format!("{bytes} bytes"), there));
                    continue;
                }
                Ok(_) => {}
            }
            let there = Digest::of_file(&path)?;
            if there != *digest {
                found.push(self.differs(path, "BLAKE3", digest.to_string(), there.to_string()));
            }
        }
        Ok(found)
    }

    fn read_checked(&self, file: &str, bytes: u64, digest: &Digest) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.read_checked_into(file, bytes, digest, &mut content)?;
        Ok(content)
    }

    fn read_checked_into(&self, file: &str, bytes: u64, digest: &Digest, content: &mut Vec<u8>) -> Result<()> {
        let path = self.folder.join(file);
        let differ = |found: u64| (format!("{bytes} bytes"), format!("{found} bytes"));
        match fs::metadata(&path) {
            // Opening a pipe would wait for whoever writes into it.
            Ok(metadata) if !metadata.is_file() => {
                return Err(self.differs(path, "file", "a file".to_string(), "a folder, pipe or device".to_string()));
            }
            // Before it is read: it may be larger than memory.
            Ok(metadata) if metadata.len() != bytes => {
                let (expected, found) = differ(metadata.len());
                return Err(self.differs(path, "size", expected, found));
            }
            _ => {}
        }
        content.clear();
        match fs::File::open(&path).and_then(|mut file| read_whole(&mut file, content)) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.differs(path, "file", file.to_string(), "nothing".to_string()));
            }
            Err(e) => return Err(Error::io("read", &path)(e)),
        }
        if content.len() as u64 != bytes {
            let (expected, found) = differ(content.len() as u64);
            return Err(self.differs(path, "size", expected, found));
        }
        let found = Digest::of(content);
        if found != *digest {
            return Err(self.differs(path, "BLAKE3", digest.to_string(), found.to_string()));
        }
        Ok(())
    }

    /// Tells a damaged file from one that belongs to an artifact committed since.
    fn differs(&self, path: PathBuf, what: &'static str, expected: String, found: String) -> Error {
        match Manifest::read(&self.folder) {
            Ok(now) if now != self.manifest => Error::Replaced { path: self.folder.clone() },
            _ => Error::Damaged { path, what, expected, found, stage: self.manifest.stage.clone() },
        }
    }
}

/// As `fs::read`: with room for the size that the file has at the moment, for one system call and not dozens.
fn read_whole(file: &mut fs::File, into: &mut Vec<u8>) -> std::io::Result<()> {
    let size = file.metadata()?.len();
    into.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))?;
    file.read_to_end(into).map(drop)
}

fn absent(folder: &Path, kind: Kind) -> Error {
    let incomplete =
        |detail: String| Error::Incomplete { path: folder.to_path_buf(), detail, stage: kind.stage().to_string() };
    let building = BuildFolder::of(folder);
    if building.root.is_dir() {
        let n = building.journal().read().map_or(0, |lines| lines.len());
        return incomplete(format!("{n} parts are finished in {}", building.root.display()));
    }
    if folder.is_dir() {
        return incomplete(format!("it has no {FILE_NAME}"));
    }
    Error::Missing { kind: kind.to_string(), path: folder.to_path_buf(), stage: kind.stage() }
}
