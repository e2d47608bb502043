//! Reading klines: each call copies what it needs, at one moment, into memory of the caller's process.

use super::Store;
use super::ring::{Content, Field, Ring, Series, Tag, close};
use crate::sync::{AtomicU64, Ordering};
use crate::{Kline, Millis};
use std::ops::RangeInclusive;

/// Why a read gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The series was being written at every try, or its writer died in mid-write and is being restarted.
    #[error("the series is being written")]
    Busy,
    /// Nothing has come yet: that is not the same as "there are no klines".
    #[error("the series has not been filled yet")]
    NeverFilled,
    /// The symbol has left the directory.
    #[error("the symbol is not tracked any more")]
    Gone,
}

/// Closed klines as columns, one row a kline, oldest first. Kept by the caller and filled again and again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    pub ordinal: Vec<i64>,
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
    pub volume: Vec<f64>,
    pub quote_volume: Vec<f64>,
    pub trades: Vec<f64>,
    pub taker_buy_volume: Vec<f64>,
    pub taker_buy_quote_volume: Vec<f64>,
    pub revision: Vec<u16>,
}

impl Columns {
    pub fn len(&self) -> usize {
        self.ordinal.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ordinal.is_empty()
    }

    pub fn clear(&mut self) {
        self.ordinal.clear();
        self.revision.clear();
        self.numbers().into_iter().for_each(Vec::clear);
    }

    /// The columns of numbers in the order of a slot's words.
    fn numbers(&mut self) -> [&mut Vec<f64>; 9] {
        [
            &mut self.open,
            &mut self.high,
            &mut self.low,
            &mut self.close,
            &mut self.volume,
            &mut self.quote_volume,
            &mut self.trades,
            &mut self.taker_buy_volume,
            &mut self.taker_buy_quote_volume,
        ]
    }
}

/// The place of `trades`, the one number of a slot that is counted and not measured.
const AT_TRADES: usize = 6;

impl<'a> Store<'a> {
    /// The newest `limit` klines that opened before `before`, oldest first, absent ones left out.
    ///
    /// # Errors
    /// As [`ReadError`] says; [`ReadError::NeverFilled`] too where only an open kline is known and closed ones
    /// are asked for, unless history has said that there are none.
    pub fn last(
        &self,
        series: Series,
        limit: usize,
        include_open: bool,
        before: Option<Millis>,
    ) -> Result<Vec<Kline>, ReadError> {
        let ring = self.readable(series)?;
        let mut klines = Vec::with_capacity(limit.min(ring.capacity as usize));
        ring.read(series, || {
            klines.clear();
            klines.extend(ring.newest_first(limit, include_open, before)?.map(|(tag, slot)| ring.kline(tag, slot)));
            Ok(())
        })?;
        klines.reverse();
        Ok(klines)
    }

    /// The newest kline, open or closed.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn newest(&self, series: Series) -> Result<Kline, ReadError> {
        self.last(series, 1, true, None)?.pop().ok_or(ReadError::NeverFilled)
    }

    /// The close prices of the newest `limit` closed klines, oldest first.
    ///
    /// # Errors
    /// As for [`last`](Self::last).
    pub fn closes(&self, series: Series, limit: usize) -> Result<Vec<f64>, ReadError> {
        let ring = self.readable(series)?;
        let mut closes = Vec::with_capacity(limit.min(ring.capacity as usize));
        ring.read(series, || {
            closes.clear();
            closes.extend(ring.newest_first(limit, false, None)?.map(|(_, slot)| close(slot)));
            Ok(())
        })?;
        closes.reverse();
        Ok(closes)
    }

    /// The closed klines of the ordinals `from..=through`, oldest first, as far as the ring holds them.
    ///
    /// # Errors
    /// As for [`last`](Self::last).
    pub fn closed(&self, series: Series, from: i64, through: i64) -> Result<Vec<Kline>, ReadError> {
        let ring = self.readable(series)?;
        ring.read(series, || Ok(ring.closed(from, through)?.map(|(tag, slot)| ring.kline(tag, slot)).collect()))
    }

    /// The same as [`closed`](Self::closed), as columns, into memory that is kept between calls.
    ///
    /// # Errors
    /// As for [`last`](Self::last); the columns are empty then.
    pub fn closed_into(
        &self,
        series: Series,
        range: RangeInclusive<i64>,
        columns: &mut Columns,
    ) -> Result<(), ReadError> {
        columns.clear();
        let ring = self.readable(series)?;
        let mut slots = Vec::with_capacity(ring.capacity as usize);
        let read = ring.read(series, || {
            columns.clear();
            slots.clear();
            slots.extend(ring.closed(*range.start(), *range.end())?);
            columns.ordinal.extend(slots.iter().map(|(tag, _)| tag.ordinal()));
            columns.revision.extend(slots.iter().map(|(tag, _)| tag.revision()));
            // Column by column, so that each grows once.
            for (i, column) in columns.numbers().into_iter().enumerate() {
                let bits = slots.iter().map(|(_, slot)| slot[i].load(Ordering::Relaxed));
                if i == AT_TRADES {
                    column.extend(bits.map(|n| n as f64));
                } else {
                    column.extend(bits.map(f64::from_bits));
                }
            }
            Ok(())
        });
        if read.is_err() {
            columns.clear();
        }
        read
    }

    pub(super) fn readable(&self, series: Series) -> Result<Ring<'a>, ReadError> {
        self.ring_of(series).ok_or(ReadError::Gone)
    }
}

impl<'a> Ring<'a> {
    /// The slots of the newest `limit` klines that opened before `before`, newest first.
    fn newest_first(
        &self,
        limit: usize,
        include_open: bool,
        before: Option<Millis>,
    ) -> Result<impl Iterator<Item = (Tag, &'a [AtomicU64])> + use<'a>, ReadError> {
        let head = if include_open { self.head()? } else { self.head_of_closed()? };
        let last = before.map_or(head, |at| self.interval.ordinal(Millis(at.0.saturating_sub(1))).min(head));
        let wanted = move |tag: Tag| tag.content() == Content::Closed || include_open && tag.is_kline();
        Ok(self.held(self.oldest(head), last).rev().filter(move |(tag, _)| wanted(*tag)).take(limit))
    }

    /// The slots of the closed klines in this range, oldest first.
    fn closed(
        &self,
        from: i64,
        through: i64,
    ) -> Result<impl Iterator<Item = (Tag, &'a [AtomicU64])> + use<'a>, ReadError> {
        let head = self.head_of_closed()?;
        let held = self.held(from.max(self.oldest(head)), through.min(head));
        Ok(held.filter(|(tag, _)| tag.content() == Content::Closed))
    }

    fn head(&self) -> Result<i64, ReadError> {
        self.ordinal(Field::Head).ok_or(ReadError::NeverFilled)
    }

    /// The head, where closed klines are held or history has said that there are none: a range is complete
    /// whenever anything in the window is settled.
    fn head_of_closed(&self) -> Result<i64, ReadError> {
        let answered = self.complete().is_some() || self.ordinal(Field::FirstEver).is_some();
        if answered { self.head() } else { Err(ReadError::NeverFilled) }
    }
}
