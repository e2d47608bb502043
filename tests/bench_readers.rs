//! Many sessions that read series at random, and look at what they get.

use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

pub const SESSIONS: usize = 64;

/// What the sessions ask for, with symbol and interval as parameters, and what is wrong with an answer.
pub struct Question {
    pub what: &'static str,
    pub sql: &'static str,
    pub check: fn(&[Row]) -> Option<String>,
}

pub struct Answers {
    /// Sorted.
    pub times: Vec<Duration>,
    pub klines: usize,
    pub per_second: f64,
}

impl Answers {
    pub fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)]
    }
}

/// Has [`SESSIONS`] sessions ask for so long, each again at once, or at a pace.
///
/// # Panics
/// At a wrong answer.
pub fn ask(
    config: &Config,
    question: &Question,
    series: &[(String, String)],
    for_so_long: Duration,
    pace: Option<Duration>,
) -> Answers {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let (client, connection) = config.connect(NoTls).await.expect("a session");
            tokio::spawn(connection);
            let statement = client.prepare(question.sql).await.expect("a good statement");
            // The first call of a backend loads the library and makes plans.
            client.query(&statement, &[&series[0].0, &series[0].1]).await.expect("an answer");
            sessions.push((client, statement));
        }
        let begun = Instant::now();
        let tasks: Vec<_> = sessions
            .into_iter()
            .enumerate()
            .map(|(number, (client, statement))| {
                let (series, check, begun) = (series.to_vec(), question.check, begun);
                // At a pace, they come one after the other.
                let first = pace.map_or(Duration::ZERO, |pace| pace * number as u32 / SESSIONS as u32);
                let session = Reader { client, statement, series, check, number };
                tokio::spawn(session.read(begun, first, begun + for_so_long, pace))
            })
            .collect();
        let (mut times, mut klines) = (Vec::new(), 0);
        for task in tasks {
            let (more, read) = task.await.expect("no wrong answer");
            times.extend(more);
            klines += read;
        }
        let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
        times.sort_unstable();
        Answers { times, klines, per_second }
    })
}

struct Reader {
    client: Client,
    statement: Statement,
    series: Vec<(String, String)>,
    check: fn(&[Row]) -> Option<String>,
    number: usize,
}

impl Reader {
    async fn read(
        self,
        begun: Instant,
        first: Duration,
        until: Instant,
        pace: Option<Duration>,
    ) -> (Vec<Duration>, usize) {
        let (mut times, mut klines) = (Vec::new(), 0);
        let mut next = begun + first;
        // Each session its own way through the series, by a step that meets them all.
        let mut place = self.number * 7_919;
        while Instant::now() < until {
            if let Some(pace) = pace {
                tokio::time::sleep_until(next.into()).await;
                next += pace;
            }
            place += 1_000_003;
            let (symbol, interval) = &self.series[place % self.series.len()];
            let start = Instant::now();
            let rows = self.client.query(&self.statement, &[symbol, interval]).await.expect("an answer");
            times.push(start.elapsed());
            if let Some(wrong) = (self.check)(&rows) {
                panic!("{symbol} {interval}: {wrong}");
            }
            klines += rows.len();
        }
        (times, klines)
    }
}

/// What is wrong with klines, of which only the newest may be open.
pub fn implausible(rows: &[Row]) -> Option<String> {
    let open = rows.iter().rev().skip(1).position(|row| !row.get::<_, bool>("is_closed"));
    open.map(|back| format!("the kline {} before the newest is open", back + 1)).or_else(|| torn(rows))
}

/// A torn kline would hold numbers of two moments: a low above the close, a close time of another candle, or one
/// candle twice.
pub fn torn(rows: &[Row]) -> Option<String> {
    if rows.len() != 100 {
        return Some(format!("{} klines", rows.len()));
    }
    let mut before = SystemTime::UNIX_EPOCH;
    for (place, row) in rows.iter().enumerate() {
        let number = |name: &str| row.get::<_, f64>(name);
        let [open, high, low, close] = ["open", "high", "low", "close"].map(number);
        let (volume, buys) = (number("volume"), number("taker_buy_volume"));
        let (open_time, close_time): (SystemTime, SystemTime) = (row.get("open_time"), row.get("close_time"));
        let good = low > 0.0
            && low <= open.min(close)
            && high >= open.max(close)
            && (0.0..=volume).contains(&buys)
            && open_time > before
            && close_time > open_time;
        if !good {
            return Some(format!(
                "kline {place}: {open} {high} {low} {close}, volume {volume}, bought {buys}, {open_time:?} to {close_time:?}"
            ));
        }
        before = open_time;
    }
    None
}

/// One row with an array of prices.
pub fn no_prices(rows: &[Row]) -> Option<String> {
    let closes: Vec<f64> = rows.first()?.get(0);
    let good = closes.len() == 100 && closes.iter().all(|close| *close > 0.0 && close.is_finite());
    (!good).then(|| format!("{closes:?}"))
}
