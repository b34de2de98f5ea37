//! The files of a model, as Hugging Face's exports lay them out, and what its JSON files say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use stage::Exit;

/// Where a model's files are.
#[derive(Debug, Clone)]
pub(crate) struct ModelFolder {
    pub(crate) layout: Layout,
    /// Where tokenizer.json and the configuration are: the graph's folder, or the one above `onnx/`.
    pub(crate) root: PathBuf,
    pub(crate) config: Config,
    pub(crate) generation: GenerationConfig,
}

/// The graphs of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `model.onnx`, or `decoder_model_merged.onnx`.
    One(PathBuf),
    /// `decoder_model.onnx` for the prompt and `decoder_with_past_model.onnx` for what follows.
    Two { prompt: PathBuf, next: PathBuf },
}

/// What is read of config.json.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) model_type: Option<String>,
    n_positions: Option<u32>,
    n_ctx: Option<u32>,
    max_position_embeddings: Option<u32>,
    sliding_window: Option<u32>,
    use_sliding_window: Option<bool>,
    eos_token_id: Option<TokenIds>,
}

/// What is read of generation_config.json, under transformers' names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct GenerationConfig {
    pub(crate) max_new_tokens: Option<u32>,
    pub(crate) max_length: Option<u32>,
    pub(crate) min_new_tokens: Option<u32>,
    pub(crate) min_length: Option<u32>,
    pub(crate) do_sample: Option<bool>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_k: Option<u32>,
    pub(crate) top_p: Option<f64>,
    pub(crate) min_p: Option<f64>,
    pub(crate) typical_p: Option<f64>,
    pub(crate) num_beams: Option<u32>,
    pub(crate) length_penalty: Option<f64>,
    pub(crate) early_stopping: Option<Value>,
    pub(crate) num_return_sequences: Option<u32>,
    pub(crate) repetition_penalty: Option<f64>,
    pub(crate) no_repeat_ngram_size: Option<u32>,
    pub(crate) bad_words_ids: Option<Vec<Vec<u32>>>,
    pub(crate) stop_strings: Option<StopTexts>,
    pub(crate) eos_token_id: Option<TokenIds>,
    /// Everything else in the file.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// Keys that change which tokens transformers chooses and that nothing here does, each with the values that mean
/// nothing, besides null, false and empty ones.
const NOT_DONE: [(&str, f64); 17] = [
    ("num_beam_groups", 1.0),
    ("diversity_penalty", 0.0),
    ("penalty_alpha", 0.0),
    ("suppress_tokens", f64::NAN),
    ("begin_suppress_tokens", f64::NAN),
    ("forced_bos_token_id", f64::NAN),
    ("forced_eos_token_id", f64::NAN),
    ("sequence_bias", f64::NAN),
    ("exponential_decay_length_penalty", f64::NAN),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("top_h", f64::NAN),
    ("guidance_scale", 1.0),
    ("max_time", f64::NAN),
    ("watermarking_config", f64::NAN),
    ("encoder_no_repeat_ngram_size", 0.0),
    ("force_words_ids", f64::NAN),
];

impl GenerationConfig {
    /// Keys of the file that would change tokens in transformers and change none here.
    pub(crate) fn passed_over(&self) -> Vec<&str> {
        let matters = |value: &Value, neutral: f64| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(items) => !items.is_empty(),
            Value::Number(number) => number.as_f64() != Some(neutral),
            Value::Bool(true) | Value::String(_) => true,
        };
        let is_set = |key: &str, neutral| self.other.get(key).is_some_and(|value| matters(value, neutral));
        NOT_DONE.iter().filter(|(key, neutral)| is_set(key, *neutral)).map(|(key, _)| *key).collect()
    }

    fn check(&self, path: &Path) -> anyhow::Result<()> {
        let counts = [
            ("max_new_tokens", self.max_new_tokens),
            ("max_length", self.max_length),
            ("num_beams", self.num_beams),
            ("num_return_sequences", self.num_return_sequences),
        ];
        match counts.iter().find(|(_, n)| *n == Some(0)) {
            Some((key, _)) => {
                Err(Exit::BadData.error(format!("{}: {key} is 0, expected 1 or more, or nothing", path.display())))
            }
            None => Ok(()),
        }
    }
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum StopTexts {
    One(String),
    Several(Vec<String>),
}

impl StopTexts {
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Several(texts) => texts.clone(),
        }
    }
}

/// One token id or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum TokenIds {
    One(u32),
    Several(Vec<u32>),
}

impl TokenIds {
    fn list(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Several(ids) => ids.clone(),
        }
    }
}

/// Architectures in which every token sees all tokens before it, and nothing else shapes the mask.
const PLAIN_CAUSAL: [&str; 2] = ["gpt2", "llama"];

impl ModelFolder {
    /// Finds a model's files. `path` is its folder, or one ONNX file.
    pub(crate) fn find(path: &Path) -> anyhow::Result<Self> {
        let layout = layout(path)?;
        let graph_folder = layout.graphs()[0].parent().unwrap_or(Path::new("."));
        let above = graph_folder.parent().filter(|_| graph_folder.file_name().is_some_and(|n| n == "onnx"));
        let has_facts = |folder: &Path| {
            ["config.json", "tokenizer.json", "generation_config.json"].iter().any(|f| folder.join(f).is_file())
        };
        let root = match above {
            Some(above) if !has_facts(graph_folder) => above,
            _ => graph_folder,
        };
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root }.to_path_buf();
        let config = read_json(&root.join("config.json"))?;
        let path = root.join("generation_config.json");
        let generation: GenerationConfig = read_json(&path)?;
        generation.check(&path)?;
        Ok(Self { layout, config, generation, root })
    }

    /// Tokens that the model can see at once, where its configuration says so.
    pub(crate) fn context(&self) -> Option<usize> {
        let Config { n_positions, n_ctx, max_position_embeddings, .. } = &self.config;
        n_positions.or(*n_ctx).or(*max_position_embeddings).map(|n| n as usize)
    }

    /// End tokens: those of generation_config.json, else of config.json.
    pub(crate) fn eos(&self) -> Vec<u32> {
        let ids = self.generation.eos_token_id.as_ref().or(self.config.eos_token_id.as_ref());
        ids.map_or(Vec::new(), TokenIds::list)
    }

    /// Whether the mask is known to be the plain causal one, which is what lets the cache stay in place.
    pub(crate) fn is_plain_causal(&self) -> bool {
        let known = self.config.model_type.as_deref().is_some_and(|t| PLAIN_CAUSAL.contains(&t));
        let slides = self.config.sliding_window.is_some() && self.config.use_sliding_window != Some(false);
        known && !slides
    }
}

impl Layout {
    /// The ONNX files, the one that takes a cache last.
    pub(crate) fn graphs(&self) -> Vec<&Path> {
        match self {
            Self::One(path) => vec![path],
            Self::Two { prompt, next } => vec![prompt, next],
        }
    }
}

fn layout(path: &Path) -> anyhow::Result<Layout> {
    if path.is_file() {
        return Ok(Layout::One(path.to_path_buf()));
    }
    if !path.is_dir() {
        return Err(Exit::MissingInput.error(format!(
            "no model at {}; give --model a folder with model.onnx, tokenizer.json and config.json",
            path.display()
        )));
    }
    for folder in [path.to_path_buf(), path.join("onnx")] {
        for name in ["model.onnx", "decoder_model_merged.onnx"] {
            if folder.join(name).is_file() {
                return Ok(Layout::One(folder.join(name)));
            }
        }
        let (prompt, next) = (folder.join("decoder_model.onnx"), folder.join("decoder_with_past_model.onnx"));
        match (prompt.is_file(), next.is_file()) {
            (true, true) => return Ok(Layout::Two { prompt, next }),
            (true, false) => {
                return Err(Exit::BadData.error(format!(
                    "{} alone takes no past key/values, so every token would cost the whole text again; export the model \
                     with `optimum-cli export onnx --task text-generation-with-past`",
                    prompt.display()
                )));
            }
            _ => {}
        }
    }
    let mut found: Vec<String> = [path.to_path_buf(), path.join("onnx")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .filter(|e| e.path().extension().is_some_and(|x| x == "onnx"))
        .map(|e| e.path().strip_prefix(path).unwrap_or(&e.path()).display().to_string())
        .collect();
    found.sort();
    let hint = match found.as_slice() {
        [] => String::new(),
        names => format!("; it has {}: give one of them to --model", names.join(", ")),
    };
    Err(Exit::MissingInput.error(format!(
        "no model in {}: expected model.onnx, decoder_model_merged.onnx, or decoder_model.onnx with decoder_with_past_model.onnx, \
         there or under onnx/{hint}",
        path.display()
    )))
}

/// A JSON file that may be absent; what is in it has to fit.
fn read_json<T: Default + for<'a> Deserialize<'a>>(path: &Path) -> anyhow::Result<T> {
    stage::refuse_special_file(path.display(), path)?;
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        Err(e) => return Err(Exit::Io.error(format!("cannot read {}: {e}", path.display()))),
    };
    let bad = |e: &dyn std::fmt::Display| Exit::BadData.error(format!("{} cannot be used: {e}", path.display()));
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| bad(&e))?;
    if !value.is_object() {
        return Err(bad(&"expected an object with keys and values"));
    }
    serde_json::from_value(value).map_err(|e| bad(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[test]
    fn each_layout_is_found_also_under_onnx() {
        for (files, expected) in [
            (vec!["model.onnx"], vec!["model.onnx"]),
            (vec!["onnx/decoder_model_merged.onnx", "onnx/decoder_model.onnx"], vec!["onnx/decoder_model_merged.onnx"]),
            (
                vec!["decoder_model.onnx", "decoder_with_past_model.onnx"],
                vec!["decoder_model.onnx", "decoder_with_past_model.onnx"],
            ),
        ] {
            let dir = folder(&files.iter().map(|f| (*f, "")).collect::<Vec<_>>());
            let found = ModelFolder::find(dir.path()).unwrap();
            let graphs: Vec<_> =
                found.layout.graphs().iter().map(|p| p.strip_prefix(dir.path()).unwrap().to_owned()).collect();
            assert_eq!(graphs, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
            // Nothing says otherwise, so tokenizer and configuration are looked for above `onnx/`.
            assert_eq!(found.root, dir.path());
        }
    }

    #[test]
    fn configuration_above_onnx_is_the_models() {
        let dir = folder(&[
            ("onnx/model.onnx", ""),
            ("config.json", r#"{"model_type": "gpt2", "n_positions": 64, "eos_token_id": 5}"#),
        ]);
        let found = ModelFolder::find(dir.path()).unwrap();
        assert_eq!((found.context(), found.eos(), found.is_plain_causal()), (Some(64), vec![5], true));
        assert_eq!(ModelFolder::find(&dir.path().join("onnx/model.onnx")).unwrap().root, dir.path());
    }

    #[test]
    fn settings_that_nothing_here_does_are_told_from_neutral_ones() {
        let config = r#"{"guidance_scale": 1.0, "suppress_tokens": [], "penalty_alpha": null, "num_beam_groups": 2,
            "forced_eos_token_id": 7, "transformers_version": "5.0", "_from_model_config": true}"#;
        let dir = folder(&[("model.onnx", ""), ("generation_config.json", config)]);
        let found = ModelFolder::find(dir.path()).unwrap().generation;
        assert_eq!(found.passed_over(), ["num_beam_groups", "forced_eos_token_id"]);
        for (wrong, said) in [(r#"{"max_new_tokens": 0}"#, "max_new_tokens is 0"), ("[]", "expected an object")] {
            let dir = folder(&[("model.onnx", ""), ("generation_config.json", wrong)]);
            let message = ModelFolder::find(dir.path()).unwrap_err().to_string();
            assert!(message.contains("generation_config.json") && message.contains(said), "{message}");
        }
    }

    #[test]
    fn a_sliding_window_is_not_plain() {
        for (config, plain) in [
            (r#"{"model_type": "llama"}"#, true),
            (r#"{"model_type": "llama", "sliding_window": 128}"#, false),
            (r#"{"model_type": "llama", "sliding_window": 128, "use_sliding_window": false}"#, true),
            (r#"{"model_type": "gpt_neo"}"#, false),
            ("{}", false),
        ] {
            let dir = folder(&[("model.onnx", ""), ("config.json", config)]);
            assert_eq!(ModelFolder::find(dir.path()).unwrap().is_plain_causal(), plain, "{config}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let message = |files: &[(&str, &str)]| ModelFolder::find(folder(files).path()).unwrap_err().to_string();
        assert!(message(&[]).contains("expected model.onnx"));
        assert!(message(&[("onnx/model_q4.onnx", "")]).contains("it has onnx/model_q4.onnx: give one of them"));
        assert!(message(&[("decoder_model.onnx", "")]).contains("takes no past"));
        assert!(message(&[("model.onnx", ""), ("config.json", "{")]).contains("config.json cannot be used"));
    }
}
