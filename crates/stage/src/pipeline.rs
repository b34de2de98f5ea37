//! The pipeline file: one TOML table a stage, and baselines that deviate from it.
//!
//! ```toml
//! run = "runs/demo"                  # optional: folder of all artifacts
//! stages = ["data-prep", "generate"]  # optional: which programs take part, in this order
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
use crate::input_files::{SAVE_FIRST, special_file};

/// All stage programs, and so all sections that a pipeline file may have.
pub const STAGES: [&str; 5] = ["data-prep", "feature-extract", "head-train", "classify", "generate"];

/// The stages of a pipeline file that does not say: from pictures to a head.
const DEFAULT_STAGES: [&str; 3] = ["data-prep", "feature-extract", "head-train"];

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
        if let Some(what) = special_file(path) {
            let message = format!("--pipeline {} is {what}, not a file: {SAVE_FIRST}", path.display());
            return Err(Exit::Usage.error(message));
        }
        if path.is_dir() {
            let message = format!("--pipeline {} is a folder; give the TOML file of a pipeline", path.display());
            return Err(Exit::Usage.error(message));
        }
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

    /// The stages that take part, in order: `stages` of the file, or those from pictures to a head.
    /// Without a file, any.
    fn stages(&self) -> anyhow::Result<Vec<&'static str>> {
        let expected = || {
            let all = STAGES.map(|s| format!("{s:?}")).join(", ");
            Exit::Usage.error(format!("{}: stages: expected a list of stages, each once, of {all}", self.name()))
        };
        let names = match self.table.get("stages") {
            None if self.path.as_os_str().is_empty() => return Ok(STAGES.to_vec()),
            None => return Ok(DEFAULT_STAGES.to_vec()),
            Some(Value::Array(names)) if !names.is_empty() => names,
            Some(_) => return Err(expected()),
        };
        let mut stages = Vec::new();
        for name in names {
            let name = name.as_str().ok_or_else(expected)?;
            let Some(stage) = STAGES.into_iter().find(|s| *s == name) else {
                return Err(unknown(&format!("{}, stages", self.name()), name, &STAGES.map(str::to_string)));
            };
            if stages.contains(&stage) {
                return Err(expected());
            }
            stages.push(stage);
        }
        Ok(stages)
    }

    /// Why the program has nothing to do, if `stage` takes no part in this pipeline.
    ///
    /// A script may run all programs on any pipeline file: those that it is not about pass.
    pub(crate) fn left_out(&self, stage: &str) -> anyhow::Result<Option<String>> {
        let stages = self.stages()?;
        if stages.contains(&stage) {
            return Ok(None);
        }
        self.check_sections()?;
        Ok(Some(format!("{stage}: not a stage of {} ({}), nothing to do", self.name(), stages.join(", "))))
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
    pub(crate) fn baselines(&self, stage: &str) -> anyhow::Result<Vec<String>> {
        let upstream: Vec<_> = self.stages()?.into_iter().take_while(|s| *s != stage).chain([stage]).collect();
        let Some(baselines) = self.table.get("baseline").and_then(Value::as_table) else { return Ok(Vec::new()) };
        let changes = |v: &Value| v.as_table().is_some_and(|t| t.keys().any(|k| upstream.contains(&k.as_str())));
        Ok(baselines.iter().filter(|(_, v)| changes(v)).map(|(k, _)| k.clone()).collect())
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
            .filter(|(k, v)| !v.is_table() && *k != "run" && *k != "stages")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        add(&shared, "top level", false)?;
        Ok(settings)
    }

    fn section(&self, path: &[&str]) -> Option<&Table> {
        path.iter().try_fold(&self.table, |table, key| table.get(*key).and_then(Value::as_table))
    }

    /// Sections are stages that take part, or baselines of them. Top-level keys are options that all
    /// stages have.
    fn check_sections(&self) -> anyhow::Result<()> {
        let file = self.name();
        let listed = self.stages()?;
        let check_listed = |stage: &str, section: &str| {
            match listed.contains(&stage) {
            true => Ok(()),
            false => Err(Exit::Usage.error(format!(
                "{file}: [{section}] is about a stage that takes no part; the pipeline's stages are {}: add it to `stages`, or leave the section out",
                listed.join(", ")
            ))),
        }
        };
        let names: Vec<String> = STAGES.iter().map(ToString::to_string).chain(["baseline".to_string()]).collect();
        let shared: Vec<String> = ["run", "stages", "seed", "threads"].map(str::to_string).to_vec();
        for (key, value) in &self.table {
            match value {
                Value::Table(_) if !names.contains(key) => return Err(unknown(&file, key, &names)),
                Value::Table(_) if key == "baseline" => {}
                Value::Table(_) => check_listed(key, key)?,
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
                check_listed(stage, &format!("baseline.{name}.{stage}"))?;
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
        assert_eq!(p.baselines("data-prep").unwrap(), Vec::<String>::new());
        assert_eq!(p.baselines("feature-extract").unwrap(), ["r"]);
        assert_eq!(p.baselines("head-train").unwrap(), ["h", "r"]);
        let p = pipeline("stages = [\"data-prep\", \"generate\"]\n[baseline.hot.generate]\ntemperature=2\n");
        assert_eq!(p.baselines("data-prep").unwrap(), Vec::<String>::new());
        assert_eq!(p.baselines("generate").unwrap(), ["hot"]);
        assert_eq!(p.settings("generate", Some("hot"), &["temperature".into()]).unwrap()[0].values, ["2"]);
    }

    #[test]
    fn a_stage_that_is_not_listed_is_left_out() {
        let p = pipeline("stages = [\"data-prep\", \"generate\"]\nseed = 3\n[generate]\nlr = 1\n");
        assert_eq!(p.left_out("generate").unwrap(), None);
        assert_eq!(
            p.left_out("head-train").unwrap().unwrap(),
            "head-train: not a stage of p/demo.toml (data-prep, generate), nothing to do"
        );
        let keys = p.settings("generate", None, &["lr".into(), "seed".into(), "stages".into()]).unwrap();
        assert_eq!(keys.iter().map(|s| s.key.as_str()).collect::<Vec<_>>(), ["lr", "seed"]);
        // A file that does not say is about pictures; without a file any stage may run.
        assert!(pipeline("seed = 1\n").left_out("generate").unwrap().is_some());
        assert_eq!(pipeline("seed = 1\n").left_out("head-train").unwrap(), None);
        assert!(STAGES.iter().all(|s| Pipeline::default().left_out(s).unwrap().is_none()));
    }

    #[test]
    fn a_section_of_a_stage_that_is_not_listed_is_refused() {
        for (text, section) in [
            ("[generate]\n", "[generate]"),
            ("[baseline.x.generate]\n", "[baseline.x.generate]"),
            ("stages = [\"data-prep\"]\n[head-train]\n", "[head-train]"),
        ] {
            let refused = pipeline(text).settings("data-prep", None, &known()).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("p/demo.toml: {section} is about a stage that takes no part")),
                "{refused}"
            );
            assert!(pipeline(text).left_out("data-prep").unwrap().is_none());
        }
        // One that is left out reads the file as strictly.
        assert!(pipeline("[generate]\n").left_out("generate").is_err());
        let mut set = Pipeline::default();
        set.set("generate", &["lr=2".into()]).unwrap();
        assert_eq!(set.settings("generate", None, &known()).unwrap()[0].values, ["2"]);
    }

    #[test]
    fn stages_is_a_list_of_stages_each_once() {
        for text in ["stages = \"data-prep\"", "stages = []", "stages = [1]", "stages = [\"generate\", \"generate\"]"] {
            let refused = pipeline(text).left_out("data-prep").unwrap_err();
            assert_eq!(Exit::of(&refused), Exit::Usage);
            assert!(
                refused.to_string().contains("expected a list of stages, each once, of \"data-prep\", "),
                "{refused}"
            );
        }
        let refused = pipeline("stages = [\"generat\"]").left_out("data-prep").unwrap_err().to_string();
        assert_eq!(refused, "p/demo.toml, stages: unknown key `generat`; did you mean `generate`?");
    }
}
