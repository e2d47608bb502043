//! Market time: the largest time of the exchange seen so far.

use std::cell::Cell;
use vyx_core::Millis;

/// A frame may move market time so far on its word alone: further than between two events of a living market, and not
/// so far that a broken frame could do harm.
const LARGEST_STEP: Millis = Millis(10_000);
/// A frame that claims more than this is more likely broken than late, and so is a second one like it: once believed, they
/// could never be undone. A longer silence ends with a look at the exchange's clock.
pub const LARGEST_CLAIM: Millis = Millis::HOUR;

/// Does not tick by itself and never goes back.
#[derive(Debug, Default)]
pub struct MarketClock {
    now: Cell<Option<Millis>>,
    /// What a frame has claimed that nothing has agreed to yet.
    claim: Cell<Option<Claim>>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    at: Millis,
    frame: u64,
}

/// What became of a time that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Market time is now this.
    Advanced(Millis),
    NotNewer,
    /// Further ahead than one frame is believed: market time waits for a second one.
    Claimed,
    /// Too far ahead to be believed without asking the exchange.
    Unbelievable,
}

impl MarketClock {
    /// `None` until the exchange was asked for the first time.
    pub fn now(&self) -> Option<Millis> {
        self.now.get()
    }

    /// Takes the time of an event in this frame. All the events of one frame are one witness.
    pub fn event(&self, at: Millis, frame: u64) -> Step {
        let Some(now) = self.now.get() else { return Step::Unbelievable };
        if at <= now {
            return Step::NotNewer;
        }
        if at - now > LARGEST_CLAIM {
            return Step::Unbelievable;
        }
        if at - now <= LARGEST_STEP {
            return self.set(at);
        }
        match self.claim.get() {
            // Of two that claim much the smaller is right enough: what it lacks comes with the next frames.
            Some(claim) if claim.frame != frame => self.set(at.min(claim.at)),
            claim => {
                let at = claim.map_or(at, |claim| claim.at.min(at));
                self.claim.set(Some(Claim { at, frame }));
                Step::Claimed
            }
        }
    }

    /// Takes the exchange's own clock, which is believed.
    pub fn server(&self, at: Millis) -> Step {
        if self.now.get().is_some_and(|now| at <= now) { Step::NotNewer } else { self.set(at) }
    }

    /// Who claimed more than this is on his own.
    fn set(&self, at: Millis) -> Step {
        self.now.set(Some(at));
        self.claim.set(None);
        Step::Advanced(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn market_time_never_goes_back_nor_leaps_on_a_frames_word() {
        let clock = MarketClock::default();
        assert_eq!(clock.event(Millis(5), 1), Step::Unbelievable, "the exchange's clock comes first");
        assert_eq!(clock.server(Millis(1_000)), Step::Advanced(Millis(1_000)));
        assert_eq!(clock.event(Millis(2_000), 2), Step::Advanced(Millis(2_000)));
        assert_eq!(clock.event(Millis(1_999), 3), Step::NotNewer);
        assert_eq!(clock.server(Millis(1_999)), Step::NotNewer);
        let now = clock.now().unwrap();
        assert_eq!(clock.event(now + LARGEST_CLAIM + Millis(1), 4), Step::Unbelievable);
        assert_eq!(clock.now(), Some(now));
        assert_eq!(clock.server(now + Millis::DAY), Step::Advanced(now + Millis::DAY));
    }

    #[test]
    fn a_large_step_needs_two_frames_and_the_smaller_claim_counts() {
        let clock = MarketClock::default();
        let start = Millis(1_000_000);
        clock.server(start);
        assert_eq!(clock.event(start + Millis(10_000), 1), Step::Advanced(start + Millis(10_000)));
        let (now, minute) = (start + Millis(10_000), Millis::MINUTE);
        assert_eq!(clock.event(now + Millis::HOUR, 2), Step::Claimed);
        assert_eq!(clock.event(now + Millis::HOUR, 2), Step::Claimed, "the same frame is no second witness");
        assert_eq!(clock.event(now + minute, 3), Step::Advanced(now + minute));
        assert_eq!(clock.event(now + Millis::HOUR, 4), Step::Claimed, "and the first claim is forgotten");
        // What goes on as before contradicts it.
        assert_eq!(clock.event(now + minute + Millis(1), 5), Step::Advanced(now + minute + Millis(1)));
        assert_eq!(clock.event(now + Millis::HOUR, 6), Step::Claimed);
    }
}
