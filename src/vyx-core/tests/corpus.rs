//! Bytes that the fuzzers found worth keeping are no snapshot, or one that leaves a store in order.
#![cfg(not(loom))]

#[path = "../../../tests/fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/checks/snapshot.rs"]
mod snapshot;

#[test]
fn the_corpus_of_snapshots_does_no_harm() {
    corpus::replay("snapshot", snapshot::check_snapshot);
}

#[test]
fn the_corpus_of_records_does_no_harm() {
    corpus::replay("snapshot_payload", snapshot::check_snapshot_payload);
}
