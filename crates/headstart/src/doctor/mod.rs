//! `headstart doctor`: whether this machine can run the programs, and what to do where it cannot.

mod cgroup;
mod cuda;
mod machine;
mod runtime;

use serde_json::json;
use stage::Exit;

use crate::Shown;
use crate::args::Doctor;
use crate::layout::{Screen, Tint, columns, padded, wrapped};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

/// One line of the doctor's.
#[derive(Debug, Clone)]
struct Finding {
    verdict: Verdict,
    about: &'static str,
    found: String,
    remedy: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, about, found: found.into(), remedy: None }
    }

    fn warning(about: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, about, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn problem(about: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, about, found: found.into(), remedy: Some(remedy.into()) }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

pub(crate) fn run(typed: &Doctor) -> anyhow::Result<Shown> {
    let mut findings = machine::programs();
    let (runtime, loaded) = runtime::findings();
    findings.extend(runtime);
    findings.extend(cuda::findings(loaded.as_ref(), typed.cuda_libs.as_deref()));
    findings.extend(machine::findings());
    findings.extend(machine::disks(&typed.run));
    findings.extend(machine::hub());
    let json = json!({
        "findings": findings.iter().map(|f| json!({
            "verdict": f.verdict.name(), "about": f.about, "found": f.found, "remedy": f.remedy,
        })).collect::<Vec<_>>(),
        "worst": findings.iter().map(|f| f.verdict).max().unwrap_or(Verdict::Ok).name(),
    });
    let exit = if loaded.is_some() { Exit::Done } else { Exit::Unavailable };
    Ok(Shown { text: text(&findings), json, exit })
}

fn text(findings: &[Finding]) -> String {
    let screen = Screen::of_stdout();
    let about = findings.iter().map(|f| columns(f.about)).max().unwrap_or(0);
    let indent = 7 + 2 + about + 2;
    let room = screen.width.saturating_sub(indent).max(20);
    let mut text = String::new();
    for finding in findings {
        let tint = match finding.verdict {
            Verdict::Ok => Tint::Good,
            Verdict::Warning => Tint::Doubtful,
            Verdict::Problem => Tint::Bad,
        };
        let verdict = screen.paint(tint, &padded(finding.verdict.name(), 7));
        let mut lines = wrapped(&finding.found, room);
        lines.extend(finding.remedy.iter().flat_map(|remedy| wrapped(&format!("→ {remedy}"), room)));
        for (i, line) in lines.iter().enumerate() {
            text += &match i {
                0 => format!("{verdict}  {}  {line}\n", padded(finding.about, about)),
                _ => format!("{}{line}\n", " ".repeat(indent)),
            };
        }
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let (warnings, problems) = (count(Verdict::Warning), count(Verdict::Problem));
    text += &match (problems, warnings) {
        (0, 0) => "\nall is well\n".to_string(),
        _ => format!(
            "\n{}, {}\n",
            crate::layout::counted(problems as u64, "problem", "problems"),
            crate::layout::counted(warnings as u64, "warning", "warnings")
        ),
    };
    text
}
