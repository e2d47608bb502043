//! What goes wrong between the exchange and the server is repaired, and counted.

use crate::harness::{Gap, MINUTE, Session, Stage, check_ledger, until};
use vyx_sim::Kind;

fn counters(session: &Session) -> [i64; 3] {
    let row = &session.rows("SELECT reconnects, bad_frames, dropped FROM vyx_health()", &[])[0];
    [0, 1, 2].map(|column| row.get(column))
}

fn repaired(session: &Session) -> i64 {
    session.one("SELECT sum(repaired)::bigint FROM vyx_series()", &[])
}

/// Runs a market of three symbols until `misbehave` is through, then until everything is complete again.
fn play(name: &str, settings: &[(&str, &str)], misbehave: impl FnOnce(&Stage, &Session)) {
    let symbols = ["BTCUSDT", "ETHUSDT", "币安人生USDT"];
    let settings = [&[("vyx.intervals", "1m,5m")], settings].concat();
    let stage = Stage::start(name, &symbols, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    // Two minutes more, so that every stream has spoken: what history brings from there on is a repair.
    stage.reach(&session, stage.exchange.market_time() + 2 * 60_000);
    misbehave(&stage, &session);
    // Five candles beyond what happened, so that what was lost has been noticed.
    stage.reach(&session, stage.exchange.market_time() + 5 * 60_000);
    stage.settle(&session);
    stage.check(&session);
}

#[test]
fn what_a_killed_connection_missed_is_refilled() {
    play("drop", &[], |stage, session| {
        for reset in [false, true] {
            let [before, ..] = counters(session);
            let (accepted, market_time) = (stage.exchange.state().accepted, stage.exchange.market_time());
            stage.inject(Kind::RefuseConnections, |fault| fault.for_ms = Some(2_000));
            stage.inject(Kind::Drop, |fault| fault.reset = Some(reset));
            until("the loss is counted", || (counters(session)[0] > before).then_some(()));
            until("it is back", || (stage.exchange.state().accepted > accepted).then_some(()));
            assert!(stage.exchange.market_time() > market_time + 60_000, "candles closed meanwhile");
            stage.settle(session);
        }
        until("history closed what the streams did not", || (repaired(session) > 0).then_some(()));
    });
}

#[test]
fn a_silent_connection_is_replaced() {
    play("stall", &[("vyx.stale_after", "5s")], |stage, session| {
        let [before, ..] = counters(session);
        let stalled = stage.exchange.state().connections[0].id;
        stage.inject(Kind::HalfOpen, |fault| (fault.connection, fault.for_ms) = (Some(stalled), Some(60_000)));
        until("the silence is noticed", || (counters(session)[0] > before).then_some(()));
        until("history closed what was not heard", || (repaired(session) > 0).then_some(()));
    });
}

#[test]
fn repeated_swapped_late_unreadable_and_missing_events_do_no_harm() {
    play("events", &[], |stage, session| {
        stage.inject(Kind::Repeat, |fault| fault.for_ms = Some(2_500));
        stage.inject(Kind::Reorder, |fault| fault.for_ms = Some(2_500));
        stage.inject(Kind::Delay, |fault| (fault.by_ms, fault.for_ms) = (Some(300), Some(2_500)));
        stage.inject(Kind::MissingClose, |fault| fault.count = Some(7));
        stage.inject(Kind::Malformed, |_| ());
        until("the unreadable ones are counted", || (counters(session)[1] > 0).then_some(()));
        until("closes were withheld", || (stage.exchange.state().withheld >= 7).then_some(()));
        until("history closed them", || (repaired(session) >= 7).then_some(()));
        let [reconnects, ..] = counters(session);
        assert_eq!(reconnects, 0, "a few unreadable frames are no reason to leave");
    });
}

#[test]
fn history_that_is_refused_for_a_while_is_asked_again() {
    play("refused", &[], |stage, session| {
        let [before, ..] = counters(session);
        stage.inject(Kind::RefuseRest, |fault| (fault.status, fault.count) = (Some(503), Some(4)));
        stage.inject(Kind::RefuseConnections, |fault| fault.for_ms = Some(1_500));
        stage.inject(Kind::Drop, |_| ());
        until("the loss is counted", || (counters(session)[0] > before).then_some(()));
        let refused =
            || -> u64 { stage.exchange.state().requests.values().filter_map(|by_status| by_status.get(&503)).sum() };
        until("history refused", || (refused() > 0).then_some(()));
    });
}

#[test]
fn three_hours_of_twenty_symbols_come_back_within_the_budget() {
    let symbols: Vec<String> = vyx_sim::universe(20).into_iter().take(20).map(|symbol| symbol.name).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let stage = Stage::start("hours", &symbols, Stage::speed(60.0), &[("vyx.weight_budget", "3000")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    let stage = stage.skip(180 * MINUTE);
    let mut most = 0;
    until("the outage is over", || {
        let row =
            &session.rows("SELECT used_weight, series_complete = series_total, gaps_open FROM vyx_health()", &[])[0];
        most = most.max(row.get::<_, i64>(0));
        let begun = stage.exchange.state().requests.contains_key("/api/v3/klines");
        (begun && row.get(1) && row.get::<_, i64>(2) == 0).then_some(())
    });
    assert!(most <= 3_000, "{most} of the weight of a minute were used");
    stage.settle(&session);
    stage.check(&session);
    let ledger = check_ledger(&session);
    for symbol in symbols {
        let outage = |gap: &&Gap| (&*gap.symbol, &*gap.interval, &*gap.reason) == (symbol, "1m", "disconnect");
        let missed: i64 = ledger.iter().filter(outage).map(|gap| gap.klines).sum();
        assert!(missed >= 180, "{symbol}: {missed} klines were missing");
    }
}
