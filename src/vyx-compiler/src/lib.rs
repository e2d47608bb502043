//! Script text to [`Program`](vyx_engine::Program), or to errors that explain.
//!
//! A script is walked once, when it is saved, on symbols instead of numbers: `close` is a node of an expression graph, so
//! is `rsi(close, 14) < 30`, and the graph of the result is the program. Rhai gives the grammar and the parser; the
//! walk is our own, so that every operator, every error and every limit is ours.
//!
//! ```text
//! text ─ parse ─▶ syntax tree ─ trace ─▶ graph ─ result ─▶ program
//!           │                     │  operators, calls, names      │
//!           └─────────────────────┴── problems ◀─────────────────┘
//! ```
//!
//! The program `vyx-compiler` serves [`compile`] over a pipe, confined: see `main.rs` and `confine.rs`.

#![deny(unsafe_code)]

mod calls;
pub mod confine;
mod graph;
mod habits;
mod names;
mod operators;
mod parse;
mod pine;
mod problem;
mod ranges;
mod recover;
mod result;
mod text;
mod tokens;
mod trace;
mod value;
mod warnings;

use problem::Problems;
use rhai::Position;
use trace::Tracer;
use vyx_core::Interval;
use vyx_core::interval::UnknownInterval;
use vyx_engine::Checked;
use vyx_engine::wire::{Compiled, Mode, Request, Response, Timeframe, build};

/// Compiles one script.
///
/// Never panics, whatever the text; takes at most some ten milliseconds, since every limit is a size.
pub fn compile(request: &Request) -> Response {
    if request.build != build() {
        let message = format!("this compiler is not of build {}: restart the server", request.build);
        return Response::Failed { build: build(), message };
    }
    let intervals = || -> Result<(Interval, Vec<Interval>), UnknownInterval> {
        let configured = request.configured.iter().map(|name| name.parse());
        Ok((request.interval.parse()?, configured.collect::<Result<_, _>>()?))
    };
    let (own, configured) = match intervals() {
        Ok(intervals) => intervals,
        Err(error) => return Response::Failed { build: build(), message: error.to_string() },
    };
    let script = with_line_ends(&request.script);
    let mut problems = Problems::new(&script);
    let compiled = checked(&script, request.mode, own, configured, &mut problems);
    let (errors, warnings) = problems.into_sorted();
    match compiled {
        Some(checked) if errors.is_empty() => {
            let (program, timeframes) = (checked.program().clone(), timeframes(&checked));
            Response::Compiled(Compiled { program, timeframes, warnings })
        }
        _ => Response::Refused { problems: errors },
    }
}

/// The program, if nothing is wrong; what is, or might be, is among the problems.
fn checked(
    script: &str,
    mode: Mode,
    own: Interval,
    configured: Vec<Interval>,
    problems: &mut Problems,
) -> Option<Checked> {
    let parsed = parse::parse(script);
    for error in parsed.errors {
        problems.error(error.at, error.message, error.hint);
    }
    let mut tracer = Tracer::new(own, configured, parsed.lost, problems);
    let (value, at) = tracer.run(parsed.script?);
    let mut graph = tracer.graph;
    if parsed.result_lost {
        return None;
    }
    let program = result::program(&mut graph, problems, mode, own, (&value, at))?;
    // The engine's own check has the last word: what it refuses could not be stored.
    match program.validate() {
        Ok(checked) => {
            warnings::never_ready(&checked, problems);
            warnings::version(script, problems);
            Some(checked)
        }
        Err(error) => {
            problems.error(Position::NONE, format!("the rule is too large: {error}"), None);
            None
        }
    }
}

/// A carriage return alone ends a line for the parser; here it does so for everybody, at the same place.
fn with_line_ends(script: &str) -> String {
    let next = script.chars().skip(1).map(Some).chain([None]);
    script.chars().zip(next).map(|(c, next)| if c == '\r' && next != Some('\n') { '\n' } else { c }).collect()
}

fn timeframes(checked: &Checked) -> Vec<Timeframe> {
    let clocks = checked.program().clocks.iter().zip(checked.warm_up());
    let timeframes = clocks.map(|(clock, bars)| Timeframe {
        symbol: clock.symbol.clone(),
        interval: clock.interval.clone(),
        bars: u32::try_from(bars).unwrap_or(u32::MAX),
    });
    timeframes.collect()
}
