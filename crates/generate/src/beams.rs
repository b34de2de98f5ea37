//! Beam search over a batch of prompts: each prompt's beams are neighbouring rows of the batch.

use std::ops::Range;

use decoding::{Advance, BeamSearch, Ending};
use rayon::prelude::*;
use stage::check_stop;

use crate::generator::{Completion, Generator, Prompt, as_input, reason, stopped_by};
use crate::{backbone_error, decoding_error};

/// Runs the prompts as one batch; of each the best beams come back, best first.
pub(crate) fn complete(generator: &mut Generator<'_>, prompts: &[Prompt<'_>]) -> anyhow::Result<Vec<Vec<Completion>>> {
    let (decoding, settings) = (generator.decoding.clone(), generator.settings);
    let search = |p: &Prompt<'_>| BeamSearch::new(&decoding, p.tokens, p.room).map_err(decoding_error);
    let mut searches = prompts.iter().map(search).collect::<anyhow::Result<Vec<_>>>()?;
    let inputs: Vec<Vec<i64>> = prompts.iter().map(|p| as_input(p.tokens)).collect();
    let inputs: Vec<&[i64]> = inputs.iter().map(Vec::as_slice).collect();
    let room = prompts.iter().map(|p| p.room).max().unwrap_or(0);
    let decoder = &mut generator.network.decoder;
    let mut cache = decoder.start(&inputs, room).map_err(backbone_error)?;
    loop {
        check_stop()?;
        let mut start = 0;
        let ranges = searches.iter().map(|search| {
            start += search.n_live();
            start - search.n_live()..start
        });
        let work: Vec<(&mut BeamSearch<'_>, Range<usize>)> = {
            let ranges: Vec<_> = ranges.collect();
            searches.iter_mut().zip(ranges).filter(|(_, rows)| !rows.is_empty()).collect()
        };
        let advance = |(search, rows): (&mut BeamSearch<'_>, Range<usize>)| -> anyhow::Result<(usize, Advance)> {
            let mut logits = Vec::with_capacity(rows.len() * decoding.vocab());
            for row in rows.clone() {
                logits.extend_from_slice(decoder.logits(row).map_err(backbone_error)?);
            }
            let is_finished = |tokens: &[u32]| {
                // A tokenizer that cannot decode shows at the end, when the text is made.
                stopped_by(&settings.stop, &settings.tokenizer, tokens).is_ok_and(|stop| stop.is_some())
            };
            Ok((rows.start, search.advance(&logits, is_finished).map_err(decoding_error)?))
        };
        let advanced: Vec<(usize, Advance)> = work.into_par_iter().map(advance).collect::<anyhow::Result<_>>()?;
        let (mut rows, mut tokens) = (Vec::new(), Vec::new());
        for (first, advance) in advanced {
            if let Advance::Continue { parents, tokens: next } = advance {
                rows.extend(parents.iter().map(|parent| first + parent));
                tokens.extend(as_input(&next));
            }
        }
        if rows.is_empty() {
            break;
        }
        decoder.select(&mut cache, &rows).map_err(backbone_error)?;
        decoder.step(&mut cache, &tokens).map_err(backbone_error)?;
    }
    let finish = |(search, prompt): (BeamSearch<'_>, &Prompt<'_>)| -> anyhow::Result<Vec<Completion>> {
        let hypotheses = search.finish(settings.n_sequences).into_iter();
        let completion = |h: decoding::Hypothesis| {
            let whole = [prompt.tokens, &h.tokens].concat();
            let stop = match h.ending {
                Ending::Stopped => stopped_by(&settings.stop, &settings.tokenizer, &whole)?,
                Ending::Eos | Ending::Length => None,
            };
            Ok(Completion { tokens: h.tokens, logprobs: h.logprobs, reason: reason(h.ending, stop) })
        };
        hypotheses.map(completion).collect()
    };
    searches.into_iter().zip(prompts).map(finish).collect()
}
