//! The verb: reads, decodes and writes every part that is missing.
//!
//! Three things overlap: the next reading, the decoding of this one on all threads, and the
//! writing of the part before. In memory are two readings of encoded pictures and two parts at
//! most, whose memory serves for all parts. A part's content depends on its own rows alone, never
//! on threads or on earlier parts.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::Context;
use artifact::{Build, ExamplePart, ExamplesFacts, Reject};
use picture::{Limits, Scaler};
use rayon::prelude::*;
use rayon::slice::ChunksExactMut;
use serde_json::Value;
use stage::{Exit, Progress, check_stop};

use crate::classes::Label;
use crate::leaks::{PixelDigest, Seen, pixel_digest};
use crate::load::{Ahead, Refusal, Trouble};
use crate::plan::Work;
use crate::rejects::Tally;
use crate::settings::Settings;
use crate::source::Row;

/// What was done.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) n_rejects: u64,
    /// Pictures that are in two splits, as the facts have them.
    pub(crate) leaks: Value,
    /// Pictures a second, those of earlier runs left out.
    pub(crate) rate: f64,
}

/// Makes all missing parts.
pub(crate) fn prepare(build: &mut Build, work: &Work, settings: &Settings) -> anyhow::Result<Made> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.n_threads)
        .build()
        .map_err(|e| Exit::Unavailable.error(format!("cannot start {} threads: {e}", settings.n_threads)))?;
    let mut tally = Tally::new(settings.max_bad, work.rows.len() as u64);
    let (n_good, n_bad) = build.finished();
    tally.add(n_good + n_bad, build.rejects().cloned())?;
    let mut progress = Progress::start("pictures", work.rows.len() as u64, n_good + n_bad);

    let missing = build.missing();
    let mut seen = Seen::with_room(work.rows.len());
    seen.add_finished(build, work)?;
    thread::scope(|scope| {
        let (parts, finished) = sync_channel(0);
        let (memory, spare) = channel();
        let writer = scope.spawn(|| write(build, finished, memory, &work.facts));
        let to_writer = ToWriter { parts, spare };
        let decoded =
            pool.install(|| decode(&missing, work, &settings.limits, to_writer, &mut tally, &mut seen, &mut progress));
        // What stopped the writer is the cause of whatever the decoder ran into after it.
        writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        decoded
    })?;
    let leaks = serde_json::to_value(seen.leaks(work)).map_err(|e| Exit::Bug.wrap(e))?;
    Ok(Made { n_rejects: tally.n_rejects(), leaks, rate: progress.rate() })
}

/// A part on its way to the writer.
type Finished = (usize, ExamplePart, Vec<Reject>);

/// Parts go to the writer, and their pixels' memory comes back: two parts' memory serves for all. Given back to the system
/// in between it would be cleared for each anew, and what malloc keeps of it grows.
struct ToWriter {
    parts: SyncSender<Finished>,
    spare: Receiver<Vec<u8>>,
}

fn write(
    build: &mut Build,
    parts: Receiver<Finished>,
    memory: Sender<Vec<u8>>,
    facts: &ExamplesFacts,
) -> anyhow::Result<()> {
    for (index, part, rejects) in parts {
        let batch = part.to_batch(facts)?;
        build.write_part(index, &batch, rejects)?;
        // After the last part nobody wants it.
        let _ = memory.send(ExamplePart::memory_of(batch));
    }
    Ok(())
}

/// One reading: consecutive rows of a part that are fetched together.
struct Reading {
    part: usize,
    rows: Range<usize>,
    is_last: bool,
}

fn decode(
    missing: &[usize],
    work: &Work,
    limits: &Limits,
    writer: ToWriter,
    tally: &mut Tally,
    seen: &mut Seen,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let readings = |&part: &usize| {
        let planned = &work.parts[part];
        let cuts = work.storage.readings(&work.rows, planned.rows.clone());
        cuts.into_iter().map(move |rows| Reading { part, is_last: rows.end == planned.rows.end, rows })
    };
    let mut readings = missing.iter().flat_map(readings).peekable();
    let read = |reading: &Reading| {
        let part = &work.parts[reading.part].name.file;
        work.storage.read(&work.rows[reading.rows.clone()]).with_context(|| format!("cannot read the rows of {part}"))
    };
    let mut ahead = readings.peek().map(read).transpose()?;
    let (mut part, mut rejects) = (ExamplePart::default(), Vec::new());
    // Behind the last good picture of the part, in bytes.
    let mut end = 0;
    while let (Some(reading), Some(bytes)) = (readings.next(), ahead.take()) {
        let (first, of_part) = (reading.rows.start, &work.parts[reading.part].rows);
        let rows = &work.rows[reading.rows];
        let next = readings.peek();
        let n_bytes = work.sizing.n_bytes();
        if first == of_part.start {
            // What may be in it is written over, or closed up where no picture comes.
            part.pixels = writer.spare.try_recv().unwrap_or_default();
            part.pixels.resize(of_part.len() * n_bytes, 0);
        }
        let start = (first - of_part.start) * n_bytes;
        let places = part.pixels[start..start + rows.len() * n_bytes].par_chunks_exact_mut(n_bytes);
        let (decoded, read_next) =
            rayon::join(|| decode_rows(rows, bytes, work, limits, places), || next.map(read).transpose());
        let n_before = rejects.len();
        for (index, (row, decoded)) in rows.iter().zip(decoded?).enumerate() {
            match decoded {
                Ok((label, digest)) => {
                    seen.add(digest, first + index);
                    part.ids.push(work.id_of(row).to_string());
                    part.labels.push(label);
                    let place = start + index * n_bytes;
                    if place > end {
                        // Places of bad ones are closed up.
                        part.pixels.copy_within(place..place + n_bytes, end);
                    }
                    end += n_bytes;
                }
                Err(refusal) => rejects.push(reject(row, refusal, work)),
            }
        }
        tally.add(rows.len() as u64, rejects[n_before..].iter().cloned())?;
        progress.add(rows.len() as u64);
        if reading.is_last {
            part.pixels.truncate(std::mem::take(&mut end));
            let finished = (reading.part, std::mem::take(&mut part), std::mem::take(&mut rejects));
            if writer.parts.send(finished).is_err() {
                return Ok(()); // The writer has stopped and will say why.
            }
        }
        ahead = read_next?;
    }
    Ok(())
}

/// A row's label and the digest of its pixels, or why it has none.
type Decoded = Result<(Option<i32>, PixelDigest), Refusal>;

/// All rows of a reading on all threads, in their order, each picture into its place.
fn decode_rows(
    rows: &[Row],
    ahead: Vec<Ahead>,
    work: &Work,
    limits: &Limits,
    places: ChunksExactMut<'_, u8>,
) -> anyhow::Result<Vec<Decoded>> {
    let one = |scaler: &mut Scaler, ((row, ahead), place): ((&Row, Ahead), &mut [u8])| {
        check_stop()?;
        if let Label::Bad(refusal) = &row.label {
            return Ok(Err(Refusal::clone(refusal)));
        }
        match work.storage.pixels(row, ahead, &work.sizing, limits, scaler, place) {
            Ok(drawn) => {
                let label = if let Label::Class(class) = row.label { Some(class) } else { drawn };
                Ok(Ok((label, pixel_digest(place))))
            }
            Err(Trouble::Row(refusal)) => Ok(Err(refusal)),
            Err(Trouble::Stage(error)) => Err(error),
        }
    };
    rows.par_iter().zip(ahead).zip(places).map_init(Scaler::default, one).collect()
}

fn reject(row: &Row, Refusal { reason, detail }: Refusal, work: &Work) -> Reject {
    Reject { id: work.id_of(row).to_string(), source: work.storage.source_of(row), reason: reason.into(), detail }
}
