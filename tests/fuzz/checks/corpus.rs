//! Replays what the fuzzers have found, without them.

use std::path::Path;

/// Runs `check` over every file of a target's corpus. What fails names the file.
pub fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut count = 0;
    for file in files {
        let path = file.expect("an entry of a directory").path();
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Only shown when the check fails.
        println!("{}", path.display());
        check(&bytes);
        count += 1;
    }
    assert!(count > 0, "{} is empty", corpus.display());
}
