//! The whole way: an exchange of 500 symbols at six intervals over real WebSockets and REST, into a real server. What it
//! takes to fill 3,000 series, what they weigh, what following them costs and how they read meanwhile, beside a client
//! that keeps an ordinary table up to date by upserts. `make bench` runs it; `VYX_BENCH_SYMBOLS` makes it smaller.

#[allow(dead_code)] // the soak uses the rest
mod bench_process;
mod bench_readers;
mod bench_upsert;
#[allow(dead_code, unused_imports)] // the tests use the rest
mod harness;

use bench_process::Process;
use bench_readers::{Question, SESSIONS, ask, implausible, no_prices, torn};
use harness::{Cluster, Session, Stage, Stop, Truth, until, until_within};
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Config;
use vyx_sim::{Settings, Simulator, universe};

const INTERVALS: &str = "1m,5m,15m,1h,4h,1d";
/// Kline updates come each 2 s of market time: at this speed 500 × 6 streams make some 3,000 a second, a busy hour.
const USUAL: f64 = 2.2;
/// A crash of the market: some 30,000 a second. The tickers too come ten times as often then, which a real crash spares.
const CRASH: f64 = 22.0;
const WATCHED: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(4);
/// The exchange's own limit, and vyx's burst of ten seconds on top: others here do not share the address.
const BUDGET: u64 = 6_000;
const WEIGHT_LIMIT: u64 = BUDGET + BUDGET / 6;
/// 2027-03-10T12:00:20Z: only short candles close soon.
const START: i64 = 1_804_680_020_000;
/// 2019-01-01: every ring can be full.
const LISTED: i64 = 1_546_300_800_000;
/// Trades within each two seconds, so that each stream has an update each time.
const TRADES_A_DAY: u64 = 400_000;
const MIB: f64 = 1_048_576.0;

const KLINES: Question =
    Question { what: "vyx_klines(…, 100)", sql: "SELECT * FROM vyx_klines($1, $2, 100)", check: implausible };
const CLOSES: Question =
    Question { what: "vyx_closes(…, 100)", sql: "SELECT vyx_closes($1, $2, 100)", check: no_prices };
// That table has klines that never closed, from when its client was away: nobody fetches what it missed.
const ROWS: Question = Question {
    what: "the same rows of the upserted table",
    sql: "SELECT * FROM (SELECT * FROM klines WHERE symbol = $1 AND \"interval\" = $2
              ORDER BY open_time DESC LIMIT 100) AS newest ORDER BY open_time",
    check: torn,
};
const ARRAY: Question = Question {
    what: "the same array from the upserted table",
    sql: "SELECT array_agg(close ORDER BY open_time) FROM (SELECT open_time, close FROM klines
              WHERE symbol = $1 AND \"interval\" = $2 ORDER BY open_time DESC LIMIT 100) AS newest",
    check: no_prices,
};

fn main() {
    let symbols = symbols();
    let settings = exchange(&symbols, USUAL, START);
    let quiet = [
        ("vyx.quote_assets", "USDT"),
        ("vyx.intervals", INTERVALS),
        ("vyx.max_symbols", "500"),
        ("vyx.weight_budget", &BUDGET.to_string()),
        ("vyx.snapshot_interval", "0"),
        ("vyx.evaluate_worker", "off"),
        ("shared_buffers", "256MB"),
        ("max_connections", "100"),
    ];
    let mut stage = Stage::start("ingest", &[], settings, &quiet);
    let mut session = stage.cluster.session();

    fill(&stage, &session, symbols.len());
    memory(&session, symbols.len());
    let usual = follow(&stage, &session);
    change_speed(&mut stage, &session, &symbols, CRASH);
    let crash = follow(&stage, &session);
    let config = config(&session);
    let series = series(&session);
    let vyx = [KLINES, CLOSES].map(|question| read(&config, &question, &series));
    check(&stage, &session, &series);
    change_speed(&mut stage, &session, &symbols, USUAL);
    session = snapshot(&mut stage, session);
    instead(&mut stage, &session, &symbols, &series, [usual, crash], vyx);
    drop(session);
    drop(stage);
    small();
}

fn symbols() -> Vec<vyx_sim::Symbol> {
    let count = match std::env::var("VYX_BENCH_SYMBOLS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("VYX_BENCH_SYMBOLS is \"{text}\"")),
        Err(_) => 500,
    };
    // Names of ASCII letters, so that the other client may put them into an address as they are.
    let usable =
        |symbol: &vyx_sim::Symbol| symbol.name.is_ascii() && symbol.quote == "USDT" && symbol.delisted.is_none();
    universe(count + 50)
        .into_iter()
        .filter(|symbol| usable(symbol) && symbol.spot && symbol.status == vyx_sim::Status::Trading)
        .take(count)
        .map(|symbol| vyx_sim::Symbol { listed: LISTED, trades_a_day: TRADES_A_DAY, ..symbol })
        .collect()
}

fn exchange(symbols: &[vyx_sim::Symbol], speed: f64, start: i64) -> Settings {
    Settings {
        symbols: symbols.to_vec(),
        start: Some(start),
        update_floor: Duration::from_millis(20),
        weight_limit: WEIGHT_LIMIT,
        ..Stage::speed(speed)
    }
}

fn ingest(session: &Session) -> Process {
    Process::of(until("vyx ingest runs", || session.one::<Option<i32>>("SELECT ingest_pid FROM vyx_health()", &[])))
}

/// Waits until all is there, however long that takes.
fn complete(session: &Session) {
    until_within(Duration::from_secs(900), "every series is complete", || {
        session
            .one::<bool>(
                "SELECT series_total > 0 AND series_complete = series_total AND connections > 0
                    AND streams = streams_wanted FROM vyx_health()",
                &[],
            )
            .then_some(())
    });
}

fn fill(stage: &Stage, session: &Session, symbols: usize) {
    complete(session);
    let took: f64 =
        session.one("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8", &[]);
    let held: i64 = session.one("SELECT sum(klines)::bigint FROM vyx_series()", &[]);
    let answers = stage.exchange.state().requests.remove("/api/v3/klines").unwrap_or_default();
    let (requests, refused) = (answers.values().sum::<u64>(), answers.get(&429).copied().unwrap_or(0));
    let (cpu, exchange) = (ingest(session).cpu().as_secs_f64(), Process::thread("vyx-sim").cpu().as_secs_f64());
    // Two units of weight a request. What the burst brings forward, the exchange's count of a minute holds back later.
    let alone = |budget: u64| (2 * requests) as f64 * 60.0 / budget as f64;
    println!(
        "filling {symbols} symbols x 6 intervals from nothing: {held} klines in {requests} requests, {refused} refused"
    );
    println!(
        "  with a weight budget of {BUDGET} a minute      {took:>8.1} s   (the budget alone makes it {:.0} s)",
        alone(BUDGET)
    );
    println!("  with the default of 4,000                {:>8.0} s   (computed)", alone(4_000));
    println!(
        "  what the machine does of it              {cpu:>8.1} s   (processor time of vyx ingest; the simulator's {exchange:.1} s)"
    );
}

fn memory(session: &Session, symbols: usize) {
    let memory = ingest(session).memory();
    println!("memory of {symbols} symbols x 6 intervals at the default depths, all filled, of vyx ingest");
    println!("  reserved for vyx in shared memory        {:>8.1} MiB", reserved(session));
    println!("  shared memory touched (Rss)              {:>8.1} MiB", memory.shared as f64 / MIB);
    println!("  its share of it (Pss)                    {:>8.1} MiB", memory.shared_by_share as f64 / MIB);
    println!("  private                                  {:>8.1} MiB", memory.private as f64 / MIB);
}

fn reserved(session: &Session) -> f64 {
    session.one::<i64>("SELECT sum(allocated_size)::bigint FROM pg_shmem_allocations WHERE name LIKE 'vyx%'", &[])
        as f64
        / MIB
}

/// What a shallower configuration reserves, which is the most it can ever touch.
fn small() {
    let settings = [
        ("shared_preload_libraries", "vyx"),
        ("vyx.stream_url", "ws://127.0.0.1:1"),
        ("vyx.rest_url", "http://127.0.0.1:1"),
        ("vyx.intervals", "1m,5m,15m,1h"),
        ("vyx.max_symbols", "500"),
        ("vyx.ring_size", "500"),
    ];
    let cluster = Cluster::start("small", &settings);
    let session = cluster.session();
    println!("memory reserved for 500 symbols x 4 intervals x 500 klines: {:.1} MiB", reserved(&session));
}

/// Messages a second and the share of a processor that following them took.
#[derive(Clone, Copy)]
struct Followed {
    messages: f64,
    share: f64,
}

fn follow(stage: &Stage, session: &Session) -> Followed {
    std::thread::sleep(WARM_UP);
    let (process, simulator) = (ingest(session), Process::thread("vyx-sim"));
    let count = || session.one::<i64>("SELECT messages FROM vyx_health()", &[]);
    let (begun, messages, cpu, simulated) = (Instant::now(), count(), process.cpu(), simulator.cpu());
    std::thread::sleep(WATCHED);
    let took = begun.elapsed().as_secs_f64();
    let followed =
        Followed { messages: (count() - messages) as f64 / took, share: (process.cpu() - cpu).as_secs_f64() / took };
    println!(
        "following {:.0} messages/s: {:.1} % of a processor, {:.1} µs a message (the simulator: {:.0} %; cut for not reading: {})",
        followed.messages,
        followed.share * 100.0,
        followed.share / followed.messages * 1e6,
        (simulator.cpu() - simulated).as_secs_f64() / took * 100.0,
        stage.exchange.state().cut_for_not_reading,
    );
    followed
}

/// Replaces the exchange by one with the same market at another speed, and waits until vyx follows that one.
fn change_speed(stage: &mut Stage, session: &Session, symbols: &[vyx_sim::Symbol], speed: f64) {
    let settings = exchange(symbols, speed, stage.exchange.market_time());
    stage.truth = Truth::new(&settings);
    let next = Simulator::start(settings).expect("the simulator starts");
    session.run(&format!("ALTER SYSTEM SET vyx.stream_url = 'ws://{}'", next.address()));
    session.run(&format!("ALTER SYSTEM SET vyx.rest_url = 'http://{}'", next.address()));
    stage.exchange = next;
    session.run("SELECT pg_reload_conf()");
    until("it is followed", || (stage.exchange.state().streams > symbols.len() * 6).then_some(()));
    complete(session);
}

fn config(session: &Session) -> Config {
    let socket: String = session.one("SHOW unix_socket_directories", &[]);
    let mut config = Config::new();
    config.host_path(socket).port(5432).user("postgres").dbname("postgres");
    config
}

fn series(session: &Session) -> Vec<(String, String)> {
    let rows = session.rows("SELECT symbol, \"interval\" FROM vyx_series() ORDER BY 1, 2", &[]);
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Median and 99th percentile of [`SESSIONS`] sessions at a pace that leaves room, in milliseconds.
type Latency = [f64; 2];

fn read(config: &Config, question: &Question, series: &[(String, String)]) -> Latency {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{SESSIONS} sessions, {}", question.what);
    let mut last = [0.0; 2];
    for (how, pace) in [("each again at once", None), ("each five times a second", Some(Duration::from_millis(200)))] {
        let answers = ask(config, question, series, Duration::from_secs(8), pace);
        last = [millis(answers.percentile(50)), millis(answers.percentile(99))];
        println!(
            "  {how:<26} {:>6.0} reads/s   p50 {:>7.2} ms   p99 {:>7.2} ms   {} reads, {} rows, all plausible",
            answers.per_second,
            last[0],
            last[1],
            answers.times.len(),
            answers.klines,
        );
    }
    last
}

/// Closed klines are the simulator's, to the last digit.
fn check(stage: &Stage, session: &Session, series: &[(String, String)]) {
    let sample: Vec<_> = series.iter().step_by(series.len() / 30 + 1).collect();
    let mut klines = 0;
    for (symbol, interval) in &sample {
        let rows = session.rows(
            "SELECT open_time, close, volume, trades FROM vyx_klines($1, $2, 500, include_open => false)",
            &[symbol, interval],
        );
        let (first, last) = (harness::millis(rows[0].get(0)), harness::millis(rows[rows.len() - 1].get(0)));
        let truth = stage.truth.closed(symbol, interval, first, stage.exchange.market_time());
        let truth: Vec<_> = truth.iter().filter(|candle| candle.open_time <= last).collect();
        assert_eq!(rows.len(), truth.len(), "{symbol} {interval}");
        for (row, truth) in rows.iter().zip(truth) {
            let is = (harness::millis(row.get(0)), row.get::<_, f64>(1), row.get::<_, f64>(2), row.get::<_, i64>(3));
            assert_eq!(is, (truth.open_time, truth.close(), truth.numbers[4], truth.trades), "{symbol} {interval}");
        }
        klines += rows.len();
    }
    println!("  {klines} closed klines of {} series equal the simulator's", sample.len());
}

/// Writes a snapshot of all, and has a new server read it.
fn snapshot(stage: &mut Stage, session: Session) -> Session {
    let seen = || session.one::<Option<SystemTime>>("SELECT ingest_heartbeat FROM vyx_health()", &[]);
    let written = || session.one::<Option<SystemTime>>("SELECT snapshot_time FROM vyx_health()", &[]).is_some();
    session.run("ALTER SYSTEM SET vyx.snapshot_interval = '3600s'");
    let (begun, process) = (Instant::now(), ingest(&session));
    let cpu = process.cpu();
    session.run("SELECT pg_reload_conf()");
    // A turn ends with a heartbeat: the longest time between two is the longest that signals and sockets waited.
    let mut last = seen().expect("it runs");
    let mut longest = Duration::ZERO;
    while !written() {
        assert!(begun.elapsed() < Duration::from_secs(300), "no snapshot was written");
        let now = seen().expect("it runs");
        longest = longest.max(now.duration_since(last).unwrap_or_default());
        last = now;
        std::thread::sleep(Duration::from_millis(2));
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), (process.cpu() - cpu).as_secs_f64());
    let bytes: f64 = session.one("SELECT value FROM vyx_metrics() WHERE name = 'vyx_snapshot_bytes'", &[]);
    println!("the snapshot of all: {:.1} MiB", bytes / MIB);
    println!(
        "  written while the market goes on         {took:>8.1} s   ({cpu:.2} s of processor time, the market's included)"
    );
    println!(
        "  longest time between two heartbeats      {:>8.0} ms  (a turn without a snapshot has 100 ms)",
        longest.as_secs_f64() * 1e3
    );
    drop(session);
    let stopped = stage.cluster.stop(Stop::Fast);
    let begun = Instant::now();
    stage.cluster.run().expect("the server starts again");
    let session = stage.cluster.session();
    let words = until("the snapshot is read", || {
        let log = stage.cluster.log();
        log.lines().find_map(|line| Some(line.split_once("a snapshot brought ")?.1.to_owned()))
    });
    complete(&session);
    println!("  the server stops, with what has changed  {:>8.0} ms", stopped.as_secs_f64() * 1e3);
    println!("  a new one reads it                       {words}");
    println!("  every series complete after a start      {:>8.1} s", begun.elapsed().as_secs_f64());
    session
}

/// The same streams into a table, and the same reads from it.
fn instead(
    stage: &mut Stage,
    session: &Session,
    symbols: &[vyx_sim::Symbol],
    series: &[(String, String)],
    followed: [Followed; 2],
    vyx: [Latency; 2],
) {
    session.run(bench_upsert::TABLE);
    session.run(
        "INSERT INTO klines SELECT s.symbol, s.\"interval\", k.* FROM vyx_series() s,
             vyx_klines(s.symbol, s.\"interval\", 200) k",
    );
    session.run("VACUUM ANALYZE klines");
    // vyx rests meanwhile.
    session.run("ALTER SYSTEM SET vyx.stream_url = 'ws://127.0.0.1:1'");
    session.run("ALTER SYSTEM SET vyx.rest_url = 'http://127.0.0.1:1'");
    session.run("SELECT pg_reload_conf()");
    until("vyx follows nothing", || (stage.exchange.state().streams == 0).then_some(()));
    let config = config(session);
    println!(
        "instead of vyx: upserts into an indexed table of 200 klines a series, without the tickers that vyx follows too"
    );
    for (speed, vyx) in [USUAL, CRASH].into_iter().zip(followed) {
        let settings = exchange(symbols, speed, stage.exchange.market_time());
        stage.exchange = Simulator::start(settings).expect("the simulator starts");
        let mut upserted = bench_upsert::follow(&config, stage.exchange.address(), series, WARM_UP, WATCHED);
        upserted.lags.sort_unstable();
        let lag = upserted.lags.get(upserted.lags.len() / 2).copied().unwrap_or_default();
        let worst = upserted.lags.last().copied().unwrap_or_default();
        let share = upserted.client_share + upserted.backend_share;
        let each = |share: f64, messages: f64| share / messages * 1e6;
        let (ours, theirs) = (each(vyx.share, vyx.messages), each(share, upserted.messages_per_second));
        println!(
            "  {:.0} messages/s, {:.0} rows/s: client {:.1} % and backend {:.1} % of a processor, {theirs:.1} µs a message",
            upserted.messages_per_second,
            upserted.rows_per_second,
            upserted.client_share * 100.0,
            upserted.backend_share * 100.0,
        );
        println!(
            "    committed after {:.0} ms (median of batches), {:.0} ms at worst",
            lag.as_secs_f64() * 1e3,
            worst.as_secs_f64() * 1e3
        );
        println!("    vyx at {:.0} messages/s: {ours:.1} µs a message   ratio {:.1}x", vyx.messages, theirs / ours);
    }
    // The last exchange goes on, and so must a client while the table is read.
    let (address, reading) = (stage.exchange.address(), config.clone());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let long = Duration::from_secs(2 * 2 * 8 + 10);
            bench_upsert::follow(&config, address, series, Duration::ZERO, long)
        });
        for (question, vyx) in [ROWS, ARRAY].into_iter().zip(vyx) {
            let table = read(&reading, &question, series);
            println!("  ratio of the paced reads: p50 {:.1}x, p99 {:.1}x", table[0] / vyx[0], table[1] / vyx[1]);
        }
        let upserted = writer.join().expect("the client keeps up");
        println!(
            "  meanwhile {:.0} messages/s came and {:.0} rows/s were upserted",
            upserted.messages_per_second, upserted.rows_per_second
        );
    });
}
