//! The sequence lock: one writer, any number of readers, no reader ever holds anything.
//!
//! The writer makes the sequence odd, changes the words, makes it even again. A reader copies the words
//! between two looks at the sequence and throws the copy away unless both saw the same even number. All
//! words are atomics, so a race costs a retry and is never undefined behaviour, across processes too:
//! 64-bit atomics are lock-free, hence address-free, on every platform that has them.

use crate::sync::{AtomicU64, Ordering, fence, pause};

/// How often a reader copies before it gives up. With the pauses between it is about a millisecond: longer
/// than any write, short enough for a query when the writer died in mid-write and is being restarted.
#[cfg(not(loom))]
pub(crate) const MAX_TRIES: u32 = 64;
/// A try knows nothing of the one before, so what loom finds true of one is true of all.
#[cfg(loom)]
pub(crate) const MAX_TRIES: u32 = 1;

/// Runs `change`, whose stores readers see all or not at all. One writer at a time; what it does when it
/// finds the sequence odd, left by a writer that died, is right too.
pub(crate) fn write<T>(sequence: &AtomicU64, change: impl FnOnce() -> T) -> T {
    let odd = sequence.load(Ordering::Relaxed).wrapping_add(1) | 1;
    sequence.store(odd, Ordering::Relaxed);
    // No store of `change` may become visible before the odd sequence.
    fence(Ordering::Release);
    let result = change();
    sequence.store(odd.wrapping_add(1), Ordering::Release);
    result
}

/// Runs `copy` until no write overlapped it, [`MAX_TRIES`] times at most; `None` after that. What `copy`
/// sees in a failed try may be any mixture of old and new words, so it must not trust them to agree.
pub(crate) fn read<T>(sequence: &AtomicU64, mut copy: impl FnMut() -> T) -> Option<T> {
    for attempt in 0..MAX_TRIES {
        let before = sequence.load(Ordering::Acquire);
        if before & 1 == 0 {
            let copied = copy();
            // No load of `copy` may happen after the second look at the sequence.
            fence(Ordering::Acquire);
            if sequence.load(Ordering::Relaxed) == before {
                return Some(copied);
            }
        }
        pause(attempt);
    }
    None
}

/// Whether a writer is in the middle of a change, or died there.
pub(crate) fn is_odd(sequence: &AtomicU64) -> bool {
    sequence.load(Ordering::Relaxed) & 1 == 1
}
