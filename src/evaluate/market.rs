//! The store as the engine sees it: closed candles of tracked series.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use vyx_core::store::{Columns, Completeness, ReadError, Series, Store};
use vyx_core::{Interval, Kline, Symbol};
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

    /// The same, asked again later.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    pub fn store(&self) -> Store<'a> {
        self.store
    }

    /// Whether something could not be read since this was last asked: it is there to be read again at once, and no close
    /// will tell of it. The engine takes klines that are not given for klines that do not exist, so what it said meanwhile
    /// does not count.
    pub fn take_failed(&self) -> bool {
        self.failed.take()
    }

    /// The series of a symbol at an interval; `None` if it is not tracked.
    pub fn series(&self, symbol: &Symbol, interval: Interval) -> Option<Series> {
        self.store.series(self.store.find(symbol)?, interval)
    }

    /// How far a tracked series is complete; `None` where nothing of it is settled yet.
    ///
    /// # Errors
    /// It cannot be read now.
    pub fn completeness(&self, series: Series) -> Result<Option<Completeness>, ReadError> {
        self.noted(self.store.completeness(series))
    }

    /// Whether a candle is held closed or confirmed absent, as far as it can be read.
    pub fn is_settled(&self, series: Series, ordinal: i64) -> bool {
        self.noted(self.store.is_settled(series, ordinal, ordinal)).unwrap_or(false)
    }

    /// The closed kline of a candle; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read now.
    pub fn kline(&self, series: Series, ordinal: i64) -> Result<Option<Kline>, ReadError> {
        Ok(self.noted(self.store.closed(series, ordinal, ordinal))?.pop())
    }

    /// The newest candle up to an ordinal that exists and is held.
    ///
    /// # Errors
    /// It cannot be read now.
    pub fn newest(&self, series: Series, through: i64) -> Result<Option<i64>, ReadError> {
        let next = series.interval().open_time(through + 1);
        let newest = self.noted(self.store.last(series, 1, false, Some(next)))?.pop();
        Ok(newest.map(|kline| series.interval().ordinal(kline.open_time)))
    }

    /// Closed klines, into columns that are kept.
    ///
    /// # Errors
    /// They cannot be read now.
    pub fn columns(&self, series: Series, from: i64, through: i64, into: &mut Columns) -> Result<(), ReadError> {
        self.noted(self.store.closed_into(series, from..=through, into))
    }

    fn noted<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        if read.is_err() {
            self.failed.set(true);
        }
        read
    }
}

impl Market for StoreMarket<'_> {
    fn held(&self, symbol: &Symbol, interval: Interval) -> Option<Held> {
        let series = self.series(symbol, interval)?;
        // Read before the rest: a writer that comes meanwhile gives another number, never an old one to new klines.
        let epoch = self.store.epoch();
        let known = self.completeness(series).ok().flatten();
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
        if self.columns(series, from, through, &mut columns).is_err() {
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
