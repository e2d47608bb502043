//! A market in memory, with holes, that can be cut at any moment.

use crate::market::{Candles, Held, Market};
use std::collections::{BTreeMap, HashMap};
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol};

#[derive(Clone, Default)]
pub struct Memory {
    series: HashMap<(Symbol, Interval), One>,
    /// Nothing that closes later is seen.
    pub now: Option<Millis>,
}

#[derive(Clone, Default)]
struct One {
    klines: BTreeMap<i64, Kline>,
    from: i64,
    through: i64,
    first_ever: Option<i64>,
    generation: u64,
}

/// A generator of numbers that only has to be the same each time (SplitMix64).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

impl Memory {
    /// A random walk over ordinals `from..=through`; one candle in `hole` is absent, stretches are flat or without volume.
    pub fn walk(&mut self, name: &str, interval: Interval, from: i64, through: i64, hole: usize, seed: u64) {
        let mut dice = Dice(seed ^ symbol(name).stable_hash() ^ interval as u64);
        let mut close = 1.0 + dice.unit() * 100.0;
        let mut klines = BTreeMap::new();
        for ordinal in from..=through {
            let quiet = (ordinal / 40) % 5 == 0;
            let open = close;
            close = if quiet { open } else { open * (1.0 + (dice.unit() - 0.5) * 0.02) };
            let high = if quiet { open } else { open.max(close) * (1.0 + dice.unit() * 0.005) };
            let low = if quiet { open } else { open.min(close) * (1.0 - dice.unit() * 0.005) };
            let volume = if quiet { 0.0 } else { (dice.unit() * 1000.0).round() / 8.0 };
            if hole > 0 && dice.one_in(hole) {
                continue;
            }
            let kline = Kline {
                open_time: interval.open_time(ordinal),
                open,
                high,
                low,
                close,
                volume,
                quote_volume: volume * close,
                trades: (volume as u64) / 2,
                taker_buy_volume: volume * 0.25,
                taker_buy_quote_volume: volume * close * 0.25,
                closed: true,
                revision: 0,
                provenance: Provenance::Stream,
            };
            klines.insert(ordinal, kline);
        }
        let one = One { klines, from, through, first_ever: None, generation: 0 };
        self.series.insert((symbol(name), interval), one);
    }

    pub fn set_first_ever(&mut self, name: &str, interval: Interval) {
        let Some(one) = self.series.get_mut(&(symbol(name), interval)) else { return };
        one.generation += 1;
        one.first_ever = one.klines.keys().next().copied();
    }

    /// What is held begins at `from` from now on.
    pub fn drop_before(&mut self, name: &str, interval: Interval, from: i64) {
        let Some(one) = self.series.get_mut(&(symbol(name), interval)) else { return };
        one.klines.retain(|ordinal, _| *ordinal >= from);
        one.from = one.from.max(from);
    }

    /// Corrects a candle's close.
    pub fn correct(&mut self, name: &str, interval: Interval, ordinal: i64, close: f64) {
        let one = self.series.get_mut(&(symbol(name), interval)).unwrap();
        one.klines.get_mut(&ordinal).unwrap().close = close;
        one.generation += 1;
    }

    pub fn remove(&mut self, name: &str, interval: Interval) {
        self.series.remove(&(symbol(name), interval));
    }

    /// A series is again as it is in another market, for those who have seen it changed too.
    pub fn restore(&mut self, other: &Memory, name: &str, interval: Interval) {
        let key = (symbol(name), interval);
        let generation = self.series.get(&key).map_or(1 << 32, |one| one.generation + 1);
        self.series.insert(key, One { generation, ..other.series[&key].clone() });
    }

    pub fn exists(&self, name: &str, interval: Interval, ordinal: i64) -> bool {
        self.series.get(&(symbol(name), interval)).is_some_and(|one| one.klines.contains_key(&ordinal))
    }

    /// The same market with everything cut off that closes after candle `ordinal`.
    pub fn cut(&self, interval: Interval, ordinal: i64) -> Memory {
        Memory { now: Some(interval.close_time(ordinal)), ..self.clone() }
    }

    fn last(&self, interval: Interval) -> i64 {
        self.now.map_or(i64::MAX, |now| interval.last_closed(now))
    }
}

impl Market for Memory {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let one = self.series.get(&(*symbol, interval))?;
        let through = one.through.min(self.last(interval));
        Some(Held { from: one.from, through, first_ever: one.first_ever, generation: one.generation })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let through = through.min(self.last(interval));
        if let Some(one) = self.series.get(&(*symbol, interval)).filter(|_| from <= through) {
            one.klines.range(from..=through).for_each(|(ordinal, kline)| into.push(*ordinal, kline));
        }
    }
}
