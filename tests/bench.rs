//! What a client waits for: vyx' readers beside an indexed ordinary table that holds the same rows, over a real
//! connection, prepared, while the feed writes. `make bench` runs it.

#[allow(dead_code, unused_imports)] // the tests use the rest
mod harness;

use harness::{Session, Stage};
use std::time::Instant;

/// Statements timed without a break; then it is the other side's turn, so that a noisy machine disturbs both alike.
const CALLS: u32 = 200;
/// Odd, so that there is a median.
const TURNS: usize = 25;

fn main() {
    // The twenty symbols of the demonstration, a minute a second.
    let exchange = Stage::speed(60.0);
    let quote = [("vyx.symbols", ""), ("vyx.quote_assets", "USDT"), ("vyx.evaluate_worker", "off")];
    let stage = Stage::start("bench", &[], exchange, &quote);
    let session = stage.cluster.session();
    stage.settle(&session);
    session.run(
        "CREATE TABLE klines AS SELECT s.symbol, '1m'::text AS \"interval\", k.*
             FROM vyx_symbols() s, vyx_klines(s.symbol, '1m', 2047, false) k;
         ALTER TABLE klines ADD PRIMARY KEY (symbol, \"interval\", open_time);",
    );
    session.run("VACUUM ANALYZE klines");
    println!("the newest 100 klines of a series, median of {TURNS} x {CALLS} calls, one session, feed running");
    session.run("PREPARE nothing AS SELECT 1");
    let floor = median((0..TURNS).map(|_| micros_per_call(&session, "EXECUTE nothing")).collect());
    println!("  {:<28} {floor:>8.1} µs", "SELECT 1, the way there");
    session.run("DEALLOCATE ALL");
    compare(
        &session,
        "vyx_klines(…, 100)",
        "SELECT * FROM vyx_klines('BTCUSDT', '1m', 100)",
        "the same rows of a table",
        "SELECT * FROM (SELECT * FROM klines WHERE symbol = 'BTCUSDT' AND \"interval\" = '1m'
             ORDER BY open_time DESC LIMIT 100) AS newest ORDER BY open_time",
    );
    compare(
        &session,
        "vyx_closes(…, 100)",
        "SELECT vyx_closes('BTCUSDT', '1m', 100)",
        "the same array from a table",
        "SELECT array_agg(close ORDER BY open_time) FROM (SELECT open_time, close FROM klines
             WHERE symbol = 'BTCUSDT' AND \"interval\" = '1m' ORDER BY open_time DESC LIMIT 100) AS newest",
    );
    drop(session);
    drop(stage);
    backtests();
}

/// The past of 500 symbols, 256 candles each, in one statement. The compiler's process is part of it.
fn backtests() {
    const SYMBOLS: usize = 500;
    let usable =
        |symbol: &vyx_sim::Symbol| symbol.name.is_ascii() && symbol.quote == "USDT" && symbol.delisted.is_none();
    let symbols = vyx_sim::universe(SYMBOLS + 50)
        .into_iter()
        .filter(|symbol| usable(symbol) && symbol.spot && symbol.status == vyx_sim::Status::Trading)
        .take(SYMBOLS)
        .map(|symbol| vyx_sim::Symbol { listed: 0, ..symbol });
    let exchange = vyx_sim::Settings { symbols: symbols.collect(), weight_limit: 1_000_000, ..Stage::speed(1.0) };
    let settings = [
        ("vyx.symbols", ""),
        ("vyx.quote_assets", "USDT"),
        ("vyx.intervals", "1m"),
        ("vyx.evaluate_worker", "off"),
        ("vyx.weight_budget", "1000000"),
    ];
    let stage = Stage::start("bench-backtests", &[], exchange, &settings);
    let session = stage.cluster.session();
    harness::until_within(std::time::Duration::from_secs(600), "every series is complete", || {
        let done = "SELECT series_total > 0 AND series_complete = series_total FROM vyx_health()";
        session.one::<bool>(done, &[]).then_some(())
    });
    println!("\na backtest of {SYMBOLS} symbols x 256 candles of 1m, median of 5");
    for script in [
        "close > open",
        "rsi(close, 14) < 30 && crossunder(close, bbands(close, 20, 2).lower) && volume > 2 * sma(volume, 20)",
        "symbol(\"BTCUSDT\").close > ema(symbol(\"BTCUSDT\").close, 200) && macd().hist > 0 && adx(14) > 25",
    ] {
        let (mut times, mut row) = (Vec::new(), String::new());
        for _ in 0..5 {
            let started = Instant::now();
            let said = "SELECT format('%s candles, %s evaluated, %s fired', candles, evaluated, fired)
                        FROM vyx_backtest_summary(NULL, '1m', 256, $1)";
            row = session.one(said, &[&script]);
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        println!("  {:>7.1} ms  {row}: {script}", median(times));
    }
}

/// Times two statements in turns and prints both medians and their ratio.
fn compare(session: &Session, ours: &str, our_sql: &str, theirs: &str, their_sql: &str) {
    session.run(&format!("PREPARE ours AS {our_sql}; PREPARE theirs AS {their_sql}"));
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        our_times.push(micros_per_call(session, "EXECUTE ours"));
        their_times.push(micros_per_call(session, "EXECUTE theirs"));
    }
    session.run("DEALLOCATE ALL");
    let (our_time, their_time) = (median(our_times), median(their_times));
    println!("  {ours:<28} {our_time:>8.1} µs");
    println!("  {theirs:<28} {their_time:>8.1} µs   ratio {:.2}x", their_time / our_time);
}

fn micros_per_call(session: &Session, sql: &str) -> f64 {
    let started = Instant::now();
    for _ in 0..CALLS {
        session.run(sql);
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
