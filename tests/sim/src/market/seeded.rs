//! A market by seed: days are drawn from noise, everything smaller is a division of them.
//!
//! A day's open and close are points of a bounded noise over the calendar; high, low, trades and volumes are drawn
//! for the day. Trade ids are the integral of another noise, so that they count on without a gap and without
//! anybody adding up years.

use super::node::Node;
use crate::interval::{DAY, HOUR, MINUTE, SECOND};
use crate::noise::{self, Noise};
use crate::symbols::{Symbol, UNIT};
use std::sync::Arc;

/// What a number is drawn for. Each purpose has a sequence of its own.
mod purpose {
    pub const PRICE: u64 = 1;
    pub const TRADES: u64 = 2;
    pub const DAY: u64 = 3;
    /// Plus the level.
    pub const DIVISION: u64 = 16;
}

/// Lengths of the levels of division: a day's hours, an hour's minutes, a minute's seconds; a second has trades.
const LENGTHS: [i64; 4] = [DAY, HOUR, MINUTE, SECOND];

/// Divisions remembered for each level: the ends of the current klines and of the 24 h window are in a few.
const REMEMBERED: usize = 6;

/// One symbol's market.
pub struct Seeded {
    symbol: Symbol,
    key: u64,
}

/// What a walk over one symbol's market remembers: the latest divisions. Without it each question would divide
/// anew; the answers are the same.
#[derive(Default)]
pub struct Memory {
    levels: [Vec<(i64, Arc<Division>)>; 4],
    oldest: [usize; 4],
}

struct Division {
    parts: Vec<Node>,
    /// When each part begins: on the grid of the next level, or the times of single trades.
    times: Vec<i64>,
}

impl Seeded {
    pub fn new(seed: u64, symbol: Symbol) -> Seeded {
        let key = noise::mix(seed ^ noise::name(&symbol.name));
        Seeded { symbol, key }
    }

    /// The part of the time from `from` to `to` (excluded) in which the symbol was listed.
    fn listed_part(&self, from: i64, to: i64) -> Option<(i64, i64)> {
        let (from, to) = (from.max(self.symbol.listed), to.min(self.symbol.delisted.unwrap_or(i64::MAX)));
        (from < to).then_some((from, to))
    }

    /// The trades from `from` to `to` (excluded), as one span; `None` where the symbol was not listed.
    pub fn span(&self, from: i64, to: i64, memory: &mut Memory) -> Option<Node> {
        let (from, to) = self.listed_part(from, to)?;
        let mut start = from - from.rem_euclid(DAY);
        let mut day = self.day(start);
        let mut sum = Node::empty(day.before, day.first_id);
        loop {
            self.add(&mut sum, 0, start, &day, (from, to), memory);
            start += DAY;
            if start >= to {
                return Some(sum);
            }
            day = self.day(start);
        }
    }

    /// Adds the trades of `node`, which starts at `start` and is of this level, that lie in the window.
    fn add(&self, sum: &mut Node, level: usize, start: i64, node: &Node, window: (i64, i64), memory: &mut Memory) {
        let (from, to) = window;
        let end = start + LENGTHS[level];
        if from <= start && end <= to {
            return sum.append(node);
        }
        if node.trades == 0 {
            return;
        }
        let division = self.divided(level, start, node, memory);
        for (part, &at) in division.parts.iter().zip(&division.times) {
            if at >= to {
                break;
            }
            let whole_length = LENGTHS.get(level + 1).copied().unwrap_or(1);
            if at + whole_length <= from {
                // Before the window: only the last price counts, for the case that nothing follows.
                *sum = Node::empty(part.close, part.first_id + part.trades);
            } else if level + 1 == LENGTHS.len() {
                sum.append(part);
            } else {
                self.add(sum, level + 1, at, part, window, memory);
            }
        }
    }

    fn divided(&self, level: usize, start: i64, node: &Node, memory: &mut Memory) -> Arc<Division> {
        let known = &mut memory.levels[level];
        if let Some((_, division)) = known.iter().find(|(at, _)| *at == start) {
            return division.clone();
        }
        let mut noise = Noise::at(self.key, purpose::DIVISION + level as u64, start);
        let division = Arc::new(match LENGTHS.get(level + 1) {
            Some(&length) => {
                let count = LENGTHS[level] / length;
                let parts = node.divide(count as usize, &mut noise);
                Division { parts, times: (0..count).map(|index| start + index * length).collect() }
            }
            None => {
                let parts = node.divide_into_trades(&mut noise);
                let spacing = SECOND as f64 / node.trades as f64;
                let times =
                    (0..node.trades).map(|index| start + ((index as f64 + noise.unit()) * spacing) as i64).collect();
                Division { parts, times }
            }
        });
        if known.len() < REMEMBERED {
            known.push((start, division.clone()));
        } else {
            let place = memory.oldest[level];
            known[place] = (start, division.clone());
            memory.oldest[level] = (place + 1) % REMEMBERED;
        }
        division
    }

    /// The day that begins at `start`.
    fn day(&self, start: i64) -> Node {
        let symbol = &self.symbol;
        let day = start / DAY;
        let mut noise = Noise::at(self.key, purpose::DAY, start);
        let (before, close) = (self.price(day), self.price(day + 1));
        let open = (before + noise.below(3) as i64 - 1).max(1);
        let reach = |noise: &mut Noise| symbol.volatility * (0.15 + 0.6 * noise.unit());
        let high = open.max(close) + 1 + (open.max(close) as f64 * reach(&mut noise)) as i64;
        let low = open.min(close) - 1 - (open.min(close) as f64 * reach(&mut noise)) as i64;
        let trades = (self.trades_before(day + 1) - self.trades_before(day)) as u64;

        let mean = (open + close) as f64 / 2.0 * symbol.tick as f64;
        let quote = symbol.quote_volume_a_day * UNIT as f64 * (0.5 + noise.unit());
        let bought = 0.42 + 0.16 * noise.unit();
        let lots = |part: f64| (quote * part / mean * UNIT as f64 / symbol.step as f64) as u64;
        let (buy, sell) = (lots(bought) + 1, lots(1.0 - bought) + trades);
        let worth = |lots: u64| (lots as f64 * symbol.step as f64 * (mean / UNIT as f64)) as u128;
        Node {
            trades,
            first_id: (self.trades_before(day) - self.trades_before(symbol.listed / DAY)) as u64,
            before,
            open,
            high,
            low: low.max(1),
            close,
            buy,
            sell,
            buy_quote: worth(buy),
            sell_quote: worth(sell),
        }
    }

    /// The price at midnight before this day, in ticks, at least 4: a micro-price keeps room to move.
    fn price(&self, day: i64) -> i64 {
        let symbol = &self.symbol;
        let wander = noise::octaves(noise::mix(self.key ^ purpose::PRICE), day) * symbol.volatility * 0.5;
        let ticks = symbol.price as f64 / symbol.tick as f64 * noise::exp(wander.clamp(-1.6, 1.6));
        (ticks as i64).max(4)
    }

    /// Trades from some beginning to midnight before this day: a steady stream with a bounded noise of its own, at
    /// most 0.3 of a day, so that every day has between 0.4 and 1.6 times the typical number.
    fn trades_before(&self, day: i64) -> i64 {
        let typical = self.symbol.trades_a_day as f64;
        let ahead = Noise::at(self.key, purpose::TRADES, day).signed() * 0.3 * typical;
        day * self.symbol.trades_a_day as i64 + ahead as i64
    }
}
