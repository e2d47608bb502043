//! Bytes that the fuzzers found worth keeping are no program, or one that is evaluated without harm.

#[path = "../../../tests/fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/checks/program.rs"]
mod program;

#[test]
fn the_corpus_of_programs_does_no_harm() {
    corpus::replay("program", program::check_program);
}

#[test]
fn the_corpus_of_graphs_does_no_harm() {
    corpus::replay("program_graph", program::check_program_graph);
}

#[test]
fn the_corpus_of_the_compilers_lines_does_no_harm() {
    corpus::replay("compiler_wire", program::check_compiler_wire);
}

#[test]
fn the_corpora_hold_programs() {
    let stored = include_bytes!("../../../tests/fuzz/corpus/program/dip");
    assert!(vyx_engine::Checked::decode(stored).is_ok(), "{:?}", vyx_engine::Checked::decode(stored));
}
