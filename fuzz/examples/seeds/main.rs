//! Writes the seeds: `cargo run --example seeds`, in this folder. See README.md.
//!
//! All are made here or are the small fixtures of our own tests, and the same bytes at every run.

mod artifacts;
mod networks;
mod pictures;
mod sources;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn write(target: &str, name: &str, content: impl AsRef<[u8]>) {
    let folder = here().join("seeds").join(target);
    fs::create_dir_all(&folder).expect("the folder can be made");
    fs::write(folder.join(name), content).expect("the seed can be written");
}

/// A seed whose first byte picks options.
fn write_with(target: &str, name: &str, option: u8, content: &[u8]) {
    write(target, name, [&[option][..], content].concat());
}

fn fixture(path: &str) -> Vec<u8> {
    fs::read(here().join("..").join(path)).expect(path)
}

fn main() {
    artifacts::manifests();
    sources::pipelines();
    artifacts::parts();
    pictures::pictures();
    sources::tars();
    sources::prompts();
    sources::tokenizers();
    tables::tables();
    networks::networks();
}
