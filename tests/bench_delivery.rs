//! Fan-out as Supabase Realtime does it: signals decoded by wal2json out of a logical slot, and each shown to whom row level
//! security lets see it. `make bench` runs it.

#[allow(dead_code, unused_imports)] // the tests use the rest
mod harness;

use harness::{Cluster, Install, Session};
use std::time::Instant;

/// Signals a batch, as at a close where a thousand fire.
const BATCH: i64 = 1_000;
const BATCHES: i64 = 20;
/// Realtime asks for so many changes at a time.
const CHANGES: i32 = 100;
const SUBSCRIBERS: [i32; 3] = [10, 100, 1_000];
const SHOWN: i64 = 100;

fn main() {
    let mut settings = vec![
        ("shared_preload_libraries", "vyx"),
        ("wal_level", "logical"),
        ("vyx.evaluate_worker", "off"),
        ("vyx.stream_url", "ws://127.0.0.1:9"),
        ("vyx.rest_url", "http://127.0.0.1:9"),
        ("vyx.jwt_logins", "authenticator, postgres"),
        ("shared_buffers", "128MB"),
    ];
    if Install::get().knows("output_plugin_libraries") {
        settings.push(("output_plugin_libraries", "pgoutput, test_decoding, wal2json"));
    }
    let cluster = Cluster::start("bench-delivery", &settings);
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    session.run("CREATE ROLE authenticated NOLOGIN; GRANT vyx_user TO authenticated");
    session.run("SELECT vyx_publish()");
    session.rows("SELECT pg_create_logical_replication_slot('bench', 'wal2json')", &[]);
    write(&session);
    decode(&session);
    for subscribers in SUBSCRIBERS {
        show(&session, subscribers);
    }
    resume(&session);
}

/// Signals of as many tenants as there are subscribers, of the size that templates make.
fn write(session: &Session) {
    session.run("INSERT INTO vyx.writer (system_identifier) SELECT system_identifier FROM pg_control_system()");
    let begun = Instant::now();
    for batch in 0..BATCHES {
        session.rows(
            "INSERT INTO vyx.signals (id, seq, trader_id, trader_version, user_id, symbol, \"interval\", open_time, close_time, price,
                                      metadata, kline_revision, engine, evaluated_at, lag_ms)
             SELECT gen_random_uuid(), n, gen_random_uuid(), 1, lpad(to_hex(n % 1000), 32, '0')::uuid, 'BTCUSDT', '1m', now(), now(), 65432.1,
                    '{\"side\": \"long\", \"stop\": 65000.5, \"target\": 66000.25}', 0, 1, now(), 12
             FROM generate_series($1::bigint + 1, $1::bigint + $2::bigint) AS n",
            &[&(batch * BATCH), &BATCH],
        );
    }
    let rate = (BATCH * BATCHES) as f64 / begun.elapsed().as_secs_f64();
    println!("signals through a logical slot, {BATCHES} transactions of {BATCH}");
    println!("  inserted                                     {rate:9.0} a second");
}

fn decode(session: &Session) {
    let ask = "SELECT count(*), sum(octet_length(data))::bigint FROM pg_logical_slot_get_changes('bench', NULL, $1, 'format-version', '2',
                   'include-pk', 'true', 'include-transaction', 'false', 'include-timestamp', 'true', 'include-type-oids', 'true',
                   'add-tables', 'vyx.signals')";
    let (mut changes, mut bytes) = (0, 0);
    let begun = Instant::now();
    loop {
        let row = &session.rows(ask, &[&CHANGES])[0];
        let count: i64 = row.get(0);
        if count == 0 {
            break;
        }
        changes += count;
        bytes += row.get::<_, i64>(1);
    }
    assert_eq!(changes, BATCH * BATCHES, "each once");
    let rate = changes as f64 / begun.elapsed().as_secs_f64();
    println!(
        "  decoded by wal2json, in {CHANGES}s                  {rate:9.0} a second, {} bytes each",
        bytes / changes
    );
}

/// For each signal and subscriber: its role and claims, and the row asked for by its key.
fn show(session: &Session, subscribers: i32) {
    session.run(
        "PREPARE sees (uuid) AS SELECT EXISTS (SELECT FROM vyx.signals WHERE id = $1);
         CREATE OR REPLACE FUNCTION pg_temp.show(signals bigint, subscribers integer) RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE seen bigint := 0; sees boolean; id uuid; ids uuid[];
         BEGIN
             ids := ARRAY(SELECT s.id FROM vyx.signals s ORDER BY s.seq LIMIT signals);
             FOREACH id IN ARRAY ids LOOP
                 FOR n IN 1 .. subscribers LOOP
                     PERFORM set_config('role', 'authenticated', true),
                             set_config('request.jwt.claims', json_build_object('sub', lpad(to_hex(n), 32, '0')::uuid)::text, true);
                     EXECUTE format('EXECUTE sees (%L)', id) INTO sees;
                     seen := seen + sees::integer;
                     PERFORM set_config('role', 'none', true);
                 END LOOP;
             END LOOP;
             RETURN seen;
         END $$",
    );
    let begun = Instant::now();
    let seen: i64 = session.one("SELECT pg_temp.show($1, $2)", &[&SHOWN, &subscribers]);
    let took = begun.elapsed();
    assert_eq!(seen, SHOWN.min(i64::from(subscribers)), "each signal is its owner's");
    session.run("DEALLOCATE sees");
    let checks = SHOWN * i64::from(subscribers);
    println!(
        "  {SHOWN} signals shown to {subscribers:5} subscribers          {:9.0} checks a second, {:.2} ms a signal",
        checks as f64 / took.as_secs_f64(),
        took.as_secs_f64() * 1e3 / SHOWN as f64
    );
}

/// A tenant who was away comes back to what all have got meanwhile.
fn resume(session: &Session) {
    session.run("ANALYZE vyx.signals; UPDATE vyx.writer SET seq = (SELECT max(seq) FROM vyx.signals)");
    session
        .run("SET ROLE authenticated; SET request.jwt.claims = '{\"sub\": \"00000000-0000-0000-0000-000000000001\"}'");
    let mut times: Vec<f64> = (0..101)
        .map(|_| {
            let begun = Instant::now();
            let rows = session.rows("SELECT * FROM vyx_signals_since('start', 100)", &[]);
            assert_eq!(rows.len() as i64, BATCH * BATCHES / 1_000);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    println!("  vyx_signals_since, 20 of {} signals       {:9.2} ms median", BATCH * BATCHES, times[times.len() / 2]);
}
