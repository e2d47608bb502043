//! Traders as their owners meet them, over a real connection: what saving one takes beside an insert into an ordinary
//! table, what the past of a rule takes, and what a worker with 1,000 of them takes for its first close and for the
//! next ones. `make bench` runs it; `VYX_BENCH_SYMBOLS` makes it smaller.

#[allow(dead_code, unused_imports)] // the tests use the rest
mod harness;
#[path = "bench_scripts.rs"]
mod scripts;

use harness::{Session, Stage, Stop, until_within};
use scripts::SCRIPT;
use std::time::{Duration, Instant};
use vyx_sim::{Settings, Status, universe};

const TRADERS: i64 = 1_000;
/// Traders that are saved one by one.
const SAVED: usize = 60;
const TURNS: usize = 5;
const CLOSES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(300);
/// Weight a minute: what the exchange allows is not what is measured here.
const BUDGET: u64 = 6_000;

fn main() {
    let count =
        std::env::var("VYX_BENCH_SYMBOLS").map_or(500, |text| text.parse().expect("VYX_BENCH_SYMBOLS is a number"));
    let usable = |symbol: &vyx_sim::Symbol| symbol.quote == "USDT" && symbol.delisted.is_none() && symbol.spot;
    let symbols = universe(count + 50).into_iter().filter(|symbol| usable(symbol) && symbol.status == Status::Trading);
    let exchange = Settings {
        symbols: symbols.take(count).collect(),
        weight_limit: BUDGET + BUDGET / 6,
        // A minute in three seconds.
        ..Stage::speed(20.0)
    };
    let settings = [
        ("vyx.quote_assets", "USDT"),
        ("vyx.intervals", "1m,1h"),
        ("vyx.max_symbols", "512"),
        ("vyx.weight_budget", &BUDGET.to_string()),
        ("vyx.evaluate_worker", "off"),
        ("shared_buffers", "128MB"),
    ];
    let mut stage = Stage::start("bench-traders", &[], exchange, &settings);
    let session = stage.cluster.session();
    complete(&session);

    save(&session);
    past(&session, count);
    session.run("DELETE FROM vyx.traders");
    let begun = Instant::now();
    session.run(&format!(
        "INSERT INTO vyx.traders (user_id, name, script, state)
         SELECT NULL, 'trader ' || n, {SCRIPT}, 'running' FROM generate_series(1, {TRADERS}) AS n"
    ));
    println!("{TRADERS} traders x {count} symbols in the worker");
    println!("  saved by one statement                       {:8.1} s", begun.elapsed().as_secs_f64());
    stage.start_worker(&session);
    cycles(&session, "begins to run");
    drop(session);
    stage.cluster.stop(Stop::Fast);
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    session.run("DELETE FROM vyx.cycles");
    complete(&session);
    cycles(&session, "after a restart");
}

fn complete(session: &Session) {
    until_within(PATIENCE, "every series is complete", || {
        let sql = "SELECT series_total > 0 AND series_complete = series_total AND connections > 0 FROM vyx_health()";
        session.one::<bool>(sql, &[]).then_some(())
    });
}

fn save(session: &Session) {
    session.run("CREATE TABLE plain (LIKE vyx.traders INCLUDING ALL)");
    let insert = |table: &str, version: &str, value: &str, n: usize| {
        let sql = format!(
            "INSERT INTO {table} (user_id, name, script{version})
             SELECT NULL, 'one ' || n, {SCRIPT}{value} FROM (VALUES ({n})) AS v (n)"
        );
        timed(|| session.run(&sql))
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..SAVED {
        ours.push(insert("vyx.traders", "", "", n));
        theirs.push(insert("plain", ", version", ", 1", n));
    }
    let ([ours, worst], [theirs, _]) = (spread(ours), spread(theirs));
    println!("a trader saved, its compiler started           {ours:8.1} ms median, {worst:.1} p99   (bar 20)");
    println!("  a row of the same columns in a plain table   {theirs:8.1} ms");
}

fn past(session: &Session, symbols: usize) {
    println!("vyx_backtest_summary, {symbols} symbols x 256 candles of 1m, median of {TURNS}   (bar 1,000 ms)");
    for script in ["rsi(close, 14) < 30", "crossover(ema(close, 9), ema(close, 21)) && volume > 1.5 * sma(volume, 20)"]
    {
        let ask = || session.one::<i64>("SELECT evaluated FROM vyx_backtest_summary(NULL, '1m', 256, $1)", &[&script]);
        let evaluated = ask();
        let [median, _] = spread((0..TURNS).map(|_| timed(|| _ = ask())).collect());
        println!("  {median:8.0} ms, {evaluated} candles: {script}");
    }
}

/// What the worker says of the next closes.
fn cycles(session: &Session, what: &str) {
    let sql = "SELECT evaluate_ms, write_ms, evaluated FROM vyx.cycles
               WHERE \"interval\" = '1m' AND evaluated > 0 ORDER BY close_time LIMIT $1";
    // The newest may not be whole yet.
    let rows = until_within(PATIENCE, "closes are evaluated", || {
        Some(session.rows(sql, &[&(CLOSES as i64 + 2)])).filter(|rows| rows.len() == CLOSES + 2)
    });
    let ms = |column: usize| rows[1..=CLOSES].iter().map(|row| row.get::<_, f64>(column)).collect();
    let ([evaluate, worst], [write, _]) = (spread(ms(0)), spread(ms(1)));
    println!(
        "  {what}: first close {:.0} ms   (bar 2,000); the next {CLOSES} evaluated in {evaluate:.1} ms median, {worst:.1} worst, written in {write:.1}; {} evaluations a close",
        rows[0].get::<_, f64>(0),
        rows[1].get::<_, i64>(2),
    );
}

fn timed(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64() * 1e3
}

/// Median and 99th percentile.
fn spread(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_unstable_by(f64::total_cmp);
    [0.5, 0.99].map(|share| times[((times.len() - 1) as f64 * share) as usize])
}
