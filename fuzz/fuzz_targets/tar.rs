//! Hands bytes to `targets::tar`; what is done with them is written there.

#![no_main]

libfuzzer_sys::fuzz_target!(init: targets::record_panics(), |data: &[u8]| targets::run(targets::tar::target, data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    targets::tar::mutate(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});
