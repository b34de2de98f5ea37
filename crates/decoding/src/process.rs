//! The logits processors, which run whatever the strategy. Each takes the `f32 [vocab]` scores of one row and
//! that row's tokens; a token past the scores (a tokenizer may know more than the model) is passed over.

/// RepetitionPenaltyLogitsProcessor: s · r where s < 0, else s / r, once for each distinct token seen.
pub(crate) fn penalise_repetition(scores: &mut [f32], tokens: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    // Read all first, as torch's gather and scatter do: a token that comes twice is still penalised once.
    let penalised = |token: &u32| {
        let score = *scores.get(*token as usize)?;
        Some((*token as usize, if score < 0.0 { score * penalty } else { score / penalty }))
    };
    let changed: Vec<(usize, f32)> = tokens.iter().filter_map(penalised).collect();
    changed.into_iter().for_each(|(token, score)| scores[token] = score);
}

/// NoRepeatNGramLogitsProcessor: −∞ for every token that followed the last n − 1 tokens before.
pub(crate) fn ban_repeated_ngrams(scores: &mut [f32], tokens: &[u32], n: usize) {
    if n == 0 || tokens.len() < n {
        return;
    }
    let prefix = &tokens[tokens.len() + 1 - n..];
    for window in tokens.windows(n) {
        if let Some((last, rest)) = window.split_last()
            && rest == prefix
        {
            ban(scores, *last);
        }
    }
}

/// NoBadWordsLogitsProcessor: −∞ for every token that would complete a word. Words are not empty.
pub(crate) fn ban_words(scores: &mut [f32], tokens: &[u32], words: &[Vec<u32>]) {
    for word in words {
        if let Some((last, rest)) = word.split_last()
            && tokens.ends_with(rest)
        {
            ban(scores, *last);
        }
    }
}

/// MinLengthLogitsProcessor and MinNewTokensLengthLogitsProcessor: −∞ for the end tokens while `length < min`.
pub(crate) fn ban_ends(scores: &mut [f32], length: usize, min: usize, eos: &[u32]) {
    if length < min {
        eos.iter().for_each(|token| ban(scores, *token));
    }
}

fn ban(scores: &mut [f32], token: u32) {
    if let Some(score) = scores.get_mut(token as usize) {
        *score = f32::NEG_INFINITY;
    }
}
