//! Making an artifact: plan, resume, write parts, commit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use serde_json::Value;

use crate::encode::{encode, encode_to};
use crate::failpoints::failpoint;
use crate::journal::{BuildFolder, Line};
use crate::lock::Lock;
use crate::manifest::{FILE_NAME, FileEntry, Manifest};
use crate::parquet_file::decode;
use crate::publish::{Written, stream_atomically, swap_into_place, sync_folder, write_atomically};
use crate::standing::{current, finished_parts, is_whole, reasons, refuse_others};
use crate::{Artifact, Error, FORMAT_VERSION, Fingerprint, Input, Kind, PartEntry, Reject, Result, Split, reject};

/// One part that an artifact will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartPlan {
    /// File name, such as `train-00003.parquet`.
    pub file: String,
    /// Split of all its rows, in artifacts that have splits.
    pub split: Option<Split>,
}

impl PartPlan {
    /// Part `index` of a split.
    #[must_use]
    pub fn new(split: Split, index: usize) -> Self {
        Self { file: format!("{split}-{index:05}.parquet"), split: Some(split) }
    }

    /// Part `index` of an artifact without splits.
    #[must_use]
    pub fn unsplit(index: usize) -> Self {
        Self { file: format!("part-{index:05}.parquet"), split: None }
    }
}

/// Everything that is known of an artifact before any of it is made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it will hold.
    pub kind: Kind,
    /// Every setting that can change a byte of it, resolved.
    pub config: Value,
    /// What it is made from.
    pub inputs: Vec<Input>,
    /// Its parts, in order.
    pub parts: Vec<PartPlan>,
}

impl Plan {
    /// The fingerprint that an artifact made to this plan has.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let inputs: Vec<_> = self.inputs.iter().map(|i| i.digest.clone()).collect();
        Fingerprint::new(self.kind.stage(), &self.config, &inputs)
    }
}

/// What of an artifact made to the same plan counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redo {
    /// Files that are there and have the recorded size: a look that costs nothing.
    Missing,
    /// Files whose bytes also have the recorded digest: everything is read once.
    Damaged,
    /// Nothing of an artifact that is there, but what an interrupted build to the same plan has finished: it is made once more
    /// for a reason that no setting shows.
    OnceMore,
    /// Nothing. An artifact whose manifest cannot be read is replaced too.
    Everything,
}

/// What a build would find, without touching anything.
#[derive(Debug)]
pub struct Preview {
    /// Why what is there does not do; empty if there is nothing.
    pub reasons: Vec<String>,
    /// Parts that an interrupted build has finished.
    pub parts_done: usize,
}

/// What stands at the output's path when a stage starts.
#[derive(Debug)]
pub enum Begin {
    /// An artifact made to this very plan: there is nothing to do.
    UpToDate(Artifact),
    /// Something has to be made.
    Build(Build),
}

/// An artifact that is being made. Dropping it keeps the finished parts for the next run.
#[derive(Debug)]
pub struct Build {
    out: PathBuf,
    folder: BuildFolder,
    plan: Plan,
    fingerprint: Fingerprint,
    done: BTreeMap<String, Line>,
    files: Vec<FileEntry>,
    reasons: Vec<String>,
    discarded: usize,
    _lock: Lock,
}

impl Preview {
    /// Looks at what is at `out`, as [`Build::begin`] will.
    ///
    /// # Errors
    /// [`Error::Occupied`] when something else than an artifact of this kind stands there.
    pub fn of(out: &Path, plan: &Plan, redo: Redo) -> Result<Self> {
        let fingerprint = plan.fingerprint();
        let current = current(out, plan.kind, redo)?;
        let reasons = current.as_ref().map_or(Vec::new(), |artifact| reasons(artifact, plan, redo));
        let folder = BuildFolder::of(out);
        let parts_done = if redo == Redo::Everything { 0 } else { finished_parts(&folder, plan, &fingerprint)?.len() };
        Ok(Self { reasons, parts_done })
    }
}

impl Build {
    /// Looks at what is at `out` and takes the lock if there is something to make.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process writes it, [`Error::Occupied`] when something else
    /// than an artifact of this kind stands there.
    pub fn begin(out: &Path, plan: Plan, redo: Redo) -> Result<Begin> {
        Self::begin_where(out, plan, redo, |_, _, _| Ok(()))
    }

    /// As [`Build::begin`], and discards nothing that was made with other settings.
    ///
    /// # Errors
    /// [`Error::OtherSettings`] where that would be needed; then nothing was touched. Else as [`Build::begin`].
    pub fn resume(out: &Path, plan: Plan, redo: Redo) -> Result<Begin> {
        Self::begin_where(out, plan, redo, refuse_others)
    }

    /// Whether [`Build::resume`] would refuse. Touches nothing.
    ///
    /// # Errors
    /// As [`Build::resume`].
    pub fn check_resume(out: &Path, plan: &Plan, redo: Redo) -> Result<()> {
        let folder = BuildFolder::of(out);
        let refused = refuse_others(current(out, plan.kind, redo)?.as_ref(), &folder, plan);
        if refused.is_err() && folder.root.exists() {
            // Whoever is at work on it comes first: that is a reason to try again, and settings are none.
            drop(Lock::acquire(out)?);
        }
        refused
    }

    /// `may_begin` looks, under the lock, at what stands there.
    fn begin_where(
        out: &Path,
        plan: Plan,
        redo: Redo,
        may_begin: impl Fn(Option<&Artifact>, &BuildFolder, &Plan) -> Result<()>,
    ) -> Result<Begin> {
        let fingerprint = plan.fingerprint();
        let folder = BuildFolder::of(out);
        let current = current(out, plan.kind, redo)?;
        if let Some(artifact) = current.as_ref().filter(|a| is_whole(a, &fingerprint, redo))
            && !folder.root.exists()
        {
            return Ok(Begin::UpToDate(artifact.clone()));
        }
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let lock = Lock::acquire(out)?;

        // Looked at again under the lock: the one who held it may have committed just now.
        let current = crate::standing::current(out, plan.kind, redo)?;
        if let Some(artifact) = current.as_ref().filter(|a| is_whole(a, &fingerprint, redo)) {
            folder.remove()?;
            return Ok(Begin::UpToDate(artifact.clone()));
        }
        may_begin(current.as_ref(), &folder, &plan)?;
        let reasons = current.as_ref().map_or(Vec::new(), |artifact| reasons(artifact, &plan, redo));
        let done =
            if redo == Redo::Everything { BTreeMap::new() } else { finished_parts(&folder, &plan, &fingerprint)? };
        let discarded = if done.is_empty() { folder.journal().read()?.len() } else { 0 };
        if done.is_empty() {
            folder.remove()?;
        }
        let artifact = folder.artifact();
        fs::create_dir_all(&artifact).map_err(Error::io("create", &artifact))?;
        folder.begin(&plan)?;
        sync_folder(parent)?;
        failpoint("begun").map_err(Error::io("create", &artifact))?;
        let build = Self {
            out: out.to_path_buf(),
            folder,
            plan,
            fingerprint,
            done,
            files: Vec::new(),
            reasons,
            discarded,
            _lock: lock,
        };
        Ok(Begin::Build(build))
    }

    /// The artifact at `out`, if it was made to this plan and is whole. Touches nothing.
    ///
    /// # Errors
    /// [`Error::Occupied`] when something else than an artifact of this kind stands there.
    pub fn up_to_date(out: &Path, plan: &Plan, redo: Redo) -> Result<Option<Artifact>> {
        Ok(current(out, plan.kind, redo)?.filter(|artifact| is_whole(artifact, &plan.fingerprint(), redo)))
    }

    /// Removes what a run left that was killed between putting `artifact` in place and its own end. An interrupted build
    /// to another plan stays, as does one that another process is at.
    ///
    /// # Errors
    /// [`Error::Io`], such as no permission.
    pub fn remove_leftovers(artifact: &Artifact) -> Result<()> {
        let folder = BuildFolder::of(artifact.folder());
        if !folder.root.exists() {
            return Ok(());
        }
        let _lock = match Lock::acquire(artifact.folder()) {
            Ok(lock) => lock,
            Err(Error::Locked { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let is_of_it = |line: &Line| line.fingerprint == artifact.manifest().fingerprint;
        if folder.journal().read()?.iter().all(is_of_it) { folder.remove() } else { Ok(()) }
    }

    /// Why the committed artifact at the path does not do, as `key: old → new`; empty if there is none.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Parts of an interrupted build to another plan, which this one could not use and removed.
    #[must_use]
    pub fn discarded(&self) -> usize {
        self.discarded
    }

    /// The plan this build follows.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Indices of the parts that are still to be made, ascending.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        let is_missing = |i: &usize| !self.done.contains_key(&self.plan.parts[*i].file);
        (0..self.plan.parts.len()).filter(is_missing).collect()
    }

    /// Rows and rejects of the parts that are finished.
    #[must_use]
    pub fn finished(&self) -> (u64, u64) {
        let rows = self.done.values().map(|l| l.part.rows).sum();
        (rows, self.done.values().map(|l| l.rejects.len() as u64).sum())
    }

    /// The rejects of finished parts, in the order of the plan.
    pub fn rejects(&self) -> impl Iterator<Item = &Reject> {
        self.plan.parts.iter().filter_map(|p| self.done.get(&p.file)).flat_map(|l| &l.rejects)
    }

    /// Reads part `index`, which must be finished: what the facts count may lie in parts of an earlier run.
    ///
    /// # Errors
    /// [`Error::Bug`] when it is not finished, [`Error::Io`] and [`Error::Malformed`] when it cannot be read.
    pub fn read_part(&self, index: usize) -> Result<Vec<RecordBatch>> {
        let file = &self.plan.parts[index].file;
        if !self.done.contains_key(file) {
            return Err(Error::Bug(format!("part {file} was read before it was made")));
        }
        let path = self.folder.artifact().join(file);
        decode(fs::read(&path).map_err(Error::io("read", &path))?, &path)
    }

    /// Writes part `index` durably.
    ///
    /// # Errors
    /// [`Error::Io`], such as a full disk; the part is then as if it had not been tried.
    pub fn write_part(&mut self, index: usize, batch: &RecordBatch, rejects: Vec<Reject>) -> Result<()> {
        let plan = &self.plan.parts[index];
        let footer = [("headstart.fingerprint", self.fingerprint.as_str()), ("headstart.part", plan.file.as_str())];
        let path = self.folder.artifact().join(&plan.file);
        let Written { bytes, blake3 } = stream_atomically(&path, |sink| encode_to(batch, &footer, sink))?;
        let part =
            PartEntry { file: plan.file.clone(), split: plan.split, rows: batch.num_rows() as u64, bytes, blake3 };
        let line = Line { fingerprint: self.fingerprint.clone(), part, rejects };
        self.folder.journal().append(&line)?;
        self.done.insert(plan.file.clone(), line);
        Ok(())
    }

    /// Takes part `index` over from a committed artifact whose part of that name has the same rows, as if it had been
    /// made here: the same bytes.
    ///
    /// # Errors
    /// As [`Artifact::read_part`] and [`Build::write_part`].
    pub fn adopt_part(&mut self, index: usize, from: &Artifact) -> Result<()> {
        let file = &self.plan.parts[index].file;
        let found = from.manifest().parts.iter().position(|part| part.file == *file);
        let found = found.ok_or_else(|| Error::Bug(format!("there is no part {file} to take over")))?;
        let batches = from.read_part(found)?;
        let schema = batches.first().map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| Error::malformed(&from.part_path(found), "it has no rows"))?;
        let batch = arrow_select::concat::concat_batches(&schema, &batches).map_err(|e| Error::Bug(e.to_string()))?;
        self.write_part(index, &batch, Vec::new())
    }

    /// Writes a file that is no part, and says where it lies until the commit.
    ///
    /// # Errors
    /// [`Error::Io`], such as a full disk.
    pub fn write_file(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.artifact().join(name);
        let Written { bytes, blake3 } = write_atomically(&path, bytes)?;
        let entry = FileEntry { file: name.to_string(), bytes, blake3 };
        self.files.retain(|f| f.file != name);
        self.files.push(entry);
        Ok(path)
    }

    /// Writes the rejects and the manifest and moves the artifact into place.
    ///
    /// # Errors
    /// [`Error::Bug`] when a part of the plan is missing.
    pub fn commit(mut self, facts: Value) -> Result<Artifact> {
        if let Some(index) = self.missing().first() {
            return Err(Error::Bug(format!("commit before part {} was made", self.plan.parts[*index].file)));
        }
        let rejects: Vec<Reject> = self.rejects().cloned().collect();
        if !rejects.is_empty() {
            let footer = [("headstart.fingerprint", self.fingerprint.as_str())];
            let bytes = encode(&reject::to_batch(&rejects)?, &footer)?;
            self.write_file("rejects.parquet", &bytes)?;
        }
        let parts = self.plan.parts.iter().filter_map(|p| self.done.get(&p.file)).map(|l| l.part.clone()).collect();
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            kind: self.plan.kind,
            stage: self.plan.kind.stage().to_string(),
            fingerprint: self.fingerprint,
            inputs: self.plan.inputs,
            config: self.plan.config,
            facts,
            parts,
            files: self.files,
        };
        let made = self.folder.artifact();
        remove_strays(&made, &manifest)?;
        failpoint("cleaned").map_err(Error::io("write", &made))?;
        write_atomically(&made.join(FILE_NAME), manifest.to_json()?.as_bytes())?;
        swap_into_place(&made, &self.out)?;
        self.folder.remove()?;
        Ok(Artifact::new(self.out, manifest))
    }
}

/// Removes what an interrupted run left and the manifest does not name.
fn remove_strays(folder: &Path, manifest: &Manifest) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("open", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let named = manifest.parts.iter().any(|p| p.file == name) || manifest.files.iter().any(|f| f.file == name);
        if !named {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}
