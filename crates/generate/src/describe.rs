//! `--describe`: what the model's files hold and how they will be run.

use serde_json::json;
use stage::{Report, count};

use crate::model_folder::Layout;
use crate::network::{Edits, Graphs};
use crate::settings::Settings;

pub(crate) fn run(settings: &Settings) -> anyhow::Result<Report> {
    let model = &settings.model;
    let graphs = Graphs::prepare(model, Edits::All, true)?;
    let contract = &graphs.contract;
    let files: Vec<String> = model.layout.graphs().iter().map(|p| p.display().to_string()).collect();
    let layout = match (&model.layout, &contract.use_cache_branch) {
        (Layout::Two { .. }, _) => "two graphs: one for the prompt, one for what follows",
        (Layout::One(_), Some(_)) => "one merged graph (use_cache_branch)",
        (Layout::One(_), None) => "one graph",
    };
    let unknown = || "not stated".to_string();
    let vocab = contract.vocab.map_or_else(unknown, count);
    let context = model.context().map_or_else(unknown, |n| count(n as u64));
    let model_type = model.config.model_type.clone().unwrap_or_else(unknown);
    let positions = match (&contract.position_ids, &contract.attention_mask) {
        (Some(_), _) => "fed (position_ids)",
        (None, _) => "counted by the graph, so only prompts of equal length run together",
    };
    let cache = format!(
        "{} of [rows, {}, tokens, {}], {} bytes a token",
        contract.cache_element,
        contract.kv_heads,
        contract.head_dim,
        count(contract.cache_bytes_per_token())
    );
    let runs = match (graphs.in_place(), graphs.last_logits()) {
        (true, true) => "cache in place on the CPU, logits of the last position only",
        (true, false) => "cache in place on the CPU",
        (false, true) => "cache as exported, logits of the last position only",
        (false, false) => "as exported",
    };
    let external = graphs.external_files();
    let eos: Vec<String> = settings.eos.iter().map(|id| token(settings, *id)).collect();
    let rows = [
        ("files", files.join(", ")),
        ("layout", layout.to_string()),
        ("external data", if external.is_empty() { "none".into() } else { external.join(", ") }),
        ("architecture", model_type.clone()),
        ("layers", contract.layers.len().to_string()),
        ("cache", cache),
        ("logits", format!("{}, {vocab} tokens", contract.logits_element)),
        ("context", format!("{context} tokens")),
        ("positions", positions.to_string()),
        ("tokenizer", format!("{}, {} tokens", settings.tokenizer_name, count(settings.tokenizer.vocab_size() as u64))),
        ("end tokens", if eos.is_empty() { "none".into() } else { eos.join(", ") }),
        ("tokens are chosen by", settings.strategy_in_words()),
        ("runs", runs.to_string()),
    ];
    let fields = json!({
        "model": settings.model_name,
        "files": files,
        "external_data": external,
        "model_type": model.config.model_type,
        "layers": contract.layers.len(),
        "kv_heads": contract.kv_heads,
        "head_dim": contract.head_dim,
        "cache_type": contract.cache_element.to_string(),
        "cache_bytes_per_token": contract.cache_bytes_per_token(),
        "logits_type": contract.logits_element.to_string(),
        "vocabulary": contract.vocab,
        "context": model.context(),
        "position_ids": contract.position_ids.is_some(),
        "attention_mask": contract.attention_mask.is_some(),
        "use_cache_branch": contract.use_cache_branch.is_some(),
        "eos": settings.eos,
        "strategy": settings.strategy_in_words(),
        "cache_in_place": graphs.in_place(),
        "last_logits_only": graphs.last_logits(),
    });
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    Ok(rows.iter().fold(Report::new(fields), |report, (name, value)| report.line(format!("{name:width$}  {value}"))))
}

fn token(settings: &Settings, id: u32) -> String {
    settings.tokenizer.token_of(id).map_or(id.to_string(), |text| format!("{id} {text:?}"))
}
