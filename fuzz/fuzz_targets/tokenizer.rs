//! Hands bytes to `targets::tokenizer`; what is done with them is written there.

#![no_main]

libfuzzer_sys::fuzz_target!(init: targets::record_panics(), |data: &[u8]| targets::run(
    targets::tokenizer::target,
    data
));
