//! Limits, usage, retention, dead letters and forgetting, as far as one session can tell.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{FIRST, check_failure, one, symbol};
    use crate::shmem;
    use pgrx::prelude::*;
    use vyx_core::Millis;

    const TENANT: &str = "0191a2b3-c4d5-7e6f-8a9b-00000000a001";

    /// Makes a role that is this tenant, and becomes it.
    fn become_tenant(tier: &str) {
        shmem::store().expect("preloaded").raise_market_time(Millis(FIRST));
        run(&format!(
            "CREATE ROLE tenants_test; GRANT vyx_user TO tenants_test;
             GRANT USAGE ON SCHEMA vyx_test TO tenants_test; GRANT EXECUTE ON FUNCTION vyx_test.failure TO tenants_test;
             INSERT INTO vyx.tenants (user_id, role_name, tier) VALUES ('{TENANT}', 'tenants_test', '{tier}');
             SET ROLE tenants_test"
        ));
    }

    fn run(sql: &str) {
        Spi::run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn count(of: &str) -> i64 {
        one(&format!("SELECT count(*) FROM {of}"))
    }

    /// Saves a trader of five nodes or so that looks at one symbol.
    fn save(name: &str, state: &str) -> String {
        format!(
            "INSERT INTO vyx.traders (name, script, symbols, state) VALUES ('{name}', 'close > 1', '{{TEN1USDT}}', '{state}')"
        )
    }

    fn start(name: &str) -> String {
        format!("SELECT vyx_start_trader(id) FROM vyx.traders WHERE name = '{name}'")
    }

    fn stop(name: &str) -> String {
        format!("SELECT vyx_stop_trader(id) FROM vyx.traders WHERE name = '{name}'")
    }

    fn state(name: &str) -> String {
        one(&format!("SELECT s.state FROM vyx.traders t, vyx_trader_status(t.id) s WHERE t.name = '{name}'"))
    }

    fn id(name: &str) -> String {
        one(&format!("SELECT id::text FROM vyx.traders WHERE name = '{name}'"))
    }

    /// Writes signals of a trader on candles that closed so long before now.
    fn signals(trader: &str, ages: &[&str]) {
        for age in ages {
            run(&format!(
                "INSERT INTO vyx.signals (id, seq, trader_id, trader_version, user_id, symbol, \"interval\", open_time, close_time,
                                          price, kline_revision, engine, evaluated_at, lag_ms)
                 SELECT gen_random_uuid(), 1, t.id, t.version, t.user_id, 'TEN1USDT', '1m', n.at, n.at, 1, 0, 1, n.at, 0
                 FROM vyx.traders t, (SELECT vyx.effective_now() - interval '{age}' AS at) n WHERE t.name = '{trader}'"
            ));
        }
    }

    fn drop_signals() {
        run("DO $$ DECLARE place uuid := '00000000-0000-0000-0000-000000000000'; more boolean := true; BEGIN
             WHILE more LOOP SELECT d.place, d.more INTO place, more FROM vyx.drop_signals(vyx.effective_now(), place) d; END LOOP;
             END $$");
    }

    #[pg_test]
    fn a_tenant_runs_and_stores_what_its_tier_allows() {
        become_tenant("free");
        run(&save("one", "running"));
        run(&save("two", "running"));
        let words =
            ["limit of 2 running traders of tier \"free\"", "{\"limit\":2,\"tier\":\"free\"}", "vyx_stop_trader"];
        check_failure(&save("three", "running"), "42501", &words);
        run(&save("three", "stopped"));
        check_failure(&start("three"), "42501", &words);
        run(&stop("one"));
        run(&start("three"));
        assert_eq!(state("three"), "starting");
        run("RESET ROLE; UPDATE vyx.tiers SET max_traders = 3 WHERE tier = 'free'; SET ROLE tenants_test");
        check_failure(&save("four", "stopped"), "42501", &["limit of 3 traders of tier \"free\"", "Delete another"]);
        run("DELETE FROM vyx.traders WHERE name = 'two'");
        run(&save("four", "stopped"));
    }

    #[pg_test]
    fn what_a_tenants_traders_cost_at_a_close_is_limited_and_decides_who_waits() {
        symbol("TEN1USDT");
        become_tenant("pro");
        run(&save("light", "running"));
        let cost = "SELECT v.cost FROM vyx.trader_versions v JOIN vyx.traders t ON t.id = v.trader_id AND t.version = v.version WHERE t.name = ";
        let nodes: i64 = one("SELECT nodes::bigint FROM vyx_validate('close > 1')");
        assert_eq!(one::<i64>(&format!("{cost} 'light'")), nodes);
        run("UPDATE vyx.traders SET symbols = '{TEN1USDT,TEN2USDT,TEN3USDT}'");
        assert_eq!(one::<i64>(&format!("{cost} 'light'")), 3 * nodes, "a change makes a version with its own cost");
        let lane = |name: &str| {
            one::<String>(&format!(
                "SELECT s.lane FROM vyx.traders t, vyx_trader_status(t.id) s WHERE t.name = '{name}'"
            ))
        };
        assert_eq!(lane("light"), "prompt");
        // As if it were heavy.
        run("RESET ROLE; UPDATE vyx.tiers SET cost_per_close = 1000010 WHERE tier = 'pro';
             UPDATE vyx.trader_versions SET cost = 1000000 WHERE user_id IS NOT NULL AND asked_to IS NULL; SET ROLE tenants_test");
        run(&save("waits", "running"));
        assert_eq!(lane("waits"), "after everybody else");
        let words = ["limit of 1000010 nodes times symbols at a close of tier \"pro\"", "make it 10000"];
        let more = "UPDATE vyx.traders SET symbols = '{A,B,C,D,E,F,G}' WHERE name = 'waits'";
        check_failure(more, "42501", &words);
        assert_eq!(one::<i64>(&format!("{cost} 'waits'")), nodes, "what ran goes on");
        // Of all symbols, as many as are tracked.
        run("RESET ROLE; UPDATE vyx.tiers SET cost_per_close = NULL WHERE tier = 'pro'; SET ROLE tenants_test");
        run("UPDATE vyx.traders SET symbols = NULL WHERE name = 'waits'");
        assert_eq!(one::<i64>(&format!("{cost} 'waits'")) % nodes, 0);
        assert!(one::<i64>(&format!("{cost} 'waits'")) >= nodes);
    }

    #[pg_test]
    fn starts_and_stops_are_limited_by_the_minute_and_cost_nothing_where_nothing_changes() {
        become_tenant("free");
        run(&save("busy", "running"));
        for _ in 0..20 {
            run(&start("busy"));
        }
        for n in 0..9 {
            run(&if n % 2 == 0 { stop("busy") } else { start("busy") });
        }
        let words = ["limit of 10 starts, stops and retries a minute of tier \"free\"", "\"wait\":", "Try again in "];
        check_failure(&start("busy"), "42501", &words);
        check_failure(&save("other", "running"), "42501", &words);
        run(&save("other", "stopped"));
        run("RESET ROLE");
        run(&start("busy"));
        // A start of nine was a minute ago.
        run(&format!(
            "UPDATE vyx.tenants SET switched[1] = clock_timestamp() - interval '61 seconds' WHERE user_id = '{TENANT}'"
        ));
        run("SET ROLE tenants_test");
        run(&stop("busy"));
        check_failure(&start("busy"), "42501", &words);
    }

    #[pg_test]
    fn a_limit_that_falls_stops_the_newest_surplus_and_its_owner_is_told() {
        become_tenant("pro");
        for name in ["first", "second", "third"] {
            run(&save(name, "running"));
        }
        run("RESET ROLE; SELECT vyx.settle_versions();
             UPDATE vyx.trader_versions v SET created_at = v.created_at + (CASE t.name WHEN 'first' THEN 1 WHEN 'second' THEN 2 ELSE 3 END) * interval '1 second'
             FROM vyx.traders t WHERE t.id = v.trader_id AND v.user_id IS NOT NULL");
        run(&format!("UPDATE vyx.tenants SET tier = 'free' WHERE user_id = '{TENANT}'"));
        assert!(one::<bool>("SELECT vyx.settle_versions()"));
        let states =
            "SELECT string_agg(name || ' ' || state, ', ' ORDER BY name) FROM vyx.traders WHERE user_id IS NOT NULL";
        assert_eq!(one::<String>(states), "first running, second running, third stopped");
        let told = "SELECT last_error FROM vyx.traders WHERE name = 'third'";
        assert_eq!(one::<String>(told), "stopped: tier \"free\" allows 2 running traders");
        assert_eq!(state("third"), "stopping");
        run("UPDATE vyx.tiers SET cost_per_close = 1 WHERE tier = 'free'; SELECT vyx.settle_versions()");
        assert_eq!(one::<String>(states), "first stopped, second stopped, third stopped");
        assert_eq!(count("vyx.reviews"), 0);
        // What is allowed again is started by its owner.
        run(&format!(
            "UPDATE vyx.tenants SET tier = 'pro' WHERE user_id = '{TENANT}'; SELECT vyx.settle_versions(); SET ROLE tenants_test"
        ));
        run(&start("third"));
        assert_eq!(state("third"), "starting");
        assert_eq!(count("vyx.traders WHERE name = 'third' AND last_error IS NULL"), 1);
    }

    #[pg_test]
    fn nobody_is_a_tenant_without_an_identity_and_free_with_one() {
        run("CREATE ROLE authenticator; GRANT vyx_user TO authenticator;
             GRANT USAGE ON SCHEMA vyx_test TO authenticator; GRANT EXECUTE ON FUNCTION vyx_test.failure TO authenticator;
             SET SESSION AUTHORIZATION authenticator");
        check_failure(
            &save("nobody", "stopped"),
            "42501",
            &["no tenant is known", "{\"limit\":0,\"tier\":\"anonymous\"}"],
        );
        run(&format!("SET request.jwt.claims = '{{\"sub\": \"{TENANT}\"}}'"));
        run(&save("somebody", "running"));
        assert_eq!(one::<String>("SELECT tier FROM vyx.tenants"), "free");
        run("RESET SESSION AUTHORIZATION");
    }

    #[pg_test]
    fn usage_is_counted_once_and_outlives_tallies_and_signals() {
        become_tenant("pro");
        run(&save("used", "running"));
        let used = id("used");
        let nodes: i64 = one("SELECT nodes::bigint FROM vyx_validate('close > 1')");
        let mine = "SELECT concat_ws(' ', sum(evaluations), sum(cost), sum(signals), sum(failures)) FROM vyx_usage()";
        run("RESET ROLE");
        let tally = |day: &str| {
            run(&format!(
                "INSERT INTO vyx.tallies (close_time, \"interval\", evaluated_at, counts)
                 VALUES ('{day} 23:59:59.999+00', '1m', '{day} 23:59:59.999+00',
                         '[{{\"evaluated\": 7, \"failed\": 2, \"traders\": [\"{used}\"]}},
                           {{\"evaluated\": 1, \"traders\": [\"{TENANT}\"]}}]')"
            ));
        };
        tally("2026-11-18");
        tally("2026-11-19");
        signals("used", &["1 hour", "30 hours", "31 hours"]);
        run("SET ROLE tenants_test");
        assert_eq!(one::<String>(mine), format!("14 {} 3 4", 14 * nodes));
        run("RESET ROLE");
        assert!(one::<i32>("SELECT vyx.fold_usage()") >= 2);
        run("SELECT vyx.fold_usage()");
        drop_signals();
        assert_eq!(count(&format!("vyx.signals WHERE trader_id = '{used}'")), 1);
        assert_eq!(
            count(&format!("vyx.usage WHERE trader_id = '{TENANT}'")),
            0,
            "of a trader that nobody knows nothing is kept"
        );
        run("SET ROLE tenants_test");
        assert_eq!(one::<String>(mine), format!("14 {} 3 4", 14 * nodes));
        assert_eq!(one::<i64>("SELECT sum(evaluations)::bigint FROM vyx_usage('2026-11-19', '2026-11-19')"), 7);
        let status = "SELECT s.evaluations || ' ' || s.signals FROM vyx.traders t, vyx_trader_status(t.id) s";
        assert_eq!(one::<String>(status), "14 3");
        // Another sees nothing of it, an operator all.
        run(
            "RESET ROLE; CREATE ROLE tenants_test_other; GRANT vyx_user TO tenants_test_other; SET ROLE tenants_test_other",
        );
        assert_eq!(count("vyx_usage()"), 0);
        run("RESET ROLE; GRANT vyx_operator TO tenants_test_other; SET ROLE tenants_test_other");
        assert_eq!(
            count(&format!("vyx_usage() WHERE user_id = '{TENANT}'")),
            one::<i64>("SELECT count(DISTINCT day) FROM vyx_usage()")
        );
    }

    #[pg_test]
    fn a_signal_is_kept_as_long_as_its_tier_says_and_a_cooldown_needs() {
        become_tenant("pro");
        run(&save("plain", "running"));
        run(&save("cool", "stopped"));
        run("UPDATE vyx.traders SET cooldown = '2 days' WHERE name = 'cool'");
        run(&start("cool"));
        run("RESET ROLE");
        run(&save("built", "running"));
        let ages = ["1 hour", "23 hours", "25 hours", "60 hours", "80 hours", "180 hours"];
        for name in ["plain", "cool", "built"] {
            signals(name, &ages);
        }
        drop_signals();
        let kept = "SELECT string_agg(name || n, ' ' ORDER BY name)
                    FROM (SELECT t.name, count(*) AS n FROM vyx.signals s JOIN vyx.traders t ON t.id = s.trader_id GROUP BY t.name) AS k";
        assert_eq!(one::<String>(kept), "built5 cool4 plain2");
        run("UPDATE vyx.tiers SET keep_signals = NULL WHERE tier = 'pro'");
        drop_signals();
        assert_eq!(one::<String>(kept), "built5 cool4 plain2");
    }

    #[pg_test]
    fn a_version_that_nothing_refers_to_is_dropped_after_a_month() {
        become_tenant("pro");
        for name in ["lives", "left", "said"] {
            run(&save(name, "running"));
        }
        run("RESET ROLE; INSERT INTO vyx.watermarks VALUES ('TEN1USDT', '1m', vyx.effective_now() + interval '1 day');
             SELECT vyx.settle_versions(); UPDATE vyx.traders SET script = 'close > 2' WHERE user_id IS NOT NULL; SELECT vyx.settle_versions()");
        signals("said", &["31 days"]);
        run("UPDATE vyx.signals SET trader_version = 1 WHERE trader_id IN (SELECT id FROM vyx.traders WHERE name = 'said');
             DELETE FROM vyx.traders WHERE name = 'left'; SELECT vyx.settle_versions();
             UPDATE vyx.trader_versions SET effective_from = vyx.effective_now() - interval '32 days', effective_to = vyx.effective_now() - interval '30.5 days'
             WHERE user_id IS NOT NULL AND effective_to IS NOT NULL");
        assert!(!one::<bool>("SELECT vyx.drop_versions(vyx.effective_now())"));
        let kept = "SELECT string_agg(coalesce(t.name, 'left') || v.version, ' ' ORDER BY t.name, v.version)
                    FROM vyx.trader_versions v LEFT JOIN vyx.traders t ON t.id = v.trader_id WHERE v.user_id IS NOT NULL";
        assert_eq!(one::<String>(kept), "lives2 said1 said2");
    }

    #[pg_test]
    fn whoever_is_forgotten_leaves_nothing_behind() {
        become_tenant("pro");
        run(&save("gone", "running"));
        run(&save("deleted", "running"));
        let gone = id("gone");
        run("DELETE FROM vyx.traders WHERE name = 'deleted'");
        run("RESET ROLE; SELECT vyx.settle_versions()");
        signals("gone", &["1 hour", "2 hours"]);
        run(&format!(
            "INSERT INTO vyx.failures (trader_id, trader_version, cause, user_id, message, symbol, \"interval\", close_time, first_at, last_at)
             VALUES ('{gone}', 1, 'write', '{TENANT}', 'no', 'TEN1USDT', '1m', now(), now(), now());
             INSERT INTO vyx.pending (trader_id, trader_version, user_id, symbol, \"interval\", close_time, waiting_for, since)
             VALUES ('{gone}', 1, '{TENANT}', 'TEN1USDT', '1m', now(), 'BTCUSDT 1h', now());
             INSERT INTO vyx.tallies (close_time, \"interval\", evaluated_at, counts)
             VALUES ('2026-11-18', '1m', '2026-11-18', '[{{\"evaluated\": 7, \"traders\": [\"{gone}\"]}}]');
             INSERT INTO vyx.usage (trader_id, day, user_id) VALUES ('{gone}', '2026-11-18', '{TENANT}');
             INSERT INTO vyx.retries (trader_id, cause, user_id) VALUES ('{gone}', '', '{TENANT}')"
        ));
        let forget = format!(
            "SELECT string_agg(what || ' ' || rows, ', ' ORDER BY what) FROM vyx_forget_user('{TENANT}') WHERE rows > 0"
        );
        assert_eq!(
            one::<String>(&forget),
            "failures 1, pending 1, retries 1, signals 2, tenants 1, trader_versions 2, traders 1, usage 1"
        );
        assert_eq!(
            count(&format!("vyx.trader_versions WHERE user_id = '{TENANT}' AND asked_to IS NULL")),
            0,
            "it ends properly"
        );
        assert!(one::<bool>("SELECT vyx.settle_versions()"));
        run("SELECT vyx.fold_usage()");
        // Wherever a table names a person or a trader.
        let named: Vec<String> = one(
            "SELECT array_agg(format('SELECT CASE WHEN EXISTS (SELECT FROM %s WHERE %I::text IN (%L, %L)) THEN %L END', a.attrelid::regclass, a.attname,
                                     '0191a2b3-c4d5-7e6f-8a9b-00000000a001', '{GONE}', a.attrelid::regclass || '.' || a.attname))
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relnamespace = 'vyx'::regnamespace AND c.relkind = 'r' AND a.attname IN ('user_id', 'trader_id', 'id') AND a.atttypid = 'uuid'::regtype"
                .replace("{GONE}", &gone)
                .as_str(),
        );
        assert!(named.len() > 12, "{named:?}");
        for look in named {
            assert_eq!(Spi::get_one::<String>(&look), Ok(None));
        }
        check_failure("SELECT * FROM vyx_forget_user(NULL)", "22004", &["user_id"]);
        run("SET ROLE tenants_test");
        check_failure(&format!("SELECT * FROM vyx_forget_user('{TENANT}')"), "42501", &["permission denied"]);
    }

    #[pg_test]
    fn what_failed_is_tried_again_when_its_owner_asks() {
        become_tenant("pro");
        run(&save("failed", "running"));
        let failed = id("failed");
        run("RESET ROLE; SELECT vyx.settle_versions(); UPDATE vyx.traders SET last_error = 'no' WHERE name = 'failed'");
        let failure = |cause: &str, candles: &str| {
            run(&format!(
                "INSERT INTO vyx.failures (trader_id, trader_version, cause, user_id, message, symbol, \"interval\", close_time, first_at, last_at, candles)
                 VALUES ('{failed}', 1, '{cause}', '{TENANT}', 'no', 'TEN1USDT', '1m', vyx.at({FIRST}), now(), now(), '{candles}')"
            ));
        };
        let close = FIRST + 59_999;
        failure("write", &format!("[[\"TEN1USDT\", {close}], [\"TEN2USDT\", {close}]]"));
        failure("history", &format!("[[\"TEN3USDT\", {close}]]"));
        run(&format!(
            "DELETE FROM vyx.cycles;
             INSERT INTO vyx.cycles (\"interval\", close_time, evaluated, matched, fired, failed, evaluated_by)
             VALUES ('1m', vyx.at({close}), 9, 4, 3, 3, 'sql');
             INSERT INTO vyx.resting (trader_id, trader_version, user_id, cause, message, in_a_row, since, retry_at)
             VALUES ('{failed}', 1, '{TENANT}', 'write', 'no', 5, vyx.effective_now(), vyx.effective_now() + interval '60 seconds');
             SET ROLE tenants_test"
        ));
        assert_eq!(state("failed"), "error");
        let shown = "SELECT failures || ' ' || (retry_at - since) || ' ' || last_error FROM vyx_active_traders() WHERE name = 'failed'";
        assert_eq!(one::<String>(shown), "2 00:01:00 no");
        assert_eq!(one::<i64>(&format!("SELECT vyx_retry('{failed}', 'write')")), 2);
        let switches = "SELECT cardinality(switched) FROM vyx.tenants";
        assert_eq!(one::<i32>(switches), 2, "as a start or stop it is counted");
        assert_eq!(one::<i64>(&format!("SELECT vyx_retry('{failed}', 'write')")), 2);
        assert_eq!(one::<i32>(switches), 2, "to wish twice is to wish once");
        assert_eq!(one::<i64>(&format!("SELECT vyx_retry('{failed}', 'nothing')")), 0);
        check_failure("SELECT vyx_retry(gen_random_uuid())", "42704", &["has run", "vyx.failures"]);
        check_failure("SELECT vyx_retry(NULL)", "22004", &["trader"]);
        run("RESET ROLE; SELECT vyx.settle_versions()");
        let pending = format!(
            "SELECT string_agg(symbol || ' ' || waiting_for, ', ' ORDER BY symbol) FROM vyx.pending WHERE trader_id = '{failed}'"
        );
        assert_eq!(one::<String>(&pending), "TEN1USDT a retry, TEN2USDT a retry");
        assert_eq!(
            one::<String>(&format!(
                "SELECT concat_ws(' ', waiting, failed, evaluated, matched, fired) FROM vyx.cycles WHERE close_time = vyx.at({close})"
            )),
            "2 1 7 2 1"
        );
        assert_eq!(count(&format!("vyx.failures WHERE trader_id = '{failed}' AND cause = 'history'")), 1);
        assert_eq!(count("vyx.retries"), 0);
        assert_eq!(count("vyx.traders WHERE name = 'failed' AND last_error IS NULL"), 1);
        assert_eq!(state("failed"), "starting");
        // All of it, and not what is another's.
        run(&format!("SET ROLE tenants_test; SELECT vyx_retry('{failed}'); RESET ROLE; SELECT vyx.settle_versions()"));
        assert_eq!(count(&format!("vyx.failures WHERE trader_id = '{failed}'")), 0);
        run("CREATE ROLE tenants_test_other; GRANT vyx_user TO tenants_test_other;
             GRANT USAGE ON SCHEMA vyx_test TO tenants_test_other; GRANT EXECUTE ON FUNCTION vyx_test.failure TO tenants_test_other;
             SET ROLE tenants_test_other");
        check_failure(&format!("SELECT vyx_retry('{failed}')"), "42704", &["no trader"]);
        check_failure(&format!("SELECT vyx_trader_status('{failed}')"), "42704", &["no trader"]);
    }

    #[pg_test]
    fn whoever_lacks_history_is_counted_by_symbol() {
        crate::pg_test::support::fill("WARM1USDT", 30, true);
        crate::pg_test::support::fill("WARM2USDT", 8, true);
        symbol("WARM3USDT");
        shmem::store().expect("preloaded").raise_market_time(Millis(FIRST + 30 * 60_000));
        let warming = |script: &str, symbols: &str| -> i32 {
            one(&format!("SELECT vyx._warming(vyx._compile('{script}', '1m')::text, '{symbols}')"))
        };
        assert_eq!(warming("close > 1", "{WARM1USDT,WARM2USDT}"), 0);
        assert_eq!(warming("close > 1", "{WARM1USDT,WARM2USDT,WARM3USDT,NOSUCHUSDT}"), 2);
        assert_eq!(warming("close > sma(close, 8)", "{WARM1USDT,WARM2USDT}"), 0);
        assert_eq!(warming("close > sma(close, 9)", "{WARM1USDT,WARM2USDT}"), 1);
        assert_eq!(warming("close > symbol(\"WARM3USDT\").tf(\"1m\").close", "{WARM1USDT,WARM2USDT}"), 2);
        assert_eq!(Spi::get_one::<i32>("SELECT vyx._warming('{}', NULL)"), Ok(None));
    }

    #[pg_test]
    fn active_traders_are_ones_own_and_everybodys_without_their_errors() {
        become_tenant("pro");
        run(&save("mine", "running"));
        run(&save("idle", "stopped"));
        run("RESET ROLE");
        run(&save("everybodys", "running"));
        run("UPDATE vyx.traders SET last_error = 'its script' WHERE name = 'everybodys'");
        let names = "SELECT string_agg(name || coalesce(last_error, ''), ' ' ORDER BY name) FROM vyx_active_traders()";
        assert!(one::<String>(names).contains("everybodysits script mine"));
        run("SET ROLE tenants_test");
        assert_eq!(one::<String>(names), "everybodys mine");
        run(
            "RESET ROLE; CREATE ROLE tenants_test_other; GRANT vyx_user TO tenants_test_other; SET ROLE tenants_test_other",
        );
        assert_eq!(one::<String>(names), "everybodys");
    }
}
