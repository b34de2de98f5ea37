//! The fingerprint: one digest over everything that an artifact's content depends on.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Digest, FORMAT_VERSION};

/// BLAKE3 over stage, format version, resolved configuration and input digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// Computes the fingerprint of what `stage` makes from `inputs` under `config`.
    ///
    /// `config` must hold every setting that can change a byte of the output, and none that
    /// cannot (such as the number of threads). `inputs` are fingerprints of artifacts and digests
    /// of files, in an order that the stage keeps.
    #[must_use]
    pub fn new(stage: &str, config: &Value, inputs: &[String]) -> Self {
        let all = json!({
            "stage": stage,
            "format_version": FORMAT_VERSION,
            "config": sorted(config),
            "inputs": inputs,
        });
        Self(Digest::of(all.to_string().as_bytes()))
    }

    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Keys in order, whatever map type serde_json was built with by some dependency's feature.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_each_ingredient_and_on_nothing_else() {
        let base = Fingerprint::new("s", &json!({"a": 1, "b": 2}), &["x".into()]);
        assert_eq!(base, Fingerprint::new("s", &json!({"b": 2, "a": 1}), &["x".into()]));
        assert_ne!(base, Fingerprint::new("t", &json!({"a": 1, "b": 2}), &["x".into()]));
        assert_ne!(base, Fingerprint::new("s", &json!({"a": 1, "b": 3}), &["x".into()]));
        assert_ne!(base, Fingerprint::new("s", &json!({"a": 1, "b": 2}), &["y".into()]));
    }
}
