//! Programs by whoever writes them at random.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::program::check_program_graph(bytes));
