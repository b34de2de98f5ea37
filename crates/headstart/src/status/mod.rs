//! `headstart status`: how the artifacts of a pipeline or of a run stand.

mod folder;
mod pipeline;

use serde_json::{Value, json};
use stage::{Exit, count};

use crate::Shown;
use crate::args::Status;
use crate::layout::{Screen, Tint, columns, padded, right, wrapped};

pub(crate) use folder::artifacts;

/// How one artifact stands, in the words that are shown.
#[derive(Debug, Clone)]
struct Line {
    /// Its path below the run's folder.
    name: String,
    state: &'static str,
    rows: Option<u64>,
    /// Why it is not fresh.
    because: Vec<String>,
    /// Everything, for programs.
    json: Value,
}

/// The artifacts of one run.
#[derive(Debug)]
struct Listing {
    heading: String,
    lines: Vec<Line>,
    /// What to do next, in words.
    advice: String,
    /// A command behind them, which is shown in one line however long, so that it can be copied.
    command: Option<String>,
}

/// What the states rest on.
const HOW: &str = "of finished files only the sizes were checked; headstart verify reads every byte";

/// States in which there is nothing to do.
const AT_REST: [&str; 2] = ["fresh", "complete"];

pub(crate) fn run(typed: &Status) -> anyhow::Result<Shown> {
    let listings = match &typed.pipeline {
        Some(file) => vec![pipeline::listing(file, typed)?],
        None => folder::listings(typed.run.as_deref())?,
    };
    let all = listings.iter().flat_map(|listing| &listing.lines);
    let at_rest = all.clone().all(|line| AT_REST.contains(&line.state));
    let screen = Screen::of_stdout();
    let mut text = match listings.as_slice() {
        [] => "there are no artifacts in runs/; give --run FOLDER or --pipeline FILE\n".to_string(),
        _ => listings.iter().map(|listing| listing.text(screen)).collect::<Vec<_>>().join("\n"),
    };
    // Where nothing is finished there is nothing to qualify.
    if all.clone().any(|line| AT_REST.contains(&line.state)) {
        text.push('\n');
        text.extend(wrapped(HOW, screen.width).iter().map(|line| format!("{}\n", screen.paint(Tint::Faint, line))));
    }
    let json = json!({ "at_rest": at_rest, "artifacts": all.map(|line| line.json.clone()).collect::<Vec<_>>() });
    let exit = if typed.exit_code && !at_rest { Exit::GateFailed } else { Exit::Done };
    Ok(Shown { text, json, exit })
}

impl Listing {
    fn text(&self, screen: Screen) -> String {
        let mut text = format!("{}\n\n", screen.paint(Tint::Heading, &self.heading));
        let widest = |of: fn(&Line) -> usize| self.lines.iter().map(of).max().unwrap_or(0);
        let name = widest(|l| columns(&l.name));
        let state = widest(|l| columns(l.state));
        let rows = widest(|l| l.rows.map_or(0, |n| count(n).len()));
        for line in &self.lines {
            let tint = match line.state {
                "fresh" | "complete" => Tint::Good,
                "error" | "unreadable" => Tint::Bad,
                "missing" => Tint::Faint,
                _ => Tint::Doubtful,
            };
            let shown_rows = right(&line.rows.map_or(String::new(), count), rows);
            let unit = if rows > 0 { if line.rows.is_some() { " rows" } else { "     " } } else { "" };
            let front =
                format!("  {}  {}  ", padded(&line.name, name), padded(line.state, state)).len() + rows + unit.len();
            // Reasons stand beside the artifact where there is room, else below it.
            let (indent, beside) = if front + 30 <= screen.width { (front + 2, true) } else { (6, false) };
            let room = screen.width.saturating_sub(indent).max(20);
            let reasons: Vec<String> = line.because.iter().flat_map(|reason| wrapped(reason, room)).collect();
            let mut reasons = reasons.iter();
            let first = if beside { reasons.next().map_or(String::new(), |r| format!("  {r}")) } else { String::new() };
            let painted = screen.paint(tint, &padded(line.state, state));
            let whole = format!("  {}  {painted}  {shown_rows}{unit}{first}", padded(&line.name, name));
            text += whole.trim_end();
            text.push('\n');
            for reason in reasons {
                text += &format!("{}{reason}\n", " ".repeat(indent));
            }
        }
        if !self.advice.is_empty() {
            text.push('\n');
            for line in wrapped(&self.advice, screen.width) {
                text += &format!("{line}\n");
            }
        }
        text.extend(self.command.iter().map(|command| format!("\n  {command}\n")));
        text
    }
}

/// `2 fresh, 1 stale`, in the order in which they come up.
fn tally(lines: &[Line]) -> String {
    let mut states: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        match states.iter_mut().find(|(state, _)| *state == line.state) {
            Some((_, n)) => *n += 1,
            None => states.push((line.state, 1)),
        }
    }
    states.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>().join(", ")
}
