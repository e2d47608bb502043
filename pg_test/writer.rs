//! What `vyx.commit_batch` makes of a batch, whoever computed it.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::api::counts::QUEUE_IS_FULL;
    use crate::evaluate::{Batch, Lane, Pair, Signal};
    use crate::pg_test::support::{check_failure, one};
    use crate::worker::evaluate::TABLES;
    use pgrx::JsonB;
    use pgrx::datum::DatumWithOid;
    use pgrx::prelude::*;
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    const TRADER: &str = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b";
    const MINUTE: i64 = 60_000;

    /// A running trader and its version, with a cooldown of a day; there is a writer from then on.
    fn trader() {
        let sql = format!(
            "INSERT INTO vyx.writer (system_identifier) SELECT system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING;
             INSERT INTO vyx.traders (id, name, script, version, updated_at) VALUES ('{TRADER}', 'writer', 'close > 1', 1, '2026-01-01');
             INSERT INTO vyx.trader_versions (trader_id, version, script, program, \"interval\", fire_on, cooldown, effective_from)
             VALUES ('{TRADER}', 1, 'close > 1', '{{}}', '1m', 'match', '1 day', '2026-01-01')"
        );
        Spi::run(&sql).expect("is stored");
    }

    /// Writes a batch that signals this and nothing else, of closes at these times.
    fn commit_signals(closes: &[i64], signals: impl IntoIterator<Item = Signal>) {
        let mut batch = Batch::new("sql", Lane::Prompt, None);
        batch.signals.extend(signals);
        commit(closes, json!({ "signals": batch.to_json()["signals"] }));
    }

    /// Writes a batch that says this and nothing else, of closes at these times.
    fn commit(closes: &[i64], said: Value) {
        let cycle = |close_time: &i64| {
            let mut cycle = json!({"interval": "1m", "close_time": close_time});
            for count in ["expected", "series", "late", "absent", "traders", "evaluated", "matched", "unmatched"] {
                cycle[count] = json!(1);
            }
            for count in ["not_ready", "waiting", "failed", "fired"] {
                cycle[count] = json!(0);
            }
            cycle
        };
        let mut batch = json!({
            "by": "sql", "evaluated_at": closes[closes.len() - 1], "evaluate_ms": 1.0,
            "settled": one::<i64>("SELECT settled FROM vyx.writer"), "watermarks": [], "finished": [], "pending": [],
            "signals": [], "failures": [], "cycles": closes.iter().map(cycle).collect::<Vec<_>>(),
        });
        for (key, value) in said.as_object().expect("an object") {
            batch[key] = value.clone();
        }
        let args = [DatumWithOid::from(JsonB(batch))];
        let outcome: Option<String> =
            Spi::get_one_with_args("SELECT outcome FROM vyx.commit_batch($1)", &args).expect("runs");
        assert_eq!(outcome.as_deref(), Some("written"));
    }

    fn place(close_time: i64) -> Value {
        json!({"trader_id": TRADER, "trader_version": 1, "symbol": "WRITER1USDT", "interval": "1m", "close_time": close_time})
    }

    fn signal(n: u128, close_time: i64) -> Signal {
        Signal {
            id: Uuid::from_u128(0x0000_0000_0000_5000_8000_0000_0000_0000 + n),
            pair: Pair {
                trader_id: TRADER.parse().expect("is a UUID"),
                trader_version: 1,
                symbol: "WRITER1USDT".to_owned(),
                interval: "1m",
                close_time,
            },
            open_time: close_time - MINUTE,
            price: 1.0,
            metadata: Map::new(),
            kline_revision: 0,
            engine: 1,
        }
    }

    /// A signal of another trader than the usual one.
    fn signal_of(trader: &str, n: u128, close_time: i64) -> Signal {
        let mut signal = signal(n, close_time);
        signal.pair.trader_id = trader.parse().expect("is a UUID");
        signal
    }

    /// Another trader with its version, without a cooldown.
    fn another(trader: &str, owner: &str) {
        let sql = format!(
            "INSERT INTO vyx.traders (id, user_id, name, script, version, updated_at)
             VALUES ('{trader}', {owner}, 'another', 'close > 1', 1, '2026-01-01');
             INSERT INTO vyx.trader_versions (trader_id, version, user_id, script, program, \"interval\", fire_on, cooldown, effective_from)
             VALUES ('{trader}', 1, {owner}, 'close > 1', '{{}}', '1m', 'match', '0', '2026-01-01')"
        );
        Spi::run(&sql).expect("is stored");
    }

    /// The last digits of the ids of a trader's signals.
    fn written(table: &str, trader: &str) -> Vec<i32> {
        one(&format!(
            "SELECT coalesce(array_agg(right(id::text, 1)::int ORDER BY close_time), '{{}}') FROM vyx.{table} WHERE trader_id = '{trader}'"
        ))
    }

    const FIRST: i64 = 1_795_176_059_999;
    const SECOND_TRADER: &str = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5c";

    #[pg_test]
    fn both_ways_in_lock_every_table_of_vyx_but_the_one_that_tenants_can_lock() {
        let tables: Vec<String> = one("SELECT array_agg(relname::text ORDER BY relname) FROM pg_class
             WHERE relnamespace = 'vyx'::regnamespace AND relkind = 'r' AND relname <> 'traders'");
        let mut worker = TABLES.map(|name| name.to_str().expect("ASCII"));
        worker.sort_unstable();
        assert_eq!(tables, worker);
        let evaluate_once: Vec<String> = one("SELECT array_agg(t.part[1] ORDER BY t.part[1]) FROM pg_proc p,
                 substring(p.prosrc FROM 'LOCK TABLE (.*) IN ACCESS SHARE MODE NOWAIT') AS list,
                 regexp_matches(list, 'vyx\\.(\\w+)', 'g') AS t(part)
             WHERE p.proname = 'evaluate_once'");
        assert_eq!(tables, evaluate_once);
    }

    #[pg_test]
    fn what_counts_notifications_knows_from_when_on_there_are_none() {
        let limit: String = one(
            "SELECT substring(prosrc FROM 'pg_notification_queue_usage\\(\\) < ([0-9.]+)') FROM pg_proc WHERE proname = 'commit_batch'",
        );
        assert_eq!(limit.parse(), Ok(QUEUE_IS_FULL));
    }

    #[pg_test]
    fn a_signal_that_the_table_refuses_fails_alone_and_is_counted_against_its_trader() {
        trader();
        another(SECOND_TRADER, "NULL");
        Spi::run(&format!("ALTER TABLE vyx.signals ADD CONSTRAINT refused CHECK (trader_id <> '{SECOND_TRADER}')"))
            .expect("is added");
        for n in 0..5 {
            let at = FIRST + n * MINUTE;
            commit_signals(&[at], [signal_of(SECOND_TRADER, 1, at), signal(2, FIRST)]);
        }
        assert_eq!(written("signals", TRADER), [2]);
        assert_eq!(written("signals", SECOND_TRADER), [0; 0]);
        let failures = format!(
            "SELECT f.cause || f.attempts || (f.message ~ 'refused')::text || (r.retry_at > r.since)::text || jsonb_array_length(f.candles)
             FROM vyx.failures f JOIN vyx.resting r USING (trader_id) WHERE f.trader_id = '{SECOND_TRADER}'"
        );
        assert_eq!(one::<String>(&failures), "write5truetrue5");
        let counted = format!("SELECT sum(failed)::int FROM vyx.cycles WHERE close_time >= vyx.at({FIRST})");
        assert_eq!(one::<i32>(&counted), 5);
        let known = format!("SELECT sum(duplicates)::int FROM vyx.cycles WHERE close_time = vyx.at({FIRST})");
        assert_eq!(one::<i32>(&known), 4, "the other's was there already from the second time on");
        Spi::run("ALTER TABLE vyx.signals DROP CONSTRAINT refused").expect("is dropped");
        let at = FIRST + 9 * MINUTE;
        commit_signals(&[at], [signal_of(SECOND_TRADER, 3, at)]);
        assert_eq!(written("signals", SECOND_TRADER), [3]);
        assert_eq!(one::<i64>("SELECT count(*) FROM vyx.resting"), 0);
    }

    #[pg_test]
    fn signals_beyond_the_hours_limit_of_a_tier_are_suppressed_and_counted() {
        const OWNER: &str = "'0191a2b3-0000-7000-8000-000000000001'";
        trader();
        another(SECOND_TRADER, OWNER);
        Spi::run("UPDATE vyx.tiers SET signals_per_hour = 2 WHERE tier = 'free'").expect("runs");
        // The first two lie in one hour, whatever the hour.
        let hour = FIRST / (60 * MINUTE) * 60 * MINUTE;
        for (batch, numbers) in [[1, 2].as_slice(), &[3, 4], &[5]].into_iter().enumerate() {
            let at = |n: usize| hour + n as i64 * MINUTE + if batch == 2 { 60 * MINUTE } else { 0 };
            let closes: Vec<i64> = numbers.iter().map(|n| at(*n)).collect();
            commit_signals(&closes, numbers.iter().map(|n| signal_of(SECOND_TRADER, *n as u128, at(*n))));
        }
        assert_eq!(written("signals", SECOND_TRADER), [1, 2, 5]);
        let suppressed =
            format!("SELECT sum(suppressed_quota)::int FROM vyx.cycles WHERE close_time >= vyx.at({hour})");
        assert_eq!(one::<i32>(&suppressed), 2);
    }

    #[pg_test]
    fn a_shadow_delivers_nothing_and_is_compared_with_what_it_runs_beside() {
        trader();
        another(SECOND_TRADER, "NULL");
        Spi::run(&format!(
            "UPDATE vyx.traders SET state = 'running' WHERE id = '{SECOND_TRADER}';
             UPDATE vyx.trader_versions SET effective_to = '2026-01-02' WHERE trader_id = '{SECOND_TRADER}' AND version = 1;
             UPDATE vyx.trader_versions SET effective_from = '2026-01-02', asked_from = NULL WHERE trader_id = '{SECOND_TRADER}' AND version = 2"
        ))
        .expect("runs");
        let begun = one::<i64>(&format!("SELECT vyx_change_trader('{SECOND_TRADER}', 'close > 2', shadow => true)"));
        let again = one::<i64>(&format!("SELECT vyx_change_trader('{SECOND_TRADER}', 'close > 3', shadow => true)"));
        assert_eq!((begun, again), (3, 4));
        Spi::run(&format!(
            "UPDATE vyx.trader_versions SET effective_from = '2026-01-02' WHERE trader_id = '{SECOND_TRADER}' AND shadow;
             INSERT INTO vyx.watermarks VALUES ('WRITER1USDT', '1m', vyx.at({}))",
            FIRST + 9 * MINUTE
        ))
        .expect("runs");
        let of = |version: i64, n: u128| {
            let mut signal = signal_of(SECOND_TRADER, n, FIRST + (n as i64 % 5) * MINUTE);
            signal.pair.trader_version = version;
            signal
        };
        let closes: Vec<i64> = (0..5).map(|n| FIRST + n * MINUTE).collect();
        // Both at 1, the one in force alone at 2, the shadow alone at 3.
        commit_signals(&closes, [of(2, 1), of(2, 2), of(4, 6), of(4, 8)]);
        assert_eq!(written("signals", SECOND_TRADER), [1, 2]);
        assert_eq!(written("shadow_signals", SECOND_TRADER), [6, 8]);
        let shadowed = format!("SELECT sum(shadowed)::int FROM vyx.cycles WHERE close_time >= vyx.at({FIRST})");
        assert_eq!(one::<i32>(&shadowed), 2);
        let differs = format!(
            "SELECT array_agg(fired_by || (extract(epoch FROM close_time) * 1000 - {FIRST})::bigint / {MINUTE}) FROM vyx_shadow_diff('{SECOND_TRADER}')"
        );
        assert_eq!(one::<Vec<String>>(&differs), ["current2", "shadow3"]);
        assert_eq!(one::<i64>(&format!("SELECT vyx_promote_shadow('{SECOND_TRADER}')")), 5);
        let now = format!("SELECT script || version || state FROM vyx.traders WHERE id = '{SECOND_TRADER}'");
        assert_eq!(one::<String>(&now), "close > 35running");
        let left = format!(
            "SELECT count(*) FROM vyx.trader_versions WHERE trader_id = '{SECOND_TRADER}' AND asked_to IS NULL AND effective_to IS NULL"
        );
        assert_eq!(one::<i64>(&left), 1, "the change has ended the shadow");
        check_failure(&format!("SELECT vyx_promote_shadow('{SECOND_TRADER}')"), "55000", &["has ended"]);
        check_failure(&format!("SELECT vyx_shadow_diff('{TRADER}')"), "42704", &["no shadow"]);
        check_failure(&format!("SELECT vyx_change_trader('{TRADER}', 'true', true)"), "55000", &["does not run"]);
    }

    #[pg_test]
    fn a_cooldown_of_a_day_is_24_hours_in_every_time_zone() {
        trader();
        // Clocks in Berlin go back at 01:00 UTC of 2026-10-25: that day has 25 hours.
        Spi::run("SET timezone = 'Europe/Berlin'").expect("is set");
        let first = one::<i64>("SELECT extract(epoch FROM timestamptz '2026-10-24 23:30 UTC')::bigint * 1000");
        let closes = [first, first + 23 * 60 * MINUTE, first + (24 * 60 + 15) * MINUTE];
        commit_signals(&closes, (0..).zip(closes).map(|(n, close_time)| signal(n, close_time)));
        let written = format!(
            "SELECT array_agg(right(id::text, 1)::int ORDER BY seq) FROM vyx.signals WHERE trader_id = '{TRADER}'"
        );
        assert_eq!(one::<Vec<i32>>(&written), [0, 2]);
        let suppressed =
            format!("SELECT sum(suppressed_cooldown)::int FROM vyx.cycles WHERE close_time = vyx.at({})", closes[1]);
        assert_eq!(one::<i32>(&suppressed), 1);
    }

    #[pg_test]
    fn what_is_pending_is_written_once_and_outlives_its_trader_until_it_is_finished() {
        trader();
        let close_time = 1_795_176_059_999;
        let mut pending = place(close_time);
        pending["waiting_for"] = json!("BTCUSDT 1h");
        let rows = format!("SELECT count(*) FROM vyx.pending WHERE trader_id = '{TRADER}'");
        commit(&[close_time], json!({"pending": [pending]}));
        commit(&[close_time], json!({"pending": [pending]}));
        assert_eq!(one::<i64>(&rows), 1);
        // Deleted in a tenant's transaction, they would be locked as long as that stays open.
        Spi::run(&format!("DELETE FROM vyx.traders WHERE id = '{TRADER}'")).expect("is deleted");
        assert_eq!(one::<i64>(&rows), 1);
        commit(&[close_time], json!({"finished": [place(close_time)]}));
        assert_eq!(one::<i64>(&rows), 0);
    }

    #[pg_test]
    fn a_failure_is_counted_and_its_last_words_are_shown_to_the_owner() {
        trader();
        let failure = |close_time: i64, message: &str| {
            let mut failure = place(close_time);
            (failure["cause"], failure["message"]) = (json!("program"), json!(message));
            failure
        };
        let first = 1_795_176_059_999;
        commit(&[first], json!({"failures": [failure(first, "one")]}));
        let (second, third) = (first + MINUTE, first + 2 * MINUTE);
        commit(&[second, third], json!({"failures": [failure(third, "three"), failure(second, "two")]}));
        let folded = format!(
            "SELECT f.attempts || f.message || t.last_error || t.version FROM vyx.failures f JOIN vyx.traders t ON t.id = f.trader_id
             WHERE f.trader_id = '{TRADER}'"
        );
        assert_eq!(one::<String>(&folded), "3threethree1");
    }
}
