//! Putting a snapshot into an empty store.

use super::format::{BadSnapshot, Extent, Header, Records};
use super::record::{Record, SeriesHead};
use crate::store::ring::{Content, Field, SLOT_WORDS, Tag};
use crate::store::{Counter, Series, Writer};
use crate::{Interval, Kline, Provenance, Symbol};
use std::collections::HashMap;
use std::io::Read;

/// Takes the whole rounds of a snapshot that [`scan`](super::scan) has found good into a store without symbols. Klines keep
/// their revisions and say that a snapshot brought them. Gives how many came. What the store does not track, or has no
/// room for, is left out. `go_on` is asked again and again.
///
/// # Errors
/// The bytes have changed since they were scanned, or cannot be read; what came until then stays, and is true.
pub fn restore(
    writer: &Writer,
    from: impl Read,
    expected: Header,
    extent: &Extent,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<u64, BadSnapshot> {
    let mut records = Records::open(from.take(extent.bytes), expected)?;
    let mut restored = 0;
    let mut gaps = HashMap::new();
    let result = loop {
        if !go_on() {
            break Err(BadSnapshot::BrokenOff);
        }
        match records.next() {
            Ok(Some(record)) => restored += take(writer, record, &mut gaps),
            Ok(None) if records.bytes == extent.bytes => break Ok(()),
            Ok(None) => break Err(BadSnapshot::Damaged),
            Err(error) => break Err(error),
        }
    };
    writer.index_restored();
    writer.forget_all_changes();
    writer.store().add(Counter::Restored, restored);
    writer.store().raise_market_time(extent.market_time);
    writer.announce_close();
    result.map(|()| restored)
}

fn take(writer: &Writer, record: Record, gaps: &mut HashMap<u64, usize>) -> u64 {
    match record {
        Record::Symbol { info, since, last_event } => {
            // One for which there is no room is counted, and what follows about it finds no series.
            if let Ok(id) = writer.put_symbol(&info, since) {
                writer.store().raise_last_event(id, last_event);
            }
            0
        }
        Record::RemovedSymbol(symbol) => {
            if let Some(id) = writer.store().find(&symbol) {
                writer.remove_symbol(id);
            }
            0
        }
        Record::Series(head) => {
            if let Some(series) = series(writer, &head.symbol, head.interval) {
                set_head(writer, series, &head);
            }
            0
        }
        Record::Klines { symbol, interval, entries } => {
            series(writer, &symbol, interval).map_or(0, |series| put_entries(writer, series, &entries))
        }
        Record::Ticker { symbol, ticker } => {
            if let Some(id) = writer.store().find(&symbol) {
                writer.put_ticker(id, &ticker);
            }
            0
        }
        Record::Gap { number, gap } => {
            writer.restore_gap(gaps, number, &gap);
            0
        }
        Record::RemovedGap(number) => {
            writer.unrestore_gap(gaps, number);
            0
        }
        Record::Commit { .. } => 0,
    }
}

fn series(writer: &Writer, symbol: &Symbol, interval: Interval) -> Option<Series> {
    writer.store().series(writer.store().find(symbol)?, interval)
}

fn set_head(writer: &Writer, series: Series, head: &SeriesHead) {
    let Some(ring) = writer.writable(series) else { return };
    ring.write(None, || {
        ring.set_ordinal(Field::FirstEver, head.first_ever);
        ring.set_ordinal(Field::FirstStreamed, head.first_streamed);
        ring.set(Field::Repaired, head.repaired);
        ring.set(Field::ConfirmedAbsent, head.confirmed_absent);
        ring.set(Field::Corrected, head.corrected);
        ring.set(Field::Rewritten, head.rewritten);
    });
}

/// Puts slots as they were taken. A checksum says that they are what was written, not that it made sense: so each is
/// looked at like any other kline.
fn put_entries(writer: &Writer, series: Series, entries: &[[u64; SLOT_WORDS]]) -> u64 {
    let Some(ring) = writer.writable(series) else { return 0 };
    ring.write(None, || {
        let mut restored = 0;
        for entry in entries {
            let tag = Tag(entry[SLOT_WORDS - 1]);
            let ordinal = tag.ordinal();
            // Months and weeks so far away have no time.
            if series.interval.ordinal(series.interval.open_time(ordinal)) != ordinal {
                continue;
            }
            if ring.ordinal(Field::Head).is_some_and(|head| ordinal < ring.oldest(head)) {
                continue;
            }
            match tag.content() {
                Content::Absent => {
                    ring.move_head(ordinal);
                    ring.store_tag(ordinal, Tag::absent(ordinal));
                }
                Content::Closed => {
                    let kline = Kline { provenance: Provenance::Snapshot, ..ring.kline_of(tag, entry) };
                    if !kline.is_plausible() {
                        continue;
                    }
                    ring.move_head(ordinal);
                    ring.store(Tag::of(ordinal, &kline, tag.revision()), &kline);
                    restored += 1;
                }
                Content::Open | Content::Nothing => continue,
            }
            ring.settle(ordinal, ordinal);
        }
        restored
    })
}
