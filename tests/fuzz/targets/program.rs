//! Programs as they are stored.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::program::check_program(bytes));
