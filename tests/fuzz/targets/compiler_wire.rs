//! What the server and the compiler say to each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vyx_fuzz::program::check_compiler_wire(bytes));
