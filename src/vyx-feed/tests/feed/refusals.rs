//! When the exchange says no, or nonsense: what is not sent counts.

use crate::exchange::{Did, scripted};
use crate::play;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vyx_core::Interval;
use vyx_feed::{Event, Level};

fn requests(stage: &crate::Stage) -> Vec<Instant> {
    stage.exchange.moments(|did| matches!(did, Did::Requested(_)))
}

#[test]
fn after_429_nothing_is_asked_for_as_long_as_the_exchange_wants() {
    play(&["BTCUSDT", "ETHUSDT"], &[Interval::M1, Interval::M5], 60, async |stage| {
        stage.until("the list is read", |s| !s.memory.followed().is_empty()).await;
        // What is under way at this moment still gets the same answer.
        let refusal = scripted(
            "429 Too Many Requests",
            "Retry-After: 3\r\n",
            r#"{"code":-1003,"msg":"Too much request weight used"}"#,
        );
        stage.exchange.faults().answers.borrow_mut().extend(vec![refusal; 4]);
        stage.until("it is refused", |s| s.exchange.faults().answers.borrow().is_empty()).await;
        let refused = *requests(stage).last().unwrap();
        stage.until_complete().await;
        let next = requests(stage).into_iter().find(|at| *at > refused).expect("asked again");
        assert!(next - refused >= Duration::from_millis(2_990), "{:?}", next - refused);
    });
}

#[test]
fn a_ban_of_requests_stops_requests_and_no_stream() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.until_subscribed().await;
        let ban = |status: &str| scripted(status, "Retry-After: 4\r\n", r#"{"code":-1003,"msg":"banned"}"#);
        // Whatever is asked next: the list of symbols, by an impatient owner.
        stage.exchange.faults().answers.borrow_mut().extend(vec![ban("418 I'm a teapot"); 4]);
        stage.change(|s| s.refresh_symbols_after = Duration::from_secs(1));
        stage.until("it is told", |s| s.memory.said("wants no requests for 4s (HTTP status 418)")).await;
        let (asked, heard) = (requests(stage).len(), stage.memory.count(|e| *e == Event::Message));
        sleep(Duration::from_secs(3)).await;
        assert_eq!(requests(stage).len(), asked, "asked while banned");
        assert!(stage.memory.count(|e| *e == Event::Message) > heard + 20, "the streams went on");
        stage.exchange.faults().answers.borrow_mut().clear();
        stage.until("asked again", |s| requests(s).len() > asked).await;
        stage.until_complete().await;
    });
}

#[test]
fn a_refused_location_is_told_in_words_and_not_hammered() {
    play(&["BTCUSDT"], &[Interval::M1], 1, async |stage| {
        let refusal = scripted(
            "451 Unavailable For Legal Reasons",
            "",
            r#"{"code":0,"msg":"Service unavailable from a restricted location"}"#,
        );
        stage.exchange.faults().answers.borrow_mut().extend(vec![refusal; 100]);
        stage.until("it is told", |s| s.memory.said("data-api.binance.vision")).await;
        assert_eq!(stage.memory.lines()[0].0, Level::Error);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(requests(stage).len(), 1);
        // Another host owes us no pause.
        let other = crate::Exchange::start(&["BTCUSDT"], 1).await;
        stage.change(|s| (s.rest_url, s.stream_url) = (other.rest_url(), other.stream_url()));
        stage.until("the other host is asked", |s| s.memory.followed().len() == 1).await;
    });
}

#[test]
fn a_refused_location_of_the_streams_is_told_too() {
    play(&["BTCUSDT"], &[Interval::M1], 1, async |stage| {
        stage
            .exchange
            .faults()
            .handshake
            .replace(Some("HTTP/1.1 451 Unavailable For Legal Reasons\r\ncontent-length: 0\r\n\r\n".to_owned()));
        stage.until("it is told", |s| s.memory.said("data-stream.binance.vision")).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(stage.exchange.connections(), 1);
    });
}

#[test]
fn a_redirect_is_not_followed_and_a_packed_answer_not_unpacked() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        let elsewhere = crate::Exchange::start(&["EVILUSDT"], 60).await;
        let location = format!("Location: {}/api/v3/time\r\n", elsewhere.rest_url());
        stage.exchange.faults().answers.borrow_mut().extend([
            scripted("301 Moved Permanently", &location, ""),
            scripted("200 OK", "Content-Encoding: gzip\r\n", "....."),
            scripted("200 OK", "", "<html>"),
        ]);
        stage.until_complete().await;
        assert!(elsewhere.did().is_empty());
        assert_eq!(stage.memory.count(|e| *e == Event::RequestFailed), 2, "the third was answered, but not with sense");
    });
}

#[test]
fn a_symbol_that_history_refuses_is_left_alone_and_the_others_are_not() {
    play(&["BTCUSDT", "ETHUSDT"], &[Interval::M1], 60, async |stage| {
        stage.exchange.faults().refused_history.set(Some("BTCUSDT"));
        let of_klines = |did: &Did| matches!(did, Did::Requested(target) if target.contains("/klines?symbol=BTCUSDT"));
        stage.until("it is told", |s| s.memory.said("Invalid symbol")).await;
        let asked = stage.exchange.moments(of_klines).len();
        stage.until("the other is complete", |s| s.holds_everything(&crate::symbol("ETHUSDT"), Interval::M1)).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(stage.exchange.moments(of_klines).len(), asked);
    });
}

#[test]
fn a_symbol_that_cannot_be_read_is_counted_and_costs_no_other() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        let row = r#"{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","isSpotTradingAllowed":true}"#;
        let now = stage.exchange.market_time().0;
        let list = format!(r#"{{"serverTime":{now},"symbols":[{{"symbol":"B/D"}},{row},7]}}"#);
        // The exchange's clock is asked first, then the list.
        let clock = scripted("200 OK", "", &format!(r#"{{"serverTime":{now}}}"#));
        stage.exchange.faults().answers.borrow_mut().extend([clock, scripted("200 OK", "", &list)]);
        stage.until_complete().await;
        assert_eq!(stage.memory.followed(), [crate::symbol("BTCUSDT")]);
        assert_eq!(stage.memory.count(|e| *e == Event::BadFrame), 2);
        assert!(stage.memory.said("2 symbols of the list cannot be read"));
    });
}

#[test]
fn settings_that_cannot_be_used_change_nothing() {
    play(&["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        stage.change(|s| s.stream_url = "ws://stream.binance.com".to_owned());
        stage.until("it is told", |s| s.memory.said("the settings cannot be used: stream_url")).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(stage.exchange.connections(), 1);
        stage.until_complete().await;
    });
}
