//! What must be true after every test, whatever it did: looked at when its server ends.

use super::session::{Params, Session};
use std::cell::Cell;

thread_local! {
    /// This test has killed a process of a server, which then begins anew.
    static KILLED: Cell<bool> = const { Cell::new(false) };
}

/// A test runs in a thread of its own and ends its servers there.
pub fn note_kill() {
    KILLED.set(true);
}

/// Klines of each series that are looked at.
const KLINES: i32 = 300;

/// What a server is like at a moment: each line a question that finds nothing, with the word for what it found otherwise.
const OF_THE_TABLES: [(&str, &str); 7] = [
    (
        "a signal is there twice",
        "SELECT trader_id::text FROM vyx.signals GROUP BY trader_id, trader_version, symbol, \"interval\", close_time
         HAVING count(*) > 1",
    ),
    (
        "a cycle contradicts itself",
        "SELECT c FROM vyx.cycles c
         WHERE c.evaluated <> c.matched + c.unmatched + c.not_ready OR c.fired > c.matched OR c.series > c.expected",
    ),
    (
        // A dump keeps what waits and not the cycles in which it was put off: there the number falls below zero.
        // Whatever column says why a pair that fired is no signal; where signals were deleted, fewer are left.
        "what fired is neither written nor accounted for",
        "SELECT c.\"interval\", c.close_time, c.fired, c.kept, c.failed, c.waiting, written.n AS written, put_off.n AS put_off
         FROM (SELECT c.\"interval\", c.close_time, sum(c.fired) AS fired, sum(c.failed) AS failed,
                      sum(c.waiting) AS waiting, sum(k.n) AS kept
               FROM vyx.cycles c
               CROSS JOIN LATERAL (SELECT sum(e.value::bigint) AS n FROM jsonb_each_text(to_jsonb(c)) e
                                   WHERE e.key LIKE 'suppressed%' OR e.key IN ('shadowed', 'duplicates')) AS k
               GROUP BY c.\"interval\", c.close_time) AS c
         CROSS JOIN LATERAL (SELECT count(*) AS n FROM vyx.signals s
                             WHERE s.\"interval\" = c.\"interval\" AND s.close_time = c.close_time) AS written
         CROSS JOIN LATERAL (SELECT count(*) AS n FROM vyx.pending p
                             WHERE p.\"interval\" = c.\"interval\" AND p.close_time = c.close_time) AS put_off
         WHERE c.waiting > put_off.n OR c.waiting BETWEEN 0 AND put_off.n - 1 OR c.fired - c.kept < written.n
            OR c.fired - c.kept - c.failed > written.n AND pg_stat_get_tuples_deleted('vyx.signals'::regclass) = 0",
    ),
    (
        "a close was passed over without a word",
        // Every close of a fixed length at which some version was in force, up to where all were evaluated.
        "SELECT v.trader_id || ' ' || v.\"interval\" || ' ' || t
         FROM vyx.trader_versions v
         JOIN (VALUES ('1m', 60), ('5m', 300), ('15m', 900), ('1h', 3600), ('4h', 14400), ('1d', 86400)) AS l(name, seconds)
           ON l.name = v.\"interval\"
         CROSS JOIN LATERAL (SELECT min(l.through) AS through, sum(l.skipped) AS skipped
                             FROM (SELECT max(w.evaluated_through) AS through, sum(w.skipped) AS skipped
                                   FROM vyx.watermarks w WHERE w.\"interval\" = v.\"interval\"
                                   GROUP BY to_jsonb(w) -> 'lane') AS l) AS w
         CROSS JOIN LATERAL generate_series(
             vyx.at((ceil((extract(epoch FROM v.effective_from) + 0.001) / l.seconds) * l.seconds * 1000)::bigint - 1),
             least(w.through, v.effective_to - interval '1 millisecond'), l.seconds * interval '1 second') AS t
         WHERE isfinite(v.effective_from) AND w.skipped = 0
           AND NOT EXISTS (SELECT FROM vyx.cycles c WHERE c.\"interval\" = v.\"interval\" AND c.close_time = t)",
    ),
    (
        "seq goes beyond its counter",
        "SELECT s.seq FROM vyx.signals s WHERE s.seq > (SELECT w.seq FROM vyx.writer w) OR s.seq < 1",
    ),
    (
        "a session of vyx is idle in a transaction",
        "SELECT a.pid FROM pg_stat_activity a
         WHERE a.state LIKE 'idle in transaction%' AND clock_timestamp() - a.state_change > interval '1 second'
           AND (a.backend_type LIKE 'vyx %' OR a.query LIKE 'CALL%vyx_evaluate%')",
    ),
    (
        "the worker's transaction is long",
        "SELECT a.pid FROM pg_stat_activity a
         WHERE a.backend_type = 'vyx evaluate' AND clock_timestamp() - a.xact_start > interval '5 seconds'",
    ),
];

const OF_THE_RINGS: [(&str, &str); 2] = [
    (
        "klines do not follow one another, and the ledger does not say why",
        "WITH held AS MATERIALIZED (
             SELECT s.symbol, s.\"interval\", k.open_time, k.close_time,
                    lag(k.close_time) OVER (PARTITION BY s.symbol, s.\"interval\" ORDER BY k.n) AS before
             FROM vyx_series() s, vyx_klines(s.symbol, s.\"interval\", $1, missing_ok => true) WITH ORDINALITY AS k(
                 open_time, open, high, low, close, volume, close_time, quote_volume, trades, taker_buy_volume,
                 taker_buy_quote_volume, is_closed, n)
             WHERE s.klines > 0
         ), steps AS (
             SELECT * FROM held WHERE open_time <> before + interval '1 millisecond'
         )
         SELECT t.symbol || ' ' || t.\"interval\" || ' ' || t.before || ' ' || t.open_time FROM steps t
         WHERE t.open_time <= t.before
            OR NOT EXISTS (SELECT FROM vyx_gaps() g WHERE g.symbol = t.symbol AND g.\"interval\" = t.\"interval\"
                           AND g.from_open <= t.before + interval '1 millisecond' AND g.to_open < t.open_time
                           OR g.symbol = t.symbol AND g.\"interval\" = t.\"interval\"
                           AND g.from_open BETWEEN t.before AND t.open_time)",
    ),
    (
        "a kline is torn",
        "SELECT s.symbol || ' ' || k::text FROM vyx_series() s, vyx_klines(s.symbol, s.\"interval\", $1, missing_ok => true) AS k
         WHERE s.klines > 0 AND (k.high < greatest(k.open, k.close, k.low) OR k.low > least(k.open, k.close)
            OR k.taker_buy_volume > k.volume OR k.open_time >= k.close_time)",
    ),
];

/// Looks at a server that runs, in a database in which the extension may be.
///
/// # Errors
/// What is not so, in words.
pub fn check(session: &Session, log: &str) -> Result<(), String> {
    if log.contains("reinitializing") && !KILLED.get() {
        return Err("the server has begun anew and the test killed nothing".to_owned());
    }
    // Whatever stands in front of Postgres' own in this database.
    let run = |sql: &str| session.try_run(sql).map_err(|error| format!("{sql}\n{error:?}"));
    run("SET search_path = pg_catalog")?;
    if found(session, "SELECT current_setting('is_superuser') WHERE current_setting('is_superuser') = 'on'", &[])?
        .is_none()
    {
        return Ok(()); // the test has taken its rights away from this login
    }
    let home = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                WHERE e.extname = 'vyx'";
    let homes = session.try_rows(home, &[]).map_err(|error| format!("{home}\n{error:?}"))?;
    let Some(home) = homes.first() else { return Ok(()) };
    run(&format!("SET search_path = pg_catalog, {}", home.get::<_, String>(0)))?;
    for (word, sql) in OF_THE_TABLES {
        nothing(session, word, sql, &[])?;
    }
    // Without preloading there is nothing to look at.
    if found(session, "SELECT 1 FROM pg_settings WHERE name = 'vyx.database'", &[])?.is_some() {
        for (word, sql) in OF_THE_RINGS {
            nothing(session, word, sql, &[&KLINES])?;
        }
    }
    Ok(())
}

fn nothing(session: &Session, word: &str, sql: &str, params: Params) -> Result<(), String> {
    found(session, sql, params)?.map_or(Ok(()), |what| Err(format!("{word}: {what}")))
}

/// The first thing that a question finds, as text.
fn found(session: &Session, sql: &str, params: Params) -> Result<Option<String>, String> {
    let rows = session.try_rows(&format!("SELECT x::text FROM ({sql} LIMIT 1) AS x"), params);
    let rows = rows.map_err(|error| format!("{sql}\n{error:?}"))?;
    Ok(rows.first().map(|row| row.get(0)))
}
