//! Which class is taken for which: a matrix while it can be read, the most confused pairs beyond that.

use std::fmt::Write;

use crate::markup::{count, percent, text};

/// Classes that a matrix can show.
const MAX_MATRIX: usize = 20;
/// Pairs listed where there are more.
const MAX_PAIRS: usize = 20;

/// Counts of test rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// `[n_classes · n_classes]`, row-major: row the true class, column the predicted one.
    pub counts: Vec<u64>,
}

impl Confusion {
    pub(crate) fn draw(&self, classes: &[String]) -> String {
        if classes.len() <= MAX_MATRIX { self.matrix(classes) } else { self.pairs(classes) }
    }

    fn row(&self, class: usize, n: usize) -> &[u64] {
        self.counts.get(class * n..(class + 1) * n).unwrap_or(&[])
    }

    fn matrix(&self, classes: &[String]) -> String {
        let n = classes.len();
        let mut head = r#"<th class="corner" scope="col">true \ predicted</th>"#.to_string();
        for name in classes {
            let _ = write!(head, r#"<th scope="col"><bdi class="name" title="{0}">{0}</bdi></th>"#, text(name));
        }
        let mut rows = String::new();
        for (class, name) in classes.iter().enumerate() {
            let _ = write!(rows, r#"<tr><th scope="row"><bdi class="name" title="{0}">{0}</bdi></th>"#, text(name));
            let support = self.row(class, n).iter().sum::<u64>();
            for (predicted, found) in self.row(class, n).iter().enumerate() {
                let share = if support > 0 { *found as f64 / support as f64 } else { 0.0 };
                let attribute = match (class == predicted, *found) {
                    (_, 0) => r#" class="zero""#,
                    (true, _) => r#" class="right""#,
                    (false, _) => "",
                };
                // Errors are rarer than hits, so they get a steeper scale of their own.
                let tint = if class == predicted { share * 0.75 } else { (share * 2.0).min(1.0) * 0.75 };
                let _ = write!(rows, r#"<td{attribute} style="--share:{:.0}%">{found}</td>"#, tint * 100.0);
            }
            rows += "</tr>";
        }
        format!(
            r#"<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix"><table class="heat matrix"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div><p class="note">Test rows of each true class (row) by what was predicted (column). Green is right; blue is taken for another class, on a scale twice as steep.</p>"#
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
            return r#"<p class="none">No test row was taken for another class.</p>"#.into();
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
            r#"<div class="scroll" tabindex="0" role="region" aria-label="Most confused pairs"><table><caption>The {} most confused of {} pairs that occur; {} test rows are wrong altogether</caption><thead><tr><th scope="col">true class</th><th scope="col" class="left">taken for</th><th scope="col">rows</th><th scope="col">of the class</th></tr></thead><tbody>{rows}</tbody></table></div>"#,
            n_pairs.min(MAX_PAIRS),
            count(n_pairs),
            count(wrong as usize)
        )
    }
}
