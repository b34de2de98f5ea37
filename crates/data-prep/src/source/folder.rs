//! Picture folders: `<class>/…` or `<split>/<class>/…`, any depth below, links followed.
//!
//! The id is the path below the input with `/` between its parts; bytes that are no UTF-8 are
//! replaced in it, and two names that become equal by that are refused as duplicates. With
//! `train=PATH` the split's name is put in front, so that `train=a` and `test=b` do not collide.

use std::collections::BTreeMap;

use artifact::Split;
use stage::say;

use super::files::{extension, walk};
use super::{Index, Material, Place, Row, Storage};
use crate::args::InputPath;
use crate::classes::{RawLabel, by_name};

/// For messages.
pub(super) const LOOKED_FOR: &str =
    "CLASS/…/*.jpg, .jpeg, .png, .webp, .gif, .bmp, .tif; a split may stand above the class";

/// Names that promise a picture. What the content really is shows when it is decoded; of HEIC and
/// AVIF it will be said that they are not read.
const PICTURES: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "heic", "avif"];

/// Whether a file of this extension is tried as a picture.
pub(super) fn is_picture(extension: &str) -> bool {
    PICTURES.contains(&extension)
}

/// Lists all pictures. Other files are counted and passed over.
pub(super) fn index(inputs: &[InputPath]) -> anyhow::Result<Index> {
    let (mut found, mut materials) = (Vec::new(), Vec::new());
    let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
    for input in inputs {
        let mut pictures = Vec::new();
        for file in walk(&input.path) {
            let (path, relative) = file?;
            let extension = extension(&path);
            if is_picture(&extension) {
                pictures.push((relative, path));
            } else {
                *skipped.entry(extension).or_default() += 1;
            }
        }
        pictures.sort();
        // With `train=PATH` the split is known, and a class may well be called "test".
        let has_splits = input.split.is_none() && has_split_level(pictures.iter().map(|(r, _)| r.as_str()));
        for (relative, path) in &pictures {
            let (split, below) = match relative.split_once('/') {
                Some((top, below)) if has_splits => (Split::parse(top), below),
                _ => (input.split, relative.as_str()),
            };
            let class = below.split_once('/').map_or(RawLabel::Missing, |(class, _)| RawLabel::Name(class.into()));
            let id = input.split.map_or_else(|| relative.clone(), |split| format!("{split}/{relative}"));
            found.push((id, split, class, path.clone()));
        }
        materials.push(Material::Files { typed: input.typed.clone(), files: pictures });
    }
    if !skipped.is_empty() {
        let kinds: Vec<_> = skipped
            .iter()
            .map(|(e, n)| if e.is_empty() { format!("no extension {n}") } else { format!(".{e} {n}") })
            .collect();
        say(format!(
            "passed over {} files that are no pictures by their name ({})",
            skipped.values().sum::<u64>(),
            kinds.join(", ")
        ));
    }
    let (classes, labels) = by_name(&found.iter().map(|f| f.2.clone()).collect::<Vec<_>>());
    let rows = found
        .into_iter()
        .zip(labels)
        .map(|((id, split, _, path), label)| Row { id, label, split, place: Place::File(path) })
        .collect();
    let identity = inputs.iter().map(|i| i.split.map(Split::name)).collect();
    Ok(Index { rows, classes, storage: Storage::Files, materials, is_sorted_by_class: true, identity })
}

/// Whether every folder at the top is called as a split is. Pictures beside them do not matter.
fn has_split_level<'a>(paths: impl Iterator<Item = &'a str>) -> bool {
    let mut tops = paths.filter_map(|p| p.split_once('/')).map(|(top, _)| Split::parse(top).is_some()).peekable();
    tops.peek().is_some() && tops.all(|is_split| is_split)
}
