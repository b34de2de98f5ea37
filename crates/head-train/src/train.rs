//! Chooses among the grid on validation rows and scores test rows once.

use std::ops::ControlFlow;
use std::path::PathBuf;

use artifact::FeaturesFacts;
use linear_head::{EpochReport, Error, Head, Scores, Split, Standardiser, Sweep, Temperature};
use ndarray::Array2;
use stage::{Exit, check_stop};

use crate::data::{Data, Rows};
use crate::head_error;
use crate::plan::Settings;

/// Rows of one split seen through the head.
#[derive(Debug)]
pub(crate) struct Scored {
    /// float32 `[n, n_classes]`.
    pub(crate) logits: Array2<f32>,
    pub(crate) scores: Scores,
}

/// The outcome of training.
#[derive(Debug)]
pub(crate) struct Trained {
    /// On features as they are: the standardisation is folded in.
    pub(crate) head: Head,
    pub(crate) sweep: Sweep,
    /// Whether `head` was trained again on training and validation rows, so that it is not the one that was chosen.
    pub(crate) is_refit: bool,
    /// Fitted on validation rows; nothing where there are none, or where they have nothing to say.
    pub(crate) temperature: Option<Temperature>,
    /// By the head that was chosen, which has not seen validation rows.
    pub(crate) train: Scored,
    pub(crate) validation: Option<Scored>,
    /// By the head that is exported.
    pub(crate) test: Option<Scored>,
}

/// Trains, chooses and scores. Where no setting stays finite, `keep` gets the last head that was, and says where it is.
///
/// # Errors
/// Exit 65 where the loss of all settings leaves the finite, with epoch and step.
pub(crate) fn run(
    data: &Data,
    facts: &FeaturesFacts,
    settings: &Settings,
    keep: impl FnOnce(&Head) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Trained> {
    let n_classes = facts.classes.len();
    warn(data, settings);
    let fitted = fit(&data.train, &data.validation, n_classes, settings, settings.sweep.clone(), true)?;
    check_stop()?;
    let (sweep, chosen) = match fitted {
        Err(ref error @ Error::Diverged { ref head, .. }) => {
            let place = keep(head)?;
            return Err(Exit::BadData.error(format!("{error}. The last finite head is in {}", place.display())));
        }
        fitted => fitted.map_err(head_error)?,
    };
    tell_choice(&sweep, n_classes, settings);
    let train = score(&chosen, &data.train)?;
    let validation = if data.validation.ids.is_empty() { None } else { Some(score(&chosen, &data.validation)?) };
    let temperature = match &validation {
        Some(scored) => calibrate(scored, &data.validation)?,
        None => None,
    };
    let is_refit = settings.refit && validation.is_some();
    let head = if is_refit { refit(data, n_classes, settings, &sweep)? } else { chosen };
    let test = if data.test.ids.is_empty() { None } else { Some(score(&head, &data.test)?) };
    Ok(Trained { head, sweep, is_refit, temperature, train, validation, test })
}

/// The temperature that validation rows ask for, unless it is at a bound of the search. Where the head has all of them
/// right, the likelihood grows without end as the temperature falls; where it is no better than guessing, as it rises, until
/// float32 tells probabilities apart no more. Either says nothing of how sure to be, so the logits stay as they are.
fn calibrate(scored: &Scored, validation: &Rows) -> anyhow::Result<Option<Temperature>> {
    let fitted = linear_head::fit_temperature(scored.logits.view(), &validation.labels).map_err(head_error)?;
    let n = validation.ids.len();
    if fitted.at_bound && fitted.temperature < 1.0 {
        tracing::warn!(
            "probabilities are not calibrated: all {n} validation rows are right, which sets no bound to how sure the head \
             may be; more validation rows mend it (--validation)"
        );
        return Ok(None);
    }
    if fitted.at_bound {
        tracing::warn!("probabilities are not calibrated: on {n} validation rows the head is no better than guessing");
        return Ok(None);
    }
    Ok(Some(fitted))
}

/// What a person may not have meant.
fn warn(data: &Data, settings: &Settings) {
    let (n_points, n_train) = (settings.sweep.grid.len(), data.train.ids.len());
    if data.validation.ids.is_empty() {
        if n_points > 1 {
            tracing::warn!(
                "no validation rows: the training loss chooses among {n_points} settings, which favours the least regularised"
            );
        }
        if settings.refit {
            tracing::warn!("--refit does nothing without validation rows");
        }
    }
    if settings.sweep.batch_size > n_train {
        let batch = settings.sweep.batch_size;
        tracing::warn!(
            "--batch {batch} is more than the {n_train} training rows, and learning rates stated for 256 rows are scaled to it"
        );
    }
}

/// One line on what was chosen, and a warning where it is no better than guessing.
fn tell_choice(sweep: &Sweep, n_classes: usize, settings: &Settings) {
    let point = &sweep.points[sweep.best];
    let Some(scores) = point.best_epoch.checked_sub(1).and_then(|e| point.history.get(e)) else { return };
    let lr = point.learning_rate * 256.0 / settings.sweep.batch_size as f64;
    let (name, loss) = scores.validation_loss.map_or(("training", scores.train_loss), |loss| ("validation", loss));
    stage::say(format!(
        "head: of {} settings, lr {lr} (raw {}), weight decay {}, after epoch {} of {}; {name} loss {loss:.4}",
        sweep.points.len(),
        point.learning_rate,
        point.weight_decay,
        point.best_epoch,
        settings.sweep.epochs
    ));
    let guessing = (n_classes as f64).ln();
    if loss > guessing {
        tracing::warn!(
            "{name} loss {loss:.4} is worse than guessing ({guessing:.4}): try smaller learning rates, or other features"
        );
    }
}

/// Whether no signal has come. One ends training; [`check_stop`] then has the error with the right exit code.
pub(crate) fn go_on() -> ControlFlow<()> {
    if check_stop().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Trains the grid and returns it with the best head, folded onto features as they are. The inner error is what became of
/// training; a signal ends it with one whose exit code is not the signal's: callers ask [`check_stop`] first.
fn fit(
    train: &Rows,
    validation: &Rows,
    n_classes: usize,
    settings: &Settings,
    sweep: linear_head::Settings,
    loud: bool,
) -> anyhow::Result<Result<(Sweep, Head), Error>> {
    let (n, dim) = train.features.dim();
    let checked = sweep.check(n, n_classes, dim).map_err(head_error)?;
    let standardiser = match settings.standardise {
        true => Some(Standardiser::fit(train.features.view()).map_err(head_error)?),
        false => None,
    };
    let standardised = match &standardiser {
        Some(by) => Some((train.features.standardised(by)?, validation.features.standardised(by)?)),
        None => None,
    };
    let (of_train, of_validation) = standardised
        .as_ref()
        .map_or((&train.features, &validation.features), |(train, validation)| (train, validation));
    of_train.will_be_read_at_random();
    let mut on_epoch = |report: &EpochReport<'_>| {
        if loud && let Some(scores) = report.points[report.leader] {
            let (epoch, epochs, accuracy) = (report.epoch, report.epochs, scores.train_accuracy * 100.0);
            stage::say(format!("Epoch [{epoch}/{epochs}], Loss: {:.4}, Accuracy: {accuracy:.2}%", scores.train_loss));
        }
        go_on()
    };
    let sweep = linear_head::train_stoppable(
        &checked,
        Split { features: of_train.view(), labels: &train.labels },
        Split { features: of_validation.view(), labels: &validation.labels },
        &mut on_epoch,
        &mut go_on,
    );
    let folded = |head: &Head| match &standardiser {
        Some(standardiser) => standardiser.fold(head),
        None => Ok(head.clone()),
    };
    Ok(match sweep {
        Ok(sweep) => {
            let head = folded(&sweep.points[sweep.best].head).map_err(head_error)?;
            Ok((sweep, head))
        }
        Err(Error::Diverged { epoch, step, learning_rate, n_points, head }) => {
            let head = Box::new(folded(&head).map_err(head_error)?);
            Err(Error::Diverged { epoch, step, learning_rate, n_points, head })
        }
        Err(error) => Err(error),
    })
}

/// The chosen setting once more, on training and validation rows together.
fn refit(data: &Data, n_classes: usize, settings: &Settings, sweep: &Sweep) -> anyhow::Result<Head> {
    let together = |a: &Rows, b: &Rows| -> anyhow::Result<Rows> {
        Ok(Rows {
            ids: a.ids.iter().chain(&b.ids).cloned().collect(),
            labels: a.labels.iter().chain(&b.labels).copied().collect(),
            features: a.features.followed_by(&b.features)?,
        })
    };
    let all = together(&data.train, &data.validation)?;
    let nothing =
        Rows { ids: Vec::new(), labels: Vec::new(), features: Array2::zeros((0, all.features.dim().1)).into() };
    let mut one = settings.sweep.clone();
    one.grid = vec![settings.sweep.grid[sweep.best]];
    // As far as the epoch that was best, with the learning rates of the whole schedule. There are no
    // validation rows left that could tell when to stop.
    one.patience = None;
    one.stop_after = Some(sweep.points[sweep.best].best_epoch.max(1));
    let fitted = fit(&all, &nothing, n_classes, settings, one, false)?;
    check_stop()?;
    let (_, head) = fitted.map_err(head_error)?;
    stage::say("head: trained again on training and validation rows together");
    Ok(head)
}

fn score(head: &Head, rows: &Rows) -> anyhow::Result<Scored> {
    let logits = head.logits(rows.features.view()).map_err(head_error)?;
    let scores = linear_head::scores(logits.view(), &rows.labels).map_err(head_error)?;
    Ok(Scored { logits, scores })
}
