//! Scripts of traders.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::script::check_script(bytes));
