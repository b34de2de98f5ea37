//! From the labels that a source has (names, numbers, nothing) to class names and indices.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::load::Refusal;

/// A label as the source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawLabel {
    Missing,
    Name(String),
    Number(i64),
}

/// A label as an index into the class names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// This class.
    Class(i32),
    /// None, and no other row has one either.
    Unlabelled,
    /// Known when the picture is drawn: only for built-in pictures.
    WithPicture,
    /// None that can be used: the row will be a reject.
    Bad(Box<Refusal>),
}

impl RawLabel {
    /// A label as text, such as a field of a CSV file. Nothing but spaces is no label.
    pub(crate) fn from_text(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() { Self::Missing } else { Self::Name(text.to_string()) }
    }

    /// A label as a JSON value; `None` if it is neither text nor a whole number.
    pub(crate) fn from_json(value: Option<&serde_json::Value>) -> Option<Self> {
        match value {
            None | Some(serde_json::Value::Null) => Some(Self::Missing),
            Some(serde_json::Value::String(text)) => Some(Self::from_text(text)),
            Some(other) => other.as_i64().map(Self::Number),
        }
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing => None,
            Self::Name(name) => Some(name.into()),
            Self::Number(number) => Some(number.to_string().into()),
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Missing => None,
            Self::Name(name) => name.parse().ok(),
            Self::Number(number) => Some(*number),
        }
    }
}

/// Labels that are indices into known names (or such names). −1 is no label, as Hugging Face has it.
pub(crate) fn with_names(raw: Vec<RawLabel>, classes: &[String]) -> Vec<Label> {
    let unlabelled = missing(raw.iter().all(|l| matches!(l, RawLabel::Missing | RawLabel::Number(-1))));
    let n = classes.len();
    let label = |raw| match raw {
        RawLabel::Missing | RawLabel::Number(-1) => unlabelled.clone(),
        RawLabel::Number(i) if (0..n as i64).contains(&i) => Label::Class(i as i32),
        RawLabel::Number(i) => bad("label-out-of-range", format!("label {i}: expected 0 to {}", n.saturating_sub(1))),
        RawLabel::Name(name) => match classes.iter().position(|c| *c == name) {
            Some(i) => Label::Class(i as i32),
            None => bad("unknown-label", format!("label {name:?} is none of the {n} classes")),
        },
    };
    raw.into_iter().map(label).collect()
}

/// Classes are the distinct names in byte order, as torchvision's `ImageFolder` has them; nothing is no label.
pub(crate) fn by_name<N: Ord + ToString>(names: impl Iterator<Item = Option<N>> + Clone) -> (Vec<String>, Vec<Label>) {
    // Not collected, which would make a list of the names of all rows first.
    let mut distinct = BTreeSet::new();
    distinct.extend(names.clone().flatten());
    let distinct: Vec<N> = distinct.into_iter().collect();
    let unlabelled = missing(distinct.is_empty());
    let class = |name: Option<N>| name.and_then(|name| distinct.binary_search(&name).ok());
    let label = |name| class(name).map_or_else(|| unlabelled.clone(), |class| Label::Class(class as i32));
    (distinct.iter().map(N::to_string).collect(), names.map(label).collect())
}

/// As [`by_name`], but in the order of numbers if all labels are numbers: 2 before 10. −1 is no label.
pub(crate) fn by_name_or_number(raw: &[RawLabel]) -> (Vec<String>, Vec<Label>) {
    if raw.iter().all(|l| *l == RawLabel::Missing || l.number().is_some()) {
        return by_name(raw.iter().map(|l| l.number().filter(|n| *n != -1)));
    }
    by_name(raw.iter().map(RawLabel::text))
}

/// A row without a label is fine where no row has one, and a mistake where others do.
fn missing(all: bool) -> Label {
    if all { Label::Unlabelled } else { bad("no-label", "it has no label, and other rows have".into()) }
}

fn bad(reason: &'static str, detail: String) -> Label {
    Label::Bad(Box::new(Refusal { reason, detail }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(list: &[&str]) -> Vec<RawLabel> {
        list.iter().map(|n| RawLabel::from_text(n)).collect()
    }

    #[test]
    fn folders_sort_by_bytes_and_numbers_by_value() {
        assert_eq!(by_name(["2", "10", "a", "B"].map(Some).into_iter()).0, ["10", "2", "B", "a"]);
        let (classes, labels) = by_name_or_number(&raw(&["10", "2", "10"]));
        assert_eq!(classes, ["2", "10"]);
        assert_eq!(labels, [Label::Class(1), Label::Class(0), Label::Class(1)]);
        assert_eq!(by_name_or_number(&raw(&["10", "2", "x"])).0, ["10", "2", "x"]);
    }

    #[test]
    fn a_missing_label_is_bad_only_among_others() {
        assert_eq!(by_name_or_number(&raw(&["", ""])).1, [Label::Unlabelled, Label::Unlabelled]);
        let (_, labels) = by_name_or_number(&raw(&["a", ""]));
        assert!(matches!(&labels[1], Label::Bad(refusal) if refusal.reason == "no-label"));
    }

    #[test]
    fn known_names_bound_the_numbers() {
        let classes = ["cat".to_string(), "dog".to_string()];
        let raw = vec![RawLabel::Number(1), RawLabel::Number(2), RawLabel::Number(-1), RawLabel::Name("cow".into())];
        let reasons: Vec<_> = with_names(raw, &classes)
            .into_iter()
            .map(|l| if let Label::Bad(refusal) = l { refusal.reason } else { "" })
            .collect();
        assert_eq!(reasons, ["", "label-out-of-range", "no-label", "unknown-label"]);
        assert_eq!(with_names(vec![RawLabel::Number(-1)], &classes), [Label::Unlabelled]);
    }
}
