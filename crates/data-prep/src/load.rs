//! From a row's place to its pixels: fetch, decode, bring to size.
//!
//! Whatever is wrong with one picture is a [`Refusal`] and costs that row; what is wrong with the
//! machine (a disk that fails) ends the stage.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use picture::{Limits, ReadError, Rejected, Rgb, Scaler, Sizing};
use stage::{Exit, path_as_text};

use crate::shapes;
use crate::source::{Place, Row, Storage};

/// Why one row cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// One stable word.
    pub(crate) reason: &'static str,
    /// The sentence for people.
    pub(crate) detail: String,
}

/// Why a row gave no picture.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The row is at fault.
    Row(Refusal),
    /// Something else is: the stage ends.
    Stage(anyhow::Error),
}

/// What was read ahead for a row: bytes where reading is done in order, nothing where whoever
/// decodes reads by itself, so that only the pictures in work are in memory.
#[derive(Debug)]
pub(crate) enum Ahead {
    Nothing,
    Encoded(Vec<u8>),
    NullCell,
}

/// A picture before it is decoded.
enum Fetched {
    Encoded(Vec<u8>),
    Decoded { picture: Rgb, label: Option<i32> },
}

impl Storage {
    /// Cuts rows into readings: stretches of one file that are small enough to be in memory.
    pub(crate) fn readings(&self, rows: &[Row], range: Range<usize>) -> Vec<Range<usize>> {
        let Self::Parquet(tables) = self else { return vec![range] };
        let mut readings: Vec<Range<usize>> = Vec::new();
        let file_of = |i: usize| if let Place::Row { file, .. } = rows[i].place { file as usize } else { 0 };
        for i in range {
            match readings.last_mut() {
                Some(last) if file_of(last.start) == file_of(i) && last.len() < tables[file_of(i)].rows_per_read => {
                    last.end = i + 1;
                }
                _ => readings.push(i..i + 1),
            }
        }
        readings
    }

    /// Reads ahead what has to be read in order.
    pub(crate) fn read(&self, rows: &[Row]) -> anyhow::Result<Vec<Ahead>> {
        let (Self::Parquet(tables), Some(Place::Row { file, .. })) = (self, rows.first().map(|r| &r.place)) else {
            return Ok(rows.iter().map(|_| Ahead::Nothing).collect());
        };
        let numbers: Vec<usize> = rows
            .iter()
            .filter_map(|r| if let Place::Row { row, .. } = r.place { Some(row as usize) } else { None })
            .collect();
        let pictures = tables[*file as usize].pictures(&numbers)?;
        Ok(pictures.into_iter().map(|p| p.map_or(Ahead::NullCell, Ahead::Encoded)).collect())
    }

    /// Where a row came from, for the list of rejects.
    pub(crate) fn source_of(&self, row: &Row) -> String {
        let path = path_as_text;
        match (self, &row.place) {
            (Self::Files(lists), Place::File { list, file }) => path(&lists[*list as usize].path(*file as usize)),
            (Self::Parquet(tables), Place::Row { file, row }) => {
                format!("{} row {row}", path(&tables[*file as usize].path))
            }
            (Self::Tar(files) | Self::Cifar(files), Place::Stretch { file, offset, .. }) => {
                format!("{} byte {offset}", path(&files[*file as usize].path))
            }
            (_, Place::Drawn { index }) => format!("built-in shapes, picture {index}"),
            // No storage has such places.
            (_, Place::File { file, .. }) => format!("file {file}"),
            (_, Place::Row { row, .. }) => format!("row {row}"),
            (_, Place::Stretch { offset, .. }) => format!("byte {offset}"),
        }
    }

    /// Height and width of a picture, from its header.
    pub(crate) fn size_of(&self, row: &Row, ahead: Ahead, limits: &Limits) -> Result<(u32, u32), Trouble> {
        let (width, height) = match self.fetch(row, ahead, limits)? {
            Fetched::Decoded { picture, .. } => (picture.width, picture.height),
            Fetched::Encoded(bytes) => picture::dimensions(&bytes)?,
        };
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            let detail = format!("{height}×{width} (height × width) is over --max-pixels {}", limits.max_pixels);
            return Err(refuse("too-large", detail));
        }
        if width.max(height) > limits.max_side {
            let detail = format!("{height}×{width} (height × width): a side is over {}", limits.max_side);
            return Err(refuse("too-large", detail));
        }
        Ok((height, width))
    }

    /// Writes the pixels of a row at the stored size into `target`, and gives the label if it comes with the picture.
    pub(crate) fn pixels(
        &self,
        row: &Row,
        ahead: Ahead,
        sizing: &Sizing,
        limits: &Limits,
        scaler: &mut Scaler,
        target: &mut [u8],
    ) -> Result<Option<i32>, Trouble> {
        match self.fetch(row, ahead, limits)? {
            Fetched::Encoded(bytes) => {
                sizing.pixels(&bytes, limits, scaler, target)?;
                Ok(None)
            }
            Fetched::Decoded { picture, label } => {
                sizing.apply(&picture, scaler, target)?;
                Ok(label)
            }
        }
    }

    fn fetch(&self, row: &Row, ahead: Ahead, limits: &Limits) -> Result<Fetched, Trouble> {
        match (self, &row.place, ahead) {
            (_, _, Ahead::Encoded(bytes)) => Ok(Fetched::Encoded(bytes)),
            (_, _, Ahead::NullCell) => {
                Err(refuse("no-picture", "the cell is null: a path alone is not followed".into()))
            }
            (Self::Shapes { seed }, Place::Drawn { index }, _) => {
                let (pixels, label) = shapes::picture(*seed, *index);
                let picture = Rgb { width: shapes::SIDE, height: shapes::SIDE, pixels };
                Ok(Fetched::Decoded { picture, label: Some(label as i32) })
            }
            // What is no file was refused with the index.
            (Self::Files(lists), Place::File { list, file }, _) => {
                let path = lists[*list as usize].path(*file as usize);
                match picture::read_known_file(&path, limits) {
                    Ok(bytes) => Ok(Fetched::Encoded(bytes)),
                    Err(ReadError::Rejected(rejected)) => Err(rejected.into()),
                    Err(ReadError::Io(error)) => Err(at_path(&path, &error)),
                }
            }
            (Self::Tar(files), Place::Stretch { file, offset, bytes }, _) => {
                limits.check_bytes(*bytes)?;
                let content = read_stretch(&files[*file as usize].file, *offset, *bytes);
                content.map(Fetched::Encoded).map_err(|e| at_path(&files[*file as usize].path, &e))
            }
            (Self::Cifar(files), Place::Stretch { file, offset, bytes }, _) => {
                let planes = read_stretch(&files[*file as usize].file, *offset, *bytes)
                    .map_err(|e| at_path(&files[*file as usize].path, &e))?;
                let n = planes.len() / 3;
                let pixels = (0..n).flat_map(|i| [planes[i], planes[n + i], planes[2 * n + i]]).collect();
                Ok(Fetched::Decoded { picture: Rgb { width: 32, height: 32, pixels }, label: None })
            }
            (_, place, _) => Err(Trouble::Stage(Exit::Bug.error(format!("{place:?} does not belong to its storage")))),
        }
    }
}

fn read_stretch(file: &File, offset: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut content = vec![0; bytes as usize];
    file.read_exact_at(&mut content, offset)?;
    Ok(content)
}

/// A file that is not there is the row's fault; a disk that fails is not.
fn at_path(path: &Path, error: &std::io::Error) -> Trouble {
    if let Some(rejected) = Rejected::unread(path, error) {
        return rejected.into();
    }
    let detail = format!("cannot read {}: {error}", path.display());
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            Trouble::Stage(Exit::BadData.error(format!("{detail}; it became shorter during the run")))
        }
        _ => Trouble::Stage(Exit::Io.error(detail)),
    }
}

fn refuse(reason: &'static str, detail: String) -> Trouble {
    Trouble::Row(Refusal { reason, detail })
}

impl From<Rejected> for Trouble {
    fn from(rejected: Rejected) -> Self {
        Self::Row(rejected.into())
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        let detail = match rejected {
            // Where the wanted size comes from is known here only.
            Rejected::OtherSize { height, width, wanted_height, wanted_width } => {
                format!("{height}×{width} (height × width), and the first picture is {wanted_height}×{wanted_width}")
            }
            _ => rejected.to_string(),
        };
        Self { reason: rejected.reason(), detail }
    }
}
