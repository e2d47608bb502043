//! Where price and an oscillator disagree.

use super::pivots::{Pivots, side};
use super::{candles, whole};
use crate::catalog::{Function, Indicator, Input};
use crate::eval::bank::bank;
use crate::program::{Field, Kind};
use std::collections::VecDeque;

pub(crate) const DIVERGENCE: Function = Function {
    name: "divergence",
    inputs: &[Input { name: "oscillator", kind: Kind::Number, default: None }],
    candle: &[Field::High, Field::Low],
    params: &[side("left"), side("right"), candles("max_bars", 0.0, Some(60.0)), candles("min_bars", 0.0, Some(5.0))],
    outputs: &["bull", "bear", "hidden_bull", "hidden_bear"],
    kind: Kind::Bool,
    warm_up: |p| whole(p, 0) + whole(p, 1),
    doc: "Compares the newest pivot of the oscillator (as pivot_high and pivot_low find it) with the one before it, and the candle's low or high there. bull: a lower low of price, a higher low of the oscillator; hidden_bull: higher, lower; bear: a higher high of price, a lower high of the oscillator; hidden_bear: lower, higher. Only if from `min_bars` to `max_bars` candles lie between the two (TradingView's RSI divergence). True on one candle, `right` candles after the pivot; of equal values nothing is said.",
    open: |p| {
        let (left, right, most, least) = (whole(p, 0), whole(p, 1), whole(p, 2), whole(p, 3));
        bank(move || Divergence {
            between: least..=most,
            taken: 0,
            warm_up: left + right,
            lows: Side::new(left, right, -1.0),
            highs: Side::new(left, right, 1.0),
        })
    },
    ..Function::PLAIN
};

struct Divergence {
    /// How many candles may lie between two pivots.
    between: std::ops::RangeInclusive<usize>,
    /// Candles before this one.
    taken: usize,
    warm_up: usize,
    lows: Side,
    highs: Side,
}

impl Indicator for Divergence {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [oscillator, high, low] = *inputs else { unreachable!("divergence declares three inputs") };
        let [bull, hidden_bull] = self.lows.push(self.taken, &self.between, oscillator, low);
        let [bear, hidden_bear] = self.highs.push(self.taken, &self.between, oscillator, high);
        if self.taken < self.warm_up {
            outputs.fill(f64::NAN);
        } else {
            outputs.copy_from_slice(&[bull, bear, hidden_bull, hidden_bear].map(f64::from));
        }
        self.taken += 1;
    }
}

/// The lows, or the highs.
struct Side {
    sign: f64,
    right: usize,
    pivots: Pivots,
    /// Of the last `right` candles and this one, oldest first.
    prices: VecDeque<f64>,
    /// The newest pivot: when it was found, the oscillator, the price.
    last: Option<(usize, f64, f64)>,
}

impl Side {
    /// `sign` is −1 for lows, as [`Pivots`] has it.
    fn new(left: usize, right: usize, sign: f64) -> Side {
        let prices = VecDeque::with_capacity(right + 2);
        Side { sign, right, pivots: Pivots::new(left, right, sign), prices, last: None }
    }

    /// Whether a pivot was found that says regular, and hidden divergence.
    fn push(
        &mut self,
        now: usize,
        between: &std::ops::RangeInclusive<usize>,
        oscillator: f64,
        price: f64,
    ) -> [bool; 2] {
        self.prices.push_back(price);
        if self.prices.len() > self.right + 1 {
            self.prices.pop_front();
        }
        let Some(value) = self.pivots.push(oscillator) else { return [false; 2] };
        let at_pivot = self.prices[0];
        let Some((found, value_before, price_before)) = self.last.replace((now, value, at_pivot)) else {
            return [false; 2];
        };
        if !between.contains(&(now - found - 1)) {
            return [false; 2];
        }
        let further = |a: f64, b: f64| a * self.sign > b * self.sign;
        let regular = further(at_pivot, price_before) && further(value_before, value);
        let hidden = further(price_before, at_pivot) && further(value, value_before);
        [regular, hidden]
    }
}
