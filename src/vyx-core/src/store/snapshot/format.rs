//! How a snapshot is written down. Numbers are little-endian.
//!
//! ```text
//! header   "vyxsnap\0" · version u32 · words of a kline u32 · system u64 · exchange u64 · CRC-32 of these
//! record   length of the payload u32 · CRC-32, going on from the record before · payload: kind u8, then its fields
//! ```

use crate::store::NO_ORDINAL;
use crate::store::ring::{ORDINAL_LIMIT, SLOT_WORDS};
use crate::{Gap, GapReason, GapResolution, Interval, Millis, Symbol, SymbolInfo, SymbolStatus, Ticker};
use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"vyxsnap\0";
/// Raised whenever the meaning of a byte changes.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 36;
const RECORD_HEAD_BYTES: usize = 8;
/// Largest payload: a damaged length must not cost memory.
const LARGEST_PAYLOAD: usize = 64 << 10;
/// Klines of one record, 40 KB of them.
pub(super) const ENTRIES_A_RECORD: usize = 512;
const ENTRY_BYTES: usize = SLOT_WORDS * 8;

/// Whose snapshot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the database system that wrote it: a copied file is not another server's past.
    pub system: u64,
    /// A hash of the exchange's address: candles of a test exchange are none of the real one's.
    pub exchange: u64,
}

/// Why bytes are not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadSnapshot {
    #[error("it is no snapshot")]
    NotASnapshot,
    #[error("it has version {0} and this library reads version {VERSION}")]
    OtherVersion(u32),
    #[error("it belongs to another database system")]
    OtherSystem,
    #[error("it was taken from another exchange")]
    OtherExchange,
    #[error("it is damaged or cut off before the end of its first round")]
    Damaged,
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Whoever reads does not want to go on.
    #[error("reading it was broken off")]
    BrokenOff,
}

/// How far a snapshot can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes up to the end of the last whole round. A later round is to be appended here.
    pub bytes: u64,
    /// Where the checksums go on from.
    pub checksum: u32,
    pub rounds: u64,
    /// Bytes of the first round, which holds everything.
    pub first_round_bytes: u64,
    /// Market time of the last round.
    pub market_time: Millis,
    /// Something stands behind the last whole round: it was cut off, or is damaged.
    pub has_rest: bool,
}

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

impl Header {
    /// `exchange`: the address of its history.
    pub fn new(system: u64, exchange: &str) -> Header {
        Header { system, exchange: u64::from(crc32fast::hash(exchange.as_bytes())) }
    }

    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(SLOT_WORDS as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.system.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.exchange.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn read(from: &mut impl Read) -> Result<(Header, u32), BadSnapshot> {
        let mut bytes = [0; HEADER_BYTES];
        if fill(from, &mut bytes)? < HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err(BadSnapshot::NotASnapshot);
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let checksum = crc32fast::hash(&bytes[..32]);
        if word(32) != checksum {
            return Err(BadSnapshot::Damaged);
        }
        if word(8) != VERSION || word(12) as usize != SLOT_WORDS {
            return Err(BadSnapshot::OtherVersion(word(8)));
        }
        Ok((Header { system: long(16), exchange: long(24) }, checksum))
    }

    /// # Errors
    /// The other is not this one.
    fn must_be(self, expected: Header) -> Result<(), BadSnapshot> {
        if self.system != expected.system {
            return Err(BadSnapshot::OtherSystem);
        }
        if self.exchange != expected.exchange { Err(BadSnapshot::OtherExchange) } else { Ok(()) }
    }
}

/// Reads until the buffer is full or nothing more comes; says how much came.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Makes bytes of records, and keeps the checksum going.
#[derive(Debug)]
pub struct Encoder {
    checksum: u32,
    bytes: Vec<u8>,
}

impl Encoder {
    /// For a new snapshot; the header is its first bytes.
    pub fn begin(header: Header) -> Encoder {
        let bytes = header.to_bytes();
        let checksum = u32::from_le_bytes(bytes[HEADER_BYTES - 4..].try_into().expect("four bytes"));
        Encoder { checksum, bytes: bytes.to_vec() }
    }

    /// To append to a snapshot that ends like this.
    pub fn go_on(extent: &Extent) -> Encoder {
        Encoder { checksum: extent.checksum, bytes: Vec::new() }
    }

    /// The checksum after what has been made so far.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// What has been made since this was last asked.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn put(&mut self, record: &Record) {
        let begin = self.bytes.len();
        self.bytes.extend([0; RECORD_HEAD_BYTES]);
        record.write(&mut self.bytes);
        let (head, payload) = self.bytes[begin..].split_at_mut(RECORD_HEAD_BYTES);
        debug_assert!(payload.len() <= LARGEST_PAYLOAD);
        self.checksum = going_on(self.checksum, payload);
        head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&self.checksum.to_le_bytes());
    }
}

fn going_on(checksum: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(checksum);
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Records, one after the other, as long as they are whole.
pub(super) struct Records<R> {
    from: R,
    checksum: u32,
    /// Bytes read so far, the header among them.
    pub bytes: u64,
    payload: Vec<u8>,
}

impl<R: Read> Records<R> {
    /// # Errors
    /// The bytes are no snapshot that this library can read, or not the expected one's.
    pub fn open(mut from: R, expected: Header) -> Result<Records<R>, BadSnapshot> {
        let (header, checksum) = Header::read(&mut from)?;
        header.must_be(expected)?;
        Ok(Records { from, checksum, bytes: HEADER_BYTES as u64, payload: Vec::new() })
    }

    /// The next record; `None` where the bytes end or make no sense any more.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn next(&mut self) -> Result<Option<Record>, BadSnapshot> {
        let mut head = [0; RECORD_HEAD_BYTES];
        if fill(&mut self.from, &mut head)? < RECORD_HEAD_BYTES {
            return Ok(None);
        }
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (len, checksum) = (word(0) as usize, word(4));
        if len > LARGEST_PAYLOAD {
            return Ok(None);
        }
        self.payload.resize(len, 0);
        if fill(&mut self.from, &mut self.payload)? < len || going_on(self.checksum, &self.payload) != checksum {
            return Ok(None);
        }
        let record = Record::read(&self.payload);
        if record.is_some() {
            self.checksum = checksum;
            self.bytes += (RECORD_HEAD_BYTES + len) as u64;
        }
        Ok(record)
    }

    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Whether anything follows the records that were read. Only right after [`next`](Self::next) gave none.
    fn has_rest(&mut self, total: u64) -> bool {
        self.bytes < total
    }
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Finds out how far a snapshot can be trusted, without taking anything from it. `go_on` is asked again and again.
///
/// # Errors
/// Not even its first round is whole, or it is none of ours.
pub fn scan(from: impl Read, expected: Header, go_on: &mut dyn FnMut() -> bool) -> Result<Extent, BadSnapshot> {
    let mut records = Records::open(Counted { from, bytes: 0 }, expected)?;
    let mut extent = None;
    while let Some(record) = records.next()? {
        if !go_on() {
            return Err(BadSnapshot::BrokenOff);
        }
        if let Record::Commit { market_time } = record {
            let before = extent.unwrap_or(Extent {
                bytes: 0,
                checksum: 0,
                rounds: 0,
                first_round_bytes: records.bytes,
                market_time,
                has_rest: false,
            });
            extent = Some(Extent {
                bytes: records.bytes,
                checksum: records.checksum(),
                rounds: before.rounds + 1,
                market_time,
                ..before
            });
        }
    }
    let mut extent = extent.ok_or(BadSnapshot::Damaged)?;
    let total = records.from.bytes;
    extent.has_rest = records.has_rest(total) || records.bytes > extent.bytes;
    Ok(extent)
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
    fn write(&self, to: &mut Vec<u8>) {
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
                let numbers = [
                    ticker.last_price,
                    ticker.open_price,
                    ticker.high_price,
                    ticker.low_price,
                    ticker.volume,
                    ticker.quote_volume,
                ];
                put_words(to, numbers.map(f64::to_bits).into_iter().chain([ticker.event_time.0 as u64]));
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
    fn read(payload: &[u8]) -> Option<Record> {
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
