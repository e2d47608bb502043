//! One value for ever, function by function: with defaults, and with constants at random within their bounds.

use super::history::{OWN, Seen, before_a_border, check_against_definitions, fresh, look, market_at};
use super::market::{Dice, symbol};
use super::programs::Builder;
use super::seeds::each_seed;
use crate::catalog::{self, Function};
use crate::check::Checked;
use crate::eval::Series;
use crate::program::{Comparison, Field, Kind, Op};
use std::sync::Arc;

/// Windows are at most this long, so that most of what is said is a value.
const LONGEST: f64 = 60.0;
/// Candles that are watched, with the border of a block among them.
const CANDLES: i64 = 20;

/// A program whose metadata are all outputs of one function.
fn program(function: &Function, params: &[f64]) -> Arc<Checked> {
    let mut b = Builder::new(OWN);
    let fields = [Field::Close, Field::Volume, Field::High, Field::Low];
    let [close, volume, high, low] = fields.map(|field| b.node(Op::Candle(field)));
    let open = b.node(Op::Candle(Field::Open));
    let rose = b.node(Op::Compare(Comparison::Gt, close, open));
    let numbers = [close, volume, high, low];
    let inputs: Vec<_> = (function.inputs.iter().enumerate())
        .map(|(index, input)| if input.kind == Kind::Bool { rose } else { numbers[index % numbers.len()] })
        .collect();
    let outputs: Vec<_> =
        (0..function.outputs.len()).map(|output| b.call(0, function.name, &inputs, params, output as u8)).collect();
    b.fire(if function.kind == Kind::Bool { outputs[0] } else { rose }, &outputs)
}

/// The defaults, and constants at random.
fn all_programs(dice: &mut Dice) -> Vec<(String, Arc<Checked>)> {
    let mut programs = Vec::new();
    for function in catalog::functions() {
        let usual: Vec<f64> = function.params.iter().map(|param| param.default.unwrap_or(param.min.max(9.0))).collect();
        let random = function.params.iter().map(|param| {
            let highest = param.max.min(param.min + LONGEST);
            let value = param.min + dice.unit() * (highest - param.min);
            if param.whole { value.floor() } else { value }
        });
        for params in [usual, random.collect()] {
            programs.push((format!("{}{params:?}", function.name), program(function, &params)));
        }
    }
    programs
}

#[test]
fn every_function_says_the_same_live_after_a_restart_in_a_backtest_and_by_its_definition() {
    each_seed(1, follow);
}

fn follow(seed: u64) {
    let start = before_a_border(seed);
    let market = market_at(seed, start);
    let name = symbol("ETHUSDT");
    let (names, programs): (Vec<_>, Vec<_>) = all_programs(&mut Dice(seed)).into_iter().unzip();
    let mut live = fresh(&programs);
    let mut seen: Vec<(i64, Vec<Seen>)> = Vec::new();
    for ordinal in start..start + CANDLES {
        let cut = market.cut(OWN, ordinal);
        let said = look(&mut live, &cut, &name, ordinal);
        if ordinal % 5 == 0 {
            let restarted = look(&mut fresh(&programs), &cut, &name, ordinal);
            for ((function, said), restarted) in names.iter().zip(&said).zip(&restarted) {
                assert_eq!(format!("{said:?}"), format!("{restarted:?}"), "{function} at {ordinal}, after a restart");
            }
        }
        if market.exists("ETHUSDT", OWN, ordinal) {
            seen.push((ordinal, said));
        }
    }
    assert!(seen.len() > 12, "candles without holes");
    for (index, (function, program)) in names.iter().zip(&programs).enumerate() {
        let series = Series::of(program, &market, &name, start, start + CANDLES - 1);
        for (place, (ordinal, said)) in seen.iter().enumerate() {
            let (outcome, _, fields) = &said[index];
            assert_eq!(series.ordinals[place], *ordinal);
            assert_eq!(series.outcomes[place], *outcome, "{function} at {ordinal}, in a backtest");
            let replayed: Vec<_> = series.fields.iter().map(|column| column[place].clone()).collect();
            assert_eq!(format!("{replayed:?}"), format!("{fields:?}"), "{function} at {ordinal}, in a backtest");
        }
        let (ordinal, said) = &seen[index % seen.len()];
        check_against_definitions(program, &said[index], &market.cut(OWN, *ordinal), &name, *ordinal);
    }
}
