//! What can be typed.

use std::path::PathBuf;

use backbone::Device;
use clap::ValueEnum;
use hub::{Location, OfFolder, Wanted};
use stage::{Common, StageArgs, location_parser};

/// Complete prompts with a pretrained language model, and keep the completions with their log-probabilities
///
/// Options that are not given come from the model's generation_config.json, as in transformers.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "generate", version, max_term_width = 100)]
pub struct Args {
    /// The model: a folder as Hugging Face exports write it (model.onnx, decoder_model_merged.onnx, or
    /// decoder_model.onnx with decoder_with_past_model.onnx, perhaps under onnx/), or one ONNX file in it;
    /// also on a hub (hf://OWNER/NAME[@REVISION][/PATH])
    #[arg(long, value_name = "FOLDER", value_parser = location_parser())]
    pub model: Option<Location>,

    /// Tokenizer: a tokenizer.json or a folder that has one [default: the model's folder]
    #[arg(long, value_name = "PATH", value_parser = location_parser())]
    pub tokenizer: Option<Location>,

    /// Prompts artifact to read [default: `prompts` in the run's folder]
    #[arg(long, value_name = "FOLDER")]
    pub prompts: Option<PathBuf>,

    /// Complete this one text and print it; no artifact is read or made
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["prompts", "jsonl", "verify_batch"])]
    pub prompt: Option<String>,

    /// Say what the model is (layers, heads, context, how it will be run), and do nothing else
    #[arg(long)]
    pub describe: bool,

    /// Tokens to generate at most [default: the model's, else 20 unless --max-length is given]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: Option<u32>,

    /// Tokens of prompt and completion together, at most; --max-new-tokens overrides it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_length: Option<u32>,

    /// No end before the completion has so many tokens
    #[arg(long, value_name = "N")]
    pub min_new_tokens: Option<u32>,

    /// No end before prompt and completion together have so many tokens
    #[arg(long, value_name = "N")]
    pub min_length: Option<u32>,

    /// Prompts that leave no room for a token: an error, cut on the left, or passed over (finish_reason `skipped`)
    #[arg(long, value_enum, default_value_t = OnLong::Error)]
    pub on_long: OnLong,

    /// How a token is chosen: the likeliest, a draw, or beam search [default: the model's, else greedy; beam
    /// where --num-beams is given]
    #[arg(long, value_enum)]
    pub strategy: Option<StrategyArg>,

    /// sample: scores are divided by it; below 1 is safer, above 1 wilder [default: the model's, else 1]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub temperature: Option<f64>,

    /// sample: draw among the K likeliest tokens and those that tie with the last, 0 for all [default: the
    /// model's, else 50]
    #[arg(long, value_name = "K")]
    pub top_k: Option<u32>,

    /// sample: draw among the fewest likeliest tokens that together have this probability [default: 1, all]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub top_p: Option<f64>,

    /// sample: draw among tokens with at least this share of the likeliest one's probability [default: 0, all]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub min_p: Option<f64>,

    /// sample: draw among the fewest tokens of typical surprise that together have this probability [default: 1, all]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub typical_p: Option<f64>,

    /// beam: sequences kept side by side [default: the model's, else 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub num_beams: Option<u32>,

    /// beam: a finished sequence scores its log-probability over its length to this power; above 0 favours long ones
    /// [default: 1]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub length_penalty: Option<f64>,

    /// beam: `true` ends with as many finished sequences as beams, `false` when improvement is unlikely, `never`
    /// when it is impossible [default: false]
    #[arg(long, value_enum)]
    pub early_stopping: Option<EarlyStoppingArg>,

    /// Completions of each prompt: draws, or the best beams [default: the model's, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub num_return_sequences: Option<u32>,

    /// Makes tokens of prompt and completion less likely (above 1) or more (below 1) [default: 1]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub repetition_penalty: Option<f64>,

    /// No sequence of N tokens comes twice, 0 for any [default: 0]
    #[arg(long, value_name = "N")]
    pub no_repeat_ngram_size: Option<u32>,

    /// Never write this, as it stands or with a space in front; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub bad_word: Vec<String>,

    /// End a completion behind this text, which stays in it; may be given several times [default: the model's]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub stop: Vec<String>,

    /// Go on behind end tokens, always to the full length
    #[arg(long)]
    pub ignore_eos: bool,

    /// Sequences in one run of the network (prompts times sequences or beams of each)
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: u32,

    /// Tokens in one run of the network, prompts and completions together, which bounds the memory of the cache;
    /// a single
    /// sequence may be longer, and the beams of one prompt are never split
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_tokens: u32,

    /// Afterwards run N rows again, each alone and through the model's graph as it is in the file, and say where
    /// the first token differs, if one does
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub verify_batch: Option<u32>,

    /// Print every completion as one JSON object a line on stdout, without the prompts' other columns
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,

    /// Where to run: auto, cpu, cuda or cuda:N. cuda that is not there is an error, auto says which it took
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "HEADSTART_DEVICE")]
    pub device: Device,

    /// Folder with the CUDA and cuDNN libraries, where they are not on the loader's path
    #[arg(long, value_name = "FOLDER", env = "HEADSTART_CUDA_LIBS")]
    pub cuda_libs: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,
}

/// How a token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyArg {
    /// The likeliest token.
    Greedy,
    /// A draw, keyed by seed, id, sequence and step.
    Sample,
    /// Beam search.
    Beam,
}

/// What happens to a prompt that leaves no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnLong {
    /// Exit 65, naming it.
    Error,
    /// Its last tokens are used.
    TruncateLeft,
    /// It stays without a completion.
    Skip,
}

/// When a beam search ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EarlyStoppingArg {
    /// With as many finished sequences as beams.
    True,
    /// When improvement is unlikely.
    False,
    /// When improvement is impossible.
    Never,
}

/// What is wanted of a model on a hub: its graphs, in the order in which `model_folder` looks for them, so that of
/// several exports one is fetched; their external data; and the JSON files.
pub(crate) const MODEL: Wanted = Wanted {
    beside: &[
        "*_data",
        "*.data",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "../config.json",
        "../generation_config.json",
        "../tokenizer.json",
    ],
    of_folder: OfFolder::Named {
        one_of: &[
            &["model.onnx"],
            &["decoder_model_merged.onnx"],
            &["decoder_model.onnx", "decoder_with_past_model.onnx"],
            &["onnx/model.onnx"],
            &["onnx/decoder_model_merged.onnx"],
            &["onnx/decoder_model.onnx", "onnx/decoder_with_past_model.onnx"],
        ],
        also: &[
            "*_data",
            "*.data",
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "onnx/config.json",
            "onnx/generation_config.json",
            "onnx/tokenizer.json",
            "../config.json",
            "../generation_config.json",
            "../tokenizer.json",
        ],
    },
};

impl StageArgs for Args {
    fn common(&self) -> &Common {
        &self.common
    }

    fn sources(&self) -> Vec<(&Location, Wanted)> {
        let model = self.model.iter().map(|model| (model, MODEL));
        model.chain(self.tokenizer.iter().map(|tokenizer| (tokenizer, Wanted::TOKENIZER))).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }
}
