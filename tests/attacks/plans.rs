//! A plan that was made for one tenant shows another what is his own, and a right that was taken away is gone.

use super::{ALICE, EVE, HIDDEN, MALLORY, SECRET, Town, tells_nothing};
use crate::harness::Session;

/// The same question in the forms in which row level security has been forgotten before: behind a CTE, a subquery, a
/// set operation, a function that is inlined and one that is not.
const FORMS: [(&str, &str); 9] = [
    ("plain", "SELECT t::text FROM vyx.traders t"),
    ("by parameter", "SELECT t::text FROM vyx.traders t WHERE t.name LIKE $1"),
    ("cte", "WITH w AS (SELECT t::text AS x FROM vyx.traders t) SELECT x FROM w"),
    ("kept cte", "WITH w AS MATERIALIZED (SELECT t::text AS x FROM vyx.traders t) SELECT x FROM w"),
    ("subquery", "SELECT (SELECT string_agg(t::text, ';') FROM vyx.traders t)"),
    (
        "union",
        "SELECT s::text FROM vyx.signals s WHERE user_id IS NOT NULL UNION ALL SELECT v::text FROM vyx.trader_versions v",
    ),
    ("since", "SELECT s::text FROM vyx_signals_since('start', 1000) s"),
    ("inlined function", "SELECT f FROM pg_temp.inlined() f"),
    ("function", "SELECT f FROM pg_temp.kept() f"),
];

/// Those that ask for signals, which the others have none of.
const NONE_OF_THEIR_OWN: [&str; 2] = ["union", "since"];

/// Prepares every form, in the session as it is.
fn prepare(session: &Session, of: &str) {
    session.run(&format!(
        "CREATE FUNCTION pg_temp.inlined() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT t::text FROM vyx.traders t';
         CREATE FUNCTION pg_temp.kept() RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT t::text FROM vyx.traders t; END';
         SET plan_cache_mode = {of}"
    ));
}

fn execute(session: &Session, name: &str) -> Result<String, String> {
    let argument = if name == "by parameter" { "('%')" } else { "" };
    match session.try_rows(&format!("EXECUTE \"{name}\"{argument}"), &[]) {
        Ok(rows) => Ok(rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()),
        Err(error) => Err(error.code().map(|code| code.code().to_owned()).unwrap_or_default()),
    }
}

#[test]
fn a_prepared_plan_shows_the_rows_of_who_executes_it() {
    let town = Town::get();
    let admin = town.admin();
    // Somebody who may be either: as a pool is that keeps its plans.
    admin.run("CREATE ROLE pool LOGIN NOINHERIT; GRANT alice, mallory TO pool");
    let roles = ("pool", "SET ROLE alice".to_owned(), "SET ROLE mallory".to_owned());
    let claims = |id: &str| format!("SET request.jwt.claims = '{{\"sub\": \"{id}\"}}'");
    let jwt = ("authenticator", claims(ALICE), claims(EVE));
    for (login, as_alice, as_other) in [roles, jwt] {
        for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
            let session = town.cluster.session_as(login);
            if login == "authenticator" {
                session.run("SET ROLE authenticated");
            }
            session.run(&as_alice);
            prepare(&session, mode);
            for (name, sql) in FORMS {
                session.run(&format!("PREPARE \"{name}\" AS {sql}"));
                // As many times as a plan for all parameters takes to be made.
                for _ in 0..6 {
                    let hers = execute(&session, name).unwrap_or_else(|code| panic!("{login} {name}: {code}"));
                    assert!(hers.contains(SECRET), "{login} {mode} {name}: alice sees her own");
                }
                for _ in 0..2 {
                    session.run(&as_other);
                    for _ in 0..6 {
                        let others = execute(&session, name).unwrap_or_else(|code| panic!("{login} {name}: {code}"));
                        tells_nothing(&others, &format!("{login} {mode} {name}"));
                        let own = if login == "pool" { MALLORY } else { EVE };
                        assert!(
                            NONE_OF_THEIR_OWN.contains(&name) || others.contains(own),
                            "{login} {mode} {name}: everybody sees their own"
                        );
                    }
                    session.run(&as_alice);
                    assert!(execute(&session, name).is_ok_and(|hers| hers.contains(SECRET)), "{login} {mode} {name}");
                }
            }
        }
    }
}

#[test]
fn a_plan_outlives_no_right_that_is_taken_away() {
    let town = Town::get();
    let admin = town.admin();
    admin.run("CREATE ROLE leaver LOGIN; GRANT vyx_user TO leaver");
    let id = "1ea7e000-0000-4000-8000-000000000004";
    admin.run(&format!("INSERT INTO vyx.tenants (user_id, role_name) VALUES ('{id}', 'leaver')"));
    let session = town.cluster.session_as("leaver");
    session.run("INSERT INTO vyx.traders (name, script) VALUES ('farewell', 'close > 0')");
    prepare(&session, "force_generic_plan");
    let status = "SELECT s::text FROM vyx.traders t, vyx_trader_status(t.id) s";
    let all = FORMS.iter().copied().chain([("status", status)]).filter(|(name, _)| !NONE_OF_THEIR_OWN.contains(name));
    let all: Vec<_> = all.collect();
    for (name, sql) in &all {
        session.run(&format!("PREPARE \"{name}\" AS {sql}"));
        for _ in 0..6 {
            assert!(execute(&session, name).is_ok_and(|own| own.contains("farewell")), "{name}");
        }
    }
    // The tenant's name goes to another role: its rows are no longer this one's.
    admin.run("CREATE ROLE heir LOGIN; UPDATE vyx.tenants SET role_name = 'heir' WHERE role_name = 'leaver'");
    for (name, _) in &all {
        assert_eq!(execute(&session, name), Ok(String::new()), "{name}");
    }
    admin.run("UPDATE vyx.tenants SET role_name = 'leaver' WHERE role_name = 'heir'");
    admin.run("REVOKE vyx_user FROM leaver");
    for (name, _) in &all {
        assert_eq!(execute(&session, name), Err("42501".to_owned()), "{name}");
    }
    // A function's plan too is of the one who calls it.
    session.run("RESET ALL");
    assert_eq!(session.refusal("SELECT * FROM pg_temp.kept()").code().code(), "42501");
}

#[test]
fn functions_keep_no_plan_of_the_one_who_called_before() {
    let town = Town::get();
    let admin = town.admin();
    let id = town.trader(&admin, &format!("{SECRET} fires"));
    let house = town.trader(&admin, "house rule");
    let jwt = town.cluster.session_as("authenticator");
    jwt.run("SET ROLE authenticated; SET plan_cache_mode = force_generic_plan");
    let become_tenant = |id: &str| jwt.run(&format!("SET request.jwt.claims = '{{\"sub\": \"{id}\"}}'"));
    let calls = [
        format!("SELECT name FROM vyx_trader_status('{id}')"),
        format!("SELECT expression FROM vyx_explain('{id}', 'BTCUSDT')"),
        format!("SELECT metadata::text FROM vyx_matching('{id}')"),
        format!("SELECT vyx_stop_trader('{id}')"),
    ];
    for _ in 0..3 {
        become_tenant(ALICE);
        for call in &calls[..3] {
            let rows = jwt.rows(call, &[]);
            let text: String = rows.iter().map(|row| row.get::<_, String>(0)).collect();
            assert!(text.contains(SECRET), "{call}: {text}");
            assert!(!text.contains(HIDDEN));
        }
        become_tenant(EVE);
        for call in &calls {
            assert_eq!(jwt.refusal(call).code().code(), "42704", "{call}");
            let of_the_house = call.replace(&id, &house);
            assert_eq!(jwt.refusal(&of_the_house).code().code(), "42704", "{of_the_house}");
        }
    }
}
