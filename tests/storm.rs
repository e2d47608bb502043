//! Processes are killed at random moments, again and again, while many traders are evaluated. Afterwards there is the
//! signal of every rule on every candle that the market had, and no other.

use crate::harness::{MINUTE, Session, Stage, millis, signal, until, until_within};
use crate::signals::check_accounts;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use vyx_sim::{Settings, Symbol};

const SYMBOLS: usize = 50;
const TRADERS: usize = 200;
/// Closes a kill, on average; 12 kills then take 200.
const CLOSES_A_KILL: i64 = 17;
/// Five closes a second. A server is back within some ten of them, and may be away for 256.
const SPEED: f64 = 300.0;

/// A row of the environment, for longer storms and others: `VYX_STORM_KILLS`, `VYX_STORM_SEED`.
fn chosen(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A run of closes, each beyond the one before, that ended so many candles ago.
struct Rule {
    name: String,
    rising: bool,
    length: usize,
    ago: usize,
    /// Fires at each candle and not only at the first.
    every: bool,
}

impl Rule {
    fn all() -> Vec<Rule> {
        let rule = |n: usize| Rule {
            name: format!("run {n}"),
            rising: n.is_multiple_of(2),
            length: 6 + n / 2 % 5,
            ago: n / 10,
            every: n.is_multiple_of(7),
        };
        (0..TRADERS).map(rule).collect()
    }

    fn script(&self) -> String {
        let sign = if self.rising { '>' } else { '<' };
        let step = |n: usize| format!("close[{}] {sign} close[{}]", n, n + 1);
        (self.ago..self.ago + self.length).map(step).collect::<Vec<_>>().join(" && ")
    }

    /// What the script means, of the newest of these closes.
    fn matches(&self, closes: &[f64]) -> bool {
        let run = &closes[closes.len() - 1 - self.ago - self.length..closes.len() - self.ago];
        run.windows(2).all(|pair| if self.rising { pair[1] > pair[0] } else { pair[1] < pair[0] })
    }

    fn fires(&self, closes: &[f64]) -> bool {
        self.matches(closes) && (self.every || !self.matches(&closes[..closes.len() - 1]))
    }

    fn depth(&self) -> usize {
        self.ago + self.length + 2
    }
}

/// Enough randomness to choose moments and victims by (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Keeps at something in sessions of its own, whatever becomes of them, until the storm is over.
fn keep_at(socket: &Path, over: &AtomicBool, work: impl Fn(&Session)) {
    while !over.load(Ordering::Relaxed) {
        match Session::connect(socket, "postgres") {
            Ok(session) => work(&session),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

#[test]
fn after_a_storm_of_kills_there_is_every_signal_once_and_no_other() {
    let (kills, seed) = (chosen("VYX_STORM_KILLS", 12) as i64, chosen("VYX_STORM_SEED", 20_261_127));
    eprintln!("{kills} kills by seed {seed}");
    let listed = |n: usize| {
        let base = format!("S{}{}", char::from(b'A' + (n / 26) as u8), char::from(b'A' + (n % 26) as u8));
        Symbol::new(&base, "USDT", 3.0 + n as f64, 0.05, 200_000).listed_on("2020-01-01")
    };
    let symbols: Vec<Symbol> = (0..SYMBOLS).map(listed).collect();
    let names: Vec<String> = symbols.iter().map(|symbol| symbol.name.clone()).collect();
    // Only closes matter: open candles are told once in a while.
    let exchange = Settings { symbols, update_floor: Duration::from_secs(2), ..Stage::speed(SPEED) };
    let settings = [
        ("vyx.intervals", "1m"),
        ("vyx.max_symbols", "64"),
        ("vyx.snapshot_interval", "1"),
        ("vyx.evaluate_worker", "off"),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stage = Stage::start("storm", &names, exchange, &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules = Rule::all();
    let (titles, scripts): (Vec<&str>, Vec<String>) =
        rules.iter().map(|rule| (rule.name.as_str(), rule.script())).unzip();
    let every: Vec<bool> = rules.iter().map(|rule| rule.every).collect();
    session.rows(
        "INSERT INTO vyx.traders (user_id, name, fire_on, state, script)
         SELECT NULL, u.name, CASE WHEN u.every THEN 'match' ELSE 'edge' END, 'running', u.script
         FROM unnest($1::text[], $2::boolean[], $3::text[]) AS u(name, every, script)",
        &[&titles, &every, &scripts],
    );
    stage.start_worker(&session);
    until("signals", || session.one::<bool>("SELECT count(*) > 5 FROM vyx.signals", &[]).then_some(()));
    drop(session);

    let (over, socket) = (AtomicBool::new(false), stage.cluster.socket().to_owned());
    let told = std::thread::scope(|scope| {
        scope.spawn(|| keep_at(&socket, &over, |session| drop(session.try_run("CALL vyx_evaluate(stay => '1 s')"))));
        scope.spawn(|| {
            keep_at(&socket, &over, |session| {
                let save =
                    "INSERT INTO vyx.traders (user_id, name, script) VALUES (NULL, 'saved', 'close > ema(close, 20)')";
                drop(session.try_run(save));
            })
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| storm(&mut stage, kills, seed)));
        over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    eprintln!("killed: {told:?}");
    assert_eq!(told.values().sum::<i64>(), kills);

    let session = stage.cluster.session();
    let target = stage.exchange.market_time() + 5 * MINUTE;
    let through = target - target.rem_euclid(MINUTE) - 1;
    until_within(Duration::from_secs(90), "everything due has been evaluated", || {
        let due = "SELECT count(*) >= $2 AND min(evaluated_through) >= vyx.at($1) FROM vyx.watermarks";
        session.one::<bool>(due, &[&through, &(SYMBOLS as i64)]).then_some(())
    });
    check_accounts(&session, through);
    compare(&stage, &session, &rules, &names, through);
}

/// Kills so many processes, each after some closes; how many of which kind.
fn storm(stage: &mut Stage, kills: i64, seed: u64) -> BTreeMap<&'static str, i64> {
    let mut chance = Chance(seed.max(1));
    let mut told = BTreeMap::new();
    for _ in 0..kills {
        let at = stage.exchange.market_time() + CLOSES_A_KILL * MINUTE + chance.below(MINUTE as u64) as i64;
        until("time passes", || (stage.exchange.market_time() >= at).then_some(()));
        let victim = ["evaluate", "ingest", "compiler", "caller", "postmaster"][chance.below(5) as usize];
        *told.entry(victim).or_default() += 1;
        if victim == "postmaster" {
            stage.cluster.kill();
            // As long as a session lives that has not noticed, the next server refuses to start.
            until("the server starts again", || stage.cluster.run().ok());
            continue;
        }
        let pid = until(victim, || {
            let session = stage.cluster.session();
            let question = match victim {
                "evaluate" => "SELECT evaluate_pid FROM vyx_health()",
                "ingest" => "SELECT ingest_pid FROM vyx_health()",
                "caller" => "SELECT max(pid) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND state = 'active'",
                _ => "SELECT max(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND state = 'active'",
            };
            let pid = session.try_rows(question, &[]).ok()?.first()?.try_get::<_, Option<i32>>(0).ok()??;
            if victim == "compiler" { compiler_of(pid) } else { Some(pid) }
        });
        signal(pid, libc::SIGKILL);
    }
    told
}

/// The compiler that a saving session has running, if it starts one soon.
pub fn compiler_of(session: i32) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        let children = std::fs::read_to_string(format!("/proc/{session}/task/{session}/children")).ok()?;
        if let Some(child) = children.split_whitespace().next() {
            return child.parse().ok();
        }
    }
    None
}

/// What was written is what the rules say of the market, with the names that follow from it.
fn compare(stage: &Stage, session: &Session, rules: &[Rule], symbols: &[&str], through: i64) {
    let rows = session.rows(
        "SELECT DISTINCT t.name, v.effective_from FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id",
        &[],
    );
    let begin: BTreeMap<String, i64> =
        rows.iter().map(|row| (row.get(0), millis(row.get::<_, SystemTime>(1)))).collect();
    assert_eq!(begin.len(), rules.len());
    let deepest = rules.iter().map(Rule::depth).max().expect("there are rules") as i64;
    let from = begin.values().min().expect("there are rules") - (deepest + 1) * MINUTE;
    let mut should = BTreeMap::new();
    for symbol in symbols {
        let candles = stage.truth.closed(symbol, "1m", from, through + 1);
        let closes: Vec<f64> = candles.iter().map(|candle| candle.close()).collect();
        for rule in rules {
            for (index, candle) in candles.iter().enumerate().skip(deepest as usize) {
                if candle.close_time >= begin[&rule.name] && rule.fires(&closes[..=index]) {
                    should.insert((rule.name.clone(), symbol.to_string(), candle.close_time), candle.close());
                }
            }
        }
    }
    let rows = session.rows(
        "SELECT t.name, s.symbol, s.close_time, s.price FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id
         WHERE s.close_time <= vyx.at($1)",
        &[&through],
    );
    let is: BTreeMap<(String, String, i64), f64> =
        rows.iter().map(|row| ((row.get(0), row.get(1), millis(row.get::<_, SystemTime>(2))), row.get(3))).collect();
    assert_eq!(is.len(), rows.len(), "none is written twice");
    let missing: Vec<_> = should.iter().filter(|(key, price)| is.get(key) != Some(price)).take(5).collect();
    let unwanted: Vec<_> = is.iter().filter(|(key, price)| should.get(key) != Some(price)).take(5).collect();
    assert!(
        missing.is_empty() && unwanted.is_empty(),
        "{} signals expected, {} written; missing {missing:#?}; unwanted {unwanted:#?}",
        should.len(),
        is.len()
    );
    eprintln!("{} signals", is.len());
    assert!(is.len() > 2_000, "{} signals are too few to prove anything", is.len());

    // The names by the rule that is written down for them, computed by somebody else than vyx.
    session.run("CREATE EXTENSION pgcrypto");
    let misnamed = "SELECT s.id::text FROM vyx.signals s
        CROSS JOIN LATERAL substr(digest(
            '\\x767978005349474e8000414c53300001'::bytea || uuid_send(s.trader_id) || int8send(s.trader_version)
                || int8send((extract(epoch FROM s.close_time) * 1000)::bigint) || convert_to(s.\"interval\", 'UTF8')
                || '\\x00'::bytea || convert_to(s.symbol, 'UTF8'), 'sha1'), 1, 16) AS h
        WHERE uuid_send(s.id) <> set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 80), 8, get_byte(h, 8) & 63 | 128)";
    let misnamed = session.rows(misnamed, &[]);
    assert!(misnamed.is_empty(), "{} of other names", misnamed.len());
}
