//! Each function of the catalog, by each of its names.

use super::{compiled, request};
use vyx_engine::catalog::{self, Function};
use vyx_engine::program::Kind;

/// Calls of a function that are each complete: with all its arguments, and with as few as its defaults allow.
fn calls(function: &Function, name: &str) -> Vec<String> {
    let value = |kind: Kind| if kind == Kind::Bool { "close > open" } else { "close" };
    let inputs = function.inputs.iter().map(|input| (value(input.kind).to_owned(), input.default.is_some()));
    let params =
        function.params.iter().map(|p| (p.default.unwrap_or(10.0_f64.max(p.min)).to_string(), p.default.is_some()));
    let arguments: Vec<(String, bool)> = inputs.chain(params).collect();
    let all = arguments.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ");
    let mut calls = vec![format!("{name}({all})"), format!("ta.{name}({all})")];
    if arguments.iter().all(|(_, optional)| *optional) {
        calls.push(format!("{name}()"));
    }
    calls
}

#[test]
fn every_function_is_called_by_each_of_its_names() {
    for function in catalog::functions() {
        for name in [function.name].iter().chain(function.aliases) {
            for call in calls(function, name) {
                for output in function.outputs {
                    let field = if function.outputs.len() > 1 { format!(".{output}") } else { String::new() };
                    let fires = if function.kind == Kind::Bool { "" } else { " > 0" };
                    compiled(&request(&format!("{call}{field}{fires}")));
                }
            }
        }
    }
}
