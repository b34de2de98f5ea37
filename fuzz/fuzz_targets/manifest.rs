//! Hands bytes to `targets::manifest`; what is done with them is written there.

#![no_main]

libfuzzer_sys::fuzz_target!(init: targets::record_panics(), |data: &[u8]| targets::run(targets::manifest::target, data));
