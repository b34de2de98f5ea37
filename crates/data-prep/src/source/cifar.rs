//! CIFAR-10 and CIFAR-100 in their binary form: records of label bytes and 32×32 planar RGB.
//! Layout: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".

use std::fs;
use std::io::{BufReader, Read};

use anyhow::Context;
use artifact::Split;
use stage::Exit;

use super::files::{SourceFile, find, identity, materials};
use super::{Index, Names, Opened, Place, Row, Storage, set_labels};
use crate::args::InputPath;
use crate::classes::{Label, RawLabel, with_names};

/// Bytes of one picture: 1024 red, 1024 green, 1024 blue.
const PIXELS: u64 = 3 * 32 * 32;

const TEN: &str = "airplane automobile bird cat deer dog frog horse ship truck";

const HUNDRED: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly \
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin \
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man \
maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain \
plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake \
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip \
turtle wardrobe whale willow_tree wolf woman worm";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// One label byte.
    Ten,
    /// A coarse label byte, which is passed over, and a fine one.
    Hundred,
}

impl Flavour {
    fn label_bytes(self) -> usize {
        if self == Self::Ten { 1 } else { 2 }
    }

    fn is_batch(self, name: &str) -> bool {
        match self {
            Self::Ten => name.ends_with(".bin") && (name.starts_with("data_batch") || name.starts_with("test_batch")),
            Self::Hundred => matches!(name, "train.bin" | "test.bin"),
        }
    }

    /// The names file that belongs to it, and the names if it is not there.
    fn names(self) -> (&'static str, &'static str) {
        if self == Self::Ten { ("batches.meta.txt", TEN) } else { ("fine_label_names.txt", HUNDRED) }
    }
}

/// Reads the label of every record.
pub(super) fn index(inputs: &[InputPath], flavour: Flavour) -> anyhow::Result<Index> {
    let files = find(inputs, |name| flavour.is_batch(name))?;
    let (names_file, classes) = class_names(&files, flavour)?;
    let materials = materials(inputs, files.iter().chain(&names_file));
    let record = flavour.label_bytes() as u64 + PIXELS;
    let (mut opened, mut raw, mut rows, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Names::default());
    for source in &files {
        let batch = Opened::open(&source.path)?;
        let bytes = batch.file.metadata().with_context(|| format!("cannot read {}", source.path.display()))?.len();
        if !bytes.is_multiple_of(record) {
            return Err(Exit::BadData.error(format!(
                "{}: expected records of {record} bytes, found {bytes} bytes, {} too many; it is cut off or of another kind (cifar10: 3073 bytes, cifar100: 3074)",
                source.path.display(), bytes % record
            )));
        }
        // `data_batch_3` does not say it, but it is of the train split.
        let split = source.split.or_else(|| source.name.contains("data_batch").then_some(Split::Train));
        let mut reader = BufReader::with_capacity(1 << 20, &batch.file);
        let mut content = vec![0; record as usize];
        for row in 0..bytes / record {
            reader.read_exact(&mut content).with_context(|| format!("cannot read {}", source.path.display()))?;
            raw.push(RawLabel::Number(i64::from(content[flavour.label_bytes() - 1])));
            let offset = row * record + record - PIXELS;
            let place = Place::Stretch { file: opened.len() as u32, offset, bytes: PIXELS };
            rows.push(Row { id: ids.len() as u32, label: Label::Unlabelled, split, place });
            ids.push(format_args!("{}/{row:07}", source.name));
        }
        opened.push(batch);
    }
    set_labels(&mut rows, with_names(raw, &classes));
    Ok(Index {
        rows,
        ids: ids.into(),
        storage: Storage::Cifar(opened),
        materials,
        is_sorted_by_class: false,
        identity: identity(&files),
        classes,
    })
}

/// The class names, and the file that they are from if there is one.
fn class_names(files: &[SourceFile], flavour: Flavour) -> anyhow::Result<(Option<SourceFile>, Vec<String>)> {
    let (name, known) = flavour.names();
    let known: Vec<String> = known.split_whitespace().map(String::from).collect();
    let Some(file) = files.first().map(|first| first.beside(name)).filter(|file| file.path.is_file()) else {
        return Ok((None, known));
    };
    let path = &file.path;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    if names.len() != known.len() {
        return Err(Exit::BadData.error(format!(
            "{}: expected {} class names, found {}",
            path.display(),
            known.len(),
            names.len()
        )));
    }
    Ok((Some(file), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_complete_and_sorted() {
        for (list, n) in [(TEN, 10), (HUNDRED, 100)] {
            let names: Vec<_> = list.split_whitespace().collect();
            assert_eq!(names.len(), n);
            assert!(names.is_sorted());
        }
    }
}
