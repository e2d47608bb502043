//! What programs said last: for each rule one byte a symbol, at the symbol's newest candle and at the one before.

use super::value::{TRUE, UNDEFINED};

/// A rule's value in a byte.
pub(super) const NO: u8 = 0;
pub(super) const YES: u8 = 1;
pub(super) const WARMING: u8 = 2;

pub(super) fn code(value: f64) -> u8 {
    let undecided = u8::from(value.is_nan()) << 1 | u8::from(value.to_bits() == UNDEFINED.to_bits());
    u8::from(value == TRUE) | undecided
}

/// By rule.
#[derive(Default)]
pub(super) struct Said(Vec<Row>);

/// One rule's values, by place.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub now: Vec<u8>,
    pub before: Vec<u8>,
}

impl Said {
    /// Nothing known of `places` symbols and `rules` rules, unless it is taken over: `theirs` gives the old position of
    /// each that was there before.
    pub fn new(places: usize, old: &mut Said, theirs: &[Option<usize>]) -> Said {
        let mut said = Said(vec![Row::default(); theirs.len()]);
        for (row, theirs) in said.0.iter_mut().zip(theirs).filter_map(|(row, theirs)| Some((row, (*theirs)?))) {
            std::mem::swap(row, &mut old.0[theirs]);
        }
        said.grow(places);
        said
    }

    pub fn grow(&mut self, places: usize) {
        for row in &mut self.0 {
            row.now.resize(places, WARMING);
            row.before.resize(places, WARMING);
        }
    }

    /// What was said at the newest candle is now what was said before.
    pub fn pass(&mut self, place: usize) {
        self.0.iter_mut().for_each(|row| row.before[place] = row.now[place]);
    }

    /// A rule's value for a symbol.
    pub fn say(&mut self, rule: usize, place: usize, value: f64) {
        self.0[rule].now[place] = code(value);
    }

    /// A rule's values at the next candle of these symbols, in order of their places.
    pub fn step(&mut self, rule: usize, places: &[usize], values: &[f64]) {
        let Row { now, before } = &mut self.0[rule];
        let (first, last) = (places[0], places[places.len() - 1]);
        if last - first + 1 == places.len() {
            let range = first..=last;
            before[range.clone()].copy_from_slice(&now[range.clone()]);
            now[range].iter_mut().zip(values).for_each(|(now, value)| *now = code(*value));
        } else {
            for (place, value) in places.iter().zip(values) {
                before[*place] = now[*place];
                now[*place] = code(*value);
            }
        }
    }

    pub fn row(&self, rule: usize) -> &Row {
        &self.0[rule]
    }
}
