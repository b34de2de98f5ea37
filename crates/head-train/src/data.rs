//! Features in memory: one array a split, rows without a label left out.

use artifact::{Artifact, FeaturePart, FeaturesFacts, Split};
use ndarray::{Array2, Axis};
use stage::{Exit, check_stop, count};

/// One split.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) ids: Vec<String>,
    pub(crate) labels: Vec<u32>,
    /// float32 `[n, feature_dim]`.
    pub(crate) features: Array2<f32>,
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

/// Reads the artifact. Where it has no validation split, `validation` of the training rows are
/// drawn for it by a hash of their ids.
pub(crate) fn read(features: &Artifact, facts: &FeaturesFacts, validation: f64) -> anyhow::Result<Data> {
    let mut unlabelled = 0;
    let mut split = |wanted: Split| -> anyhow::Result<Rows> {
        let manifest = features.manifest();
        let capacity = manifest.rows_of(wanted) as usize;
        let mut values: Vec<f32> = Vec::with_capacity(capacity * facts.feature_dim);
        let (mut ids, mut labels) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        for (index, part) in manifest.parts.iter().enumerate().filter(|(_, p)| p.split == Some(wanted)) {
            check_stop()?;
            let before = ids.len();
            let batches = features.read_part(index)?;
            FeaturePart::append_f32(&batches, facts, &features.part_path(index), &mut ids, &mut labels, &mut values)?;
            if let Some(row) = values[before * facts.feature_dim..].iter().position(|v| !v.is_finite()) {
                let id = &ids[before + row / facts.feature_dim];
                return Err(Exit::BadData
                    .error(format!("{}: the feature of row {id} is not finite; extract it again", part.file)));
            }
        }
        let array = Array2::from_shape_vec((ids.len(), facts.feature_dim), values).map_err(|e| Exit::Bug.wrap(e))?;
        let labelled: Vec<usize> = (0..ids.len()).filter(|i| labels[*i].is_some()).collect();
        let rows = if labelled.len() == ids.len() {
            let labels = labels.iter().flatten().map(|l| *l as u32).collect();
            Rows { ids, labels, features: array }
        } else {
            unlabelled += (ids.len() - labelled.len()) as u64;
            let labels = labelled.iter().filter_map(|i| labels[*i]).map(|l| l as u32).collect();
            Rows {
                ids: labelled.iter().map(|i| ids[*i].clone()).collect(),
                labels,
                features: array.select(Axis(0), &labelled),
            }
        };
        Ok(rows)
    };
    let (train, own_validation, test) = (split(Split::Train)?, split(Split::Validation)?, split(Split::Test)?);
    let drawn = own_validation.ids.is_empty() && validation > 0.0;
    let (train, validation) = if drawn { hold_out(train, validation) } else { (train, own_validation) };
    let data = Data { train, validation, test, unlabelled, drawn };
    data.check(features, facts)?;
    Ok(data)
}

/// Moves a share of the rows out, chosen by their ids alone: adding rows moves none that were there.
fn hold_out(rows: Rows, share: f64) -> (Rows, Rows) {
    let (held, kept): (Vec<usize>, Vec<usize>) =
        (0..rows.ids.len()).partition(|i| Split::position(&rows.ids[*i], "validation") < share);
    let take = |indices: &[usize]| Rows {
        ids: indices.iter().map(|i| rows.ids[*i].clone()).collect(),
        labels: indices.iter().map(|i| rows.labels[*i]).collect(),
        features: rows.features.select(Axis(0), indices),
    };
    (take(&kept), take(&held))
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
    use super::*;

    #[test]
    fn held_out_rows_keep_their_labels_and_features() {
        let n = 500;
        let ids: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
        let features = Array2::from_shape_fn((n, 2), |(i, j)| (i * 10 + j) as f32);
        let rows = Rows { ids: ids.clone(), labels: (0..n as u32).collect(), features };
        let (kept, held) = hold_out(rows, 0.2);
        assert_eq!(kept.ids.len() + held.ids.len(), n);
        assert!((70..130).contains(&held.ids.len()), "{}", held.ids.len());
        for rows in [&kept, &held] {
            for (i, id) in rows.ids.iter().enumerate() {
                let k: usize = id[1..].parse().unwrap();
                assert_eq!((rows.labels[i] as usize, rows.features[[i, 1]] as usize), (k, k * 10 + 1));
            }
        }
    }
}
