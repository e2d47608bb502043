//! What the records of a snapshot hold, as bytes and back. Bytes that no store could have written are no record.

use crate::store::NO_ORDINAL;
use crate::store::ring::{ORDINAL_LIMIT, SLOT_WORDS};
use crate::{Gap, GapReason, GapResolution, Interval, Millis, Symbol, SymbolInfo, SymbolStatus, Ticker};

/// Klines of one record, 40 KB of them.
pub(super) const ENTRIES_A_RECORD: usize = 512;
const ENTRY_BYTES: usize = SLOT_WORDS * 8;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    Symbol { info: SymbolInfo, since: Millis, last_event: Millis },
    RemovedSymbol(Symbol),
    Series(SeriesHead),
    Klines { symbol: Symbol, interval: Interval, entries: Vec<[u64; SLOT_WORDS]> },
    Ticker { symbol: Symbol, ticker: Ticker },
    Gap { number: u64, gap: Gap },
    RemovedGap(u64),
    Commit { market_time: Millis },
}

/// What a series' header says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeriesHead {
    pub symbol: Symbol,
    pub interval: Interval,
    pub first_ever: Option<i64>,
    pub first_streamed: Option<i64>,
    pub repaired: u64,
    pub confirmed_absent: u64,
    pub corrected: u64,
    pub rewritten: u64,
}

const SYMBOL: u8 = 1;
const REMOVED_SYMBOL: u8 = 2;
const SERIES: u8 = 3;
const KLINES: u8 = 4;
const TICKER: u8 = 5;
const GAP: u8 = 6;
const REMOVED_GAP: u8 = 7;
const COMMIT: u8 = 8;

impl Record {
    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Record::Symbol { info, since, last_event } => {
                to.push(SYMBOL);
                [&info.symbol, &info.base, &info.quote].into_iter().for_each(|name| put_name(to, name));
                to.push(info.status as u8);
                let sizes = [info.tick_size.to_bits(), info.step_size.to_bits()];
                put_words(to, sizes.into_iter().chain([since.0 as u64, last_event.0 as u64]));
            }
            Record::RemovedSymbol(symbol) => {
                to.push(REMOVED_SYMBOL);
                put_name(to, symbol);
            }
            Record::Series(head) => {
                to.push(SERIES);
                put_name(to, &head.symbol);
                to.push(head.interval as u8);
                let ordinals = [head.first_ever, head.first_streamed].map(|o| o.unwrap_or(NO_ORDINAL) as u64);
                let counts = [head.repaired, head.confirmed_absent, head.corrected, head.rewritten];
                put_words(to, ordinals.into_iter().chain(counts));
            }
            Record::Klines { symbol, interval, entries } => {
                to.push(KLINES);
                put_name(to, symbol);
                to.push(*interval as u8);
                put_words(to, entries.iter().flatten().copied());
            }
            Record::Ticker { symbol, ticker } => {
                to.push(TICKER);
                put_name(to, symbol);
                put_words(to, ticker.numbers().map(f64::to_bits).into_iter().chain([ticker.event_time.0 as u64]));
            }
            Record::Gap { number, gap } => {
                to.push(GAP);
                put_name(to, &gap.symbol);
                let (how, at) = gap.resolved.map_or((0, 0), |(how, at)| (how as u8, at.0));
                to.extend([gap.interval as u8, gap.reason as u8, how]);
                let moments = [gap.from, gap.through, gap.detected_at.0, at].map(|number| number as u64);
                put_words(to, [*number].into_iter().chain(moments));
            }
            Record::RemovedGap(number) => {
                to.push(REMOVED_GAP);
                put_words(to, [*number]);
            }
            Record::Commit { market_time } => {
                to.push(COMMIT);
                put_words(to, [market_time.0 as u64]);
            }
        }
    }

    /// `None` for bytes that no record has.
    pub fn read(payload: &[u8]) -> Option<Record> {
        let (kind, rest) = payload.split_first()?;
        let mut fields = Fields(rest);
        let record = match *kind {
            SYMBOL => {
                let (symbol, base, quote) = (fields.name()?, fields.name()?, fields.name()?);
                let status = SymbolStatus::from_index(fields.byte()?);
                let (tick_size, step_size) = (f64::from_bits(fields.word()?), f64::from_bits(fields.word()?));
                let info = SymbolInfo { symbol, base, quote, status, tick_size, step_size };
                Record::Symbol { info, since: fields.millis()?, last_event: fields.millis()? }
            }
            REMOVED_SYMBOL => Record::RemovedSymbol(fields.name()?),
            SERIES => Record::Series(SeriesHead {
                symbol: fields.name()?,
                interval: Interval::from_index(fields.byte()?)?,
                first_ever: fields.maybe_ordinal()?,
                first_streamed: fields.maybe_ordinal()?,
                repaired: fields.count()?,
                confirmed_absent: fields.count()?,
                corrected: fields.count()?,
                rewritten: fields.count()?,
            }),
            KLINES => {
                let (symbol, interval) = (fields.name()?, Interval::from_index(fields.byte()?)?);
                let (entries, rest) = fields.0.as_chunks::<ENTRY_BYTES>();
                let word = |entry: &[u8; ENTRY_BYTES], i: usize| {
                    u64::from_le_bytes(entry[i * 8..i * 8 + 8].try_into().expect("eight bytes"))
                };
                let entries = entries.iter().map(|entry| std::array::from_fn(|i| word(entry, i))).collect();
                fields.0 = rest;
                Record::Klines { symbol, interval, entries }
            }
            TICKER => {
                let symbol = fields.name()?;
                let mut number = || Some(f64::from_bits(fields.word()?));
                let (last_price, open_price, high_price) = (number()?, number()?, number()?);
                let (low_price, volume, quote_volume) = (number()?, number()?, number()?);
                let event_time = fields.millis()?;
                let ticker = Ticker { last_price, open_price, high_price, low_price, volume, quote_volume, event_time };
                Record::Ticker { symbol, ticker }
            }
            GAP => {
                let symbol = fields.name()?;
                let (interval, reason) = (fields.byte()?, fields.byte()?);
                let (interval, reason) = (Interval::from_index(interval)?, GapReason::from_index(reason)?);
                let how = fields.byte()?;
                let number = fields.count()?;
                let (from, through, detected_at) = (fields.ordinal()?, fields.ordinal()?, fields.millis()?);
                let at = fields.millis()?;
                let resolved = GapResolution::from_index(how).map(|how| (how, at));
                if number == 0 || from > through || (how != 0 && resolved.is_none()) {
                    return None;
                }
                Record::Gap { number, gap: Gap { symbol, interval, from, through, reason, detected_at, resolved } }
            }
            REMOVED_GAP => Record::RemovedGap(fields.count()?),
            COMMIT => Record::Commit { market_time: fields.millis()? },
            _ => return None,
        };
        fields.0.is_empty().then_some(record)
    }
}

fn put_name(to: &mut Vec<u8>, name: &Symbol) {
    to.push(name.as_str().len() as u8);
    to.extend(name.as_str().as_bytes());
}

fn put_words(to: &mut Vec<u8>, words: impl IntoIterator<Item = u64>) {
    words.into_iter().for_each(|word| to.extend(word.to_le_bytes()));
}

/// What is left of a payload.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    // A right checksum says that the bytes are what somebody wrote, not that this was a store: numbers that none has are
    // not taken, as nothing that is computed with them could be right.

    /// A moment from 1970 on, before the year 5138.
    fn millis(&mut self) -> Option<Millis> {
        self.word().filter(|word| *word < 100_000_000_000_000).map(|word| Millis(word as i64))
    }

    /// A count that things one at a time reach in no lifetime.
    fn count(&mut self) -> Option<u64> {
        self.word().filter(|word| *word < 1 << 48)
    }

    fn ordinal(&mut self) -> Option<i64> {
        self.word().map(|word| word as i64).filter(|ordinal| (-ORDINAL_LIMIT..ORDINAL_LIMIT).contains(ordinal))
    }

    fn maybe_ordinal(&mut self) -> Option<Option<i64>> {
        let none = NO_ORDINAL.to_le_bytes();
        match self.0.strip_prefix(&none) {
            Some(rest) => {
                self.0 = rest;
                Some(None)
            }
            None => self.ordinal().map(Some),
        }
    }

    fn name(&mut self) -> Option<Symbol> {
        let len = self.byte()?;
        Symbol::new(std::str::from_utf8(self.take(usize::from(len))?).ok()?).ok()
    }
}
