//! One value for ever: of each template, live, after a restart, in a backtest and with history cut at the candle.

use super::candles::{Until, World};
use super::{TEMPLATES, interval, program};
use std::sync::Arc;
use vyx_core::{Interval, Symbol};
use vyx_engine::market::{Market, anchor};
use vyx_engine::{Checked, Engine, Outcome, Series, Value};

/// Candles that are stepped through on either side of each border.
const AROUND: usize = 6;

fn engine(program: &Arc<Checked>, interval: Interval) -> Engine {
    let mut engine = Engine::new(interval);
    engine.set_programs(vec![(0, Arc::clone(program))]).expect("the template's interval");
    engine
}

fn look(engine: &mut Engine, market: &dyn Market, symbol: &Symbol, ordinal: i64) -> (Outcome, Outcome, Vec<String>) {
    let outcomes = engine.evaluate(market, &[*symbol], ordinal);
    let fields = outcomes.fields(0, 0).map(|(_, value)| bits(&value)).collect();
    (outcomes.now(0, 0), outcomes.before(0, 0), fields)
}

/// A number as its bits.
fn bits(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:016x}", number.to_bits()),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_template_says_the_same_live_after_a_restart_and_in_a_backtest() {
    for template in TEMPLATES {
        let Some(world) = World::at(interval(template)) else { return };
        let (World { market, symbol, interval }, program) = (&world, program(template));
        let ordinals: Vec<i64> = world.klines().iter().map(|kline| interval.ordinal(kline.open_time)).collect();
        let moves = |index: &usize| {
            let [before, now] = [index - 1, *index].map(|index| anchor(symbol, *interval, ordinals[index]));
            before != now
        };
        // The first borders leave the beginning of the file out of sight, or do not: both are looked at.
        let borders: Vec<usize> = (AROUND..ordinals.len() - AROUND).filter(moves).collect();
        let late = borders[borders.len() - 1];
        assert!(late > 4 * 256, "{}: {late}", template.name);
        for border in [borders[1], late] {
            let steps = &ordinals[border - AROUND..border + AROUND];
            let series = Series::of(&program, market, symbol, steps[0], steps[steps.len() - 1]);
            assert_eq!(series.ordinals, steps);
            let mut live = engine(&program, *interval);
            for (index, ordinal) in steps.iter().enumerate() {
                let then = Until(market, interval.close_time(*ordinal));
                let seen = look(&mut live, &then, symbol, *ordinal);
                let restarted = look(&mut engine(&program, *interval), &then, symbol, *ordinal);
                assert_eq!(seen, restarted, "{} at {ordinal}", template.name);
                let fields: Vec<String> = series.fields.iter().map(|column| bits(&column[index])).collect();
                assert_eq!((series.outcomes[index], fields), (seen.0, seen.2), "{} at {ordinal}", template.name);
                if let Some(before) = index.checked_sub(1) {
                    assert_eq!(series.outcomes[before], seen.1, "{} before {ordinal}", template.name);
                }
                live.prepare(&then, &[*symbol], ordinal + 1, 1);
            }
        }
    }
}
