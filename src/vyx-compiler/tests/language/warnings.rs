//! What is allowed and doubtful.

use super::{brief, compiled, request};
use vyx_engine::wire::Request;

#[track_caller]
fn warned(script: &str, expected: &str) {
    assert_eq!(brief(&compiled(&request(script)).warnings), expected, "{script}");
}

#[test]
fn a_constant_rule_is_doubtful() {
    warned("true", "1:1 always true: the rule matches on every candle");
    warned("#{ fire: 1 > 2 }", "1:10 always false: the rule never matches");
    warned("close > 1 || true", "1:1 always true: the rule matches on every candle");
    warned("close > open", "");
}

#[test]
fn a_value_is_never_above_the_highest_that_includes_it() {
    let above = "never true: highest(…) includes this candle | compare with the candles before it: highest(high, n)[1]";
    let below = "never true: lowest(…) includes this candle | compare with the candles before it: lowest(low, n)[1]";
    warned("close > highest(high, 20)", &format!("1:7 {above}"));
    warned("highest(20) < close", &format!("1:13 {above}"));
    warned("rsi(14) > highest(rsi(14), 5)", &format!("1:9 {above}"));
    warned("crossover(close, highest(20))", &format!("1:1 {above}"));
    warned("close < lowest(low, 20)", &format!("1:7 {below}"));
    warned("crossunder(close, lowest(20))", &format!("1:1 {below}"));
    for fine in
        ["close > highest(high, 20)[1]", "close >= highest(20)", "high > highest(close, 20)", "close > highest(low, 5)"]
    {
        warned(fine, "");
    }
}

#[test]
fn a_timeframe_that_the_server_does_not_keep_is_told() {
    let configured = vec!["1m".to_owned(), "1h".to_owned()];
    let told = |script: &str| {
        let request = Request { configured: configured.clone(), ..request(script) };
        brief(&compiled(&request).warnings)
    };
    assert_eq!(told("tf(\"1h\").close > 1"), "");
    let expected = "1:1 this server does not keep \"4h\": the rule will not be ready | it keeps 1m 1h";
    assert_eq!(told("tf(\"4h\").close > 1"), expected);
    assert_eq!(told("change_24h > 1"), expected.replace("4h", "5m"));
}

#[test]
fn a_rule_that_needs_more_than_a_history_is_told() {
    warned("ema(ema(close, 700), 700) > 1", "");
    let longer = "shorten the periods, or read a longer interval";
    warned(
        "sma(ema(close, 1000), 1000) > 1",
        &format!("0:0 rarely or never ready: it needs 1999 candles of \"1m\", and a history may have 1536 | {longer}"),
    );
    warned(
        "tf(\"1h\").sma(1000)[100] > 1",
        &format!("0:0 rarely or never ready: it needs 1100 candles of \"1h\", and a history may have 1024 | {longer}"),
    );
}
