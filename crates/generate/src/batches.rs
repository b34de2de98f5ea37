//! Which prompts are run together: of similar length, under a bound on sequences and on tokens.
//!
//! Batches form inside a part and never across, so the completions do not depend on how a run was split.

/// Groups the prompts of one part. `lengths` are `(prompt tokens, new tokens at most)` of each; the groups hold
/// indices, each in one group.
///
/// A group has at most `batch` sequences, `rows_per_prompt` for each prompt, and these have room for at most
/// `batch_tokens` tokens together; but every group has one prompt at least. With `equal_lengths` a group's prompts
/// all have the same number of tokens.
pub(crate) fn group(
    lengths: &[(usize, usize)],
    rows_per_prompt: usize,
    batch: usize,
    batch_tokens: usize,
    equal_lengths: bool,
) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|i| lengths[*i].0);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Room of the longest row of the group at hand.
    let (mut longest, mut most_new) = (0, 0);
    for i in order {
        let (prompt, new) = lengths[i];
        if let Some(group) = groups.last_mut() {
            let rows = (group.len() + 1) * rows_per_prompt;
            let tokens = rows.saturating_mul(prompt.max(longest).saturating_add(new.max(most_new)));
            if rows <= batch && tokens <= batch_tokens && (!equal_lengths || prompt == longest) {
                group.push(i);
                (longest, most_new) = (prompt.max(longest), new.max(most_new));
                continue;
            }
        }
        groups.push(vec![i]);
        (longest, most_new) = (prompt, new);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_lengths_run_together_under_both_bounds() {
        let lengths = [(5, 10), (90, 10), (6, 10), (5, 10)];
        assert_eq!(group(&lengths, 1, 8, 1000, false), [vec![0, 3, 2, 1]]);
        assert_eq!(group(&lengths, 1, 2, 1000, false), [vec![0, 3], vec![2, 1]]);
        assert_eq!(group(&lengths, 1, 8, 100, false), [vec![0, 3, 2], vec![1]]);
        assert_eq!(group(&lengths, 1, 8, 1000, true), [vec![0, 3], vec![2], vec![1]]);
    }

    #[test]
    fn sequences_of_a_prompt_count_and_one_prompt_always_runs() {
        assert_eq!(group(&[(5, 5), (5, 5)], 4, 8, 1000, false), [vec![0, 1]]);
        assert_eq!(group(&[(5, 5), (5, 5)], 5, 8, 1000, false), [vec![0], vec![1]]);
        assert_eq!(group(&[(500, 5)], 9, 8, 10, false), [vec![0]]);
        assert_eq!(group(&[], 1, 8, 10, false), Vec::<Vec<usize>>::new());
    }
}
