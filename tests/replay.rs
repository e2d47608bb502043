//! Real candles, replayed by the simulator: what is held is the file, holes are confirmed, and signals are those that the
//! rules written in the test expect.

use crate::harness::{OWN, Rule, START, Stage, check_signals, klines, save, until};
use std::io::Write;
use std::path::PathBuf;
use vyx_sim::Settings;

/// Candles a second.
const PACE: i64 = 4;
/// Candles that close while it is watched.
const WATCHED: i64 = 60;

/// A file of real candles, and the row in it where the market begins to move.
struct File {
    name: &'static str,
    symbol: &'static str,
    interval: &'static str,
    milliseconds: i64,
    /// Tracked intervals.
    intervals: &'static str,
    row: usize,
}

#[test]
fn hours_of_btcusdt() {
    replay(&File {
        name: "BTCUSDT-1h.csv",
        symbol: "BTCUSDT",
        interval: "1h",
        milliseconds: 3_600_000,
        intervals: "1h,4h,1d",
        row: 2_000,
    });
}

#[test]
fn five_minutes_of_ltcbtc() {
    replay(&File {
        name: "LTCBTC-5m.csv",
        symbol: "LTCBTC",
        interval: "5m",
        milliseconds: 300_000,
        intervals: "5m,15m,1h",
        row: 1_700,
    });
}

#[test]
fn minutes_of_xrpeth_with_holes() {
    replay(&File {
        name: "XRPETH-1m.csv",
        symbol: "XRPETH",
        interval: "1m",
        milliseconds: 60_000,
        intervals: "1m,5m",
        row: 1_900,
    });
}

fn replay(file: &File) {
    let data = std::env::var_os("VYX_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let path = data.join(file.name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        // Not `eprintln!`, whose words the test runner keeps to itself as long as a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {} is not there; VYX_DATA names the directory of real candles",
            path.display()
        );
        return;
    };
    let rows = parse(&text);
    let exchange = Settings {
        symbols: Vec::new(),
        files: [(file.symbol.to_owned(), (file.interval.to_owned(), path))].into(),
        start: Some(rows[file.row].0 + file.milliseconds / 2),
        speed: (file.milliseconds * PACE / 1_000) as f64,
        ..Settings::default()
    };
    assert!(exchange.start < Some(START));
    let stage = Stage::start(
        &format!("replay-{}", file.interval),
        &[file.symbol],
        exchange,
        &[("vyx.intervals", file.intervals), ("vyx.evaluate_worker", "off")],
    );
    let session = stage.cluster.session();
    stage.settle(&session);
    // The same rules, at the file's interval.
    let rules: Vec<Rule> = OWN.into_iter().map(|rule| Rule { interval: file.interval, ..rule }).collect();
    let rules: Vec<&Rule> = rules.iter().collect();
    save(&session, &rules);
    stage.start_worker(&session);
    let end = stage.exchange.market_time() + WATCHED * file.milliseconds;
    let through = end - end.rem_euclid(file.milliseconds) - 1;
    until("the watched candles have been evaluated", || {
        session
            .one::<bool>(
                "SELECT coalesce(min(evaluated_through) >= vyx.at($1), false) FROM vyx.watermarks WHERE \"interval\" = $2",
                &[&through, &file.interval],
            )
            .then_some(())
    });
    stage.settle(&session);
    stage.check(&session);

    let held: Vec<(i64, [f64; 5])> = klines(&session, file.symbol, file.interval)
        .iter()
        .filter(|candle| candle.closed)
        .map(|candle| (candle.open_time, [0, 1, 2, 3, 4].map(|column| candle.numbers[column])))
        .collect();
    let first = rows.iter().position(|row| row.0 == held[0].0).expect("it is a row of the file");
    assert_eq!(held, rows[first..first + held.len()], "what is held is the file");
    // Holes: open times on the grid between rows.
    let span = (held[held.len() - 1].0 - held[0].0) / file.milliseconds + 1;
    let holes = span - held.len() as i64;
    let row =
        &session.rows("SELECT gaps, confirmed_absent FROM vyx_series() WHERE \"interval\" = $1", &[&file.interval])[0];
    let (gaps, absent): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(gaps, 0);
    assert!(absent >= holes, "{holes} holes, {absent} confirmed");
    assert!(holes > 0 || file.symbol != "XRPETH", "this file is here for its holes");

    let count = check_signals(&session, &stage.truth, &rules, &[file.symbol], through);
    assert!(count > 10, "{count} signals are too few to prove anything");
}

/// Open time, then open, high, low, close and volume.
fn parse(text: &str) -> Vec<(i64, [f64; 5])> {
    let number = |field: &str| field.parse::<f64>().expect("a number");
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.trim_end().split(',').collect();
            (fields[0].parse().expect("a time"), [1, 2, 3, 4, 5].map(|index| number(fields[index])))
        })
        .collect()
}
