//! Frames of the streams.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::wire::check_frame(bytes));
