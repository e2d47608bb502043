//! What programs said last: for each symbol one byte a rule, at its newest candle and at the one before.

use super::value::{TRUE, UNDEFINED};

/// A rule's value in a byte.
pub(super) const NO: u8 = 0;
pub(super) const YES: u8 = 1;
pub(super) const WARMING: u8 = 2;

pub(super) fn code(value: f64) -> u8 {
    let undecided = u8::from(value.is_nan()) << 1 | u8::from(value.to_bits() == UNDEFINED.to_bits());
    u8::from(value == TRUE) | undecided
}

/// The rows of all symbols. What is written goes along a column of values, what is read along a row.
#[derive(Default)]
pub(super) struct Said {
    width: usize,
    now: Vec<u8>,
    before: Vec<u8>,
}

impl Said {
    /// Nothing known of `places` symbols and `width` rules.
    pub fn new(places: usize, width: usize) -> Said {
        Said { width, now: vec![WARMING; places * width], before: vec![WARMING; places * width] }
    }

    pub fn grow(&mut self, places: usize) {
        self.now.resize(places * self.width, WARMING);
        self.before.resize(places * self.width, WARMING);
    }

    /// Takes over what is known of the same rules; `theirs` gives each one's old position.
    pub fn adopt(&mut self, old: &Said, theirs: &[Option<usize>]) {
        let rows = |said: &Said| if said.width == 0 { 0 } else { said.now.len() / said.width };
        for place in 0..rows(self).min(rows(old)) {
            for (rule, theirs) in theirs.iter().enumerate().filter_map(|(rule, theirs)| Some((rule, (*theirs)?))) {
                self.now[place * self.width + rule] = old.now[place * old.width + theirs];
                self.before[place * self.width + rule] = old.before[place * old.width + theirs];
            }
        }
    }

    /// What was said at the newest candle is now what was said before.
    pub fn pass(&mut self, place: usize) {
        let row = place * self.width..(place + 1) * self.width;
        self.before[row.clone()].copy_from_slice(&self.now[row]);
    }

    /// A rule's values for these symbols.
    pub fn say(&mut self, rule: usize, places: &[usize], values: &[f64]) {
        for (place, value) in places.iter().zip(values) {
            self.now[place * self.width + rule] = code(*value);
        }
    }

    pub fn now(&self, place: usize) -> &[u8] {
        &self.now[place * self.width..(place + 1) * self.width]
    }

    pub fn before(&self, place: usize) -> &[u8] {
        &self.before[place * self.width..(place + 1) * self.width]
    }
}
