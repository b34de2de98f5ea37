//! Features in memory: one array a split, rows without a label left out.

use artifact::{Artifact, FeaturesFacts, Keys, Split};
use rayon::prelude::*;
use stage::{Exit, check_stop, count};

use crate::matrix::{Home, Matrix};

/// One split.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) ids: Vec<String>,
    pub(crate) labels: Vec<u32>,
    /// `[n, feature_dim]`.
    pub(crate) features: Matrix,
}

/// All rows with a label.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) train: Rows,
    pub(crate) validation: Rows,
    pub(crate) test: Rows,
    /// Rows left out because they have no label.
    pub(crate) unlabelled: u64,
    /// Whether the validation rows were drawn from the training rows here.
    pub(crate) drawn: bool,
}

/// Reads the artifact, on all threads of the pool this is called in. Where it has no validation split, `validation` of the
/// training rows are drawn for it by a hash of their ids.
pub(crate) fn read(features: &Artifact, facts: &FeaturesFacts, validation: f64, home: &Home) -> anyhow::Result<Data> {
    let mut unlabelled = 0;
    let mut split = |wanted: Split| -> anyhow::Result<Rows> {
        let (keys, matrix) = read_split(features, facts, wanted, home)?;
        let Keys { ids, labels } = keys;
        let labelled: Vec<usize> = (0..ids.len()).filter(|i| labels[*i].is_some()).collect();
        let rows = if labelled.len() == ids.len() {
            let labels = labels.iter().flatten().map(|l| *l as u32).collect();
            Rows { ids, labels, features: matrix }
        } else {
            unlabelled += (ids.len() - labelled.len()) as u64;
            let labels = labelled.iter().filter_map(|i| labels[*i]).map(|l| l as u32).collect();
            Rows {
                ids: labelled.iter().map(|i| ids[*i].clone()).collect(),
                labels,
                features: matrix.select(&labelled)?,
            }
        };
        Ok(rows)
    };
    let (train, own_validation, test) = (split(Split::Train)?, split(Split::Validation)?, split(Split::Test)?);
    let drawn = own_validation.ids.is_empty() && validation > 0.0;
    let (train, validation) = if drawn { hold_out(&train, validation)? } else { (train, own_validation) };
    let data = Data { train, validation, test, unlabelled, drawn };
    data.check(features, facts)?;
    Ok(data)
}

/// All rows of a split, parts side by side, each straight into its place.
fn read_split(
    features: &Artifact,
    facts: &FeaturesFacts,
    wanted: Split,
    home: &Home,
) -> anyhow::Result<(Keys, Matrix)> {
    let (manifest, dim) = (features.manifest(), facts.feature_dim);
    let of_split = || manifest.parts.iter().filter(|p| p.split == Some(wanted));
    // A number takes two bytes at least, so no manifest can ask for more memory than a few times its files.
    let n_values = manifest.rows_of(wanted).checked_mul(dim as u64);
    if n_values.is_none_or(|n| n > of_split().map(|p| p.bytes).sum::<u64>() / 2) {
        let (path, rows) = (features.folder().display(), count(manifest.rows_of(wanted)));
        return Err(Exit::BadData.error(format!(
            "{path}: its {wanted} parts are too small for {rows} rows of {dim} numbers; run feature-extract again"
        )));
    }
    let mut keys = Keys::default();
    let matrix = Matrix::fill(home, (manifest.rows_of(wanted) as usize, dim), |values| {
        let mut room = values;
        let mut parts = Vec::new();
        for (index, part) in manifest.parts.iter().enumerate().filter(|(_, p)| p.split == Some(wanted)) {
            let (own, rest) = room.split_at_mut(part.rows as usize * dim);
            parts.push((index, own));
            room = rest;
        }
        let read: Vec<_> = parts
            .into_par_iter()
            .map_init(Vec::new, |buffer, (index, values)| read_part(features, facts, index, buffer, values))
            .collect();
        for part in read {
            let Keys { ids, labels } = part?;
            keys.ids.extend(ids);
            keys.labels.extend(labels);
        }
        Ok(())
    })?;
    Ok((keys, matrix))
}

fn read_part(
    features: &Artifact,
    facts: &FeaturesFacts,
    index: usize,
    buffer: &mut Vec<u8>,
    values: &mut [f32],
) -> anyhow::Result<Keys> {
    check_stop()?;
    let keys = features.read_features(index, facts, buffer, values)?;
    // Without an early exit, which is what the compiler turns into vector code.
    if !values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        let row = values.iter().position(|value| !value.is_finite()).unwrap_or(0) / facts.feature_dim;
        let (file, id) = (&features.manifest().parts[index].file, &keys.ids[row]);
        return Err(Exit::BadData.error(format!("{file}: the feature of row {id} is not finite; extract it again")));
    }
    Ok(keys)
}

/// Moves a share of the rows out, chosen by their ids alone: adding rows moves none that were there.
fn hold_out(rows: &Rows, share: f64) -> anyhow::Result<(Rows, Rows)> {
    let (held, kept): (Vec<usize>, Vec<usize>) =
        (0..rows.ids.len()).partition(|i| Split::position(&rows.ids[*i], "validation") < share);
    let take = |indices: &[usize]| -> anyhow::Result<Rows> {
        Ok(Rows {
            ids: indices.iter().map(|i| rows.ids[*i].clone()).collect(),
            labels: indices.iter().map(|i| rows.labels[*i]).collect(),
            features: rows.features.select(indices)?,
        })
    };
    Ok((take(&kept)?, take(&held)?))
}

impl Data {
    fn check(&self, features: &Artifact, facts: &FeaturesFacts) -> anyhow::Result<()> {
        let path = features.folder().display();
        let bad = |what: String| Err(Exit::BadData.error(format!("{path}: {what}")));
        if self.train.ids.is_empty() && self.drawn {
            let n = count(self.validation.ids.len() as u64);
            return Err(Exit::Usage
                .error(format!("--validation holds out all {n} labelled training rows; give a smaller share")));
        }
        if self.train.ids.is_empty() {
            let manifest = features.manifest();
            let rows = Split::ALL.map(|s| format!("{s} {}", count(manifest.rows_of(s)))).join(", ");
            let unlabelled = count(self.unlabelled);
            return bad(format!(
                "no labelled training rows (rows: {rows}; {unlabelled} without a label); give data-prep labelled pictures"
            ));
        }
        let mut counts = vec![0u64; facts.classes.len()];
        self.train.labels.iter().for_each(|l| counts[*l as usize] += 1);
        let present: Vec<_> = facts.classes.iter().zip(&counts).filter(|(_, n)| **n > 0).collect();
        if present.len() < 2 {
            let (name, n) = present.first().map_or(("none", 0), |(name, n)| (name.as_str(), **n));
            return bad(format!(
                "all {} training rows are of one class, {name}; at least two classes are needed",
                count(n)
            ));
        }
        if self.unlabelled > 0 {
            tracing::warn!("{} rows have no label and take no part", count(self.unlabelled));
        }
        let absent: Vec<_> =
            facts.classes.iter().zip(&counts).filter(|(_, n)| **n == 0).map(|(name, _)| name.as_str()).collect();
        if !absent.is_empty() {
            tracing::warn!("classes without training rows: {}", absent.join(", "));
        }
        Ok(())
    }

    /// One line for people.
    pub(crate) fn describe(&self, facts: &FeaturesFacts) -> String {
        let n = |rows: &Rows| count(rows.ids.len() as u64);
        let drawn = if self.drawn { " (drawn from train)" } else { "" };
        let (dim, classes) = (facts.feature_dim, facts.classes.len());
        format!(
            "train {}, validation {}{drawn}, test {}; {dim} numbers a row, {classes} classes",
            n(&self.train),
            n(&self.validation),
            n(&self.test)
        )
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn held_out_rows_keep_their_labels_and_features() {
        let n = 500;
        let ids: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
        let features = Array2::from_shape_fn((n, 2), |(i, j)| (i * 10 + j) as f32);
        let rows = Rows { ids: ids.clone(), labels: (0..n as u32).collect(), features: features.into() };
        let (kept, held) = hold_out(&rows, 0.2).unwrap();
        assert_eq!(kept.ids.len() + held.ids.len(), n);
        assert!((70..130).contains(&held.ids.len()), "{}", held.ids.len());
        for rows in [&kept, &held] {
            for (i, id) in rows.ids.iter().enumerate() {
                let k: usize = id[1..].parse().unwrap();
                assert_eq!((rows.labels[i] as usize, rows.features.view()[[i, 1]] as usize), (k, k * 10 + 1));
            }
        }
    }
}
