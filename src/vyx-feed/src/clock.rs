//! Market time: the largest time of the exchange seen so far.

use std::cell::Cell;
use vyx_core::Millis;

/// A frame may move market time so far ahead on its word alone. What claims more is more likely broken than
/// late: one such frame, once believed, could never be undone. A longer silence ends with a look at the exchange's clock.
pub const LARGEST_STEP: Millis = Millis::HOUR;

/// Does not tick by itself and never goes back.
#[derive(Debug, Default)]
pub struct MarketClock {
    now: Cell<Option<Millis>>,
}

/// What became of a time that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Advanced,
    NotNewer,
    /// Too far ahead to be believed without asking the exchange.
    Unbelievable,
}

impl MarketClock {
    /// `None` until the exchange was asked for the first time.
    pub fn now(&self) -> Option<Millis> {
        self.now.get()
    }

    /// Takes the time of an event.
    pub fn event(&self, at: Millis) -> Step {
        match self.now.get() {
            Some(now) if at <= now => Step::NotNewer,
            Some(now) if at - now <= LARGEST_STEP => self.set(at),
            _ => Step::Unbelievable,
        }
    }

    /// Takes the exchange's own clock, which is believed.
    pub fn server(&self, at: Millis) -> Step {
        if self.now.get().is_some_and(|now| at <= now) { Step::NotNewer } else { self.set(at) }
    }

    fn set(&self, at: Millis) -> Step {
        self.now.set(Some(at));
        Step::Advanced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn market_time_never_goes_back_nor_leaps_on_a_frames_word() {
        let clock = MarketClock::default();
        assert_eq!(clock.event(Millis(5)), Step::Unbelievable, "the exchange's clock comes first");
        assert_eq!(clock.server(Millis(1_000)), Step::Advanced);
        assert_eq!(clock.event(Millis(2_000)), Step::Advanced);
        assert_eq!(clock.event(Millis(1_999)), Step::NotNewer);
        assert_eq!(clock.server(Millis(1_999)), Step::NotNewer);
        assert_eq!(clock.event(Millis(2_000) + LARGEST_STEP), Step::Advanced);
        let now = clock.now().unwrap();
        assert_eq!(clock.event(now + LARGEST_STEP + Millis(1)), Step::Unbelievable);
        assert_eq!(clock.now(), Some(now));
        assert_eq!(clock.server(now + Millis::DAY), Step::Advanced);
    }
}
