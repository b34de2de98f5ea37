//! What will be made: the stored size, the parts, the facts and the fingerprint's ingredients.

use std::ops::Range;
use std::sync::Arc;

use artifact::{Digest, ExamplesFacts, Input, Kind, PartPlan, Plan, ResizeFilter, ResizeFit, ResizePolicy, Split};
use picture::{Resize, Sizing};
use serde_json::{Value, json};
use stage::Exit;

use crate::args::{Filter, Fit, Size};
use crate::load::Trouble;
use crate::prepare::Made;
use crate::report::counted;
use crate::retry;
use crate::settings::{BySplit, PartRows, Settings, Target};
use crate::source::{Names, Row, Storage};
use crate::splits::Selection;

/// Pixels of one part, in bytes, unless `--part-rows` says otherwise. Buffers above 32 MiB are given back to the kernel by glibc and
/// asked for anew, page by page, for every part.
const PART_BYTES: usize = 16 << 20;

/// Rows of a part by default: never more than the first, and of huge pictures no fewer than the second.
const MAX_PART_ROWS: usize = 2048;
const MIN_PART_ROWS: usize = 16;

/// Rows whose headers are looked at together when the first size is searched.
const PROBE_ROWS: usize = 16;

/// Everything that is needed to make the parts.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) rows: Vec<Row>,
    ids: Arc<Names>,
    pub(crate) parts: Vec<Part>,
    pub(crate) storage: Storage,
    pub(crate) sizing: Sizing,
    pub(crate) facts: ExamplesFacts,
    pub(crate) part_rows: usize,
    is_drawn: bool,
    identity: Value,
}

/// One part: rows of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: PartPlan,
    pub(crate) rows: Range<usize>,
}

impl Work {
    /// Settles the size and cuts the selection into parts.
    pub(crate) fn new(selection: Selection, storage: Storage, settings: &Settings) -> anyhow::Result<Self> {
        let sizing = settle(&selection, &storage, settings)?;
        let (height, width) = (sizing.height(), sizing.width());
        let picture_bytes = height as usize * width as usize * 3;
        if i32::try_from(picture_bytes).is_err() {
            return Err(Exit::BadData.error(format!(
                "pictures of {height}×{width} pixels are too large for a Parquet column; give a smaller --size"
            )));
        }
        let part_rows = match settings.part_rows {
            PartRows::Fixed(n) => n,
            PartRows::BySize => (PART_BYTES / picture_bytes).clamp(MIN_PART_ROWS, MAX_PART_ROWS),
        };
        if matches!(sizing, Sizing::AsTheyAre { .. }) && picture_bytes > 1 << 20 {
            let mb = picture_bytes >> 20;
            tracing::warn!("pictures are stored at {height}×{width}, {mb} MB each; --size stores smaller ones");
        }
        let facts = ExamplesFacts {
            height,
            width,
            classes: selection.classes,
            resize: in_words(&sizing),
            resize_policy: policy(&sizing),
        };
        Ok(Self {
            parts: parts(&selection.ranges, part_rows),
            rows: selection.rows,
            ids: selection.ids,
            storage,
            sizing,
            facts,
            part_rows,
            is_drawn: selection.is_drawn,
            identity: selection.identity,
        })
    }

    pub(crate) fn id_of(&self, row: &Row) -> &str {
        self.ids.get(row.id as usize)
    }

    /// The artifact's plan. What cannot change a byte (threads, `--max-bad`) is not in it.
    pub(crate) fn plan(&self, settings: &Settings, inputs: Vec<Input>) -> Plan {
        let limited: serde_json::Map<_, _> = Split::ALL
            .iter()
            .filter(|s| settings.take[**s as usize] != u64::MAX)
            .map(|s| (s.name().into(), settings.take[*s as usize].into()))
            .collect();
        let config = json!({
            "source": self.source_name(),
            "identity": self.identity,
            "height": self.facts.height,
            "width": self.facts.width,
            "resize": self.facts.resize,
            "split": self.is_drawn.then_some(settings.shares),
            "take": limited,
            "part_rows": self.part_rows,
            "max_pixels": settings.limits.max_pixels,
        });
        Plan { kind: Kind::Examples, config, inputs, parts: self.parts.iter().map(|p| p.name.clone()).collect() }
    }

    /// The facts of the manifest, with what only the end shows.
    pub(crate) fn facts_with(&self, made: &Made, inputs_but_rejects: &Digest) -> Value {
        let ExamplesFacts { height, width, classes, resize, resize_policy } = &self.facts;
        json!({
            "height": height,
            "width": width,
            "classes": classes,
            "resize": resize,
            "resize_policy": resize_policy,
            "rejects": made.n_rejects,
            "leaks": made.leaks,
            (retry::FACT): inputs_but_rejects,
        })
    }

    fn source_name(&self) -> &'static str {
        match self.storage {
            Storage::Files(_) => "files",
            Storage::Parquet(_) => "parquet",
            Storage::Tar(_) => "webdataset",
            Storage::Cifar(_) => "cifar",
            Storage::Shapes { .. } => "shapes",
        }
    }
}

fn settle(selection: &Selection, storage: &Storage, settings: &Settings) -> anyhow::Result<Sizing> {
    Ok(match settings.target {
        Target::Resized { size: Size { height, width }, fit, filter, enlarge } => {
            let fit = match fit {
                Fit::Squash => picture::Fit::Squash,
                Fit::Crop => picture::Fit::ShortestEdgeCrop,
            };
            let filter = match filter {
                Filter::Bilinear => picture::Filter::Bilinear,
                Filter::Bicubic => picture::Filter::Bicubic,
            };
            Sizing::Resized(Resize { height, width, fit, filter, enlarge })
        }
        Target::AsTheyAre => {
            let Size { height, width } = first_size(selection, storage, settings)?;
            Sizing::AsTheyAre { height, width }
        }
    })
}

fn policy(sizing: &Sizing) -> ResizePolicy {
    match *sizing {
        Sizing::AsTheyAre { .. } => ResizePolicy::AsTheyAre,
        Sizing::Resized(Resize { fit, filter, enlarge, .. }) => ResizePolicy::Resized {
            fit: if fit == picture::Fit::Squash { ResizeFit::Squash } else { ResizeFit::Crop },
            filter: if filter == picture::Filter::Bicubic { ResizeFilter::Bicubic } else { ResizeFilter::Bilinear },
            enlarge,
        },
    }
}

fn in_words(sizing: &Sizing) -> String {
    let Sizing::Resized(Resize { height, width, fit, filter, enlarge }) = *sizing else {
        return "stored as they are".into();
    };
    let filter = if filter == picture::Filter::Bicubic { "bicubic" } else { "bilinear" };
    let fit = if fit == picture::Fit::Squash { "squashed to" } else { "shortest edge and centre crop to" };
    format!("{filter}, {fit} {height}x{width}{}", if enlarge { ", smaller ones enlarged" } else { "" })
}

/// The size of the first picture whose header can be read.
fn first_size(selection: &Selection, storage: &Storage, settings: &Settings) -> anyhow::Result<Size> {
    let mut first = None;
    // Split by split: only within one do rows come in the order of the source, in which they are read.
    let starts = |range: &Range<usize>| {
        let end = range.end;
        range.clone().step_by(PROBE_ROWS).map(move |start| start..end.min(start + PROBE_ROWS))
    };
    for probe in selection.ranges.iter().flat_map(starts) {
        stage::check_stop()?;
        for reading in storage.readings(&selection.rows, probe) {
            let rows = &selection.rows[reading];
            for (row, ahead) in rows.iter().zip(storage.read(rows)?) {
                match storage.size_of(row, ahead, &settings.limits) {
                    Ok((height, width)) => return Ok(Size { height, width }),
                    Err(Trouble::Row(refusal)) => {
                        first.get_or_insert_with(|| format!("{}: {}", storage.source_of(row), refusal.detail));
                    }
                    Err(Trouble::Stage(error)) => return Err(error),
                }
            }
        }
    }
    let n_rows = selection.rows.len() as u64;
    Err(Exit::BadData.error(format!(
        "no picture can be used, of {}; the first is {}",
        counted(n_rows, "row", "rows"),
        first.unwrap_or_default()
    )))
}

/// Chunks of `part_rows` rows of each split. A part depends on its own rows only.
fn parts(ranges: &BySplit<Range<usize>>, part_rows: usize) -> Vec<Part> {
    let of_split = |split: Split| {
        let range = ranges[split as usize].clone();
        let part = move |(i, start): (usize, usize)| Part {
            name: PartPlan::new(split, i),
            rows: start..range.end.min(start + part_rows),
        };
        ranges[split as usize].clone().step_by(part_rows).enumerate().map(part)
    };
    Split::ALL.into_iter().flat_map(of_split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_row_once_and_never_mix_splits() {
        let parts = parts(&[0..5, 5..5, 5..9], 2);
        let found: Vec<_> = parts.iter().map(|p| (p.name.file.as_str(), p.rows.clone())).collect();
        let expected = [
            ("train-00000.parquet", 0..2),
            ("train-00001.parquet", 2..4),
            ("train-00002.parquet", 4..5),
            ("test-00000.parquet", 5..7),
            ("test-00001.parquet", 7..9),
        ];
        assert_eq!(found, expected);
    }
}
