//! Scripts: what is stored, what is refused and how, and what they say of klines that the test has written.
//!
//! The compiler program lies beside the library, where the installation puts it.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{check_failure, fill, one, symbol};
    use pgrx::prelude::*;
    use vyx_core::Interval;
    use vyx_engine::Checked;

    const GOOD: &str = "#{ fire: rsi(close, 14) < 30 && close > 0.1234567890123456789, side: \"long\" }";

    fn count(sql: &str) -> i64 {
        one(&format!("SELECT count(*) FROM {sql}"))
    }

    #[pg_test]
    fn a_good_script_is_stored_with_a_program_that_can_be_run() {
        let insert = format!("INSERT INTO vyx.traders (name, script, state) VALUES ('t-good', '{GOOD}', 'running')");
        Spi::run(&insert).expect("is stored");
        let stored: String = one("SELECT v.program::text FROM vyx.trader_versions v
                                  JOIN vyx.traders t ON t.id = v.trader_id WHERE t.name = 't-good'");
        let program = Checked::decode(stored.as_bytes()).expect("a program");
        assert_eq!(program.program().encode().expect("encodes"), stored, "no number has changed on its way");
        assert!(stored.contains("0.12345678901234568"), "{stored}");
        assert_eq!(program.interval(), Interval::M1);
    }

    #[pg_test]
    fn a_bad_script_is_refused_with_place_and_advice() {
        let insert = |script: &str| format!("INSERT INTO vyx.traders (name, script) VALUES ('t-bad', '{script}')");
        let two = insert("let x = clse > 1;\nx && rsi(close, 5000) < 30");
        let first = "1:9: unknown name \"clse\"\n  let x = clse > 1;\n          ^";
        let second = "\n2:17: \"length\" of rsi must be";
        check_failure(&two, "42601", &[first, second, "did you mean \"close\"?", " | {\"line\":1,\"col\":9}"]);
        check_failure(&insert("while true {}"), "42601", &["{\"line\":1,\"col\":"]);
        check_failure(&insert("close"), "42601", &["the result must be a bool"]);
        check_failure(&insert(""), "42601", &["no result", "{\"line\":0,\"col\":0}"]);
        let long = format!("close > 1 // {}", "x".repeat(16_384));
        check_failure(&insert(&long), "42601", &["16397 bytes", "16384", "{\"line\":0,\"col\":0}"]);
        assert_eq!(count("vyx.traders WHERE name = 't-bad'"), 0);
        let good = format!("INSERT INTO vyx.traders (name, script) VALUES ('t-bad', '{GOOD}')");
        Spi::run(&good).expect("the next attempt works");
        check_failure("UPDATE vyx.traders SET script = 'clse > 1' WHERE name = 't-bad'", "42601", &["clse"]);
    }

    #[pg_test]
    fn an_interval_that_does_not_exist_is_refused_with_those_that_do() {
        let insert = |interval: &str| {
            format!(
                "INSERT INTO vyx.traders (name, script, \"interval\") VALUES ('t-interval', 'close > 1', '{interval}')"
            )
        };
        check_failure(&insert("7m"), "22023", &["\"7m\"", "1s, 1m, 3m"]);
        check_failure(&insert(""), "22023", &["1M a month"]);
        Spi::run(&insert("5m")).expect("is stored");
        check_failure("UPDATE vyx.traders SET \"interval\" = '1y' WHERE name = 't-interval'", "22023", &["\"1y\""]);
    }

    #[pg_test]
    fn a_refused_script_is_shown_in_as_many_rows_as_it_has_problems() {
        let rows = "vyx_validate(E'let x = clse > 1;\\nx && rsi(close, 5000) < 30')";
        let places: String = one(&format!("SELECT string_agg(line_no || ':' || col, ' ') FROM {rows} WHERE NOT ok"));
        assert_eq!(places, "1:9 2:17");
        assert_eq!(count(&format!("{rows} WHERE ok")), 0);
        assert_eq!(one::<String>(&format!("SELECT hint FROM {rows} LIMIT 1")), "did you mean \"close\"?");
        let source = format!("SELECT source FROM {rows} LIMIT 1");
        assert_eq!(one::<String>(&source), "let x = clse > 1;\n        ^");
        check_failure("SELECT * FROM vyx_validate(NULL)", "22004", &["script"]);
        check_failure("SELECT * FROM vyx_validate('true', '7m')", "22023", &["7m"]);
    }

    #[pg_test]
    fn a_valid_script_is_shown_with_its_timeframes_warm_up_and_warnings() {
        let script = "tf(\"1h\").close > ema(tf(\"1h\").close, 200) && rsi(close, 14) < 30";
        let rows = format!("vyx_validate('{script}')");
        assert_eq!(count(&rows), 1);
        let timeframes: String = one(&format!("SELECT timeframes::text FROM {rows} WHERE ok AND nodes > 5"));
        assert_eq!(timeframes, r#"[{"bars": 15, "interval": "1m"}, {"bars": 200, "interval": "1h"}]"#);
        let never = "vyx_validate('close > highest(high, 5)')";
        let warned: String = one(&format!("SELECT message || line_no FROM {never} WHERE ok AND timeframes IS NULL"));
        assert!(warned.starts_with("never true") && warned.ends_with('1'), "{warned}");
        let untracked =
            "vyx_validate('close > 1', '3m') WHERE message LIKE '%\"3m\" is not tracked%' AND line_no IS NULL";
        assert_eq!(count(untracked), 1);
    }

    #[pg_test]
    fn values_equal_what_sql_computes_from_the_klines() {
        fill("VALUES1USDT", 60, true);
        let compared = "SELECT count(*) FILTER (WHERE v.value = k.value AND v.outcome = 'value')
                FROM vyx_values('VALUES1USDT', '1m', 50, 'sma(close, 5) - 2 * close[2] + volume') v
                JOIN (SELECT open_time, avg(close) OVER (ORDER BY open_time ROWS 4 PRECEDING)
                             - 2 * lag(close, 2) OVER (ORDER BY open_time) + volume AS value
                      FROM vyx_klines('VALUES1USDT', '1m', 60)) k USING (open_time)";
        // The average of SQL adds in another order; of whole numbers that makes no difference.
        assert_eq!(one::<i64>(compared), 50);
        let bools = "SELECT bool_and(v.value = (k.close > 110)::int AND v.outcome = CASE WHEN k.close > 110 THEN 'match' ELSE 'no_match' END)
                FROM vyx_values('VALUES1USDT', '1m', 60, 'close > 110') v
                JOIN vyx_klines('VALUES1USDT', '1m', 60) k USING (open_time)";
        assert!(one::<bool>(bools));
        let rule = "SELECT sum(value) FROM vyx_values('VALUES1USDT', '1m', 60, '#{ fire: close > 110, value: 5 }')";
        assert_eq!(
            one::<f64>(rule),
            one::<f64>("SELECT sum((close > 110)::int::float8) FROM vyx_klines('VALUES1USDT', '1m', 60)")
        );
        let text = "SELECT string_agg(DISTINCT text, ' ') FROM vyx_values('VALUES1USDT','1m',60,'select(close > 110, \"up\", \"down\")')";
        assert_eq!(one::<String>(text), "down up");
    }

    #[pg_test]
    fn what_has_no_value_says_why() {
        fill("WARMING1USDT", 20, true);
        fill("PARTIAL1USDT", 20, false);
        let outcomes = |symbol: &str, expression: &str| -> String {
            one(&format!(
                "SELECT string_agg(outcome || n, ' ' ORDER BY outcome)
                 FROM (SELECT outcome, count(*) AS n FROM vyx_values('{symbol}', '1m', 100, '{expression}')
                       WHERE (value IS NULL) = (outcome <> 'value') GROUP BY outcome) AS o"
            ))
        };
        assert_eq!(outcomes("WARMING1USDT", "sma(close, 5)"), "value16 warming4");
        assert_eq!(outcomes("WARMING1USDT", "0 * close / 0"), "undefined20");
        assert_eq!(outcomes("WARMING1USDT", "symbol(\"NOSUCHUSDT\").tf(\"1m\").close"), "history_missing20");
        assert_eq!(outcomes("PARTIAL1USDT", "close"), "history_missing20");
        check_failure("SELECT * FROM vyx_values('WARMING1USDT','1m',5,'clse')", "42601", &["did you mean"]);
        check_failure("SELECT * FROM vyx_values('WARMING1USDT','1m',0,'close')", "22023", &["limit 0"]);
        check_failure("SELECT * FROM vyx_values('NOSUCHUSDT','1m',5,'close')", "42704", &["NOSUCHUSDT"]);
        check_failure("SELECT * FROM vyx_values('WARMING1USDT','1m',5,NULL)", "22004", &["expression"]);
    }

    #[pg_test]
    fn a_screen_asks_every_symbol_at_its_newest_closed_candle() {
        fill("SCREEN1USDT", 40, true);
        fill("SCREEN2USDT", 41, true);
        fill("SCREEN3USDT", 5, false);
        symbol("SCREEN4USDT");
        let screen = |script: &str| -> String {
            one(&format!(
                "SELECT string_agg(concat_ws(' ', symbol, to_char(open_time AT TIME ZONE 'UTC', 'MI'), close, outcome, value, fields), ', ' ORDER BY symbol)
                 FROM vyx_screen('1m', '{script}') WHERE symbol LIKE 'SCREEN_USDT'"
            ))
        };
        // Number 39 closes at 100 + 39 × 37 mod 23 + 1 = 118, number 40 at 109.
        assert_eq!(
            screen("#{ fire: close > 110, twice: 2 * close, side: \"long\", never: 1 / (close - close) }"),
            "SCREEN1USDT 39 118 match 1 {\"side\": \"long\", \"never\": null, \"twice\": 236}, \
             SCREEN2USDT 40 109 no_match 0 {\"side\": \"long\", \"never\": null, \"twice\": 218}, \
             SCREEN3USDT 04 111 history_missing {\"side\": null, \"never\": null, \"twice\": null}, \
             SCREEN4USDT history_missing {}"
        );
        assert!(screen("close - 100").starts_with("SCREEN1USDT 39 118 value 18 {\"value\": 18}"));
        assert!(screen("close > 110").starts_with("SCREEN1USDT 39 118 match 1 {\"value\": true}"));
        check_failure("SELECT * FROM vyx_screen('4h', 'close')", "22023", &["not tracked"]);
        check_failure("SELECT * FROM vyx_screen('1m', 'clse')", "42601", &["did you mean"]);
    }

    #[pg_test]
    fn the_functions_are_listed_with_their_first_valid_bar() {
        let rsi = "SELECT signature || first_valid_bar FROM vyx_indicators() WHERE name = 'rsi'";
        assert_eq!(one::<String>(rsi), "rsi(source = close, length = 14)14");
        assert_eq!(one::<i32>("SELECT first_valid_bar FROM vyx_indicators() WHERE name = 'sma'"), 19);
        let bands = "SELECT aliases @> '{bb}' AND outputs @> '{upper}' FROM vyx_indicators() WHERE name = 'bbands'";
        assert!(one::<bool>(bands));
    }

    #[pg_test]
    fn every_template_can_be_saved_as_it_is() {
        Spi::run(
            "INSERT INTO vyx.traders (name, script, \"interval\") SELECT name, script, \"interval\" FROM vyx_templates()",
        )
        .expect("inserts");
        let saved = "vyx.traders JOIN vyx_templates() USING (name, script, \"interval\")";
        assert_eq!(count(saved), count("vyx_templates()"));
        let dip = "SELECT title || ' ' || \"interval\" || ' ' || tags[1] FROM vyx_templates() WHERE name = 'rsi_dip'";
        assert_eq!(one::<String>(dip), "RSI dip 1h reversal");
    }

    #[pg_test]
    fn a_tenant_may_ask_and_the_public_may_not() {
        Spi::run(
            "CREATE ROLE traders_test_anybody; CREATE ROLE traders_test_user; GRANT vyx_user TO traders_test_user",
        )
        .expect("runs");
        let asks = [
            "SELECT * FROM vyx_validate('true')",
            "SELECT * FROM vyx_values('BTCUSDT','1m',1,'close')",
            "SELECT * FROM vyx_screen('1m','close')",
            "SELECT * FROM vyx_indicators()",
            "SELECT * FROM vyx_templates()",
            "SELECT * FROM vyx_backtest(NULL,'1m',1,'close > 0')",
            "SELECT * FROM vyx_explain(gen_random_uuid(),'BTCUSDT')",
            "SELECT * FROM vyx_matching(gen_random_uuid())",
            "SELECT * FROM vyx_backtest_summary(NULL,'1m',1,'close > 0')",
        ];
        Spi::run("GRANT USAGE ON SCHEMA vyx_test TO PUBLIC; GRANT EXECUTE ON FUNCTION vyx_test.failure TO PUBLIC")
            .expect("runs");
        Spi::run("SET ROLE traders_test_anybody").expect("runs");
        for ask in asks {
            check_failure(ask, "42501", &["permission denied"]);
        }
        Spi::run("SET ROLE traders_test_user").expect("runs");
        assert_eq!(count("vyx_validate('close > 1') WHERE ok"), 1);
        assert!(count("vyx_indicators()") > 20);
        assert!(count("vyx_templates()") >= 25);
        check_failure("SELECT vyx._compile('close > 1', '1m')", "42501", &["permission denied"]);
        Spi::run("RESET ROLE").expect("runs");
    }
}
