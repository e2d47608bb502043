//! One value for ever while everything around it changes: candles are corrected, the ring moves on and is filled again,
//! series leave and return, symbols turn out to be new, programs come and go, the process starts anew.

use super::history::{OWN, before_a_border, check_against_definitions, fresh, look, market_at, set};
use super::market::{Dice, Memory, symbol};
use super::programs::{Builder, random};
use super::reference;
use super::seeds::each_seed;
use crate::check::Checked;
use crate::eval::{NotReady, Outcome, Value};
use crate::market::anchor;
use crate::program::{Arithmetic, Comparison, Field, Op, Unary};
use std::cell::Cell;
use std::sync::Arc;
use vyx_core::Interval;

const NAMES: [&str; 3] = ["BTCUSDT", "ETHUSDT", "XRPUSDT"];
const INTERVALS: [Interval; 3] = [Interval::M5, Interval::M15, Interval::H1];
const CLOCKS: [(Option<&str>, Interval); 2] = [(None, Interval::M15), (Some("BTCUSDT"), Interval::H1)];
const MISSING: Outcome = Outcome::NotReady(NotReady::HistoryMissing);

/// Something happens to the market before `ordinal` of the trader's clock closes.
fn happen(market: &mut Memory, whole: &Memory, dice: &mut Dice, ordinal: i64) {
    let (name, interval) = (NAMES[dice.below(3)], INTERVALS[dice.below(3)]);
    let last = interval.last_closed(OWN.close_time(ordinal));
    let anchored = anchor(&symbol(name), interval, last);
    match dice.below(8) {
        0 | 1 => {
            let near = last - 1 - dice.below(30) as i64;
            if market.exists(name, interval, near) {
                market.correct(name, interval, near, 1.0 + dice.unit() * 100.0);
            }
        }
        // The ring goes on, most often not beyond what is needed.
        2 => market.drop_before(name, interval, anchored - 3 + dice.below(5) as i64),
        3 => {
            market.drop_before(name, interval, last - 200 + dice.below(100) as i64);
            market.set_first_ever(name, interval);
        }
        4 => market.remove(name, interval),
        5 | 6 => market.restore(whole, name, interval),
        _ => {}
    }
}

/// A rule that any correction of the other clocks' last thirty candles turns over as often as not: whether the sum of
/// their closes is even.
fn sensitive() -> Arc<Checked> {
    let mut b = Builder::new(OWN);
    let sums = CLOCKS.map(|(symbol, interval)| {
        let clock = b.clock(symbol, interval);
        let close = b.on(clock, Op::Candle(Field::Close));
        let sum = b.call(clock, "sum", &[close], &[30.0], 0);
        b.node(Op::Align(sum))
    });
    let sum = b.node(Op::Arithmetic(Arithmetic::Add, sums[0], sums[1]));
    let (two, zero) = (b.node(Op::Number(2.0)), b.node(Op::Number(0.0)));
    let whole = b.node(Op::Unary(Unary::Floor, sum));
    let rest = b.node(Op::Arithmetic(Arithmetic::Rem, whole, two));
    let fire = b.node(Op::Compare(Comparison::Eq, rest, zero));
    b.fire(fire, &sums)
}

/// What was seen: histories that were missing, and values that were held against their definitions.
#[derive(Default)]
struct Counts {
    missing: Cell<usize>,
    compared: Cell<usize>,
}

fn world(seed: u64, counts: &Counts) {
    let start = before_a_border(seed);
    let whole = market_at(seed, start);
    let mut market = whole.clone();
    let mut dice = Dice(seed ^ 0x5eed);
    let pool: Vec<Arc<Checked>> = (0..4).map(|k| random(&mut dice, OWN, &CLOCKS[..k % 3])).collect();
    let pool = [pool, vec![sensitive()]].concat();
    let mut current = vec![Arc::clone(&pool[0]), Arc::clone(&pool[4])];
    let mut live = fresh(&current);
    for ordinal in start..start + 24 {
        if dice.one_in(2) {
            happen(&mut market, &whole, &mut dice, ordinal);
        }
        if dice.one_in(6) {
            current = pool.iter().filter(|_| dice.one_in(2)).cloned().collect();
            set(&mut live, &current);
        }
        if dice.one_in(12) {
            live = fresh(&current);
        }
        let cut = market.cut(OWN, ordinal);
        for name in NAMES {
            if dice.one_in(5) {
                continue;
            }
            let symbol = symbol(name);
            let seen = look(&mut live, &cut, &symbol, ordinal);
            let restarted = look(&mut fresh(&current), &cut, &symbol, ordinal);
            assert_eq!(format!("{seen:?}"), format!("{restarted:?}"), "{name} at {ordinal}");
            for (program, seen) in current.iter().zip(&seen) {
                if seen.0 == MISSING {
                    counts.missing.update(|count| count + 1);
                    let unknown = Value::NotReady(NotReady::HistoryMissing);
                    assert!(seen.2.iter().all(|value| format!("{value:?}") == format!("{unknown:?}")));
                    assert!(reference::evaluate(program, &cut, &symbol, ordinal).is_none(), "{name} at {ordinal}");
                } else if seen.0 != Outcome::Absent && dice.one_in(4) {
                    counts.compared.update(|count| count + 1);
                    check_against_definitions(program, seen, &cut, &symbol, ordinal);
                }
            }
        }
    }
}

#[test]
fn whatever_happens_a_value_is_what_a_fresh_start_and_the_definitions_say() {
    let counts = Counts::default();
    // One world alone need not have seen everything.
    if each_seed(5, |seed| world(seed, &counts)) >= 5 {
        assert!(counts.missing.get() > 20 && counts.compared.get() > 20);
    }
}
