//! What scripts mean, what is said of wrong ones, and what hostile ones achieve.

mod hostile;
mod language;

#[path = "../../../tests/fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/checks/script.rs"]
mod script;

#[test]
fn the_corpus_of_scripts_does_no_harm() {
    corpus::replay("script", script::check_script);
}
