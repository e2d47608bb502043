//! A filter of two indicators, `rsi(close, n) < x && close > sma(close, m)`: traced once and evaluated as columns, beside
//! the same text run by Rhai itself for each trader and symbol.
//!
//! `cargo bench -p vyx-compiler --bench rhai`. Rhai has its syntax trees ready and its indicators for nothing, as
//! variables of each symbol's scope; the engine's time has the indicators in it. Both find the same hits. Times are
//! processor time.

#[path = "../../vyx-engine/benches/evaluate/clock.rs"]
mod clock;
#[path = "../../vyx-engine/benches/evaluate/walk.rs"]
mod walk;

use clock::timed;
use rhai::{AST, Scope};
use std::sync::Arc;
use vyx_core::{Interval, Symbol};
use vyx_engine::wire::{Mode, Request, Response, build};
use vyx_engine::{Checked, Engine, Outcome, Series, Value};
use walk::{FIRST, STEPS, Walk};

const TRADERS: usize = 1_000;
/// Rhai is measured on fewer traders and symbols.
const SOME: usize = 100;
const TURNS: usize = 9;
const RSI: [usize; 5] = [7, 9, 14, 21, 28];
const SMA: [usize; 4] = [20, 50, 100, 200];

fn main() {
    let market = Walk::new(500);
    let symbols = &market.symbols[..];
    let programs =
        (0..TRADERS).map(|n| (n as u64, program(Mode::Trader, &script(n, |name, n| format!("{name}(close, {n})")))));
    let mut engine = Engine::new(Interval::M1);
    engine.set_programs(programs.collect()).unwrap();
    engine.evaluate(&market, symbols, FIRST);
    let last = FIRST + STEPS.min(100);
    let mut steps = Vec::new();
    let mut hits = 0;
    for ordinal in FIRST + 1..=last {
        let (time, outcomes) = timed(|| engine.evaluate(&market, symbols, ordinal));
        steps.push(time.as_secs_f64() * 1e3);
        let pairs = (0..SOME).flat_map(|trader| (0..SOME).map(move |symbol| (trader, symbol)));
        hits = pairs.filter(|(trader, symbol)| outcomes.now(*trader, *symbol) == Outcome::Match).count();
        engine.prepare(&market, symbols, ordinal + 1, usize::MAX);
    }
    let rhai = rhai::Engine::new();
    let trees: Vec<AST> =
        (0..SOME).map(|n| rhai.compile_expression(script(n, |name, n| format!("{name}_{n}"))).unwrap()).collect();
    let mut scopes = scopes(&market, &symbols[..SOME], last);
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let (time, found) = timed(|| {
            let pairs = trees.iter().flat_map(|tree| (0..SOME).map(move |symbol| (tree, symbol)));
            pairs.filter(|(tree, symbol)| rhai.eval_ast_with_scope(&mut scopes[*symbol], tree).unwrap()).count()
        });
        turns.push(time.as_secs_f64() * 1e3);
        assert_eq!(found, hits, "the engine and Rhai mean the same");
    }
    assert!(hits > 0 && hits < SOME * SOME, "the rule says something: {hits}");
    let (engine, pairs) = (median(steps), (TRADERS * symbols.len()) as f64);
    let (turn, measured) = (median(turns), (SOME * SOME) as f64);
    let rhai = turn * pairs / measured;
    println!("rsi(close, n) < x && close > sma(close, m), {TRADERS} traders x {} symbols", symbols.len());
    println!("  traced once, as columns, indicators included  {engine:9.2} ms a close");
    println!("  run by Rhai, indicators given                 {rhai:9.1} ms a close   ratio {:.0}x", rhai / engine);
    println!(
        "    measured on {SOME} x {SOME} and scaled: {:.0} ns a pair; {hits} hits there, of both",
        turn * 1e6 / measured
    );
}

/// The `n`-th filter; `call` writes an indicator.
fn script(n: usize, call: impl Fn(&str, usize) -> String) -> String {
    let (rsi, sma) = (call("rsi", RSI[n % RSI.len()]), call("sma", SMA[n / RSI.len() % SMA.len()]));
    format!("{rsi} < {:.3} && close > {sma}", 50.0 + n as f64 / 64.0)
}

fn program(mode: Mode, script: &str) -> Arc<Checked> {
    let request =
        Request { build: build(), mode, interval: "1m".to_owned(), configured: Vec::new(), script: script.to_owned() };
    match vyx_compiler::compile(&request) {
        Response::Compiled(compiled) => Arc::new(compiled.program.validate().unwrap()),
        other => panic!("{script}: {other:?}"),
    }
}

/// Each symbol's variables at a candle: its close and all indicators.
fn scopes(market: &Walk, symbols: &[Symbol], ordinal: i64) -> Vec<Scope<'static>> {
    let calls = RSI.map(|n| ("rsi", n)).into_iter().chain(SMA.map(|n| ("sma", n)));
    let named = calls.map(|(name, n)| (format!("{name}_{n}"), format!("{name}(close, {n})")));
    let all = named.chain([("close".to_owned(), "close".to_owned())]);
    let all: Vec<_> = all.map(|(name, script)| (name, program(Mode::Expression, &script))).collect();
    let scope = |symbol| {
        let mut scope = Scope::new();
        for (name, program) in &all {
            match Series::of(program, market, symbol, ordinal, ordinal).fields[0][..] {
                [Value::Number(number)] => scope.push(name.clone(), number),
                ref other => panic!("{name} of {symbol}: {other:?}"),
            };
        }
        scope
    };
    symbols.iter().map(scope).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
