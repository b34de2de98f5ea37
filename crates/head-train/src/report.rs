//! Gathers what `report.html` shows. How it is shown is `head-report`'s; single rows are `report_rows`'.

use artifact::{Artifact, FORMAT_VERSION, FeaturesFacts};
use head_report::{
    Bin, ClassScore, Confusion, Curve, Curves, Ending, EpochFigures, Fact, Grid, GridCell, LearningCurve, LearningLine,
    LearningPoint, Page, PerClass, Provenance, Reliability, ReliabilityDiagram, Section, SplitScores,
};
use linear_head::{Calibration, Outcome, expected_calibration_error};
use serde_json::Value;
use stage::count;

use crate::data::{Data, Rows};
use crate::head_error;
use crate::learning_curve::{Line, N_DRAWS};
use crate::outputs::temperature;
use crate::pictures::Pictures;
use crate::plan::Settings;
use crate::report_rows;
use crate::train::{Scored, Trained};

/// The name of the file.
pub(crate) const REPORT: &str = "report.html";

/// All that a report is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) features: &'a Artifact,
    pub(crate) facts: &'a FeaturesFacts,
    pub(crate) settings: &'a Settings,
    pub(crate) data: &'a Data,
    pub(crate) trained: &'a Trained,
    pub(crate) pictures: Option<&'a Pictures>,
    pub(crate) curve: Option<&'a [Line]>,
    /// Of the head artifact.
    pub(crate) fingerprint: &'a str,
}

/// The page as HTML. No time, no duration and nothing of the machine is on it: the same run gives the same bytes.
pub(crate) fn html(from: &Sources<'_>) -> anyhow::Result<String> {
    let Sources { facts, data, trained, .. } = *from;
    let n = |rows: &Rows| count(rows.ids.len() as u64);
    let trained_on = match (data.validation.ids.is_empty(), trained.is_refit) {
        (true, _) => format!("trained on {} rows, its settings chosen by training loss", n(&data.train)),
        (false, false) => {
            format!(
                "trained on {} rows, its settings chosen on {} validation rows",
                n(&data.train),
                n(&data.validation)
            )
        }
        (false, true) => format!(
            "trained on {} rows, its settings chosen by training on {} of them and validating on the other {}",
            count((data.train.ids.len() + data.validation.ids.len()) as u64),
            n(&data.train),
            n(&data.validation)
        ),
    };
    let scored_on = match data.test.ids.is_empty() {
        true => "There are no test rows".to_string(),
        false => match from.curve {
            None => format!("Scored once on {} test rows", n(&data.test)),
            Some(lines) => format!(
                "Scored on {} test rows; the learning curve scored {} more heads on them, and nothing was chosen by that",
                n(&data.test),
                count(more_heads(lines, trained.is_refit))
            ),
        },
    };
    let judged = judged(from);
    let page = Page {
        title: format!("Linear head on {}", file_name(&facts.backbone)),
        summary: format!(
            "{} features a picture, {} classes, {trained_on}. {scored_on}.",
            facts.feature_dim,
            facts.classes.len()
        ),
        classes: facts.classes.clone(),
        splits: splits(from)?,
        is_refit: trained.is_refit,
        temperature: trained.temperature.map(|t| t.temperature),
        curves: curves(from),
        grid: grid(from),
        confusion: shown(confusion(from)),
        per_class: shown(judged.map(|(split, scored, _)| PerClass { split, scores: per_class(scored) })),
        reliability: reliability(from)?,
        mistakes: report_rows::mistakes(from)?,
        map: report_rows::map(from)?,
        learning_curve: match from.curve {
            Some(lines) => Section::Shown(learning_curve(lines)),
            None => Section::LeftOut("Not measured in this run; --learning-curve measures it.".to_string()),
        },
        duplicates: report_rows::duplicates(from)?,
        provenance: provenance(from),
    };
    Ok(page.to_html())
}

/// What a head is judged by: test rows; validation rows, which its settings were chosen by, where there are none.
pub(crate) fn judged<'a>(from: &Sources<'a>) -> Option<(&'static str, &'a Scored, &'a Rows)> {
    let Sources { data, trained, .. } = *from;
    match (&trained.test, &trained.validation) {
        (Some(test), _) => Some(("test", test, &data.test)),
        (None, Some(validation)) => Some(("validation", validation, &data.validation)),
        (None, None) => None,
    }
}

/// Why there is nothing where [`judged`] has none.
pub(crate) const NOTHING_JUDGED: &str = "There are neither test nor validation rows.";

fn shown<T>(data: Option<T>) -> Section<T> {
    data.map_or_else(|| Section::LeftOut(NOTHING_JUDGED.to_string()), Section::Shown)
}

pub(crate) fn confusion(from: &Sources<'_>) -> Option<Confusion> {
    let (split, scored, _) = judged(from)?;
    Some(Confusion { split, counts: scored.scores.confusion.iter().copied().collect() })
}

/// Heads that a learning curve scores beside the one that is exported, which is its own last point unless it was trained
/// again.
fn more_heads(lines: &[Line], is_refit: bool) -> u64 {
    let all: usize = lines.iter().flat_map(|line| &line.points).map(|point| point.draws.len()).sum();
    (all - usize::from(!is_refit && all > 0)) as u64
}

fn splits(from: &Sources<'_>) -> anyhow::Result<Vec<SplitScores>> {
    let Sources { data, trained, .. } = *from;
    let one = |name, scored: &Scored, rows: &Rows, calibrated: bool| -> anyhow::Result<SplitScores> {
        let ece =
            |t| expected_calibration_error(scored.logits.view(), &rows.labels, t).map(|c| c.ece).map_err(head_error);
        let scores = &scored.scores;
        Ok(SplitScores {
            name,
            rows: rows.ids.len(),
            accuracy: scores.accuracy,
            balanced_accuracy: scores.balanced_accuracy,
            macro_f1: scores.macro_f1,
            loss: scores.loss,
            ece: if calibrated { Some((ece(1.0)?, ece(temperature(trained))?)) } else { None },
        })
    };
    let mut splits = Vec::new();
    if let Some(test) = &trained.test {
        splits.push(one("test", test, &data.test, true)?);
    }
    if let Some(validation) = &trained.validation {
        splits.push(one("validation", validation, &data.validation, true)?);
    }
    splits.push(one("training", &trained.train, &data.train, false)?);
    Ok(splits)
}

fn curves(from: &Sources<'_>) -> Curves {
    let sweep = &from.trained.sweep;
    let epoch = |e: &linear_head::EpochScores| EpochFigures {
        train_loss: e.train_loss,
        train_accuracy: e.train_accuracy,
        validation_loss: e.validation_loss,
        validation_accuracy: e.validation_accuracy,
    };
    let curve = |p: &linear_head::FittedPoint| Curve {
        label: format!("learning rate {}, weight decay {}", short(p.learning_rate), short(p.weight_decay)),
        epochs: p.history.iter().map(epoch).collect(),
    };
    Curves {
        settings: sweep.points.iter().map(curve).collect(),
        chosen: sweep.best,
        best_epoch: sweep.points[sweep.best].best_epoch,
    }
}

fn grid(from: &Sources<'_>) -> Grid {
    let Sources { settings, trained, data, .. } = *from;
    let n_decays = settings.weight_decays.len();
    let cell = |(nth, p): (usize, &linear_head::FittedPoint)| {
        let ending = match (p.outcome, p.best_epoch.checked_sub(1).and_then(|e| p.history.get(e))) {
            (Outcome::Diverged { epoch, .. }, _) => Ending::Diverged { epoch },
            (Outcome::Finished, Some(best)) => Ending::Finished {
                loss: best.validation_loss.unwrap_or(best.train_loss),
                accuracy: best.validation_accuracy.or(Some(best.train_accuracy)),
            },
            // It finished, so it has an epoch.
            (Outcome::Finished, None) => Ending::Diverged { epoch: 1 },
        };
        // The weight decay varies fastest.
        GridCell { rate: nth / n_decays, decay: nth % n_decays, ending, chosen: nth == trained.sweep.best }
    };
    Grid {
        rates: settings.rates.iter().map(|rate| short(*rate)).collect(),
        decays: settings.weight_decays.iter().map(|decay| short(*decay)).collect(),
        cells: trained.sweep.points.iter().enumerate().map(cell).collect(),
        chosen_by: if data.validation.ids.is_empty() { "training" } else { "validation" },
    }
}

fn per_class(scored: &Scored) -> Vec<ClassScore> {
    let one = |s: &linear_head::ClassScores| ClassScore {
        precision: s.precision,
        recall: s.recall,
        f1: s.f1,
        support: s.support,
    };
    scored.scores.per_class.iter().map(one).collect()
}

/// On test rows; on validation rows, which the temperature was fitted on, where there are none.
fn reliability(from: &Sources<'_>) -> anyhow::Result<Section<Reliability>> {
    let Sources { data, trained, .. } = *from;
    let Some(fitted) = trained.temperature else {
        let why = match data.validation.ids.is_empty() {
            true => "There are no validation rows, so no temperature was fitted.",
            false => {
                "No temperature can be fitted: all validation rows are right, or no better than guessed; more of them may mend it."
            }
        };
        return Ok(Section::LeftOut(why.to_string()));
    };
    let Some((split, scored, rows)) = judged(from) else { return Ok(shown(None)) };
    let diagram = |t| -> anyhow::Result<ReliabilityDiagram> {
        let Calibration { ece, bins } =
            expected_calibration_error(scored.logits.view(), &rows.labels, t).map_err(head_error)?;
        let bin = |b: linear_head::ReliabilityBin| Bin {
            lower: b.lower,
            upper: b.upper,
            count: b.count,
            confidence: b.confidence,
            accuracy: b.accuracy,
        };
        Ok(ReliabilityDiagram { ece, bins: bins.into_iter().map(bin).collect() })
    };
    Ok(Section::Shown(Reliability {
        split,
        before: diagram(1.0)?,
        after: diagram(fitted.temperature)?,
        temperature: fitted.temperature,
    }))
}

fn learning_curve(lines: &[Line]) -> LearningCurve {
    let line = |line: &Line| LearningLine {
        name: line.name.clone(),
        points: line
            .points
            .iter()
            .map(|point| {
                let (mean, lowest, highest) = point.spread();
                LearningPoint { per_class: point.per_class, rows: point.train_rows(), mean, lowest, highest }
            })
            .collect(),
    };
    LearningCurve { lines: lines.iter().map(line).collect(), n_draws: N_DRAWS }
}

fn provenance(from: &Sources<'_>) -> Provenance {
    let Sources { features, facts, settings, data, .. } = *from;
    let mut list: Vec<Fact> = Vec::new();
    let mut fact = |name: &str, value: String| list.push(Fact { name: name.to_string(), value });
    fact("headstart", format!("{}, artifacts of format {FORMAT_VERSION}", env!("CARGO_PKG_VERSION")));
    fact("seed", settings.sweep.seed.to_string());
    // Raw pixels have no file that a digest could be of.
    let digest =
        if facts.backbone_digest.is_empty() { String::new() } else { format!(", BLAKE3 {}", facts.backbone_digest) };
    fact("backbone", format!("{}{digest}", facts.backbone));
    fact("feature", facts.tensor.clone());
    fact("preprocessing", facts.preprocessing.clone());
    fact("pictures", format!("{} × {} pixels", facts.width, facts.height));
    let held_out = format!("{} of the training rows, drawn by a hash of their ids", settings.validation);
    fact("validation rows", if data.drawn { held_out } else { "the split that the features have".to_string() });
    if data.unlabelled > 0 {
        fact("rows without a label", format!("{}, left out", count(data.unlabelled)));
    }
    fact("features", format!("{}, fingerprint {}", settings.features.display(), features.manifest().fingerprint));
    for input in &features.manifest().inputs {
        fact("made from", format!("{}, digest {}", input.name, input.digest));
    }
    for baseline in &settings.baselines {
        fact("baseline", format!("{}: {}", baseline.name, baseline.folder.display()));
    }
    fact("features ran on", format!("{}, stored as {:?}", facts.provider, facts.dtype).to_lowercase());
    fact("fingerprint", from.fingerprint.to_string());
    let config = settings.config();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
    let settings_list = config.as_object().into_iter().flatten();
    let settings_list = settings_list.map(|(name, value)| Fact { name: name.clone(), value: text(value) }).collect();
    Provenance { command: settings.command(), facts: list, settings: settings_list }
}

/// A number with at most six digits that count.
fn short(value: f64) -> String {
    format!("{value:.5e}").parse::<f64>().map_or_else(|_| value.to_string(), |rounded| rounded.to_string())
}

/// The last part of a path or address.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_short() {
        assert_eq!(short(0.1 * 3.0), "0.3");
        assert_eq!(short(0.003 * 64.0 / 256.0), "0.00075");
        assert_eq!(file_name("hf://owner/name/onnx/model.onnx"), "model.onnx");
        assert_eq!(file_name("pixels"), "pixels");
    }
}
