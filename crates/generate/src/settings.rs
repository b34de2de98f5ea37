//! What was typed over what the model's files say, with every value resolved.

use std::path::{Path, PathBuf};

use backbone::Device;
use decoding::{Beams, EarlyStopping, Parameters, Sampling, StopStrings, Strategy};
use hub::Wanted;
use serde_json::{Value, json};
use stage::{Exit, Job, Local};
use text::Tokenizer;

use crate::args::{Args, EarlyStoppingArg, MODEL, OnLong, StrategyArg};
use crate::model_folder::{GenerationConfig, ModelFolder};
use crate::{decoding_error, text_error};

/// What a run is to do.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The model as the person named it.
    pub(crate) model_name: String,
    pub(crate) model: ModelFolder,
    /// Where the model's files are from.
    model_files: Local,
    /// The tokenizer's file, by the name under which it can be given again.
    pub(crate) tokenizer_name: String,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) prompts: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) parameters: Parameters,
    pub(crate) lengths: Lengths,
    pub(crate) on_long: OnLong,
    pub(crate) eos: Vec<u32>,
    pub(crate) stop: StopStrings,
    stop_texts: Vec<String>,
    pub(crate) n_sequences: usize,
    pub(crate) batch: usize,
    pub(crate) batch_tokens: usize,
    pub(crate) device: Device,
    pub(crate) cuda_libraries: Option<PathBuf>,
    pub(crate) threads: usize,
}

/// How long a text may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Tokens that are generated at most; nothing where only the total is bounded.
    pub(crate) max_new: Option<usize>,
    /// Tokens of prompt and completion together: the smaller of what was asked for and the model's context.
    pub(crate) max_total: Option<usize>,
}

impl Lengths {
    /// Tokens that may follow a prompt of `n` tokens; 0 if it leaves no room.
    pub(crate) fn room(self, n: usize) -> usize {
        let left = self.max_total.map_or(usize::MAX, |total| total.saturating_sub(n));
        self.max_new.map_or(left, |new| new.min(left))
    }

    /// Tokens of a prompt that are kept when it has to be cut: room is left for what was asked for, but at least one
    /// token of the prompt stays.
    pub(crate) fn kept(self) -> usize {
        let total = self.max_total.unwrap_or(usize::MAX);
        total.saturating_sub(self.max_new.unwrap_or(1).min(total / 2)).max(1)
    }
}

/// New tokens where nobody says how many, as in transformers.
const DEFAULT_NEW_TOKENS: usize = 20;
/// Beams where beam search is asked for and nobody says how many.
const DEFAULT_BEAMS: u32 = 4;

impl Settings {
    pub(crate) fn resolve(job: &Job<Args>) -> anyhow::Result<Self> {
        let args = &job.args;
        let Some(location) = &args.model else {
            return Err(
                Exit::Usage.error("no model: give --model FOLDER with model.onnx, tokenizer.json and config.json")
            );
        };
        let files = stage::fetch(location, &MODEL, &args.common)?;
        let model = ModelFolder::find(&files.path)?;
        let own_tokenizer = match &args.tokenizer {
            Some(location) => Some(stage::fetch(location, &Wanted::TOKENIZER, &args.common)?),
            None => None,
        };
        let tokenizer_at = own_tokenizer.as_ref().map_or(model.root.as_path(), |t| &t.path);
        let tokenizer = Tokenizer::read(tokenizer_at).map_err(text_error)?;
        let tokenizer_name = own_tokenizer.as_ref().unwrap_or(&files).name_of(tokenizer.path());
        let passed_over = model.generation.passed_over();
        if !passed_over.is_empty() {
            tracing::warn!(
                "generation_config.json sets {}, which nothing here does: tokens will differ from those of transformers",
                passed_over.join(", ")
            );
        }
        let stop_texts = match (args.stop.as_slice(), &model.generation.stop_strings) {
            ([], Some(texts)) => texts.list(),
            (typed, _) => typed.to_vec(),
        };
        let eos = if args.ignore_eos { Vec::new() } else { model.eos() };
        let parameters = parameters(args, &model.generation, &tokenizer)?;
        let n_sequences = args.num_return_sequences.or(model.generation.num_return_sequences).unwrap_or(1) as usize;
        check_sequences(n_sequences, parameters.strategy)?;
        Ok(Self {
            model_name: files.name.clone(),
            tokenizer_name,
            model_files: files,
            prompts: args.prompts.clone().unwrap_or_else(|| job.run_folder().join("prompts")),
            out: job.out("completions"),
            lengths: lengths(args, &model),
            on_long: args.on_long,
            stop: StopStrings::new(stop_texts.clone()).map_err(decoding_error)?,
            stop_texts,
            batch: args.batch as usize,
            batch_tokens: args.batch_tokens as usize,
            device: args.device,
            cuda_libraries: args.cuda_libs.clone(),
            threads: args.common.thread_count(),
            model,
            tokenizer,
            parameters,
            eos,
            n_sequences,
        })
    }

    /// Sequences that are run for one prompt: its beams, or its completions.
    pub(crate) fn rows_per_prompt(&self) -> usize {
        match self.parameters.strategy {
            Strategy::Beams(beams) => beams.n_beams,
            Strategy::Greedy | Strategy::Sample(_) => self.n_sequences,
        }
    }

    /// How tokens are chosen, in words.
    pub(crate) fn strategy_in_words(&self) -> String {
        match self.parameters.strategy {
            Strategy::Greedy => "greedy".into(),
            Strategy::Sample(s) => {
                let mut words = format!("sampling at temperature {}", s.temperature);
                let given = [
                    (s.top_k > 0, format!("top-k {}", s.top_k)),
                    (s.top_p < 1.0, format!("top-p {}", s.top_p)),
                    (s.min_p > 0.0, format!("min-p {}", s.min_p)),
                    (s.typical_p < 1.0, format!("typical-p {}", s.typical_p)),
                ];
                given.iter().filter(|(is_on, _)| *is_on).for_each(|(_, text)| words = format!("{words}, {text}"));
                format!("{words}, seed {}", s.seed)
            }
            Strategy::Beams(b) => format!("{} beams", b.n_beams),
        }
    }

    /// Every setting that can change a byte of the completions, for the fingerprint.
    pub(crate) fn config(&self, provider: &str) -> Value {
        let p = &self.parameters;
        let strategy = match p.strategy {
            Strategy::Greedy => json!({ "strategy": "greedy" }),
            Strategy::Sample(s) => json!({
                "strategy": "sample", "temperature": s.temperature, "top_k": s.top_k, "top_p": s.top_p,
                "min_p": s.min_p, "typical_p": s.typical_p, "seed": s.seed,
            }),
            Strategy::Beams(b) => json!({
                "strategy": "beam", "num_beams": b.n_beams, "length_penalty": b.length_penalty,
                "early_stopping": format!("{:?}", b.early_stopping),
            }),
        };
        let mut config = json!({
            "provider": provider,
            // Decides whether the cache may stay in place, and so which kernels run.
            "plain_causal_mask": self.model.is_plain_causal(),
            // Kernels are chosen by shape, so another batch may round differently.
            "batch": self.batch,
            "batch_tokens": self.batch_tokens,
            "max_new_tokens": self.lengths.max_new,
            "max_total_tokens": self.lengths.max_total,
            "on_long": format!("{:?}", self.on_long),
            "min_length": p.min_length,
            "min_new_tokens": p.min_new_tokens,
            "repetition_penalty": p.repetition_penalty,
            "no_repeat_ngram_size": p.no_repeat_ngram_size,
            "bad_words": p.bad_words,
            "eos": self.eos,
            "stop": self.stop_texts,
            "num_return_sequences": self.n_sequences,
        });
        if let (Value::Object(config), Value::Object(strategy)) = (&mut config, strategy) {
            config.extend(strategy);
        }
        config
    }

    /// The files whose content the completions depend on besides the prompts: graphs with their external data. The
    /// tokenizer comes after them.
    pub(crate) fn files(&self, external: &[PathBuf]) -> Vec<PathBuf> {
        let graphs = self.model.layout.graphs().into_iter().map(Path::to_path_buf);
        graphs.chain(external.iter().cloned()).chain([self.tokenizer.path().to_path_buf()]).collect()
    }
}

impl Settings {
    /// What a manifest calls one of [`Settings::files`].
    pub(crate) fn name_of(&self, file: &Path) -> String {
        if file == self.tokenizer.path() { self.tokenizer_name.clone() } else { self.model_files.name_of(file) }
    }
}

fn lengths(args: &Args, model: &ModelFolder) -> Lengths {
    let (typed_new, typed_total) = (args.max_new_tokens, args.max_length);
    // What was typed beats the model's file, whichever of the two it is.
    let (max_new, max_length) = match (typed_new, typed_total) {
        (None, None) => (model.generation.max_new_tokens, model.generation.max_length),
        typed => typed,
    };
    let context = model.context();
    let total = |asked: Option<u32>| match (asked.map(|n| n as usize), context) {
        (Some(asked), Some(context)) => Some(asked.min(context)),
        (asked, context) => asked.or(context),
    };
    match (max_new, max_length) {
        (Some(new), _) => Lengths { max_new: Some(new as usize), max_total: context },
        (None, Some(length)) => Lengths { max_new: None, max_total: total(Some(length)) },
        (None, None) => Lengths { max_new: Some(DEFAULT_NEW_TOKENS), max_total: context },
    }
}

fn check_sequences(n: usize, strategy: Strategy) -> anyhow::Result<()> {
    match strategy {
        Strategy::Greedy if n > 1 => Err(Exit::Usage.error(format!(
            "--num-return-sequences {n}: greedy gives {n} times the same; use --strategy sample, or beam"
        ))),
        Strategy::Beams(beams) if n > beams.n_beams => Err(Exit::Usage
            .error(format!("--num-return-sequences {n} is more than the {} beams; raise --num-beams", beams.n_beams))),
        _ => Ok(()),
    }
}

fn parameters(args: &Args, model: &GenerationConfig, tokenizer: &Tokenizer) -> anyhow::Result<Parameters> {
    let strategy = match (args.strategy, args.num_beams) {
        (Some(strategy), _) => strategy,
        (None, Some(_)) => StrategyArg::Beam,
        (None, None) if model.num_beams.is_some_and(|n| n > 1) => StrategyArg::Beam,
        (None, None) if model.do_sample == Some(true) => StrategyArg::Sample,
        (None, None) => StrategyArg::Greedy,
    };
    check_options(args, strategy)?;
    if strategy == StrategyArg::Beam
        && args.strategy.is_none()
        && args.num_beams.is_none()
        && model.do_sample == Some(true)
    {
        return Err(Exit::Usage.error(
            "generation_config.json asks for sampling among beams, which is not done here: choose --strategy sample or beam",
        ));
    }
    let strategy = match strategy {
        StrategyArg::Greedy => Strategy::Greedy,
        StrategyArg::Sample => {
            let default = Sampling::default();
            Strategy::Sample(Sampling {
                temperature: args.temperature.or(model.temperature).unwrap_or(default.temperature),
                top_k: args.top_k.or(model.top_k).map_or(default.top_k, |k| k as usize),
                top_p: args.top_p.or(model.top_p).unwrap_or(default.top_p),
                min_p: args.min_p.or(model.min_p).unwrap_or(default.min_p),
                typical_p: args.typical_p.or(model.typical_p).unwrap_or(default.typical_p),
                seed: args.common.seed,
            })
        }
        // One beam is greedy decoding, as in transformers.
        StrategyArg::Beam if args.num_beams.or(model.num_beams) == Some(1) => Strategy::Greedy,
        StrategyArg::Beam => Strategy::Beams(Beams {
            n_beams: args.num_beams.or(model.num_beams.filter(|n| *n > 1)).unwrap_or(DEFAULT_BEAMS) as usize,
            length_penalty: args.length_penalty.or(model.length_penalty).unwrap_or(1.0),
            early_stopping: early_stopping(args.early_stopping, model.early_stopping.as_ref())?,
        }),
    };
    let mut bad_words = model.bad_words_ids.clone().unwrap_or_default();
    for word in &args.bad_word {
        bad_words.push(bare_ids(word, tokenizer)?);
        bad_words.push(bare_ids(&format!(" {word}"), tokenizer)?);
    }
    Ok(Parameters {
        repetition_penalty: args.repetition_penalty.or(model.repetition_penalty).unwrap_or(1.0),
        no_repeat_ngram_size: args.no_repeat_ngram_size.or(model.no_repeat_ngram_size).unwrap_or(0) as usize,
        bad_words,
        min_length: args.min_length.or(model.min_length).unwrap_or(0) as usize,
        min_new_tokens: args.min_new_tokens.or(model.min_new_tokens).unwrap_or(0) as usize,
        strategy,
    })
}

/// Options that the strategy would pass over in silence.
fn check_options(args: &Args, strategy: StrategyArg) -> anyhow::Result<()> {
    let of_sample = [
        ("--temperature", args.temperature.is_some()),
        ("--top-k", args.top_k.is_some()),
        ("--top-p", args.top_p.is_some()),
        ("--min-p", args.min_p.is_some()),
        ("--typical-p", args.typical_p.is_some()),
    ];
    let of_beam = [
        ("--num-beams", args.num_beams.is_some()),
        ("--length-penalty", args.length_penalty.is_some()),
        ("--early-stopping", args.early_stopping.is_some()),
    ];
    let foreign = |options: &[(&'static str, bool)]| options.iter().find(|(_, given)| *given).map(|(name, _)| *name);
    let (option, belongs) = match strategy {
        StrategyArg::Greedy => {
            (foreign(&of_sample).map(|o| (o, "sample")).or(foreign(&of_beam).map(|o| (o, "beam")))).unzip()
        }
        StrategyArg::Sample => foreign(&of_beam).map(|o| (o, "beam")).unzip(),
        StrategyArg::Beam => foreign(&of_sample).map(|o| (o, "sample")).unzip(),
    };
    match (option, belongs) {
        (Some(option), Some(strategy)) => {
            Err(Exit::Usage.error(format!("{option} is for --strategy {strategy}: add it, or leave {option} out")))
        }
        _ => Ok(()),
    }
}

/// transformers' three values: true, false, "never".
fn early_stopping(typed: Option<EarlyStoppingArg>, model: Option<&Value>) -> anyhow::Result<EarlyStopping> {
    Ok(match (typed, model) {
        (Some(EarlyStoppingArg::True), _) => EarlyStopping::AtFirst,
        (Some(EarlyStoppingArg::False), _) | (None, None | Some(Value::Null | Value::Bool(false))) => {
            EarlyStopping::Heuristic
        }
        (Some(EarlyStoppingArg::Never), _) => EarlyStopping::Never,
        (None, Some(Value::Bool(true))) => EarlyStopping::AtFirst,
        (None, Some(Value::String(word))) if word == "never" => EarlyStopping::Never,
        (None, Some(other)) => {
            let message =
                format!("generation_config.json: early_stopping is {other}, expected true, false or \"never\"");
            return Err(Exit::BadData.error(message));
        }
    })
}

/// The ids of a text without the tokens that the tokenizer puts in front of every text.
fn bare_ids(text: &str, tokenizer: &Tokenizer) -> anyhow::Result<Vec<u32>> {
    let front = tokenizer.encode("").map_err(text_error)?;
    let ids = tokenizer.encode(text).map_err(text_error)?;
    Ok(ids.strip_prefix(front.as_slice()).unwrap_or(&ids).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_both_bounds_leave() {
        let both = Lengths { max_new: Some(20), max_total: Some(100) };
        assert_eq!([both.room(10), both.room(90), both.room(100), both.room(200)], [20, 10, 0, 0]);
        assert_eq!(Lengths { max_new: Some(20), max_total: None }.room(5000), 20);
        assert_eq!(Lengths { max_new: None, max_total: Some(100) }.room(11), 89);
    }

    #[test]
    fn a_cut_prompt_leaves_the_room_that_was_asked_for() {
        assert_eq!(Lengths { max_new: Some(20), max_total: Some(100) }.kept(), 80);
        assert_eq!(Lengths { max_new: None, max_total: Some(100) }.kept(), 99);
        // Never less than half of the context, and never nothing.
        assert_eq!(Lengths { max_new: Some(500), max_total: Some(100) }.kept(), 50);
        assert_eq!(Lengths { max_new: Some(5), max_total: Some(1) }.kept(), 1);
    }
}
