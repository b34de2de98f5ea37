//! What a decoder takes and gives, read from its graph: the layouts that Hugging Face's exporters write.

use std::collections::BTreeMap;

use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::proto::ValueInfoProto;
use crate::validate;
use crate::value::{Dim, TensorType};

/// The tensors of one layer's cache, each `[batch, kv_heads, length, head_dim]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayer {
    /// Input: keys so far. Nothing where the model takes no cache (the first of two models).
    pub past_key: Option<String>,
    /// Input: values so far.
    pub past_value: Option<String>,
    /// Output: keys so far and those of this run.
    pub present_key: String,
    /// Output: values so far and those of this run.
    pub present_value: String,
}

/// Inputs and outputs of a decoder, by what they are for.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderContract {
    /// int64 `[batch, sequence]`.
    pub input_ids: String,
    /// int64 `[batch, past + sequence]`: 1 for a token, 0 for padding.
    pub attention_mask: Option<String>,
    /// int64 `[batch, sequence]`.
    pub position_ids: Option<String>,
    /// bool `[1]` of a merged export: whether there is a cache yet.
    pub use_cache_branch: Option<String>,
    /// float `[batch, sequence, vocab]`.
    pub logits: String,
    /// float32 or float16.
    pub logits_element: ElementType,
    /// Number of tokens that the model knows, where the graph states it.
    pub vocab: Option<u64>,
    /// Layers in order.
    pub layers: Vec<CacheLayer>,
    /// Key/value heads, which may be fewer than query heads.
    pub kv_heads: u64,
    /// Numbers of one head.
    pub head_dim: u64,
    /// float32 or float16.
    pub cache_element: ElementType,
}

impl DecoderContract {
    /// Whether the model continues from a cache. The first of two models (`decoder_model.onnx`) only makes one.
    pub fn takes_cache(&self) -> bool {
        self.layers.iter().all(|layer| layer.past_key.is_some())
    }

    /// Bytes of the cache for one token: keys and values of all layers.
    pub fn cache_bytes_per_token(&self) -> u64 {
        let element = if self.cache_element == ElementType::F16 { 2 } else { 4 };
        let sizes = [self.layers.len() as u64, self.kv_heads, self.head_dim, element];
        // Heads and head size are what the file claims.
        sizes.into_iter().fold(2, u64::saturating_mul)
    }
}

impl Model {
    /// Reads how the model is to be fed, by the names that Hugging Face's exporters give.
    ///
    /// # Errors
    /// [`Problem::NotADecoder`] with what does not fit: no `input_ids`, no cache among the outputs, an
    /// input that nobody knows how to feed, a cache of another shape or type.
    pub fn decoder_contract(&self) -> Result<DecoderContract, Error> {
        read(self).map_err(|why| self.fail(Problem::NotADecoder { why }))
    }
}

/// `past_key_values.3.value` is the value of layer 3; so are `past.3.value` and `present.3.value`.
fn cache_name(name: &str) -> Option<(usize, bool)> {
    let rest = ["past_key_values.", "past.", "present_key_values.", "present."].iter();
    let rest = rest.filter_map(|prefix| name.strip_prefix(prefix)).next()?;
    let (layer, which) = rest.split_once('.')?;
    let is_value = match which {
        "key" | "decoder.key" => false,
        "value" | "decoder.value" => true,
        _ => return None,
    };
    Some((layer.parse().ok()?, is_value))
}

fn read(model: &Model) -> Result<DecoderContract, String> {
    let graph = model.graph();
    let inputs: Vec<_> = validate::inputs(graph).collect();
    let named = |name: &str| inputs.iter().find(|i| i.name() == name).map(|i| i.name().to_owned());
    let input_ids = named("input_ids").ok_or_else(|| {
        let found = inputs.iter().map(|i| i.name()).collect::<Vec<_>>().join(", ");
        format!("has no input `input_ids` (found {found}), so it does not take token ids; expected a decoder exported with `--task text-generation-with-past`")
    })?;
    let (mut past, mut present) = (BTreeMap::new(), BTreeMap::new());
    for input in &inputs {
        match input.name() {
            "input_ids" | "attention_mask" | "position_ids" | "use_cache_branch" => {}
            name => match cache_name(name) {
                Some(key) => drop(past.insert(key, *input)),
                None => return Err(unknown_input(name)),
            },
        }
    }
    let logits = graph.output.iter().find(|o| o.name() == "logits").ok_or_else(|| {
        let found = graph.output.iter().take(4).map(ValueInfoProto::name).collect::<Vec<_>>().join(", ");
        format!("has no output `logits` (found {found}); expected a language model with its head")
    })?;
    for output in &graph.output {
        if let Some(key) = cache_name(output.name()) {
            present.insert(key, output);
        }
    }
    if present.is_empty() {
        return Err(
            "was exported without past key/values, so every token would cost the whole text again; export it with \
             `optimum-cli export onnx --task text-generation-with-past`"
                .into(),
        );
    }
    let n_layers = present.keys().map(|(layer, _)| layer.saturating_add(1)).max().unwrap_or(0);
    if present.len() != n_layers.saturating_mul(2) {
        return Err(format!(
            "has {} cache outputs for {n_layers} layers, expected a key and a value each",
            present.len()
        ));
    }
    if !past.is_empty() && past.keys().ne(present.keys()) {
        return Err(format!("takes {} cache tensors and gives {}, expected the same", past.len(), present.len()));
    }
    let mut cache = None;
    for value in present.values().chain(past.values()) {
        let found = CacheType::of(value)?;
        match cache {
            Some(first) if first != found => {
                return Err(format!("cache tensor {:?} has another type or shape than the others", value.name()));
            }
            _ => cache = Some(found),
        }
    }
    let cache = cache.ok_or("has no cache")?;
    let port = |map: &BTreeMap<(usize, bool), &ValueInfoProto>, key| map.get(&key).map(|v| v.name().to_owned());
    let layer = |i: usize| {
        Some(CacheLayer {
            past_key: port(&past, (i, false)),
            past_value: port(&past, (i, true)),
            present_key: port(&present, (i, false))?,
            present_value: port(&present, (i, true))?,
        })
    };
    let layers = (0..n_layers).map(layer).collect::<Option<Vec<_>>>().ok_or("lacks the cache of a layer")?;
    let shown = TensorType::of(logits);
    let vocab = shown.shape.as_ref().and_then(|shape| shape.last()?.fixed());
    Ok(DecoderContract {
        input_ids,
        attention_mask: named("attention_mask"),
        position_ids: named("position_ids"),
        use_cache_branch: named("use_cache_branch"),
        logits: logits.name().to_owned(),
        logits_element: float_type(logits)?,
        vocab,
        layers,
        kv_heads: cache.heads,
        head_dim: cache.dim,
        cache_element: cache.element,
    })
}

fn unknown_input(name: &str) -> String {
    let hint = if name.starts_with("past_") {
        "it keeps its cache in another layout (onnxruntime's own `past_N` of [2, batch, heads, length, dim]?); export it with \
         `optimum-cli export onnx --task text-generation-with-past`"
    } else if name.contains("encoder") {
        "it is an encoder-decoder model; expected a decoder-only one"
    } else {
        "known are input_ids, attention_mask, position_ids, use_cache_branch and past_key_values.N.key/value"
    };
    format!("takes an input {name:?} that cannot be fed: {hint}")
}

#[derive(Clone, Copy, PartialEq)]
struct CacheType {
    element: ElementType,
    heads: u64,
    dim: u64,
}

impl CacheType {
    fn of(value: &ValueInfoProto) -> Result<Self, String> {
        let element = float_type(value)?;
        let shape = TensorType::of(value).shape;
        match shape.as_deref() {
            Some([_, Dim::Fixed(heads), _, Dim::Fixed(dim)]) if *heads > 0 && *dim > 0 => {
                Ok(Self { element, heads: *heads, dim: *dim })
            }
            _ => Err(format!(
                "cache tensor {:?} has the shape {}, expected [batch, heads, length, head size] with fixed heads and head size",
                value.name(),
                TensorType::of(value).shape_text()
            )),
        }
    }
}

fn float_type(value: &ValueInfoProto) -> Result<ElementType, String> {
    let found = TensorType::of(value);
    match found.element {
        Some(element @ (ElementType::F32 | ElementType::F16)) => Ok(element),
        _ => Err(format!("tensor {:?} is {}, expected float32 or float16", value.name(), found.element_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_names_of_the_known_exporters() {
        assert_eq!(cache_name("past_key_values.11.key"), Some((11, false)));
        assert_eq!(cache_name("present.0.value"), Some((0, true)));
        assert_eq!(cache_name("past.2.decoder.key"), Some((2, false)));
        assert_eq!(cache_name("past_0"), None);
        assert_eq!(cache_name("present.x.key"), None);
        assert_eq!(cache_name("past_key_values.0.encoder.key"), None);
    }
}
