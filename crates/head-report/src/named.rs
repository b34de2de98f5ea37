//! Which classes the map names, where there are more than anyone could tell apart.

use crate::matrix::Confusion;
use crate::style::N_COLOURS;

/// Marks of one colour.
pub(crate) const N_SHAPES: usize = 3;

/// Classes named where there are more than marks: each in a colour of its own, the last of which is a grey and would not
/// stand out from the others.
const N_NAMED: usize = N_COLOURS - 1;

/// The classes that have a mark of their own on the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Indices of classes, in the order of their colours.
    pub classes: Vec<usize>,
    /// Why these.
    pub why: Why,
}

/// What the classes with a mark of their own have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// They are all there are.
    All,
    /// They are taken for one another most often.
    Confused,
    /// Nothing is taken for anything else; they have most rows.
    Largest,
}

impl Named {
    /// All classes while there are marks enough. Beyond that as many as colours stand out: the most confused pairs, since
    /// whether two classes overlap is what a map can say; without any mistakes, those with most rows.
    ///
    /// `n_rows` is the number of the map's rows of each class; a class without rows is not named beyond the marks.
    #[must_use]
    pub fn choose(n_rows: &[usize], confusion: Option<&Confusion>) -> Self {
        let n = n_rows.len();
        if n <= N_COLOURS * N_SHAPES {
            return Self { classes: (0..n).collect(), why: Why::All };
        }
        let confused = confusion.map_or_else(Vec::new, |confusion| most_confused(n_rows, confusion));
        if !confused.is_empty() {
            return Self { classes: confused, why: Why::Confused };
        }
        let mut largest: Vec<usize> = (0..n).filter(|class| n_rows[*class] > 0).collect();
        largest.sort_by_key(|class| (std::cmp::Reverse(n_rows[*class]), *class));
        largest.truncate(N_NAMED);
        Self { classes: largest, why: Why::Largest }
    }
}

/// The classes of the most confused pairs, whichever of a pair was taken for the other. Both of a pair or none.
fn most_confused(n_rows: &[usize], confusion: &Confusion) -> Vec<usize> {
    let n = n_rows.len();
    let found = |class: usize, other: usize| confusion.row(class, n).get(other).copied().unwrap_or(0);
    let mut pairs: Vec<(u64, usize, usize)> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .filter(|(a, b)| n_rows[*a] > 0 && n_rows[*b] > 0)
        .map(|(a, b)| (found(a, b).saturating_add(found(b, a)), a, b))
        .filter(|pair| pair.0 > 0)
        .collect();
    pairs.sort_by_key(|(found, a, b)| (std::cmp::Reverse(*found), *a, *b));
    let mut classes: Vec<usize> = Vec::new();
    for (_, a, b) in pairs {
        let new: Vec<usize> = [a, b].into_iter().filter(|class| !classes.contains(class)).collect();
        if classes.len() + new.len() <= N_NAMED {
            classes.extend(new);
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confused_pairs_are_named_and_the_largest_classes_where_there_are_none() {
        let n = 30;
        let mut confusion = Confusion { split: "test", counts: vec![0; n * n] };
        let mut n_rows = vec![5; n];
        (n_rows[3], n_rows[20], n_rows[7]) = (9, 8, 0);
        let largest = Named::choose(&n_rows, Some(&confusion));
        assert_eq!(largest, Named { classes: vec![3, 20, 0, 1, 2, 4, 5], why: Why::Largest });
        assert_eq!(Named::choose(&n_rows, None), largest);
        // One pair has a class without rows, of one there is no room for both, and the last shares a class.
        for (nth, (class, other)) in [(11, 10), (7, 8), (29, 0), (1, 2), (3, 4), (3, 11)].into_iter().enumerate() {
            confusion.counts[class * n + other] = 20 - nth as u64;
        }
        confusion.counts[5 * n + 5] = 99;
        let named = Named::choose(&n_rows, Some(&confusion));
        assert_eq!(named, Named { classes: vec![10, 11, 0, 29, 1, 2, 3], why: Why::Confused });
        assert_eq!(Named::choose(&[1; 24], None), Named { classes: (0..24).collect(), why: Why::All });
        assert!(Named::choose(&[0; 1000], Some(&confusion)).classes.is_empty(), "shorter counts than classes");
    }
}
