//! Missed closes, interruptions, and the word of a stream against the clock.

use super::*;
use vyx_core::Provenance;

const M1: Interval = Interval::M1;

fn kline(ordinal: i64, closed: bool) -> Kline {
    let one = 1.0;
    Kline {
        open_time: M1.open_time(ordinal),
        open: one,
        high: one,
        low: one,
        close: one,
        volume: one,
        quote_volume: one,
        trades: 1,
        taker_buy_volume: one,
        taker_buy_quote_volume: one,
        closed,
        revision: 0,
        provenance: Provenance::Stream,
    }
}

fn btc() -> Series {
    (Symbol::new("BTCUSDT").unwrap(), M1)
}

/// A series that was never looked at.
fn unseen() -> Tails {
    let mut tails = Tails::default();
    tails.follow(btc(), GapReason::Restart);
    tails
}

/// A series whose stream is there since market time 0, and nothing is missing.
fn whole() -> Tails {
    let mut tails = unseen();
    assert!(tails.acknowledged(btc(), 1));
    tails.advanced(Millis(0));
    assert_eq!(tails.take_due(SETTLING), [btc()]);
    tails.looked(&btc(), Millis(0));
    tails
}

fn reason(tails: &Tails) -> GapReason {
    tails.reason(&btc(), GapReason::Overdue)
}

/// Shows the klines and tells from when on the series is due, in ms after the first open.
#[track_caller]
fn check(klines: &[(i64, bool)], expected: Option<i64>) {
    let mut tails = whole();
    let now = Instant::now();
    let missed: Vec<Millis> =
        klines.iter().filter_map(|(ordinal, closed)| tails.saw(btc(), &kline(*ordinal, *closed), now)).collect();
    let due = tails.due.first().map(|(at, _)| at.0);
    assert_eq!(due, expected, "{klines:?}");
    assert_eq!(missed.first().map(|at| at.0 + 2_000), expected, "{klines:?}: noticed at once");
    if let Some(due) = due {
        assert!(tails.take_due(Millis(due - 1)).is_empty(), "asked before it is settled");
        assert_eq!(tails.take_due(Millis(due)), [btc()]);
        assert!(!tails.are_due(Millis(i64::MAX)));
    }
}

#[test]
fn a_missed_close_makes_a_suspect_two_seconds_after_it() {
    check(&[(0, false), (0, true), (1, false), (1, true), (2, false)], None);
    check(&[(0, false), (1, false)], Some(59_999 + 2_000));
    check(&[(0, true), (2, false)], Some(119_999 + 2_000));
    check(&[(0, true), (0, false), (1, false)], None);
    check(&[(0, true), (1, true), (0, false), (2, true)], None);
    check(&[(5, false)], None);
}

#[test]
fn what_is_not_followed_is_forgotten_and_not_learnt() {
    let (mut tails, now) = (whole(), Instant::now());
    tails.saw(btc(), &kline(0, false), now);
    tails.saw(btc(), &kline(1, false), now);
    tails.retain(|_| false);
    assert_eq!(tails.saw(btc(), &kline(5, false), now), None);
    assert!(!tails.released(btc(), 1));
    assert!(tails.due.is_empty() && tails.series.is_empty() && tails.fresh.is_empty());
}

#[test]
fn the_first_reason_stands_until_the_stream_is_there_and_what_closed_before_was_looked_for() {
    let mut tails = unseen();
    assert_eq!(reason(&tails), GapReason::Restart);
    tails.looked(&btc(), Millis(500_000));
    assert_eq!(reason(&tails), GapReason::Restart, "no stream yet: more may close unseen");
    tails.acknowledged(btc(), 1);
    tails.looked(&btc(), Millis(500_000));
    assert_eq!(reason(&tails), GapReason::Restart, "market time is that of before");
    tails.advanced(Millis(630_000));
    assert!(tails.take_due(Millis(631_999)).is_empty());
    assert_eq!(tails.take_due(Millis(632_000)), [btc()]);
    tails.looked(&btc(), Millis(599_998));
    assert_eq!(reason(&tails), GapReason::Restart, "a kline closed after this and before the stream came");
    tails.looked(&btc(), Millis(599_999));
    assert_eq!(reason(&tails), GapReason::Overdue);
}

#[test]
fn what_closes_without_a_connection_is_missed_for_that_reason() {
    let mut tails = whole();
    assert!(!tails.acknowledged(btc(), 2), "a successor");
    assert!(!tails.acknowledged(btc(), 2), "said again");
    assert!(!tails.released(btc(), 1), "the successor carries it");
    assert_eq!(reason(&tails), GapReason::Overdue);
    assert!(tails.released(btc(), 2));
    assert_eq!(reason(&tails), GapReason::Disconnect);
    let mut young = unseen();
    young.acknowledged(btc(), 1);
    young.released(btc(), 1);
    assert_eq!(reason(&young), GapReason::Restart, "it never was looked at");
}

#[test]
fn a_stream_gets_its_time_to_close_a_kline_and_one_that_is_not_there_does_not() {
    let (mut tails, now) = (whole(), Instant::now());
    let market = Millis(600_000);
    assert_eq!(tails.settled(btc(), market, now), market - ALLOWANCE);
    tails.released(btc(), 1);
    assert_eq!(tails.settled(btc(), market, now), market - SETTLING);
}

#[test]
fn the_word_of_a_stream_beats_the_clock_as_long_as_it_is_fresh() {
    let (mut tails, now) = (whole(), Instant::now());
    // The clock is five minutes ahead of the stream.
    let market = M1.open_time(15);
    tails.saw(btc(), &kline(10, false), now);
    assert_eq!(tails.settled(btc(), market, now), M1.close_time(9));
    tails.saw(btc(), &kline(10, true), now);
    assert_eq!(tails.settled(btc(), market, now), M1.close_time(10), "its successor is open");
    assert_eq!(tails.settled(btc(), market, now + WORD_STANDS), market - ALLOWANCE);
    // And now behind it: the stream's word that a kline is over does not make it settled.
    let market = M1.open_time(10);
    assert_eq!(tails.settled(btc(), market, now), market - SETTLING);
}

#[test]
fn a_kline_is_not_the_first_when_an_older_one_was_shown() {
    let mut tails = unseen();
    assert!(!tails.has_older(&btc(), 5));
    tails.saw(btc(), &kline(9, false), Instant::now());
    assert!(!tails.has_older(&btc(), 5) && tails.has_older(&btc(), 10));
    tails.is_deaf(btc(), &kline(4, true), Millis(0), Instant::now());
    assert!(tails.has_older(&btc(), 5) && !tails.has_older(&btc(), 4));
}

/// What history shows a whole series, whose stream has said nothing, at this market time.
#[track_caller]
fn check_deaf(change: impl FnOnce(&mut Tails), shown: Kline, market: Millis, expected: bool) {
    let mut tails = whole();
    change(&mut tails);
    assert_eq!(tails.is_deaf(btc(), &shown, market, Instant::now()), expected);
}

#[test]
fn a_stream_is_deaf_when_it_has_not_spoken_of_a_kline_with_trades_that_closed_under_its_eyes() {
    let (shown, later) = (kline(3, true), M1.close_time(3) + ALLOWANCE);
    check_deaf(|_| (), shown, later, true);
    check_deaf(|_| (), shown, later - Millis(1), false);
    check_deaf(|_| (), Kline { trades: 0, ..shown }, later, false);
    check_deaf(|tails| _ = tails.saw(btc(), &kline(2, true), Instant::now()), shown, later, true);
    check_deaf(|tails| _ = tails.saw(btc(), &kline(3, false), Instant::now()), shown, later, false);
    check_deaf(|tails| _ = tails.saw(btc(), &kline(9, false), Instant::now()), shown, later, false);
    check_deaf(|tails| _ = tails.released(btc(), 1), shown, later, false);
    check_deaf(|tails| tails.renewed(btc()), shown, later, false);
    let acknowledged_after = |tails: &mut Tails| {
        tails.renewed(btc());
        tails.advanced(M1.close_time(3));
    };
    check_deaf(acknowledged_after, shown, later, false);
}

#[test]
fn a_stream_that_stays_deaf_is_asked_for_less_and_less_often() {
    let (mut tails, mut now) = (whole(), Instant::now());
    let mut ordinal = 0;
    let mut wait = |tails: &mut Tails| {
        let start = now;
        loop {
            now += Duration::from_secs(1);
            ordinal += 1;
            if tails.is_deaf(btc(), &kline(ordinal, true), M1.open_time(ordinal + 2), now) {
                tails.renewed(btc());
                tails.advanced(M1.open_time(ordinal));
                return now - start;
            }
        }
    };
    wait(&mut tails);
    let pauses: Vec<u64> = (0..6).map(|_| wait(&mut tails).as_secs() / 60).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    tails.saw(btc(), &kline(20_000, true), Instant::now());
    assert!(tails.series[&btc()].heard == 20_000);
}
