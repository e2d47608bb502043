//! One ticker a symbol, whole or not at all.

use super::{Counter, ReadError, Store, SymbolId, Writer, seqlock};
use crate::sync::{AtomicU64, Ordering};
use crate::{Millis, Ticker};

/// Sequence and seven numbers: one cache line.
pub(crate) const WORDS: usize = 8;

impl<'a> Store<'a> {
    /// The newest ticker of a symbol.
    ///
    /// # Errors
    /// The symbol is gone, no ticker has come yet, or a writer died while writing it.
    pub fn ticker(&self, id: SymbolId) -> Result<Ticker, ReadError> {
        if !self.is_current(id) {
            return Err(ReadError::Gone);
        }
        let words = self.ticker_words(id.slot);
        let ticker = seqlock::read(&words[0], || load(words)).ok_or(ReadError::Busy)?;
        if !self.is_current(id) {
            return Err(ReadError::Gone);
        }
        ticker.ok_or(ReadError::NeverFilled)
    }

    fn ticker_words(&self, slot: u32) -> &'a [AtomicU64] {
        let begin = self.layout.tickers + slot as usize * WORDS;
        &self.words[begin..begin + WORDS]
    }

    pub(super) fn clear_ticker(&self, slot: u32) {
        let words = self.ticker_words(slot);
        seqlock::write(&words[0], || words[1..].iter().for_each(|word| word.store(0, Ordering::Relaxed)));
    }

    /// Empties a ticker that a writer left half written; it comes anew within a second.
    pub(super) fn repair_ticker(&self, slot: u32) {
        if seqlock::is_odd(&self.ticker_words(slot)[0]) {
            self.clear_ticker(slot);
        }
    }
}

impl Writer<'_> {
    /// Stores a ticker unless a newer one is held; says whether it did.
    pub fn put_ticker(&self, id: SymbolId, ticker: &Ticker) -> bool {
        let store = self.store();
        if !store.is_current(id) {
            store.add(Counter::Dropped, 1);
            return false;
        }
        if !ticker.is_plausible() || ticker.event_time.0 <= 0 {
            store.add(Counter::RefusedTickers, 1);
            return false;
        }
        let words = store.ticker_words(id.slot);
        if load(words).is_some_and(|held| held.event_time > ticker.event_time) {
            return false;
        }
        seqlock::write(&words[0], || {
            for (word, number) in words[1..].iter().zip(ticker.numbers()) {
                word.store(number.to_bits(), Ordering::Relaxed);
            }
            words[7].store(ticker.event_time.0 as u64, Ordering::Relaxed);
        });
        store.add(Counter::Tickers, 1);
        self.note_ticker(id);
        true
    }
}

/// `None` where there is none: every ticker has a time.
fn load(words: &[AtomicU64]) -> Option<Ticker> {
    let number = |i: usize| f64::from_bits(words[i].load(Ordering::Relaxed));
    let event_time = Millis(words[7].load(Ordering::Relaxed) as i64);
    (event_time.0 != 0).then(|| Ticker {
        last_price: number(1),
        open_price: number(2),
        high_price: number(3),
        low_price: number(4),
        volume: number(5),
        quote_volume: number(6),
        event_time,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::{info, one_series};
    use super::*;

    fn ticker(at: i64, last_price: f64) -> Ticker {
        Ticker {
            last_price,
            open_price: 2.0,
            high_price: 5.0,
            low_price: 1.0,
            volume: 10.0,
            quote_volume: 30.0,
            event_time: Millis(at),
        }
    }

    #[test]
    fn the_newest_ticker_is_kept_and_impossible_ones_are_refused() {
        let (writer, series) = one_series(1);
        let (store, id) = (writer.store(), series.symbol());
        assert_eq!(store.ticker(id), Err(ReadError::NeverFilled));
        assert!(writer.put_ticker(id, &ticker(20, 3.0)));
        assert!(!writer.put_ticker(id, &ticker(10, 4.0)), "older");
        assert!(!writer.put_ticker(id, &ticker(30, f64::NAN)));
        assert_eq!(store.ticker(id), Ok(ticker(20, 3.0)));
        assert_eq!((store.count(Counter::Tickers), store.count(Counter::RefusedTickers)), (1, 1));
    }

    #[test]
    fn a_symbol_does_not_inherit_the_ticker_of_its_slot() {
        let (writer, series) = one_series(1);
        let (store, old) = (writer.store(), series.symbol());
        writer.put_ticker(old, &ticker(20, 3.0));
        writer.remove_symbol(old);
        let new = writer.put_symbol(&info("ETHUSDT"), Millis(1)).unwrap();
        assert_eq!((old.slot(), store.ticker(old)), (new.slot(), Err(ReadError::Gone)));
        assert_eq!(store.ticker(new), Err(ReadError::NeverFilled));
        assert!(!writer.put_ticker(old, &ticker(30, 3.0)));
        assert_eq!((store.ticker(new), store.count(Counter::Dropped)), (Err(ReadError::NeverFilled), 1));
    }

    #[test]
    fn a_half_written_ticker_is_busy_until_the_next_writer_empties_it() {
        let (writer, series) = one_series(1);
        let (store, id) = (writer.store(), series.symbol());
        writer.put_ticker(id, &ticker(20, 3.0));
        store.ticker_words(0)[0].fetch_add(1, Ordering::Relaxed);
        assert_eq!(store.ticker(id), Err(ReadError::Busy));
        Writer::attach(store);
        assert_eq!(store.ticker(id), Err(ReadError::NeverFilled));
    }
}
