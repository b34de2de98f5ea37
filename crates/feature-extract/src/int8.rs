//! The ranges that 8-bit arithmetic is laid out for: measured by the network itself, in float32, on training pictures.

use std::thread;

use anyhow::Context;
use artifact::{Artifact, ExamplePart, ExamplesFacts, Split};
use backbone::{Backbone, Device, Placement, Runtime};
use ndarray::{Array, Array2, Array4, ArrayView4, Axis, RemoveAxis, Slice, concatenate};
use onnx_graph::{FEATURE, Model, Range};
use stage::{Exit, check_stop};

use crate::plan::Settings;
use crate::{backbone_error, model_error};

/// One in so many pictures is measured on, within these limits: a job of few pictures is not to wait long for its ranges, and
/// beyond the most they get no better.
const SHARE: usize = 32;
const LEAST_PICTURES: usize = 16;
const MOST_PICTURES: usize = 128;
/// Parts they are taken from at most, as each is read whole.
const N_PARTS: usize = 8;
/// Pictures at once: few, since no tensor is freed before its range is taken.
const BATCH: usize = 4;
/// Of so many of these pictures it is said what int8 does to their features.
const COMPARED: usize = 16;

/// What was measured in float32.
#[derive(Debug)]
pub(crate) struct Calibration {
    n_tensors: usize,
    n_pictures: usize,
    /// The pictures, batch after batch, `[n, height, width, 3]`.
    pixels: Vec<Array4<u8>>,
    /// Their features, `[n, feature_dim]`.
    features: Vec<Array2<f32>>,
}

impl Calibration {
    /// One line for people: what was measured, and how far the same network in int8 is off.
    pub(crate) fn describe(&self, int8: &mut Backbone) -> anyhow::Result<String> {
        let Self { n_tensors, n_pictures, pixels, features } = self;
        let compared = Slice::new(0, None, n_pictures.div_ceil(COMPARED) as isize);
        let pixels = together(pixels).slice_axis(Axis(0), compared).to_owned();
        let exact = together(features).slice_axis(Axis(0), compared).to_owned();
        let found = int8.run(pixels.view()).map_err(backbone_error)?;
        let norm =
            |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let off = norm(&mut exact.iter().zip(&found).map(|(exact, found)| exact - found));
        let share = 100.0 * off / norm(&mut exact.iter().copied()).max(f64::MIN_POSITIVE);
        Ok(format!(
            "features: int8, ranges of {n_tensors} tensors measured on {n_pictures} pictures; on {} of them off from float32 by \
             {share:.1} % of the features' norm",
            exact.nrows()
        ))
    }
}

/// Batches as one.
fn together<T: Clone, D: RemoveAxis>(batches: &[Array<T, D>]) -> Array<T, D> {
    let batches: Vec<_> = batches.iter().map(|batch| batch.view()).collect();
    concatenate(Axis(0), &batches).expect("batches are of one shape, and there is one at least")
}

/// How ranges are found, for the fingerprint.
pub(crate) fn rule() -> serde_json::Value {
    let pictures = format!("one in {SHARE}, {LEAST_PICTURES} to {MOST_PICTURES}");
    // Kernels round by the batch.
    serde_json::json!({ "ranges": "least and largest value", "pictures": pictures, "batch": BATCH })
}

/// Puts the network into int8. The model takes stored pixels and gives features.
pub(crate) fn quantise(
    model: &mut Model,
    feature_dim: usize,
    runtime: &Runtime,
    examples: &Artifact,
    facts: &ExamplesFacts,
    settings: &Settings,
) -> anyhow::Result<Calibration> {
    let tensors = model.prepare_quantisation().map_err(model_error)?;
    let mut observed = model.clone();
    observed.observe_ranges(&tensors, FEATURE, feature_dim as u64);
    let bytes = observed.encode().map_err(model_error)?;
    let placement = Placement { device: Device::Cpu, cuda_libraries: None, threads: settings.threads, rewrites: &[] };
    let mut backbone =
        Backbone::load(runtime, &bytes, 2 * tensors.len() + feature_dim, placement).map_err(backbone_error)?;
    let mut ranges = vec![Range { low: f32::INFINITY, high: f32::NEG_INFINITY }; tensors.len()];
    let mut calibration =
        Calibration { n_tensors: tensors.len(), n_pictures: 0, pixels: Vec::new(), features: Vec::new() };
    for_each_batch(examples, facts, |pixels| {
        let found = backbone.run(pixels).map_err(backbone_error)?;
        let (seen, features) = found.view().split_at(Axis(1), 2 * tensors.len());
        // In 8 bits they would come out finite.
        if features.iter().any(|value| !value.is_finite()) {
            return Err(Exit::BadData.error(
                "--precision int8: in float32 the network's features are not finite on pictures that ranges are measured on; \
                 look at the network and the preprocessing (--mean, --std, --rescale)",
            ));
        }
        for row in seen.outer_iter() {
            for (range, seen) in ranges.iter_mut().zip(row.exact_chunks(2)) {
                *range = widened(*range, seen[0], seen[1]);
            }
        }
        calibration.pixels.push(pixels.to_owned());
        calibration.features.push(features.to_owned());
        calibration.n_pictures += pixels.len_of(Axis(0));
        Ok(())
    })?;
    if calibration.n_pictures == 0 {
        return Err(Exit::BadData.error("--precision int8: there are no pictures to measure ranges on"));
    }
    // To give back a network's memory takes as long as a tenth of quantising it.
    thread::scope(|scope| {
        scope.spawn(|| drop(backbone));
        model.quantise(&ranges).map_err(model_error)
    })?;
    Ok(calibration)
}

/// The range with more values in it. Not by `min` and `max`, which pass over what is no number: that is to stay and be found.
fn widened(Range { low, high }: Range, least: f32, largest: f32) -> Range {
    let low = if low.is_nan() || least >= low { low } else { least };
    let high = if high.is_nan() || largest <= high { high } else { largest };
    Range { low, high }
}

/// Calls `see` with batches of pixels `[n, height, width, 3]` of training rows (of all rows where there are none).
fn for_each_batch(
    examples: &Artifact,
    facts: &ExamplesFacts,
    mut see: impl FnMut(ArrayView4<'_, u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let parts = &examples.manifest().parts;
    let with_rows = |wanted: Option<Split>| -> Vec<usize> {
        (0..parts.len()).filter(|i| parts[*i].rows > 0 && (wanted.is_none() || parts[*i].split == wanted)).collect()
    };
    let train = with_rows(Some(Split::Train));
    let candidates = if train.is_empty() { with_rows(None) } else { train };
    let sizes: Vec<usize> = candidates.iter().map(|i| parts[*i].rows as usize).collect();
    for (place, rows) in spread(&sizes) {
        check_stop()?;
        let index = candidates[place];
        let path = examples.part_path(index);
        let part = ExamplePart::from_batches(&examples.read_part(index)?, facts, &path)?;
        let shape = (part.ids.len(), facts.height as usize, facts.width as usize, 3);
        let pixels = ArrayView4::from_shape(shape, &part.pixels).with_context(|| path.display().to_string())?;
        for rows in rows.chunks(BATCH) {
            check_stop()?;
            see(pixels.select(Axis(0), rows).view())?;
        }
    }
    Ok(())
}

/// Which rows of parts of these sizes are measured on, as pairs of a part and its rows: of each part in proportion to its size,
/// since sources are often sorted by class.
fn spread(sizes: &[usize]) -> Vec<(usize, Vec<usize>)> {
    let n_pictures = (sizes.iter().sum::<usize>() / SHARE).clamp(LEAST_PICTURES, MOST_PICTURES);
    let parts: Vec<usize> = evenly(sizes.len(), sizes.len().min(N_PARTS)).collect();
    let n_rows = parts.iter().map(|part| sizes[*part]).sum::<usize>();
    let mut wanted = evenly(n_rows, n_pictures.min(n_rows)).peekable();
    let mut first = 0;
    let rows_of = |part: usize| {
        let (start, end) = (first, first + sizes[part]);
        first = end;
        let rows: Vec<usize> = std::iter::from_fn(|| wanted.next_if(|row| *row < end)).map(|row| row - start).collect();
        (part, rows)
    };
    parts.into_iter().map(rows_of).filter(|(_, rows)| !rows.is_empty()).collect()
}

/// `n` of the numbers below `all`, each the middle of its share.
fn evenly(all: usize, n: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| (2 * i + 1) * all / (2 * n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_grows_and_what_is_no_number_stays_in_it() {
        let nothing = Range { low: f32::INFINITY, high: f32::NEG_INFINITY };
        let one = widened(nothing, -1.0, 2.0);
        assert_eq!(widened(one, 0.0, 1.0), one);
        assert_eq!(widened(one, -3.0, 4.0), Range { low: -3.0, high: 4.0 });
        let broken = widened(widened(one, f32::NAN, f32::NAN), 0.0, 0.0);
        assert!(broken.low.is_nan() && broken.high.is_nan());
    }

    #[test]
    fn one_picture_in_32_is_measured_on_wherever_parts_are_cut() {
        let n_pictures = |sizes: &[usize]| {
            let found = spread(sizes);
            assert!(found.len() <= N_PARTS);
            assert!(found.iter().all(|(part, rows)| rows.is_sorted() && rows.iter().all(|row| *row < sizes[*part])));
            found.iter().map(|(_, rows)| rows.len()).sum::<usize>()
        };
        for (sizes, expected) in [
            (&[1][..], 1),
            (&[39, 1], 16),
            (&[1; 500], 8), // One of each part that is read.
            (&[1000], 31),
            (&[300, 300, 300, 300, 300, 300, 248], 64),
            (&[2048, 1], 64),
            (&[2048; 24], 128),
        ] {
            assert_eq!(n_pictures(sizes), expected, "{sizes:?}");
        }
        assert_eq!(spread(&[4, 28]), [(0, vec![1, 3]), (1, (0..14).map(|i| 2 * i + 1).collect())]);
    }

    #[test]
    fn rows_are_spread_evenly() {
        assert_eq!(evenly(10, 4).collect::<Vec<_>>(), [1, 3, 6, 8]);
        assert_eq!(evenly(3, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly(3, 0).count(), 0);
    }
}
