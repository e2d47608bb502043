//! Lines that follow the price and turn with it: stops, and Ichimoku's cloud.

use super::talib::{CORE, lookback, stream, streams};
use super::{HIGH_LOW_CLOSE, candles, period, real, whole};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::Field;
use std::collections::VecDeque;

pub(crate) const PSAR: Function = Function {
    name: "psar",
    aliases: &["sar"],
    candle: &[Field::High, Field::Low],
    params: &[real("start", 0.0, 1.0, 0.02), real("increment", 0.0, 1.0, 0.02), real("max", 0.0, 1.0, 0.2)],
    outputs: &["psar"],
    warm_up: |p| lookback(CORE.sarext_lookback(0.0, 0.0, p[0], p[1], p[2], p[0], p[1], p[2])),
    doc: "Wilder's parabolic stop and reverse: below the price while the trend is up, above it while it is down; a `start` above `max` counts as `max` (TA-Lib SAREXT; SAR where start = increment).",
    open: |p| {
        let (start, step, max) = (p[0], p[1], p[2]);
        // SAREXT says by the sign that the trend is down.
        streams(
            lookback(CORE.sarext_lookback(0.0, 0.0, start, step, max, start, step, max)),
            move |c, [high, low]| {
                c.sarext_open(high, low, 0.0, 0.0, start, step, max, start, step, max).map(|(h, v)| (h, [v.abs()]))
            },
            |h, [high, low]| h.update(high, low).map(|v| [v.abs()]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const SUPERTREND: Function = Function {
    name: "supertrend",
    candle: HIGH_LOW_CLOSE,
    params: &[real("factor", 0.0, 100.0, 3.0), candles("length", 2.0, Some(10.0))],
    outputs: &["value", "direction"],
    warm_up: |p| lookback(CORE.supertrend_lookback(period(p, 1), p[0])),
    doc: "Supertrend: (high + low) / 2 ∓ factor · atr(length), held while the close does not break it; direction as Pine has it, −1 while the trend is up and the line below, 1 while it is down. The first candle's trend counts as up (TA-Lib SUPERTREND, which has the direction the other way round).",
    open: |p| {
        let (n, factor) = (period(p, 1), p[0]);
        streams(
            lookback(CORE.supertrend_lookback(n, factor)),
            move |c, [high, low, close]| {
                c.supertrend_open(high, low, close, n, factor).map(|(h, (v, up))| (h, [v, f64::from(-up)]))
            },
            |h, [high, low, close]| h.update(high, low, close).map(|(v, up)| [v, f64::from(-up)]),
        )
    },
    ..Function::PLAIN
};

pub(crate) const ICHIMOKU: Function = Function {
    name: "ichimoku",
    candle: HIGH_LOW_CLOSE,
    params: &[
        candles("conversion", 2.0, Some(9.0)),
        candles("base", 2.0, Some(26.0)),
        candles("span", 2.0, Some(52.0)),
        candles("displacement", 1.0, Some(26.0)),
    ],
    outputs: &["conversion", "base", "span_a", "span_b", "lagging"],
    warm_up: |p| ichimoku_lookback(p) + whole(p, 3) - 1,
    doc: "Ichimoku: middle of the range of `conversion` and of `base` candles; span_a their mean and span_b the middle of `span` candles, both as they are plotted at this candle, so computed `displacement` − 1 candles ago; lagging is the close, plotted as many candles back: compare it with close[25]. All from the first candle that has spans (TradingView's Ichimoku Cloud).",
    open: |p| {
        let (conversion, base, span) = (period(p, 0), period(p, 1), period(p, 2));
        let (lookback, behind) = (ichimoku_lookback(p), whole(p, 3) - 1);
        bank(move || Ichimoku {
            lines: stream(
                lookback,
                move |c, [high, low]| {
                    c.ichimoku_open(high, low, conversion, base, span).map(|(h, (c, b, x, y))| (h, [c, b, x, y]))
                },
                |h, [high, low]| h.update(high, low).map(|(c, b, x, y)| [c, b, x, y]),
            ),
            behind,
            spans: VecDeque::new(),
        })
    },
    ..Function::PLAIN
};

fn ichimoku_lookback(p: &[f64]) -> usize {
    lookback(CORE.ichimoku_lookback(period(p, 0), period(p, 1), period(p, 2)))
}

struct Ichimoku<Lines> {
    lines: Lines,
    /// How many candles later the spans are plotted.
    behind: usize,
    /// Those of this candle and of up to `behind` before it, oldest first.
    spans: VecDeque<[f64; 2]>,
}

impl<Lines: Indicator> Indicator for Ichimoku<Lines> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let mut lines = [f64::NAN; 4];
        self.lines.update(&inputs[..2], &mut lines);
        let [conversion, base, span_a, span_b] = lines;
        if !conversion.is_nan() {
            self.spans.push_back([span_a, span_b]);
        }
        if self.spans.len() > self.behind
            && let Some([span_a, span_b]) = self.spans.pop_front()
        {
            outputs.copy_from_slice(&[conversion, base, span_a, span_b, inputs[2]]);
        } else {
            outputs.fill(f64::NAN);
        }
    }
}
