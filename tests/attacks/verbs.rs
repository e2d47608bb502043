//! Every verb on every table and every function, by everybody who is not alice. Tables and functions are found in the
//! catalog: a new one is attacked without being named here.

use super::{ALICE, Attacker, EVE, HIDDEN, MALLORY, SECRET, Town, attempt, said, tells_nothing};
use crate::harness::Session;

/// A table or view of the schema vyx with its columns.
struct Table {
    name: String,
    columns: Vec<String>,
}

fn tables(admin: &Session) -> Vec<Table> {
    let rows = admin.rows(
        "SELECT c.oid::regclass::text, array_agg(quote_ident(a.attname) ORDER BY a.attnum)
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = 'vyx'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
         GROUP BY c.oid ORDER BY 1",
        &[],
    );
    rows.iter().map(|row| Table { name: row.get(0), columns: row.get(1) }).collect()
}

/// What a statement gave or said is nothing of alice's.
#[track_caller]
fn try_it(attacker: &Attacker, sql: &str) -> Option<String> {
    let of = format!("{}: {sql}", attacker.who);
    match attempt(&attacker.session, sql) {
        Ok(rows) => {
            tells_nothing(&rows.join("\n"), &of);
            None
        }
        Err(error) => {
            tells_nothing(&said(&error), &of);
            assert_ne!(error.code().code(), "XX000", "{of}: {error:?}");
            Some(error.code().code().to_owned())
        }
    }
}

#[test]
fn no_verb_reaches_a_row_of_another_tenant() {
    let town = Town::get();
    let admin = town.admin();
    let tables = tables(&admin);
    let secrets = |table: &str| -> bool {
        admin
            .one(&format!("SELECT coalesce(bool_or(t::text ~ '{SECRET}|{HIDDEN}|{ALICE}'), false) FROM {table} t"), &[])
    };
    for table in ["traders", "trader_versions", "signals", "failures", "pending", "tenants"] {
        assert!(secrets(&format!("vyx.{table}")), "there is something to be found in {table}");
    }
    for attacker in town.attackers() {
        let visitor = attacker.id.is_none();
        for Table { name, columns } in &tables {
            let all = columns.join(", ");
            let mut reads = vec![
                format!("SELECT t::text FROM {name} t"),
                format!("TABLE {name}"),
                format!("SELECT to_jsonb(t)::text FROM {name} t"),
                format!("SELECT count(*)::text FROM {name} t WHERE t::text LIKE '%{SECRET}%' HAVING count(*) > 0"),
                format!("EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT * FROM {name} t WHERE t::text LIKE '%tulip%'"),
                format!("SELECT t::text FROM (SELECT * FROM {name} OFFSET 0) t ORDER BY t::text DESC"),
            ];
            reads.extend(columns.iter().map(|column| format!("SELECT {column}::text FROM {name}")));
            let mut writes = vec![
                format!("SELECT t::text FROM {name} t FOR KEY SHARE"),
                format!("SELECT t::text FROM {name} t FOR UPDATE"),
                format!("DELETE FROM {name} t RETURNING t::text"),
                format!("WITH gone AS (DELETE FROM {name} t RETURNING t::text) SELECT * FROM gone"),
                format!("INSERT INTO {name} DEFAULT VALUES"),
                format!("INSERT INTO {name} AS n SELECT * FROM {name} RETURNING n::text"),
                format!("INSERT INTO {name} SELECT * FROM {name} ON CONFLICT DO NOTHING"),
                format!("MERGE INTO {name} t USING {name} s ON true WHEN MATCHED THEN DELETE"),
                format!("MERGE INTO {name} t USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES"),
            ];
            for column in columns {
                writes.push(format!("UPDATE {name} t SET {column} = DEFAULT RETURNING t::text"));
                writes.push(format!(
                    "UPDATE {name} t SET {column} = s.{column} FROM {name} s RETURNING t::text, s::text"
                ));
                writes
                    .push(format!("INSERT INTO {name} AS n ({column}) SELECT {column} FROM {name} RETURNING n::text"));
            }
            for sql in &reads {
                let refused = try_it(&attacker, sql);
                assert!(!visitor || refused.as_deref() == Some("42501"), "{}: {sql}: {refused:?}", attacker.who);
            }
            for sql in &writes {
                let refused = try_it(&attacker, sql);
                // A view and a generated column say what they are before it is said who may.
                let refusals: &[&str] =
                    if visitor { &["42501"] } else { &["42501", "55000", "42809", "0A000", "428C9"] };
                let own = name == "vyx.traders" && !visitor;
                assert!(
                    own || refused.as_deref().is_some_and(|code| refusals.contains(&code)),
                    "{}: {sql}: {refused:?}",
                    attacker.who
                );
            }
            let truncated = try_it(&attacker, &format!("TRUNCATE {name}"));
            assert!(matches!(truncated.as_deref(), Some("42501" | "42809")), "{}: {name}: {truncated:?}", attacker.who);
            for sql in [format!("COPY (SELECT {all} FROM {name}) TO STDOUT"), format!("COPY {name} TO STDOUT")] {
                match attacker.session.try_copy_out(&sql) {
                    Ok(text) => tells_nothing(&text, &format!("{}: {sql}", attacker.who)),
                    // A view as a whole cannot be copied, whoever asks.
                    Err(error) => {
                        let code = error.code().map(|code| code.code());
                        assert!(matches!(code, Some("42501" | "42809")), "{}: {sql}: {error:?}", attacker.who);
                    }
                }
            }
            for sql in [
                format!("COPY {name} FROM STDIN"),
                format!("COPY {name} TO '/tmp/{name}'"),
                format!("COPY {name} TO PROGRAM 'cat'"),
            ] {
                let error = attacker.session.refusal(&sql);
                assert!(["42501", "0A000", "42809"].contains(&error.code().code()), "{sql}: {error:?}");
                tells_nothing(&said(&error), &sql);
            }
            for mode in [
                "ROW SHARE",
                "ROW EXCLUSIVE",
                "SHARE UPDATE EXCLUSIVE",
                "SHARE",
                "SHARE ROW EXCLUSIVE",
                "EXCLUSIVE",
                "ACCESS EXCLUSIVE",
            ] {
                let refused = try_it(&attacker, &format!("LOCK TABLE {name} IN {mode} MODE NOWAIT"));
                // The right to delete brings that to lock the table: evaluation does without it, see tests/rights.rs.
                let may = name == "vyx.traders" && !visitor;
                assert!(
                    may || matches!(refused.as_deref(), Some("42501" | "42809")),
                    "{}: {name} {mode}: {refused:?}",
                    attacker.who
                );
            }
        }
    }
    for table in ["traders", "trader_versions", "signals", "failures", "pending", "tenants"] {
        assert!(secrets(&format!("vyx.{table}")), "alice still has what she had in {table}");
    }
    town.is_unharmed();
}

#[test]
fn what_the_database_decides_no_tenant_writes() {
    let town = Town::get();
    let admin = town.admin();
    let rests = town.trader(&admin, &format!("{SECRET} rests"));
    for attacker in town.attackers().into_iter().filter(|attacker| attacker.id.is_some()) {
        let own = attacker.id.expect("a tenant");
        let insert = |columns: &str, values: &str| {
            format!("INSERT INTO vyx.traders (name, script{columns}) VALUES ('forged', 'close > 0'{values})")
        };
        let refused = [
            insert(", user_id", &format!(", '{ALICE}'")),
            insert(", user_id", ", NULL"),
            insert(", id", &format!(", '{rests}'")),
            insert(", id", ", gen_random_uuid()"),
            insert(", version", ", 7"),
            insert(", last_error", ", 'x'"),
            insert(", created_at", ", 'epoch'"),
            format!("{} ON CONFLICT (id) DO UPDATE SET user_id = '{ALICE}'", insert("", "")),
            format!("UPDATE vyx.traders SET user_id = '{ALICE}'"),
            "UPDATE vyx.traders SET version = 99".to_owned(),
            "UPDATE vyx.traders SET last_error = NULL".to_owned(),
            format!("UPDATE vyx.traders SET id = '{rests}'"),
            format!("UPDATE vyx.tenants SET tier = 'elite' WHERE user_id = '{own}'"),
            format!("INSERT INTO vyx.tenants (user_id, role_name) VALUES ('{ALICE}', '{}')", "mallory"),
            "UPDATE vyx.tiers SET max_running_traders = NULL".to_owned(),
            format!(
                "INSERT INTO vyx.signals (id, seq, trader_id, trader_version, user_id, symbol, \"interval\", open_time, close_time, price, kline_revision, engine, evaluated_at, lag_ms) \
                     VALUES (gen_random_uuid(), 1, '{rests}', 1, '{own}', 'BTCUSDT', '1m', now(), now(), 1, 0, 1, now(), 0)"
            ),
        ];
        for sql in &refused {
            assert_eq!(try_it(&attacker, sql).as_deref(), Some("42501"), "{}: {sql}", attacker.who);
        }
        // What is left is hers to give: the owner by default, in a state that only a quota limits.
        assert_eq!(try_it(&attacker, &insert(", user_id", &format!(", '{own}'"))), None);
        assert_eq!(try_it(&attacker, &insert("", "")), None);
        // Alice's rows are as good as not there.
        for sql in [
            format!("DELETE FROM vyx.traders WHERE id = '{rests}' RETURNING id::text"),
            format!("UPDATE vyx.traders SET state = 'running' WHERE id = '{rests}' RETURNING id::text"),
            format!("SELECT id::text FROM vyx.traders WHERE id = '{rests}' FOR UPDATE"),
        ] {
            assert_eq!(
                attempt(&attacker.session, &sql).map_err(|error| said(&error)),
                Ok(Vec::new()),
                "{}: {sql}",
                attacker.who
            );
        }
    }
    assert_eq!(admin.one::<i64>("SELECT count(*) FROM vyx.traders WHERE name = 'forged'", &[]), 0);
}

#[test]
fn a_claim_is_no_proof_outside_of_the_listed_logins() {
    let town = Town::get();
    let uid = |session: &Session| -> Option<String> { session.one("SELECT vyx.uid()::text", &[]) };
    let mallory = town.cluster.session_as("mallory");
    for claim in [
        format!("SET request.jwt.claims = '{{\"sub\": \"{ALICE}\"}}'"),
        format!("SET request.jwt.claim.sub = '{ALICE}'"),
        "SET request.jwt.claims = 'no json'".to_owned(),
    ] {
        mallory.run(&claim);
        assert_eq!(uid(&mallory).as_deref(), Some(MALLORY), "{claim}");
    }
    for role in ["alice", "authenticated", "authenticator", "postgres", "vyx_owner", "vyx_operator"] {
        assert_eq!(mallory.refusal(&format!("SET ROLE {role}")).code().code(), "42501", "{role}");
        assert_eq!(mallory.refusal(&format!("SET SESSION AUTHORIZATION {role}")).code().code(), "42501", "{role}");
        assert_eq!(mallory.refusal(&format!("GRANT {role} TO mallory")).code().code(), "42501", "{role}");
    }
    // A sub that is no tenant's is nobody's, and claims that cannot be read are an error: never another tenant.
    let jwt = town.cluster.session_as("authenticator");
    jwt.run("SET ROLE authenticated");
    assert_eq!(uid(&jwt), None);
    for (claims, code) in [
        ("{}", None),
        ("{\"sub\": null}", None),
        ("{\"sub\": \"\"}", None),
        ("{\"sub\": [1]}", None),
        ("{\"sub\": \"alice\"}", None),
        ("[", Some("22P02")),
        ("\"text\"", None),
        ("7", None),
    ] {
        jwt.run(&format!("SET request.jwt.claims = '{claims}'"));
        match jwt.try_rows("SELECT vyx.uid()::text", &[]) {
            Ok(rows) => assert_eq!((rows[0].get::<_, Option<String>>(0), code), (None, None), "{claims}"),
            Err(error) => assert_eq!(error.code().map(|code| code.code()), code, "{claims}"),
        }
    }
    jwt.run(&format!("SET request.jwt.claims = '{{\"sub\": \"{EVE}\"}}'"));
    assert_eq!(uid(&jwt).as_deref(), Some(EVE));
}

/// A value for an argument: an id where one is wanted, and what lets the call get as far as possible elsewhere.
fn plain(name: &str, of: &str, id: &str) -> String {
    let value = match (of, name) {
        ("uuid", _) => id,
        ("text", "symbol") => "BTCUSDT",
        ("text", "interval") => "1m",
        ("text", "wish") => "running",
        _ => return format!("NULL::{of}"),
    };
    format!("'{value}'::{of}")
}

#[test]
fn a_function_says_of_anothers_trader_what_it_says_of_none() {
    let town = Town::get();
    let admin = town.admin();
    let functions = admin.rows(
        "SELECT p.oid::regprocedure::text, p.oid::regproc::text,
                coalesce((SELECT array_agg(coalesce(p.proargnames[n], '') ORDER BY n) FROM generate_series(1, p.pronargs) n), '{}'),
                ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, n) ORDER BY n)
         FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vyx'
         WHERE 'uuid'::regtype = ANY (p.proargtypes) AND p.prokind = 'f' ORDER BY 1",
        &[],
    );
    let mut asked = 0;
    for attacker in town.attackers() {
        for row in &functions {
            let (signature, name, names, types): (String, String, Vec<String>, Vec<String>) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let call = |id: &str| {
                let arguments: Vec<String> = names.iter().zip(&types).map(|(name, of)| plain(name, of, id)).collect();
                match attempt(&attacker.session, &format!("SELECT f::text FROM {name}({}) AS f", arguments.join(", ")))
                {
                    Ok(rows) => rows.join("\n").replace(id, "…"),
                    Err(error) => format!("{} {}", error.code().code(), said(&error)).replace(id, "…"),
                }
            };
            let none = call("00000000-0000-4000-8000-00000000dead");
            for other in [
                format!("{SECRET} fires"),
                format!("{SECRET} fails"),
                format!("{SECRET} rests"),
                "house rule".into(),
                "house rule fails".into(),
            ] {
                let id = town.trader(&admin, &other);
                assert_eq!(call(&id), none, "{}: {signature} of {other}", attacker.who);
                asked += 1;
            }
            if none.starts_with("42501 permission denied") {
                let role: String = attacker.session.one("SELECT current_user::text", &[]);
                let may: bool =
                    admin.one("SELECT has_function_privilege($1::text, $2::text, 'EXECUTE')", &[&role, &signature]);
                assert!(!may || attacker.id.is_none(), "{}: {signature}: {none}", attacker.who);
            }
        }
    }
    assert!(asked > 80, "{asked} questions are too few");
}
