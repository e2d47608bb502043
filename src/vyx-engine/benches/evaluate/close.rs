//! Minute after minute, 1,000 programs on 500 symbols.

use crate::walk::{FIRST, Walk};
use crate::{Times, checked, engine, ms, timed};
use std::time::Duration;
use vyx_core::{Interval, Symbol};
use vyx_engine::market::anchor;
use vyx_engine::{Engine, Outcome};

pub const PROGRAMS: usize = 1_000;
/// More than a whole block of the anchor grid, so that every symbol's history starts anew once.
const MINUTES: i64 = 300;
/// The same without preparing, and with symbols that come one after the other.
const FEWER: i64 = 100;

/// What came out at the last candle of the first round.
pub struct Closed {
    pub median: Duration,
    pub ordinal: i64,
    pub matches: usize,
}

pub fn measure(market: &Walk) -> Closed {
    let symbols = &market.symbols[..];
    let mut engine = engine(checked(PROGRAMS));
    let cold = timed(|| drop(engine.evaluate(market, symbols, FIRST))).0;
    println!("{PROGRAMS} programs x {} symbols, {} different nodes", symbols.len(), engine.nodes());
    println!("  cold, all histories run                      {:8.0} ms   (bar 2,000)", ms(cold));
    let mut last = FIRST + MINUTES;
    let (mut all, mut preparing, mut prepared) = (Round::default(), Duration::ZERO, 0);
    for ordinal in FIRST + 1..=last {
        all.step(&mut engine, market, ordinal);
        let (time, histories) = timed(|| engine.prepare(market, symbols, ordinal + 1, usize::MAX));
        (preparing, prepared) = (preparing + time, prepared + histories);
    }
    let closed =
        Closed { median: Duration::from_secs_f64(all.steps.median() / 1e3), ordinal: last, matches: all.matches };
    all.print("a close");
    println!(
        "  prepared between closes                      {:8.2} ms a history, {prepared} in {MINUTES} minutes",
        ms(preparing) / prepared as f64
    );
    println!("  outcomes of all pairs read                   {:8.2} ms", all.reading.median());

    let mut unprepared = Round::default();
    (last + 1..=last + FEWER).for_each(|ordinal| unprepared.step(&mut engine, market, ordinal));
    last += FEWER;
    unprepared.print("never prepared");

    // Closes do not come at once.
    let (mut one, mut hundred) = (Times::default(), Times::default());
    for ordinal in last + 1..=last + FEWER {
        one.0.push(timed(|| drop(engine.evaluate(market, &symbols[..1], ordinal))).0);
        hundred.0.push(timed(|| drop(engine.evaluate(market, &symbols[1..101], ordinal))).0);
        engine.evaluate(market, &symbols[101..], ordinal);
        engine.prepare(market, symbols, ordinal + 1, usize::MAX);
    }
    for (what, times) in [("1 symbol comes alone", &mut one), ("100 symbols come together", &mut hundred)] {
        println!("  {what:<42} median {:6.2} ms, p99 {:6.2}", times.median(), times.at(0.99));
    }
    closed
}

/// Steps of all symbols.
#[derive(Default)]
struct Round {
    steps: Times,
    /// Those in which some symbol's history starts anew.
    borders: Times,
    reading: Times,
    /// At the newest candle.
    matches: usize,
}

impl Round {
    fn step(&mut self, engine: &mut Engine, market: &Walk, ordinal: i64) {
        let (time, outcomes) = timed(|| engine.evaluate(market, &market.symbols, ordinal));
        self.steps.0.push(time);
        if market.symbols.iter().any(|symbol| is_new(symbol, ordinal)) {
            self.borders.0.push(time);
        }
        let (time, matches) = timed(|| {
            let all = (0..outcomes.programs()).flat_map(|program| outcomes.all(program));
            all.filter(|outcome| *outcome == Outcome::Match).count()
        });
        self.reading.0.push(time);
        self.matches = matches;
    }

    fn print(&mut self, what: &str) {
        println!(
            "  {what:<42} median {:6.2} ms, best {:.2}, p99 {:.2}, worst {:.2}   (bar 5, aim 2)",
            self.steps.median(),
            self.steps.at(0.0),
            self.steps.at(0.99),
            self.steps.at(1.0)
        );
        println!(
            "    minutes with a block border ({} of {})     median {:6.2} ms, worst {:.2}",
            self.borders.0.len(),
            self.steps.0.len(),
            self.borders.median(),
            self.borders.at(1.0)
        );
    }
}

fn is_new(symbol: &Symbol, ordinal: i64) -> bool {
    anchor(symbol, Interval::M1, ordinal) != anchor(symbol, Interval::M1, ordinal - 1)
}
