//! The market of the measurements.

use std::collections::HashMap;
use vyx_core::{Interval, Kline, Provenance, Symbol};
use vyx_engine::market::Held;
use vyx_engine::{Candles, Market};

/// The first candle that is evaluated: of 1m, at 08:00 UTC of some day.
pub const FIRST: i64 = 30_000_000;
/// Candles that follow it.
pub const STEPS: i64 = 700;
/// Candles before it: no history reaches farther back.
const HISTORY: i64 = 1_800;
const HOURS: i64 = 1_300;

/// A random walk for each symbol, 1m and 1h, without holes.
pub struct Walk {
    pub symbols: Vec<Symbol>,
    series: HashMap<(Symbol, Interval), (i64, Vec<Kline>)>,
}

impl Walk {
    pub fn new(symbols: usize) -> Walk {
        let symbols: Vec<Symbol> = (0..symbols).map(|n| Symbol::new(&format!("S{n}USDT")).unwrap()).collect();
        let mut series = HashMap::new();
        for symbol in &symbols {
            for (interval, first, last) in [
                (Interval::M1, FIRST - HISTORY, FIRST + STEPS),
                (Interval::H1, FIRST / 60 - HOURS, (FIRST + STEPS) / 60),
            ] {
                let mut seed = symbol.stable_hash() | 1;
                let mut close = 100.0;
                let klines = (first..=last).map(|ordinal| {
                    let mut unit = || {
                        seed ^= seed << 13;
                        seed ^= seed >> 7;
                        seed ^= seed << 17;
                        (seed >> 11) as f64 / (1u64 << 53) as f64
                    };
                    let open = close;
                    close = open * (1.0 + (unit() - 0.5) * 0.004);
                    let volume = unit() * 1_000.0;
                    Kline {
                        open_time: interval.open_time(ordinal),
                        open,
                        high: open.max(close) * 1.001,
                        low: open.min(close) * 0.999,
                        close,
                        volume,
                        quote_volume: volume * close,
                        trades: 100,
                        taker_buy_volume: volume / 2.0,
                        taker_buy_quote_volume: volume * close / 2.0,
                        closed: true,
                        revision: 0,
                        provenance: Provenance::Stream,
                    }
                });
                series.insert((*symbol, interval), (first, klines.collect()));
            }
        }
        Walk { symbols, series }
    }
}

impl Market for Walk {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let (first, klines) = self.series.get(&(*symbol, interval))?;
        Some(Held { from: *first, through: first + klines.len() as i64 - 1, first_ever: None, generation: 0 })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let Some((first, klines)) = self.series.get(&(*symbol, interval)) else { return };
        for ordinal in from.max(*first)..=through.min(first + klines.len() as i64 - 1) {
            into.push(ordinal, &klines[(ordinal - first) as usize]);
        }
    }
}
