//! Verdicts and values of explain, compared with what was written and what SQL computes from the same klines.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{FIRST, check_failure, fill, kline, one, symbol};
    use pgrx::prelude::*;
    use vyx_core::{Interval, Millis};

    const ID: &str = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a77";

    /// Lets a version of this script evaluate a symbol from kline 0 on.
    fn version(symbol: &str, script: &str, cooldown: &str) {
        let sql = format!(
            "INSERT INTO vyx.writer (system_identifier) SELECT system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING;
             INSERT INTO vyx.trader_versions (trader_id, version, script, program, \"interval\", symbols, fire_on, cooldown, effective_from)
             VALUES ('{ID}', 1, $s${script}$s$, vyx._compile($s${script}$s$, '1m'), '1m', '{{{symbol}}}', 'edge', '{cooldown}', vyx.at({FIRST}));
             INSERT INTO vyx.watermarks VALUES ('{symbol}', '1m', vyx.at({FIRST} - 1))"
        );
        Spi::run(&sql).expect("is stored");
    }

    fn evaluate() {
        while one::<String>("SELECT vyx.evaluate_once('1m')") == "written" {}
    }

    /// The verdict on kline number `n`: its word and why.
    fn verdict(symbol: &str, n: i64) -> String {
        one(&format!(
            "SELECT outcome || ': ' || note FROM vyx_explain('{ID}', '{symbol}', vyx.at({FIRST} + ({n} + 1) * 60000 - 1)) LIMIT 1"
        ))
    }

    #[pg_test]
    fn the_verdict_on_each_candle_agrees_with_what_was_written() {
        fill("EXPLAIN1USDT", 50, true);
        version("EXPLAIN1USDT", "sma(close, 3) > 111", "25 minutes");
        evaluate();
        // By klines: matched, then an edge; of the edges those that are signals, the others lie in a cooldown.
        let compared = format!(
            "WITH k AS (SELECT *, CASE WHEN n > 2 THEN mean > 111 END AS matched FROM (
                SELECT open_time, close_time, row_number() OVER w AS n, avg(close) OVER (ORDER BY open_time ROWS 2 PRECEDING) AS mean
                FROM vyx_klines('EXPLAIN1USDT', '1m', 50) WINDOW w AS (ORDER BY open_time)) AS k),
             said AS (SELECT k.*, e.outcome, lag(matched) OVER (ORDER BY open_time) AS before,
                EXISTS (SELECT FROM vyx.signals s WHERE s.trader_id = '{ID}' AND s.close_time = k.close_time) AS signalled
                FROM k CROSS JOIN LATERAL (SELECT outcome FROM vyx_explain('{ID}', 'EXPLAIN1USDT', k.close_time) LIMIT 1) AS e)
             SELECT string_agg(DISTINCT CASE WHEN matched IS NULL THEN 'not ready' WHEN NOT matched THEN 'not matched'
                        WHEN before IS NOT FALSE THEN 'not an edge' WHEN signalled THEN 'fired' ELSE 'cooldown' END
                    || CASE WHEN outcome = CASE WHEN matched IS NULL THEN 'not ready' WHEN NOT matched THEN 'not matched'
                        WHEN before IS NOT FALSE THEN 'not an edge' WHEN signalled THEN 'fired' ELSE 'cooldown' END
                       THEN '' ELSE ' but said: ' || outcome END, ', ') FROM said"
        );
        assert_eq!(one::<String>(&compared), "cooldown, fired, not an edge, not matched, not ready");
    }

    #[pg_test]
    fn each_step_is_shown_with_its_value_and_what_decides() {
        fill("EXPLAIN2USDT", 30, true);
        version("EXPLAIN2USDT", "#{ fire: close > sma(close, 5) && rsi(close, 40) < 30, side: \"long\" }", "0");
        evaluate();
        let rows: String = one(&format!(
            "SELECT string_agg(concat_ws(' | ', step, expression, kind, outcome, note), E'\\n' ORDER BY step)
             FROM vyx_explain('{ID}', 'EXPLAIN2USDT', vyx.at({FIRST} + 30 * 60000 - 1)) WHERE step > 0"
        ));
        // Number 29 closes at 100 + 29 × 37 mod 23 + 1 = 116, above the average of the five.
        assert_eq!(
            rows,
            "1 | close | number | value\n\
             2 | sma(close, 5) | number | value\n\
             3 | close > sma(close, 5) | bool | value\n\
             4 | rsi(close, 40) | number | warming | needs 41 candles of EXPLAIN2USDT 1m, its history has 30: 11 more\n\
             5 | rsi(close, 40) < 30 | bool | warming\n\
             6 | close > sma(close, 5) && rsi(close, 40) < 30 | bool | warming"
        );
        let values = format!(
            "SELECT bool_and(e.value::float8 = v.value) AND count(*) = 2
             FROM vyx_explain('{ID}', 'EXPLAIN2USDT') e, LATERAL vyx_values('EXPLAIN2USDT', '1m', 1, e.expression) v
             WHERE e.kind = 'number' AND e.outcome = 'value'"
        );
        assert!(one::<bool>(&values));
        assert!(verdict("EXPLAIN2USDT", 29).starts_with("not ready: too few candles"));
        // Number 28 closes below the average: false, whatever the other side is.
        assert!(verdict("EXPLAIN2USDT", 28).starts_with("not matched"), "{}", verdict("EXPLAIN2USDT", 28));
        let why = format!(
            "SELECT expression || ' ' || note FROM vyx_explain('{ID}', 'EXPLAIN2USDT', vyx.at({FIRST} + 29 * 60000 - 1)) WHERE note LIKE 'decides%'"
        );
        assert_eq!(one::<String>(&why), "close > sma(close, 5) decides: false");
    }

    #[pg_test]
    fn what_was_not_evaluated_says_what_it_waits_for() {
        fill("EXPLAIN3USDT", 20, true);
        version("EXPLAIN3USDT", "close > 105", "0");
        evaluate();
        assert!(verdict("EXPLAIN3USDT", 20).starts_with("waiting: "), "{}", verdict("EXPLAIN3USDT", 20));
        assert!(verdict("EXPLAIN3USDT", -3).starts_with("not running: not yet: version 1 is in force from"));
        let said = |change: &str| {
            Spi::run(&format!("UPDATE vyx.trader_versions SET {change} WHERE trader_id = '{ID}'")).expect("runs");
            verdict("EXPLAIN3USDT", 5)
        };
        assert!(said("symbols = '{BTCUSDT}'").starts_with("not watched: "));
        assert!(
            said(&format!("symbols = NULL, effective_to = vyx.at({FIRST} + 60000)"))
                .starts_with("not running: stopped")
        );
        let said = said("effective_to = NULL");
        let pending = "INSERT INTO vyx.pending SELECT trader_id, 1, NULL, 'EXPLAIN3USDT', '1m', vyx.at($1), 'BTCUSDT 1h', now() FROM vyx.trader_versions";
        let at = FIRST + 6 * 60_000 - 1;
        Spi::run_with_args(pending, &[at.into()]).expect("runs");
        // A signal that was written counts for more than anything else.
        let fired = said.starts_with("fired");
        assert_eq!(verdict("EXPLAIN3USDT", 5).starts_with("waiting: put off: it waits for BTCUSDT 1h"), !fired);
        let quiet = (6..20).find(|n| !verdict("EXPLAIN3USDT", *n).starts_with("fired")).expect("some do not match");
        Spi::run(&format!(
            "INSERT INTO vyx.resting SELECT trader_id, 1, NULL, 'program', 'it broke', 5, vyx.at({FIRST}), vyx.at({FIRST} + 6000000)
             FROM vyx.trader_versions"
        ))
        .expect("runs");
        let rests = verdict("EXPLAIN3USDT", quiet);
        assert!(rests.starts_with("resting: it failed 5 times in a row and rests until"), "{rests}");
        Spi::run("DELETE FROM vyx.resting").expect("runs");
        // The exchange has no candle number 21.
        let (writer, id) = symbol("EXPLAIN3USDT");
        let series = writer.store().series(id, Interval::M1).expect("1m is tracked");
        [20, 22].iter().for_each(|n| assert!(writer.put_kline(series, &kline(*n, 100.0, true)).accepted()));
        let first = Interval::M1.ordinal(Millis(FIRST));
        assert_eq!(writer.confirm(series, first + 21, first + 21), 1);
        evaluate();
        assert_eq!(verdict("EXPLAIN3USDT", 21), "no candle: the exchange has none at this time");
    }

    #[pg_test]
    fn a_correction_after_the_signal_is_told() {
        fill("EXPLAIN4USDT", 12, true);
        version("EXPLAIN4USDT", "close > 105", "0");
        evaluate();
        let candle = |n: i64| -> String {
            one(&format!(
                "SELECT note FROM vyx_explain('{ID}', 'EXPLAIN4USDT', vyx.at({FIRST} + ({n} + 1) * 60000 - 1)) WHERE step = 0 OFFSET 1"
            ))
        };
        let n: i64 = one(&format!(
            "SELECT (extract(epoch FROM open_time)::bigint * 1000 - {FIRST}) / 60000 FROM vyx.signals WHERE trader_id = '{ID}' LIMIT 1"
        ));
        assert_eq!(candle(n), "as it first closed");
        let (writer, id) = symbol("EXPLAIN4USDT");
        let series = writer.store().series(id, Interval::M1).expect("1m is tracked");
        let corrected =
            vyx_core::Kline { provenance: vyx_core::Provenance::History, trades: 9, ..kline(n, 90.0, true) };
        assert!(writer.put_kline(series, &corrected).accepted());
        assert!(candle(n).starts_with("corrected since: revision 0 when it fired, 1 now"), "{}", candle(n));
        assert!(verdict("EXPLAIN4USDT", n).starts_with("fired: signal "));
    }

    #[pg_test]
    fn a_tenant_is_told_of_its_own_traders_alone() {
        fill("EXPLAIN5USDT", 5, true);
        Spi::run(
            "CREATE ROLE explain_test_user; GRANT vyx_user TO explain_test_user;
             INSERT INTO vyx.tenants (user_id, role_name) VALUES (gen_random_uuid(), 'explain_test_user');
             INSERT INTO vyx.traders (id, user_id, name, script, \"interval\") VALUES
                 ('0191a2b3-c4d5-7e6f-8a9b-000000000001', NULL, 'built in', 'close > 12345', '1m'),
                 ('0191a2b3-c4d5-7e6f-8a9b-000000000002', (SELECT user_id FROM vyx.tenants WHERE role_name = 'explain_test_user'), 'own', 'close > 1', '1m');
             GRANT USAGE ON SCHEMA vyx_test TO PUBLIC; GRANT EXECUTE ON FUNCTION vyx_test.failure TO PUBLIC;
             SET ROLE explain_test_user",
        )
        .expect("runs");
        let ask = |last: u8| {
            format!("SELECT * FROM vyx_explain('0191a2b3-c4d5-7e6f-8a9b-00000000000{last}', 'EXPLAIN5USDT')")
        };
        check_failure(&ask(1), "42704", &["no trader"]);
        check_failure(&ask(3), "42704", &["no trader"]);
        check_failure("SELECT * FROM vyx_matching('0191a2b3-c4d5-7e6f-8a9b-000000000001')", "42704", &["no trader"]);
        Spi::run("SELECT * FROM vyx_matching('0191a2b3-c4d5-7e6f-8a9b-000000000002')").expect("its own");
        let own = format!("SELECT outcome || ': ' || note FROM ({}) AS e LIMIT 1", ask(2));
        assert_eq!(one::<String>(&own), "not running: the trader is stopped: SELECT vyx_start_trader(id) starts it");
        check_failure("SELECT * FROM vyx_explain(NULL, 'EXPLAIN5USDT')", "22004", &["trader_id"]);
        check_failure(&ask(2).replace("EXPLAIN5USDT", "NOSUCHUSDT"), "42704", &["NOSUCHUSDT"]);
        Spi::run("RESET ROLE; REVOKE vyx_user FROM explain_test_user; SET ROLE explain_test_user").expect("runs");
        check_failure(&ask(2), "42501", &["permission denied"]);
        Spi::run("RESET ROLE").expect("runs");
    }
}
