//! How cost grows: programs × symbols, each cell in a process of its own.

use crate::walk::{FIRST, STEPS, Walk};
use crate::{Times, checked, engine, ms, programs, timed};
use std::process::Command;
use std::time::{Duration, Instant};

/// The argument that makes a process one cell.
pub const CELL: &str = "--cell";
/// A cell steps until this has passed, but a few times at least.
const PATIENCE: Duration = Duration::from_secs(3);
const FEWEST: i64 = 8;
const MOST: i64 = 200;
const MIB: f64 = 1_048_576.0;

pub fn measure() {
    println!("\nprograms  symbols     nodes  shared  median ms   cold ms  memory MiB  ns a node and symbol");
    for programs in [10, 100, 1_000, 10_000] {
        for symbols in [10, 100, 500] {
            let own = std::env::current_exe().expect("a process knows itself");
            let cell = [CELL, &programs.to_string(), &symbols.to_string()];
            let status = Command::new(own).args(cell).status().expect("it can be started again");
            if !status.success() {
                println!("{programs:8} {symbols:8}   {status}");
            }
        }
    }
}

pub fn cell(programs: usize, symbols: usize) {
    let market = Walk::new(symbols);
    let all: usize = (0..programs).map(|n| programs::program(n).nodes.len()).sum();
    let checked = checked(programs);
    let before = resident();
    let mut engine = engine(checked);
    let cold = timed(|| drop(engine.evaluate(&market, &market.symbols, FIRST))).0;
    let (mut steps, begun) = (Times::default(), Instant::now());
    for ordinal in FIRST + 1..=FIRST + MOST.min(STEPS) {
        steps.0.push(timed(|| drop(engine.evaluate(&market, &market.symbols, ordinal))).0);
        engine.prepare(&market, &market.symbols, ordinal + 1, usize::MAX);
        if begun.elapsed() > PATIENCE && ordinal - FIRST >= FEWEST {
            break;
        }
    }
    let (memory, median) = (resident() - before, steps.median());
    let nodes = engine.nodes();
    println!(
        "{programs:8} {symbols:8} {nodes:9} {:6.1}% {median:10.3} {:9.1} {:11.1} {:21.1}",
        100.0 * (1.0 - nodes as f64 / all as f64),
        ms(cold),
        memory / MIB,
        median * 1e6 / (nodes * symbols) as f64,
    );
}

/// The memory of this process in bytes; nothing where the system does not tell.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(f64::NAN, |kib| kib * 1_024.0)
}
