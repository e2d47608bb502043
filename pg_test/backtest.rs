//! Rules over the past, compared with what SQL computes from the same klines.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{check_failure, fill, one};
    use pgrx::prelude::*;

    /// What a backtest of `close > 110` should say of a symbol, from its klines.
    fn truth(symbol: &str, condition: &str) -> String {
        format!(
            "SELECT string_agg(concat_ws(' ', open_time, close, r1, r5, r20), ', ' ORDER BY open_time)
             FROM (SELECT *, lag(close > 110) OVER w AS before,
                          100 * (lead(close, 1) OVER w - close) / close AS r1,
                          100 * (lead(close, 5) OVER w - close) / close AS r5,
                          100 * (lead(close, 20) OVER w - close) / close AS r20,
                          row_number() OVER (ORDER BY open_time DESC) AS age
                   FROM vyx_klines('{symbol}', '1m', 100) WINDOW w AS (ORDER BY open_time)) AS k
             WHERE close > 110 AND age <= 50 AND {condition}"
        )
    }

    fn said(symbol: &str, fire_on: &str) -> String {
        one(&format!(
            "SELECT string_agg(concat_ws(' ', open_time, price, ret_1, ret_5, ret_20), ', ' ORDER BY open_time)
             FROM vyx_backtest('{{{symbol}}}', '1m', 50, 'close > 110', '{fire_on}')"
        ))
    }

    #[pg_test]
    fn hits_and_returns_equal_what_sql_computes_from_the_klines() {
        fill("BACKTEST1USDT", 70, true);
        let edges = said("BACKTEST1USDT", "edge");
        assert_eq!(edges, one::<String>(&truth("BACKTEST1USDT", "NOT before")));
        let matches = said("BACKTEST1USDT", "match");
        assert_eq!(matches, one::<String>(&truth("BACKTEST1USDT", "true")));
        assert!(edges.matches(',').count() > 5 && matches.len() > edges.len(), "{edges}\n{matches}");
        let fields = "SELECT bool_and(metadata = jsonb_build_object('twice', 2 * price, 'side', 'long'))
                      FROM vyx_backtest('{backtest1usdt}', '1m', 50, '#{ fire: close > 110, twice: 2 * close, side: \"long\" }')";
        assert!(one::<bool>(fields));
    }

    #[pg_test]
    fn a_summary_counts_what_the_rows_show() {
        fill("BACKTEST2USDT", 60, true);
        fill("BACKTEST3USDT", 40, false);
        let all = "'{BACKTEST2USDT,BACKTEST3USDT,BACKTEST2USDT}', '1m', 50, 'sma(close, 15) > 111'";
        // The first fourteen of sixty have no average; the newest fifty begin with the eleventh.
        let counted = "concat_ws(' ', symbols, candles, evaluated, warming, undefined, history_missing)";
        assert_eq!(one::<String>(&format!("SELECT {counted} FROM vyx_backtest_summary({all})")), "2 90 50 4 0 40");
        let agrees = format!(
            "SELECT s.fired = count(*) AND s.fired > 0 AND s.mean_ret_5 = avg(b.ret_5)
                AND s.win_rate_1 = 100.0 * count(*) FILTER (WHERE b.ret_1 > 0) / count(b.ret_1)
             FROM vyx_backtest_summary({all}) s, vyx_backtest({all}) b GROUP BY s.fired, s.mean_ret_5, s.win_rate_1"
        );
        assert!(one::<bool>(&agrees));
        let matched = "SELECT matched FROM vyx_backtest_summary('{BACKTEST2USDT}', '1m', 50, 'sma(close, 15) > 111')";
        let values = "SELECT count(*) FROM vyx_values('BACKTEST2USDT', '1m', 50, 'sma(close, 15)') WHERE value > 111";
        assert_eq!(one::<i64>(matched), one::<i64>(values));
        let span = "SELECT s.from_open = min(k.open_time) AND s.to_open = max(k.open_time)
                    FROM vyx_backtest_summary('{BACKTEST2USDT}', '1m', 50, 'close > 0') s, vyx_klines('BACKTEST2USDT', '1m', 50) k
                    GROUP BY s.from_open, s.to_open";
        assert!(one::<bool>(span));
        let never = "SELECT fired = 0 AND mean_ret_1 IS NULL AND win_rate_20 IS NULL
                     FROM vyx_backtest_summary('{BACKTEST2USDT}', '1m', 50, 'close > 1000')";
        assert!(one::<bool>(never));
    }

    #[pg_test]
    fn a_backtest_that_cannot_be_made_says_why() {
        fill("BACKTEST4USDT", 5, true);
        let ask = |words: &str| format!("SELECT * FROM vyx_backtest({words})");
        check_failure(&ask("'{NOSUCHUSDT}', '1m', 5, 'close > 0'"), "42704", &["NOSUCHUSDT"]);
        check_failure(&ask("'{NULL}', '1m', 5, 'close > 0'"), "22004", &["symbols"]);
        check_failure(&ask("NULL, '7m', 5, 'close > 0'"), "22023", &["7m"]);
        check_failure(&ask("NULL, '4h', 5, 'close > 0'"), "22023", &["not tracked"]);
        check_failure(&ask("NULL, '1m', 0, 'close > 0'"), "22023", &["limit 0"]);
        check_failure(&ask("NULL, '1m', 5, NULL"), "22004", &["script"]);
        check_failure(&ask("NULL, '1m', 5, 'clse > 0'"), "42601", &["did you mean"]);
        check_failure(&ask("NULL, '1m', 5, 'close'"), "42601", &["the result must be a bool"]);
        check_failure(&ask("NULL, '1m', 5, 'close > 0', 'always'"), "22023", &["always", "edge"]);
        check_failure(&ask("'{BACKTEST4USDT}', '1h', 5, 'close > 0'"), "53000", &["have arrived yet"]);
    }
}
