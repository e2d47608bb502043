//! What is looked at after every test would be seen if it were not so.

use crate::harness::{Stage, check_invariants, until};

#[test]
fn what_always_holds_is_missed_where_it_does_not() {
    let stage = Stage::start("always", &["BTCUSDT"], Stage::speed(60.0), &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    session.run(
        "INSERT INTO vyx.traders (user_id, name, script, fire_on, state) VALUES (NULL, 'match', 'close > 0', 'match', 'running')",
    );
    until("signals", || session.one::<bool>("SELECT count(*) > 3 FROM vyx.signals", &[]).then_some(()));
    for (word, forgery) in [
        (
            "twice",
            "INSERT INTO vyx.signals
             SELECT n.* FROM vyx.signals s, jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid())) AS n LIMIT 1",
        ),
        ("contradicts itself", "UPDATE vyx.cycles SET evaluated = evaluated + 1"),
        ("accounted for", "UPDATE vyx.cycles SET evaluated = evaluated + 1, matched = matched + 1, fired = fired + 1"),
        ("accounted for", "UPDATE vyx.cycles SET waiting = 1"),
        ("passed over", "DELETE FROM vyx.cycles WHERE close_time = (SELECT max(c.close_time) FROM vyx.cycles c)"),
        ("counter", "UPDATE vyx.writer SET seq = seq - 1"),
    ] {
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        assert_eq!(check_invariants(&session, ""), Ok(()), "before: {forgery}");
        session.run(forgery);
        let found = check_invariants(&session, "").expect_err(forgery);
        assert!(found.contains(word), "{forgery}: {found}");
        session.run("ROLLBACK");
    }
    let found = check_invariants(&session, "all server processes terminated; reinitializing").expect_err("a crash");
    assert!(found.contains("begun anew"), "{found}");
}
