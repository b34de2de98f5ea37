//! data-prep over one input file: the whole stage, from the index to the committed artifact.
//!
//! The readers of its sources are private, and stay so: a job that `stage::preview` has resolved is run for good here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use artifact::{Artifact, Kind};
use data_prep::Args;
use serde_json::json;
use stage::{Exit, Job, Report, preview};

use crate::mutation::Dice;
use crate::tokenizer::{bytes, words};
use crate::workbench;

thread_local! {
    static JOBS: RefCell<HashMap<String, Job<Args>>> = RefCell::default();
}

/// Runs data-prep under the given settings, all paths relative to the workbench, and looks at what it leaves.
pub(crate) fn run(settings: &str, kind: Kind) {
    workbench::with(|bench| {
        let run = bench.path("run");
        match std::fs::remove_dir_all(&run) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        let job = JOBS.with_borrow_mut(|jobs| {
            let known = jobs.get(settings).cloned();
            known.unwrap_or_else(|| {
                let file =
                    bench.write("job.toml", settings.replace("BENCH", &bench.path("").to_string_lossy()).as_bytes());
                let job = resolve(&file, &run).expect("the settings are sound");
                jobs.insert(settings.into(), job.clone());
                job
            })
        });
        match data_prep::run(&job) {
            Ok(_) => {
                let made = Artifact::open(&job.out(kind.name()), kind).expect("what was made can be opened");
                made.verify().expect("what was made is whole");
                let parts = 0..made.manifest().parts.len();
                parts.for_each(|part| drop(made.read_part(part).expect("what was made can be read")));
            }
            Err(error) => assert_ne!(Exit::of(&error), Exit::Bug, "{error:#}"),
        }
    });
}

/// The job as the stage's own program would resolve it, but one that is run and not only looked at.
fn resolve(pipeline: &Path, run: &Path) -> anyhow::Result<Job<Args>> {
    let resolved = RefCell::new(None);
    let take = |job: &Job<Args>| -> anyhow::Result<Report> {
        let mut job = job.clone();
        (job.args.common.preview, job.args.common.dry_run) = (false, false);
        *resolved.borrow_mut() = Some(job);
        Err(Exit::Usage.error("later"))
    };
    preview(take, pipeline, Some(run), &[])?;
    resolved.into_inner().context("the stage takes no part")
}

/// Texts: the first byte picks format, tokenizer and fields, the rest is the file.
pub fn prompts(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    let (format, options) = [
        ("lines", ""),
        ("jsonl", ""),
        ("jsonl", "id-field = \"id\"\n"),
        ("jsonl", "text-field = \"t\"\npart-rows = 1\n"),
    ][usize::from(which & 3)];
    let tokenizer = usize::from(which >> 2 & 1);
    let most = if which & 8 == 0 { 4096 } else { 16 };
    workbench::with(|bench| {
        bench.write("in/texts", file);
        let name = format!("tokenizer{tokenizer}.json");
        if !bench.path(&name).exists() {
            let mut json = [bytes, words][tokenizer]();
            // It is read in every run, and Unicode's classes in a regular expression take most of the time of one.
            json["pre_tokenizer"] = json!({"type": "Whitespace"});
            bench.write(&name, json.to_string().as_bytes());
        }
    });
    run(
        &format!(
            "[data-prep]\ninput = \"BENCHin/texts\"\nformat = \"{format}\"\ntokenizer = \"BENCHtokenizer{tokenizer}.json\"\n\
             max-text-bytes = {most}\nmax-bad = \"100%\"\nthreads = 1\nrehash = true\n{options}"
        ),
        Kind::Prompts,
    );
}

/// A fixed set of settings for pictures by a number.
pub(crate) fn picture_settings(format: &str, input: &str, which: u8) -> String {
    let size = ["", "size = \"4\"\n", "size = \"3x5\"\nfit = \"crop\"\nenlarge = true\n"][usize::from(which) % 3];
    format!(
        "[data-prep]\ninput = \"BENCH{input}\"\nformat = \"{format}\"\nmax-pixels = 262144\nmax-bad = \"100%\"\n\
         threads = 1\nrehash = true\n{size}"
    )
}

/// Settings that a mutator picks at random.
pub(crate) fn reroll(data: &mut [u8], dice: &mut Dice) {
    if let Some(first) = data.first_mut() {
        *first = dice.below(16) as u8;
    }
}
