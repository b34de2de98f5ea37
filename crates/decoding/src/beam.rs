//! Beam search for one prompt, as transformers' `_beam_search` (5.23) runs it, without its padding.
//!
//! The caller runs the model; this keeps the live rows' tokens and scores, and says after each step which
//! rows go on from which. Sums of log-probabilities are `f32`, as there.

use std::cmp::Ordering;

use crate::maxima::Maxima;
use crate::parameters::{Beams, EarlyStopping, Strategy, require};
use crate::softmax::LogSoftmax;
use crate::{Decoding, Ending, Error, Result};

/// One prompt's beams. Before the first step there is one live row: the prompt, which runs once.
#[derive(Debug)]
pub struct BeamSearch<'a> {
    decoding: &'a Decoding,
    beams: Beams,
    prompt_len: usize,
    max_new: usize,
    /// Best first, at most `n_beams`; none once the search is over.
    live: Vec<Row>,
    /// Best first, at most `n_beams`.
    finished: Vec<Hypothesis>,
    /// One row's scores, kept between steps for its memory.
    scores: Vec<f32>,
}

#[derive(Debug)]
struct Row {
    /// Prompt and output.
    tokens: Vec<u32>,
    logprobs: Vec<f32>,
    score: f32,
}

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Run the model for these rows, which are then the live ones, best first. At most `n_beams`.
    Continue {
        /// For each new row, the row of the logits just given that it goes on from: reorder the cache by it.
        parents: Vec<usize>,
        /// For each new row, its newest token.
        tokens: Vec<u32>,
    },
    /// The search is over.
    Done,
}

/// A finished sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The generated tokens, an end token included.
    pub tokens: Vec<u32>,
    /// The log-probability of each in the model's own logits, before any processor.
    pub logprobs: Vec<f32>,
    /// Σ log p (after processors) / n_tokens^length_penalty: `sequences_scores` there.
    pub score: f32,
    /// Why it ended.
    pub ending: Ending,
}

/// A live row and one more token.
struct Candidate {
    score: f32,
    row: usize,
    token: u32,
}

impl Candidate {
    /// Best first; of equal ones that of the better row, then the lower token.
    fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row)).then(self.token.cmp(&other.token))
    }
}

impl<'a> BeamSearch<'a> {
    /// # Errors
    /// [`Error::Setting`] where the strategy is not beams or `max_new`, the most tokens to generate, is 0.
    pub fn new(decoding: &'a Decoding, prompt: &[u32], max_new: usize) -> Result<Self> {
        let Strategy::Beams(beams) = decoding.strategy() else {
            let value = format!("{:?}", decoding.strategy());
            return Err(Error::Setting { name: "strategy", value, allowed: "beams".into() });
        };
        require(max_new >= 1, "max_new", max_new, "1 or more")?;
        let live = vec![Row { tokens: prompt.to_vec(), logprobs: Vec::new(), score: 0.0 }];
        let prompt_len = prompt.len();
        Ok(Self { decoding, beams, prompt_len, max_new, live, finished: Vec::new(), scores: Vec::new() })
    }

    /// Rows whose logits the next [`Self::advance`] takes; 0 once the search is over.
    pub fn n_live(&self) -> usize {
        self.live.len()
    }

    /// One step: takes the model's raw logits, `f32 [n_live, vocab]` row-major, and chooses the rows that go on.
    /// `is_finished` gets prompt and output of a candidate that did not end in an end token and says whether it
    /// is over all the same (a stop string); it has the effect of transformers' `stopping_criteria`.
    ///
    /// # Errors
    /// Logits of another size; a logit that is NaN or +∞, or a row of nothing but −∞.
    pub fn advance(&mut self, logits: &[f32], is_finished: impl Fn(&[u32]) -> bool) -> Result<Advance> {
        let vocab = self.decoding.vocab();
        let (expected, found) = (self.live.len() * vocab, logits.len());
        if found != expected {
            return Err(Error::Dimension { what: "logits of the live beams", expected, found });
        }
        let mut normals = Vec::with_capacity(self.live.len());
        let candidates = self.candidates(logits, &mut normals)?;
        let (mut live, mut parents) = (Vec::new(), Vec::new());
        for (rank, Candidate { score, row, token }) in candidates.into_iter().enumerate() {
            let parent = &self.live[row];
            let logprob = normals[row].at(logits[row * vocab + token as usize]);
            let grown = Row {
                tokens: [&parent.tokens[..], &[token]].concat(),
                logprobs: [&parent.logprobs[..], &[logprob]].concat(),
                score,
            };
            let new = &grown.tokens[self.prompt_len..];
            match self.decoding.ended(new, self.max_new, || is_finished(&grown.tokens)) {
                // Those behind the best n_beams are there so that enough rows go on, not to be results.
                Some(ending) if rank < self.beams.n_beams => {
                    let score = score / length_factor(new.len(), self.beams.length_penalty);
                    let tokens = new.to_vec();
                    self.finished.push(Hypothesis { tokens, logprobs: grown.logprobs, score, ending });
                }
                Some(_) => {}
                None if live.len() < self.beams.n_beams => {
                    live.push(grown);
                    parents.push(row);
                }
                None => {}
            }
        }
        // Stable: of equal scores the one that finished earlier stays in front.
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(self.beams.n_beams);
        self.live = live;
        if self.live.is_empty() || !self.may_improve() {
            self.live.clear();
            return Ok(Advance::Done);
        }
        let newest = |row: &Row| row.tokens.last().copied().unwrap_or_default();
        Ok(Advance::Continue { parents, tokens: self.live.iter().map(newest).collect() })
    }

    /// The best max(2, 1 + n_eos) · n_beams continuations of all live rows, best first: even if every row's best
    /// are its end tokens, n_beams others are among them. `normals` receives what each row's log-softmax takes.
    fn candidates(&mut self, logits: &[f32], normals: &mut Vec<LogSoftmax>) -> Result<Vec<Candidate>> {
        let n_kept = (1 + self.decoding.eos().len()).max(2) * self.beams.n_beams;
        let mut candidates: Vec<Candidate> = Vec::new();
        for (row, logits) in logits.chunks_exact(self.decoding.vocab()).enumerate() {
            let Row { tokens, score: so_far, .. } = &self.live[row];
            let normal = LogSoftmax::given(logits, Maxima::of(logits)?.largest());
            normals.push(normal);
            let scores = &mut self.scores;
            scores.clear();
            scores.extend(logits.iter().map(|z| normal.at(*z)));
            self.decoding.process(scores, tokens, self.prompt_len);
            scores.iter_mut().for_each(|s| *s += so_far);
            let top = match Maxima::of(scores) {
                // A row whose every token is banned goes nowhere; the others do.
                Err(Error::NothingLeft { .. }) => continue,
                other => other?.top(n_kept),
            };
            let allowed = top.into_iter().map(|token| Candidate { score: scores[token as usize], row, token });
            candidates.extend(allowed.filter(|candidate| candidate.score > f32::NEG_INFINITY));
        }
        candidates.sort_unstable_by(Candidate::order);
        candidates.truncate(n_kept);
        Ok(candidates)
    }

    /// `_check_early_stop_heuristic` and `early_stopping is True`: whether a live row can still become a result.
    fn may_improve(&self) -> bool {
        let (Some(best), Some(worst)) = (self.live.first(), self.finished.last()) else { return true };
        if self.finished.len() < self.beams.n_beams {
            return true;
        }
        let generated = best.tokens.len() - self.prompt_len;
        let length = match self.beams.early_stopping {
            EarlyStopping::AtFirst => return false,
            EarlyStopping::Never if self.beams.length_penalty > 0.0 => self.max_new,
            EarlyStopping::Never | EarlyStopping::Heuristic => generated,
        };
        best.score / length_factor(length, self.beams.length_penalty) > worst.score
    }

    /// The best `n` finished sequences, best first. There are `n_beams` of them, fewer only if bans left fewer
    /// continuations than beams.
    pub fn finish(mut self, n: usize) -> Vec<Hypothesis> {
        self.finished.truncate(n);
        self.finished
    }
}

/// length^penalty, in `f64` and then rounded, as a Python number meets a float32 tensor.
fn length_factor(length: usize, penalty: f64) -> f32 {
    (length as f64).powf(penalty) as f32
}
