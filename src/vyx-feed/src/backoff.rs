//! How long to wait after a failure. Pure: randomness comes in as an argument.

use std::time::Duration;

/// The first pause. A connection that was merely cut is back well within 2 s.
pub const SHORTEST: Duration = Duration::from_millis(250);
/// The ceiling: after an outage of any length the feed is back within half a minute of its end.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Doubling pauses between [`SHORTEST`] and [`LONGEST`].
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure: a doubling base, of which `random` (0 to 1) takes off up to a half, so that
    /// clients cut at the same moment do not come back at the same moment.
    pub fn next(&mut self, random: f64) -> Duration {
        let base = SHORTEST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        base.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
    }

    /// Forgets the failures after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses_double_up_to_the_ceiling_and_start_again_after_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..9).map(|_| backoff.next(0.0).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), SHORTEST);
    }

    proptest! {
        #[test]
        fn a_pause_stays_within_bounds_for_ever(failures in 0u32.., random in 0.0f64..=1.0) {
            let pause = Backoff { failures }.next(random);
            prop_assert!(pause >= SHORTEST / 2 && pause <= LONGEST);
        }
    }
}
