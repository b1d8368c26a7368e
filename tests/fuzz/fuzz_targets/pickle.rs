//! Any bytes as the pickle of a checkpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| trm_runtime::fuzzing::pickle(data));
