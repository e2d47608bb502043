//! What tenants, and people who are none, try against vyx and against each other. They share one server whose market goes
//! on meanwhile; a test that changes more than rows of its own has a server of its own.

mod builtin;
mod fuzz;
mod limits;
mod plans;
mod planted;
mod power;
mod texts;
mod verbs;

use crate::harness::{Cluster, Session, Stage, until};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio_postgres::error::DbError;
use vyx_sim::Simulator;

/// Stands in the name, the script and the signals of what only alice may ever read.
pub const SECRET: &str = "tulip-7193";
/// Stands in what nobody may read: the scripts of traders that belong to nobody.
pub const HIDDEN: &str = "orchid-2250";
pub const ALICE: &str = "a11ce000-0000-4000-8000-000000000001";
pub const MALLORY: &str = "3a110000-0000-4000-8000-000000000002";
pub const EVE: &str = "e7e00000-0000-4000-8000-000000000003";

/// A server with one honest tenant, alice, whose trader fires at every close, and others who are after her.
pub struct Town {
    pub cluster: Cluster,
    _exchange: Simulator,
}

static TOWN: Mutex<Weak<Town>> = Mutex::new(Weak::new());

impl Town {
    /// The town of the tests that run at present; it is taken down with the last of them.
    pub fn get() -> Arc<Town> {
        let mut town = TOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(town) = town.upgrade() {
            return town;
        }
        let new = Arc::new(Town::build());
        *town = Arc::downgrade(&new);
        new
    }

    fn build() -> Town {
        // The one before may be on its way out.
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let name = format!("town-{}", BUILT.fetch_add(1, Ordering::Relaxed));
        let stage =
            Stage::start(&name, &["BTCUSDT", "币安人生USDT"], Stage::speed(60.0), &[("vyx.intervals", "1m,5m")]);
        let admin = stage.cluster.session();
        admin.run(
            "CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN; GRANT vyx_user TO alice, mallory;
             CREATE ROLE authenticator LOGIN NOINHERIT; CREATE ROLE authenticated; CREATE ROLE anon;
             GRANT vyx_user TO authenticated; GRANT authenticated, anon TO authenticator;
             CREATE ROLE olga LOGIN; GRANT vyx_operator TO olga;
             CREATE ROLE moni LOGIN; GRANT pg_monitor TO moni;
             CREATE ROLE stranger LOGIN",
        );
        admin.run(&format!(
            "INSERT INTO vyx.tenants (user_id, role_name, tier) VALUES ('{ALICE}', 'alice', 'elite'), ('{MALLORY}', 'mallory', 'elite')"
        ));
        stage.settle(&admin);
        let alice = stage.cluster.session_as("alice");
        alice.run(&format!(
            "INSERT INTO vyx.traders (name, description, script, fire_on, state) VALUES
                 ('{SECRET} fires', '{SECRET}', '#{{ fire: close > 0, note: \"{SECRET}\" }}', 'match', 'running'),
                 ('{SECRET} fails', '{SECRET}', 'close > 0 // {SECRET}', 'match', 'stopped'),
                 ('{SECRET} rests', '{SECRET}', 'close < 0 // {SECRET}', 'edge', 'stopped')"
        ));
        admin.run(&format!(
            "INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES
                 ('{MALLORY}', 'mallory''s', 'close > 0', 'match', 'stopped'),
                 ('{EVE}', 'eve''s', 'close > 0', 'match', 'stopped'),
                 (NULL, 'house rule', 'close > 0 // {HIDDEN}', 'match', 'running'),
                 (NULL, 'house rule fails', 'close > 0 // {HIDDEN}', 'match', 'stopped')"
        ));
        // What cannot be read fails at every close, and says so with a message that we choose to be a secret too.
        admin.run(
            "BEGIN; UPDATE vyx.traders SET state = 'running' WHERE name LIKE '%fails';
             UPDATE vyx.trader_versions v SET program = json_build_object('format', vyx._format())
             FROM vyx.traders t WHERE t.id = v.trader_id AND t.name LIKE '%fails'; COMMIT",
        );
        // Of a version that there is not: nobody finishes it.
        admin.run(&format!(
            "INSERT INTO vyx.pending (trader_id, trader_version, user_id, symbol, \"interval\", close_time, waiting_for, since)
             SELECT id, 999, user_id, 'BTCUSDT', '1m', now(), '{SECRET}', now() FROM vyx.traders WHERE name = '{SECRET} rests'"
        ));
        until("alice has signals and failures", || {
            let there = format!(
                "SELECT EXISTS (SELECT FROM vyx.signals WHERE user_id = '{ALICE}') AND count(DISTINCT user_id IS NULL) = 2
                 FROM vyx.failures"
            );
            admin.one::<bool>(&there, &[]).then_some(())
        });
        let Stage { exchange, cluster, .. } = stage;
        Town { cluster, _exchange: exchange }
    }

    pub fn admin(&self) -> Session {
        self.cluster.session()
    }

    /// Those who are after alice, each in another way of being somebody.
    pub fn attackers(&self) -> Vec<Attacker> {
        let cluster = &self.cluster;
        let jwt = |role: &str, claims: &str| {
            let session = cluster.session_as("authenticator");
            session.run(&format!("SET request.jwt.claims = '{claims}'; SET ROLE {role}"));
            session
        };
        let eve = jwt("authenticated", &format!("{{\"sub\": \"{EVE}\", \"role\": \"authenticated\"}}"));
        vec![
            Attacker { who: "a tenant by its role", session: cluster.session_as("mallory"), id: Some(MALLORY) },
            Attacker { who: "a tenant by its claims", session: eve, id: Some(EVE) },
            Attacker { who: "a visitor without claims", session: jwt("anon", "{\"role\": \"anon\"}"), id: None },
            Attacker { who: "a role of its own", session: cluster.session_as("stranger"), id: None },
        ]
    }

    /// The id of one of alice's traders, or of one that belongs to nobody.
    pub fn trader(&self, admin: &Session, name: &str) -> String {
        admin.one("SELECT id::text FROM vyx.traders WHERE name = $1", &[&name])
    }

    /// No process of the server ended by a signal meanwhile, and signals are still written.
    #[track_caller]
    pub fn is_unharmed(&self) {
        let admin = self.admin();
        let seen: i64 = admin.one("SELECT count(*) FROM vyx.signals", &[]);
        until("signals go on", || admin.one::<bool>("SELECT count(*) > $1 FROM vyx.signals", &[&seen]).then_some(()));
        let log = self.cluster.log();
        let crash =
            log.lines().find(|line| line.contains("was terminated by signal") || line.contains("reinitializing"));
        assert_eq!(crash, None);
    }
}

pub struct Attacker {
    pub who: &'static str,
    pub session: Session,
    /// The tenant it is, if it is one.
    pub id: Option<&'static str>,
}

/// Everything that an error tells.
pub fn said(error: &DbError) -> String {
    let parts = [Some(error.message()), error.detail(), error.hint(), error.where_()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Nothing of alice and nothing hidden is in a text.
#[track_caller]
pub fn tells_nothing(text: &str, of: &str) {
    for secret in [SECRET, HIDDEN, ALICE] {
        assert!(!text.contains(secret), "{of}\ntells {secret}:\n{text}");
    }
}

/// Runs a statement in a transaction that is rolled back; the rows' first columns, or the error.
pub fn attempt(session: &Session, sql: &str) -> Result<Vec<String>, Box<DbError>> {
    session.run("BEGIN");
    let outcome = session.try_rows(sql, &[]);
    session.run("ROLLBACK");
    match outcome {
        Ok(rows) => {
            Ok(rows.iter().filter(|row| !row.is_empty()).map(|row| row.try_get(0).unwrap_or_default()).collect())
        }
        Err(error) => Err(Box::new(error.as_db_error().unwrap_or_else(|| panic!("{sql}\n{error}")).clone())),
    }
}
