//! Picture folders: `<class>/…` or `<split>/<class>/…`, any depth below, links followed.
//!
//! The id is the path below the input with `/` between its parts, as [`stage::name_as_text`] writes it. With `train=PATH` the split's name is put in front, so that
//! `train=a` and `test=b` do not collide.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use artifact::Split;
use stage::{Exit, printable, say, walk};

use super::files::{extension, materials_of, refuse_special};
use super::{FileList, Index, Names, Place, Row, Storage, set_labels};
use crate::args::InputPath;
use crate::classes::{Label, by_name};
use crate::report::counted;

/// For messages.
pub(super) const LOOKED_FOR: &str =
    "CLASS/…/*.jpg, .jpeg, .png, .webp, .gif, .bmp, .tif, .tiff; a split may stand above the class";

/// Lists all pictures. Other files are counted and passed over.
pub(super) fn index(inputs: &[InputPath]) -> anyhow::Result<Index> {
    let (mut lists, mut has_splits, mut tops) = (Vec::new(), Vec::new(), Vec::new());
    let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
    let mut special = HashMap::new();
    for input in inputs {
        if !input.path.is_dir() {
            return Err(Exit::Usage.error(format!(
                "--input {}: expected a folder of pictures, found a file; give the folder that it is in, or name another --format",
                input.typed
            )));
        }
        let mut pictures = FileList::below(&input.path);
        for file in walk(&input.path) {
            let found = file?;
            let extension = extension(&found.path);
            if picture::is_extension(&extension) {
                special.extend(found.special.map(|what| (found.path.clone(), what)));
                pictures.add(&found.name, found.path);
            } else {
                *skipped.entry(extension).or_default() += 1;
            }
        }
        pictures.sort();
        let top = Top::of(pictures.names().iter());
        // With `train=PATH` the split is known, and a class may well be called "test".
        has_splits.push(input.split.is_none() && top.has_splits(input)?);
        if pictures.names().len() > 0 {
            tops.push((input, top));
        }
        lists.push(Arc::new(pictures));
    }
    check_agreement(&tops)?;
    if !skipped.is_empty() {
        let kinds: Vec<_> = skipped
            .iter()
            .map(|(e, n)| if e.is_empty() { format!("no extension {n}") } else { format!(".{} {n}", printable(e)) })
            .collect();
        say(format!(
            "passed over {} by the name ({})",
            counted(skipped.values().sum(), "file that is no picture", "files that are no pictures"),
            kinds.join(", ")
        ));
    }
    let n_rows = lists.iter().map(|list| list.names().len()).sum();
    // With room for all at once: what is left behind by lists that grow stays in memory as holes.
    let (mut rows, mut class_names) = (Vec::with_capacity(n_rows), Vec::with_capacity(n_rows));
    for (list, (input, pictures)) in inputs.iter().zip(&lists).enumerate() {
        for (file, relative) in pictures.names().iter().enumerate() {
            let (split, below) = match relative.split_once('/') {
                Some((top, below)) if has_splits[list] => (Split::parse(top), below),
                _ => (input.split, relative),
            };
            class_names.push(below.split_once('/').map(|(class, _)| class));
            let place = Place::File { list: list as u32, file: file as u32 };
            rows.push(Row { id: rows.len() as u32, label: Label::Unlabelled, split, place });
        }
    }
    let (classes, labels) = by_name(class_names.iter().copied());
    set_labels(&mut rows, labels);
    refuse_special(&mut rows, &lists, &special);
    let identity = inputs.iter().map(|i| i.split.map(Split::name)).collect();
    let materials = materials_of(inputs, lists.iter().map(Arc::clone));
    let ids = ids(inputs, &lists);
    Ok(Index { rows, ids, classes, storage: Storage::Files(lists), materials, is_sorted_by_class: true, identity })
}

/// The ids of all pictures, in the order of the lists. Those of one folder are its names as they are, and are kept once.
fn ids(inputs: &[InputPath], lists: &[Arc<FileList>]) -> Arc<Names> {
    if let ([InputPath { split: None, .. }], [list]) = (inputs, lists) {
        return Arc::clone(list.names());
    }
    let mut ids = Names::default();
    for (input, list) in inputs.iter().zip(lists) {
        for relative in list.names().iter() {
            match input.split {
                Some(split) => ids.push(format_args!("{split}/{relative}")),
                None => ids.push(relative),
            }
        }
    }
    ids.into()
}

/// The folders at the top of an input that hold pictures. Pictures beside them do not matter.
#[derive(Default)]
struct Top {
    splits: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl Top {
    fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut top = Self::default();
        for (name, _) in paths.filter_map(|p| p.split_once('/')) {
            let of = if Split::parse(name).is_some() { &mut top.splits } else { &mut top.others };
            if !of.contains(name) {
                of.insert(name.to_string());
            }
        }
        top
    }

    fn is_splits_only(&self) -> bool {
        !self.splits.is_empty() && self.others.is_empty()
    }

    /// Whether the top level is that of the splits. One folder more beside them must not turn
    /// `train` and `test` into classes without a word.
    fn has_splits(&self, input: &InputPath) -> anyhow::Result<bool> {
        if self.splits.is_empty() || self.others.is_empty() {
            return Ok(self.is_splits_only());
        }
        let typed = &input.typed;
        let (splits, others) = (list(&self.splits), list(&self.others));
        let apart: Vec<_> = self
            .splits
            .iter()
            .filter_map(|name| Some(format!("--input {}={typed}/{name}", Split::parse(name)?)))
            .collect();
        Err(Exit::BadData.error(format!(
            "{typed}: some folders are named as splits are ({splits}) and some are not ({others}), so that it is not sure which are classes; if they are splits, move {others} away or give {}; if all are classes, --input train={typed} takes them so",
            apart.join(" ")
        )))
    }
}

/// Folders called `train` and `test` are classes where `train=PATH` says so, but hardly beside the
/// classes of another input.
fn check_agreement(tops: &[(&InputPath, Top)]) -> anyhow::Result<()> {
    let splits_as_classes = |(input, top): &&(&InputPath, Top)| input.split.is_some() && top.is_splits_only();
    let (Some((input, top)), Some((other, _))) =
        (tops.iter().find(splits_as_classes), tops.iter().find(|t| !splits_as_classes(t)))
    else {
        return Ok(());
    };
    Err(Exit::BadData.error(format!(
        "--input {}: its folders {} are named as splits are, and would become classes beside those of {}; give the folder of one split, such as {}/{}",
        input.typed,
        list(&top.splits),
        other.typed,
        input.typed,
        top.splits.first().map_or("", String::as_str)
    )))
}

/// The first few names.
fn list(names: &BTreeSet<String>) -> String {
    let first: Vec<_> = names.iter().take(5).map(|name| printable(name)).collect();
    let more = names.len().saturating_sub(5);
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}
