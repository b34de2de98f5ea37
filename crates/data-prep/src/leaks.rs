//! The same picture in two splits, which makes scores on one of them too good: found by the digest of its pixels as they
//! are stored.

use artifact::{Build, ExamplePart, Split};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage::{Exit, count, printable};
use twox_hash::XxHash3_128;

use crate::plan::Work;

/// Pairs that are named.
const NAMED: usize = 5;

/// What to do about the same picture in two splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnLeak {
    /// Count them in the facts of the artifact, and warn.
    Report,
    /// Make no artifact.
    Fail,
}

/// 128 bits that depend on all of a picture's pixels: no two of a data set agree by chance. (On purpose they can be made to, and
/// then a picture is called a leak that is none.)
pub(crate) type PixelDigest = [u8; 16];

/// The digest of stored pixels: XXH3, since BLAKE3 was a tenth of all that a small picture takes.
pub(crate) fn pixel_digest(pixels: &[u8]) -> PixelDigest {
    XxHash3_128::oneshot(pixels).to_le_bytes()
}

/// Rows of one split whose picture is in an earlier split too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leak {
    split: String,
    also_in: String,
    rows: u64,
    /// The first few: the id in `split` and the first one of that picture in `also_in`.
    first: Vec<(String, String)>,
}

/// The pictures of all parts, by their digests.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Digest and index of the row.
    rows: Vec<(PixelDigest, u32)>,
}

impl Seen {
    /// With room for all rows, which is had for nothing until they come.
    pub(crate) fn with_room(n_rows: usize) -> Self {
        Self { rows: Vec::with_capacity(n_rows) }
    }

    pub(crate) fn add(&mut self, digest: PixelDigest, row: usize) {
        self.rows.push((digest, row as u32));
    }

    /// Those of parts that an earlier run has finished.
    pub(crate) fn add_finished(&mut self, build: &Build, work: &Work) -> anyhow::Result<()> {
        let missing = build.missing();
        for (index, planned) in work.parts.iter().enumerate().filter(|(index, _)| missing.binary_search(index).is_err())
        {
            let path = std::path::Path::new(&planned.name.file);
            let part = ExamplePart::from_batches(&build.read_part(index)?, &work.facts, path)?;
            let bytes = (part.pixels.len() / part.ids.len().max(1)).max(1);
            let mut pictures = part.ids.iter().zip(part.pixels.chunks_exact(bytes));
            let mut next = pictures.next();
            // The rows of a part are those of the plan without the rejects.
            for row in planned.rows.clone() {
                if let Some((_, pixels)) = next.filter(|(id, _)| id.as_str() == work.id_of(&work.rows[row])) {
                    self.add(pixel_digest(pixels), row);
                    next = pictures.next();
                }
            }
        }
        Ok(())
    }

    /// What is in two splits, by pairs of splits.
    pub(crate) fn leaks(mut self, work: &Work) -> Vec<Leak> {
        let split_of = |row: u32| {
            let part = work.parts.partition_point(|part| part.rows.end <= row as usize);
            work.parts[part].name.split.unwrap_or(Split::Train)
        };
        self.rows.sort_unstable();
        // A row, an earlier split that has its picture, and the first row there: rows are numbered split by split.
        let mut pairs: Vec<(u32, Split, u32)> = Vec::new();
        for same in self.rows.chunk_by(|(digest, _), (other, _)| digest == other).filter(|same| same.len() > 1) {
            let mut firsts: Vec<(Split, u32)> = Vec::new();
            for &(_, row) in same {
                let split = split_of(row);
                pairs.extend(firsts.iter().filter(|(of, _)| *of != split).map(|&(of, first)| (row, of, first)));
                if firsts.last().is_none_or(|(of, _)| *of != split) {
                    firsts.push((split, row));
                }
            }
        }
        pairs.sort_unstable();
        let mut leaks: Vec<Leak> = Vec::new();
        for (row, earlier, of_it) in pairs {
            let split = split_of(row);
            let at = leaks.iter().position(|l| l.split == split.name() && l.also_in == earlier.name());
            let at = at.unwrap_or_else(|| {
                let (split, also_in) = (split.name().to_string(), earlier.name().to_string());
                leaks.push(Leak { split, also_in, rows: 0, first: Vec::new() });
                leaks.len() - 1
            });
            leaks[at].rows += 1;
            if leaks[at].first.len() < NAMED {
                let id = |row: u32| work.id_of(&work.rows[row as usize]).to_string();
                leaks[at].first.push((id(row), id(of_it)));
            }
        }
        leaks
    }
}

/// Warns of what the facts of an artifact count, or refuses it.
///
/// # Errors
/// Exit 65 with [`OnLeak::Fail`].
pub(crate) fn judge(leaks: &Value, on_leak: OnLeak) -> anyhow::Result<()> {
    let leaks: Vec<Leak> = serde_json::from_value(leaks.clone()).unwrap_or_default();
    if leaks.is_empty() {
        return Ok(());
    }
    let sentence = |leak: &Leak| {
        let named: Vec<_> = leak.first.iter().map(|(a, b)| printable(&format!("{a} = {b}"))).collect();
        let more = if leak.rows > leak.first.len() as u64 { ", …" } else { "" };
        let (rows, split, also_in) = (count(leak.rows), &leak.split, &leak.also_in);
        format!("{rows} of {split} are in {also_in} too, with the same pixels ({}{more})", named.join(", "))
    };
    let sentences = leaks.iter().map(sentence).collect::<Vec<_>>().join("; ");
    match on_leak {
        OnLeak::Report => {
            tracing::warn!("{sentences}; scores on them are too good (--on-leak fail makes this an error)");
            Ok(())
        }
        OnLeak::Fail => {
            Err(Exit::BadData.error(format!("{sentences}; take them out of one split, or use --on-leak report")))
        }
    }
}
