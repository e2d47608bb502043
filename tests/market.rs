//! What SQL shows of the market is what the exchange has, to the last digit.

use crate::harness::{Session, Stage, Truth, millis, until};
use std::time::SystemTime;

const DEMONSTRATION: [&str; 20] = [
    "BTCUSDT",
    "ETHUSDT",
    "BNBUSDT",
    "SOLUSDT",
    "XRPUSDT",
    "ADAUSDT",
    "DOGEUSDT",
    "LTCUSDT",
    "LINKUSDT",
    "AVAXUSDT",
    "DOTUSDT",
    "TRXUSDT",
    "SHIBUSDT",
    "PEPEUSDT",
    "1000SATSUSDT",
    "UNIUSDT",
    "USDCUSDT",
    "币安人生USDT",
    "ACAUSDT",
    "PHAUSDT",
];
const HOUR: i64 = 3_600_000;

#[test]
fn every_kline_of_twenty_symbols_and_six_intervals_is_the_truth() {
    let stage = Stage::start("market", &DEMONSTRATION, Stage::speed(60.0), &[]);
    let session = stage.cluster.session();
    stage.settle(&session);
    // Beyond midnight, so that klines of every interval were closed by the streams.
    stage.reach(&session, crate::harness::START + HOUR / 12);
    stage.settle(&session);
    let series: i64 = session.one("SELECT count(*) FROM vyx_series()", &[]);
    assert_eq!(series, 120);
    stage.check(&session);
    check_tickers(&session, &stage.truth);

    let health =
        &session.rows("SELECT bad_frames, dropped, refused_klines, reconnects, closes FROM vyx_health()", &[])[0];
    assert_eq!([0, 1, 2, 3].map(|column| health.get::<_, i64>(column)), [0; 4]);
    assert!(health.get::<_, i64>(4) > 100, "the streams closed klines of every symbol");

    // Nothing changes any more once the exchange is gone, and every reader shows the same.
    let Stage { exchange, cluster, .. } = stage;
    exchange.stop().expect("the simulator stops");
    until("the feed notices", || {
        session
            .one::<bool>(
                "SELECT status = 'down' AND reason LIKE 'no connection to the exchange: _%' FROM vyx_health()",
                &[],
            )
            .then_some(())
    });
    check_readers(&cluster.session());
}

#[test]
fn weeks_and_months_are_the_truth() {
    let stage =
        Stage::start("calendar", &["BTCUSDT", "币安人生USDT"], Stage::speed(60.0), &[("vyx.intervals", "1d,1w,1M")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.reach(&session, crate::harness::START + HOUR / 12);
    stage.settle(&session);
    stage.check(&session);
    // The month that has just begun began on a Monday, and so did the week.
    let opened: i64 = session.one(
        "SELECT count(DISTINCT open_time) FROM vyx_snapshot('1w') w FULL JOIN vyx_snapshot('1M') m USING (symbol, open_time)",
        &[],
    );
    assert_eq!(opened, 1);
}

fn check_tickers(session: &Session, truth: &Truth) {
    let rows = session.rows("SELECT * FROM vyx_tickers()", &[]);
    assert_eq!(rows.len(), DEMONSTRATION.len());
    for row in rows {
        let symbol: &str = row.get("symbol");
        let at = millis(row.get::<_, SystemTime>("event_time"));
        let is = ["last_price", "open_price", "high_price", "low_price", "volume", "quote_volume"]
            .map(|column| row.get::<_, f64>(column));
        assert_eq!(Some(is), truth.ticker(symbol, at), "{symbol} at {at}");
        let [last, open, ..] = is;
        assert_eq!(row.get::<_, f64>("price_change"), last - open, "{symbol}");
        let percent: f64 = row.get("price_change_percent");
        assert!((percent - (last / open - 1.0) * 100.0).abs() < 1e-9, "{symbol}: {percent}");
    }
}

fn check_readers(session: &Session) {
    let all = |sql: &str| {
        let wrong: Vec<String> = session
            .rows(sql, &[])
            .iter()
            .map(|row| format!("{} {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?} by\n{sql}");
    };
    all("SELECT s.symbol, s.\"interval\" FROM vyx_series() s
         WHERE vyx_closes(s.symbol, s.\"interval\", 500) IS DISTINCT FROM
             ARRAY(SELECT close FROM vyx_klines(s.symbol, s.\"interval\", 500, include_open => false))");
    all("SELECT s.symbol, s.\"interval\" FROM vyx_series() s, vyx_columns(s.symbol, s.\"interval\", 500, true) c
         WHERE (c.t, c.o, c.h, c.l, c.c, c.v) IS DISTINCT FROM (
             SELECT ROW(array_agg(extract(epoch FROM open_time)::bigint), array_agg(open), array_agg(high),
                        array_agg(low), array_agg(close), array_agg(volume))
             FROM vyx_klines(s.symbol, s.\"interval\", 500))");
    all("SELECT i.i, s.symbol FROM unnest('{1m,5m,15m,1h,4h,1d}'::text[]) AS i(i), vyx_snapshot(i.i) s
         WHERE (s.open_time, s.open, s.high, s.low, s.close, s.volume, s.close_time, s.quote_volume, s.trades,
                s.taker_buy_volume, s.taker_buy_quote_volume, s.is_closed) IS DISTINCT FROM 
                   (SELECT k FROM vyx_klines(s.symbol, i.i, 1) k)");
    all("SELECT s.symbol, s.\"interval\" FROM vyx_series() s
         WHERE (s.klines, s.first_open_time, s.last_open_time) IS DISTINCT FROM (
             SELECT ROW(count(*), min(open_time), max(open_time)) FROM vyx_klines(s.symbol, s.\"interval\", 65536))");
    // Lower case is folded, a page ends before the moment asked for, and `limit` takes the newest.
    all("SELECT 'paging', s.symbol FROM vyx_symbols() s
         WHERE ARRAY(SELECT open_time FROM vyx_klines(s.symbol, '5m', 20)) IS DISTINCT FROM
             ARRAY(SELECT open_time FROM vyx_klines(s.symbol, '5m', 10,
                       before => (SELECT min(open_time) FROM vyx_klines(lower(s.symbol), '5m', 10)))
                   UNION ALL SELECT open_time FROM vyx_klines(s.symbol, '5m', 10) ORDER BY 1)");
}
