//! Who is followed: pairs come, pause, go, and have more streams than one connection carries.

use crate::harness::{Gap, MINUTE, SYMBOLS, Stage, check_ledger, gaps, market_time, until};
use vyx_sim::{Kind, Settings};

#[test]
fn a_pair_that_pauses_is_kept_with_its_status_and_comes_back_whole() {
    const WORDS: [(&str, &str, &str); 4] = [
        ("BTCUSDT", "HALT", "HALT"),
        ("ACAUSDT", "BREAK", "BREAK"),
        ("LTCUSDT", "RESTING", "UNKNOWN"),
        ("币安人生USDT", "ABSENT", "VANISHED"),
    ];
    let symbols = [&WORDS.map(|(symbol, ..)| symbol)[..], &["ETHUSDT"]].concat();
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240")];
    let stage = Stage::start("ledger-pause", &symbols, Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    stage.reach(&session, stage.exchange.market_time() + 2 * MINUTE);
    let turn = |words: &[(&str, &str, &str)]| {
        for (symbol, word, _) in words {
            let status = (Some(symbol.to_string()), Some(word.to_string()));
            stage.inject(Kind::Status, |fault| (fault.symbol, fault.word) = status);
        }
        // The list is read again.
        session.reload(&[]);
        for (symbol, _, status) in words {
            until(&format!("{symbol} is {status}"), || {
                let rows = session.rows("SELECT status FROM vyx_symbols() WHERE symbol = $1", &[symbol]);
                rows.first().is_some_and(|row| row.get::<_, &str>(0) == *status).then_some(())
            });
        }
    };
    turn(&WORDS);
    let halted: i64 = session.one("SELECT count(*) FROM vyx_series() WHERE state = 'halted'", &[]);
    assert_eq!(halted, 8);
    stage.reach(&session, stage.exchange.market_time() + 3 * MINUTE);
    for (symbol, ..) in WORDS {
        let klines: i64 = session.one("SELECT count(*) FROM vyx_klines($1, '1m', 100)", &[&symbol]);
        assert_eq!(klines, 100, "{symbol} answers while it pauses");
    }
    turn(&WORDS.map(|(symbol, ..)| (symbol, "TRADING", "TRADING")));
    stage.settle(&session);
    stage.check(&session);
    let ledger = check_ledger(&session);
    assert!(ledger.iter().all(|gap| gap.resolution.as_deref() == Some("repaired")), "{ledger:#?}");
}

#[test]
fn a_pair_that_is_gone_for_good_is_given_up_with_its_gaps() {
    let settings = [("vyx.intervals", "1m"), ("vyx.ring_size", "240"), ("vyx.symbol_grace", "0")];
    let stage = Stage::start("ledger-gone", &["BTCUSDT", "ETHUSDT"], Stage::speed(60.0), &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let no_history = stage
        .inject(Kind::RefuseRest, |fault| (fault.status, fault.path) = (Some(503), Some("/api/v3/klines".to_owned())));
    let of = (Some("ETHUSDT".to_owned()), Some(1));
    stage.inject(Kind::MissingClose, |fault| (fault.symbol, fault.count) = of);
    let open = |gap: &Gap| gap.symbol == "ETHUSDT" && gap.resolution.is_none();
    until("it misses a kline", || gaps(&session).iter().any(open).then_some(()));
    let status = (Some("ETHUSDT".to_owned()), Some("BREAK".to_owned()));
    stage.inject(Kind::Status, |fault| (fault.symbol, fault.word) = status);
    session.reload(&[]);
    until("it is not followed any more", || {
        session.one::<bool>("SELECT count(*) = 1 FROM vyx_symbols()", &[]).then_some(())
    });
    let ledger = gaps(&session);
    assert!(ledger.iter().any(|gap| gap.symbol == "ETHUSDT" && gap.resolution.as_deref() == Some("untracked")));
    assert!(!ledger.iter().any(open), "{ledger:#?}");
    session.refuses("42704", &["ETHUSDT"], "SELECT * FROM vyx_klines('ETHUSDT', '1m')");
    stage.exchange.clear(no_history);
    stage.settle(&session);
    stage.check(&session);
    check_ledger(&session);
}

#[test]
fn a_pair_that_is_listed_later_is_followed_from_then_on() {
    let late = ["ETHUSDT", "币安人生USDT"];
    let exchange = Settings { unlisted: late.map(str::to_owned).to_vec(), ..Stage::speed(60.0) };
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240")];
    let stage = Stage::start("ledger-listed", &SYMBOLS, exchange, &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let health = || -> String { session.one("SELECT status || ': ' || reason FROM vyx_health()", &[]) };
    until("health counts who is not there", || health().starts_with("degraded: 2 symbols").then_some(()));
    let begin = market_time(&session);
    for symbol in late {
        let listed = (Some(symbol.to_owned()), Some("TRADING".to_owned()));
        stage.inject(Kind::Status, |fault| (fault.symbol, fault.word) = listed);
    }
    session.reload(&[]);
    until("they are followed", || session.one::<bool>("SELECT count(*) = 3 FROM vyx_symbols()", &[]).then_some(()));
    stage.settle(&session);
    stage.reach(&session, stage.exchange.market_time() + 2 * MINUTE);
    stage.settle(&session);
    stage.check(&session);
    let ledger = check_ledger(&session);
    for symbol in late {
        let of_it = |gap: &&Gap| gap.symbol == symbol && gap.detected_at >= begin;
        let history = |gap: &&Gap| gap.reason == "symbol added" && gap.klines > 200;
        assert_eq!(ledger.iter().filter(of_it).filter(history).count(), 2, "{symbol}: {ledger:#?}");
    }
    assert_eq!(health().split(':').next(), Some("ok"));
}

#[test]
fn more_streams_than_one_connection_may_have_are_on_two() {
    // The exchange cuts who asks for the 1,025th.
    let exchange = Settings { symbols: vyx_sim::universe(130), ..Stage::speed(10.0) };
    let settings = [
        ("vyx.symbols", ""),
        ("vyx.intervals", "1m,3m,5m,15m,30m,1h,2h,4h"),
        ("vyx.max_symbols", "130"),
        ("vyx.ring_size", "64"),
        ("vyx.weight_budget", "6000"),
        ("vyx.snapshot_interval", "0"),
    ];
    let stage = Stage::start("universe-streams", &[], exchange, &settings);
    let session = stage.cluster.session();
    stage.settle(&session);
    let state = stage.exchange.state();
    assert_eq!((state.connections.len(), state.closed_for_too_many_messages), (2, 0));
    assert!(state.connections.iter().all(|connection| connection.streams <= 1_024), "{:?}", state.connections);
    assert!(state.streams >= 1_040);
    stage.reach(&session, stage.exchange.market_time() + 2 * MINUTE);
    stage.settle(&session);
    stage.check(&session);
    check_ledger(&session);
    let reconnects: i64 = session.one("SELECT reconnects FROM vyx_health()", &[]);
    assert_eq!(reconnects, 0);
}
