//! What the fuzz targets do, apart from libFuzzer: each module has a `target` that takes bytes and panics where a
//! promise of our crates is broken, and some a `mutate` that knows the format.
//!
//! Everything goes through the public functions of the crates. That nothing here needs libFuzzer lets `cargo test`
//! run all seeds with the stable compiler (`tests/seeds.rs`).

pub mod ingest;
pub mod manifest;
pub mod mutation;
pub mod onnx;
pub mod part;
pub mod picture;
pub mod pipeline;
pub mod table;
pub mod tar;
pub mod tokenizer;
pub mod workbench;

use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// All targets by name, cheapest first.
pub const ALL: [(&str, fn(&[u8])); 9] = [
    ("manifest", manifest::target),
    ("pipeline", pipeline::target),
    ("onnx", onnx::target),
    ("picture", picture::target),
    ("part", part::target),
    ("tar", tar::target),
    ("prompts", ingest::prompts),
    ("tokenizer", tokenizer::target),
    ("table", table::target),
];

/// What the last panic said, and where.
static LAST_PANIC: Mutex<Option<(String, Backtrace)>> = Mutex::new(None);

/// Replaces libFuzzer's panic hook, which ends the process at every panic: our readers catch those of the libraries
/// under them on purpose. What the last one said is kept for [`run`].
pub fn record_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // Finding out the names of the frames is what takes time, and is left for when they are shown.
        let last = (panic.to_string(), Backtrace::force_capture());
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }));
}

/// Runs a target; ends the process at a panic that nobody caught, as libFuzzer wants it.
pub fn run(target: fn(&[u8]), data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        if let Some((panic, trace)) = &*LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) {
            eprintln!("nobody caught: {panic}\n{trace}");
        }
        std::process::abort();
    }
}
