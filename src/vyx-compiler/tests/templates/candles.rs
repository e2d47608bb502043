//! Real candles as a market: three files, and the larger intervals made of them.
//!
//! The files lie in `VYX_DATA`, by default in `../shared/data` beside the repository. They have six columns; the others
//! follow by a fixed rule, so what is found about them is made up, though the same each time: quote volume is volume ×
//! close, trades are one and one more for each whole hundred of the volume (none without volume), and the part
//! (close − low) / (high − low) of the volume is bought (half if there is no range).
//!
//! Bitcoin's candles are of another year than the others'. Beside another symbol they are moved in time, all by the same
//! whole number of days, so that the other's begin [`BITCOIN_BEFORE`] after them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use vyx_core::{Interval, Kline, Millis, Provenance, Symbol};
use vyx_engine::market::{Candles, Held, Market};

/// Enough for the history of an hourly candle, and in these days bitcoin falls, turns and rises.
const BITCOIN_BEFORE: Millis = Millis(104 * Millis::DAY.0);

/// Closed candles in memory, from the first that the symbol ever had.
#[derive(Default)]
pub struct Memory {
    series: HashMap<(Symbol, Interval), BTreeMap<i64, Kline>>,
}

/// A market in which a symbol is traded.
pub struct World {
    pub market: Memory,
    pub symbol: Symbol,
    pub interval: Interval,
}

impl World {
    /// The one whose candles can be had at `interval`; `None`, aloud, where the files are not.
    pub fn at(interval: Interval) -> Option<World> {
        let (name, its) = match interval {
            Interval::M1 => ("XRPETH", Interval::M1),
            Interval::M5 => ("LTCBTC", Interval::M5),
            Interval::H1 | Interval::H4 => ("BTCUSDT", Interval::H1),
            other => panic!("no file serves {other}"),
        };
        let klines = read(name, its)?;
        let mut market = Memory::default();
        if name != "BTCUSDT" {
            let mut bitcoin = read("BTCUSDT", Interval::H1)?;
            let day = |kline: &Kline| kline.open_time.0.div_euclid(Millis::DAY.0);
            let days = day(&bitcoin[0]) - day(&klines[0]) + BITCOIN_BEFORE.0 / Millis::DAY.0;
            bitcoin.iter_mut().for_each(|kline| kline.open_time.0 -= days * Millis::DAY.0);
            market.insert("BTCUSDT", Interval::H1, &bitcoin);
        }
        market.insert(name, its, &klines);
        Some(World { market, symbol: symbol(name), interval })
    }

    /// The traded symbol's candles, oldest first.
    pub fn klines(&self) -> Vec<Kline> {
        self.market.series[&(self.symbol, self.interval)].values().copied().collect()
    }
}

impl Memory {
    /// A series, and every larger fixed interval up to a day that is made of its candles. Those that the series only
    /// holds a part of are left out.
    fn insert(&mut self, name: &str, interval: Interval, klines: &[Kline]) {
        let ends = |kline: &Kline| interval.close_time(interval.ordinal(kline.open_time));
        let [Some(first), Some(last)] = [klines.first(), klines.last()] else { panic!("{name} has candles") };
        for larger in [Interval::M5, Interval::M15, Interval::H1, Interval::H4, Interval::D1, interval] {
            if larger < interval {
                continue;
            }
            let mut whole: BTreeMap<i64, Kline> = BTreeMap::new();
            for kline in klines {
                let ordinal = larger.ordinal(kline.open_time);
                let open_time = larger.open_time(ordinal);
                if open_time < first.open_time || larger.close_time(ordinal) > ends(last) {
                    continue;
                }
                whole
                    .entry(ordinal)
                    .and_modify(|sum| {
                        sum.high = sum.high.max(kline.high);
                        sum.low = sum.low.min(kline.low);
                        sum.close = kline.close;
                        sum.volume += kline.volume;
                        sum.quote_volume += kline.quote_volume;
                        sum.trades += kline.trades;
                        sum.taker_buy_volume += kline.taker_buy_volume;
                        sum.taker_buy_quote_volume += kline.taker_buy_quote_volume;
                    })
                    .or_insert(Kline { open_time, ..*kline });
            }
            self.series.insert((symbol(name), larger), whole);
        }
    }
}

impl Market for Memory {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let series = self.series.get(&(*symbol, interval))?;
        let (from, _) = series.first_key_value()?;
        let (through, _) = series.last_key_value()?;
        Some(Held { from: *from, through: *through, first_ever: Some(*from), generation: 0 })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        if let Some(series) = self.series.get(&(*symbol, interval)).filter(|_| from <= through) {
            series.range(from..=through).for_each(|(ordinal, kline)| into.push(*ordinal, kline));
        }
    }
}

/// The market as it was at a moment: nothing that closes later is there.
pub struct Until<'a>(pub &'a Memory, pub Millis);

impl Market for Until<'_> {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let held = self.0.held(symbol, interval)?;
        Some(Held { through: held.through.min(interval.last_closed(self.1)), ..held })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        self.0.closed(symbol, interval, from, through.min(interval.last_closed(self.1)), into);
    }
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).expect("a symbol")
}

fn read(name: &str, interval: Interval) -> Option<Vec<Kline>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let directory = std::env::var_os("VYX_DATA").map_or_else(|| default.into(), PathBuf::from);
    let path = directory.join(format!("{name}-{interval}.csv"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there; VYX_DATA names the directory of real candles", path.display());
        return None;
    };
    Some(text.lines().skip(1).map(kline).collect())
}

fn kline(line: &str) -> Kline {
    let (time, numbers) = line.split_once(',').expect("columns");
    let numbers: Vec<f64> = numbers.split(',').map(|number| number.trim().parse().expect("a number")).collect();
    let [open, high, low, close, volume] = numbers[..] else { panic!("five numbers: {line}") };
    let bought = if high > low { (close - low) / (high - low) } else { 0.5 };
    Kline {
        open_time: Millis(time.parse().expect("milliseconds")),
        open,
        high,
        low,
        close,
        volume,
        quote_volume: volume * close,
        trades: if volume > 0.0 { 1 + (volume / 100.0) as u64 } else { 0 },
        taker_buy_volume: volume * bought,
        taker_buy_quote_volume: volume * close * bought,
        closed: true,
        revision: 0,
        provenance: Provenance::History,
    }
}
