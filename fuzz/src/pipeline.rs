//! Pipeline files: TOML and `--set`, up to each stage's arguments. No stage runs.

use std::path::Path;

use stage::{Exit, Report, StageArgs, preview};

use crate::workbench;

/// A pipeline file; behind it, each after a NUL byte, values of `--set`. One stage reads it, which one the content
/// decides: to build the arguments of all five would take ten milliseconds.
pub fn target(data: &[u8]) {
    let mut pieces = data.split(|byte| *byte == 0);
    let file = pieces.next().unwrap_or_default();
    let sets: Vec<String> = pieces.take(4).map(|set| String::from_utf8_lossy(set).into_owned()).collect();
    workbench::with(|bench| {
        let path = bench.write("pipeline.toml", file);
        match data.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte))) % 5 {
            0 => read::<data_prep::Args>(&path, &sets),
            1 => read::<feature_extract::Args>(&path, &sets),
            2 => read::<head_train::Args>(&path, &sets),
            3 => read::<classify::Args>(&path, &sets),
            _ => read::<generate::Args>(&path, &sets),
        }
    });
}

/// The file as one stage sees it. Whatever is wrong is the person's to put right, and said as that.
fn read<A: StageArgs>(path: &Path, sets: &[String]) {
    let run = |_: &stage::Job<A>| -> anyhow::Result<Report> { Err(Exit::Usage.error("nothing is run here")) };
    if let Err(error) = preview(run, path, None, sets) {
        assert_eq!(Exit::of(&error), Exit::Usage, "{error:#}");
    }
}
