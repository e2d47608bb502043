//! The rules that vyx offers to begin with, each compiled and run over real candles.

mod candles;
mod forever;
mod hits;
#[path = "../../../templates.rs"]
mod listed;
mod readme;
mod rules;

use listed::{TEMPLATES, Template};
use std::collections::HashSet;
use std::sync::Arc;
use vyx_core::Interval;
use vyx_engine::Checked;
use vyx_engine::wire::{Compiled, Mode, Request, Response, build};

fn compiled(template: &Template) -> Compiled {
    let (script, interval) = (template.script.to_owned(), template.interval.to_owned());
    let request = Request { build: build(), mode: Mode::Trader, interval, configured: Vec::new(), script };
    match vyx_compiler::compile(&request) {
        Response::Compiled(compiled) => compiled,
        other => panic!("{} is refused: {other:#?}", template.name),
    }
}

fn program(template: &Template) -> Arc<Checked> {
    Arc::new(compiled(template).program.validate().expect("it was compiled"))
}

fn interval(template: &Template) -> Interval {
    template.interval.parse().expect("an interval")
}

fn named(name: &str) -> &'static Template {
    TEMPLATES.iter().find(|template| template.name == name).unwrap_or_else(|| panic!("no template {name}"))
}

#[test]
fn every_template_compiles_without_a_warning() {
    for template in TEMPLATES {
        let warnings = compiled(template).warnings;
        assert!(warnings.is_empty(), "{}: {warnings:#?}", template.name);
    }
}

/// A trader with a template can be read at a glance, and leaves room for what its user adds.
#[test]
fn every_template_stays_far_from_the_limits() {
    for template in TEMPLATES {
        let nodes = compiled(template).program.nodes.len();
        assert!(nodes <= 64, "{} has {nodes} nodes", template.name);
        assert!(template.script.len() <= 2_048, "{}", template.name);
        assert!(template.script.lines().all(|line| line.len() <= 120), "{}", template.name);
    }
}

#[test]
fn every_template_says_which_side_it_takes_and_where_it_was_wrong() {
    for template in TEMPLATES {
        let fields = compiled(template).program.fields;
        let keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
        assert!(keys.contains(&"side") && keys.contains(&"stop"), "{}: {keys:?}", template.name);
        let short = template.script.contains("side: \"short\"");
        assert_eq!(template.tags.contains(&"short"), short, "{}", template.name);
    }
}

#[test]
fn every_template_is_named_once_and_described_in_a_sentence() {
    assert!(TEMPLATES.len() >= 25);
    let names: HashSet<_> = TEMPLATES.iter().map(|template| template.name).collect();
    let titles: HashSet<_> = TEMPLATES.iter().map(|template| template.title).collect();
    assert_eq!((names.len(), titles.len()), (TEMPLATES.len(), TEMPLATES.len()));
    for template in TEMPLATES {
        let Template { name, description, tags, script, .. } = template;
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{name}");
        assert!(description.ends_with('.') && description.len() <= 120, "{name}: {description}");
        assert!(!tags.is_empty() && tags.iter().all(|tag| tag.bytes().all(|byte| byte.is_ascii_lowercase())), "{name}");
        assert!(script.starts_with("// "), "{name} begins with what it is for");
        assert!(script.is_ascii(), "{name}: some databases can store nothing else");
    }
}

#[test]
fn every_script_in_the_room_is_a_template() {
    let room = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates");
    let files = std::fs::read_dir(room).expect("the room of templates");
    let mut files: Vec<_> =
        files.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect();
    files.sort();
    let mut names: Vec<_> = TEMPLATES.iter().map(|template| format!("{}.rhai", template.name)).collect();
    names.sort();
    assert_eq!(files, names);
}
