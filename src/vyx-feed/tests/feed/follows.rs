//! What reaches the sink: every kline, closed, with the exchange's numbers; gaps filled, beginnings and holes known.

use crate::exchange::{Command, Did};
use crate::{play, symbol};
use std::time::Duration;
use tokio::time::sleep;
use vyx_core::{GapReason, Interval, Millis, SymbolInfo, SymbolStatus};
use vyx_feed::Event;

const SIX: [Interval; 6] = [Interval::M1, Interval::M5, Interval::M15, Interval::H1, Interval::H4, Interval::D1];

#[test]
fn history_and_streams_join_without_a_gap() {
    play(&["BTCUSDT", "ETHUSDT", "NEWUSDT", "HOLEUSDT"], &SIX, 60, async |stage| {
        stage.until_complete().await;
        sleep(Duration::from_secs(3)).await;
        stage.until_complete().await;
        let (new, btc) = (symbol("NEWUSDT"), symbol("BTCUSDT"));
        for interval in SIX {
            assert_eq!(stage.memory.begins(&new, interval), Some(stage.exchange.first("NEWUSDT", interval)));
            assert_eq!(stage.memory.begins(&btc, interval), None, "more history than was wanted");
        }
        assert_eq!(stage.memory.hasty_answers.get(), 0);
        assert_eq!(
            stage.memory.count(|e| matches!(e, Event::BadFrame | Event::UnknownFrame | Event::RequestFailed)),
            0
        );
    });
}

#[test]
fn twenty_symbols_at_a_minute_a_second_keep_up() {
    let names: Vec<String> = (0..20).map(|i| format!("S{i:02}USDT")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    play(&names, &SIX, 60, async |stage| {
        stage.until("all series are complete", |s| s.memory.progress() == (120, 120)).await;
        let requests = stage.exchange.moments(|did| matches!(did, Did::Requested(_))).len();
        sleep(Duration::from_secs(5)).await;
        stage.until_complete().await;
        // Five minutes of the market came by stream alone; what happens to come late may cost a question.
        let later = stage.exchange.moments(|did| matches!(did, Did::Requested(_))).len() - requests;
        assert!(later < 30, "{later} requests while the streams were whole");
    });
}

#[test]
fn what_closed_during_an_outage_is_refilled() {
    play(&["BTCUSDT"], &[Interval::M1, Interval::M5], 60, async |stage| {
        stage.until_complete().await;
        let btc = symbol("BTCUSDT");
        stage.until("subscribed", |s| s.memory.subscribed(&btc, Interval::M1) == [true]).await;
        stage.exchange.faults().handshake.replace(Some("HTTP/1.1 503 Service Unavailable\r\n\r\n".to_owned()));
        stage.exchange.command(Command::Cut);
        sleep(Duration::from_secs(3)).await;
        stage.exchange.faults().handshake.replace(None);
        let refused = stage.exchange.connections();
        stage.until("connected again", |s| s.exchange.connections() > refused).await;
        let start = tokio::time::Instant::now();
        stage.until_complete().await;
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let minute = Interval::M1.last_closed(stage.exchange.market_time() - Millis::MINUTE);
        assert!(stage.memory.kline(&symbol("BTCUSDT"), Interval::M1, minute).is_some_and(|k| k.closed));
        let noted = |ordinal| stage.memory.noted(&symbol("BTCUSDT"), Interval::M1, ordinal);
        let reasons: Vec<_> = (minute - 20..=minute).map(noted).collect();
        assert!(reasons.contains(&Some(GapReason::Disconnect)), "{reasons:?}");
        assert_eq!(noted(minute - 1_000), Some(GapReason::Restart));
        assert_eq!(stage.memory.subscribed(&symbol("BTCUSDT"), Interval::M1), [true, false, true]);
    });
}

#[test]
fn a_close_that_never_came_is_asked_for_two_seconds_later() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.exchange.faults().no_closes.set(true);
        let from = Interval::M1.ordinal(stage.exchange.market_time());
        let btc = symbol("BTCUSDT");
        let start = tokio::time::Instant::now();
        let repaired = |ordinal| stage.memory.kline(&btc, Interval::M1, ordinal).is_some_and(|k| k.closed);
        stage.until("three missed closes are repaired", |_| (from..from + 3).all(repaired)).await;
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!(stage.memory.hasty_answers.get(), 0);
        // The first may have been closed already, and for the last the rest of the test may have been too short.
        assert_eq!(stage.memory.noted(&btc, Interval::M1, from + 1), Some(GapReason::MissedClose));
    });
}

#[test]
fn a_stream_that_says_nothing_more_is_overdue_ten_seconds_after_the_close() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.exchange.faults().silent.set(Some("btcusdt@kline_1m"));
        let from = Interval::M1.ordinal(stage.exchange.market_time());
        let btc = symbol("BTCUSDT");
        let repaired = |ordinal| stage.memory.kline(&btc, Interval::M1, ordinal).is_some_and(|k| k.closed);
        stage.until("silent closes are repaired", |_| (from..from + 3).all(repaired)).await;
        // Not all of them, as the stream is asked for anew.
        let noted = |ordinal| stage.memory.noted(&btc, Interval::M1, ordinal) == Some(GapReason::Overdue);
        assert!((from..from + 3).any(noted));
        assert_eq!(stage.memory.hasty_answers.get(), 0);
    });
}

#[test]
fn what_is_new_is_missing_because_it_is_new() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.exchange.list("ETHUSDT");
        stage.change(|s| s.intervals = vec![Interval::M1, Interval::M5]);
        stage.until_complete().await;
        let reason = |name, interval: Interval| {
            let ordinal = interval.last_closed(stage.exchange.market_time()) - 100;
            stage.memory.noted(&symbol(name), interval, ordinal)
        };
        assert_eq!(reason("BTCUSDT", Interval::M1), Some(GapReason::Restart));
        assert_eq!(reason("BTCUSDT", Interval::M5), Some(GapReason::IntervalAdded));
        assert_eq!(reason("ETHUSDT", Interval::M1), Some(GapReason::SymbolAdded));
    });
}

#[test]
fn history_is_asked_oldest_first_and_a_series_is_finished_before_the_next() {
    play(&["BTCUSDT"], &[Interval::H1, Interval::M1], 1, async |stage| {
        stage.until_complete().await;
        let number = |target: &str, key: &str| {
            target.split(['?', '&']).find_map(|pair| pair.strip_prefix(key)?.parse::<i64>().ok())
        };
        let did = stage.exchange.did();
        let starts = |interval: &str| -> Vec<i64> {
            let of = format!("interval={interval}&");
            did.iter()
                .filter_map(|(_, did)| match did {
                    Did::Requested(target) if target.contains(&of) => number(target, "startTime="),
                    _ => None,
                })
                .collect()
        };
        for interval in ["1m", "1h"] {
            let starts = starts(interval);
            assert!(starts.len() >= 3 && starts.is_sorted(), "{interval}: {starts:?}");
        }
        let left = |event: &Event| match event {
            Event::Progress { done, total, seconds_left } => Some((*done, *total, *seconds_left)),
            _ => None,
        };
        let told: Vec<_> = stage.memory.events().iter().filter_map(left).collect();
        assert_eq!((told[0], told.last()), ((0, 2, 1), Some(&(2, 2, 0))), "{told:?}");
    });
}

#[test]
fn a_young_listing_costs_two_questions_and_its_beginning_is_exact() {
    play(&["NEWUSDT"], &[Interval::M1], 1, async |stage| {
        stage.until_complete().await;
        let (new, first) = (symbol("NEWUSDT"), stage.exchange.first("NEWUSDT", Interval::M1));
        stage.until("its beginning is told", |s| s.memory.begins(&new, Interval::M1) == Some(first)).await;
        let asked = stage.exchange.moments(|did| matches!(did, Did::Requested(target) if target.contains("/klines")));
        assert_eq!(asked.len(), 2);
    });
}

#[test]
fn a_clock_that_is_minutes_ahead_makes_no_open_kline_a_closed_one_and_no_coming_one_absent() {
    play(&["BTCUSDT"], &[Interval::M1, Interval::M5], 20, async |stage| {
        stage.until_complete().await;
        stage.exchange.faults().skew.set(300_000);
        // Every wrong word of history would be found out here.
        let until = stage.exchange.market_time() + Millis(8 * 60_000);
        stage.until("eight minutes have passed", |s| s.exchange.market_time() > until).await;
        stage.until_complete().await;
        let now = Interval::M1.ordinal(stage.exchange.market_time());
        assert!((now..now + 10).all(|ordinal| !stage.memory.is_settled(&symbol("BTCUSDT"), Interval::M1, ordinal)));
    });
}

#[test]
fn a_clock_that_is_minutes_behind_blinds_nobody() {
    play(&["BTCUSDT"], &[Interval::M1, Interval::M5], 60, async |stage| {
        stage.until_complete().await;
        stage.exchange.faults().skew.set(-300_000);
        sleep(Duration::from_secs(3)).await;
        stage.until_complete().await;
        assert_eq!(stage.memory.count(|e| *e == Event::BadFrame), 0);
    });
}

#[test]
fn tickers_are_seeded_and_then_streamed() {
    play(&["BTCUSDT", "QUIETUSDT"], &[Interval::M1], 1, async |stage| {
        let price = |name| stage.memory.ticker(&symbol(name)).map(|t| t.last_price);
        stage.until("the stream's ticker has arrived", |_| price("BTCUSDT") == Some(3.5)).await;
        stage.until("the seed has arrived", |_| price("QUIETUSDT") == Some(2.5)).await;
        assert_eq!(price("ELSEBTC"), None, "nobody follows it");
    });
}

#[test]
fn a_changed_list_of_symbols_moves_only_the_difference() {
    play(&["BTCUSDT", "ETHUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.exchange.list("币安人生USDT");
        stage.exchange.delist("ETHUSDT");
        stage.change(|s| (s.intervals, s.symbol_grace) = (vec![Interval::M1, Interval::M5], Duration::ZERO));
        stage.until_complete().await;
        let leaves = |did: &Did| matches!(did, Did::Control(_, text) if text.contains("UNSUBSCRIBE"));
        stage.until("ETHUSDT is left", |stage| !stage.exchange.moments(leaves).is_empty()).await;
        assert_eq!(stage.exchange.connections(), 1, "nothing was reconnected");
        let mut control = stage.exchange.did().into_iter().filter_map(|(_, did)| match did {
            Did::Control(_, text) => Some(text),
            _ => None,
        });
        let left = control.find(|text| text.contains("UNSUBSCRIBE")).expect("ETHUSDT was left");
        assert!(left.contains("ethusdt@kline_1m") && !left.contains("btcusdt"), "{left}");
    });
}

#[test]
fn who_no_longer_trades_is_followed_for_a_while_with_its_status() {
    play(&["BTCUSDT", "ETHUSDT", "OLDUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        let is = |expected: &[(&str, SymbolStatus)]| {
            let listed: Vec<_> = expected.iter().map(|(name, status)| (symbol(name), *status)).collect();
            move |s: &crate::Stage| s.memory.listed() == listed
        };
        use SymbolStatus::*;
        stage.change(|s| s.refresh_symbols_after = Duration::from_secs(1));
        stage.exchange.halt("BTCUSDT", "HALT");
        stage.until("it is told", is(&[("ETHUSDT", Trading), ("OLDUSDT", Trading), ("BTCUSDT", Halt)])).await;
        stage.exchange.delist("OLDUSDT");
        // One question about both is refused, as one of them is unknown.
        stage.until("it is told", is(&[("ETHUSDT", Trading), ("BTCUSDT", Halt), ("OLDUSDT", Vanished)])).await;
        stage.exchange.halt("BTCUSDT", "SOMETHING_NEW");
        stage.until("it is told", is(&[("ETHUSDT", Trading), ("BTCUSDT", Unknown), ("OLDUSDT", Vanished)])).await;
        assert_eq!(stage.memory.count(|event| matches!(event, Event::SymbolsLeftOut(1..))), 0);
        assert!(
            !stage
                .exchange
                .did()
                .iter()
                .any(|(_, did)| { matches!(did, Did::Control(_, text) if text.contains("UNSUBSCRIBE")) }),
            "a stream was left"
        );
        stage.exchange.resume("BTCUSDT");
        stage.until("it is back", is(&[("ETHUSDT", Trading), ("BTCUSDT", Trading), ("OLDUSDT", Vanished)])).await;
        stage.change(|s| s.symbol_grace = Duration::from_secs(1));
        stage.until("the grace is over", is(&[("ETHUSDT", Trading), ("BTCUSDT", Trading)])).await;
    });
}

#[test]
fn who_was_held_before_a_restart_and_trades_no_more_is_known() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.exchange.halt("OLDUSDT", "BREAK");
        let info = SymbolInfo {
            symbol: symbol("OLDUSDT"),
            base: symbol("OLD"),
            quote: symbol("USDT"),
            status: SymbolStatus::Trading,
            tick_size: 0.0,
            step_size: 0.0,
        };
        stage.memory.known.borrow_mut().push(info);
        let expected = [(symbol("BTCUSDT"), SymbolStatus::Trading), (symbol("OLDUSDT"), SymbolStatus::Break)];
        stage.until("both are listed", |s| s.memory.listed() == expected).await;
        stage.change(|s| s.exclude_symbols = vec![symbol("OLDUSDT")]);
        stage.until("what is excluded leaves at once", |s| s.memory.listed() == expected[..1]).await;
    });
}
