//! What `vyx.commit_batch` makes of a batch, whoever computed it.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::one;
    use pgrx::JsonB;
    use pgrx::datum::DatumWithOid;
    use pgrx::prelude::*;
    use serde_json::{Value, json};

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

    #[pg_test]
    fn a_cooldown_of_a_day_is_24_hours_in_every_time_zone() {
        trader();
        // Clocks in Berlin go back at 01:00 UTC of 2026-10-25: that day has 25 hours.
        Spi::run("SET timezone = 'Europe/Berlin'").expect("is set");
        let first = one::<i64>("SELECT extract(epoch FROM timestamptz '2026-10-24 23:30 UTC')::bigint * 1000");
        let closes = [first, first + 23 * 60 * MINUTE, first + (24 * 60 + 15) * MINUTE];
        let signal = |(n, close_time): (usize, &i64)| {
            let mut signal = place(*close_time);
            signal["id"] = json!(format!("00000000-0000-5000-8000-00000000000{n}"));
            signal["open_time"] = json!(close_time - MINUTE);
            (signal["price"], signal["kline_revision"], signal["engine"]) = (json!(1.0), json!(0), json!(1));
            signal
        };
        commit(&closes, json!({"signals": closes.iter().enumerate().map(signal).collect::<Vec<_>>()}));
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
