//! The shortest prefix of an order that holds a given share of the weight, without sorting the whole.
//!
//! What top-p asks (likeliest first) and typical-p asks (least untypical first) is the same question.

use crate::softmax::maximum;

/// Most cells that distances are sorted into, each of the same width: 32 KiB of sums stay in the first cache, and
/// the one cell that has to be sorted seldom holds more than a few hundred of 50,257 tokens.
const MOST_CELLS: usize = 4096;

/// Distances beyond this share the last cell. They carry e⁻⁶⁴ of the largest weight, which is nothing.
const REACH: f32 = 64.0;

/// The last member of the prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Edge {
    pub(crate) distance: f32,
    pub(crate) index: usize,
}

/// Orders entries by ascending distance, ties by index, and returns the last entry of the shortest prefix whose
/// weights sum to at least `share` of all; of one entry at least. Distances are ≥ 0 or +∞, weights ≥ 0, both
/// `[n]` with n ≥ 1, `share` in `[0, 1]`. Sums are `f64`, in an order that the input alone decides.
pub(crate) fn edge(distances: &[f32], weights: &[f32], share: f64) -> Edge {
    let farthest = maximum(distances, |d| if d <= REACH { d } else { 0.0 });
    let n_cells = distances.len().min(MOST_CELLS);
    let scale = if farthest > 0.0 { n_cells as f32 / farthest } else { 0.0 };
    // `as` saturates: +∞ goes to the last cell, and the product of +∞ and 0, which is NaN, to the first.
    let cell_of = |distance: f32| ((distance * scale) as u32 as usize).min(n_cells - 1);
    let mut cells = vec![0.0_f64; n_cells];
    for (distance, weight) in distances.iter().zip(weights) {
        cells[cell_of(*distance)] += f64::from(*weight);
    }
    let target = share * cells.iter().sum::<f64>();
    let mut before = 0.0;
    let mut chosen = n_cells - 1;
    for (cell, mass) in cells.iter().enumerate() {
        if *mass > 0.0 && before + mass >= target {
            chosen = cell;
            break;
        }
        before += mass;
    }
    let mut members: Vec<usize> = (0..distances.len()).filter(|i| cell_of(distances[*i]) == chosen).collect();
    members.sort_unstable_by(|a, b| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b)));
    let reaches = |index: &usize| {
        before += f64::from(weights[*index]);
        before >= target
    };
    // The cell's sum was taken in another order, so it may fall a rounding short here; then it is all of the cell.
    let index = members.iter().copied().find(reaches).or(members.last().copied()).unwrap_or_default();
    Edge { distance: distances[index], index }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Entries in order, up to the edge.
    fn prefix(distances: &[f32], weights: &[f32], share: f64) -> Vec<usize> {
        let edge = edge(distances, weights, share);
        let mut order: Vec<usize> = (0..distances.len()).collect();
        order.sort_by(|a, b| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b)));
        let end = order.iter().position(|i| *i == edge.index).unwrap();
        order.truncate(end + 1);
        order
    }

    #[test]
    fn a_share_that_is_met_exactly_takes_no_more() {
        let (distances, weights) = ([2.0, 0.0, 1.0, 2.0], [0.125, 0.5, 0.25, 0.125]);
        assert_eq!(prefix(&distances, &weights, 0.0), [1]);
        assert_eq!(prefix(&distances, &weights, 0.5), [1]);
        assert_eq!(prefix(&distances, &weights, 0.75), [1, 2]);
        assert_eq!(prefix(&distances, &weights, 0.76), [1, 2, 0]);
        assert_eq!(prefix(&distances, &weights, 1.0), [1, 2, 0, 3]);
    }

    #[test]
    fn equal_and_infinite_distances() {
        assert_eq!(prefix(&[0.5; 8], &[1.0; 8], 0.5), [0, 1, 2, 3]);
        assert_eq!(prefix(&[0.0; 8], &[1.0; 8], 0.25), [0, 1]);
        assert_eq!(prefix(&[f32::INFINITY, 0.0, f32::INFINITY], &[0.0, 1.0, 0.0], 0.9), [1]);
        assert_eq!(prefix(&[f32::INFINITY, 3.0, 2.0], &[0.0, 1.0, 1.0], 0.9), [2, 1]);
        assert_eq!(prefix(&[7.0], &[0.3], 0.0), [0]);
    }

    proptest! {
        #[test]
        fn it_is_the_prefix_of_a_full_sort(
            entries in prop::collection::vec((0_u16..400, 0_u16..20), 1..600),
            spread in prop_oneof![Just(1e-3_f32), Just(0.03), Just(1.0)],
            share in 0.0..1.0_f64,
        ) {
            let distances: Vec<f32> = entries.iter().map(|(d, _)| f32::from(*d) * spread).collect();
            // Whole numbers sum exactly, so that the two ways cannot differ by rounding.
            let weights: Vec<f32> = entries.iter().map(|(_, w)| f32::from(*w)).collect();
            prop_assume!(weights.iter().any(|w| *w > 0.0) && share > 0.0);
            let found = prefix(&distances, &weights, share);
            let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
            let mass = |members: &[usize]| members.iter().map(|i| f64::from(weights[*i])).sum::<f64>();
            prop_assert!(mass(&found) >= share * total);
            prop_assert!(mass(&found[..found.len() - 1]) < share * total);
        }
    }
}
