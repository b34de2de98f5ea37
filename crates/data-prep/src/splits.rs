//! Which rows are used, and for what: unique ids, splits, `--take`.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use artifact::Split;
use stage::Exit;
use twox_hash::XxHash3_128;

use crate::classes::Label;
use crate::report::counted;
use crate::settings::{BySplit, Settings};
use crate::source::{Index, Names, Row, Storage};

/// The rows that will be prepared: all of train, then validation, then test.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) rows: Vec<Row>,
    pub(crate) ids: Arc<Names>,
    /// Where each split begins and ends in `rows`.
    pub(crate) ranges: BySplit<Range<usize>>,
    pub(crate) classes: Vec<String>,
    /// Whether the split of any row was drawn, so that the shares matter.
    pub(crate) is_drawn: bool,
    pub(crate) identity: serde_json::Value,
}

/// Checks ids, gives every row its split, and takes as many as were asked for.
pub(crate) fn select(index: Index, settings: &Settings) -> anyhow::Result<(Selection, Storage)> {
    check_unique(&index.ids)?;
    let is_drawn = index.rows.iter().any(|r| r.split.is_none());
    // Sorted and thinned out where they are: a second list of millions of rows would stay as holes in memory.
    let mut rows = index.rows;
    for row in &mut rows {
        row.split = Some(row.split.unwrap_or_else(|| draw(index.ids.get(row.id as usize), &settings.shares)));
    }
    // Ids count in the order of the source, which is kept within a split.
    rows.sort_unstable_by_key(|row| (row.split, row.id));
    let (mut ranges, mut is_taken) = (BySplit::default(), Vec::with_capacity(rows.len()));
    let mut start = 0;
    for of_split in rows.chunk_by(|row, next| row.split == next.split) {
        let split = of_split[0].split.map_or(0, |split| split as usize);
        let n = usize::try_from(settings.take[split]).unwrap_or(usize::MAX).min(of_split.len());
        ranges[split] = start..start + n;
        start += n;
        is_taken.extend(take(of_split, n, index.is_sorted_by_class));
    }
    let mut is_taken = is_taken.into_iter();
    rows.retain(|_| is_taken.next().unwrap_or_default());
    rows.shrink_to_fit();
    if rows.is_empty() {
        return Err(Exit::BadData.error("--take leaves no row: raise it, or leave it out"));
    }
    check_classes(&rows, &index.classes)?;
    let selection =
        Selection { rows, ids: index.ids, ranges, classes: index.classes, is_drawn, identity: index.identity };
    Ok((selection, index.storage))
}

/// The split whose share of `[0, 1)` the id's position falls into.
fn draw(id: &str, shares: &BySplit<f64>) -> Split {
    let position = Split::position(id, "split");
    let mut end = 0.0;
    for split in Split::ALL {
        end += shares[split as usize];
        if position < end {
            return split;
        }
    }
    // Shares that add up to a hair less than 1: the last split that has any.
    Split::ALL.into_iter().rev().find(|s| shares[*s as usize] > 0.0).unwrap_or(Split::Train)
}

/// Which rows are taken: the first `n`; of rows that come class after class, the first few of every class, so that a small take
/// is not all of one class.
fn take(rows: &[Row], n: usize, is_sorted_by_class: bool) -> Vec<bool> {
    if n >= rows.len() {
        return vec![true; rows.len()];
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if is_sorted_by_class {
        let mut seen: BTreeMap<i32, usize> = BTreeMap::new();
        let mut rank = |row: &Row| {
            let class = if let Label::Class(class) = row.label { class } else { -1 };
            let rank = seen.entry(class).or_default();
            *rank += 1;
            (*rank, class)
        };
        let ranks: Vec<_> = rows.iter().map(&mut rank).collect();
        order.sort_by_key(|i| ranks[*i]);
    }
    let mut is_taken = vec![false; rows.len()];
    order.into_iter().take(n).for_each(|i| is_taken[i] = true);
    is_taken
}

fn check_unique(ids: &Names) -> anyhow::Result<()> {
    // Ids of which no two hashes agree are unique, and that takes a third of the memory of a set of them.
    let mut hashes: Vec<u64> = ids.iter().map(|id| XxHash3_128::oneshot(id.as_bytes()) as u64).collect();
    hashes.sort_unstable();
    if hashes.is_sorted_by(|hash, next| hash < next) {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(ids.len());
    let repeated: Vec<&str> = ids.iter().filter(|id| !seen.insert(*id)).collect();
    if repeated.is_empty() {
        return Ok(());
    }
    let first: Vec<_> = repeated.iter().take(5).collect();
    Err(Exit::BadData.error(format!(
        "{} more than once, first {first:?}; every row needs an id of its own: is an --input given twice, or a path listed twice?",
        counted(repeated.len() as u64, "id occurs", "ids occur")
    )))
}

/// A head cannot be trained on one class.
fn check_classes(rows: &[Row], classes: &[String]) -> anyhow::Result<()> {
    let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
    for row in rows {
        match row.label {
            Label::Class(class) => *counts.entry(class).or_default() += 1,
            Label::WithPicture => return Ok(()),
            Label::Unlabelled | Label::Bad(_) => {}
        }
    }
    match counts.iter().next() {
        Some((class, n)) if counts.len() == 1 => {
            let name = usize::try_from(*class).ok().and_then(|c| classes.get(c)).map_or("?", String::as_str);
            Err(Exit::BadData.error(format!(
                "one class only: {n} of {} rows are {name:?} and no row is of another class; a head needs two classes at least",
                rows.len()
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::args::Args;
    use crate::source::Place;

    fn row(id: usize, class: i32) -> Row {
        Row { id: id as u32, label: Label::Class(class), split: None, place: Place::Drawn { index: 0 } }
    }

    #[test]
    fn shares_are_met_and_no_row_falls_between() {
        let shares = [0.7, 0.2, 0.1];
        let mut counts = [0; 3];
        (0..10_000).for_each(|i| counts[draw(&format!("row-{i}"), &shares) as usize] += 1);
        // Four standard deviations of binomial counts.
        for (n, share) in counts.iter().zip(shares) {
            let sd = (10_000.0 * share * (1.0 - share)).sqrt();
            assert!((f64::from(*n) - 10_000.0 * share).abs() < 4.0 * sd, "{counts:?}");
        }
        assert_eq!(draw("x", &[0.0, 0.0, 1.0]), Split::Test);
    }

    #[test]
    fn a_small_take_of_sorted_rows_has_every_class() {
        let rows: Vec<_> = (0..30).map(|i| row(i, i as i32 / 10)).collect();
        let taken = |n, is_sorted| {
            let is_taken = take(&rows, n, is_sorted);
            assert_eq!(is_taken.len(), rows.len());
            (0..rows.len()).filter(|i| is_taken[*i]).collect::<Vec<_>>()
        };
        assert_eq!(taken(4, true), [0, 1, 10, 20]);
        assert_eq!(taken(2, false), [0, 1]);
        assert_eq!(taken(30, true).len(), 30);
    }
    /// Shares that add up to 1, in steps of which none is exact.
    fn any_shares() -> impl Strategy<Value = BySplit<f64>> {
        (0_u32..=10, 0_u32..=10).prop_map(|(a, b)| {
            let (low, high) = (f64::from(a.min(b)) / 10.0, f64::from(a.max(b)) / 10.0);
            [low, high - low, 1.0 - high]
        })
    }

    /// Every id with its split, as [`select`] gives it; the first `n_placed` rows bring theirs along.
    fn assigned(ids: &[String], n_placed: usize, shares: BySplit<f64>) -> BTreeMap<String, Split> {
        let row = |n: usize| Row {
            id: n as u32,
            label: Label::Unlabelled,
            split: (n < n_placed).then_some(Split::ALL[n % 3]),
            place: Place::Drawn { index: 0 },
        };
        let mut names = Names::default();
        ids.iter().for_each(|id| names.push(id));
        let index = Index {
            rows: (0..ids.len()).map(row).collect(),
            ids: names.into(),
            classes: Vec::new(),
            storage: Storage::Shapes { seed: 0 },
            materials: Vec::new(),
            is_sorted_by_class: false,
            identity: serde_json::Value::Null,
        };
        let settings = Settings::resolve(&Args::parse_from(["data-prep", "--format", "shapes"])).unwrap();
        let (selection, _) = select(index, &Settings { shares, ..settings }).unwrap();
        let rows = |split: Split| &selection.rows[selection.ranges[split as usize].clone()];
        let id = |row: &Row| selection.ids.get(row.id as usize).to_string();
        let of_split = |split| rows(split).iter().map(move |row| (id(row), split));
        let all: Vec<_> = Split::ALL.into_iter().flat_map(of_split).collect();
        assert_eq!(all.len(), ids.len(), "every row is in one range");
        all.into_iter().collect()
    }

    proptest! {
        #[test]
        fn a_row_keeps_its_split_whatever_comes_beside_it(
            ids in prop::collection::hash_set(".{1,8}", 2..60), shares in any_shares(), kept in 1_usize..60,
        ) {
            let ids: Vec<String> = ids.into_iter().collect();
            let all = assigned(&ids, 0, shares);
            prop_assert_eq!(all.len(), ids.len(), "the splits are disjoint");
            let reversed: Vec<String> = ids.iter().rev().cloned().collect();
            prop_assert_eq!(&assigned(&reversed, 0, shares), &all);
            for (id, split) in assigned(&ids[..kept.min(ids.len())], 0, shares) {
                prop_assert_eq!(split, all[&id]);
            }
            prop_assert!(all.values().all(|split| shares[*split as usize] > 0.0), "no row is in a split without a share");
        }

        #[test]
        fn a_split_that_a_row_brings_is_kept_and_moves_no_other(
            ids in prop::collection::hash_set("[a-z]{1,8}", 4..40), shares in any_shares(), n_placed in 0_usize..40,
        ) {
            let ids: Vec<String> = ids.into_iter().collect();
            let (drawn, placed) = (assigned(&ids, 0, shares), assigned(&ids, n_placed, shares));
            for (n, id) in ids.iter().enumerate() {
                let expected = if n < n_placed { Split::ALL[n % 3] } else { drawn[id] };
                prop_assert_eq!(placed[id], expected);
            }
        }

        /// A larger share of training rows takes rows from the others, and gives none away.
        #[test]
        fn a_larger_share_gives_no_row_away(ids in prop::collection::hash_set(".{1,8}", 2..60), a in 1_u32..100, b in 1_u32..100) {
            let ids: Vec<String> = ids.into_iter().collect();
            let train = |share: u32| {
                let share = f64::from(share) / 100.0;
                let of = assigned(&ids, 0, [share, 0.0, 1.0 - share]);
                of.into_iter().filter(|(_, split)| *split == Split::Train).map(|(id, _)| id).collect::<HashSet<_>>()
            };
            prop_assert!(train(a.min(b)).is_subset(&train(a.max(b))));
        }
    }
}
