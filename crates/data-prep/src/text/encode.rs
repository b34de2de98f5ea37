//! The verb: reads, tokenises and writes every part that is missing.
//!
//! A part is tokenised on all threads while the one before it is written. Its content depends on
//! its own rows alone, never on threads or on earlier parts.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ::text::Tokenizer;
use anyhow::Context;
use artifact::{Build, PromptPart, Reject, take_rows};
use rayon::prelude::*;
use serde_json::Map;
use stage::{Exit, Progress, check_stop};

use crate::load::Refusal;
use crate::rejects::Tally;
use crate::text::json;
use crate::text::plan::Work;
use crate::text::settings::{Kind, Settings};
use crate::text::source::{Index, Prompt, Raw};
use crate::text::table::Ahead;

/// What was done, by earlier runs too.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) n_tokens: u64,
    pub(crate) longest: u32,
    pub(crate) n_rejects: u64,
    /// Prompts a second, those of earlier runs left out.
    pub(crate) rate: f64,
}

impl Made {
    fn count(&mut self, part: &PromptPart) {
        for ids in &part.input_ids {
            self.n_tokens += ids.len() as u64;
            self.longest = self.longest.max(ids.len() as u32);
        }
    }
}

/// Makes all missing parts.
pub(crate) fn encode(
    build: &mut Build,
    work: &Work,
    tokenizer: &Tokenizer,
    settings: &Settings,
) -> anyhow::Result<Made> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.n_threads)
        .build()
        .map_err(|e| Exit::Unavailable.error(format!("cannot start {} threads: {e}", settings.n_threads)))?;
    let n_rows = work.index.n_rows as u64;
    let mut tally = Tally::new(settings.max_bad, n_rows);
    let (n_good, n_bad) = build.finished();
    tally.add(n_good + n_bad, build.rejects().cloned())?;
    let mut progress = Progress::start("prompts", n_rows, n_good + n_bad);
    let mut made = count_finished(build)?;

    let missing = build.missing();
    thread::scope(|scope| {
        let (parts, finished) = sync_channel(0);
        let writer = scope.spawn(|| write(build, finished));
        let maker = Maker { work, tokenizer, settings };
        let encoded = pool.install(|| maker.make(&missing, &parts, &mut tally, &mut progress, &mut made));
        drop(parts);
        // What stopped the writer is the cause of whatever the encoder ran into after it.
        writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        encoded
    })?;
    Ok(Made { n_rejects: tally.n_rejects(), rate: progress.rate(), ..made })
}

/// What parts of an earlier run hold.
fn count_finished(build: &Build) -> anyhow::Result<Made> {
    let (mut made, missing) = (Made::default(), build.missing());
    for (index, part) in build.plan().parts.iter().enumerate() {
        if missing.binary_search(&index).is_err() {
            made.count(&PromptPart::from_batches(&build.read_part(index)?, part.file.as_ref())?);
        }
    }
    Ok(made)
}

/// A part on its way to the writer.
type Finished = (usize, PromptPart, Vec<Reject>);

fn write(build: &mut Build, parts: Receiver<Finished>) -> anyhow::Result<()> {
    for (index, part, rejects) in parts {
        build.write_part(index, &part.to_batch()?, rejects)?;
    }
    Ok(())
}

struct Maker<'a> {
    work: &'a Work,
    tokenizer: &'a Tokenizer,
    settings: &'a Settings,
}

impl Maker<'_> {
    fn make(
        &self,
        missing: &[usize],
        parts: &SyncSender<Finished>,
        tally: &mut Tally,
        progress: &mut Progress,
        made: &mut Made,
    ) -> anyhow::Result<()> {
        let mut ahead = Ahead::default();
        for &index in missing {
            let (part, rejects) = self.part(index, &mut ahead)?;
            let n_rows = self.work.rows_of(index).len() as u64;
            tally.add(n_rows, rejects.iter().cloned())?;
            progress.add(n_rows);
            made.count(&part);
            if parts.send((index, part, rejects)).is_err() {
                return Ok(()); // The writer has stopped and will say why.
            }
        }
        Ok(())
    }

    fn part(&self, index: usize, ahead: &mut Ahead) -> anyhow::Result<(PromptPart, Vec<Reject>)> {
        let (rows, source) = (self.work.rows_of(index), &self.work.index);
        let read = source.read(rows.clone(), self.settings.max_text_bytes, ahead);
        let (raw, other) = read.with_context(|| format!("cannot read the rows of part {index}"))?;
        let encoded: Vec<_> = raw.into_par_iter().map(|raw| self.row(raw)).collect::<anyhow::Result<_>>()?;

        let (mut good, mut objects, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut texts, mut input_ids) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (id, encoded)) in encoded.into_iter().enumerate() {
            let row = rows.start + i;
            let id = id.unwrap_or_else(|| source.made_up_id(row));
            match encoded {
                Ok(Encoded { text, tokens, object }) => {
                    good.push(i);
                    ids.push(id);
                    texts.push(text);
                    input_ids.push(tokens);
                    objects.push(object);
                }
                Err(Refusal { reason, detail }) => {
                    rejects.push(Reject { id, source: source.source_of(row), reason: reason.into(), detail });
                }
            }
        }
        let other = match source.kind {
            Kind::Jsonl => json::to_batch(&source.columns, &objects)?,
            Kind::Lines | Kind::Parquet => take_rows(&other, &good)?,
        };
        Ok((PromptPart { ids, texts, input_ids, other }, rejects))
    }

    /// A row's own id, if it has one, and what became of its text.
    fn row(&self, raw: Raw) -> anyhow::Result<(Option<String>, Result<Encoded, Refusal>)> {
        check_stop()?;
        let Prompt { id, text, object } = understand(raw, self.settings.max_text_bytes, &self.work.index);
        let encoded = text.and_then(|text| {
            let tokens = self.tokenizer.encode(&text).map_err(|e| refusal("not-encodable", e))?;
            match tokens.is_empty() {
                true => Err(refusal("empty", "it has no tokens")),
                false => Ok(Encoded { text, tokens, object }),
            }
        });
        Ok((id, encoded))
    }
}

struct Encoded {
    text: String,
    tokens: Vec<u32>,
    object: Map<String, serde_json::Value>,
}

/// Finds the text in a row, and its id where rows have one.
fn understand(raw: Raw, max_bytes: usize, index: &Index) -> Prompt {
    let too_long = |n: u64| refusal("too-long", format!("{n} bytes are over --max-text-bytes {max_bytes}"));
    let plain = |id, text| Prompt { id, text, object: Map::new() };
    match raw {
        Raw::TooLong(n) => plain(None, Err(too_long(n))),
        Raw::Line { bytes, offset } => match (String::from_utf8(bytes), index.kind) {
            (Ok(line), Kind::Jsonl) => json::parse(&line, &index.fields),
            (Ok(line), _) => plain(None, Ok(line)),
            (Err(e), _) => {
                let at = e.utf8_error().valid_up_to() as u64;
                let detail = format!("byte {at} of the line, byte {} of the file, is no UTF-8", offset + at);
                plain(None, Err(refusal("not-utf8", detail)))
            }
        },
        Raw::Cells { id: Some(Err(refusal)), .. } => plain(None, Err(refusal)),
        Raw::Cells { id, text } => {
            let text = match text {
                Some(text) if text.len() > max_bytes => Err(too_long(text.len() as u64)),
                Some(text) => Ok(text),
                None => Err(refusal("no-text", "the cell is null")),
            };
            plain(id.and_then(Result::ok), text)
        }
    }
}

fn refusal(reason: &'static str, detail: impl ToString) -> Refusal {
    Refusal { reason, detail: detail.to_string() }
}
