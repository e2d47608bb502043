//! Stored programs read, and a program asked about the past.

use crate::close::PROGRAMS;
use crate::programs::program;
use crate::walk::{FIRST, STEPS, Walk};
use crate::{Times, timed};
use std::hint::black_box;
use std::sync::Arc;
use vyx_core::Interval;
use vyx_engine::{Checked, Engine, Outcome, Replay};

const TURNS: usize = 15;
const CANDLES: i64 = 256;

pub fn measure(market: &Walk) {
    let stored: Vec<String> = (0..PROGRAMS).map(|n| program(n).encode().unwrap()).collect();
    let (mut read, mut set, mut parsed) = (Times::default(), Times::default(), Times::default());
    for _ in 0..TURNS {
        let decode = |(n, text): (usize, &String)| (n as u64, Arc::new(Checked::decode(text.as_bytes()).unwrap()));
        let (time, programs) = timed(|| stored.iter().enumerate().map(decode).collect::<Vec<_>>());
        read.0.push(time);
        set.0.push(timed(|| Engine::new(Interval::M1).set_programs(black_box(programs)).unwrap()).0);
        let parse = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        parsed.0.push(timed(|| stored.iter().map(|text| parse(text)).collect::<Vec<_>>()).0);
    }
    let (read, set, parsed) = (read.median(), set.median(), parsed.median());
    println!(
        "\n{PROGRAMS} stored programs: {read:.1} ms to read and check, {set:.1} ms to set: {:.1} ms   (bar 50)",
        read + set
    );
    println!("  parsing their JSON and no more: {parsed:.1} ms, ratio {:.2}x", parsed / (read + set));

    println!("\nthe past of one program: {} symbols x {CANDLES} candles   (bar 1,000 ms)", market.symbols.len());
    for (n, what) in [(0, "RSI dip"), (7, "StochRSI"), (9, "trend of 1h, dip of 1m")] {
        let program = Arc::new(program(n).validate().unwrap());
        let mut replay = Replay::new(&program);
        let (time, matches) = timed(|| {
            let mut matches = 0;
            for symbol in &market.symbols {
                let through = FIRST + STEPS;
                let said = replay.series(market, symbol, through + 1 - CANDLES, through, &mut || ());
                matches += said.outcomes.iter().filter(|outcome| **outcome == Outcome::Match).count();
            }
            matches
        });
        println!("  {what:<28} {:8.0} ms, {matches} matches", crate::ms(time));
    }
}
