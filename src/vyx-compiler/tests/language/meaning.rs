//! What right scripts mean.

use super::shape::shape;
use super::{compiled, request};
use vyx_engine::wire::{Mode, Request};

#[track_caller]
fn check(script: &str, expected: &str) {
    assert_eq!(shape(&compiled(&request(script)).program), expected, "{script}");
}

/// The same for the value of an expression.
#[track_caller]
fn value(script: &str, expected: &str) {
    let request = Request { mode: Mode::Expression, ..request(script) };
    assert_eq!(shape(&compiled(&request).program), format!("true; value: {expected}"), "{script}");
}

#[test]
fn every_series_of_a_candle_has_a_name() {
    for name in
        ["open", "high", "low", "close", "volume", "trades", "hl2", "hlc3", "ohlc4", "time", "hour", "dayofweek"]
    {
        value(name, name);
    }
    value("quote_volume", "quotevolume");
    value("buy_volume", "buyvolume");
    value("sell_volume", "(volume - buyvolume)");
    value("volume_delta", "(buyvolume - (volume - buyvolume))");
    for field in ["open", "high", "low", "close"] {
        value(&format!("ha_{field}"), &format!("heikin_ashi(open, high, low, close).{field}"));
    }
}

#[test]
fn the_day_is_288_closed_five_minute_candles() {
    value("change_24h", "align((((close@5m - open@5m[287]) / open@5m[287]) * 100))");
    value("quote_volume_24h", "align(sum(quotevolume@5m, 288))");
    value("symbol(\"BTCUSDT\").quote_volume_24h", "align(sum(quotevolume@BTCUSDT:5m, 288))");
}

#[test]
fn everything_is_element_wise() {
    value("sma(high - low, 14)", "sma((high - low), 14)");
    value("barssince(crossover(rsi(close, 14), 30)) <= 3", "(barssince(crossover(rsi(close, 14), 30)) <= 3)");
    value("(close > open)[1]", "(close > open)[1]");
    value("lowest(bb(20).width, 20)", "lowest(bbands(close, 20, 2).width, 20)");
    value("-close + abs(open) % 2 ** 3", "(-close + (abs(open) % 8))");
    value("min(close, open, 3)", "min(min(close, open), 3)");
    value("close.sma(20)", "sma(close, 20)");
}

#[test]
fn an_index_counts_candles_back() {
    value("close[1]", "close[1]");
    value("close[0]", "close");
    value("close[1024]", "close[1024]");
    value("close[1][2]", "close[1][2]");
    value("let n = 2; macd().hist[n]", "macd(close, 12, 26, 9).hist[2]");
}

#[test]
fn words_and_signs_of_logic_are_one() {
    let expected = "((!(close > open) && (close > 1)) || (close < 2))";
    check("!(close > open) && close > 1 || close < 2", expected);
    check("not (close > open) and close > 1 or close < 2", expected);
}

#[test]
fn both_sides_of_logic_are_traced() {
    check("false && close > 1 || close > 2", "(close > 2)");
    check("let a = close > 1; let b = a && open > 1; b || a", "(((close > 1) && (open > 1)) || (close > 1))");
}

#[test]
fn constants_are_ieee_numbers() {
    value("1 / 2", "0.5");
    value("7 / 2 * 2", "7");
    value("0.1 + 0.2", "0.30000000000000004");
    value("0.1 + 0.2 == 0.3", "false");
    value("9007199254740993", "9007199254740992");
    value("1 / 0", "(1 / 0)");
    value("-1 / 0", "(-1 / 0)");
    value("0 / 0", "na");
    value("1e308 * 10 > 1e308", "true");
    value("round(-0.5) + sign(-3) + floor(1.9) + ceil(1.1) + sqrt(4) + exp(0) + log(1) + log10(100)", "6");
    value("5 % -3 + pow(2, 10)", "1026");
    value("3 == 3.0", "true");
}

#[test]
fn what_is_undefined_is_na_and_never_false() {
    value("na > 1", "(na > 1)");
    value("na(close)", "na(close)");
    value("nz(close[1])", "nz(close[1], 0)");
    value("nz(close[1], open)", "nz(close[1], open)");
    value("nz(close > open)", "nz((close > open), false)");
    value("na[3]", "na");
}

#[test]
fn select_chooses_and_constants_choose_at_once() {
    value("select(close > open, close, open)", "select((close > open), close, open)");
    value("select(true, close, open)", "close");
    value("select(1 > 2, \"up\", \"down\")", "\"down\"");
    value("select(close > open, \"up\", \"down\")", "select((close > open), \"up\", \"down\")");
}

#[test]
fn branches_and_loops_over_constants_unroll() {
    value("let fast = true; if fast { ema(9) } else { ema(21) }", "ema(close, 9)");
    value("let s = 0; for i in 0..3 { s += close[i]; } s / 3", "((((0 + close) + close[1]) + close[2]) / 3)");
    value("let s = 0; for i in 1..=2 { s += close[i]; } s", "((0 + close[1]) + close[2])");
    value("let s = 0; for n in [9, 21] { if n == 21 { break; } s += ema(n); } s", "(0 + ema(close, 9))");
    value("let s = 0; for n in [9, 21] { if n == 9 { continue; } s += ema(n); } s", "(0 + ema(close, 21))");
    value("let s = 0; for (n, i) in [5, 6] { s += n * i; } s", "6");
    value("[1, 2, 3][1] + [1, 2].len()", "4");
}

#[test]
fn functions_of_the_script_see_their_arguments_and_the_candles() {
    value("fn gap(n) { close - sma(n) } gap(3)", "(close - sma(close, 3))");
    value("fn pick(a, b) { if b > 1 { return a; } close } pick(open, 2)", "open");
    value("fn a(x) { x + 1 } fn b(x) { a(x) * 2 } b(close)", "((close + 1) * 2)");
}

#[test]
fn leading_series_may_be_left_out() {
    value("rsi(14)", "rsi(close, 14)");
    value("rsi()", "rsi(close, 14)");
    value("rsi(hl2)", "rsi(hl2, 14)");
    value("highest(20)", "highest(high, 20)");
    value("lowest(20)", "lowest(low, 20)");
    value("atr(14)", "atr(high, low, close, 14)");
    value("crossover(close, 30)", "crossover(close, 30)");
    value("valuewhen(close > open, close)", "valuewhen((close > open), close, 0)");
}

#[test]
fn aliases_and_prefixes_of_pine_are_known() {
    value("bb(20, 2).upper", "bbands(close, 20, 2).upper");
    value("ta.rsi(close, 14)", "rsi(close, 14)");
    value("math.max(math.abs(close), 1)", "max(abs(close), 1)");
    value("math.pi > 3", "true");
}

#[test]
fn records_have_fields() {
    value("macd(close, 12, 26, 9).signal", "macd(close, 12, 26, 9).signal");
    value(
        "let s = stoch(14, 3, 3); s.k - s.d",
        "(stoch(high, low, close, 14, 3, 3).k - stoch(high, low, close, 14, 3, 3).d)",
    );
}

#[test]
fn another_timeframe_computes_in_its_own_candles() {
    value("tf(\"1h\").close", "align(close@1h)");
    value("tf(\"1h\").close[2]", "align(close@1h[2])");
    value("ema(tf(\"1h\").close, 200)", "align(ema(close@1h, 200))");
    value("tf(\"1h\").rsi(14)", "align(rsi(close@1h, 14))");
    value("tf(\"1h\").atr(14)", "align(atr(high@1h, low@1h, close@1h, 14))");
    value("tf(\"1h\").closed", "completed(1h)");
    value("tf(\"1m\").close", "close");
    value("tf(\"1m\").closed", "true");
    value("let h = \"1h\"; tf(h).hl2", "align(hl2@1h)");
}

#[test]
fn mixed_timeframes_meet_at_the_traders_candles() {
    value("close > tf(\"1h\").close", "(close > align(close@1h))");
    value("tf(\"1h\").close > tf(\"4h\").close", "(align(close@1h) > align(close@4h))");
    value("sma(close - tf(\"1h\").close, 3)", "sma((close - align(close@1h)), 3)");
    value("crossover(tf(\"1h\").close, 2 * tf(\"1h\").open)", "align(crossover(close@1h, (2 * open@1h)))");
}

#[test]
fn another_symbol_is_a_clock_of_its_own() {
    value("symbol(\"btcusdt\").close", "align(close@BTCUSDT:1m)");
    value("symbol(\"BTCUSDT\").tf(\"1h\").rsi(14)", "align(rsi(close@BTCUSDT:1h, 14))");
    value("close / symbol(\"BTCUSDT\").close", "(close / align(close@BTCUSDT:1m))");
}

#[test]
fn equal_nodes_are_one_and_unused_ones_are_none() {
    let used = compiled(&request("let spare = ema(99); rsi(14) < 30 || rsi(close, 14) > 70")).program;
    // close, rsi, 30, <, 70, >, ||
    assert_eq!(used.nodes.len(), 7);
    let clocks = compiled(&request("let spare = tf(\"1h\").close; close > 1")).program.clocks;
    assert_eq!(clocks.len(), 1);
}

#[test]
fn clocks_that_are_left_are_counted_anew() {
    check(
        "let spare = tf(\"1h\").close; tf(\"4h\").closed && tf(\"4h\").close > 1",
        "(completed(4h) && align((close@4h > 1)))",
    );
}

#[test]
fn the_summary_counts_the_candles_each_timeframe_needs() {
    let compiled = compiled(&request("rsi(14) < 30 && close > tf(\"1h\").ema(200)"));
    let bars: Vec<_> = compiled.timeframes.iter().map(|t| (t.interval.as_str(), t.bars)).collect();
    assert_eq!(bars, [("1m", 15), ("1h", 200)]);
}

#[test]
fn what_is_printed_means_the_same() {
    for script in [
        "rsi(close, 14) < 30 && crossunder(close, bbands(close, 20, 2).lower)",
        "tf(\"1h\").close > ema(tf(\"1h\").close, 200) || tf(\"4h\").closed",
        "symbol(\"BTCUSDT\").tf(\"1h\").atr(14) > symbol(\"BTCUSDT\").close[3] / 100",
        "(close > open)[1] != (hl2 - ohlc4 > -0.5 * (high - low))",
        "barssince(crossover(rsi(close, 14), 30)) <= 3 and not (na(obv()[2]) or close == 1e-9)",
        "select(hour >= 8, \"day \\\"a\\\"\", \"night\\\\\") == \"night\\\\\" && -close ** 2 < -(open - close) % 3",
        "nz(1 / (close - open), -1) > min(stochrsi().k, macd().hist, vwap()) - (volume - (trades - sell_volume))",
        "heikin_ashi().close > ha_open && max(0, log(quote_volume), 7) > tf(\"1d\").adx()",
    ] {
        let program = compiled(&request(script)).program;
        let steps = vyx_engine::print::steps(&program.validate().expect("a program"), usize::MAX);
        let printed = &steps.iter().find(|step| step.node == program.fire).expect("the result is a step").expression;
        assert_eq!(shape(&compiled(&request(printed)).program), shape(&program), "{script}\n{printed}");
    }
}
