//! What a candle's close costs: programs as people write them on a market of random walks, in one run with what one
//! would do without the engine.
//!
//! `cargo bench -p vyx-engine`; `make bench` also brings the Python that the references need. All times are processor
//! time of one thread, the references' too; on a machine that is busy with something else the median still says more
//! than the worst, since others take the caches.
//!
//! - [`close`]: 1,000 programs on 500 symbols, minute after minute; the bar is 5 ms, the aim 2 ms.
//! - [`reference`]: the same rules over the same candles by numpy and TA-Lib, and as a loop over pandas; the hits of all
//!   three are equal, or the run fails.
//! - [`calls`]: an indicator's update by itself; the bar is 50 ns.
//! - [`load`]: stored programs read and set, and a program's answers over the past.
//! - [`table`]: how cost grows with programs and symbols.

mod calls;
mod clock;
mod close;
mod load;
mod programs;
mod reference;
mod table;
mod walk;

use clock::timed;
use std::sync::Arc;
use std::time::Duration;
use vyx_core::Interval;
use vyx_engine::{Checked, Engine};

fn main() {
    // One cell of the table has a process of its own, since what it weighs is the process' memory.
    let arguments: Vec<String> = std::env::args().skip_while(|argument| argument != table::CELL).skip(1).collect();
    if let [programs, symbols] = &arguments[..] {
        return table::cell(programs.parse().unwrap(), symbols.parse().unwrap());
    }
    let market = walk::Walk::new(500);
    let closed = close::measure(&market);
    reference::measure(&market, &closed);
    calls::measure(&market);
    load::measure(&market);
    drop(market);
    table::measure();
}

/// The first `count` programs with their keys.
fn checked(count: usize) -> Vec<(u64, Arc<Checked>)> {
    (0..count).map(|n| (n as u64, Arc::new(programs::program(n).validate().unwrap()))).collect()
}

fn engine(programs: Vec<(u64, Arc<Checked>)>) -> Engine {
    let mut engine = Engine::new(Interval::M1);
    engine.set_programs(programs).unwrap();
    engine
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Times of equal work.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// The time that so much of them did not exceed, in milliseconds.
    fn at(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        self.0.get(((self.0.len() - 1) as f64 * share) as usize).copied().map_or(f64::NAN, ms)
    }

    fn median(&mut self) -> f64 {
        self.at(0.5)
    }
}

/// Fails to compile when the engine stops being something that a worker can own.
const _: fn() = || {
    fn send<T: Send>() {}
    send::<Engine>();
    send::<Arc<Checked>>();
};
