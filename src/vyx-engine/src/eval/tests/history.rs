//! One value for ever: live, cut, restarted, by block borders, over holes, and by the obvious evaluator.

use super::market::{Dice, Memory, symbol};
use super::programs::{Builder, random};
use super::reference::{self, V};
use super::seeds::each_seed;
use crate::check::Checked;
use crate::eval::{Engine, NotReady, Outcome, Outcomes, Replay, Series, Sifted, Value};
use crate::market::{BLOCK, Candles, Held, Market, anchor};
use crate::program::{Arithmetic, Comparison, Field, Kind, Op};
use std::cell::Cell;
use std::sync::Arc;
use vyx_core::{Interval, Symbol};

pub(super) const OWN: Interval = Interval::M5;
const CLOCKS: [(Option<&str>, Interval); 3] =
    [(None, Interval::M15), (Some("BTCUSDT"), Interval::M5), (Some("BTCUSDT"), Interval::H1)];

/// Candles with all the history they need, from some ordinal on.
fn market(seed: u64) -> (Memory, i64) {
    let first = 5_000 + (seed % 997) as i64;
    (market_at(seed, first), first)
}

/// An ordinal of the trader's clock some candles before the next border of the anchor grid of one of the clocks.
pub(super) fn before_a_border(seed: u64) -> i64 {
    let first = OWN.close_time(5_000 + (seed % 997) as i64);
    let (name, interval) = match seed % 5 {
        0 => ("ETHUSDT", OWN),
        1 => ("XRPUSDT", OWN),
        2 => ("ETHUSDT", Interval::M15),
        3 => ("BTCUSDT", OWN),
        _ => ("BTCUSDT", Interval::H1),
    };
    let moves = |o: &i64| anchor(&symbol(name), interval, *o) != anchor(&symbol(name), interval, o - 1);
    let border = (interval.ordinal(first)..).find(moves).unwrap();
    OWN.last_closed(interval.close_time(border)) - 12
}

pub(super) fn market_at(seed: u64, first: i64) -> Memory {
    let mut market = Memory::default();
    for (name, hole) in [("BTCUSDT", 30), ("ETHUSDT", 12), ("XRPUSDT", 3)] {
        for interval in [Interval::M5, Interval::M15, Interval::H1] {
            let scale = interval.shortest().0 / Interval::M5.shortest().0;
            market.walk(name, interval, first / scale - 1_600, (first + 200) / scale, hole, seed);
        }
    }
    market
}

/// Outcome now and before, and all fields, as bits.
pub(super) type Seen = (Outcome, Outcome, Vec<Value>);

pub(super) fn look(engine: &mut Engine, market: &dyn Market, name: &Symbol, ordinal: i64) -> Vec<Seen> {
    let outcomes = engine.evaluate(market, &[*name], ordinal);
    let see = |p| (outcomes.now(p, 0), outcomes.before(p, 0), outcomes.fields(p, 0).map(|(_, v)| v).collect());
    let seen = (0..outcomes.programs()).map(see).collect();
    // Two of three times what the next candle needs is made ready, as a worker does while nothing is due.
    if ordinal % 3 != 0 {
        engine.prepare(market, &[*name], ordinal + 1, 1);
    }
    seen
}

pub(super) fn fresh(programs: &[Arc<Checked>]) -> Engine {
    let mut engine = Engine::new(OWN);
    set(&mut engine, programs);
    engine
}

pub(super) fn set(engine: &mut Engine, programs: &[Arc<Checked>]) {
    engine.set_programs(programs.iter().enumerate().map(|(k, p)| (k as u64, Arc::clone(p))).collect()).unwrap();
}

/// Equal to the bit; numbers are compared as bits, so that −0 is not 0.
fn same(a: &Value, b: &V) -> bool {
    match (a, b) {
        (Value::Number(a), V::Number(b)) => a.to_bits() == b.to_bits(),
        (Value::Bool(a), V::Bool(b)) => a == b,
        (Value::Text(a), V::Text(b)) => **a == **b,
        (Value::NotReady(NotReady::Warming), V::Warming) => true,
        (Value::NotReady(NotReady::Undefined), V::Undefined) => true,
        _ => false,
    }
}

fn verdict(fire: &V) -> Outcome {
    match fire {
        V::Bool(true) => Outcome::Match,
        V::Bool(false) => Outcome::NoMatch,
        V::Warming => Outcome::NotReady(NotReady::Warming),
        V::Undefined => Outcome::NotReady(NotReady::Undefined),
        other => panic!("{other:?} is no verdict"),
    }
}

#[track_caller]
pub(super) fn check_against_definitions(
    program: &Checked,
    seen: &Seen,
    market: &dyn Market,
    name: &Symbol,
    ordinal: i64,
) {
    let values = reference::evaluate(program, market, name, ordinal).expect("the history is all there");
    assert_eq!(seen.0, verdict(&values[usize::from(program.program().fire)]), "fire of {name} at {ordinal}");
    for ((key, node), value) in program.program().fields.iter().zip(&seen.2) {
        let expected = &values[usize::from(*node)];
        let op = &program.program().nodes[usize::from(*node)];
        assert!(same(value, expected), "{name} at {ordinal}, field {key} = {op:?}: {value:?}, not {expected:?}");
    }
}

/// What is counted for many at once is what each says by itself.
fn check_sifted(outcomes: &Outcomes) {
    let programs: Vec<usize> = (0..outcomes.programs()).chain([0]).collect();
    let sifted = outcomes.sift(&programs);
    assert_eq!(sifted.len(), outcomes.symbols());
    for (symbol, sifted) in sifted.iter().enumerate() {
        let mut expected = Sifted::default();
        for (nth, program) in programs.iter().enumerate() {
            match outcomes.now(*program, symbol) {
                Outcome::NoMatch => expected.no_match += 1,
                Outcome::NotReady(NotReady::Warming | NotReady::Undefined) => expected.not_ready += 1,
                _ => expected.rest.push(nth),
            }
        }
        assert_eq!(*sifted, expected);
    }
}

/// Streams some candles live, with programs that come and go, and compares each with a fresh engine over history that
/// is cut there, with the obvious evaluator, and with the series of all.
fn follow(seed: u64) {
    let start = before_a_border(seed);
    let market = market_at(seed, start);
    let mut dice = Dice(seed);
    let programs: Vec<_> = (0..3).map(|_| random(&mut dice, OWN, &CLOCKS)).collect();
    let mut live = fresh(&programs[..2]);
    let names: Vec<Symbol> = ["BTCUSDT", "ETHUSDT", "XRPUSDT"].map(symbol).into();
    let mut compared = 0;
    for ordinal in start..start + 24 {
        match ordinal - start {
            8 => set(&mut live, &programs),
            16 => set(&mut live, &programs[1..]),
            _ => {}
        }
        let current = match ordinal - start {
            0..8 => &programs[..2],
            8..16 => &programs[..],
            _ => &programs[1..],
        };
        let cut = market.cut(OWN, ordinal);
        // All symbols but one step together, one of them given twice; the last is late, and sometimes skipped.
        let outcomes = live.evaluate(&cut, &[names[0], names[1], names[0]], ordinal);
        check_sifted(&outcomes);
        let counted: Vec<_> = (0..outcomes.programs()).map(|p| (outcomes.now(p, 0), outcomes.now(p, 1))).collect();
        for (index, name) in names.iter().enumerate() {
            if index == 2 && dice.one_in(4) {
                continue;
            }
            let seen = look(&mut live, &cut, name, ordinal);
            let restarted = look(&mut fresh(current), &cut, name, ordinal);
            assert_eq!(format!("{seen:?}"), format!("{restarted:?}"), "{} at {}", name, ordinal);
            if !market.exists(name.as_str(), OWN, ordinal) {
                assert!(seen.iter().all(|(now, ..)| *now == Outcome::Absent));
                continue;
            }
            for (p, (program, seen)) in current.iter().zip(&seen).enumerate() {
                match index {
                    0 => assert_eq!(counted[p].0, seen.0),
                    1 => assert_eq!(counted[p].1, seen.0),
                    _ => {}
                }
                if ordinal % 6 == 0 {
                    check_against_definitions(program, seen, &cut, name, ordinal);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 0);
    for (program, name) in programs.iter().zip(&names) {
        let series = Series::of(program, &market, name, start, start + 23);
        // One engine for all symbols says the same, also where the one before ended at a later candle.
        let mut replay = Replay::new(program);
        names.iter().for_each(|other| drop(replay.series(&market, other, start, start + 29, &mut || ())));
        assert_eq!(format!("{:?}", replay.series(&market, name, start, start + 23, &mut || ())), format!("{series:?}"));
        for (index, ordinal) in series.ordinals.iter().enumerate() {
            let alone = &look(&mut fresh(std::slice::from_ref(program)), &market.cut(OWN, *ordinal), name, *ordinal)[0];
            assert_eq!(series.outcomes[index], alone.0);
            let fields: Vec<_> = series.fields.iter().map(|column| column[index].clone()).collect();
            assert_eq!(format!("{fields:?}"), format!("{:?}", alone.2));
            if let Some(before) = index.checked_sub(1) {
                assert_eq!(series.outcomes[before], alone.1);
            }
        }
    }
}

#[test]
fn every_way_to_a_value_gives_the_same_bits() {
    each_seed(12, follow);
}

/// obv > 0, which depends on every candle of the history; its field is the obv plus the sum of three closes.
fn whole_history() -> Arc<Checked> {
    let mut b = Builder::new(OWN);
    let close = b.node(Op::Candle(Field::Close));
    let sum = b.call(0, "sum", &[close], &[3.0], 0);
    let obv = b.call(0, "obv", &[], &[], 0);
    let zero = b.node(Op::Number(0.0));
    let fire = b.node(Op::Compare(Comparison::Gt, obv, zero));
    let field = b.node(Op::Arithmetic(Arithmetic::Add, obv, sum));
    b.fire(fire, &[field])
}

#[test]
fn history_starts_at_the_anchor_and_nowhere_else() {
    let (market, first) = market(7);
    let name = symbol("ETHUSDT");
    let anchored = anchor(&name, OWN, first + 10);
    let mut enough = market.clone();
    enough.drop_before("ETHUSDT", OWN, anchored);
    let mut lacking = market.clone();
    lacking.drop_before("ETHUSDT", OWN, anchored + 1);
    let ordinal = (first + 10..).find(|o| market.exists("ETHUSDT", OWN, *o)).unwrap();
    let programs = [whole_history()];
    let whole = look(&mut fresh(&programs), &market, &name, ordinal);
    assert_eq!(look(&mut fresh(&programs), &enough, &name, ordinal), whole);
    let refused = look(&mut fresh(&programs), &lacking, &name, ordinal);
    assert_eq!(refused[0].0, Outcome::NotReady(NotReady::HistoryMissing));
    assert_eq!(refused[0].1, Outcome::NotReady(NotReady::HistoryMissing));
}

#[test]
fn a_new_listing_starts_at_its_first_candle_ever() {
    let (mut market, first) = market(7);
    let name = symbol("ETHUSDT");
    let ordinal = (first..).find(|o| market.exists("ETHUSDT", OWN, *o)).unwrap();
    market.drop_before("ETHUSDT", OWN, ordinal - 20);
    let programs = [whole_history()];
    let unknown = look(&mut fresh(&programs), &market, &name, ordinal);
    assert_eq!(unknown[0].0, Outcome::NotReady(NotReady::HistoryMissing));
    market.set_first_ever("ETHUSDT", OWN);
    let known = look(&mut fresh(&programs), &market, &name, ordinal);
    assert!(matches!(known[0].2[0], Value::Number(_)));
}

#[test]
fn the_anchor_moves_once_in_a_block_and_stays_within_its_bounds() {
    for (interval, blocks) in [(Interval::M1, 6), (Interval::M5, 4), (Interval::Mo1, 4)] {
        for name in ["BTCUSDT", "ETHUSDT"].map(symbol) {
            let moves = (0..BLOCK).filter(|o| anchor(&name, interval, *o) != anchor(&name, interval, o + 1)).count();
            assert_eq!(moves, 1);
            for ordinal in -600..600 {
                let back = ordinal - anchor(&name, interval, ordinal);
                assert!((blocks * BLOCK..(blocks + 1) * BLOCK).contains(&back), "{back} back");
            }
        }
    }
}

#[test]
fn a_correction_is_seen_at_the_next_candle_as_after_a_restart() {
    let (mut market, first) = market(11);
    let name = symbol("BTCUSDT");
    let programs = [whole_history()];
    let mut live = fresh(&programs);
    let existing: Vec<i64> = (first..first + 20).filter(|o| market.exists("BTCUSDT", OWN, *o)).collect();
    look(&mut live, &market, &name, existing[0]);
    let stale = look(&mut fresh(&programs), &market, &name, existing[1]);
    market.correct("BTCUSDT", OWN, existing[0], 1e-3);
    let seen = look(&mut live, &market, &name, existing[1]);
    assert_eq!(seen, look(&mut fresh(&programs), &market, &name, existing[1]));
    assert_ne!(seen[0].2, stale[0].2, "the correction matters");
}

#[test]
fn another_clock_without_history_makes_only_its_readers_wait() {
    let (mut market, first) = market(3);
    let name = symbol("ETHUSDT");
    let ordinal = (first..).find(|o| market.exists("ETHUSDT", OWN, *o)).unwrap();
    let mut b = Builder::new(OWN);
    let hour = b.clock(Some("BTCUSDT"), Interval::H1);
    let close = b.on(hour, Op::Candle(Field::Close));
    let close = b.node(Op::Align(close));
    let zero = b.node(Op::Number(0.0));
    let fire = b.node(Op::Compare(Comparison::Gt, close, zero));
    let programs = [b.fire(fire, &[close]), whole_history()];
    let mut live = fresh(&programs);
    assert_eq!(look(&mut live, &market, &name, ordinal)[0].0, Outcome::Match);
    market.remove("BTCUSDT", Interval::H1);
    let next = (ordinal + 1..).find(|o| market.exists("ETHUSDT", OWN, *o)).unwrap();
    let seen = look(&mut live, &market, &name, next);
    assert_eq!(seen[0].0, Outcome::NotReady(NotReady::HistoryMissing));
    assert!(matches!(seen[1].2[0], Value::Number(_)));
    assert_eq!(look(&mut fresh(&programs), &market, &name, next), seen);
}

#[test]
fn equal_nodes_of_different_programs_exist_once() {
    let mut engine = fresh(&[whole_history(), whole_history()]);
    assert_eq!(engine.nodes(), 7, "close, sum, volume, obv, zero, the comparison, obv + sum");
    set(&mut engine, &[]);
    assert_eq!(engine.nodes(), 0);
}

#[test]
fn texts_keep_their_meaning_while_programs_come_and_go() {
    let (market, first) = market(5);
    let name = symbol("BTCUSDT");
    let say = |text: &str| {
        let mut b = Builder::new(OWN);
        let text = b.node(Op::Text(text.to_owned()));
        let lagged = b.node(Op::Lag(text, 3));
        let fire = b.node(Op::Compare(Comparison::Eq, text, lagged));
        let program = b.fire(fire, &[lagged]);
        assert_eq!(program.kinds()[1], Kind::Text);
        program
    };
    let existing: Vec<i64> = (first..first + 30).filter(|o| market.exists("BTCUSDT", OWN, *o)).collect();
    let mut live = fresh(&[say("a"), say("b")]);
    look(&mut live, &market, &name, existing[0]);
    set(&mut live, &[say("b"), say("c")]);
    look(&mut live, &market, &name, existing[1]);
    set(&mut live, &[say("d"), say("b"), say("c")]);
    let seen = look(&mut live, &market, &name, existing[2]);
    let texts: Vec<_> = seen.into_iter().map(|(_, _, fields)| fields[0].clone()).collect();
    assert_eq!(texts, ["d", "b", "c"].map(|t| Value::Text(t.into())));
}

/// A market that loses its newest candle between two looks, as a ring does that is written meanwhile.
struct Forgetful {
    market: Memory,
    looks: std::cell::Cell<u32>,
    lost: i64,
}

impl Market for Forgetful {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        self.market.held(symbol, interval)
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let through = if self.looks.get() == 0 { through.min(self.lost - 1) } else { through };
        self.looks.set(self.looks.get().saturating_sub(1));
        self.market.closed(symbol, interval, from, through, into);
    }
}

#[test]
fn a_candle_that_is_lost_while_it_is_evaluated_gives_no_value() {
    let (market, first) = market(13);
    let name = symbol("BTCUSDT");
    let existing: Vec<i64> = (first..first + 20).filter(|o| market.exists("BTCUSDT", OWN, *o)).collect();
    let programs = [whole_history()];
    for (at, live) in [(existing[0], false), (existing[1], true)] {
        for looks in 0..4 {
            let mut engine = fresh(&programs);
            if live {
                look(&mut engine, &market, &name, existing[0]);
            }
            let forgetful = Forgetful { market: market.clone(), looks: looks.into(), lost: at };
            let seen = &look(&mut engine, &forgetful, &name, at)[0];
            let whole = &look(&mut fresh(&programs), &market, &name, at)[0];
            let nothing = matches!(seen.0, Outcome::Absent | Outcome::NotReady(NotReady::HistoryMissing));
            assert!(nothing || seen.0 == whole.0 && seen.2 == whole.2, "after {looks} looks: {seen:?}");
            assert_eq!(
                look(&mut engine, &market, &name, existing[2]),
                look(&mut fresh(&programs), &market, &name, existing[2])
            );
        }
    }
}

/// A market that remembers the longest piece that was read.
struct Watched<'a>(&'a Memory, Cell<usize>);

impl Market for Watched<'_> {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        self.0.held(symbol, interval)
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let before = into.len();
        self.0.closed(symbol, interval, from, through, into);
        self.1.set(self.1.get().max(into.len() - before));
    }
}

#[test]
fn a_history_that_was_prepared_is_not_run_at_the_close() {
    let start = before_a_border(0);
    let market = market_at(0, start);
    let name = symbol("ETHUSDT");
    let mut dice = Dice(0);
    let programs: Vec<_> = (0..3).map(|_| random(&mut dice, OWN, &[])).collect();
    let border = |ordinal: i64| anchor(&name, OWN, ordinal) != anchor(&name, OWN, ordinal - 1);
    let mut prepared = fresh(&programs);
    let mut other = fresh(&programs);
    let mut borders = 0;
    for ordinal in start..start + 24 {
        let cut = market.cut(OWN, ordinal);
        let watched = Watched(&cut, Cell::new(0));
        let read = |engine: &mut Engine| {
            watched.1.set(0);
            let outcomes = engine.evaluate(&watched, &[name], ordinal);
            let said: Vec<_> = (0..3).map(|p| (outcomes.now(p, 0), outcomes.before(p, 0))).collect();
            (watched.1.get(), said)
        };
        let (a, b) = (read(&mut prepared), read(&mut other));
        assert_eq!(a.1, b.1);
        if border(ordinal) {
            borders += 1;
            assert!(a.0 <= 2 && b.0 > 900, "{} and {} candles were read at a border", a.0, b.0);
        }
        assert_eq!(prepared.prepare(&cut, &[name], ordinal + 1, 9), usize::from(border(ordinal + 1)));
        assert_eq!(prepared.prepare(&cut, &[name], ordinal + 1, 9), 0, "once is enough");
    }
    assert_eq!(borders, 1);
}

#[test]
fn an_engine_that_is_told_to_stop_unwinds_with_that_word() {
    let (market, at) = market(3);
    let program = random(&mut Dice(3), OWN, &CLOCKS);
    let evaluate = |stop: fn() -> bool| {
        let mut engine = Engine::new(OWN).stopped_when(stop);
        set(&mut engine, std::slice::from_ref(&program));
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drop(engine.evaluate(&market, &[symbol("ETHUSDT")], at));
        }));
        stopped.map_err(|word| word.is::<crate::eval::Stopped>())
    };
    assert_eq!(evaluate(|| true), Err(true));
    assert_eq!(evaluate(|| false), Ok(()));
}
