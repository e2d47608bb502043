//! How a snapshot is written down. Numbers are little-endian.
//!
//! ```text
//! header   "vyxsnap\0" · version u32 · words of a kline u32 · system u64 · exchange u64 · CRC-32 of these
//! record   length of the payload u32 · CRC-32, going on from the record before · payload: kind u8, then its fields
//! ```

use super::record::Record;
use crate::Millis;
use crate::store::ring::SLOT_WORDS;
use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"vyxsnap\0";
/// Raised whenever the meaning of a byte changes.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 36;
const RECORD_HEAD_BYTES: usize = 8;
/// Largest payload: a damaged length must not cost memory.
const LARGEST_PAYLOAD: usize = 64 << 10;

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
    extent.has_rest = records.from.bytes > extent.bytes;
    Ok(extent)
}
