//! Bytes that the fuzzers found worth keeping are read without a panic, and what is taken of them is plausible.

#[path = "../../../tests/fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/checks/wire.rs"]
mod wire;

#[test]
fn the_corpus_of_frames_does_no_harm() {
    corpus::replay("frame", wire::check_frame);
}

#[test]
fn the_corpus_of_answers_does_no_harm() {
    corpus::replay("rest", wire::check_rest);
}
