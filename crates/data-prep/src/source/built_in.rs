//! The built-in `shapes` as a source: which picture of the generator each row is.

use artifact::Split;
use serde_json::json;

use super::{Index, Material, Names, Place, Row, Storage};
use crate::classes::Label;
use crate::settings::BySplit;
use crate::shapes::CLASSES;

/// Distance between the first pictures of two splits: more rows of one never reach the next, and
/// change none of those that were there.
const STRIDE: u64 = 1 << 40;

/// `n_rows` pictures of each split.
pub(super) fn index(n_rows: &BySplit<u64>, seed: u64) -> Index {
    let (mut rows, mut ids) = (Vec::new(), Names::default());
    for split in Split::ALL {
        for i in 0..n_rows[split as usize].min(STRIDE) {
            let place = Place::Drawn { index: split as u64 * STRIDE + i };
            rows.push(Row { id: ids.len() as u32, label: Label::WithPicture, split: Some(split), place });
            ids.push(format_args!("{split}/{i:06}"));
        }
    }
    Index {
        rows,
        ids: ids.into(),
        classes: CLASSES.map(String::from).to_vec(),
        storage: Storage::Shapes { seed },
        materials: vec![Material::BuiltIn { name: "shapes (built in)", version: "shapes-v1" }],
        is_sorted_by_class: false,
        identity: json!({ "seed": seed, "rows": n_rows }),
    }
}
