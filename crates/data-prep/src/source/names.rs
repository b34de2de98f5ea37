//! Many short texts in little memory: one behind the other, where a text of its own takes three times its length.

use std::fmt::{Display, Write};

/// Texts by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    text: String,
    /// Where each ends in `text`.
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn push(&mut self, name: impl Display) {
        write!(self.text, "{name}").expect("memory takes all that is written");
        self.ends.push(self.text.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[number]]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).map(|number| self.get(number))
    }

    /// Their numbers in byte order of the names; equal names stay as they are.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut order: Vec<_> = (0..self.len() as u32).collect();
        order.sort_by_key(|number| self.get(*number as usize));
        order
    }

    /// Puts them in byte order.
    pub(crate) fn sort(&mut self) {
        let text = String::with_capacity(self.text.len());
        let mut sorted = Self { text, ends: Vec::with_capacity(self.len()) };
        self.order().into_iter().for_each(|number| sorted.push(self.get(number as usize)));
        *self = sorted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_was_pushed_and_sort_by_bytes() {
        let mut names = Names::default();
        for name in ["b/1", "", "ä", "b", "a/10", "b"] {
            names.push(name);
        }
        names.push(format_args!("a/{}", 9));
        assert_eq!(names.iter().collect::<Vec<_>>(), ["b/1", "", "ä", "b", "a/10", "b", "a/9"]);
        assert_eq!(names.order(), [1, 4, 6, 3, 5, 0, 2]);
        names.sort();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["", "a/10", "a/9", "b", "b", "b/1", "ä"]);
    }
}
