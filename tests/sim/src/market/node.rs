//! What happened in a span of time, and how a span divides into smaller ones.
//!
//! The market is built from the top: a day is given, its hours are a division of it, their minutes a division
//! of them, down to single trades. A division loses nothing: counts and volumes add up to the whole, the first
//! open, the last close, the highest high and the lowest low are those of the whole. So a kline of any length
//! costs a few divisions, and klines of different lengths agree to the last digit.
//!
//! Prices are in ticks, volumes in lots, quote volumes in 1e-8 of the quote asset.

use crate::noise::Noise;

/// A span of time. With no trades it is flat at `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Node {
    /// Number of trades, and the id of the first one.
    pub trades: u64,
    pub first_id: u64,
    /// The last price before this span.
    pub before: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    /// Volume bought and sold by takers.
    pub buy: u64,
    pub sell: u64,
    pub buy_quote: u128,
    pub sell_quote: u128,
}

impl Node {
    /// Nothing happened; the last price stays.
    pub fn empty(before: i64, first_id: u64) -> Node {
        Node { before, first_id, open: before, high: before, low: before, close: before, ..Node::default() }
    }

    /// Appends the span that follows this one.
    pub fn append(&mut self, next: &Node) {
        if next.trades == 0 {
            return;
        }
        if self.trades == 0 {
            *self = Node { before: self.before, ..*next };
            return;
        }
        self.trades += next.trades;
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.buy += next.buy;
        self.sell += next.sell;
        self.buy_quote += next.buy_quote;
        self.sell_quote += next.sell_quote;
    }

    /// Divides the span into `parts` equal spans of time.
    pub fn divide(&self, parts: usize, noise: &mut Noise) -> Vec<Node> {
        // Activity is uneven: calm parts, busy parts, and now and then a burst.
        let weights: Vec<f64> = (0..parts)
            .map(|_| {
                let calm = noise.unit();
                0.15 + calm * calm + if noise.unit() > 0.97 { 4.0 } else { 0.0 }
            })
            .collect();
        let counts: Vec<u64> = share(u128::from(self.trades), &weights).into_iter().map(|count| count as u64).collect();
        self.spread(&counts, noise)
    }

    /// Divides the span into its single trades.
    pub fn divide_into_trades(&self, noise: &mut Noise) -> Vec<Node> {
        self.spread(&vec![1; self.trades as usize], noise)
    }

    /// Divides the span into parts with the given numbers of trades, which add up to its own.
    fn spread(&self, counts: &[u64], noise: &mut Noise) -> Vec<Node> {
        let mut parts = self.prices(counts, noise);
        let mut weigh = || -> Vec<f64> { counts.iter().map(|&count| count as f64 * (0.2 + noise.unit())).collect() };
        let (buy_weights, sell_weights) = (weigh(), weigh());
        let buys = share(u128::from(self.buy), &buy_weights);
        // Every trade moves at least one lot, which the sellers' side provides.
        let sells = share(u128::from(self.sell - self.trades), &sell_weights);
        for (part, (buy, sell)) in parts.iter_mut().zip(buys.iter().zip(&sells)) {
            (part.buy, part.sell) = (*buy as u64, *sell as u64 + part.trades);
        }
        let worth = |lots: u64, part: &Node| lots as f64 * (part.open + part.high + part.low + part.close) as f64;
        let buy_worth: Vec<f64> = parts.iter().map(|part| worth(part.buy, part)).collect();
        let sell_worth: Vec<f64> = parts.iter().map(|part| worth(part.sell, part)).collect();
        let buys = share(self.buy_quote, &buy_worth);
        let sells = share(self.sell_quote, &sell_worth);
        for (part, (buy, sell)) in parts.iter_mut().zip(buys.iter().zip(&sells)) {
            (part.buy_quote, part.sell_quote) = (*buy, *sell);
        }
        parts
    }

    /// The parts with trades, ids and prices; volumes are still zero.
    ///
    /// The trades of the span are numbered; the first has the open, the last the close, and if high and low are
    /// neither, a trade in between is pinned to each. A part takes the pins among its trades and fills the rest
    /// from a random bridge. A part gets a high or low of its own only if it has a trade left to carry it, so
    /// that one trade is always one price.
    fn prices(&self, counts: &[u64], noise: &mut Noise) -> Vec<Node> {
        let levels = self.bridge(counts.len(), noise);
        let starts: Vec<u64> = counts
            .iter()
            .scan(0, |next, &count| {
                let start = *next;
                *next += count;
                Some(start)
            })
            .collect();
        let ends_high = self.open.max(self.close);
        let ends_low = self.open.min(self.close);
        let mut pin = |wanted: bool, taken: Option<u64>, better: fn(i64, i64) -> bool| {
            wanted.then(|| self.pin(&levels, &starts, counts, taken, better, noise)).flatten()
        };
        let high_at = pin(self.high > ends_high, None, |a, b| a > b);
        let low_at = pin(self.low < ends_low, high_at, |a, b| a < b);

        let reach = (self.high - self.low) as f64 / (counts.len() as f64).sqrt() * 0.6;
        let mut before = self.before;
        let mut parts = Vec::with_capacity(counts.len());
        for (index, (&start, &count)) in starts.iter().zip(counts).enumerate() {
            let first_id = self.first_id + start;
            if count == 0 {
                parts.push(Node::empty(before, first_id));
                continue;
            }
            let last = start + count - 1;
            let price = |trade: u64, otherwise: i64| match trade {
                0 => self.open,
                _ if trade + 1 == self.trades => self.close,
                _ if Some(trade) == high_at => self.high,
                _ if Some(trade) == low_at => self.low,
                _ => otherwise.clamp(self.low, self.high),
            };
            let jitter = noise.below(3) as i64 - 1;
            let open = price(start, levels[index] + jitter);
            let close = if count == 1 { open } else { price(last, levels[index + 1]) };
            let inside = |at: Option<u64>| at.is_some_and(|trade| start < trade && trade < last);
            let mut spare = count.saturating_sub(2);
            let (mut high, mut low) = (open.max(close), open.min(close));
            if inside(high_at) {
                (high, spare) = (self.high, spare - 1);
            }
            if inside(low_at) {
                (low, spare) = (self.low, spare - 1);
            }
            let mut extend = |room: i64| {
                let wish = noise.unit();
                let by = ((reach * wish * wish) as i64).min(room);
                if spare == 0 || by <= 0 {
                    return 0;
                }
                spare -= 1;
                by
            };
            high += extend(self.high - high);
            low -= extend(low - self.low);
            parts.push(Node { trades: count, first_id, before, open, high, low, close, ..Node::default() });
            before = close;
        }
        parts
    }

    /// Prices at the `parts + 1` boundaries: a random walk from open to close, reflected at high and low.
    fn bridge(&self, parts: usize, noise: &mut Noise) -> Vec<i64> {
        let steps = parts as f64;
        // The range of a random walk of n steps of size s is about 1.6 s √n.
        let size = (self.high - self.low) as f64 / (1.6 * steps.sqrt());
        // 1.73: the standard deviation of a uniform number from -1 to 1 is 1/√3.
        let mut walk = vec![0.0; parts + 1];
        for step in 0..parts {
            walk[step + 1] = walk[step] + noise.signed() * 1.73 * size;
        }
        let (open, drift, astray) = (self.open as f64, (self.close - self.open) as f64, walk[parts]);
        let (low, high) = (self.low as f64, self.high as f64);
        (0..=parts)
            .map(|step| {
                let done = step as f64 / steps;
                let free = open + drift * done + walk[step] - astray * done;
                let folded = if free > high { 2.0 * high - free } else { free };
                let folded = if folded < low { 2.0 * low - folded } else { folded };
                folded.clamp(low, high) as i64
            })
            .collect()
    }

    /// The number of an inner trade to carry an extreme, in the part whose boundaries come nearest to it.
    fn pin(
        &self,
        levels: &[i64],
        starts: &[u64],
        counts: &[u64],
        taken: Option<u64>,
        better: fn(i64, i64) -> bool,
        noise: &mut Noise,
    ) -> Option<u64> {
        let mut best: Option<(i64, u64, u64)> = None;
        for (index, (&start, &count)) in starts.iter().zip(counts).enumerate() {
            let from = start.max(1);
            let to = (start + count).min(self.trades.saturating_sub(1));
            let blocked = taken.is_some_and(|trade| from <= trade && trade < to);
            let free = to.saturating_sub(from).saturating_sub(u64::from(blocked));
            if free == 0 {
                continue;
            }
            let (left, right) = (levels[index], levels[index + 1]);
            let level = if better(left, right) { left } else { right };
            if best.is_none_or(|(so_far, _, _)| better(level, so_far)) {
                best = Some((level, from, free));
            }
        }
        best.map(|(_, from, free)| {
            let trade = from + noise.below(free);
            // Stepping over the taken one keeps the choice within the `free` remaining numbers.
            if taken.is_some_and(|taken| from <= taken && trade >= taken) { trade + 1 } else { trade }
        })
    }
}

/// Divides `total` in proportion to `weights`, exactly: the shares are differences of rounded running sums.
fn share(total: u128, weights: &[f64]) -> Vec<u128> {
    let whole: f64 = weights.iter().sum();
    let (mut sum, mut given) = (0.0, 0);
    weights
        .iter()
        .map(|weight| {
            sum += weight;
            // At the end the division would be exact but the float's 53 bits would not be.
            let through =
                if sum >= whole { total } else { ((total as f64 * (sum / whole)) as u128).clamp(given, total) };
            let part = through - given;
            given = through;
            part
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shape of span that can arise: how many trades there are decides how many prices it may have.
    fn spans() -> impl Iterator<Item = Node> {
        (0..400u64).map(|case| {
            let mut noise = Noise::at(7, 1, case as i64);
            let trades = if case % 2 == 0 { case % 9 } else { case * 13 };
            let mut price = || 1_000 + noise.below(50) as i64;
            let (open, close) = (price(), if trades == 1 { 0 } else { price() });
            let close = if trades == 1 { open } else { close };
            let (mut high, mut low) = (open.max(close), open.min(close));
            if trades >= 3 {
                high += 5;
            }
            if trades >= 4 {
                low -= 7;
            }
            let sell = trades * 3;
            if trades == 0 {
                return Node::empty(open, 9);
            }
            Node {
                trades,
                first_id: 9,
                before: price(),
                open,
                high,
                low,
                close,
                buy: trades * 2 + 1,
                sell,
                buy_quote: u128::from(trades) * 1_000_003,
                sell_quote: u128::from(sell) * 999_999_999_999,
            }
        })
    }

    #[test]
    fn a_division_adds_up_to_the_whole() {
        for (case, span) in spans().enumerate() {
            for parts in [1, 2, 24, 60] {
                let divided = span.divide(parts, &mut Noise::at(3, parts as u64, case as i64));
                assert_eq!(divided.len(), parts);
                let mut sum = Node::empty(span.before, span.first_id);
                divided.iter().for_each(|part| sum.append(part));
                assert_eq!(sum, span, "case {case}, {parts} parts");
            }
        }
    }

    #[test]
    fn a_single_trade_has_one_price_and_at_least_one_lot() {
        for (case, span) in spans().enumerate() {
            for part in span.divide(24, &mut Noise::at(3, 0, case as i64)) {
                for trade in part.divide_into_trades(&mut Noise::at(4, 0, case as i64)) {
                    assert_eq!((trade.open, trade.open, trade.open), (trade.high, trade.low, trade.close));
                    assert!(trade.buy + trade.sell >= 1);
                }
            }
        }
    }

    #[test]
    fn shares_of_a_number_too_large_for_a_float_still_add_up() {
        let total = (1u128 << 90) + 12_345;
        assert_eq!(share(total, &[1.0, 2.0, 0.5]).iter().sum::<u128>(), total);
        assert_eq!(share(5, &[0.0, 1.0, 0.0]), [0, 5, 0]);
    }
}
