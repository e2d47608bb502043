//! What may be sent when: REST weight, and attempts to connect. Pure: the present comes in as an argument.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// So much of a minute's budget may be spent at once: ten seconds' worth. In the worst case a minute of the exchange
/// sees budget and burst together, 4,000 + 667, which is below its 6,000.
const BURST: f64 = 1.0 / 6.0;
/// When the exchange says that more is used than the budget allows (others share the address), look again
/// after so long. Its window is a minute; a look costs the smallest request.
const OVERDRAWN_PAUSE: Duration = Duration::from_secs(5);

/// Spends weight evenly, and not at all while the exchange forbids it.
#[derive(Debug)]
pub struct WeightBudget {
    per_minute: u32,
    available: f64,
    counted_at: Instant,
    stopped_until: Instant,
}

impl WeightBudget {
    pub fn new(per_minute: u32, now: Instant) -> WeightBudget {
        let available = f64::from(per_minute) * BURST;
        WeightBudget { per_minute, available, counted_at: now, stopped_until: now }
    }

    /// Takes another budget from now on.
    pub fn set(&mut self, per_minute: u32, now: Instant) {
        self.refill(now);
        self.per_minute = per_minute;
    }

    /// Spends `weight` if that is allowed now; otherwise returns how long to wait before asking again.
    pub fn take(&mut self, weight: u32, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        if now < self.stopped_until {
            return Err(self.stopped_until - now);
        }
        let weight = f64::from(weight);
        // A single request may be heavier than a small budget's burst: it waits until the bucket is full.
        let needed = weight.min(self.burst());
        if self.available < needed {
            let per_second = f64::from(self.per_minute) / 60.0;
            return Err(Duration::from_secs_f64((needed - self.available) / per_second) + Duration::from_millis(1));
        }
        self.available -= weight;
        Ok(())
    }

    /// Nothing may be sent for so long.
    pub fn stop_for(&mut self, pause: Duration, now: Instant) {
        self.stopped_until = self.stopped_until.max(now + pause);
    }

    /// How long nothing may be sent.
    pub fn stopped_for(&self, now: Instant) -> Duration {
        self.stopped_until.saturating_duration_since(now)
    }

    /// The exchange's own count of its current minute.
    pub fn used(&mut self, weight: u32, now: Instant) {
        if weight > self.per_minute {
            self.stop_for(OVERDRAWN_PAUSE, now);
        }
    }

    fn burst(&self) -> f64 {
        f64::from(self.per_minute) * BURST
    }

    fn refill(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.counted_at).as_secs_f64() * f64::from(self.per_minute) / 60.0;
        self.available = (self.available + earned).min(self.burst());
        self.counted_at = now;
    }
}

/// The exchange allows 300 attempts to connect in 5 minutes from an address, and bans those who go on.
pub const CONNECT_ATTEMPTS: usize = 250;
const CONNECT_WINDOW: Duration = Duration::from_secs(300);

/// Counts own attempts to connect in a sliding window.
#[derive(Debug, Default)]
pub struct ConnectBudget {
    attempts: VecDeque<Instant>,
}

impl ConnectBudget {
    /// Counts an attempt if one is allowed now; otherwise returns how long to wait before asking again.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        while self.attempts.front().is_some_and(|first| now.duration_since(*first) >= CONNECT_WINDOW) {
            self.attempts.pop_front();
        }
        if let (true, Some(first)) = (self.attempts.len() >= CONNECT_ATTEMPTS, self.attempts.front()) {
            return Err(*first + CONNECT_WINDOW - now);
        }
        self.attempts.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spends as fast as allowed for `span` and returns what was spent.
    fn spent(budget: &mut WeightBudget, weight: u32, start: Instant, span: Duration) -> u32 {
        let (mut now, mut total) = (start, 0);
        while now < start + span {
            match budget.take(weight, now) {
                Ok(()) => total += weight,
                Err(pause) => now += pause,
            }
        }
        total
    }

    #[test]
    fn a_minute_costs_at_most_the_budget_and_one_burst() {
        let start = Instant::now();
        for weight in [1, 2, 20, 80] {
            let total = spent(&mut WeightBudget::new(4_000, start), weight, start, Duration::from_secs(60));
            assert!(total <= 4_000 + 667 && total > 3_900, "{weight}: {total}");
        }
    }

    #[test]
    fn a_request_heavier_than_the_burst_is_sent_in_the_end() {
        let start = Instant::now();
        let mut budget = WeightBudget::new(120, start);
        assert_eq!(budget.take(80, start), Ok(()));
        let pause = budget.take(1, start).unwrap_err();
        assert!(pause > Duration::from_secs(30) && pause < Duration::from_secs(35), "{pause:?}");
    }

    #[test]
    fn nothing_is_sent_while_the_exchange_forbids_it() {
        let start = Instant::now();
        let mut budget = WeightBudget::new(4_000, start);
        budget.stop_for(Duration::from_secs(7), start);
        budget.stop_for(Duration::from_secs(1), start);
        assert_eq!(budget.take(1, start + Duration::from_secs(6)), Err(Duration::from_secs(1)));
        assert_eq!(budget.take(1, start + Duration::from_secs(7)), Ok(()));
    }

    #[test]
    fn what_others_spent_counts() {
        let start = Instant::now();
        let mut budget = WeightBudget::new(4_000, start);
        budget.used(4_000, start);
        assert_eq!(budget.take(1, start), Ok(()));
        budget.used(4_001, start);
        assert_eq!(budget.take(1, start), Err(OVERDRAWN_PAUSE));
    }

    #[test]
    fn attempts_to_connect_stay_below_the_exchanges_limit_in_any_window() {
        let start = Instant::now();
        let mut budget = ConnectBudget::default();
        let allowed = (0..400).filter(|i| budget.take(start + Duration::from_millis(*i)).is_ok()).count();
        assert_eq!(allowed, CONNECT_ATTEMPTS);
        let pause = budget.take(start + Duration::from_secs(1)).unwrap_err();
        assert_eq!(pause, Duration::from_secs(299));
        assert_eq!(budget.take(start + CONNECT_WINDOW), Ok(()));
    }
}
