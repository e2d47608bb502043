//! A constant is computed when the script is saved, a series at the close: both by the same arithmetic, to the last bit.

use super::{compiled, request};
use proptest::prelude::*;
use std::sync::Arc;
use vyx_core::{Interval, Symbol};
use vyx_engine::wire::{Mode, Request};
use vyx_engine::{Candles, Engine, Held, Market, Value};

/// One candle of one symbol, the first it ever had.
struct OneCandle {
    open: f64,
    close: f64,
}

const ORDINAL: i64 = 1_000;

impl Market for OneCandle {
    fn held(&self, _: &Symbol, _: Interval) -> Option<Held> {
        Some(Held { from: ORDINAL, through: ORDINAL, first_ever: Some(ORDINAL), generation: 0 })
    }

    fn closed(&self, _: &Symbol, _: Interval, _: i64, _: i64, into: &mut Candles) {
        into.ordinal.push(ORDINAL);
        for (column, value) in [
            (&mut into.open, self.open),
            (&mut into.close, self.close),
            (&mut into.high, 0.0),
            (&mut into.low, 0.0),
            (&mut into.volume, 0.0),
            (&mut into.quote_volume, 0.0),
            (&mut into.trades, 0.0),
            (&mut into.buy_volume, 0.0),
        ] {
            column.push(value);
        }
    }
}

/// The bits of an expression's value on a candle with this open and close; none where it is undecided.
fn value(expression: &str, open: f64, close: f64) -> Option<u64> {
    let request = Request { mode: Mode::Expression, ..request(expression) };
    let program = compiled(&request).program.validate().expect("valid");
    let mut engine = Engine::new(Interval::M1);
    engine.set_programs(vec![(1, Arc::new(program))]).expect("the same interval");
    let symbol = Symbol::new("BTCUSDT").expect("a symbol");
    let symbols = [symbol];
    let outcomes = engine.evaluate(&OneCandle { open, close }, &symbols, ORDINAL);
    match outcomes.fields(0, 0).next() {
        Some((_, Value::Number(n))) => Some(n.to_bits()),
        Some((_, Value::Bool(b))) => Some(b.into()),
        Some((_, Value::NotReady(_))) => None,
        other => panic!("{expression}: {other:?}"),
    }
}

/// Numbers at the edges, and any others.
fn number() -> impl Strategy<Value = f64> {
    let edges = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, 1e308, -1e308, 5e-324, 1e16, 0.1];
    prop_oneof![prop::sample::select(edges.to_vec()), -1e6..1e6, prop::num::f64::NORMAL]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn constants_are_computed_as_series_are(a in number(), b in number(), of in 0..24usize) {
        let form = [
            "X + Y", "X - Y", "X * Y", "X / Y", "X % Y", "X ** Y", "X < Y", "X <= Y", "X > Y", "X >= Y", "X == Y", "X != Y",
            "min(X, Y)", "max(X, Y)", "-X", "abs(X)", "sqrt(X)", "exp(X)", "log(X)", "log10(X)", "floor(X)", "ceil(X)",
            "round(X)", "sign(X)",
        ][of];
        let constant = form.replace('X', &format!("({a:?})")).replace('Y', &format!("({b:?})"));
        let series = form.replace('X', "open").replace('Y', "close");
        prop_assert_eq!(value(&constant, a, b), value(&series, a, b), "{}", constant);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever the open and the close are, which are above 0, what is told as always so is so.
    #[test]
    fn what_is_told_of_a_comparison_holds(
        open in 5e-324..1e9, close in 5e-324..1e9, constant in number(), of in 0..16usize, op in 0..6usize
    ) {
        let form = [
            "open", "-close", "abs(open - close)", "open + close", "open * close", "open / close", "open / 3", "3 / open",
            "max(open, -2)", "min(close, 5)", "select(open > close, 7, -open)", "sign(open - close)", "floor(open) - 1",
            "nz(open / 0 * 0, -1)", "sqrt(open) + exp(-close)", "(open - 2) * -3",
        ][of];
        let op = ["<", "<=", ">", ">=", "==", "!="][op];
        let script = format!("{form} {op} ({constant:?})");
        let asked = Request { mode: Mode::Expression, ..request(&script) };
        let warnings = compiled(&asked).warnings;
        let told = |what: &str| warnings.iter().any(|warning| warning.message.starts_with(what));
        let found = value(&script, open, close);
        prop_assert!(!(told("always true") && found == Some(0)), "{} of {} and {}", script, open, close);
        prop_assert!(!(told("always false") && found == Some(1)), "{} of {} and {}", script, open, close);
    }
}
