//! How long things took: counts by duration, for the metrics.

use super::Store;
use super::health::named;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

named! {
    /// What is timed.
    Histogram {
        Wait "cycle_wait_seconds" "From the first sight of a close to its evaluation, spent on waiting for data; one each time that was longer than before.",
        Evaluate "cycle_evaluate_seconds" "Spent on evaluating, one each time a close is written.",
        Write "cycle_write_seconds" "Spent on writing up to the commit, one each time a close is written.",
        Lag "cycle_lag_seconds" "From a close to its evaluation in market time, one each time a close is written.",
    }
}

/// Upper bounds of the buckets, in milliseconds; what takes longer than the last is in one bucket more. From a close of
/// few traders to a catch-up after an hour.
pub const BUCKETS: [u64; 16] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000, 600_000, 3_600_000];

/// Words of one: the sum in microseconds, then a count a bucket.
pub(super) const WORDS: usize = 2 + BUCKETS.len();

/// What a histogram holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Of each bucket alone, not of those below it.
    pub buckets: [u64; BUCKETS.len() + 1],
    pub sum: Duration,
}

impl<'a> Store<'a> {
    fn histogram_words(&self, histogram: Histogram) -> &'a [AtomicU64] {
        let begin = self.layout.histograms + histogram as usize * WORDS;
        &self.words[begin..begin + WORDS]
    }

    /// Counts a duration; any process may.
    pub fn observe(&self, histogram: Histogram, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| bound * 1_000 < micros);
        let words = self.histogram_words(histogram);
        words[0].fetch_add(micros, Ordering::Relaxed);
        words[1 + bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub fn histogram(&self, histogram: Histogram) -> Counts {
        let words = self.histogram_words(histogram);
        Counts {
            buckets: std::array::from_fn(|bucket| words[1 + bucket].load(Ordering::Relaxed)),
            sum: Duration::from_micros(words[0].load(Ordering::Relaxed)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::tests::store;
    use super::*;
    use crate::Interval;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_is_not_below_it() {
        let store = store(1, &[(Interval::M1, 1)]);
        let micros = [0, 1_000, 1_001, 9_999, 10_000, 3_600_000_000, 3_600_000_001, 90_000_000_000];
        micros.iter().for_each(|micros| store.observe(Histogram::Write, Duration::from_micros(*micros)));
        let counts = store.histogram(Histogram::Write);
        let mut expected = [0; BUCKETS.len() + 1];
        [expected[0], expected[1], expected[3], expected[15], expected[16]] = [2, 1, 2, 1, 2];
        assert_eq!(counts.buckets, expected);
        assert_eq!(counts.sum, Duration::from_micros(micros.iter().sum()));
        assert_eq!(store.histogram(Histogram::Lag).buckets, [0; BUCKETS.len() + 1], "its neighbours are not touched");
        assert_eq!(store.histogram(Histogram::Evaluate).sum, Duration::ZERO);
    }
}
