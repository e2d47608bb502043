//! What scripts mean, what is said of wrong ones, what hostile ones achieve, and what the templates do.

mod hostile;
mod language;
mod templates;

#[path = "../../../tests/fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/checks/script.rs"]
mod script;

#[test]
fn the_corpus_of_scripts_does_no_harm() {
    corpus::replay("script", script::check_script);
}
