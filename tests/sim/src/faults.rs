//! The faults in force, and the question that every place asks which can misbehave.

use crate::fault::{Fault, Kind};
use std::time::Duration;
use tokio::time::Instant;

/// The faults in force.
#[derive(Default)]
pub struct Faults {
    active: Vec<Active>,
    last_id: u64,
}

struct Active {
    id: u64,
    fault: Fault,
    until: Option<Instant>,
    left: Option<u32>,
}

impl Faults {
    /// Puts a lasting fault in force and gives it a number.
    pub fn add(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        self.active.push(Active {
            id: self.last_id,
            until: fault.for_ms.map(|millis| Instant::now() + Duration::from_millis(millis)),
            left: fault.count,
            fault,
        });
        self.last_id
    }

    /// Ends all faults, or the one of this number. Returns how many ended.
    pub fn clear(&mut self, id: Option<u64>) -> usize {
        let before = self.active.len();
        self.active.retain(|active| id.is_some_and(|id| id != active.id));
        before - self.active.len()
    }

    /// Numbers and orders of what is in force.
    pub fn list(&mut self) -> Vec<(u64, Fault)> {
        self.expire();
        self.active.iter().map(|active| (active.id, active.fault.clone())).collect()
    }

    /// The fault of this kind that applies and suits, if there is one.
    pub fn find(&mut self, kind: Kind, suits: impl Fn(&Fault) -> bool) -> Option<&Fault> {
        self.first(kind, suits).map(|active| &active.fault)
    }

    /// The same; if there is one, it has acted once.
    pub fn act(&mut self, kind: Kind, suits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let active = self.first(kind, suits)?;
        active.left = active.left.map(|left| left - 1);
        Some(active.fault.clone())
    }

    fn first(&mut self, kind: Kind, suits: impl Fn(&Fault) -> bool) -> Option<&mut Active> {
        if self.active.is_empty() {
            return None;
        }
        self.expire();
        self.active.iter_mut().find(|active| active.fault.kind == kind && suits(&active.fault))
    }

    /// [`Faults::act`] for an event of this symbol and interval.
    pub fn act_on(&mut self, kind: Kind, symbol: Option<&str>, interval: Option<&str>) -> Option<Fault> {
        self.act(kind, |fault| fault.concerns(symbol, interval))
    }

    fn expire(&mut self) {
        let now = Instant::now();
        self.active.retain(|active| active.until.is_none_or(|until| now < until) && active.left != Some(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_ends_after_its_count_and_suits_only_its_scope() {
        let mut faults = Faults::default();
        let missing = Fault { symbol: Some("BTCUSDT".into()), count: Some(2), ..Fault::new(Kind::MissingClose) };
        faults.add(missing);
        assert!(faults.act_on(Kind::MissingClose, Some("ETHUSDT"), Some("1m")).is_none());
        for _ in 0..2 {
            assert!(faults.act_on(Kind::MissingClose, Some("BTCUSDT"), Some("1m")).is_some());
        }
        assert!(faults.act_on(Kind::MissingClose, Some("BTCUSDT"), Some("1m")).is_none());
        assert!(faults.list().is_empty());
    }
}
