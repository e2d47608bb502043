//! From the result of a script to a program: the rule, its metadata, and everything they need.

use crate::graph::Graph;
use crate::operators;
use crate::problem::Problems;
use crate::value::{Series, Value};
use rhai::Position;
use vyx_core::Interval;
use vyx_engine::program::{FORMAT, MAX_FIELDS, MAX_KEY_BYTES, MAX_NODES};
use vyx_engine::wire::{Mode, VALUE};
use vyx_engine::{Kind, Program};

/// Longest metadata of a signal in bytes, as JSON.
pub const MAX_METADATA_BYTES: usize = 8 * 1_024;
/// The longest number as JSON, e.g. `-2.2250738585072014e-308`.
const NUMBER_BYTES: usize = 24;

/// The program of a result; `None` when something was wrong, which is among the problems then.
pub fn program(
    graph: &mut Graph,
    problems: &mut Problems,
    mode: Mode,
    interval: Interval,
    (result, at): (&Value, Position),
) -> Option<Program> {
    let (fire, fields) = split(graph, problems, mode, result, at)?;
    let keys = fields.iter().map(|(key, _)| key.clone());
    let roots: Vec<Series> = [fire].into_iter().chain(fields.iter().map(|(_, series)| *series)).collect();
    let emitted = graph.emit(&roots);
    if emitted.nodes.len() > MAX_NODES {
        let message = format!("the rule needs {} nodes, at most {MAX_NODES} are allowed", emitted.nodes.len());
        problems.error(Position::NONE, message, Some("shorten its loops, or split it into two traders".into()));
        return None;
    }
    let fields = keys.zip(emitted.roots[1..].iter().copied()).collect();
    Some(Program {
        format: FORMAT,
        interval: interval.as_str().to_owned(),
        clocks: emitted.clocks,
        nodes: emitted.nodes,
        fire: emitted.roots[0],
        fields,
    })
}

/// The rule and its metadata in order of the keys.
fn split(
    graph: &mut Graph,
    problems: &mut Problems,
    mode: Mode,
    result: &Value,
    at: Position,
) -> Option<(Series, Vec<(String, Series)>)> {
    let advice = || Some("end with a bool, or with #{ fire: …, side: \"long\", note: … }".to_owned());
    match result {
        Value::Poison => None,
        Value::Map(map) => {
            let Some((fire, at)) = map.get("fire") else {
                problems.error(at, "the result has no key \"fire\"", advice());
                return None;
            };
            warn_constant(problems, fire, *at);
            let fire = bool_series(graph, problems, fire, *at);
            let fields = fields(graph, problems, map.iter().filter(|(key, _)| *key != "fire"));
            Some((fire?, fields?))
        }
        Value::Nothing => {
            // After another error the result may be missing for that reason.
            if !problems.any() {
                problems.error(Position::NONE, "the script has no result", advice());
            }
            None
        }
        value if mode == Mode::Expression => {
            let Some(series) = graph.series(value) else {
                let refusal = operators::not_plain(value, "the result must be a value");
                problems.error(at, refusal.message, refusal.hint);
                return None;
            };
            let always = graph.series(&Value::Bool(true)).expect("a plain value");
            Some((always, vec![(VALUE.to_owned(), series)]))
        }
        value => {
            warn_constant(problems, value, at);
            if value.kind() == Some(Kind::Bool) {
                return Some((graph.series(value).expect("a plain value"), Vec::new()));
            }
            problems.error(at, format!("the result must be a bool, not {}", value.describe()), advice());
            None
        }
    }
}

fn warn_constant(problems: &mut Problems, fire: &Value, at: Position) {
    match fire {
        Value::Bool(true) => problems.warn(at, "always true: the rule matches on every candle", None),
        Value::Bool(false) => problems.warn(at, "always false: the rule never matches", None),
        _ => {}
    }
}

fn bool_series(graph: &mut Graph, problems: &mut Problems, fire: &Value, at: Position) -> Option<Series> {
    if fire.is_poison() {
        return None;
    }
    if fire.kind() != Some(Kind::Bool) {
        let hint = Some("compare it with something, e.g. x > 0".to_owned());
        problems.error(at, format!("\"fire\" must be a bool, not {}", fire.describe()), hint);
        return None;
    }
    graph.series(fire)
}

fn fields<'a>(
    graph: &mut Graph,
    problems: &mut Problems,
    entries: impl Iterator<Item = (&'a String, &'a (Value, Position))>,
) -> Option<Vec<(String, Series)>> {
    let mut fields = Vec::new();
    let mut bytes = 2;
    for (key, (value, at)) in entries {
        if key.contains('\0') || key.is_empty() {
            problems.error(*at, "a key needs at least one character, and none of them NUL", None);
            continue;
        }
        if key.len() > MAX_KEY_BYTES {
            problems.error(*at, format!("a key has {} bytes, at most {MAX_KEY_BYTES} are allowed", key.len()), None);
            continue;
        }
        let Some(series) = graph.series(value) else {
            if !value.is_poison() {
                let refusal = operators::not_plain(value, &format!("\"{key}\" must be a number, bool, text or series"));
                problems.error(*at, refusal.message, refusal.hint);
            }
            continue;
        };
        bytes += key.len() + 6 + if let Value::Text(text) = value { text.len() } else { NUMBER_BYTES };
        fields.push((key.clone(), series));
    }
    if fields.len() > MAX_FIELDS {
        let message = format!("the result has {} keys beside \"fire\", at most {MAX_FIELDS} are allowed", fields.len());
        problems.error(Position::NONE, message, None);
    }
    if bytes > MAX_METADATA_BYTES {
        let message = format!("the metadata takes up to {bytes} bytes, at most {MAX_METADATA_BYTES} are allowed");
        problems.error(Position::NONE, message, None);
    }
    (!problems.any()).then_some(fields)
}
