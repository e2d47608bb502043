//! Where the store's atomics come from: the standard library, or loom when its models are checked.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Waits before attempt number `attempt + 1`: first by spinning, since a write takes some 30 ns, then by
/// giving the processor away, since a writer may have been preempted in mid-write and be waiting for it.
#[cfg(not(loom))]
pub(crate) fn pause(attempt: u32) {
    match attempt {
        0..8 => std::hint::spin_loop(),
        8..48 => std::thread::yield_now(),
        _ => std::thread::sleep(std::time::Duration::from_micros(10)),
    }
}

#[cfg(loom)]
pub(crate) fn pause(_attempt: u32) {
    loom::thread::yield_now();
}
