//! Which class is taken for which: a matrix of numbers while they can be read, beyond that one of tints with the most
//! confused pairs below it, and of very many classes the pairs alone.

use std::fmt::Write;

use crate::classes::caution;
use crate::markup::{clipped, count, percent, text};

/// Classes of a matrix whose cells show numbers.
const MAX_NUMBERS: usize = 25;
/// Classes of a matrix whose cells show tints.
const MAX_TINTS: usize = 100;
/// Classes up to which tinted cells may be large.
const MAX_LARGE: usize = 40;
/// Pairs listed.
const MAX_PAIRS: usize = 20;
/// Letters of a class in the title of a cell; the heads of its row and column have them all.
const MAX_LETTERS: usize = 40;

/// Counts of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// The split they are of.
    pub split: &'static str,
    /// `[n_classes · n_classes]`, row-major: row the true class, column the predicted one.
    pub counts: Vec<u64>,
}

impl Confusion {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        match classes.len() {
            0..=MAX_NUMBERS => self.matrix(classes, "numbers"),
            n @ 0..=MAX_TINTS => {
                let cells = if n <= MAX_LARGE { "tints" } else { "tints small" };
                format!("{}<h3>The most confused pairs</h3>{}", self.matrix(classes, cells), self.pairs(classes))
            }
            n => format!(
                r#"<p class="note">A matrix of {} classes could not be read; these are its largest numbers.</p>{}"#,
                count(n),
                self.pairs(classes)
            ),
        }
    }

    pub(crate) fn row(&self, class: usize, n_classes: usize) -> &[u64] {
        self.counts.get(class * n_classes..(class + 1) * n_classes).unwrap_or(&[])
    }

    /// `cells` is the class in the style sheet.
    fn matrix(&self, classes: &[String], cells: &str) -> String {
        let n = classes.len();
        let has_numbers = cells == "numbers";
        let mut names = String::new();
        for name in classes {
            let _ = write!(names, r#"<th scope="col"><bdi class="name" title="{0}">{0}</bdi></th>"#, text(name));
        }
        let mut rows = String::new();
        for (class, name) in classes.iter().enumerate() {
            let _ = write!(rows, r#"<tr><th scope="row"><bdi class="name" title="{0}">{0}</bdi></th>"#, text(name));
            let support = self.row(class, n).iter().sum::<u64>();
            for (predicted, found) in self.row(class, n).iter().enumerate() {
                rows += &match (found, has_numbers) {
                    (0, true) => r#"<td class="zero">0</td>"#.to_string(),
                    (0, false) => "<td></td>".to_string(),
                    _ => cell(classes, (class, predicted), (*found, support), has_numbers),
                };
            }
            rows += "</tr>";
        }
        let corner = r#"<th class="corner" scope="col">true \ predicted</th>"#;
        // So many rows are taller than a screen.
        let foot = match has_numbers {
            true => String::new(),
            false => format!("<tfoot><tr>{corner}{names}</tr></tfoot>"),
        };
        let scale = match has_numbers {
            true => "Green is right; blue is taken for another class, on a scale twice as steep.",
            false => {
                "Green is right; blue is taken for another class. The darker, the larger the share of the class (the tint follows its square root, so that single rows can be seen); the cell's title has the numbers."
            }
        };
        format!(
            r#"<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix"><table class="heat matrix {cells}"><thead><tr>{corner}{names}</tr></thead><tbody>{rows}</tbody>{foot}</table></div><p class="note">{} rows of each true class (row) by what was predicted (column). {scale}{}</p>"#,
            capital(self.split),
            caution(self.split)
        )
    }

    fn pairs(&self, classes: &[String]) -> String {
        let n = classes.len();
        let mut pairs: Vec<(u64, usize, usize)> = (0..n)
            .flat_map(|class| self.row(class, n).iter().enumerate().map(move |(other, found)| (*found, class, other)))
            .filter(|(found, class, other)| *found > 0 && class != other)
            .collect();
        pairs.sort_by_key(|(found, class, other)| (std::cmp::Reverse(*found), *class, *other));
        let (n_pairs, wrong) = (pairs.len(), pairs.iter().map(|p| p.0).sum::<u64>());
        if pairs.is_empty() {
            return format!(r#"<p class="none">No {} row was taken for another class.</p>"#, self.split);
        }
        let mut rows = String::new();
        for (found, class, other) in pairs.iter().take(MAX_PAIRS) {
            let support = self.row(*class, n).iter().sum::<u64>();
            let _ = write!(
                rows,
                r#"<tr><td><bdi class="name" title="{0}">{0}</bdi></td><td class="left"><bdi class="name" title="{1}">{1}</bdi></td><td>{2}</td><td>{3}</td></tr>"#,
                text(&classes[*class]),
                text(&classes[*other]),
                count(*found as usize),
                percent(*found as f64 / support as f64)
            );
        }
        format!(
            r#"<div class="scroll" tabindex="0" role="region" aria-label="Most confused pairs"><table><caption>The {} most confused of {} pairs that occur; {} {} rows are wrong altogether</caption><thead><tr><th scope="col">true class</th><th scope="col" class="left">taken for</th><th scope="col">rows</th><th scope="col">of the class</th></tr></thead><tbody>{rows}</tbody></table></div>"#,
            count(n_pairs.min(MAX_PAIRS)),
            count(n_pairs),
            count(wrong as usize),
            self.split
        )
    }
}

/// A cell in which there are rows: `found` of `support`.
fn cell(
    classes: &[String],
    (class, predicted): (usize, usize),
    (found, support): (u64, u64),
    has_number: bool,
) -> String {
    let share = found as f64 / support as f64;
    let is_right = class == predicted;
    let tint = match (has_number, is_right) {
        (true, true) => share * 0.75,
        // Errors are rarer than hits, so they get a steeper scale of their own.
        (true, false) => (share * 2.0).min(1.0) * 0.75,
        (false, _) => 0.1 + 0.85 * share.sqrt(),
    };
    let name = |class: usize| clipped(&classes[class], MAX_LETTERS);
    let title = match is_right {
        true => format!("{} right", name(class)),
        false => format!("{} taken for {}", name(class), name(predicted)),
    };
    format!(
        r#"<td{} style="--share:{:.0}%" title="{title}: {} of {} rows, {}">{}</td>"#,
        if is_right { r#" class="right""# } else { "" },
        tint * 100.0,
        count(found as usize),
        count(support as usize),
        percent(share),
        if has_number { found.to_string() } else { String::new() }
    )
}

/// The first letter large, as at the start of a sentence. Names of splits are ASCII.
fn capital(split: &str) -> String {
    let mut split = split.to_string();
    if let Some(first) = split.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    split
}
