//! sql/import.sql, run by psql over tables as the predecessor had them.

use crate::harness::{Cluster, Install, Session, millis, succeed};
use std::fs;
use std::time::SystemTime;

const OLD: &str = r#"
CREATE SCHEMA "old system";
SET search_path = "old system";
CREATE TABLE traders (id uuid PRIMARY KEY, user_id uuid, name text, description text, filter jsonb, enabled boolean, created_at timestamptz);
CREATE TABLE signals (id bigserial PRIMARY KEY, trader_id uuid, user_id uuid, symbol text, "interval" text, price_at_signal numeric,
                      "timestamp" timestamptz, analysis text);
INSERT INTO traders (id, user_id, name, description, filter, created_at) VALUES
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'dips', 'buys dips',
  '{"code": "// first\nconst a = 1;\r\nreturn true;\u2028evil()", "refreshInterval": "5m", "requiredTimeframes": ["1m", "1h"]}', '2025-01-02 03:04:05Z'),
 ('00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-000000000002', '', NULL, '{"requiredTimeframes": ["7m", "4h"], "rule": {"rsi": 30}}', NULL),
 ('00000000-0000-0000-0000-0000000000a3', '00000000-0000-0000-0000-000000000002', repeat('名', 300), repeat('ä', 9000), '"not an object"', NULL),
 ('00000000-0000-0000-0000-0000000000a4', '00000000-0000-0000-0000-000000000002', 'long', NULL, jsonb_build_object('code', repeat('币' || E'\n', 20000)), NULL),
 ('00000000-0000-0000-0000-0000000000a5', '00000000-0000-0000-0000-000000000002', 'nothing', NULL, NULL, NULL),
 ('00000000-0000-0000-0000-0000000000a6', '00000000-0000-0000-0000-000000000002', 'list', NULL, '["\"; close > 0 //"]', NULL),
 ('00000000-0000-0000-0000-0000000000af', NULL, 'nobody''s', NULL, '{"code": "return true"}', NULL);
INSERT INTO signals (trader_id, user_id, symbol, "interval", price_at_signal, "timestamp", analysis) VALUES
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '5m', 65000.125, '2025-03-04 10:07:00.5Z', 'strong'),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'btcusdt', '1h', 65000, '2025-03-04 10:00:00Z', NULL),
 ('00000000-0000-0000-0000-0000000000a1', NULL, '币安人生USDT', '1d', 0.1, '2025-03-04 23:59:59.999Z', repeat('x', 9000)),
 ('00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-000000000002', 'ETHUSDT', '1w', 2000, '2025-03-05 00:00:00Z', NULL),
 ('00000000-0000-0000-0000-0000000000b9', '00000000-0000-0000-0000-000000000003', 'ETHUSDT', '1M', 2000, '2025-03-05 00:00:00Z', NULL);
INSERT INTO signals (trader_id, user_id, symbol, "interval", price_at_signal, "timestamp") VALUES
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '5m', 65000.125, '2025-03-04 10:07:00.5Z'),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', 'H4', 1, now()),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '1h', 'NaN', now()),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '1h', NULL, now()),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', NULL, '1h', 1, now()),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTC/USDT', '1h', 1, now()),
 ('00000000-0000-0000-0000-0000000000af', NULL, 'BTCUSDT', '1h', 1, now()),
 (NULL, '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '1h', 1, now()),
 ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '1h', 1, 'infinity');
RESET search_path;
"#;
const BAD: [(&str, &str); 9] = [
    ("trader", "no user that is a uuid"),
    ("signal", "the same signal once more"),
    ("signal", "unknown interval"),
    ("signal", "no price"),
    ("signal", "no price"),
    ("signal", "no symbol"),
    ("signal", "no symbol"),
    ("signal", "no user that is a uuid"),
    ("signal", "no trader_id that is a uuid"),
];

/// What psql says.
fn import(cluster: &Cluster, from: &str) -> String {
    // The checkout may be closed to the clusters' user.
    let script = Install::get().directory("import.sql");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/import.sql"), &script).expect("the script is there");
    let said =
        succeed(cluster.client("psql").args(["-X", "-A", "-t", "-v", &format!("from={from}"), "-f"]).arg(&script));
    fs::remove_file(script).expect("it is ours");
    said
}

fn all(session: &Session) -> Vec<String> {
    ["vyx.traders", "vyx.trader_versions", "vyx.signals", "vyx.watermarks", "vyx.writer"]
        .iter()
        .map(|table| {
            session
                .one(&format!("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t"), &[])
        })
        .collect()
}

#[test]
fn traders_and_signals_of_the_old_tables_come_in_once() {
    let settings = [
        ("shared_preload_libraries", "vyx"),
        ("vyx.stream_url", "ws://127.0.0.1:9"),
        ("vyx.rest_url", "http://127.0.0.1:9"),
    ];
    let cluster = Cluster::start("import", &settings);
    let session = cluster.session();
    session.run("CREATE EXTENSION vyx");
    session.run(OLD);

    let said = import(&cluster, "old system");
    assert!(said.contains("traders|7|6|1|0\nsignals|14|5|9|0\n"), "{said}");
    for (what, reason) in BAD.iter().chain([&("signal", "no timestamp")]) {
        let line = said
            .lines()
            .filter(|line| line.starts_with(&format!("{what}|")) && line.ends_with(&format!("|{reason}")))
            .count();
        let should = BAD.iter().filter(|bad| *bad == &(*what, *reason)).count().max(1);
        assert_eq!(line, should, "{what}: {reason}\n{said}");
    }

    // Stopped, never compiled, and nothing but false, whatever the old code was.
    for (what, holds) in [
        ("stopped", "SELECT bool_and(state = 'stopped' AND version = 1) FROM vyx.traders"),
        ("never compiled", "SELECT count(*) = 0 FROM vyx.trader_versions"),
        ("short", "SELECT bool_and(octet_length(script) <= 16384 AND length(name) BETWEEN 1 AND 200) FROM vyx.traders"),
        ("false", "SELECT bool_and(script ~ '\\nfalse$') FROM vyx.traders"),
        ("comments", "SELECT count(*) = 6 FROM (SELECT FROM vyx.traders, regexp_split_to_table(script, E'[\\n\\r\\u2028]') AS l(line) GROUP BY id
                      HAVING count(*) FILTER (WHERE line !~ '^//') = 1) AS t"),
        ("valid", "SELECT bool_and(v.ok) AND count(*) >= 6 FROM vyx.traders t, vyx_validate(t.script, t.\"interval\") AS v"),
        ("with their intervals", "SELECT array_agg(\"interval\" ORDER BY id) = '{5m,4h,1m,1m,1m,1m}' FROM vyx.traders"),
        ("with their code", "SELECT script LIKE '%//   const a = 1;%//   return true;%' AND name = 'dips' AND description = 'buys dips'
                             AND created_at = '2025-01-02 03:04:05Z' FROM vyx.traders WHERE id::text LIKE '%a1'"),
        ("with a rule of another shape", "SELECT script LIKE '%\"rsi\": 30%' FROM vyx.traders WHERE id::text LIKE '%a2'"),
        ("marked", "SELECT bool_and(metadata @> '{\"imported\": true}' AND trader_version = 0) FROM vyx.signals"),
        ("with other columns", "SELECT metadata -> 'old' ->> 'analysis' = 'strong' FROM vyx.signals WHERE \"interval\" = '5m'"),
        ("numbered", "SELECT array_agg(seq ORDER BY created_at, seq) = '{1,2,3,4,5}' FROM vyx.signals"),
        ("counted", "SELECT seq = 5 FROM vyx.writer"),
        ("watermarks stay", "SELECT count(*) = 0 FROM vyx.watermarks"),
        ("of a known trader's owner", "SELECT user_id::text LIKE '%1' FROM vyx.signals WHERE \"interval\" = '1d'"),
    ] {
        assert!(session.one::<Option<bool>>(holds, &[]) == Some(true), "{what}");
    }
    // The candle that had closed last by then; its close_time is its last millisecond.
    for (interval, open, close) in [
        ("5m", "2025-03-04 10:00:00Z", "2025-03-04 10:04:59.999Z"),
        ("1h", "2025-03-04 09:00:00Z", "2025-03-04 09:59:59.999Z"),
        ("1d", "2025-03-04 00:00:00Z", "2025-03-04 23:59:59.999Z"),
        ("1w", "2025-02-24 00:00:00Z", "2025-03-02 23:59:59.999Z"),
        ("1M", "2025-02-01 00:00:00Z", "2025-02-28 23:59:59.999Z"),
    ] {
        let row = &session.rows(
            "SELECT open_time, close_time, $2::text::timestamptz, $3::text::timestamptz FROM vyx.signals WHERE \"interval\" = $1",
            &[&interval, &open, &close],
        )[0];
        let times: Vec<i64> = (0..4).map(|column| millis(row.get::<_, SystemTime>(column))).collect();
        assert_eq!(times[..2], times[2..], "{interval}");
    }

    // Again: nothing changes, whatever became of what came in.
    session.run(
        "UPDATE vyx.traders SET script = 'close > open', state = 'running', name = 'mine' WHERE id::text LIKE '%a1'",
    );
    let before = all(&session);
    let said = import(&cluster, "old system");
    assert!(said.contains("traders|7|0|1|6\nsignals|14|0|9|5\n"), "{said}");
    assert_eq!(all(&session), before);
    // What is new comes in beside it.
    session.run(
        "INSERT INTO \"old system\".signals (trader_id, user_id, symbol, \"interval\", price_at_signal, \"timestamp\")
         VALUES ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'BTCUSDT', '1m', 1, '2025-04-01Z')",
    );
    let said = import(&cluster, "old system");
    assert!(said.contains("signals|15|1|9|5\n"), "{said}");
    assert_eq!(session.one::<i64>("SELECT max(seq) FROM vyx.signals", &[]), 6);
}
