//! The three splits, and how a row without one is given one.

use serde::{Deserialize, Serialize};

/// What a row is used for. Test never takes part in a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The head is fitted on these rows.
    Train,
    /// These rows choose among settings.
    Validation,
    /// These rows are scored once, at the end.
    Test,
}

impl Split {
    /// All splits, in the order in which parts are laid out.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The split's name in file names and manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// Reads a name as data sets in the wild spell it: `val`, `valid`, `dev` and `eval` are validation.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "val" | "valid" | "dev" | "eval" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// A number in `[0, 1)` that depends on `id` and `salt` alone.
    ///
    /// Splits are drawn by comparing it with fractions, so that adding rows moves none of those
    /// that were there before. Top 53 bits of BLAKE3 over salt, a zero byte and id.
    #[must_use]
    pub fn position(id: &str, salt: &str) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(salt.as_bytes()).update(&[0]).update(id.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        (u64::from_le_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_uniform_and_stable() {
        let n = 20_000;
        let below = (0..n).filter(|i| Split::position(&format!("row-{i}"), "split") < 0.1).count();
        // Three standard deviations of a binomial count around 2,000.
        assert!((1873..=2127).contains(&below), "{below}");
        // By the Python package blake3, over b"split\0train/0000.png": another rule would move rows of
        // every data set in use.
        assert_eq!(Split::position("train/0000.png", "split"), 0.483_139_596_746_279_4);
        assert_ne!(Split::position("a", "split"), Split::position("a", "other"));
    }

    #[test]
    fn names_in_the_wild_are_understood() {
        assert_eq!(Split::parse("Val"), Some(Split::Validation));
        assert_eq!(Split::parse("TRAIN"), Some(Split::Train));
        assert_eq!(Split::parse("cats"), None);
    }
}
