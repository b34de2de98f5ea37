//! Parquet parts: bytes whose digest is right, as they come after a bad writer and not after a bad disk.
//!
//! The first byte picks the facts of the manifest, since a part is read by them; the rest is the file.

use std::ops::Range;
use std::path::Path;

use arrow_array::RecordBatch;
use artifact::{
    Artifact, CompletionPart, Digest, Error, ExamplePart, ExamplesFacts, FORMAT_VERSION, FeatureType,
    FeaturesFacts, Kind, Manifest, PredictionPart, PredictionsFacts, PromptPart, ResizePolicy, decode_parquet,
    feature_values,
};
use serde_json::json;

use crate::mutation::{Dice, Plain, mutate_region};
use crate::workbench;

/// Height and width of a picture and length of a feature: what the seeds have, and what is that again in 32 bits.
const SIZES: [(u32, u32, usize); 4] =
    [(2, 2, 4), (4, 1_073_741_825, 4_294_967_300), (65_536, 65_536, 1 << 32), (0, 0, 0)];

/// Facts under which the seeds are read, by the first byte.
#[must_use]
pub fn facts(which: u8) -> (ExamplesFacts, FeaturesFacts, PredictionsFacts) {
    let classes: Vec<String> = ["ant", "bee", "cat"].map(String::from).to_vec();
    let (height, width, feature_dim) = SIZES[usize::from(which) / 2 % SIZES.len()];
    let dtype = if which.is_multiple_of(2) { FeatureType::Float32 } else { FeatureType::Float16 };
    let examples = ExamplesFacts {
        height,
        width,
        classes: classes.clone(),
        resize: "none".into(),
        resize_policy: ResizePolicy::AsTheyAre,
    };
    let features = FeaturesFacts {
        feature_dim,
        dtype,
        classes: classes.clone(),
        backbone: "b.onnx".into(),
        backbone_digest: String::new(),
        tensor: "t".into(),
        preprocessing: "none".into(),
        provider: "cpu".into(),
        height,
        width,
        resize_policy: ResizePolicy::AsTheyAre,
    };
    let predictions = PredictionsFacts {
        classes,
        classifier: "c.onnx".into(),
        classifier_digest: String::new(),
        provider: "cpu".into(),
        height,
        width,
        rejects: 0,
        scores: Vec::new(),
    };
    (examples, features, predictions)
}

/// Decodes the file, reads its rows as every kind of artifact, and once more through a manifest.
pub fn target(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    match decode_parquet(file.to_vec(), Path::new("part.parquet")) {
        Ok(batches) => {
            read_rows(*which, file, &batches);
            read_committed(file, &batches);
        }
        Err(error) => assert!(matches!(error, Error::Malformed { .. }), "{error:?}"),
    }
}

fn read_rows(which: u8, file: &[u8], batches: &[RecordBatch]) {
    let path = Path::new("part.parquet");
    let (examples, features, predictions) = facts(which);
    let n: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let malformed = |error: Error| assert!(matches!(error, Error::Malformed { .. }), "{error:?}");

    match ExamplePart::from_batches(batches, &examples, path) {
        Ok(part) => {
            assert_eq!((part.ids.len(), part.labels.len()), (n, n));
            assert_eq!(part.pixels.len(), n * examples.height as usize * examples.width as usize * 3);
        }
        Err(error) => malformed(error),
    }
    // Whoever reads features has made room for them by the size of the file.
    if let Some(n_values) = n.checked_mul(features.feature_dim).filter(|n_values| *n_values <= file.len()) {
        let mut buffer = file.to_vec();
        match feature_values(&mut buffer, &features, path, &mut vec![0.0; n_values]) {
            Ok(keys) => assert_eq!((keys.ids.len(), keys.labels.len()), (n, n)),
            Err(error) => malformed(error),
        }
        assert_eq!(buffer, file);
    }
    match PredictionPart::from_batches(batches, &predictions, path) {
        Ok(part) => {
            assert_eq!((part.ids.len(), part.predicted.len(), part.probability.len()), (n, n, n));
            part.to_batch(&predictions).expect("what was read can be written");
        }
        Err(error) => malformed(error),
    }
    match PromptPart::from_batches(batches, path) {
        Ok(part) => {
            assert_eq!((part.ids.len(), part.texts.len(), part.input_ids.len()), (n, n, n));
            part.to_batch().expect("what was read can be written");
        }
        Err(error) => malformed(error),
    }
    match CompletionPart::from_batches(batches, path) {
        Ok(part) => {
            assert_eq!((part.ids.len(), part.finish_reasons.len(), part.logprobs.len()), (n, n, n));
            part.to_batch().expect("what was read can be written");
        }
        Err(error) => malformed(error),
    }
}

/// The way a stage takes: the manifest names size, digest and rows, and they are right.
fn read_committed(file: &[u8], batches: &[RecordBatch]) {
    let n: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let part = json!({
        "file": "part-00000.parquet", "rows": n, "bytes": file.len(), "blake3": Digest::of(file).as_str(),
    });
    let manifest: Manifest = serde_json::from_value(json!({
        "format_version": FORMAT_VERSION, "kind": "prompts", "stage": "data-prep", "fingerprint": "f",
        "inputs": [], "config": {}, "facts": {}, "parts": [part], "files": [],
    }))
    .expect("the manifest is sound");
    workbench::with(|bench| {
        bench.write("p/part-00000.parquet", file);
        bench.write("p/manifest.json", manifest.to_json().expect("a manifest can be written").as_bytes());
        let found = Artifact::open(&bench.path("p"), Kind::Prompts).expect("the manifest is sound");
        assert_eq!(found.read_part(0).expect("the part is that of the manifest"), batches);
    });
}

/// Mutates the footer and corrects the length that stands behind it, or bytes of pages in their place: anything else
/// moves all pages away from where the footer says they are.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    let Some(footer) = footer(&data[..size], 1).filter(|_| !dice.once_in(8)) else {
        return plain(data, size, max_size);
    };
    if dice.once_in(16) {
        data[0] = dice.below(2 * SIZES.len()) as u8;
        return size;
    }
    mutate_file(data, size, max_size, 1, footer, &mut dice, plain)
}

/// As [`mutate`], of a file that begins at `start`.
pub(crate) fn mutate_file(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    start: usize,
    footer: Range<usize>,
    dice: &mut Dice,
    plain: Plain,
) -> usize {
    if dice.once_in(3) {
        let pages = start..footer.start;
        let n = pages.len();
        let mut copy = data[pages.clone()].to_vec();
        let at = dice.below(n.max(1)).min(n);
        let piece = &mut copy[at..n.min(at + 64)];
        let room = piece.len();
        if room > 0 {
            plain(piece, room, room);
        }
        data[pages].copy_from_slice(&copy);
        return size;
    }
    // A piece of the footer at a time: libFuzzer's own changes are small, and so are Thrift's fields.
    let from = footer.start + dice.below(footer.len());
    let piece = from..footer.end.min(from + 1 + dice.below(24));
    let new_size = mutate_region(data, size, max_size, piece, plain);
    let length = (new_size - 8 - footer.start) as u32;
    data[new_size - 8..new_size - 4].copy_from_slice(&length.to_le_bytes());
    new_size
}

/// Where the footer lies in a file that begins at `start`, if that is what the file's end says.
pub(crate) fn footer(data: &[u8], start: usize) -> Option<Range<usize>> {
    let end = data.len().checked_sub(8).filter(|_| data.ends_with(b"PAR1"))?;
    let length = u32::from_le_bytes(data[end..end + 4].try_into().ok()?) as usize;
    let begin = end.checked_sub(length).filter(|begin| *begin >= start + 4 && length > 0)?;
    Some(begin..end)
}
