//! Pictures on their way to the network: read, decoded and brought to size, batch after batch.
//!
//! A batch is made of rows that follow one another in one part, and of those rows alone: which others were rejected, how
//! many threads decode and where an earlier run was interrupted changes none of it.

use std::ops::Range;
use std::sync::mpsc::SyncSender;

use artifact::{Artifact, ExamplePart, ExamplesFacts, Reject};
use picture::{Limits, ReadError, Rejected, Scaler, Sizing};
use rayon::prelude::*;
use stage::{Exit, check_stop, path_as_text};

use crate::pictures::Picture;

/// Pictures in work for each thread that decodes, so that none waits for a large one of another.
const AHEAD_PER_THREAD: usize = 4;

/// Pictures that run through the network together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The part that they are of.
    pub(crate) part: usize,
    /// Whether it ends with them.
    pub(crate) is_last: bool,
    pub(crate) ids: Vec<String>,
    pub(crate) labels: Vec<Option<i32>>,
    /// One picture after the other, `height · width · 3` bytes each.
    pub(crate) pixels: Vec<u8>,
    /// Those that would be here and could not be used.
    pub(crate) rejects: Vec<Reject>,
}

/// A batch, or why there are no more.
pub(crate) type Moved = anyhow::Result<Batch>;

/// Sends the examples of the given parts.
pub(crate) fn of_examples(
    examples: &Artifact,
    facts: &ExamplesFacts,
    parts: &[usize],
    size: usize,
    to_network: &SyncSender<Moved>,
) {
    let bytes = facts.height as usize * facts.width as usize * 3;
    for &part in parts {
        let read = examples
            .read_part(part)
            .and_then(|batches| ExamplePart::from_batches(&batches, facts, &examples.part_path(part)));
        let rows = match read {
            Ok(rows) => rows,
            Err(error) => {
                // A closed channel means that the network has stopped, and it knows why.
                let _ = to_network.send(Err(error.into()));
                return;
            }
        };
        let n = rows.ids.len();
        for start in (0..n.max(1)).step_by(size) {
            let end = (start + size).min(n);
            let batch = Batch {
                part,
                is_last: end == n,
                ids: rows.ids[start..end].to_vec(),
                labels: rows.labels[start..end].to_vec(),
                pixels: rows.pixels[start * bytes..end * bytes].to_vec(),
                rejects: Vec::new(),
            };
            if to_network.send(Ok(batch)).is_err() {
                return;
            }
        }
    }
}

/// How files become pixels.
#[derive(Debug)]
pub(crate) struct Decoding<'a> {
    pub(crate) sizing: Sizing,
    pub(crate) limits: &'a Limits,
    /// Pictures of one batch.
    pub(crate) batch: usize,
    pub(crate) threads: usize,
}

impl Decoding<'_> {
    /// Decodes the pictures of the given parts on all threads and sends them.
    pub(crate) fn send(&self, pictures: &[Picture], parts: &[(usize, Range<usize>)], to_network: &SyncSender<Moved>) {
        let decoded = self.pool().and_then(|pool| pool.install(|| self.send_all(pictures, parts, to_network)));
        if let Err(error) = decoded {
            let _ = to_network.send(Err(error));
        }
    }

    /// Batches that are decoded at the same time.
    pub(crate) fn batches_ahead(&self) -> usize {
        (AHEAD_PER_THREAD * self.threads).div_ceil(self.batch)
    }

    fn pool(&self) -> anyhow::Result<rayon::ThreadPool> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        pool.map_err(|e| Exit::Unavailable.error(format!("cannot start {} threads: {e}", self.threads)))
    }

    fn send_all(
        &self,
        pictures: &[Picture],
        parts: &[(usize, Range<usize>)],
        to_network: &SyncSender<Moved>,
    ) -> anyhow::Result<()> {
        for (part, rows) in parts {
            let of_part = &pictures[rows.clone()];
            let mut n_left = of_part.len();
            for chunk in of_part.chunks(self.batch * self.batches_ahead()) {
                let one = |scaler: &mut Scaler, picture: &Picture| {
                    check_stop()?;
                    self.pixels(picture, scaler)
                };
                let decoded: Vec<_> = chunk.par_iter().map_init(Scaler::default, one).collect::<anyhow::Result<_>>()?;
                let mut decoded = decoded.into_iter();
                for pictures in chunk.chunks(self.batch) {
                    n_left -= pictures.len();
                    let mut batch = Batch { part: *part, is_last: n_left == 0, ..Batch::default() };
                    for (picture, decoded) in pictures.iter().zip(&mut decoded) {
                        match decoded {
                            Ok(pixels) => {
                                batch.ids.push(picture.id.clone());
                                batch.labels.push(None);
                                batch.pixels.extend(pixels);
                            }
                            Err(rejected) => batch.rejects.push(reject(picture, &rejected)),
                        }
                    }
                    if to_network.send(Ok(batch)).is_err() {
                        return Ok(()); // The network has stopped and will say why.
                    }
                }
            }
        }
        Ok(())
    }

    /// The pixels of one file, or why it has none.
    fn pixels(&self, picture: &Picture, scaler: &mut Scaler) -> anyhow::Result<Result<Vec<u8>, Rejected>> {
        match picture::read_file(&picture.path, self.limits) {
            Ok(bytes) => {
                let mut pixels = vec![0; self.sizing.n_bytes()];
                Ok(self.sizing.pixels(&bytes, self.limits, scaler, &mut pixels).map(|()| pixels))
            }
            Err(ReadError::Rejected(rejected)) => Ok(Err(rejected)),
            Err(ReadError::Io(e)) => Err(Exit::Io.error(format!("cannot read {}: {e}", picture.path.display()))),
        }
    }
}

fn reject(picture: &Picture, rejected: &Rejected) -> Reject {
    let detail = match rejected {
        Rejected::OtherSize { height, width, wanted_height, wanted_width } => format!(
            "{height}×{width} (height × width), and the classifier was trained on pictures of {wanted_height}×{wanted_width} \
             that were not resized: --fit squash or crop brings it to that size"
        ),
        Rejected::TooSmall { width, height, wanted_width, wanted_height } => format!(
            "{height}×{width} (height × width) is smaller than the classifier's {wanted_height}×{wanted_width}: --enlarge takes it too"
        ),
        _ => rejected.to_string(),
    };
    Reject { id: picture.id.clone(), source: path_as_text(&picture.path), reason: rejected.reason().into(), detail }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn batches_hold_rows_of_one_part_and_the_threads_change_none() {
        let dir = tempfile::tempdir().unwrap();
        let pictures: Vec<_> = (0..11u8)
            .map(|i| {
                let path = dir.path().join(format!("{i}.bmp"));
                // Number 4 is none, number 5 is not there.
                if i != 5 {
                    std::fs::write(&path, if i == 4 { b"text".to_vec() } else { bmp(i) }).unwrap();
                }
                Picture { id: i.to_string(), path }
            })
            .collect();
        let parts = [(0, 0..7), (2, 7..11)];
        for threads in [1, 3] {
            let limits = Limits::default();
            let sizing = Sizing::AsTheyAre { height: 1, width: 1 };
            let decoding = Decoding { sizing, limits: &limits, batch: 3, threads };
            let (to_network, batches) = sync_channel(100);
            decoding.send(&pictures, &parts, &to_network);
            drop(to_network);
            let batches: Vec<Batch> = batches.iter().map(Result::unwrap).collect();
            let shape: Vec<_> = batches.iter().map(|b| (b.part, b.ids.join(" "), b.rejects.len(), b.is_last)).collect();
            let expected = [
                (0, "0 1 2".to_string(), 0, false),
                (0, "3".to_string(), 2, false),
                (0, "6".to_string(), 0, true),
                (2, "7 8 9".to_string(), 0, false),
                (2, "10".to_string(), 0, true),
            ];
            assert_eq!(shape, expected);
            assert_eq!(batches[0].pixels, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
            let reasons: Vec<_> = batches[1].rejects.iter().map(|r| (r.id.as_str(), r.reason.as_str())).collect();
            assert_eq!(reasons, [("4", "not-a-picture"), ("5", "missing")]);
        }
    }

    /// A grey picture of one pixel: file header, BITMAPINFOHEADER, one padded row.
    fn bmp(grey: u8) -> Vec<u8> {
        let mut bytes = b"BM".to_vec();
        for field in [58_u32, 0, 54, 40, 1, 1] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend([1, 0, 24, 0]);
        bytes.extend([0; 24]);
        bytes.extend([grey, grey, grey, 0]);
        bytes
    }
}
