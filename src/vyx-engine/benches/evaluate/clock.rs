//! Processor time: what else the machine does meanwhile is not in it, but for the caches that it takes.

use std::fs;
use std::time::{Duration, Instant};

/// The processor time of this thread that some work takes; where the system does not tell, the time that passes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let (started, before) = (Instant::now(), used());
    let result = work();
    let elapsed = started.elapsed();
    (before.and_then(|before| used()?.checked_sub(before)).unwrap_or(elapsed), result)
}

/// Linux counts in nanoseconds, and brings the count up to date when a thread offers its place to others.
fn used() -> Option<Duration> {
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
