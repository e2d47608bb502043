//! Lines that follow the price and turn with it.

use super::super::{Data, markets, stream};
use super::{check, highest, lowest, smoothed, some, true_range, window};

/// TradingView's published source of ta.supertrend, but for the first trend, which counts as up.
fn supertrend(high: &[f64], low: &[f64], close: &[f64], factor: f64, n: usize) -> [Vec<f64>; 2] {
    let atr = smoothed(&true_range(high, low, close), n, 1.0 / n as f64);
    let (mut line, mut direction) = (vec![f64::NAN; close.len()], vec![f64::NAN; close.len()]);
    let (mut upper, mut lower) = (f64::NAN, f64::NAN);
    for i in n..close.len() {
        let middle = (high[i] + low[i]) / 2.0;
        let (new_upper, new_lower) = (middle + factor * atr[i], middle - factor * atr[i]);
        if i == n {
            (upper, lower, direction[i]) = (new_upper, new_lower, -1.0);
        } else {
            let held = |keep: bool, old: f64, new: f64| if keep { old } else { new };
            lower = held(!(new_lower > lower || close[i - 1] < lower), lower, new_lower);
            upper = held(!(new_upper < upper || close[i - 1] > upper), upper, new_upper);
            direction[i] = match direction[i - 1] {
                1.0 if close[i] > upper => -1.0,
                -1.0 if close[i] < lower => 1.0,
                same => same,
            };
        }
        line[i] = if direction[i] < 0.0 { lower } else { upper };
    }
    [line, direction]
}

#[test]
fn supertrend_turns_where_the_close_breaks_its_line() {
    for Data { high, low, close, .. } in &markets() {
        for (factor, n) in [(3.0, 10), (1.0, 2), (0.5, 21)] {
            let [line, direction] = supertrend(high, low, close, factor, n);
            let ours = stream("supertrend", &[factor, n as f64], &[high, low, close]);
            check("supertrend", &ours[0], 1e-9, |i| some(line[i]));
            check("supertrend.direction", &ours[1], 0.0, |i| some(direction[i]));
            assert!(direction.contains(&1.0) && direction.contains(&-1.0));
        }
    }
}

/// Wilder, New Concepts in Technical Trading Systems, 1978; the first direction is that of the first two candles.
fn psar(high: &[f64], low: &[f64], start: f64, step: f64, max: f64) -> Vec<f64> {
    let mut line = vec![f64::NAN; high.len()];
    let (rise, fall) = (high[1] - high[0], low[0] - low[1]);
    let mut up = !(fall > 0.0 && fall > rise);
    let mut sar = if up { low[0] } else { high[0] };
    let (mut extreme, mut pace) = (if up { high[1] } else { low[1] }, start.min(max));
    for i in 1..high.len() {
        // The stop never enters the range of the two candles before; TA-Lib leaves out the very first.
        let before = if i == 2 { 1..2 } else { i.saturating_sub(2)..i };
        let within = |sar: f64, up: bool| {
            if up { sar.min(lowest(&low[before.clone()])) } else { sar.max(highest(&high[before.clone()])) }
        };
        if i > 1 {
            sar = within(sar + pace * (extreme - sar), up);
        }
        let broken = if up { low[i] <= sar } else { high[i] >= sar };
        if broken {
            up = !up;
            let both = i - 1..i + 1;
            sar = if up { extreme.min(lowest(&low[both])) } else { extreme.max(highest(&high[both])) };
            (extreme, pace) = (if up { high[i] } else { low[i] }, start.min(max));
        } else {
            let further = if up { high[i] > extreme } else { low[i] < extreme };
            if further {
                (extreme, pace) = (if up { high[i] } else { low[i] }, (pace + step).min(max));
            }
        }
        line[i] = sar;
    }
    line
}

#[test]
fn the_parabolic_stop_turns_where_it_is_touched() {
    for Data { high, low, .. } in &markets() {
        for [start, step, max] in [[0.02, 0.02, 0.2], [0.01, 0.03, 0.1], [0.0, 0.0, 0.0]] {
            let expected = psar(high, low, start, step, max);
            check("psar", &stream("psar", &[start, step, max], &[high, low])[0], 1e-9, |i| some(expected[i]));
        }
    }
}

#[test]
fn ichimokus_spans_are_those_that_are_plotted_at_the_candle() {
    for Data { high, low, close, .. } in &markets() {
        for [c, b, s, shift] in [[9, 26, 52, 26], [2, 3, 2, 1], [30, 8, 5, 60]] {
            let middle = |i: usize, n: usize| Some((highest(window(high, i, n)?) + lowest(window(low, i, n)?)) / 2.0);
            let ours = stream("ichimoku", &[c, b, s, shift].map(|n| n as f64), &[high, low, close]);
            let longest = c.max(b).max(s);
            let ready = |i: usize| (i + 1 >= longest + shift - 1).then_some(i);
            let ago = |i: usize| ready(i).map(|i| i + 1 - shift);
            check("conversion", &ours[0], 1e-12, |i| middle(ready(i)?, c));
            check("base", &ours[1], 1e-12, |i| middle(ready(i)?, b));
            check("span_a", &ours[2], 1e-12, |i| Some((middle(ago(i)?, c)? + middle(ago(i)?, b)?) / 2.0));
            check("span_b", &ours[3], 1e-12, |i| middle(ago(i)?, s));
            check("lagging", &ours[4], 0.0, |i| Some(close[ready(i)?]));
        }
    }
}
