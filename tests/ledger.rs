//! What goes wrong between exchange and server: one fault a row, each with what the ledger of gaps may say of it, how it may
//! end and what is counted. After every row the rings are the market's truth, no gap is open, and the ledger says the same
//! as the rings.

use crate::harness::{Gap, START, Session, Stage, check_ledger, count, gaps, market_time, metrics, signal, until};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use vyx_sim::{Kind, Settings, Shape};

const MINUTE: i64 = 60_000;
const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "币安人生USDT"];

/// One fault and what it leads to.
struct Row {
    name: &'static str,
    /// Makes it happen, and waits for what shows that it did.
    happens: fn(&Play),
    /// The ledger gets a row with one of these reasons.
    reasons: &'static [&'static str],
    /// It may also get rows with these. At sixty times the usual speed a busy machine misses a close now and then.
    other_reasons: &'static [&'static str],
    resolutions: &'static [&'static str],
    /// Counters that rise, and those that stay.
    rise: &'static [&'static str],
    stay: &'static [&'static str],
}

/// A row of which nothing needs to be seen.
const HARMLESS: Row = Row {
    name: "",
    happens: |_| (),
    reasons: &[],
    other_reasons: &["missed close", "overdue"],
    resolutions: &["repaired"],
    rise: &[],
    stay: &["gaps_unlisted", "gaps_forgotten", "refused_klines", "damaged_slots", "log_lines_dropped"],
};

/// One that costs a connection.
const INTERRUPTION: Row =
    Row { reasons: &["disconnect"], rise: &["reconnects"], other_reasons: &["missed close", "overdue"], ..HARMLESS };

/// A server on which rows happen one after the other.
struct Play {
    stage: Stage,
    session: Session,
}

impl Play {
    fn start(name: &str, exchange: Settings, settings: &[(&str, &str)]) -> Play {
        let basic = [("vyx.intervals", "1m,5m"), ("vyx.ring_size", "240"), ("vyx.stale_after", "5s")];
        // Pings keep a connection alive over which nothing else comes.
        let exchange = Settings { ping_every: Duration::from_secs(1), ..exchange };
        let stage = Stage::start(name, &SYMBOLS, exchange, &[&basic, settings].concat());
        let session = stage.cluster.session();
        let play = Play { stage, session };
        play.stage.settle(&play.session);
        // So that every stream has spoken: what is missing from there on is no part of the first history.
        play.goes_on(2);
        play
    }

    /// Plays all of them, whatever becomes of each.
    fn rows(&self, rows: &[Row]) {
        let failed = rows.iter().filter(|row| catch_unwind(AssertUnwindSafe(|| self.row(row))).is_err());
        let failed: Vec<&str> = failed.map(|row| row.name).collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
        // However it went, the exchange's rules were kept.
        let state = self.stage.exchange.state();
        assert_eq!((state.closed_for_too_many_messages, state.closed_without_pong), (0, 0));
    }

    fn row(&self, row: &Row) {
        eprintln!("---- {} ----", row.name);
        self.stage.exchange.clear(None);
        self.whole();
        let (before, begin) = (metrics(&self.session), market_time(&self.session));
        (row.happens)(self);
        // Candles beyond what happened, so that what was lost has been noticed.
        self.goes_on(4);
        let ledger = self.whole();
        let found: Vec<&Gap> = ledger.iter().filter(|gap| gap.detected_at >= begin).collect();
        for gap in &found {
            let may = [row.reasons, row.other_reasons].concat().contains(&&*gap.reason);
            let ended = gap.resolution.as_deref().is_some_and(|how| row.resolutions.contains(&how));
            assert!(may && ended, "{}: not expected: {gap:?}", row.name);
        }
        let expected = found.iter().any(|gap| row.reasons.contains(&&*gap.reason));
        assert!(expected || row.reasons.is_empty(), "{}: none of {:?} in {found:#?}", row.name, row.reasons);
        let after = metrics(&self.session);
        for (names, rises) in [(row.rise, true), (row.stay, false)] {
            for name in names {
                let (before, after) = (&before[&format!("vyx_{name}_total")], &after[&format!("vyx_{name}_total")]);
                assert_eq!(after > before, rises, "{}: {name} was {before} and is {after}", row.name);
            }
        }
    }

    /// Everything is there and true. Gives the ledger.
    fn whole(&self) -> Vec<Gap> {
        self.stage.settle(&self.session);
        self.stage.check(&self.session);
        check_ledger(&self.session)
    }

    fn goes_on(&self, minutes: i64) {
        self.stage.reach(&self.session, self.stage.exchange.market_time() + minutes * MINUTE);
    }

    /// Waits until a counter has risen by so much since the row began to count.
    fn rises(&self, name: &str, from: i64) {
        until(&format!("{name} rises"), || (count(&self.session, name) > from).then_some(()));
    }

    /// The only connection, by the exchange's number.
    fn connection(&self) -> u64 {
        until("a connection", || self.stage.exchange.state().connections.last().map(|connection| connection.id))
    }

    /// Nothing comes for some minutes of the market.
    fn outage(&self, reset: bool) {
        let reconnects = count(&self.session, "reconnects");
        let refused = self.stage.inject(Kind::RefuseConnections, |_| ());
        self.stage.inject(Kind::Drop, |fault| fault.reset = Some(reset));
        self.rises("reconnects", reconnects);
        self.passes(3);
        self.stage.exchange.clear(refused);
    }

    /// Waits for the exchange's clock alone.
    fn passes(&self, minutes: i64) {
        let end = self.stage.exchange.market_time() + minutes * MINUTE;
        until("time passes at the exchange", || (self.stage.exchange.market_time() >= end).then_some(()));
    }

    fn requests(&self) -> u64 {
        self.stage.exchange.state().requests.values().flat_map(|by_status| by_status.values()).sum()
    }

    /// Requests that were answered with this status.
    fn answered(&self, status: u16) -> u64 {
        self.stage.exchange.state().requests.values().filter_map(|by_status| by_status.get(&status)).sum()
    }

    /// History is wanted and refused once with this status; from then on nothing may be sent for so long, while the
    /// streams go on.
    fn refused(&self, status: u16, retry_after_s: Option<u64>, silence: Duration) {
        let before = self.answered(status);
        let refusal = self.stage.inject(Kind::RefuseRest, |fault| {
            (fault.status, fault.retry_after_s) = (Some(status), retry_after_s);
        });
        self.stage.inject(Kind::MissingClose, |fault| fault.count = Some(2));
        until("history is refused", || (self.answered(status) > before).then_some(()));
        let start = Instant::now();
        self.stage.exchange.clear(refusal);
        // What was under way arrives yet.
        std::thread::sleep(Duration::from_millis(300));
        let (requests, messages) = (self.requests(), count(&self.session, "messages"));
        let mut open = 0;
        while start.elapsed() + Duration::from_millis(200) < silence {
            assert_eq!(self.requests(), requests, "sent {:?} after the refusal", start.elapsed());
            open = open.max(gaps(&self.session).iter().filter(|gap| gap.resolution.is_none()).count());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(count(&self.session, "messages") > messages + 20, "streams go on");
        assert!(open > 0, "what cannot be fetched is in the ledger meanwhile");
    }

    /// The exchange under the other name that this machine has for itself: another host, which owes no pause.
    fn go_to(&self, host: &str) {
        let port = self.stage.exchange.address().port();
        let (stream, rest) = (format!("ws://{host}:{port}"), format!("http://{host}:{port}"));
        self.session.reload(&[("vyx.stream_url", &stream), ("vyx.rest_url", &rest)]);
    }

    fn ingest(&self) -> i32 {
        self.session.one("SELECT ingest_pid FROM vyx_health()", &[])
    }
}

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
fn connections_that_end_are_replaced_and_what_they_missed_comes_from_history() {
    let play = Play::start("ledger-lines", Stage::speed(60.0), &[]);
    play.rows(&[
        Row { name: "reset", happens: |play| play.outage(true), ..INTERRUPTION },
        Row { name: "closed without a word", happens: |play| play.outage(false), ..INTERRUPTION },
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
            name: "cut without announcement",
            happens: |play| {
                let before = count(&play.session, "reconnects");
                play.stage.inject(Kind::Cut, |_| ());
                play.rises("reconnects", before);
            },
            reasons: &[],
            other_reasons: &["disconnect", "missed close", "overdue"],
            ..INTERRUPTION
        },
        Row {
            name: "shutdown announced as a combined event",
            happens: |play| shutdown(play, Shape::Combined),
            ..PLANNED
        },
        Row { name: "shutdown announced as a raw event", happens: |play| shutdown(play, Shape::Raw), ..PLANNED },
        Row { name: "shutdown announced as the API's event", happens: |play| shutdown(play, Shape::Api), ..PLANNED },
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
                play.stage.inject(Kind::Stall, |fault| fault.for_ms = Some(10_000));
                until("overdue klines are noticed", || {
                    let open = |gap: &Gap| gap.reason == "overdue";
                    gaps(&play.session).iter().any(open).then_some(())
                });
                play.passes(11);
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
fn an_ingest_that_reads_slow_bytes_ends_within_a_second_and_so_does_the_server_within_two() {
    let exchange = Settings { start: Some(START), ..Stage::speed(1.0) };
    let mut stage = Stage::start("ledger-slow", &SYMBOLS, exchange, &[("vyx.intervals", "1m")]);
    let session = stage.cluster.session();
    stage.settle(&session);
    // Whatever is said from now on takes minutes.
    stage.inject(Kind::SlowBytes, |fault| fault.by_ms = Some(500));
    std::thread::sleep(Duration::from_secs(1));
    let pid: i32 = session.one("SELECT ingest_pid FROM vyx_health()", &[]);
    let start = Instant::now();
    signal(pid, libc::SIGTERM);
    until("it ends", || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
    until("another one waits for bytes", || {
        session.one::<Option<i32>>("SELECT ingest_pid FROM vyx_health()", &[]).filter(|now| *now != pid)
    });
    let took = stage.cluster.stop(crate::harness::Stop::Fast);
    assert!(took < Duration::from_secs(2), "the server took {took:?} to stop");
}
