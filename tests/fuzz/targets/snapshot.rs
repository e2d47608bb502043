//! Files that may be a snapshot.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::snapshot::check_snapshot(bytes));
