//! Snapshots whose checksums are right and whose records may not be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::snapshot::check_snapshot_payload(bytes));
