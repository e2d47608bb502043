//! Signals reach whom they are for, each once and in order: by Supabase Realtime, by LISTEN, and afterwards.

use crate::harness::{Client, Install, Session, Stage, since, succeed, until};
use serde_json::Value;
use std::collections::BTreeSet;

const ANNA: &str = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a01";
const BERT: &str = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a02";
const CARL: &str = "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a03";
/// Columns of a signal, as clients get them.
const COLUMNS: [&str; 16] = [
    "close_time",
    "created_at",
    "engine",
    "evaluated_at",
    "id",
    "interval",
    "kline_revision",
    "lag_ms",
    "metadata",
    "open_time",
    "price",
    "seq",
    "symbol",
    "trader_id",
    "trader_version",
    "user_id",
];
/// A change as Realtime gets it, at most: metadata has 8,192 bytes, which may all need another one in JSON, and the rest,
/// names and types included, is less than 4,096. Realtime's own limit is 1 MiB.
const LARGEST_RECORD: usize = 2 * 8_192 + 4_096;

/// What Supabase's images make before anybody creates an extension: the server's first role is supabase_admin, postgres is no
/// superuser, whatever is made in public is given to everybody, and Realtime has a schema of its own.
const SUPABASE: &str = "
    CREATE ROLE postgres LOGIN NOSUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS;
    CREATE ROLE anon NOLOGIN NOINHERIT;
    CREATE ROLE authenticated NOLOGIN NOINHERIT;
    CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
    CREATE ROLE authenticator LOGIN NOINHERIT;
    GRANT anon, authenticated, service_role TO authenticator;
    ALTER DATABASE postgres OWNER TO postgres;
    GRANT ALL ON SCHEMA public TO postgres;
    GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
    CREATE PUBLICATION supabase_realtime;
    ALTER PUBLICATION supabase_realtime OWNER TO postgres;
    CREATE SCHEMA realtime;
    CREATE TABLE realtime.messages (id uuid DEFAULT gen_random_uuid(), topic text NOT NULL, extension text NOT NULL,
        payload jsonb, event text, private boolean, inserted_at timestamptz NOT NULL DEFAULT clock_timestamp());
    ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON realtime.messages TO authenticated;
    GRANT USAGE ON SCHEMA realtime TO authenticated;
    CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
    CREATE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('realtime.topic', topic, true);
        INSERT INTO realtime.messages (payload, event, topic, private, extension) VALUES (payload, event, topic, private, 'broadcast');
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'not sent: %', SQLERRM;
    END $$;";

#[test]
fn realtime_shows_each_signal_once_and_to_its_owner_alone() {
    let stage = supabase();
    let admin = stage.cluster.session_as("supabase_admin");
    stage.settle(&admin);
    check_script(&stage, &admin);
    check_publication(&stage, &admin);
    admin.rows("SELECT pg_create_logical_replication_slot('realtime', 'wal2json')", &[]);

    // As PostgREST does it: its login role, then a role and the claims.
    let anna = tenant(&stage, ANNA);
    let bert = tenant(&stage, BERT);
    let quotes = "\\\"".repeat(1_000);
    let large = format!("#{{ fire: close > 0, a: \"{quotes}\", b: \"{quotes}\", c: \"{quotes}\", d: \"{quotes}\" }}");
    for (session, script) in [(&anna, "close > 0"), (&bert, &large)] {
        let id: String = session.one(
            "INSERT INTO public.vyx_traders (name, script, fire_on) VALUES ('own', $1, 'match') RETURNING id::text",
            &[&script],
        );
        session.rows("SELECT vyx_start_trader($1::text::uuid)", &[&id]);
    }
    admin.run("INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES (NULL, 'for all', 'close > 0', 'match', 'running')");
    until("signals of all three", || {
        let three = "SELECT count(*) >= 12 AND count(DISTINCT coalesce(user_id, trader_id)) = 3 FROM vyx.signals";
        admin.one::<bool>(three, &[]).then_some(())
    });

    let records = check_records(&admin);
    check_row_level_security(&stage, &admin, &records);
    for (session, own) in [(&anna, ANNA), (&bert, BERT)] {
        let seen = "SELECT count(*) FILTER (WHERE user_id = $1::text::uuid) > 0 AND count(*) FILTER (WHERE user_id IS NULL) > 0
                        AND count(*) = count(*) FILTER (WHERE user_id IS NULL OR user_id = $1::text::uuid) FROM ";
        assert!(session.one::<bool>(&format!("{seen} public.vyx_signals"), &[&own]));
        assert!(session.one::<bool>(&format!("{seen} vyx_signals_since('start', 1000)"), &[&own]));
        assert_eq!(session.one::<i64>("SELECT count(*) FROM public.vyx_traders", &[]), 1);
        assert_eq!(session.one::<i64>("SELECT count(*) FROM public.vyx_builtin_traders", &[]), 1);
    }
    check_broadcasts(&stage, &admin);
    // For the look at what always holds, when the server ends.
    admin.run("ALTER ROLE postgres SUPERUSER");
}

/// A market, and a server that looks like Supabase's when vyx is created in it.
fn supabase() -> Stage {
    let mut settings = vec![
        ("wal_level", "logical"),
        ("vyx.intervals", "1m"),
        ("vyx.jwt_logins", "authenticator, supabase_admin, supabase_realtime_admin"),
    ];
    if Install::get().knows("output_plugin_libraries") {
        settings.push(("output_plugin_libraries", "pgoutput, test_decoding, wal2json"));
    }
    let stage = Stage::start("realtime", &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &settings);
    let first = stage.cluster.session();
    first.run("DROP EXTENSION vyx; CREATE ROLE other SUPERUSER; SET SESSION AUTHORIZATION other");
    first.run("ALTER ROLE postgres RENAME TO supabase_admin; RESET SESSION AUTHORIZATION; DROP ROLE other");
    first.run(SUPABASE);
    first.run("CREATE EXTENSION vyx");
    stage
}

/// A session of PostgREST on behalf of a user.
fn tenant(stage: &Stage, user: &str) -> Session {
    let session = stage.cluster.session_as("authenticator");
    session.run("SET ROLE authenticated");
    session.rows("SELECT set_config('request.jwt.claims', $1, false)", &[&claims(user)]);
    session
}

fn claims(user: &str) -> String {
    format!(r#"{{"sub": "{user}", "role": "authenticated"}}"#)
}

fn script() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/supabase.sql")).expect("it is there")
}

/// The script runs again and again, gives what it says to signed-in users and nothing to others.
fn check_script(stage: &Stage, admin: &Session) {
    let dashboard = stage.cluster.session_as("postgres");
    dashboard.refuses("42501", &["superuser", "supabase_admin"], &script());
    dashboard.run("ROLLBACK");
    admin.run("CREATE VIEW public.vyx_signals AS SELECT 1 AS planted; ALTER VIEW public.vyx_signals OWNER TO postgres");
    admin.refuses("42710", &["vyx_signals", "Drop or rename"], &script());
    admin.run("ROLLBACK; DROP VIEW public.vyx_signals");

    admin.run("SET supabase.vyx_broadcast = on");
    admin.run(&script());
    admin.run(&script());
    assert!(
        admin.notices().iter().all(|notice| !notice.message().contains("no broadcasts")),
        "nothing is wrong with it"
    );

    // Of all that belongs to vyx, and of the views, anon has what everybody has and nothing by name.
    let named = "SELECT coalesce(string_agg(thing, ', '), '') FROM (
            SELECT p.oid::regprocedure::text AS thing, p.proacl AS acl FROM pg_proc p
                WHERE p.proname LIKE 'vyx\\_%' OR p.pronamespace = 'vyx'::regnamespace
            UNION ALL SELECT c.oid::regclass::text, c.relacl FROM pg_class c
                WHERE c.relname LIKE 'vyx\\_%' OR c.relnamespace = 'vyx'::regnamespace
        ) AS t WHERE EXISTS (SELECT FROM aclexplode(t.acl) a WHERE a.grantee = 'anon'::regrole)";
    assert_eq!(admin.one::<String>(named, &[]), "");
    let anon = stage.cluster.session_as("authenticator");
    anon.run("SET ROLE anon");
    anon.run("SELECT symbol FROM vyx_symbols()");
    for sql in [
        "SELECT * FROM public.vyx_signals",
        "SELECT * FROM public.vyx_traders",
        "SELECT * FROM public.vyx_builtin_traders",
        "SELECT * FROM vyx.signals",
        "SELECT * FROM vyx_signals_since()",
        "SELECT * FROM vyx_validate('close > 0')",
        "SELECT vyx_publish()",
        "INSERT INTO public.vyx_traders (name, script) VALUES ('a', 'close > 0')",
    ] {
        assert_eq!(anon.refusal(sql).code().code(), "42501", "{sql}");
    }
    // A tenant can be nobody but itself, and cannot write what the database writes.
    let anna = tenant(stage, ANNA);
    for sql in [
        format!("INSERT INTO public.vyx_traders (user_id, name, script) VALUES ('{BERT}', 'a', 'close > 0')"),
        "INSERT INTO public.vyx_signals (id) VALUES (gen_random_uuid())".to_owned(),
        "TRUNCATE vyx.signals".to_owned(),
        "SELECT * FROM vyx.writer".to_owned(),
        "SELECT * FROM vyx.epochs".to_owned(),
        "SELECT * FROM vyx.published".to_owned(),
        "SELECT vyx_publish()".to_owned(),
    ] {
        assert_eq!(anna.refusal(&sql).code().code(), "42501", "{sql}");
    }
}

/// Who may add the table does, once; who may not is told what to do.
fn check_publication(stage: &Stage, admin: &Session) {
    let operator = stage.cluster.session_as("postgres");
    operator.refuses("42501", &["postgres", "supabase_admin", "vyx_publish"], "SELECT vyx_publish()");
    operator.refuses("42501", &["GRANT CREATE ON DATABASE", "vyx_owner"], "SELECT vyx_publish('mine')");
    operator.refuses("22004", &["publication"], "SELECT vyx_publish(NULL)");
    operator.refuses("22023", &["malformed"], "SELECT vyx_publish('')");

    admin.notices();
    let members = "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM pg_publication_tables t";
    assert_eq!(
        admin.one::<String>("SELECT vyx_publish()", &[]),
        "added vyx.signals to publication \"supabase_realtime\""
    );
    let deletes = admin.notices().into_iter().find(|notice| notice.message().contains("publishes deletes"));
    assert!(deletes.is_some_and(|notice| notice.hint().is_some_and(|hint| hint.contains("publish = 'insert'"))));
    let before: String = admin.one(members, &[]);
    assert_eq!(
        admin.one::<String>("SELECT vyx_publish()", &[]),
        "publication \"supabase_realtime\" has vyx.signals already"
    );
    assert_eq!(admin.one::<String>(members, &[]), before, "again: nothing changes");

    // One of vyx_owner's own can be had by operators, where an administrator lets them.
    admin.run("GRANT CREATE ON DATABASE postgres TO vyx_owner");
    for (sql, words) in [
        ("SELECT vyx_publish('mine')", "created publication \"mine\" with vyx.signals"),
        ("SELECT operations || ' ' || state FROM vyx_published() WHERE publication = 'mine'", "insert published"),
        ("SELECT vyx_unpublish('mine')", "took vyx.signals out of publication \"mine\""),
        ("SELECT vyx_unpublish('mine')", "publication \"mine\" does not have vyx.signals"),
        ("SELECT vyx_publish('mine')", "added vyx.signals to publication \"mine\""),
        ("SELECT vyx_unpublish('mine')", "took vyx.signals out of publication \"mine\""),
        ("SELECT string_agg(publication || ' ' || state, ', ') FROM vyx_published()", "supabase_realtime published"),
    ] {
        assert_eq!(operator.one::<String>(sql, &[]), words, "{sql}");
    }
    let health = || admin.one::<String>("SELECT reason FROM vyx_health()", &[]);
    assert!(!health().contains("publication"), "what was taken out on purpose is not missed: {}", health());

    // As a restore leaves it.
    admin.run("ALTER PUBLICATION supabase_realtime DROP TABLE vyx.signals");
    assert_eq!(operator.one::<String>("SELECT state FROM vyx_published()", &[]), "missing");
    until("its loss is noticed", || {
        health().contains("publication \"supabase_realtime\" has lost vyx.signals").then_some(())
    });
    admin.run("SELECT vyx_publish()");
    assert_eq!(operator.one::<String>("SELECT state FROM vyx_published()", &[]), "published");
}

/// What Realtime decodes is each signal, once, in the order of seq, and nothing else. Gives them.
fn check_records(admin: &Session) -> Vec<Value> {
    let tables: String = admin.one(
        "SELECT string_agg(schemaname || '.' || tablename, ',') FROM pg_publication_tables WHERE pubname = 'supabase_realtime'",
        &[],
    );
    assert_eq!(tables, "vyx.signals");
    // Without its list of tables first, so that it is known that there were other changes.
    let everything: i64 = admin.one(
        "SELECT count(*) FROM pg_logical_slot_peek_changes('realtime', NULL, NULL, 'format-version', '2', 'include-transaction', 'false')
         WHERE data::json ->> 'table' <> 'signals'",
        &[],
    );
    assert!(everything > 10, "traders, watermarks and cycles are written too");
    let changes = admin.rows(
        "SELECT data FROM pg_logical_slot_get_changes('realtime', NULL, NULL, 'format-version', '2', 'include-pk', 'true',
             'include-transaction', 'false', 'include-timestamp', 'true', 'include-type-oids', 'true', 'add-tables', $1)",
        &[&tables],
    );
    let texts: Vec<String> = changes.iter().map(|row| row.get(0)).collect();
    let records: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
    for record in &records {
        assert_eq!(
            (&record["action"], &record["schema"], &record["table"]),
            (&"I".into(), &"vyx".into(), &"signals".into())
        );
        let columns: Vec<&Value> = record["columns"].as_array().expect("columns").iter().collect();
        let names: BTreeSet<&str> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
        assert!(names.iter().eq(COLUMNS.iter()), "{names:?}");
        let nulls: Vec<&Value> =
            columns.iter().filter(|column| column["value"].is_null()).map(|column| &column["name"]).collect();
        assert!(nulls.iter().all(|name| *name == "user_id"), "{nulls:?}");
        assert_eq!(record["pk"][0]["name"], "id");
    }
    let seqs: Vec<i64> = records.iter().map(|record| value(record, "seq").as_i64().expect("a number")).collect();
    let written =
        admin.rows("SELECT seq FROM vyx.signals WHERE seq <= $1 ORDER BY seq", &[seqs.last().expect("signals")]);
    let written: Vec<i64> = written.iter().map(|row| row.get(0)).collect();
    assert_eq!(seqs, written, "each once, in the order of seq, which is that of commits");
    let mut sizes: Vec<usize> = texts.iter().map(String::len).collect();
    sizes.sort_unstable();
    assert!(sizes[0] < 4_096, "{sizes:?}");
    let largest = sizes[sizes.len() - 1];
    assert!((16_000..LARGEST_RECORD).contains(&largest), "the worst that can be said takes {largest} bytes");
    records
}

fn value<'a>(record: &'a Value, column: &str) -> &'a Value {
    let columns = record["columns"].as_array().expect("columns");
    &columns.iter().find(|other| other["name"] == column).unwrap_or_else(|| panic!("no {column} in {record}"))["value"]
}

/// Realtime asks for each subscriber whether it sees the row, in a session of its own: one statement, prepared once, under
/// each one's role and claims.
fn check_row_level_security(stage: &Stage, admin: &Session, records: &[Value]) {
    admin.run("PREPARE sees (uuid) AS SELECT EXISTS (SELECT FROM vyx.signals WHERE id = $1)");
    let selectable = "SELECT has_column_privilege('authenticated', 'vyx.signals', 'id', 'SELECT')";
    assert!(admin.one::<bool>(selectable, &[]));
    let mut seen = [0, 0, 0];
    for record in records {
        let (id, owner) = (value(record, "id").as_str().expect("an id"), value(record, "user_id").as_str());
        for (user, seen) in [ANNA, BERT, CARL].iter().zip(&mut seen) {
            admin.run(&format!(
                "BEGIN; SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{}', true)",
                claims(user)
            ));
            let visible: bool = admin.one(&format!("EXECUTE sees ('{id}')"), &[]);
            admin.run("COMMIT");
            assert_eq!(visible, owner.is_none_or(|owner| owner == *user), "{user} and {record}");
            *seen += usize::from(visible);
        }
    }
    assert!(seen[0] > seen[2] && seen[1] > seen[2] && seen[2] > 0, "{seen:?}");
    // Whoever has no claims, or none that names somebody, sees what is everybody's and breaks nothing for others.
    for claims in ["{}", "{\"role\": \"authenticated\"}", "{\"sub\": \"somebody\"}"] {
        admin.run(&format!("BEGIN; SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{claims}', true)"));
        let ids: Vec<&str> = records.iter().filter_map(|record| value(record, "id").as_str()).collect();
        let all = ids.iter().filter(|id| admin.one(&format!("EXECUTE sees ('{id}')"), &[])).count();
        admin.run("COMMIT");
        assert_eq!(all, seen[2], "{claims}");
    }
    // Claims are no proof in anybody else's session.
    let other = stage.cluster.session_as("postgres");
    other.run(&format!("SET request.jwt.claims = '{}'", claims(ANNA)));
    assert!(other.one::<bool>("SELECT vyx.uid() IS NULL", &[]));
}

/// Each signal goes to the topic of its owner, who alone may join it; and Realtime in ruins stops no signals.
fn check_broadcasts(stage: &Stage, admin: &Session) {
    let account = "SELECT count(*) > 0 AND count(*) = count(m.id) AND count(*) = count(DISTINCT s.id)
            AND bool_and(m.private AND m.event = 'signal' AND m.topic = CASE WHEN s.user_id IS NULL THEN 'vyx:all' ELSE 'vyx:user:' || s.user_id END
                         AND (m.payload ->> 'seq')::bigint = s.seq)
        FROM vyx.signals s LEFT JOIN realtime.messages m ON (m.payload ->> 'id')::uuid = s.id";
    assert!(admin.one::<bool>(account, &[]));
    for (user, topic, may) in [
        (ANNA, format!("vyx:user:{ANNA}"), true),
        (ANNA, "vyx:all".to_owned(), true),
        (ANNA, format!("vyx:user:{BERT}"), false),
        (CARL, format!("vyx:user:{ANNA}"), false),
    ] {
        let session = tenant(stage, user);
        session.rows("SELECT set_config('realtime.topic', $1, false)", &[&topic]);
        let joins = "SELECT EXISTS (SELECT FROM realtime.messages)";
        assert_eq!(session.one::<bool>(joins, &[]), may, "{user} and {topic}");
    }
    admin.run("DROP FUNCTION realtime.send(jsonb, text, text, boolean)");
    signals_go_on(admin, "without realtime.send");
    admin.run("CREATE FUNCTION realtime.send(jsonb, text, text, boolean) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$");
    signals_go_on(admin, "with one that fails");
    admin.run("DROP SCHEMA realtime CASCADE");
    signals_go_on(admin, "without Realtime");
    admin.run(&script());
    assert!(admin.notices().iter().any(|notice| notice.message().contains("no broadcasts")));
}

#[track_caller]
fn signals_go_on(session: &Session, what: &str) {
    let seen: i64 = session.one("SELECT max(seq) FROM vyx.signals", &[]);
    until(what, || session.one::<bool>("SELECT max(seq) > $1::bigint + 6 FROM vyx.signals", &[&seen]).then_some(()));
}

#[test]
fn who_was_away_gets_every_signal_also_after_a_restore() {
    let stage = Stage::start("resume", &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    let listener = stage.cluster.session();
    listener.run("LISTEN vyx_signals");
    assert!(since(&session, None, 100).is_empty(), "there are none yet");
    session.run(
        "INSERT INTO vyx.traders (user_id, name, script, fire_on, state)
         SELECT NULL, 'rule ' || n, 'close > 0', 'match', 'running' FROM generate_series(1, 3) AS n",
    );
    signals_reach(&session, 40);
    session.refuses("22023", &["nonsense", "vyx_signals_since"], "SELECT * FROM vyx_signals_since('nonsense')");
    session.refuses("22023", &["limit 0", "65536"], "SELECT * FROM vyx_signals_since(NULL, 0)");
    session.refuses("22004", &["limit"], "SELECT * FROM vyx_signals_since(NULL, NULL)");

    // Page by page from the start: all, once, in order. The newest are the end of it.
    let mut client = Client::at("start");
    client.read(&session);
    let newest = since(&session, None, 5);
    client.read(&session);
    let at = client.seen.iter().position(|id| *id == newest[0].get::<_, String>("id")).expect("it was read");
    assert!(newest.iter().map(|row| row.get::<_, String>("id")).eq(client.seen[at..at + 5].iter().cloned()));
    check_client(&session, &client);
    let early = Client::at(&client.cursor);
    let read: i64 = session.one("SELECT split_part($1, '.', 3)::bigint", &[&early.cursor]);
    signals_reach(&session, read + 6);

    // A restore, as of a moment ago, into another database of the same cluster.
    session.run("SELECT vyx_publish('mine')");
    session.run("CREATE DATABASE restored");
    let file = stage.cluster.data().join("dump.sql");
    succeed(stage.cluster.client("pg_dump").args(["--dbname", "postgres", "--file"]).arg(&file));
    succeed(stage.cluster.client("psql").args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f"]).arg(&file));
    let restored = stage.cluster.session_in("restored");
    let dumped: i64 = restored.one("SELECT seq FROM vyx.writer", &[]);
    assert!(restored.one::<bool>("SELECT max(seq) = $1 FROM vyx.signals", &[&dumped]));
    signals_reach(&session, dumped + 20);
    client.read(&session);
    check_client(&session, &client);
    check_listener(&session, &listener);
    session.run("UPDATE vyx.traders SET state = 'stopped'");

    // The client goes on there with what it has, which is newer than the dump: nothing for it until there is something new.
    assert!(since(&restored, Some(&client.cursor), 100).is_empty());
    restored.run("CALL vyx_evaluate()");
    let written: i64 = restored.one("SELECT seq - $1 FROM vyx.writer", &[&dumped]);
    assert!(written >= 6, "only {written}");
    let mut other = Client::at(&client.cursor);
    other.read(&restored);
    check_rows(&restored, &other, dumped);
    let mut early = early;
    early.read(&restored);
    check_rows(&restored, &early, read);

    // A copy that is adopted goes on where it was.
    restored.run("UPDATE vyx.writer SET system_identifier = 1");
    until("something is due, and it stays silent", || {
        let refused = restored.try_run("CALL vyx_evaluate()").err()?;
        refused.code().is_some_and(|state| state.code() == "55000").then_some(())
    });
    assert!(restored.one::<bool>("SELECT vyx_adopt()", &[]));
    let before: i64 = restored.one("SELECT seq FROM vyx.writer", &[]);
    let mut other = Client::at(&other.cursor);
    until("signals of the adopted", || {
        restored.run("CALL vyx_evaluate()");
        restored.one::<bool>("SELECT seq > $1 FROM vyx.writer", &[&before]).then_some(())
    });
    other.read(&restored);
    check_rows(&restored, &other, before);
    assert_eq!(
        restored.one::<i64>("SELECT epoch FROM vyx.writer", &[]),
        3,
        "one for the restore, one for the adoption"
    );

    // Of a history that is not known here nobody knows where this one left it.
    let mut stranger = Client::at("3.deadbeef.1000000");
    stranger.read(&restored);
    check_rows(&restored, &stranger, 0);

    // What a restore loses is missed.
    let health = || restored.one::<String>("SELECT reason FROM vyx_health()", &[]);
    until("its loss is noticed", || health().contains("publication \"mine\" has lost vyx.signals").then_some(()));
    assert_eq!(restored.one::<String>("SELECT vyx_publish('mine')", &[]), "added vyx.signals to publication \"mine\"");
    until("all is well", || (health() == "every series is followed").then_some(()));
}

#[track_caller]
fn signals_reach(session: &Session, seq: i64) {
    until("there are signals", || {
        session.one::<bool>("SELECT coalesce(max(seq), 0) >= $1 FROM vyx.signals", &[&seq]).then_some(())
    });
}

/// It has read everything from the first signal on, as far as it has read.
#[track_caller]
fn check_client(session: &Session, client: &Client) {
    let ids = session.rows("SELECT id::text FROM vyx.signals ORDER BY seq LIMIT $1", &[&(client.seen.len() as i64)]);
    assert!(ids.iter().map(|row| row.get::<_, String>(0)).eq(client.seen.iter().cloned()));
}

/// It has read what there is after this number, once and in order.
#[track_caller]
fn check_rows(session: &Session, client: &Client, after: i64) {
    let ids = session.rows("SELECT id::text FROM vyx.signals WHERE seq > $1 ORDER BY seq", &[&after]);
    let ids: Vec<String> = ids.iter().map(|row| row.get(0)).collect();
    assert!(!ids.is_empty());
    assert_eq!(client.seen, ids);
}

/// Each batch was told of once, by the last number that it drew, and by nothing else.
fn check_listener(session: &Session, listener: &Session) {
    let heard: Vec<i64> = listener
        .notifications()
        .iter()
        .map(|payload| {
            let value: Value = serde_json::from_str(payload).expect("JSON");
            assert_eq!(value.as_object().map(serde_json::Map::len), Some(1), "{payload}");
            value["seq"].as_i64().expect("a number")
        })
        .collect();
    // One transaction a batch: the rows of it have the same xmin.
    let batches = session.rows(
        "SELECT max(seq) FROM vyx.signals WHERE seq <= $1 GROUP BY xmin::text ORDER BY 1",
        &[heard.last().expect("something was heard")],
    );
    let batches: Vec<i64> = batches.iter().map(|row| row.get(0)).collect();
    assert!(heard.len() > 3 && heard == batches, "{heard:?}\n{batches:?}");
}
