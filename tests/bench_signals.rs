//! From the last due frame of a close to the word of its signals' commit, over a real connection: with 500 and 1,000
//! traders on 100 symbols and 1,000 on 500, that give 1,000 signals a close, a close a second; with and without the
//! flush to disk; with 100 signals a close; and with a tenant beside them whose 10,000 heavy traders are in the second
//! lane. And what the processes cost meanwhile.
//!
//! The measure of all of it is what anybody would write instead: a client that inserts as many rows of the same size into
//! a table with the same indexes and notifies, of which the signals are known already.

#[allow(dead_code)] // the other benchmarks use the rest
mod bench_process;
#[allow(dead_code, unused_imports)] // the tests use the rest
mod harness;
#[path = "bench_scripts.rs"]
mod scripts;

use bench_process::Process;
use harness::{Session, Stage, Stop, until_within};
use scripts::SCRIPT;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_postgres::{AsyncMessage, Config, NoTls};
use vyx_sim::{Settings, Status, universe};

const TRADERS: usize = 1_000;
const SIGNALS: usize = 1_000;
const HEAVY: usize = 10_000;
const CLOSES: usize = 120;
/// Of closes that say less.
const FEW: usize = 100;
/// A minute a second.
const SPEED: f64 = 60.0;
const PATIENCE: Duration = Duration::from_secs(300);
const BUDGET: u64 = 6_000;

fn main() {
    for (traders, symbols) in [(TRADERS, 100), (TRADERS, 500), (TRADERS / 2, 100)] {
        let mut stage = stage(traders, symbols);
        let session = stage.cluster.session();
        complete(&session);
        fill(&session, traders, symbols);
        stage.start_worker(&session);
        println!(
            "\n{traders} traders x {symbols} symbols, {SIGNALS} signals a close, a close a second, {CLOSES} closes"
        );
        let plain = plain(&session, &stage);
        println!(
            "  {SIGNALS} rows inserted and notified by a client, flushed   {:7.1} ms median, {:.1} p99",
            plain[0], plain[1]
        );
        let flushes: &[&str] = if traders == TRADERS { &["off", "on"] } else { &["on"] };
        for flush in flushes {
            session.reload(&[("fsync", flush)]);
            let what = format!("last frame to word of the commit, flush {flush}");
            measure(&stage, &session, &what, SIGNALS, Some(plain[0]));
        }
        if traders == TRADERS && symbols == 100 {
            let others = |state: &str| {
                session.run(&format!(
                    "UPDATE vyx.traders SET state = '{state}' WHERE name LIKE 'firing %' AND name <> 'firing 1'"
                ));
            };
            others("stopped");
            measure(&stage, &session, &format!("the same with {FEW} signals a close"), FEW, None);
            others("running");
            heavy(&session);
            let what = format!("the same beside {HEAVY} heavy traders of another");
            measure(&stage, &session, &what, SIGNALS, None);
            let sql =
                "SELECT count(*), max(close_time)::text, coalesce(max(evaluate_ms), 0) FROM vyx.cycles WHERE lane = 1";
            let row = &session.rows(sql, &[])[0];
            println!(
                "    whose closes evaluated meanwhile: {}, the slowest in {:.0} ms",
                row.get::<_, i64>(0),
                row.get::<_, f64>(2)
            );
        }
        drop(session);
        stage.cluster.stop(Stop::Fast);
    }
}

fn stage(traders: usize, count: usize) -> Stage {
    let usable = |symbol: &vyx_sim::Symbol| symbol.quote == "USDT" && symbol.delisted.is_none() && symbol.spot;
    let symbols = universe(count + 50).into_iter().filter(|symbol| usable(symbol) && symbol.status == Status::Trading);
    let exchange =
        Settings { symbols: symbols.take(count).collect(), weight_limit: BUDGET + BUDGET / 6, ..Stage::speed(SPEED) };
    let settings = [
        ("vyx.quote_assets", "USDT"),
        ("vyx.intervals", "1m,1h"),
        ("vyx.max_symbols", "512"),
        ("vyx.weight_budget", &BUDGET.to_string()),
        ("vyx.evaluate_worker", "off"),
        ("vyx.max_running_traders", "20000"),
        ("shared_buffers", "256MB"),
        ("fsync", "on"),
    ];
    Stage::start(&format!("bench-signals-{traders}-{count}"), &[], exchange, &settings)
}

fn complete(session: &Session) {
    until_within(PATIENCE, "every series is complete", || {
        let sql = "SELECT series_total > 0 AND series_complete = series_total AND connections > 0 FROM vyx_health()";
        session.one::<bool>(sql, &[]).then_some(())
    });
}

/// Rules as people write them, and as many that fire at every close as give the signals.
fn fill(session: &Session, traders: usize, symbols: usize) {
    let firing = SIGNALS / symbols;
    session.run(&format!(
        "INSERT INTO vyx.traders (user_id, name, script, state, fire_on)
         SELECT NULL::uuid, 'rule ' || n, '(' || ({SCRIPT}) || ') && close < 0', 'running', 'edge' FROM generate_series(1, {traders} - {firing}) AS n
         UNION ALL
         SELECT NULL::uuid, 'firing ' || n, format('#{{ fire: close > %s, side: \"long\", stop: low - 1.5 * atr(14) }}', -n), 'running', 'match'
         FROM generate_series(1, {firing}) AS n"
    ));
}

/// A tenant's programs, all different, on twenty symbols: compiled once, and varied in the table.
fn heavy(session: &Session) {
    session.run(
        "INSERT INTO vyx.traders (user_id, name, script, state, symbols)
         SELECT NULL, 'heavy', 'ema(close, 10) > sma(close, 777) && rsi(close, 20) < 12.5 && ema(ema(close, 30), 40) > close
             && highest(high, 50) > 1.5 * lowest(low, 60) && stdev(close, 70) > atr(80) && sma(volume, 90) < volume', 'running',
             (SELECT array_agg(symbol) FROM (SELECT symbol FROM vyx_symbols() ORDER BY symbol LIMIT 20) AS s)",
    );
    session.run(&format!(
        "WITH one AS (SELECT v.* FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id WHERE t.name = 'heavy')
         INSERT INTO vyx.trader_versions (trader_id, version, user_id, script, program, \"interval\", symbols, fire_on, cooldown, lane, asked_from)
         SELECT gen_random_uuid(), 1, NULL, script, replace(replace(program::text, '777', (2 + n % 700)::text), '12.5', (n / 1000.0)::text)::json,
                \"interval\", symbols, fire_on, cooldown, 1, asked_from
         FROM one, generate_series(1, {HEAVY}) AS n"
    ));
    until_within(PATIENCE, "the heavy ones are evaluated", || {
        session
            .one::<bool>("SELECT EXISTS (SELECT FROM vyx.cycles WHERE lane = 1 AND evaluated > 0)", &[])
            .then_some(())
    });
}

/// What a client needs that has the signals and inserts them itself.
fn plain(session: &Session, stage: &Stage) -> [f64; 2] {
    until_within(PATIENCE, "there are signals", || {
        session.one::<bool>(&format!("SELECT count(*) >= {SIGNALS} FROM vyx.signals"), &[]).then_some(())
    });
    let client = stage.cluster.session();
    client.run("CREATE TABLE plain (LIKE vyx.signals INCLUDING INDEXES); CREATE TABLE known AS SELECT * FROM vyx.signals LIMIT 0");
    client.run(&format!("INSERT INTO known SELECT * FROM vyx.signals LIMIT {SIGNALS}"));
    let times = (0..CLOSES.min(40)).map(|_| {
        let begun = Instant::now();
        client.run(
            "BEGIN; INSERT INTO plain SELECT gen_random_uuid(), seq, trader_id, trader_version, user_id, symbol, \"interval\", open_time,
                 close_time, price, metadata, kline_revision, engine, evaluated_at, lag_ms, created_at FROM known;
             NOTIFY plain; COMMIT",
        );
        begun.elapsed().as_secs_f64() * 1e3
    });
    spread(times.collect())
}

fn measure(stage: &Stage, session: &Session, what: &str, signals: usize, plain: Option<f64>) {
    until_within(PATIENCE, "a close has as many signals as it should have", || {
        let sql = "SELECT count(*) FROM vyx.signals WHERE close_time = (SELECT max(close_time) FROM vyx.signals)";
        (session.one::<i64>(sql, &[]) == signals as i64).then_some(())
    });
    let listener = Listener::new(stage);
    let evaluate = processes(session);
    let before: Vec<Duration> = evaluate.iter().map(|(_, process)| process.cpu()).collect();
    let begun = Instant::now();
    let from: i64 = session.one("SELECT coalesce(max(seq), 0) FROM vyx.signals", &[]);
    until_within(PATIENCE, "closes have passed", || {
        let sql = "SELECT count(DISTINCT close_time) FROM vyx.signals WHERE seq > $1";
        (session.one::<i64>(sql, &[&from]) > CLOSES as i64).then_some(())
    });
    let elapsed = begun.elapsed();
    let closings: BTreeMap<i64, i64> = stage
        .exchange
        .closings()
        .into_iter()
        .filter(|closing| closing.interval == vyx_sim::Interval::M1)
        .map(|closing| (closing.boundary - 1, closing.done))
        .collect();
    let heard = listener.heard();
    let sql = "SELECT (extract(epoch FROM close_time) * 1000)::bigint, max(seq), count(*) FROM vyx.signals
               WHERE seq > $1 GROUP BY 1 ORDER BY 1";
    let rows = session.rows(sql, &[&from]);
    let mut late = Vec::new();
    // The first and the last may be cut.
    for row in &rows[1..rows.len() - 1] {
        let (close_time, last, count): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(count, signals as i64, "signals of the close {close_time}");
        let word = heard.iter().find(|(seq, _)| *seq >= last);
        if let (Some((_, at)), Some(done)) = (word, closings.get(&close_time)) {
            late.push(((at - done) as f64 / 1e3, close_time));
        }
    }
    assert!(late.len() * 2 > CLOSES, "{} of {CLOSES} closes could be measured", late.len());
    let count = late.len();
    let (slowest, close_time) = late.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).expect("some were measured");
    let [median, p99] = spread(late.into_iter().map(|(late, _)| late).collect());
    let ratio = plain.map_or_else(String::new, |plain| format!(" ({:.1}x the plain insert)", median / plain));
    println!("  {what}: {median:7.1} ms median{ratio}, {p99:.1} p99 of {count}   (aim 10)");
    let sql = "SELECT wait_ms, evaluate_ms, write_ms FROM vyx.cycles WHERE \"interval\" = '1m' AND close_time = vyx.at($1) AND lane = 0";
    let split = &session.rows(sql, &[&close_time])[0];
    let [waited, evaluated, written] = [0, 1, 2].map(|column| split.get::<_, f64>(column));
    let rest = slowest - waited - evaluated - written;
    println!(
        "    the slowest: {slowest:.1} ms: {waited:.1} waited, {evaluated:.1} evaluated, {written:.1} written, {rest:.1} until woken, and from the commit to the word"
    );
    for ((name, process), before) in evaluate.iter().zip(before) {
        let share = (process.cpu() - before).as_secs_f64() / elapsed.as_secs_f64() * 100.0;
        println!("    {name}: {share:.0} % of a core, {:.0} MB of its own", process.memory().private as f64 / 1e6);
    }
}

/// The evaluating processes of the server.
fn processes(session: &Session) -> Vec<(String, Process)> {
    let sql = "SELECT backend_type, pid FROM pg_stat_activity WHERE backend_type LIKE 'vyx evaluate%' ORDER BY 1";
    session.rows(sql, &[]).iter().map(|row| (row.get(0), Process::of(row.get(1)))).collect()
}

/// Hears of signals on a connection and a thread of its own, with the moment of each word.
struct Listener(Arc<Mutex<Vec<(i64, i64)>>>);

impl Listener {
    fn new(stage: &Stage) -> Listener {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let socket = stage.cluster.socket().to_owned();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
            runtime.block_on(async {
                let mut config = Config::new();
                config.host_path(&socket).port(5432).user("postgres").dbname("postgres");
                let (client, mut connection) = config.connect(NoTls).await.expect("the server is there");
                let listen = client.batch_execute("LISTEN vyx_signals");
                let hear = async {
                    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                        let AsyncMessage::Notification(word) = message else { continue };
                        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
                        let said: serde_json::Value = serde_json::from_str(word.payload()).expect("is JSON");
                        let seq = said["seq"].as_i64().expect("a number");
                        kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((seq, at));
                    }
                };
                let (listening, ()) = futures_util::future::join(listen, hear).await;
                drop(listening);
            });
        });
        Listener(heard)
    }

    fn heard(&self) -> Vec<(i64, i64)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// Median and 99th percentile.
fn spread(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_unstable_by(f64::total_cmp);
    [0.5, 0.99].map(|share| times[((times.len() - 1) as f64 * share) as usize])
}
