//! The pipeline file: one TOML table a stage, and baselines that deviate from it.
//!
//! ```toml
//! run = "runs/demo"                  # optional: folder of all artifacts
//! seed = 0                           # for all stages, as is `threads`
//! [feature-extract]                  # options of one stage, under their long names
//! backbone = "data/demo/backbone.onnx"
//! [baseline.random.feature-extract]  # the same once more with these deviations, to compare
//! weights = "random"
//! ```
//!
//! Keys are the long names of command-line options and nothing else, so there is one list of them.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::Exit;

/// All stage programs, and so all sections that a pipeline file may have.
pub const STAGES: [&str; 3] = ["data-prep", "feature-extract", "head-train"];

/// A parsed pipeline file with the changes of `--set`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pipeline {
    path: PathBuf,
    table: Table,
}

/// One option from the file: its long name and the values to type after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
    /// Where it stands, for messages.
    pub(crate) place: String,
}

impl Pipeline {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            let exit = match e.kind() {
                std::io::ErrorKind::NotFound => Exit::MissingInput,
                std::io::ErrorKind::InvalidData => Exit::Usage,
                _ => Exit::Io,
            };
            exit.error(format!("cannot read pipeline file {}: {e}", path.display()))
        })?;
        let table = text.parse::<Table>().map_err(|e| Exit::Usage.error(format!("{}: {e}", path.display())))?;
        Ok(Self { path: path.to_path_buf(), table })
    }

    /// Applies `--set` values: `key=value` for the stage itself, `section.key=value` for any.
    pub(crate) fn set(&mut self, stage: &str, changes: &[String]) -> anyhow::Result<()> {
        for change in changes {
            let (key, text) = change
                .split_once('=')
                .ok_or_else(|| Exit::Usage.error(format!("--set {change}: expected KEY=VALUE")))?;
            let value = parse_value(text);
            let mut sections: Vec<&str> = key.trim().split('.').collect();
            let Some(name) = sections.pop().filter(|n| !n.is_empty()) else {
                return Err(Exit::Usage.error(format!("--set {change}: expected KEY=VALUE")));
            };
            if sections.is_empty() {
                sections.push(stage);
            }
            let mut table = &mut self.table;
            for section in sections {
                table = table
                    .entry(section)
                    .or_insert_with(|| Value::Table(Table::new()))
                    .as_table_mut()
                    .ok_or_else(|| Exit::Usage.error(format!("--set {change}: {section} is not a section")))?;
            }
            table.insert(name.to_string(), value);
        }
        Ok(())
    }

    /// The folder of the run: `run` of the file, or `runs/` and the file's name.
    pub(crate) fn run_folder(&self) -> anyhow::Result<PathBuf> {
        match self.table.get("run") {
            Some(Value::String(run)) => Ok(PathBuf::from(run)),
            Some(_) => Err(Exit::Usage.error(format!("{}: run: expected a folder's path as a string", self.name()))),
            None => Ok(Path::new("runs").join(self.path.file_stem().unwrap_or("default".as_ref()))),
        }
    }

    /// The file's name for messages.
    fn name(&self) -> String {
        if self.path.as_os_str().is_empty() { "--set".to_string() } else { self.path.display().to_string() }
    }

    /// Names of the baselines that change anything for `stage` or for a stage that it builds on.
    pub(crate) fn baselines(&self, stage: &str) -> Vec<String> {
        let upstream: Vec<_> = STAGES.iter().take_while(|s| **s != stage).copied().chain([stage]).collect();
        let Some(baselines) = self.table.get("baseline").and_then(Value::as_table) else { return Vec::new() };
        let changes = |v: &Value| v.as_table().is_some_and(|t| t.keys().any(|k| upstream.contains(&k.as_str())));
        baselines.iter().filter(|(_, v)| changes(v)).map(|(k, _)| k.clone()).collect()
    }

    /// The options of `stage`, those of the baseline in front of the file's own.
    ///
    /// `known` are the long names of the stage's options; another key is refused with a suggestion.
    pub(crate) fn settings(
        &self,
        stage: &str,
        baseline: Option<&str>,
        known: &[String],
    ) -> anyhow::Result<Vec<Setting>> {
        self.check_sections()?;
        let mut settings: Vec<Setting> = Vec::new();
        let mut add = |table: &Table, section: &str, strict: bool| -> anyhow::Result<()> {
            for (key, value) in table {
                let place = format!("{}, {section}", self.name());
                if !known.contains(key) {
                    if strict {
                        return Err(unknown(&place, key, known));
                    }
                    continue;
                }
                let values = typed(value)
                    .ok_or_else(|| Exit::Usage.error(format!("{place}: {key} cannot be a table or a date")))?;
                if !settings.iter().any(|s| s.key == *key) {
                    settings.push(Setting { key: key.clone(), values, place });
                }
            }
            Ok(())
        };
        if let Some(name) = baseline
            && let Some(table) = self.section(&["baseline", name, stage])
        {
            add(table, &format!("[baseline.{name}.{stage}]"), true)?;
        }
        if let Some(table) = self.section(&[stage]) {
            add(table, &format!("[{stage}]"), true)?;
        }
        let shared: Table = self
            .table
            .iter()
            .filter(|(k, v)| !v.is_table() && *k != "run")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        add(&shared, "top level", false)?;
        Ok(settings)
    }

    fn section(&self, path: &[&str]) -> Option<&Table> {
        path.iter().try_fold(&self.table, |table, key| table.get(*key).and_then(Value::as_table))
    }

    /// Sections are stages, or baselines of stages. Top-level keys are options that all stages have.
    fn check_sections(&self) -> anyhow::Result<()> {
        let file = self.name();
        let names: Vec<String> = STAGES.iter().map(ToString::to_string).chain(["baseline".to_string()]).collect();
        let shared: Vec<String> = ["run", "seed", "threads"].map(str::to_string).to_vec();
        for (key, value) in &self.table {
            match value {
                Value::Table(_) if !names.contains(key) => return Err(unknown(&file, key, &names)),
                Value::Table(_) => {}
                _ if !shared.contains(key) => return Err(unknown(&format!("{file}, top level"), key, &shared)),
                _ => {}
            }
        }
        for (name, baseline) in self.section(&["baseline"]).into_iter().flatten() {
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            let Some(table) = baseline.as_table().filter(|_| plain) else {
                return Err(Exit::Usage.error(format!("{file}: baseline {name:?}: expected a section [baseline.NAME.STAGE], NAME of letters, digits, - and _")));
            };
            for (stage, settings) in table {
                if stage == "data-prep" || !STAGES.contains(&stage.as_str()) || !settings.is_table() {
                    let stages: Vec<String> = STAGES[1..].iter().map(ToString::to_string).collect();
                    return Err(unknown(&format!("{file}, [baseline.{name}]"), stage, &stages));
                }
            }
        }
        Ok(())
    }
}

/// A value typed after `--set KEY=`: TOML if it is TOML, else the text itself.
fn parse_value(text: &str) -> Value {
    format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_string()))
}

/// The value as it would be typed: nothing for `false`, an empty list for a bare flag.
fn typed(value: &Value) -> Option<Vec<String>> {
    let scalar = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Integer(i) => Some(i.to_string()),
        // With its decimal point: `1.0` is a share where `1` is a number of rows.
        Value::Float(f) => Some(format!("{f:?}")),
        Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    };
    match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        other => scalar(other).map(|s| vec![s]),
    }
}

/// The refusal of an unknown name, with the nearest known one.
pub(crate) fn unknown(place: &str, key: &str, known: &[String]) -> anyhow::Error {
    let nearest = known.iter().map(|k| (strsim::jaro_winkler(k, key), k)).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((score, name)) if score > 0.75 => format!("did you mean `{name}`?"),
        _ => format!("known are: {}", known.join(", ")),
    };
    Exit::Usage.error(format!("{place}: unknown key `{key}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(text: &str) -> Pipeline {
        Pipeline { path: "p/demo.toml".into(), table: text.parse().unwrap() }
    }

    fn known() -> Vec<String> {
        ["epochs", "lr", "seed", "balanced"].map(str::to_string).to_vec()
    }

    #[test]
    fn a_baseline_deviates_from_the_section_and_the_section_from_the_top() {
        let p = pipeline("seed = 1\n[head-train]\nepochs = 3\nlr = [0.1, 1]\n[baseline.b.head-train]\nepochs = 5\n");
        let plain = p.settings("head-train", None, &known()).unwrap();
        let get = |s: &[Setting], k: &str| s.iter().find(|s| s.key == k).map(|s| s.values.clone());
        assert_eq!(get(&plain, "epochs"), Some(vec!["3".into()]));
        assert_eq!(get(&plain, "lr"), Some(vec!["0.1".into(), "1".into()]));
        assert_eq!(get(&plain, "seed"), Some(vec!["1".into()]));
        let b = p.settings("head-train", Some("b"), &known()).unwrap();
        assert_eq!(get(&b, "epochs"), Some(vec!["5".into()]));
    }

    #[test]
    fn unknown_keys_and_sections_are_refused_with_a_suggestion() {
        let e = pipeline("[head-train]\nepoch = 3\n").settings("head-train", None, &known()).unwrap_err().to_string();
        assert_eq!(e, "p/demo.toml, [head-train]: unknown key `epoch`; did you mean `epochs`?");
        let e = pipeline("[head-trian]\n").settings("head-train", None, &known()).unwrap_err().to_string();
        assert_eq!(e, "p/demo.toml: unknown key `head-trian`; did you mean `head-train`?");
        assert!(pipeline("sed = 1\n").settings("head-train", None, &known()).is_err());
        assert!(pipeline("[baseline.x.data-prep]\n").settings("head-train", None, &known()).is_err());
    }

    #[test]
    fn set_changes_the_file() {
        let mut p = pipeline("[head-train]\nepochs = 3\n");
        p.set("head-train", &["epochs=7".into(), "head-train.lr=[1, 2]".into(), "data-prep.input=a/b.parquet".into()])
            .unwrap();
        let s = p.settings("head-train", None, &known()).unwrap();
        assert_eq!(s[0].values, ["7"]);
        assert_eq!(s[1].values, ["1", "2"]);
        assert!(p.set("head-train", &["epochs".into()]).is_err());
    }

    #[test]
    fn baselines_run_from_the_first_stage_they_change() {
        let p = pipeline("[baseline.r.feature-extract]\nweights=1\n[baseline.h.head-train]\nlr=1\n");
        assert_eq!(p.baselines("data-prep"), Vec::<String>::new());
        assert_eq!(p.baselines("feature-extract"), ["r"]);
        assert_eq!(p.baselines("head-train"), ["h", "r"]);
    }
}
