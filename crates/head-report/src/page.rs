//! What is on the page, and in which order.

use std::fmt::Write;

use crate::markup::{count, text};
use crate::scores::{split_table, tiles};
use crate::style::STYLE;
use crate::{
    Confusion, Curves, Duplicates, Grid, LearningCurve, Map, Mistakes, PerClass, Provenance, Reliability, SplitScores,
};

/// Nothing is loaded from anywhere, whatever a name on the page may try.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A part of the page that may have no data.
#[derive(Debug, Clone, PartialEq)]
pub enum Section<T> {
    /// What there is to show.
    Shown(T),
    /// Why there is nothing, in a sentence.
    LeftOut(String),
}

impl<T> Section<T> {
    fn is_shown(&self) -> bool {
        matches!(self, Self::Shown(_))
    }

    fn draw(&self, draw: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Shown(data) => draw(data),
            Self::LeftOut(why) => format!(r#"<p class="none">{}</p>"#, text(why)),
        }
    }
}

/// All of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Such as `Head on resnet18.onnx`.
    pub title: String,
    /// What was trained on what, in a sentence.
    pub summary: String,
    /// Class names; indices elsewhere are into them.
    pub classes: Vec<String>,
    /// Scores: test, validation, training, as far as there are any.
    pub splits: Vec<SplitScores>,
    /// Whether the head was trained again on training and validation rows after it was chosen: scores of these rows are
    /// then of the head before that, and test scores of the one that is shipped.
    pub is_refit: bool,
    /// Divisor of the logits.
    pub temperature: Option<f64>,
    /// Loss and accuracy by epoch.
    pub curves: Curves,
    /// All settings.
    pub grid: Grid,
    /// Which class was taken for which.
    pub confusion: Section<Confusion>,
    /// The scores of the classes.
    pub per_class: Section<PerClass>,
    /// Calibration before and after the temperature.
    pub reliability: Section<Reliability>,
    /// The most confidently wrong pictures.
    pub mistakes: Section<Mistakes>,
    /// The map of the features.
    pub map: Section<Map>,
    /// Accuracy against labels.
    pub learning_curve: Section<LearningCurve>,
    /// Pictures in training and test alike.
    pub duplicates: Section<Duplicates>,
    /// What is needed to repeat the run.
    pub provenance: Provenance,
}

impl Page {
    /// The page as one HTML file.
    #[must_use]
    pub fn to_html(&self) -> String {
        let classes = &self.classes;
        let sections = [
            ("scores", "Scores", split_table(&self.splits, self.is_refit)),
            ("curves", "Training", self.curves.draw(self.is_refit)),
            ("grid", "Settings tried", self.grid.draw()),
            ("classes", "Classes", self.per_class.draw(|scores| scores.draw(classes))),
            ("confusion", "Confusion", self.confusion.draw(|confusion| confusion.draw(classes))),
            ("calibration", "Calibration", self.reliability.draw(Reliability::draw)),
            ("mistakes", "Most confidently wrong", self.mistakes.draw(|mistakes| mistakes.draw(classes))),
            ("map", "Map of the features", self.map.draw(|map| map.draw(classes))),
            ("labels", "How many labels it takes", self.learning_curve.draw(LearningCurve::draw)),
            ("duplicates", "Alike in training and test", self.duplicates.draw(|pairs| pairs.draw(classes))),
            ("repeat", "To repeat this", self.provenance.draw()),
        ];
        // Without test rows these are of validation rows, which a head that was trained on them cannot be judged by.
        let has_test = self.splits.iter().any(|split| split.name == "test");
        let of_rows = [
            ("classes", self.per_class.is_shown()),
            ("confusion", self.confusion.is_shown()),
            ("calibration", self.reliability.is_shown()),
            ("mistakes", self.mistakes.is_shown()),
        ];
        let of_rows = of_rows.into_iter().filter(|(_, is_shown)| *is_shown && !has_test);
        let of_heads = of_rows.chain([("labels", self.learning_curve.is_shown())].into_iter().filter(|(_, is)| *is));
        let of_before: Vec<_> = of_heads.filter(|_| self.is_refit).map(|(id, _)| id).collect();
        let (mut links, mut body) = (String::new(), String::new());
        for (id, name, content) in &sections {
            let _ = write!(links, r##"<a href="#{id}">{name}</a>"##);
            let _ = write!(
                body,
                r#"<section id="{id}" aria-labelledby="{id}-title"><h2 id="{id}-title">{name}</h2>{content}</section>"#
            );
            if of_before.contains(id) {
                body.truncate(body.len() - "</section>".len());
                body += r#"<p class="note">Of heads before refitting: the one that is shipped was trained on the validation rows too.</p></section>"#;
            }
            body.push('\n');
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1><p class=\"lede\">{summary}</p>{tiles}<nav aria-label=\"Sections\">{links}</nav></header>\n\
             <main>\n{body}</main>\n<footer>{n}. This page is one file and loads nothing.</footer>\n</body>\n</html>\n",
            title = text(&self.title),
            summary = text(&self.summary),
            tiles = tiles(&self.splits, self.temperature, self.is_refit),
            n = if classes.len() == 1 { "1 class".to_string() } else { format!("{} classes", count(classes.len())) },
        )
    }
}
