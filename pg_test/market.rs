//! The market's readers: values, order, limits, errors.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{FIRST, check_failure, kline, one, symbol};
    use pgrx::prelude::*;
    use vyx_core::{GapReason, Interval, Millis, Ticker};

    /// Puts `closed` closed klines and an open one into a 1m series of its own.
    fn fill(name: &str, closed: i64) {
        let (writer, id) = symbol(name);
        let series = writer.store().series(id, Interval::M1).expect("1m is tracked");
        for n in 0..closed {
            writer.put_kline(series, &kline(n, 100.0 + n as f64, true));
        }
        writer.put_kline(series, &kline(closed, 100.0 + closed as f64, false));
        writer.put_ticker(
            id,
            &Ticker {
                last_price: 110.0,
                open_price: 100.0,
                high_price: 120.0,
                low_price: 90.0,
                volume: 5.0,
                quote_volume: 500.0,
                event_time: Millis(FIRST),
            },
        );
    }

    #[pg_test]
    fn klines_come_oldest_first_with_the_open_one_last() {
        fill("KLINES1USDT", 5);
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx_klines('KLINES1USDT','1m')"), 6);
        let newest =
            "SELECT array_agg(close)::text || array_agg(is_closed)::text FROM vyx_klines('klines1usdt','1m',3)";
        assert_eq!(one::<String>(newest), "{104,105,106}{t,t,f}");
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx_klines('KLINES1USDT','1m',3, false) WHERE is_closed"), 3);
        let times =
            "SELECT (min(open_time) = '2026-11-20 12:00:00+00' AND min(close_time) = '2026-11-20 12:00:59.999+00')
                     FROM vyx_klines('KLINES1USDT','1m')";
        assert!(one::<bool>(times));
        let before = "SELECT max(close) FROM vyx_klines('KLINES1USDT','1m', before => '2026-11-20 12:02:00+00')";
        assert_eq!(one::<f64>(before), 102.0);
    }

    #[pg_test]
    fn a_gap_is_a_row_from_when_it_is_noticed_to_its_end() {
        let (writer, id) = symbol("GAPS1USDT");
        let store = writer.store();
        let series = store.series(id, Interval::M1).expect("1m is tracked");
        [0, 1, 5].iter().for_each(|n| assert!(writer.put_kline(series, &kline(*n, 100.0, true)).accepted()));
        writer.set_first_ever(series, Interval::M1.ordinal(Millis(FIRST)));
        let settled = Millis(FIRST) + Millis(6 * 60_000 - 1);
        store.raise_market_time(settled);
        assert_eq!(writer.missing(series, settled, GapReason::MissedClose).map(|(_, count)| count), Some(3));
        let rows = || {
            one::<String>(
                "SELECT string_agg(concat_ws(' ', to_char(from_open AT TIME ZONE 'UTC', 'HH24:MI'),
                     to_char(to_open AT TIME ZONE 'UTC', 'HH24:MI'), klines, reason, coalesce(resolution, 'open'),
                     detected_at IS NOT NULL, resolved_at IS NOT NULL), ', ' ORDER BY from_open)
                 FROM vyx_gaps() WHERE symbol = 'GAPS1USDT'",
            )
        };
        assert_eq!(rows(), "12:02 12:04 3 missed close open t f");
        assert!(writer.put_kline(series, &kline(3, 100.0, true)).accepted());
        let first = Interval::M1.ordinal(Millis(FIRST));
        assert_eq!(writer.confirm(series, first + 2, first + 4), 2);
        let absent = |at| format!("{at} {at} 1 missed close confirmed_absent t t");
        assert_eq!(
            rows(),
            format!("{}, 12:03 12:03 1 missed close repaired t t, {}", absent("12:02"), absent("12:04"))
        );
        assert_eq!(one::<i64>("SELECT gaps_open FROM vyx_health()"), 0);
        writer.remove_symbol(id);
    }

    #[pg_test]
    fn closes_and_columns_agree_with_the_rows() {
        fill("COLUMNS1USDT", 4);
        assert_eq!(one::<Vec<f64>>("SELECT vyx_closes('COLUMNS1USDT','1m',3)"), [102.0, 103.0, 104.0]);
        let columns = "SELECT bool_and(a.t = k.t AND a.o = k.o AND a.h = k.h AND a.l = k.l AND a.c = k.c AND a.v = k.v)
            FROM vyx_columns('COLUMNS1USDT','1m',10) AS a,
            (SELECT array_agg(extract(epoch FROM open_time)::bigint) AS t, array_agg(open) AS o, array_agg(high) AS h,
                    array_agg(low) AS l, array_agg(close) AS c, array_agg(volume) AS v
             FROM vyx_klines('COLUMNS1USDT','1m',10,false)) AS k";
        assert!(one::<bool>(columns));
        let newest = "SELECT close FROM vyx_snapshot('1m') WHERE symbol = 'COLUMNS1USDT' AND NOT is_closed";
        assert_eq!(one::<f64>(newest), 105.0);
    }

    #[pg_test]
    fn a_ticker_carries_its_change() {
        fill("TICKER1USDT", 1);
        let ticker = "SELECT price_change || ' ' || price_change_percent FROM vyx_ticker('TICKER1USDT')";
        assert_eq!(one::<String>(ticker), "10 10");
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx_tickers() WHERE symbol = 'TICKER1USDT'"), 1);
        let symbol = "SELECT base || quote || status || tick_size || coalesce(step_size::text, 'null')
                      FROM vyx_symbols() WHERE symbol = 'TICKER1USDT'";
        assert_eq!(one::<String>(symbol), "AAAUSDTTRADING0.01null");
        let series = "SELECT klines FROM vyx_series() WHERE symbol = 'TICKER1USDT' AND \"interval\" = '1m'";
        assert_eq!(one::<i64>(series), 2);
    }

    #[pg_test]
    fn wrong_words_are_told_with_the_remedy() {
        fill("ERRORS1USDT", 1);
        check_failure("SELECT * FROM vyx_klines('ERRORS1USDT','7m')", "22023", &["unknown interval \"7m\"", "1m, 3m"]);
        check_failure("SELECT * FROM vyx_klines('ERRORS1USDT','4h')", "22023", &["not tracked", "1m, 1h"]);
        check_failure("SELECT * FROM vyx_klines('NOSUCHUSDT','1m')", "42704", &["NOSUCHUSDT", "vyx_symbols()"]);
        check_failure("SELECT * FROM vyx_klines('A/B','1m')", "22023", &["malformed symbol", "'/'"]);
        check_failure("SELECT * FROM vyx_klines(repeat('A', 200),'1m')", "22023", &["200 bytes"]);
        check_failure("SELECT * FROM vyx_klines('ERRORS1USDT','1m',0)", "22023", &["limit 0"]);
        check_failure("SELECT * FROM vyx_klines('ERRORS1USDT','1m',-5)", "22023", &["limit -5"]);
        check_failure("SELECT * FROM vyx_klines(NULL,'1m')", "22004", &["symbol"]);
        check_failure("SELECT * FROM vyx_klines('ERRORS1USDT',NULL)", "22004", &["interval"]);
        check_failure("SELECT * FROM vyx_klines('ERRORS1USDT','1m',NULL)", "22004", &["limit"]);
        check_failure("SELECT vyx_closes('ERRORS1USDT','1h',5)", "53000", &["have arrived yet", "vyx_health()"]);
        check_failure("SELECT * FROM vyx_ticker('NOSUCHUSDT')", "42704", &[]);
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx_klines('NOSUCHUSDT','1m', missing_ok => true)"), 0);
    }

    #[pg_test]
    fn health_says_in_words_that_the_exchange_cannot_be_reached() {
        let health = "SELECT status || ': ' || reason FROM vyx_health()";
        assert!(one::<String>(health).starts_with("down: "), "{}", one::<String>(health));
        assert_eq!(one::<String>("SELECT vyx_version()"), env!("CARGO_PKG_VERSION"));
    }

    #[pg_test]
    fn settings_cannot_be_made_up_or_set_by_a_session() {
        check_failure("SET vyx.made_up = 1", "42602", &["vyx.made_up"]);
        check_failure("SET vyx.symbols = 'BTCUSDT'", "55P02", &[]);
    }
}
