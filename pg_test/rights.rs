//! What a role may call, and who it is taken for.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::pg_test::support::{check_failure, one};
    use pgrx::prelude::*;

    /// Makes a role with the rights of `group` that may run this test's helper, and becomes it.
    fn become_member_of(group: &str) {
        let sql = format!(
            "CREATE ROLE rights_test; GRANT {group} TO rights_test;
             GRANT USAGE ON SCHEMA vyx_test TO rights_test; GRANT EXECUTE ON FUNCTION vyx_test.failure TO rights_test;
             SET ROLE rights_test"
        );
        Spi::run(&sql).expect("runs");
    }

    #[pg_test]
    fn an_operator_evaluates_and_cannot_say_what_comes_of_it() {
        become_member_of("vyx_operator");
        for call in [
            "SELECT vyx.commit_batch('{}')",
            "SELECT vyx._evaluate_batch('1m')",
            "SELECT vyx.write_signals('[]', 0::smallint, 1, now(), false)",
            "SELECT vyx.write_round('[]', 0::smallint, 1, now(), false)",
            "SELECT vyx.record_failures('[]', now())",
            "SELECT vyx._jwt_logins()",
            "INSERT INTO vyx.signals DEFAULT VALUES",
        ] {
            check_failure(call, "42501", &["permission denied"]);
        }
        assert_eq!(one::<String>("SELECT vyx.evaluate_once('1m')"), "idle");
        assert!(!one::<bool>("SELECT vyx.settle_versions()"));
        check_failure("SELECT vyx.evaluate_once('4h')", "22023", &["not tracked"]);
        check_failure("CALL vyx_evaluate(stay => NULL)", "22004", &["stay", "Leave it out"]);
        check_failure("SELECT vyx_schedule()", "55000", &["pg_cron"]);
    }

    #[pg_test]
    fn a_tenant_evaluates_nothing() {
        become_member_of("vyx_user");
        for call in ["CALL vyx_evaluate()", "SELECT vyx.evaluate_once('1m')", "SELECT vyx.settle_versions()"] {
            check_failure(call, "42501", &["permission denied"]);
        }
    }

    #[pg_test]
    fn what_was_missing_is_everybodys_and_what_is_counted_the_monitors() {
        become_member_of("vyx_user");
        Spi::run("SELECT * FROM vyx_gaps()").expect("everybody may");
        for call in ["SELECT * FROM vyx_metrics()", "SELECT * FROM vyx_health()"] {
            check_failure(call, "42501", &["permission denied"]);
        }
        Spi::run("RESET ROLE; GRANT pg_monitor TO rights_test; SET ROLE rights_test").expect("runs");
        let names = "SELECT count(DISTINCT (name, labels)) = count(*) AND bool_and(name LIKE 'vyx\\_%' AND help <> '') FROM vyx_metrics()";
        assert!(one::<bool>(names));
    }

    #[pg_test]
    fn a_claim_counts_in_sessions_of_the_listed_logins_alone() {
        Spi::run("SET request.jwt.claims = '{\"sub\": \"0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b\"}'").expect("is set");
        assert_eq!(Spi::get_one::<pgrx::Uuid>("SELECT vyx.uid()"), Ok(None));
        check_failure("SET vyx.jwt_logins = 'postgres'", "55P02", &["vyx.jwt_logins"]);
        Spi::run("CREATE ROLE authenticator; GRANT vyx_user TO authenticator; SET SESSION AUTHORIZATION authenticator")
            .expect("runs");
        assert_eq!(one::<String>("SELECT vyx.uid()::text"), "0191a2b3-c4d5-7e6f-8a9b-0c1d2e3f4a5b");
        Spi::run("RESET SESSION AUTHORIZATION").expect("runs");
    }
}
