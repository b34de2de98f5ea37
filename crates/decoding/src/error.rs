//! Everything that can be wrong with what this crate is given, each naming found, expected and remedy.

/// Why a setting was refused or no token could be chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A setting lies outside its range.
    #[error("setting {name} is {value}, allowed is {allowed}")]
    Setting {
        /// The field, or the argument.
        name: &'static str,
        /// The value given.
        value: String,
        /// The range, in words.
        allowed: String,
    },
    /// A token does not exist in the model.
    #[error(
        "{what} names token {token}, expected below {vocab}; the model's vocabulary and the tokenizer must belong together"
    )]
    TokenOutOfRange {
        /// `an end token` or `a bad word`.
        what: &'static str,
        /// The token found.
        token: u32,
        /// Tokens the model knows.
        vocab: usize,
    },
    /// A bad word or a stop string holds nothing, so it would match everywhere.
    #[error("{what} {position} is empty, expected at least one {unit}; leave it out")]
    Empty {
        /// `bad word` or `stop string`.
        what: &'static str,
        /// 0-based place in its list.
        position: usize,
        /// `token` or `byte`.
        unit: &'static str,
    },
    /// A score is NaN or +∞.
    #[error(
        "token {token} has score {value}, expected a finite number or -inf; the model's output is broken (an overflow in float16?) or the temperature far too small"
    )]
    NotFinite {
        /// The first such token.
        token: usize,
        /// Its score.
        value: f32,
    },
    /// Every score is −∞, or there is none.
    #[error(
        "all {n_tokens} tokens are banned, expected at least one that may come next; loosen bad words, n-gram bans or minimum lengths"
    )]
    NothingLeft {
        /// Scores given.
        n_tokens: usize,
    },
    /// Two sizes that must agree do not.
    #[error("{what}: expected {expected}, found {found}")]
    Dimension {
        /// Which size.
        what: &'static str,
        /// The size needed.
        expected: usize,
        /// The size given.
        found: usize,
    },
}
