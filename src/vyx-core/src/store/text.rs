//! A short text in shared memory.

use super::seqlock;
use crate::sync::{AtomicU64, Ordering};

/// Longest text of a [`TextSlot`], in bytes of UTF-8; what is longer is cut at a character.
pub const MAX_TEXT_BYTES: usize = 200;

/// Words of a slot: sequence, length, bytes.
pub(crate) const WORDS: usize = 2 + MAX_TEXT_BYTES / 8;

/// A text that one process writes and any process reads whole.
#[derive(Clone, Copy)]
pub struct TextSlot<'a> {
    sequence: &'a AtomicU64,
    len: &'a AtomicU64,
    bytes: &'a [AtomicU64],
}

impl<'a> TextSlot<'a> {
    pub(crate) fn over(words: &'a [AtomicU64]) -> TextSlot<'a> {
        TextSlot { sequence: &words[0], len: &words[1], bytes: &words[2..WORDS] }
    }

    pub fn set(&self, text: &str) {
        let text = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
        seqlock::write(self.sequence, || {
            self.len.store(text.len() as u64, Ordering::Relaxed);
            store_bytes(self.bytes, text.as_bytes());
        });
    }

    /// The text, or an empty one where its writer died while writing it.
    pub fn get(&self) -> String {
        let copied = seqlock::read(self.sequence, || {
            let mut buffer = [0; MAX_TEXT_BYTES];
            load_bytes(self.bytes, &mut buffer);
            (buffer, self.len.load(Ordering::Relaxed) as usize)
        });
        copied.map_or(String::new(), |(buffer, len)| {
            String::from_utf8_lossy(&buffer[..len.min(MAX_TEXT_BYTES)]).into_owned()
        })
    }
}

/// Packs `bytes` into `words`, eight a word, zeroes behind them. `words` must have room.
fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    for (i, word) in words.iter().enumerate() {
        let mut eight = [0; 8];
        let rest = bytes.get(i * 8..).unwrap_or(&[]);
        let n = rest.len().min(8);
        eight[..n].copy_from_slice(&rest[..n]);
        word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
    }
}

/// Unpacks what [`store_bytes`] packed, as many words as both have.
fn load_bytes(words: &[AtomicU64], bytes: &mut [u8]) {
    for (word, eight) in words.iter().zip(bytes.chunks_exact_mut(8)) {
        eight.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_and_a_long_one_cut_at_a_character() {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let slot = TextSlot::over(&words);
        assert_eq!(slot.get(), "");
        slot.set("connected, 3 streams");
        assert_eq!(slot.get(), "connected, 3 streams");
        slot.set(&"币".repeat(100));
        assert_eq!(slot.get(), "币".repeat(66), "66 × 3 = 198 bytes, the 67th does not fit");
        slot.set("");
        assert_eq!(slot.get(), "");
    }

    #[test]
    fn a_writer_that_died_in_mid_write_leaves_an_empty_text_until_the_next_is_set() {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let slot = TextSlot::over(&words);
        slot.set("before");
        slot.sequence.fetch_add(1, Ordering::Relaxed);
        assert_eq!(slot.get(), "");
        slot.set("after");
        assert_eq!(slot.get(), "after");
    }
}
