//! The store as the engine sees it: closed candles of tracked series.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use vyx_core::store::{Columns, Completeness, Series, Store};
use vyx_core::{Interval, Symbol};
use vyx_engine::{Candles, Held, Market};

/// The market in shared memory. Reads never wait; a series that is being written at every try counts as not held.
pub struct StoreMarket<'a> {
    store: Store<'a>,
    /// Kept between reads.
    columns: RefCell<Columns>,
    failed: Cell<bool>,
}

impl<'a> StoreMarket<'a> {
    pub fn new(store: Store<'a>) -> StoreMarket<'a> {
        StoreMarket { store, columns: RefCell::default(), failed: Cell::new(false) }
    }

    pub fn store(&self) -> Store<'a> {
        self.store
    }

    /// Whether klines could not be read since this was last asked. The engine takes klines that are not given for klines
    /// that do not exist, so what it said meanwhile does not count.
    pub fn take_failed(&self) -> bool {
        self.failed.take()
    }

    /// The series of a symbol at an interval; `None` if it is not tracked.
    pub fn series(&self, symbol: &Symbol, interval: Interval) -> Option<Series> {
        self.store.series(self.store.find(symbol)?, interval)
    }

    /// How far a tracked series is complete; `None` where nothing of it is settled yet.
    pub fn completeness(&self, series: Series) -> Option<Completeness> {
        self.store.completeness(series).ok().flatten()
    }
}

impl Market for StoreMarket<'_> {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let series = self.series(symbol, interval)?;
        // Read before the rest: a writer that comes meanwhile gives another number, never an old one to new klines.
        let epoch = self.store.epoch();
        let known = self.completeness(series);
        let (from, through, first_ever, rewritten) = match known {
            Some(known) => (known.from, known.through, known.first_ever, known.rewritten),
            None => (i64::MAX, i64::MIN, None, 0),
        };
        // A symbol that left and came back has another id; a writer that came back may have mended the series.
        let mut generation = DefaultHasher::new();
        (series, epoch, rewritten).hash(&mut generation);
        Some(Held { from, through, first_ever, generation: generation.finish() })
    }

    fn closed(&self, symbol: &Symbol, interval: Interval, from: i64, through: i64, into: &mut Candles) {
        let Some(series) = self.series(symbol, interval) else { return };
        let mut columns = self.columns.borrow_mut();
        if self.store.closed_into(series, from..=through, &mut columns).is_err() {
            self.failed.set(true);
            return;
        }
        into.ordinal.extend(&columns.ordinal);
        into.open.extend(&columns.open);
        into.high.extend(&columns.high);
        into.low.extend(&columns.low);
        into.close.extend(&columns.close);
        into.volume.extend(&columns.volume);
        into.quote_volume.extend(&columns.quote_volume);
        into.trades.extend(&columns.trades);
        into.buy_volume.extend(&columns.taker_buy_volume);
    }
}
