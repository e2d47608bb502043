//! Taking a snapshot of a store that is being written: in small steps, each of which sees a series at one moment.

use super::format::Encoder;
use super::record::{ENTRIES_A_RECORD, Record, SeriesHead};
use crate::Interval;
use crate::store::ring::{Content, Field, SLOT_WORDS};
use crate::store::{Series, SymbolEntry, SymbolId, Writer};
use crate::sync::Ordering;

/// One round of a snapshot, under way. What changes in a series after it was taken is the next round's.
#[derive(Debug)]
pub struct Round {
    full: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    RemovedSymbols,
    Symbols {
        slot: u32,
    },
    Series {
        slot: u32,
        interval: usize,
    },
    /// In the midst of a series: ordinals from here on, through there.
    Klines {
        slot: u32,
        interval: usize,
        next: i64,
        through: i64,
    },
    Tickers {
        slot: u32,
    },
    Gaps,
    Commit,
    Done,
}

impl Round {
    /// `full`: everything, for a new snapshot; otherwise what has changed since the last round.
    pub fn new(full: bool) -> Round {
        Round { full, stage: Stage::RemovedSymbols }
    }

    /// Takes a bit more, at most one record of klines or all records of a short kind; `true` when the round is whole.
    pub fn step(&mut self, writer: &Writer, encoder: &mut Encoder) -> bool {
        let used = writer.store().used_slots();
        self.stage = match self.stage {
            Stage::RemovedSymbols => {
                let removed = writer.changes.borrow_mut().take_removed_symbols();
                removed.into_iter().for_each(|symbol| encoder.put(&Record::RemovedSymbol(symbol)));
                Stage::Symbols { slot: 0 }
            }
            Stage::Symbols { slot } if slot < used => {
                self.symbol(writer, slot, encoder);
                Stage::Symbols { slot: slot + 1 }
            }
            Stage::Symbols { .. } => Stage::Series { slot: 0, interval: 0 },
            Stage::Series { slot, interval } if slot < used => {
                let after = match Interval::ALL.get(interval + 1) {
                    Some(_) => Stage::Series { slot, interval: interval + 1 },
                    None => Stage::Series { slot: slot + 1, interval: 0 },
                };
                let range = self.series_head(writer, slot, Interval::ALL[interval], encoder);
                range.map_or(after, |(next, through)| Stage::Klines { slot, interval, next, through })
            }
            Stage::Series { .. } => Stage::Tickers { slot: 0 },
            Stage::Klines { slot, interval, next, through } => {
                let last = through.min(next + ENTRIES_A_RECORD as i64 - 1);
                klines(writer, slot, Interval::ALL[interval], next, last, encoder);
                if last < through {
                    Stage::Klines { slot, interval, next: last + 1, through }
                } else if interval + 1 < Interval::ALL.len() {
                    Stage::Series { slot, interval: interval + 1 }
                } else {
                    Stage::Series { slot: slot + 1, interval: 0 }
                }
            }
            Stage::Tickers { slot } if slot < used => {
                self.ticker(writer, slot, encoder);
                Stage::Tickers { slot: slot + 1 }
            }
            Stage::Tickers { .. } => Stage::Gaps,
            Stage::Gaps => {
                self.gaps(writer, encoder);
                Stage::Commit
            }
            Stage::Commit => {
                encoder.put(&Record::Commit { market_time: writer.store().market_time() });
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
        matches!(self.stage, Stage::Done)
    }

    fn symbol(&self, writer: &Writer, slot: u32, encoder: &mut Encoder) {
        let changed = writer.changes.borrow_mut().take_symbol(slot);
        if let Some(entry) = at(writer, slot).filter(|_| changed || self.full) {
            let last_event = entry.last_event_time.unwrap_or_default();
            encoder.put(&Record::Symbol { info: entry.info, since: entry.since, last_event });
        }
    }

    /// The range of ordinals to take of a series, with its head written; `None` where there is nothing.
    fn series_head(&self, writer: &Writer, slot: u32, interval: Interval, encoder: &mut Encoder) -> Option<(i64, i64)> {
        let changed = writer.changes.borrow_mut().take_klines(slot, interval);
        let (entry, series) = series(writer, slot, interval)?;
        let ring = writer.writable(series)?;
        if changed.is_none() && !self.full {
            return None;
        }
        let first_ever = ring.ordinal(Field::FirstEver);
        let Some(head) = ring.ordinal(Field::Head) else {
            first_ever?; // nothing is known of it at all
            encoder.put(&Record::Series(head_of(&entry, interval, ring)));
            return None;
        };
        encoder.put(&Record::Series(head_of(&entry, interval, ring)));
        let oldest = ring.oldest(head);
        let (from, through) = if self.full { (oldest, head) } else { changed? };
        let (from, through) = (from.max(oldest), through.min(head));
        (from <= through).then_some((from, through))
    }

    fn ticker(&self, writer: &Writer, slot: u32, encoder: &mut Encoder) {
        let changed = writer.changes.borrow_mut().take_ticker(slot);
        let Some(entry) = at(writer, slot).filter(|_| changed || self.full) else { return };
        if let Ok(ticker) = writer.store().ticker(entry.id) {
            encoder.put(&Record::Ticker { symbol: entry.info.symbol, ticker });
        }
    }

    fn gaps(&self, writer: &Writer, encoder: &mut Encoder) {
        let store = writer.store();
        let (changed, removed) = {
            let mut ledger = writer.ledger.borrow_mut();
            (std::mem::take(&mut ledger.changed), std::mem::take(&mut ledger.removed))
        };
        if self.full {
            let rows = (0..store.shape().gap_rows()).filter_map(|place| store.gap_row(place));
            rows.for_each(|(number, gap)| encoder.put(&Record::Gap { number, gap }));
            return;
        }
        removed.into_iter().for_each(|number| encoder.put(&Record::RemovedGap(number)));
        let rows = changed.into_iter().filter_map(|place| store.gap_row(place));
        rows.for_each(|(number, gap)| encoder.put(&Record::Gap { number, gap }));
    }
}

fn at(writer: &Writer, slot: u32) -> Option<SymbolEntry> {
    let generation = writer.store().generation(slot);
    writer.store().symbol(SymbolId { slot, generation }).filter(|_| generation % 2 == 1)
}

fn series(writer: &Writer, slot: u32, interval: Interval) -> Option<(SymbolEntry, Series)> {
    let entry = at(writer, slot)?;
    let series = writer.store().series(entry.id, interval)?;
    Some((entry, series))
}

fn head_of(entry: &SymbolEntry, interval: Interval, ring: crate::store::ring::Ring) -> SeriesHead {
    SeriesHead {
        symbol: entry.info.symbol,
        interval,
        first_ever: ring.ordinal(Field::FirstEver),
        first_streamed: ring.ordinal(Field::FirstStreamed),
        repaired: ring.get(Field::Repaired),
        confirmed_absent: ring.get(Field::ConfirmedAbsent),
        corrected: ring.get(Field::Corrected),
        rewritten: ring.get(Field::Rewritten),
    }
}

/// Writes what is settled in this range, if the series is still there.
fn klines(writer: &Writer, slot: u32, interval: Interval, from: i64, through: i64, encoder: &mut Encoder) {
    let Some((entry, series)) = series(writer, slot, interval) else { return };
    let Some(ring) = writer.writable(series) else { return };
    let settled =
        ring.held(from, through).filter(|(tag, _)| matches!(tag.content(), Content::Closed | Content::Absent));
    let entries: Vec<[u64; SLOT_WORDS]> =
        settled.map(|(_, slot)| std::array::from_fn(|i| slot[i].load(Ordering::Relaxed))).collect();
    if !entries.is_empty() {
        encoder.put(&Record::Klines { symbol: entry.info.symbol, interval, entries });
    }
}
