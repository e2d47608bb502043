//! Symbols: the exchange's names for its pairs.

use std::fmt;

/// The longest symbol in bytes of UTF-8. The exchange allows 50 characters of any script; names seen so
/// far stay below 20 bytes, and a name that does not fit is refused aloud, never cut.
pub const MAX_SYMBOL_BYTES: usize = 64;

/// A pair's name, e.g. `BTCUSDT`: 1 to 64 bytes of UTF-8, letters of any script, digits, `_`, `-`, `.`,
/// no lower-case ASCII. Compared by bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    bytes: [u8; MAX_SYMBOL_BYTES],
    len: u8,
}

/// Why a text is no symbol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSymbol {
    #[error("a symbol must not be empty")]
    Empty,
    #[error("a symbol of {0} bytes is too long")]
    TooLong(usize),
    #[error("a symbol must not contain {0:?}")]
    BadCharacter(char),
}

impl Symbol {
    /// Reads a symbol; lower-case ASCII letters are folded, other letters are left alone.
    pub fn new(text: &str) -> Result<Symbol, BadSymbol> {
        if text.is_empty() {
            return Err(BadSymbol::Empty);
        }
        if text.len() > MAX_SYMBOL_BYTES {
            return Err(BadSymbol::TooLong(text.len()));
        }
        // Nearly every name is plain ASCII, and a frame names one: bytes are looked at faster than characters.
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !is_plain && let Some(bad) = text.chars().find(|c| !is_allowed(*c)) {
            return Err(BadSymbol::BadCharacter(bad));
        }
        let mut bytes = [0; MAX_SYMBOL_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes.make_ascii_uppercase();
        Ok(Symbol { bytes, len: text.len() as u8 })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("made from a str, ASCII case folded only")
    }

    /// The name as stream names want it: ASCII letters in lower case, other characters as they are.
    pub fn to_stream_name(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }

    /// The name as words, eight bytes each, zeroes behind it: for memory that is shared word by word.
    pub(crate) fn to_words(self) -> [u64; MAX_SYMBOL_BYTES / 8] {
        std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|j| self.bytes[i * 8 + j])))
    }

    /// Reads what [`to_words`](Self::to_words) gave; `None` for words that are no symbol.
    pub(crate) fn from_words(words: &[u64; MAX_SYMBOL_BYTES / 8]) -> Option<Symbol> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Symbol::new(std::str::from_utf8(&bytes[..len]).ok()?).ok()
    }

    /// A 64-bit FNV-1a hash of the name: the same in every process and version, so that what is staggered
    /// by it (the anchors of history) never moves.
    pub fn stable_hash(&self) -> u64 {
        self.bytes[..usize::from(self.len)]
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// What the exchange says about trading in a pair. A status it may invent tomorrow is `Unknown`, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SymbolStatus {
    Trading = 1,
    EndOfDay = 2,
    Halt = 3,
    Break = 4,
    CancelOnly = 5,
    Unknown = 6,
    /// No longer in the exchange's list.
    Vanished = 7,
}

impl SymbolStatus {
    /// Reads the exchange's word for it.
    pub fn from_exchange(text: &str) -> SymbolStatus {
        match text {
            "TRADING" => SymbolStatus::Trading,
            "END_OF_DAY" => SymbolStatus::EndOfDay,
            "HALT" => SymbolStatus::Halt,
            "BREAK" => SymbolStatus::Break,
            "CANCEL_ONLY" => SymbolStatus::CancelOnly,
            _ => SymbolStatus::Unknown,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            SymbolStatus::Trading => "TRADING",
            SymbolStatus::EndOfDay => "END_OF_DAY",
            SymbolStatus::Halt => "HALT",
            SymbolStatus::Break => "BREAK",
            SymbolStatus::CancelOnly => "CANCEL_ONLY",
            SymbolStatus::Unknown => "UNKNOWN",
            SymbolStatus::Vanished => "VANISHED",
        }
    }

    pub fn from_index(index: u8) -> SymbolStatus {
        use SymbolStatus::*;
        [Trading, EndOfDay, Halt, Break, CancelOnly, Unknown, Vanished]
            .into_iter()
            .find(|s| *s as u8 == index)
            .unwrap_or(Unknown)
    }
}

/// A pair as `exchangeInfo` describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolInfo {
    pub symbol: Symbol,
    /// The base and quote asset, e.g. `BTC` and `USDT`; the same rules as a symbol's name.
    pub base: Symbol,
    pub quote: Symbol,
    pub status: SymbolStatus,
    /// Smallest step of the price, 0 where the exchange does not say.
    pub tick_size: f64,
    /// Smallest step of the quantity, 0 where the exchange does not say.
    pub step_size: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_folded_and_other_scripts_are_kept() {
        assert_eq!(Symbol::new("btcusdt").unwrap().as_str(), "BTCUSDT");
        assert_eq!(Symbol::new("币安人生usdt").unwrap().as_str(), "币安人生USDT");
        assert_eq!(Symbol::new("币安人生USDT").unwrap().to_stream_name(), "币安人生usdt");
        assert_eq!(Symbol::new("1000SATSUSDT").unwrap().as_str(), "1000SATSUSDT");
    }

    #[test]
    fn what_is_no_symbol_is_refused_with_its_reason() {
        assert_eq!(Symbol::new(""), Err(BadSymbol::Empty));
        assert_eq!(Symbol::new(&"A".repeat(200)), Err(BadSymbol::TooLong(200)));
        assert_eq!(Symbol::new("BTC/USDT"), Err(BadSymbol::BadCharacter('/')));
        assert_eq!(Symbol::new("BTC\r\n"), Err(BadSymbol::BadCharacter('\r')));
        assert!(Symbol::new(&"A".repeat(64)).is_ok());
    }

    #[test]
    fn the_stable_hash_is_fnv_1a() {
        // Reference value of FNV-1a 64 for "A" (landon curt noll's test vectors: 0xaf63fc4c860222ec for "A").
        assert_eq!(Symbol::new("A").unwrap().stable_hash(), 0xaf63_fc4c_8602_22ec);
    }
}
