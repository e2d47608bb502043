//! What one would write without vyx: a client that follows the same streams and keeps an ordinary table up to date by
//! upserts. It is a good one: typed JSON without copies, updates of a kline that wait together become one row, rows go
//! as arrays by one prepared statement, and no commit waits for the disk.

use crate::bench_process::Process;
use futures_util::StreamExt;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::LocalSet;
use tokio_postgres::{Client, Config, NoTls};
use tokio_tungstenite::tungstenite::Message;

/// Streams of a connection, below the exchange's 1,024.
const STREAMS: usize = 1_000;
/// Rows of a statement.
const ROWS: usize = 1_000;
/// Between two flushes where the last one took less: fewer and larger batches than at once, and still fresh.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Half full, so that an update of an open kline stays on its page and off the index.
pub const TABLE: &str = "CREATE TABLE klines (
    symbol text NOT NULL, \"interval\" text NOT NULL, open_time timestamptz NOT NULL,
    open float8 NOT NULL, high float8 NOT NULL, low float8 NOT NULL, close float8 NOT NULL, volume float8 NOT NULL,
    close_time timestamptz NOT NULL, quote_volume float8 NOT NULL, trades bigint NOT NULL,
    taker_buy_volume float8 NOT NULL, taker_buy_quote_volume float8 NOT NULL, is_closed bool NOT NULL,
    PRIMARY KEY (symbol, \"interval\", open_time)) WITH (fillfactor = 50)";

const UPSERT: &str = "INSERT INTO klines SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[],
        $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::timestamptz[],
        $10::float8[], $11::bigint[], $12::float8[], $13::float8[], $14::bool[])
    ON CONFLICT (symbol, \"interval\", open_time) DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, close_time = excluded.close_time, quote_volume = excluded.quote_volume,
        trades = excluded.trades, taker_buy_volume = excluded.taker_buy_volume,
        taker_buy_quote_volume = excluded.taker_buy_quote_volume, is_closed = excluded.is_closed";

#[derive(Deserialize)]
struct Frame<'a> {
    stream: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    k: Kline<'a>,
}

#[derive(Deserialize)]
struct Kline<'a> {
    t: u64,
    #[serde(rename = "T")]
    close_time: u64,
    o: &'a str,
    h: &'a str,
    l: &'a str,
    c: &'a str,
    v: &'a str,
    n: i64,
    x: bool,
    q: &'a str,
    #[serde(rename = "V")]
    taker_buy_volume: &'a str,
    #[serde(rename = "Q")]
    taker_buy_quote_volume: &'a str,
}

/// A row to be: open, high, low, close, volume, quote volume, taker-buy volume and quote volume.
struct Row {
    close_time: u64,
    numbers: [f64; 8],
    trades: i64,
    closed: bool,
    /// When the oldest update came that the table does not have.
    since: Instant,
}

/// Updates that wait, by place of the series and open time.
#[derive(Default)]
struct Waiting {
    rows: HashMap<(usize, u64), Row>,
    messages: u64,
}

/// What the client did while it was watched.
pub struct Upserted {
    pub messages_per_second: f64,
    pub rows_per_second: f64,
    /// Processor time of the client's thread and of its backend, by real time.
    pub client_share: f64,
    pub backend_share: f64,
    /// From the arrival of a message to the commit of its batch, of the oldest message of each batch.
    pub lags: Vec<Duration>,
}

/// Follows these series for `warm_up`, then is watched `for_so_long`.
pub fn follow(
    config: &Config,
    exchange: SocketAddr,
    series: &[(String, String)],
    warm_up: Duration,
    for_so_long: Duration,
) -> Upserted {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let (client, connection) = config.connect(NoTls).await.expect("a session");
        tokio::task::spawn_local(connection);
        client.batch_execute("SET synchronous_commit = off").await.expect("a setting");
        let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a number").get(0);
        let waiting = Rc::new(RefCell::new(Waiting::default()));
        let names: Rc<HashMap<String, usize>> = Rc::new(
            series
                .iter()
                .enumerate()
                .map(|(place, (symbol, interval))| (format!("{}@kline_{interval}", symbol.to_lowercase()), place))
                .collect(),
        );
        let streams: Vec<&String> = names.keys().collect();
        for streams in streams.chunks(STREAMS) {
            let streams = streams.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("/");
            let url = format!("ws://{exchange}/stream?streams={streams}");
            tokio::task::spawn_local(listen(url, names.clone(), waiting.clone()));
        }
        let backend = Process::of(backend);
        // This thread's: it does nothing else.
        let thread = Process::this_thread();
        write(&client, series, &waiting, Instant::now() + warm_up).await;
        let (begun, messages) = (Instant::now(), waiting.borrow().messages);
        let (client_cpu, backend_cpu) = (thread.cpu(), backend.cpu());
        let (rows, lags) = write(&client, series, &waiting, begun + for_so_long).await;
        let took = begun.elapsed().as_secs_f64();
        Upserted {
            messages_per_second: (waiting.borrow().messages - messages) as f64 / took,
            rows_per_second: rows as f64 / took,
            client_share: (thread.cpu() - client_cpu).as_secs_f64() / took,
            backend_share: (backend.cpu() - backend_cpu).as_secs_f64() / took,
            lags,
        }
    })
}

async fn listen(url: String, names: Rc<HashMap<String, usize>>, waiting: Rc<RefCell<Waiting>>) {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("the simulator accepts");
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.expect("a frame") else { continue };
        let frame: Frame = serde_json::from_str(&text).expect("a kline");
        let kline = frame.data.k;
        let number = |text: &str| text.parse().expect("a number");
        let row = Row {
            close_time: kline.close_time,
            numbers: [
                kline.o,
                kline.h,
                kline.l,
                kline.c,
                kline.v,
                kline.q,
                kline.taker_buy_volume,
                kline.taker_buy_quote_volume,
            ]
            .map(number),
            trades: kline.n,
            closed: kline.x,
            since: Instant::now(),
        };
        let mut waiting = waiting.borrow_mut();
        waiting.messages += 1;
        let key = (names[frame.stream], kline.t);
        let since = waiting.rows.get(&key).map_or(row.since, |older| older.since);
        waiting.rows.insert(key, Row { since, ..row });
    }
    panic!("the simulator has cut the connection: the client does not keep up");
}

/// Writes what waits, again and again; how many rows that were, and the lag of each batch.
async fn write(
    client: &Client,
    series: &[(String, String)],
    waiting: &RefCell<Waiting>,
    until: Instant,
) -> (usize, Vec<Duration>) {
    let statement = client.prepare(UPSERT).await.expect("a good statement");
    let (mut count, mut lags) = (0, Vec::new());
    while Instant::now() < until {
        let next = Instant::now() + FLUSH_EVERY;
        let rows: Vec<((usize, u64), Row)> = waiting.borrow_mut().rows.drain().collect();
        for rows in rows.chunks(ROWS) {
            let names = |name: fn(&(String, String)) -> &str| -> Vec<&str> {
                rows.iter().map(|((place, _), _)| name(&series[*place])).collect()
            };
            let (symbols, intervals) = (names(|series| &series.0), names(|series| &series.1));
            let open_times: Vec<SystemTime> = rows.iter().map(|((_, open), _)| time(*open)).collect();
            let close_times: Vec<SystemTime> = rows.iter().map(|(_, row)| time(row.close_time)).collect();
            let n = |place: usize| -> Vec<f64> { rows.iter().map(|(_, row)| row.numbers[place]).collect() };
            let trades: Vec<i64> = rows.iter().map(|(_, row)| row.trades).collect();
            let closed: Vec<bool> = rows.iter().map(|(_, row)| row.closed).collect();
            let written = client
                .execute(
                    &statement,
                    &[
                        &symbols,
                        &intervals,
                        &open_times,
                        &n(0),
                        &n(1),
                        &n(2),
                        &n(3),
                        &n(4),
                        &close_times,
                        &n(5),
                        &trades,
                        &n(6),
                        &n(7),
                        &closed,
                    ],
                )
                .await
                .expect("rows are written");
            count += written as usize;
            lags.extend(rows.iter().map(|(_, row)| row.since.elapsed()).max());
        }
        tokio::time::sleep_until(next.into()).await;
    }
    (count, lags)
}

fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}
