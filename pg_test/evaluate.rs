//! What is evaluated and what is written, for klines that the test has put into the ring.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::evaluate::{Batch, Evaluator, Lane, Request, ready, signal_id};
    use crate::pg_test::support::{FIRST, kline, one, symbol};
    use crate::shmem;
    use pgrx::JsonB;
    use pgrx::datum::DatumWithOid;
    use pgrx::prelude::*;
    use serde_json::{Value, json};
    use std::time::Duration;
    use uuid::Uuid;
    use vyx_core::store::{Completeness, Writer};
    use vyx_core::{Interval, Kline, Millis, Symbol};
    use vyx_engine::market::anchor;
    use vyx_engine::program::FORMAT;

    const MINUTE: i64 = 60_000;

    /// A symbol whose 1m series begins with kline number 0, so that its history is complete from there.
    struct Tracked {
        writer: Writer<'static>,
        name: &'static str,
    }

    impl Tracked {
        fn new(name: &'static str) -> Tracked {
            let tracked = Tracked { writer: symbol(name).0, name };
            let series = tracked.series(Interval::M1);
            tracked.writer.set_first_ever(series, Interval::M1.ordinal(Millis(FIRST)));
            tracked
        }

        fn series(&self, interval: Interval) -> vyx_core::store::Series {
            let store = self.writer.store();
            let id = store.find(&Symbol::new(self.name).expect("a symbol")).expect("is tracked");
            store.series(id, interval).expect("1m and 1h are tracked")
        }

        /// Closes 1m klines from number `n` on with these close prices.
        fn close(&self, n: i64, prices: &[f64]) {
            for (n, price) in (n..).zip(prices) {
                self.put(Interval::M1, kline(n, price - 1.0, true));
                self.writer.store().raise_market_time(Millis(FIRST + (n + 1) * MINUTE));
            }
        }

        fn put(&self, interval: Interval, kline: Kline) {
            assert!(self.writer.put_kline(self.series(interval), &kline).accepted());
        }
    }

    /// Lets a version evaluate `symbol` from kline 0 on that matches when the close is above 100, from a watermark before it.
    fn version(trader: Uuid, symbol: &str, fire_on: &str) {
        let program = json!({
            "format": FORMAT, "interval": "1m", "clocks": [{"interval": "1m"}], "fire": 2, "fields": [["level", 0]],
            "nodes": [{"op": {"candle": "close"}}, {"op": {"number": 100.0}}, {"op": {"compare": ["gt", 0, 1]}}]
        });
        store_version(trader, symbol, fire_on, &program.to_string());
    }

    /// A program that matches where the newest close of another symbol is above 100.
    fn reads(other: &str) -> String {
        let program = json!({
            "format": FORMAT, "interval": "1m", "clocks": [{"interval": "1m"}, {"symbol": other, "interval": "1m"}],
            "fire": 3, "fields": [],
            "nodes": [{"clock": 1, "op": {"candle": "close"}}, {"op": {"number": 100.0}}, {"op": {"align": 0}},
                      {"op": {"compare": ["gt", 2, 1]}}]
        });
        program.to_string()
    }

    fn store_version(trader: Uuid, symbol: &str, fire_on: &str, program: &str) {
        Spi::run("INSERT INTO vyx.writer (system_identifier) SELECT system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING")
            .expect("there is a writer");
        let insert = format!(
            "INSERT INTO vyx.trader_versions (trader_id, version, script, program, \"interval\", symbols, fire_on, cooldown, effective_from)
             VALUES ('{trader}', 1, '', '{program}', '1m', '{{{symbol}}}', '{fire_on}', '0', vyx.at({FIRST}))"
        );
        Spi::run(&insert).expect("is stored");
        let watermark =
            format!("INSERT INTO vyx.watermarks VALUES ('{symbol}', '1m', vyx.at({FIRST} - 1)) ON CONFLICT DO NOTHING");
        Spi::run(&watermark).expect("is stored");
    }

    fn commit(batch: &Value) -> String {
        let args = [DatumWithOid::from(JsonB(batch.clone()))];
        Spi::get_one_with_args("SELECT outcome FROM vyx.commit_batch($1)", &args).expect("runs").expect("is not null")
    }

    /// Evaluates and writes, as both ways in do, until nothing is due.
    fn evaluate() {
        while let Some(batch) = Spi::get_one::<JsonB>("SELECT vyx._evaluate_batch('1m')").expect("runs") {
            assert_eq!(commit(&batch.0), "written");
        }
    }

    fn evaluate_without_grace() -> Option<Batch> {
        let store = shmem::store().expect("preloaded");
        let request = Request { store, only: Some(Interval::M1), by: "sql", lane: Lane::Prompt, grace: Duration::ZERO };
        let mut evaluator = Evaluator::default();
        let tables = evaluator.read(request).expect("reads");
        evaluator.evaluate(request, &tables)
    }

    /// The numbers of the klines that a trader signalled.
    fn signalled(trader: Uuid) -> Vec<i64> {
        let sql = format!(
            "SELECT coalesce(array_agg((extract(epoch FROM open_time)::bigint * 1000 - {FIRST}) / {MINUTE} ORDER BY seq), '{{}}')
             FROM vyx.signals WHERE trader_id = '{trader}'"
        );
        one(&sql)
    }

    /// The number of the kline through which a symbol was evaluated, and how many were skipped.
    fn watermark(symbol: &str) -> (i64, i64) {
        let through = format!(
            "SELECT (extract(epoch FROM evaluated_through) * 1000)::bigint FROM vyx.watermarks WHERE symbol = '{symbol}'"
        );
        let skipped = format!("SELECT skipped FROM vyx.watermarks WHERE symbol = '{symbol}'");
        ((one::<i64>(&through) - FIRST).div_euclid(MINUTE), one(&skipped))
    }

    const TRADER: Uuid = Uuid::from_u128(0x0191_a2b3_c4d5_7e6f_8a9b_0c1d_2e3f_4a5b);
    const OTHER: Uuid = Uuid::from_u128(0x0191_a2b3_c4d5_7e6f_8a9b_0c1d_2e3f_4a5c);

    #[pg_test]
    fn a_signals_id_is_the_one_that_an_independent_program_computed() {
        // Python's hashlib over the namespace and the name, with the bits of version 5 set.
        let check = |interval, symbol, expected| {
            let symbol = Symbol::new(symbol).expect("a symbol");
            let id = signal_id(TRADER, 3, Millis(1_795_176_059_999), interval, &symbol);
            assert_eq!(id.to_string(), expected);
        };
        check(Interval::M1, "BTCUSDT", "fc962d59-a0fd-51e6-8497-0c4286169480");
        check(Interval::Mo1, "币安人生USDT", "f3b0001f-9663-5448-8fac-5985e7af90f3");
    }

    #[pg_test]
    fn an_edge_fires_where_a_match_begins_and_a_match_each_time() {
        let tracked = Tracked::new("EDGE1USDT");
        version(TRADER, "EDGE1USDT", "edge");
        version(OTHER, "EDGE1USDT", "match");
        // The first candle matches, but of the one before it nothing is known.
        tracked.close(0, &[101.0, 99.0, 101.0, 102.0, 100.0, 103.0]);
        evaluate();
        assert_eq!(signalled(TRADER), [2, 5]);
        assert_eq!(signalled(OTHER), [0, 2, 3, 5]);
        assert_eq!(watermark("EDGE1USDT"), (5, 0));
        let signal = "SELECT price || ' ' || metadata || ' ' || kline_revision || ' ' || engine || ' ' || \"interval\" || ' ' || trader_version
                      FROM vyx.signals WHERE symbol = 'EDGE1USDT' AND close_time = '2026-11-20 12:05:59.999+00' LIMIT 1";
        assert_eq!(one::<String>(signal), format!("103 {{\"level\": 103}} 0 {FORMAT} 1m 1"));
        let counts = format!(
            "SELECT array[sum(evaluated), sum(matched), sum(unmatched), sum(fired)]::bigint[]
             FROM vyx.cycles WHERE close_time BETWEEN vyx.at({FIRST}) AND vyx.at({FIRST} + 6 * {MINUTE}) AND traders = 2"
        );
        assert_eq!(one::<Vec<i64>>(&counts), [12, 8, 4, 6]);
        evaluate();
        assert_eq!(signalled(OTHER), [0, 2, 3, 5], "what was evaluated is not evaluated again");
    }

    #[pg_test]
    fn what_follows_later_continues_what_was_evaluated() {
        let tracked = Tracked::new("LATER1USDT");
        version(TRADER, "LATER1USDT", "edge");
        tracked.close(0, &[99.0, 101.0]);
        evaluate();
        tracked.close(2, &[102.0, 98.0]);
        evaluate();
        tracked.close(4, &[103.0]);
        evaluate();
        assert_eq!(signalled(TRADER), [1, 4]);
    }

    #[pg_test]
    fn a_batch_that_lost_the_race_writes_nothing() {
        let tracked = Tracked::new("LOST1USDT");
        version(TRADER, "LOST1USDT", "match");
        tracked.close(0, &[101.0]);
        let batch: JsonB = one("SELECT vyx._evaluate_batch('1m')");
        assert_eq!(commit(&batch.0), "written");
        assert_eq!(commit(&batch.0), "lost");
        assert_eq!(signalled(TRADER), [0]);
        assert_eq!(one::<i64>("SELECT sum(duplicates)::bigint FROM vyx.cycles"), 0);
        evaluate();
        assert_eq!(signalled(TRADER), [0]);
    }

    #[pg_test]
    fn a_series_begins_where_it_was_tracked_and_not_before() {
        let tracked = Tracked::new("BEGIN1USDT");
        version(TRADER, "BEGIN1USDT", "match");
        Spi::run("DELETE FROM vyx.watermarks WHERE symbol = 'BEGIN1USDT'").expect("runs");
        // It is tracked since FIRST: number −1 was the last that had closed before.
        tracked.put(Interval::M1, kline(-1, 200.0, true));
        let begin: JsonB = one("SELECT vyx._evaluate_batch('1m')");
        let begins = begin.0["watermarks"].as_array().expect("a list").iter().find(|w| w["symbol"] == "BEGIN1USDT");
        let begins = begins.expect("a new series has a first watermark");
        assert_eq!((&begins["read"], begins["through"].as_i64()), (&Value::Null, Some(FIRST - 1)));
        tracked.close(0, &[101.0]);
        evaluate();
        assert_eq!(signalled(TRADER), [0]);
    }

    #[pg_test]
    fn a_candle_waits_until_all_that_closes_with_it_is_settled() {
        let tracked = Tracked::new("HOUR1USDT");
        version(TRADER, "HOUR1USDT", "match");
        tracked.close(0, &[101.0; 60]);
        evaluate();
        // Number 59 ends the hour.
        assert_eq!(watermark("HOUR1USDT").0, 58);
        tracked.put(Interval::H1, kline(0, 100.0, true));
        evaluate();
        assert_eq!(watermark("HOUR1USDT").0, 59);
        assert_eq!(signalled(TRADER).len(), 60);
    }

    #[pg_test]
    fn a_gap_holds_up_its_series_and_an_absent_candle_says_nothing() {
        let tracked = Tracked::new("GAP1USDT");
        version(TRADER, "GAP1USDT", "edge");
        tracked.close(0, &[99.0, 101.0]);
        tracked.close(3, &[99.0, 101.0]);
        evaluate();
        assert_eq!((watermark("GAP1USDT").0, signalled(TRADER)), (1, vec![1]));
        let gap = Interval::M1.ordinal(Millis(FIRST)) + 2;
        assert_eq!(tracked.writer.confirm(tracked.series(Interval::M1), gap, gap), 1);
        evaluate();
        assert_eq!((watermark("GAP1USDT").0, signalled(TRADER)), (4, vec![1, 4]));
        let absent =
            format!("SELECT sum(absent)::bigint FROM vyx.cycles WHERE close_time = vyx.at({FIRST} + 3 * {MINUTE} - 1)");
        assert_eq!(one::<i64>(&absent), 1);
    }

    #[pg_test]
    fn a_correction_changes_no_signal_and_what_follows_sees_it() {
        let tracked = Tracked::new("CORRECT1USDT");
        version(TRADER, "CORRECT1USDT", "edge");
        tracked.close(0, &[99.0, 101.0]);
        evaluate();
        // Number 1 did not match after all, so number 2 begins a match.
        tracked.put(Interval::M1, Kline { trades: 8, ..kline(1, 98.0, true) });
        tracked.close(2, &[101.0]);
        evaluate();
        assert_eq!(signalled(TRADER), [1, 2]);
    }

    #[pg_test]
    fn other_symbols_data_is_waited_for_and_what_waits_too_long_is_finished_later() {
        let tracked = Tracked::new("WAIT1USDT");
        let other = Tracked::new("WAIT2USDT");
        version(TRADER, "WAIT1USDT", "match");
        store_version(OTHER, "WAIT1USDT", "edge", &reads("WAIT2USDT"));
        other.close(0, &[99.0]);
        tracked.close(0, &[101.0, 101.0]);
        evaluate();
        assert_eq!(watermark("WAIT1USDT").0, 0, "it waits for close_grace, and all of its traders with it");
        let batch = evaluate_without_grace().expect("after the grace the others go on").to_json();
        assert_eq!(commit(&batch), "written");
        assert_eq!((watermark("WAIT1USDT").0, signalled(TRADER), signalled(OTHER)), (1, vec![0, 1], vec![]));
        let waiting = "SELECT waiting_for || ' ' || count(*) OVER () FROM vyx.pending WHERE symbol = 'WAIT1USDT'";
        assert_eq!(one::<String>(waiting), "WAIT2USDT 1m 1");
        other.close(1, &[101.0]);
        evaluate();
        assert_eq!(signalled(OTHER), [1]);
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx.pending"), 0);
        let counts = format!(
            "SELECT array[waiting, evaluated, late]::bigint[] FROM vyx.cycles WHERE close_time = vyx.at({FIRST} + 2 * {MINUTE} - 1)"
        );
        assert_eq!(one::<Vec<i64>>(&counts), [0, 2, 1]);
    }

    #[pg_test]
    fn a_series_that_is_being_backfilled_is_waited_for_where_it_is_new() {
        let tracked = Tracked::new("FILL1USDT");
        store_version(OTHER, "FILL1USDT", "match", &reads("FILL2USDT"));
        tracked.close(0, &[101.0, 101.0]);
        let store = tracked.writer.store();
        let (writer, id) = symbol("FILL2USDT");
        let other = Tracked { writer, name: "FILL2USDT" };
        let info = store.symbol(id).expect("is tracked").info;
        let track = |since| {
            other.writer.remove_symbol(store.find(&info.symbol).expect("is tracked"));
            other.writer.put_symbol(&info, since).expect("there is room");
            // The stream has brought what closed since; nobody knows of what lies before.
            other.put(Interval::M1, kline(1, 100.0, true));
        };
        let pending = || one::<i64>("SELECT count(*) FROM vyx.pending WHERE symbol = 'FILL1USDT'");
        track(store.market_time());
        if let Some(batch) = evaluate_without_grace() {
            assert_eq!(commit(&batch.to_json()), "written");
        }
        assert_eq!((watermark("FILL1USDT").0, pending()), (-1, 0), "it waits, though the candles are overdue");
        track(store.market_time() - Millis::DAY);
        let batch = evaluate_without_grace().expect("a series that never comes holds up nobody for long");
        assert_eq!(commit(&batch.to_json()), "written");
        assert_eq!((watermark("FILL1USDT").0, pending()), (1, 2));
        other.writer.set_first_ever(other.series(Interval::M1), Interval::M1.ordinal(Millis(FIRST)) + 1);
        evaluate();
        assert_eq!((signalled(OTHER), pending()), (vec![1], 0));
    }

    #[pg_test]
    fn an_edge_waits_for_the_history_of_the_candle_before_a_hole() {
        let tracked = Tracked { writer: symbol("BLOCK1USDT").0, name: "BLOCK1USDT" };
        let name = Symbol::new("BLOCK1USDT").expect("a symbol");
        let first = Interval::M1.ordinal(Millis(FIRST));
        // In the block of `now` lies only a hole before it: the candle before that belongs to the block before.
        let begins = |ordinal| anchor(&name, Interval::M1, ordinal);
        let starts = |now: &i64| begins(now - 1) != begins(now - 2) && now % 60 != 59;
        let now = (first + 10..).find(starts).expect("blocks end");
        let put = |ordinal, price| tracked.put(Interval::M1, kline(ordinal - first, price - 1.0, true));
        (begins(now)..now - 1).for_each(|ordinal| put(ordinal, 99.0));
        tracked.writer.confirm(tracked.series(Interval::M1), now - 1, now - 1);
        put(now, 101.0);
        tracked.writer.store().raise_market_time(Interval::M1.close_time(now) + Millis(1));
        let evaluated = Interval::M1.close_time(now - 1);
        Spi::run(&format!("INSERT INTO vyx.watermarks VALUES ('BLOCK1USDT', '1m', vyx.at({}))", evaluated.0))
            .expect("is stored");
        version(TRADER, "BLOCK1USDT", "edge");
        let through = || watermark("BLOCK1USDT").0 + first;
        evaluate();
        assert_eq!((through(), signalled(TRADER)), (now - 1, vec![]), "its history is being fetched");
        (begins(now - 2)..begins(now)).for_each(|ordinal| put(ordinal, 99.0));
        evaluate();
        assert_eq!((through(), signalled(TRADER)), (now, vec![now - first]));
    }

    #[pg_test]
    fn what_is_put_off_for_a_program_that_cannot_be_read_any_more_is_finished() {
        let tracked = Tracked::new("UNREAD1USDT");
        store_version(OTHER, "UNREAD1USDT", "match", &format!("{{\"format\": {FORMAT}}}"));
        tracked.close(0, &[101.0]);
        let put_off = format!(
            "INSERT INTO vyx.pending (trader_id, trader_version, symbol, \"interval\", close_time, waiting_for, since)
             VALUES ('{OTHER}', 1, 'UNREAD1USDT', '1m', vyx.at({FIRST} - 1), 'ETHUSDT 1m', now())"
        );
        Spi::run(&put_off).expect("is stored");
        evaluate();
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx.pending"), 0);
        let failure = format!("SELECT cause || ' ' || attempts FROM vyx.failures WHERE trader_id = '{OTHER}'");
        assert_eq!(one::<String>(&failure), "program 2", "what was put off, and the candle after it");
    }

    #[pg_test]
    fn a_program_that_broke_the_engine_is_left_out() {
        let tracked = Tracked::new("BROKEN1USDT");
        version(TRADER, "BROKEN1USDT", "match");
        version(OTHER, "BROKEN1USDT", "match");
        let store = shmem::store().expect("preloaded");
        let request = Request { store, only: Some(Interval::M1), by: "sql", lane: Lane::Prompt, grace: Duration::ZERO };
        let mut evaluator = Evaluator::default();
        for (n, signals) in [(0, 2), (1, 1)] {
            tracked.close(n, &[101.0]);
            let tables = evaluator.read(request).expect("reads");
            if n == 1 {
                let broken = tables.versions.iter().find(|one| one.version.key.0 == OTHER).expect("is in force");
                broken.version.broken.set("the program broke the engine: index".to_owned()).expect("was well");
            }
            let batch = evaluator.evaluate(request, &tables).expect("is due");
            assert_eq!(batch.signals.len(), signals);
            assert_eq!(commit(&batch.to_json()), "written");
        }
        let failure = format!("SELECT cause || ' ' || message FROM vyx.failures WHERE trader_id = '{OTHER}'");
        assert_eq!(one::<String>(&failure), "program the program broke the engine: index");
    }

    #[pg_test]
    fn each_lane_has_its_own_watermarks_and_the_prompt_one_comes_first() {
        let tracked = Tracked::new("LANE1USDT");
        version(TRADER, "LANE1USDT", "match");
        version(OTHER, "LANE1USDT", "match");
        Spi::run(&format!("UPDATE vyx.trader_versions SET lane = 1 WHERE trader_id = '{OTHER}'")).expect("runs");
        Spi::run(&format!("INSERT INTO vyx.watermarks VALUES ('LANE1USDT', '1m', vyx.at({FIRST} - 1), 0, 1)"))
            .expect("runs");
        tracked.close(0, &[101.0, 102.0]);
        let mut lanes = Vec::new();
        while let Some(batch) = Spi::get_one::<JsonB>("SELECT vyx._evaluate_batch('1m')").expect("runs") {
            lanes.push(batch.0["lane"].as_i64().expect("a number"));
            assert_eq!(commit(&batch.0), "written");
        }
        assert_eq!(lanes, [0, 1]);
        assert_eq!((signalled(TRADER), signalled(OTHER)), (vec![0, 1], vec![0, 1]));
        let cycles = "SELECT array_agg(lane || ' ' || fired ORDER BY close_time, lane) FROM vyx.cycles WHERE traders = 1 AND fired = 1";
        assert_eq!(one::<Vec<String>>(cycles), ["0 1", "1 1", "0 1", "1 1"]);
        let tallied = format!(
            "SELECT sum((c.count ->> 'evaluated')::int)::int FROM vyx.tallies t CROSS JOIN jsonb_array_elements(t.counts) AS c(count)
             WHERE c.count -> 'traders' ? '{OTHER}'"
        );
        assert_eq!(one::<i32>(&tallied), 2);
    }

    #[pg_test]
    fn what_fails_again_and_again_rests_for_a_while_and_recovers() {
        let tracked = Tracked::new("REST1USDT");
        version(TRADER, "REST1USDT", "match");
        let program =
            one::<pgrx::Json>(&format!("SELECT program FROM vyx.trader_versions WHERE trader_id = '{TRADER}'"));
        let set = |program: &str| {
            Spi::run(&format!("UPDATE vyx.trader_versions SET program = '{program}' WHERE trader_id = '{TRADER}'"))
                .expect("runs");
        };
        // Another session's evaluator, which knows nothing of the program before.
        let turn = |n: i64| {
            tracked.close(n, &[101.0]);
            let batch = evaluate_without_grace().expect("is due").to_json();
            assert_eq!(commit(&batch), "written");
        };
        set("{}");
        (0..5).for_each(turn);
        let in_a_row = "SELECT in_a_row FROM vyx.resting WHERE retry_at = (SELECT last_at FROM vyx.failures) + interval '1 minute'";
        assert_eq!(one::<i32>(in_a_row), 5);
        let counts = format!(
            "SELECT array_agg(failed || ' ' || resting ORDER BY close_time) FROM vyx.cycles WHERE close_time < vyx.at({})",
            FIRST + 6 * MINUTE
        );
        set(&program.0.to_string());
        turn(5);
        assert_eq!(one::<Vec<String>>(&counts), ["1 0", "1 0", "1 0", "1 0", "1 0", "0 1"]);
        let retry_at = one::<i64>("SELECT (extract(epoch FROM retry_at) * 1000)::bigint FROM vyx.resting");
        tracked.writer.store().raise_market_time(Millis(retry_at));
        turn(6);
        assert_eq!(signalled(TRADER), [6], "the minute is over");
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx.resting"), 0);
        let candles = format!("SELECT candles FROM vyx.failures WHERE trader_id = '{TRADER}'");
        let newest = json!(["REST1USDT", FIRST + 5 * MINUTE - 1]);
        assert_eq!(one::<JsonB>(&candles).0[0], newest);
    }

    #[pg_test]
    fn a_program_that_cannot_be_read_is_a_failure_and_holds_up_nobody() {
        let tracked = Tracked::new("FAIL1USDT");
        version(TRADER, "FAIL1USDT", "match");
        store_version(OTHER, "FAIL1USDT", "match", &format!("{{\"format\": {FORMAT}}}"));
        tracked.close(0, &[101.0, 102.0]);
        evaluate();
        assert_eq!((signalled(TRADER), signalled(OTHER)), (vec![0, 1], vec![]));
        let failure =
            format!("SELECT cause || ' ' || attempts || ' ' || message FROM vyx.failures WHERE trader_id = '{OTHER}'");
        let failure: String = one(&failure);
        assert!(failure.starts_with("program 2 ") && failure.contains("missing field"), "{failure}");
    }

    #[pg_test]
    fn a_program_of_another_format_is_compiled_again_and_nothing_is_lost_meanwhile() {
        let tracked = Tracked::new("FORMAT1USDT");
        store_version(TRADER, "FORMAT1USDT", "match", "{\"format\": 1, \"nodes\": 7}");
        store_version(OTHER, "FORMAT1USDT", "match", "{\"format\": 99}");
        let scripts = format!(
            "UPDATE vyx.trader_versions SET script = CASE trader_id WHEN '{TRADER}' THEN 'close > 100' ELSE 'clse > 100' END"
        );
        Spi::run(&scripts).expect("runs");
        tracked.close(0, &[101.0, 99.0, 102.0]);
        evaluate();
        assert_eq!(signalled(TRADER), Vec::<i64>::new());
        let waiting = "SELECT count(*) FROM vyx.pending WHERE waiting_for = 'its script to be compiled again'";
        assert_eq!(one::<i64>(waiting), 6);

        assert_eq!(one::<i32>("SELECT vyx.upgrade_programs()"), 2);
        assert_eq!(one::<i32>("SELECT vyx.upgrade_programs()"), 0);
        tracked.close(3, &[103.0]);
        evaluate();
        assert_eq!(
            (signalled(TRADER), one::<i64>(waiting)),
            (vec![0, 2, 3], 0),
            "in the order in which they were finished"
        );
        let failure =
            format!("SELECT cause || ' ' || attempts || ' ' || message FROM vyx.failures WHERE trader_id = '{OTHER}'");
        let failure: String = one(&failure);
        let told =
            failure.starts_with("program 4 since an update of vyx the script does not compile: 1:1: unknown name");
        assert!(told, "{failure}");
    }

    #[pg_test]
    fn a_symbol_with_too_little_volume_is_left_out() {
        let tracked = Tracked::new("VOLUME1USDT");
        version(TRADER, "VOLUME1USDT", "match");
        // A kline has 1,000; without 5m the day is summed from 1m.
        Spi::run("UPDATE vyx.trader_versions SET min_quote_volume_24h = 2500").expect("runs");
        tracked.close(0, &[101.0; 5]);
        evaluate();
        assert_eq!((watermark("VOLUME1USDT").0, signalled(TRADER)), (4, vec![2, 3, 4]));
    }

    #[pg_test]
    fn a_version_evaluates_what_closes_while_it_is_in_force() {
        let tracked = Tracked::new("FORCE1USDT");
        version(TRADER, "FORCE1USDT", "match");
        let period = format!(
            "UPDATE vyx.trader_versions SET effective_from = vyx.at({FIRST} + 2 * {MINUTE} - 1), effective_to = vyx.at({FIRST} + 4 * {MINUTE} - 1)"
        );
        Spi::run(&period).expect("runs");
        tracked.close(0, &[101.0; 6]);
        evaluate();
        // Kline 1 closes when it begins, kline 3 when it ends; what comes after belongs to nobody.
        assert_eq!(signalled(TRADER), [1, 2]);
        assert!(watermark("FORCE1USDT").0 >= 3);
    }

    #[pg_test]
    fn watermarks_that_stand_still_keep_no_other_version_alive() {
        let tracked = Tracked::new("STILL1USDT");
        version(TRADER, "STILL1USDT", "match");
        version(OTHER, "STILL1USDT", "match");
        tracked.close(0, &[101.0; 3]);
        evaluate();
        // Other tests' symbols stand where they were left.
        Spi::run("DELETE FROM vyx.watermarks WHERE symbol <> 'STILL1USDT'").expect("runs");
        // A trader of 1h ran once, long before.
        Spi::run(&format!("INSERT INTO vyx.watermarks VALUES ('STILL1USDT', '1h', vyx.at({FIRST} - 1))"))
            .expect("runs");
        let ended =
            |at: i64| format!("UPDATE vyx.trader_versions SET effective_to = vyx.at({at}) WHERE trader_id = '{OTHER}'");
        let read = || {
            let request = Request {
                store: shmem::store().expect("preloaded"),
                only: None,
                by: "sql",
                lane: Lane::Prompt,
                grace: Duration::ZERO,
            };
            let tables = Evaluator::default().read(request).expect("reads");
            tables.versions.iter().map(|version| version.version.key.0).collect::<Vec<_>>()
        };
        Spi::run(&ended(FIRST + 3 * MINUTE)).expect("runs");
        assert_eq!(read(), [TRADER, OTHER], "it may evaluate what closes next");
        Spi::run(&ended(FIRST + 3 * MINUTE - 1)).expect("runs");
        assert_eq!(read(), [TRADER]);
    }

    #[pg_test]
    fn a_copied_cluster_is_silent_until_it_is_adopted() {
        let tracked = Tracked::new("COPY1USDT");
        version(TRADER, "COPY1USDT", "match");
        Spi::run("UPDATE vyx.writer SET system_identifier = 1").expect("runs");
        tracked.close(0, &[101.0]);
        let batch: JsonB = one("SELECT vyx._evaluate_batch('1m')");
        assert_eq!((commit(&batch.0).as_str(), signalled(TRADER)), ("foreign", vec![]));
        assert!(one::<bool>("SELECT vyx_adopt()"));
        evaluate();
        assert_eq!(signalled(TRADER), [0]);
    }

    #[pg_test]
    fn what_is_too_old_is_skipped_and_counted() {
        let tracked = Tracked::new("OLD1USDT");
        version(TRADER, "OLD1USDT", "match");
        // More than the ring of 2,048 holds, in a series that begins before it.
        tracked.close(0, &[99.0; 2_500]);
        let name = Symbol::new("OLD1USDT").expect("a symbol");
        let known = shmem::store().expect("preloaded").completeness(tracked.series(Interval::M1));
        let first = ready::first_exact(&name, Interval::M1, &known.expect("is held").expect("is complete"));
        let first = first - Interval::M1.ordinal(Millis(FIRST));
        let batch: JsonB = one("SELECT vyx._evaluate_batch('1m')");
        let mark = batch.0["watermarks"].as_array().expect("a list").iter().find(|w| w["symbol"] == "OLD1USDT");
        assert_eq!(mark.expect("it moved")["skipped"].as_i64(), Some(first));
    }

    #[pg_test]
    fn the_first_exact_candle_is_the_first_whose_history_and_predecessor_fit() {
        for name in ["BTCUSDT", "ETHUSDT", "币安人生USDT"] {
            let symbol = Symbol::new(name).expect("a symbol");
            for interval in [Interval::M1, Interval::H4] {
                for oldest in 1_000_000..1_000_600 {
                    let known = Completeness { from: 0, through: 0, first_ever: None, oldest, rewritten: 0 };
                    let first = ready::first_exact(&symbol, interval, &known);
                    assert!(anchor(&symbol, interval, first - 1) >= oldest, "{name} {interval} {oldest}");
                    assert!(anchor(&symbol, interval, first - 2) < oldest, "{name} {interval} {oldest}");
                }
            }
        }
    }
}
