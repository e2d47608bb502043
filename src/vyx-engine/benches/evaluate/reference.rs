//! The same rules over the same candles as one would compute them without the engine: see `reference.py`.

use crate::close::{Closed, PROGRAMS};
use crate::programs::described;
use crate::walk::Walk;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use vyx_core::Interval;
use vyx_engine::market::anchor;
use vyx_engine::{Candles, Market};

/// Which Python has numpy, pandas and TA-Lib; set by `make bench`.
const PYTHON: &str = "VYX_BENCH_PYTHON";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reference.py");

pub fn measure(market: &Walk, closed: &Closed) {
    println!("\nthe same rules, the same close, without the engine");
    let Some(python) = std::env::var_os(PYTHON).filter(|python| !python.is_empty()) else {
        println!("  SKIPPED: no Python with numpy, pandas and TA-Lib ({PYTHON} names it; `make bench` makes one)");
        return;
    };
    let directory = std::env::temp_dir().join(format!("vyx-bench-{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    write(market, closed, &directory);
    let output = Command::new(python).arg(SCRIPT).arg(&directory).output().expect("Python runs");
    fs::remove_dir_all(&directory).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("the script answers in JSON");
    let ratio = |of: &Value| of.as_f64().unwrap() / crate::ms(closed.median);
    for (what, times) in [("numpy and TA-Lib", &said["numpy"]), ("a loop over pandas", &said["pandas"])] {
        println!(
            "  {what:<20} {:>9.0} ms   ratio {:>8.0}x   ({})",
            times["ms"].as_f64().unwrap(),
            ratio(&times["ms"]),
            times["how"].as_str().unwrap()
        );
    }
    assert_eq!(said["hits"], json!(closed.matches), "the reference's hits over the engine's own histories");
    assert_eq!(said["pandas"]["hits"], said["pandas"]["expected"], "hits of the pandas loop");
    println!("  hits of {} pairs: {}, all three agree", PROGRAMS * market.symbols.len(), closed.matches);
}

/// Each symbol's candles from the first of its history on, column after column, and what is to be computed of them.
fn write(market: &Walk, closed: &Closed, directory: &Path) {
    let mut numbers: Vec<u8> = Vec::new();
    let mut series = Vec::new();
    for symbol in &market.symbols {
        let hour = Interval::H1.last_closed(Interval::M1.close_time(closed.ordinal));
        let lengths = [(Interval::M1, closed.ordinal), (Interval::H1, hour)].map(|(interval, last)| {
            let mut candles = Candles::default();
            market.closed(symbol, interval, anchor(symbol, interval, last), last, &mut candles);
            let times: Vec<f64> = candles.ordinal.iter().map(|ordinal| interval.open_time(*ordinal).0 as f64).collect();
            for column in [&times, &candles.high, &candles.low, &candles.close, &candles.volume] {
                numbers.extend(column.iter().flat_map(|number| number.to_le_bytes()));
            }
            candles.len()
        });
        series.push(lengths);
    }
    let rules: Vec<Value> = (0..PROGRAMS).map(described).collect();
    fs::write(directory.join("candles"), numbers).unwrap();
    fs::write(directory.join("rules.json"), json!({ "series": series, "rules": rules }).to_string()).unwrap();
}
