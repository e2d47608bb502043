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

#[test]
fn a_number_compared_with_what_it_never_reaches_is_told() {
    for (script, told) in [
        ("rsi(close, 14) > 100", "1:16 always false: rsi(…) is from 0 to 100"),
        ("rsi(close, 14) >= 0", "1:16 always true: rsi(…) is from 0 to 100"),
        ("-5 > rsi(14)", "1:4 always false: rsi(…) is from 0 to 100"),
        ("tf(\"1h\").rsi(14)[1] > 101", "1:21 always false: rsi(…) is from 0 to 100"),
        ("stoch(14, 3, 3).k > 101", "1:19 always false: stoch(…) is from 0 to 100"),
        ("volume < 0", "1:8 always false: volume is at least 0"),
        ("close > 0", "1:7 always true: close is above 0"),
        ("close == 0", "1:7 always false: close is above 0"),
        ("hour > 24", "1:6 always false: hour is from 0 to 23"),
        ("hour == 24", "1:6 always false: hour is from 0 to 23"),
        ("dayofweek != 0", "1:11 always true: dayofweek is from 1 to 7"),
        ("abs(close - open) < 0", "1:19 always false: the left side is at least 0"),
        ("volume + trades < 0", "1:17 always false: the left side is at least 0"),
        ("count(close > open, 5) > 5", "1:24 always false: count(…) is from 0 to 5"),
        ("barssince(close > open) < 0", "1:25 always false: barssince(…) is at least 0"),
        ("highest(volume, 9) < 0", "1:20 always false: highest(…) is at least 0"),
        ("-volume > volume", "1:9 always false: the left side is at most 0, volume is at least 0"),
        ("crossover(rsi(14), 120)", "1:1 never true: rsi(…) is from 0 to 100"),
        ("cross(hour, 30)", "1:1 never true: hour is from 0 to 23"),
    ] {
        warned(script, told);
    }
    // What might be: a bound itself, a difference, a ratio that rounding may lead beyond its bound.
    for fine in [
        "rsi(14) >= 100",
        "rsi(14) <= 0",
        "stoch(14, 3, 3).k > 100",
        "volume <= 0",
        "volume_delta < 0",
        "macd().hist < 0",
        "close - open < 0",
        "close / open > 2",
        "volume / trades > 5",
        "hour == 23",
        "rsi(14) - 50 < 0",
        "nz(rsi(14), -1) < 0",
        "change_24h < 0",
        "crossover(rsi(14), 100)",
    ] {
        warned(fine, "");
    }
}

#[test]
fn what_is_never_decided_is_told() {
    let never = "never decided: one side is undefined on every candle | na(x) asks whether x is undefined";
    warned("close > na", &format!("1:7 {never}"));
    warned("close > 1 || 0 / 0 < 5", &format!("1:20 {never}"));
    warned("na(close[1])", "");
}

#[test]
fn the_mark_of_a_pine_script_is_told() {
    let told = "1:1 this is a comment: the language is not Pine | most of Pine's names are known; what is not is told";
    warned("//@version=5\nta.rsi(close, 14) < 30", told);
}

#[test]
fn conditions_that_exclude_each_other_are_told() {
    let never = "always false: two conditions on rsi(…) exclude each other";
    let always = "always true: one of two conditions on rsi(…) always holds";
    warned("rsi(14) < 30 && rsi(14) > 70", &format!("1:17 {never}"));
    warned("rsi(14) < 30 && volume > 5 && 70 < rsi(14)", &format!("1:31 {never}"));
    warned("rsi(14) == 30 && rsi(14) < 30", &format!("1:18 {never}"));
    warned("rsi(14) < 70 || rsi(14) > 30", &format!("1:17 {always}"));
    warned("rsi(14) < 30 || rsi(14) >= 30", &format!("1:17 {always}"));
    for fine in [
        "rsi(14) < 70 && rsi(14) > 30",
        "rsi(14) <= 30 && rsi(14) >= 30",
        "rsi(14) < 30 && rsi(7) > 70",
        "rsi(14) < 30 || rsi(14) > 70",
        "rsi(14) < 30 || rsi(14) > 30",
        "rsi(14)[1] < 30 && rsi(14) > 70",
    ] {
        warned(fine, "");
    }
}
