//! Features in memory, or in a file that is mapped into it where they are too many.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use linear_head::Standardiser;
use memmap2::{Advice, MmapMut};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use stage::{Exit, check_stop};

use crate::head_error;

/// Where features are kept. The numbers do not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    Memory,
    /// Files without a name in this folder. The kernel keeps as much of them in memory as there is room for.
    Files(PathBuf),
}

impl Home {
    /// Files beside `out` where `bytes` are over the limit.
    pub(crate) fn choose(bytes: u64, limit: Option<ByteSize>, out: &Path) -> Self {
        match limit {
            Some(ByteSize(limit)) if bytes > limit => {
                // The folder of what is to be written may not be there yet.
                let folder = out.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
                Self::Files(folder.to_path_buf())
            }
            _ => Self::Memory,
        }
    }
}

/// float32 `[n, dim]`, row-major.
#[derive(Debug)]
pub(crate) struct Matrix {
    home: Home,
    shape: (usize, usize),
    values: Values,
}

#[derive(Debug)]
enum Values {
    Memory(Vec<f32>),
    File(MmapMut),
}

impl Matrix {
    /// `fill` gets `n · dim` zeros, row-major, to write into.
    ///
    /// # Errors
    /// Those of `fill`; Exit 74 where there is no room on disk.
    pub(crate) fn fill(
        home: &Home,
        shape: (usize, usize),
        fill: impl FnOnce(&mut [f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let n_values = shape.0 * shape.1;
        let values = match home {
            Home::Files(folder) if n_values > 0 => {
                let mut map = map_new_file(folder, 4 * n_values as u64)?;
                fill(bytemuck::cast_slice_mut(&mut map))?;
                Values::File(map)
            }
            _ => {
                let mut values = vec![0.0; n_values];
                fill(&mut values)?;
                Values::Memory(values)
            }
        };
        Ok(Self { home: home.clone(), shape, values })
    }

    pub(crate) fn view(&self) -> ArrayView2<'_, f32> {
        let values = match &self.values {
            Values::Memory(values) => values,
            Values::File(map) => bytemuck::cast_slice(map),
        };
        ArrayView2::from_shape(self.shape, values).expect("it was made with as many values")
    }

    /// To be said before rows are read in random order: reading ahead would fetch what nobody has asked for. A hint, and where
    /// the kernel does not take it nothing is lost.
    pub(crate) fn will_be_read_at_random(&self) {
        if let Values::File(map) = &self.values {
            map.advise(Advice::Random).ok();
        }
    }

    pub(crate) fn dim(&self) -> (usize, usize) {
        self.shape
    }

    /// These rows, in the same home.
    pub(crate) fn select(&self, rows: &[usize]) -> anyhow::Result<Self> {
        let (from, dim) = (self.view(), self.shape.1);
        Self::fill(&self.home, (rows.len(), dim), |values| {
            values.par_chunks_mut(dim.max(1)).zip(rows).for_each(|(to, row)| {
                to.copy_from_slice(from.row(*row).to_slice().expect("it is row-major"));
            });
            Ok(())
        })
    }

    /// The rows of this one, then those of another.
    pub(crate) fn followed_by(&self, other: &Self) -> anyhow::Result<Self> {
        let ((n, dim), (n_other, _)) = (self.shape, other.shape);
        Self::fill(&self.home, (n + n_other, dim), |values| {
            let (first, second) = values.split_at_mut(n * dim);
            first.copy_from_slice(self.view().to_slice().expect("it is row-major"));
            second.copy_from_slice(other.view().to_slice().expect("it is row-major"));
            Ok(())
        })
    }

    /// (x − μ) / σ, in the same home.
    pub(crate) fn standardised(&self, by: &Standardiser) -> anyhow::Result<Self> {
        Self::fill(&self.home, self.shape, |values| {
            let into = ArrayViewMut2::from_shape(self.shape, values).map_err(|e| Exit::Bug.wrap(e))?;
            by.apply(self.view(), into).map_err(head_error)
        })
    }
}

impl From<Array2<f32>> for Matrix {
    fn from(array: Array2<f32>) -> Self {
        let shape = array.dim();
        Self { home: Home::Memory, shape, values: Values::Memory(array.iter().copied().collect()) }
    }
}

/// A file without a name and with room on disk for all of it: running out of that later would be a signal and no error.
fn map_new_file(folder: &Path, bytes: u64) -> anyhow::Result<MmapMut> {
    let fail = |e: std::io::Error| {
        let (folder, size) = (folder.display(), ByteSize(bytes));
        Exit::Io.error(format!("cannot put features into a file of {size} in {folder} (--memory-limit): {e}"))
    };
    let file = tempfile::tempfile_in(folder).map_err(fail)?;
    reserve(&file, bytes)?.map_err(fail)?;
    map(&file).map_err(fail)
}

/// Room on disk for all of the file: by asking for it, or by writing zeros where the file system cannot be asked. The outer error
/// is a signal's.
fn reserve(mut file: &File, bytes: u64) -> anyhow::Result<std::io::Result<()>> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::INTR) => check_stop()?,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                return Ok(std::io::copy(&mut std::io::repeat(0).take(bytes), &mut file).map(drop));
            }
            done => return Ok(done.map_err(Into::into)),
        }
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: a map is sound as long as nobody else writes to the file or cuts it. This one has no name (where the file system
    // has no files without, `tempfile` has removed it before this), so no other program comes upon it, and the only handle is dropped
    // when this returns to `map_new_file`. Root could still reach it through /proc.
    unsafe { MmapMut::map_mut(file) }
}
