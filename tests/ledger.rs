//! What goes wrong between exchange and server: one fault a row, each with what the ledger of gaps may say of it, how it may
//! end and what is counted. After every row the rings are the market's truth, no gap is open, and the ledger says the same
//! as the rings.

use crate::harness::{Gap, HARMLESS, INTERRUPTION, MINUTE, Play, Row, Stage, count, gaps, market_time, until};
use std::time::{Duration, Instant};
use vyx_sim::{Kind, Settings, Shape};

/// Peak of resident memory of a process, in MB.
fn peak(pid: i32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse::<i64>().expect("a number") / 1_024
}

/// A message larger than anything the exchange sends ends the connection before it costs memory.
fn giant(play: &Play, bytes: usize, fragments: Option<usize>) {
    let (reconnects, pid) = (count(&play.session, "reconnects"), play.ingest());
    let before = peak(pid);
    play.stage.inject(Kind::Giant, |fault| (fault.bytes, fault.fragments) = (Some(bytes), fragments));
    play.rises("reconnects", reconnects);
    let after = peak(pid);
    assert!(after <= before + 8, "memory grew from {before} to {after} MB");
}

/// The exchange announces the end of all connections and means it.
fn shutdown(play: &Play, shape: Shape) {
    let rotations = count(&play.session, "rotations");
    play.stage.inject(Kind::ServerShutdown, |fault| (fault.by_ms, fault.shape) = (Some(4_000), Some(shape)));
    play.rises("rotations", rotations);
}

const PLANNED: Row = Row { rise: &["rotations", "connects"], stay: &["reconnects"], ..HARMLESS };

#[test]
fn connections_that_are_no_good_any_more_are_replaced_and_what_they_missed_comes_from_history() {
    let play = Play::start("ledger-lines", Stage::speed(60.0), &[]);
    // A connection that did not live for half a minute costs patience: so many rows a server and no more.
    play.rows(&[
        Row {
            name: "cut without announcement",
            happens: |play| {
                let accepted = play.stage.exchange.state().accepted;
                play.stage.inject(Kind::Cut, |_| ());
                let start = Instant::now();
                until("it is back", || (play.stage.exchange.state().accepted > accepted).then_some(()));
                assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
            },
            reasons: &[],
            other_reasons: &["disconnect", "missed close", "overdue"],
            ..INTERRUPTION
        },
        Row {
            name: "half open",
            happens: |play| {
                let (before, connection) = (count(&play.session, "reconnects"), play.connection());
                let range = (Some(connection), Some(60_000));
                play.stage.inject(Kind::HalfOpen, |fault| (fault.connection, fault.for_ms) = range);
                play.rises("reconnects", before);
            },
            reasons: &["disconnect", "overdue"],
            rise: &["reconnects", "stalled_connections"],
            ..INTERRUPTION
        },
        Row {
            name: "slow bytes",
            happens: |play| {
                let (before, connection) = (count(&play.session, "reconnects"), play.connection());
                let fault = (Some(connection), Some(1_000), Some(60_000));
                play.stage.inject(Kind::SlowBytes, |f| (f.connection, f.by_ms, f.for_ms) = fault);
                play.rises("reconnects", before);
            },
            reasons: &["disconnect", "overdue"],
            rise: &["reconnects", "stalled_connections"],
            ..INTERRUPTION
        },
        Row {
            name: "giant frame",
            happens: |play| giant(play, 17 << 20, None),
            reasons: &[],
            other_reasons: &["disconnect", "missed close", "overdue"],
            ..INTERRUPTION
        },
        Row {
            name: "giant message of fragments",
            happens: |play| giant(play, 65 << 20, Some(1_040)),
            reasons: &[],
            other_reasons: &["disconnect", "missed close", "overdue"],
            ..INTERRUPTION
        },
        Row {
            name: "flood of unreadable frames",
            happens: |play| {
                let before = count(&play.session, "reconnects");
                play.stage.inject(Kind::Malformed, |fault| fault.frames = Some(vec!["{".to_owned(); 1_100]));
                play.rises("reconnects", before);
            },
            reasons: &[],
            other_reasons: &["disconnect", "missed close", "overdue"],
            rise: &["reconnects", "bad_frames"],
            ..INTERRUPTION
        },
    ]);
    // A frame a minute is told, not a thousand.
    let told = play.stage.cluster.log().matches("unreadable frame").count();
    assert!((1..=5).contains(&told), "{told} lines on unreadable frames");
}

#[test]
fn connections_that_end_are_replaced_and_an_announced_end_costs_nothing() {
    let play = Play::start("ledger-ends", Stage::speed(60.0), &[]);
    play.rows(&[
        Row {
            name: "shutdown announced as a combined event",
            happens: |play| shutdown(play, Shape::Combined),
            ..PLANNED
        },
        Row { name: "shutdown announced as a raw event", happens: |play| shutdown(play, Shape::Raw), ..PLANNED },
        Row { name: "shutdown announced as the API's event", happens: |play| shutdown(play, Shape::Api), ..PLANNED },
        Row { name: "reset", happens: |play| play.outage(true), ..INTERRUPTION },
        Row { name: "closed without a word", happens: |play| play.outage(false), ..INTERRUPTION },
    ]);
}

#[test]
fn connections_that_grow_old_are_replaced_and_nothing_is_missed() {
    let exchange = Settings { lifetime: Duration::from_secs(25), ..Stage::speed(60.0) };
    let play = Play::start("ledger-age", exchange, &[("vyx.rotate_after", "10s")]);
    play.rows(&[Row {
        name: "forty minutes, four lives",
        happens: |play| {
            let before = count(&play.session, "rotations");
            until("three are replaced", || (count(&play.session, "rotations") >= before + 3).then_some(()));
        },
        ..PLANNED
    }]);
}

#[test]
fn events_that_repeat_swap_come_late_or_never_leave_the_truth_in_the_rings() {
    let play = Play::start("ledger-events", Stage::speed(60.0), &[]);
    let unbroken = || Row { stay: &["reconnects", "refused_klines", "damaged_slots", "gaps_unlisted"], ..HARMLESS };
    play.rows(&[
        Row {
            name: "every event twice",
            happens: |play| {
                play.stage.inject(Kind::Repeat, |fault| fault.for_ms = Some(4_000));
                play.goes_on(5);
            },
            rise: &["stale_klines"],
            stay: &["reconnects", "corrected", "disagreements", "bad_frames"],
            ..HARMLESS
        },
        Row {
            name: "neighbours change places",
            happens: |play| {
                play.stage.inject(Kind::Reorder, |fault| fault.for_ms = Some(6_000));
                play.goes_on(7);
            },
            rise: &["late_open"],
            stay: &["reconnects", "corrected", "disagreements", "bad_frames"],
            ..HARMLESS
        },
        Row {
            name: "closes come late",
            happens: |play| {
                play.stage.inject(Kind::LateClose, |f| (f.by_ms, f.count) = (Some(40_000), Some(6)));
                play.goes_on(5);
            },
            reasons: &["missed close", "overdue"],
            ..unbroken()
        },
        Row {
            name: "closes are missing",
            happens: |play| {
                let (before, withheld) = (count(&play.session, "repaired"), play.stage.exchange.state().withheld);
                play.stage.inject(Kind::MissingClose, |fault| fault.count = Some(7));
                until("they are withheld", || (play.stage.exchange.state().withheld >= withheld + 7).then_some(()));
                until("history closes them", || (count(&play.session, "repaired") >= before + 7).then_some(()));
            },
            reasons: &["missed close"],
            ..unbroken()
        },
        Row {
            name: "a close is corrected",
            happens: |play| {
                let corrections = |fault: &mut vyx_sim::Fault| {
                    (fault.symbol, fault.interval, fault.count) = (Some("BTCUSDT".into()), Some("1m".into()), Some(2));
                };
                let before = count(&play.session, "corrected");
                play.stage.inject(Kind::Correction, corrections);
                play.rises("corrected", before);
            },
            rise: &["corrected"],
            ..unbroken()
        },
        Row {
            name: "unreadable frames",
            happens: |play| {
                let before = count(&play.session, "bad_frames");
                play.stage.inject(Kind::Malformed, |_| ());
                play.rises("bad_frames", before);
            },
            rise: &["bad_frames"],
            ..unbroken()
        },
        Row {
            name: "a stream falls silent",
            happens: |play| {
                let before = count(&play.session, "resubscribed");
                let of = (Some("ETHUSDT".to_owned()), Some("1m".to_owned()));
                play.stage.inject(Kind::DropStream, |fault| (fault.symbol, fault.interval) = of);
                play.rises("resubscribed", before);
            },
            reasons: &["overdue"],
            rise: &["resubscribed", "repaired"],
            ..unbroken()
        },
        Row {
            name: "a stream is acknowledged and deaf",
            happens: |play| {
                let before = count(&play.session, "resubscribed");
                let of = (Some("币安人生USDT".to_owned()), Some("1m".to_owned()), Some(1));
                play.stage.inject(Kind::DeafAck, |fault| (fault.symbol, fault.interval, fault.count) = of);
                play.stage.inject(Kind::Drop, |_| ());
                play.rises("resubscribed", before);
            },
            reasons: &["overdue", "disconnect"],
            rise: &["reconnects", "resubscribed", "repaired"],
            ..INTERRUPTION
        },
        Row {
            name: "all streams stall while the line is alive",
            happens: |play| {
                let begin = market_time(&play.session);
                let stall = play.stage.inject(Kind::Stall, |_| ());
                until("overdue klines are noticed", || {
                    let noticed = |gap: &Gap| gap.reason == "overdue" && gap.detected_at >= begin;
                    gaps(&play.session).iter().any(noticed).then_some(())
                });
                play.stage.exchange.clear(stall);
            },
            reasons: &["overdue"],
            rise: &["repaired"],
            stay: &["gaps_unlisted"],
            ..HARMLESS
        },
        Row {
            name: "the exchange's clock is five minutes ahead",
            happens: |play| {
                play.stage.inject(Kind::ClockSkew, |f| (f.by_ms, f.for_ms) = (Some(5 * MINUTE), Some(4_000)));
                let ahead = || market_time(&play.session) - play.stage.exchange.market_time();
                until("it is taken", || (ahead() > 4 * MINUTE).then_some(()));
                until("it is over", || (ahead() < MINUTE / 6).then_some(()));
            },
            ..unbroken()
        },
        Row {
            name: "the exchange's clock is five minutes behind",
            happens: |play| {
                play.stage.inject(Kind::ClockSkew, |f| (f.by_ms, f.for_ms) = (Some(-5 * MINUTE), Some(4_000)));
                let behind = || play.stage.exchange.market_time() - market_time(&play.session);
                until("time stands still", || (behind() > 2 * MINUTE).then_some(()));
                until("it is over", || (behind() < MINUTE).then_some(()));
            },
            ..unbroken()
        },
    ]);
}

#[test]
fn history_that_is_refused_is_left_alone_for_as_long_as_the_exchange_says() {
    let play = Play::start("ledger-history", Stage::speed(60.0), &[]);
    let refused = || Row {
        reasons: &["missed close", "overdue"],
        rise: &["rest_failures", "repaired"],
        stay: &["reconnects", "gaps_unlisted"],
        ..HARMLESS
    };
    play.rows(&[
        Row { name: "429", happens: |play| play.refused(429, Some(7), Duration::from_secs(7)), ..refused() },
        Row { name: "418", happens: |play| play.refused(418, Some(4), Duration::from_secs(4)), ..refused() },
        Row {
            name: "history has a hole",
            happens: |play| {
                let before = count(&play.session, "reconnects");
                let refusal = play.stage.inject(Kind::RefuseConnections, |_| ());
                play.stage.inject(Kind::Drop, |_| ());
                play.rises("reconnects", before);
                // Two klines of which the streams have said nothing yet.
                let from = play.stage.exchange.market_time() / MINUTE * MINUTE + MINUTE;
                let to = from + MINUTE;
                play.stage.inject(Kind::Hole, |fault| {
                    (fault.symbol, fault.interval) = (Some("ETHUSDT".to_owned()), Some("1m".to_owned()));
                    (fault.from, fault.to) = (Some(from), Some(to));
                });
                play.stage.truth.lacks("ETHUSDT", "1m", from, to);
                play.passes(4);
                play.stage.exchange.clear(refusal);
                until("its absence is confirmed", || {
                    let absent = |gap: &Gap| {
                        (gap.from, gap.to, gap.resolution.as_deref()) == (from, to, Some("confirmed_absent"))
                    };
                    gaps(&play.session).iter().any(absent).then_some(())
                });
            },
            resolutions: &["repaired", "confirmed_absent"],
            rise: &["reconnects", "confirmed_absent", "repaired"],
            ..INTERRUPTION
        },
        Row {
            name: "403",
            happens: |play| {
                // Five minutes, whatever is advised; another host owes nothing.
                play.refused(403, Some(1), Duration::from_secs(5));
                let seconds_left: i64 = play.session.one("SELECT seconds_left FROM vyx_health()", &[]);
                assert!(seconds_left > 200, "the health says that it takes {seconds_left} s");
                play.go_to("localhost");
            },
            // On the way to the other host there is no connection for a moment.
            other_reasons: &["disconnect"],
            stay: &["gaps_unlisted"],
            ..refused()
        },
        Row {
            name: "451",
            happens: |play| {
                play.stage.inject(Kind::RefuseRest, |fault| fault.status = Some(451));
                play.stage.inject(Kind::RefuseConnections, |fault| fault.status = Some(451));
                play.stage.inject(Kind::Drop, |_| ());
                until("the health names hosts that answer", || {
                    let health = &play.session.rows("SELECT status, reason FROM vyx_health()", &[])[0];
                    let (status, reason): (&str, &str) = (health.get(0), health.get(1));
                    let hosts = ["wss://data-stream.binance.vision", "https://data-api.binance.vision"];
                    (status == "down" && hosts.iter().all(|host| reason.contains(host))).then_some(())
                });
                play.passes(2);
                play.stage.exchange.clear(None);
                play.go_to("127.0.0.1");
            },
            rise: &["reconnects", "connect_failures", "repaired"],
            ..INTERRUPTION
        },
    ]);
}

#[test]
fn a_clock_that_is_ahead_makes_no_closed_kline_of_an_open_one() {
    let play = Play::start("ledger-clock", Stage::speed(60.0), &[]);
    play.rows(&[Row {
        name: "five minutes ahead while no stream is there",
        happens: |play| {
            let skew = play.stage.inject(Kind::ClockSkew, |fault| fault.by_ms = Some(5 * MINUTE));
            let ahead = || market_time(&play.session) - play.stage.exchange.market_time();
            until("it is taken", || (ahead() > 4 * MINUTE).then_some(()));
            // History goes on to be asked by that clock.
            play.outage(true);
            play.passes(1);
            play.stage.exchange.clear(skew);
            until("it is over", || (ahead() < MINUTE / 6).then_some(()));
        },
        ..INTERRUPTION
    }]);
}

#[test]
fn a_row_of_history_is_a_closed_kline_only_when_a_later_one_follows() {
    let play = Play::start("ledger-open-row", Stage::speed(60.0), &[]);
    play.rows(&[Row {
        name: "a clock five minutes ahead, and no stream to say what is open",
        happens: |play| {
            play.stage.inject(Kind::ClockSkew, |fault| fault.by_ms = Some(5 * MINUTE));
            until("the clock is taken", || {
                let ahead = market_time(&play.session) - play.stage.exchange.market_time();
                (ahead > 4 * MINUTE).then_some(())
            });
            play.stage.inject(Kind::RefuseConnections, |_| ());
            play.stage.inject(Kind::Drop, |_| ());
            // By that clock the open kline is over, and history has a row of it; no stream will tell how it ended.
            play.passes(8);
            play.stage.exchange.clear(None);
            play.passes(6);
        },
        ..INTERRUPTION
    }]);
}
