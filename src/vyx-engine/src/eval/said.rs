//! What programs said last: for each rule one byte a symbol, at the symbol's newest candle and at the one before.

use super::clock::CHUNK;
use super::value::{TRUE, UNDEFINED};

/// A rule's value in a byte.
pub(super) const NO: u8 = 0;
pub(super) const YES: u8 = 1;
pub(super) const WARMING: u8 = 2;

pub(super) fn code(value: f64) -> u8 {
    let undecided = u8::from(value.is_nan()) << 1 | u8::from(value.to_bits() == UNDEFINED.to_bits());
    u8::from(value == TRUE) | undecided
}

/// In blocks of as many places as take a step together, rule after rule: a step writes straight on.
#[derive(Default)]
pub(super) struct Said {
    rules: usize,
    /// By block, then rule.
    rows: Vec<Row>,
}

/// What one rule said of the places of a block.
#[derive(Clone, Copy)]
struct Row {
    now: [u8; CHUNK],
    before: [u8; CHUNK],
}

const UNKNOWN: Row = Row { now: [WARMING; CHUNK], before: [WARMING; CHUNK] };

impl Said {
    /// Nothing known of `places` symbols, unless it is taken over: `theirs` gives for each rule its old position, if it was
    /// there before.
    pub fn new(places: usize, old: &Said, theirs: &[Option<usize>]) -> Said {
        let mut said = Said { rules: theirs.len(), rows: Vec::new() };
        said.grow(places);
        let blocks = said.rows.chunks_mut(theirs.len().max(1)).zip(old.rows.chunks(old.rules.max(1)));
        for (mine, old) in blocks {
            for (row, theirs) in mine.iter_mut().zip(theirs) {
                *row = theirs.map_or(UNKNOWN, |theirs| old[theirs]);
            }
        }
        said
    }

    pub fn grow(&mut self, places: usize) {
        self.rows.resize(places.div_ceil(CHUNK) * self.rules, UNKNOWN);
    }

    /// What was said at the newest candle is now what was said before.
    pub fn pass(&mut self, place: usize) {
        let lane = place % CHUNK;
        self.block(place / CHUNK).iter_mut().for_each(|row| row.before[lane] = row.now[lane]);
    }

    /// A rule's value for a symbol.
    pub fn say(&mut self, rule: usize, place: usize, value: f64) {
        self.block(place / CHUNK)[rule].now[place % CHUNK] = code(value);
    }

    /// A rule's values at the next candle of these symbols, in order of their places.
    pub fn step(&mut self, rule: usize, places: &[usize], values: &[f64]) {
        if places.len() == CHUNK && places[0].is_multiple_of(CHUNK) && places[CHUNK - 1] == places[0] + CHUNK - 1 {
            let row = &mut self.block(places[0] / CHUNK)[rule];
            row.before = row.now;
            row.now.iter_mut().zip(values).for_each(|(now, value)| *now = code(*value));
            return;
        }
        for (place, value) in places.iter().zip(values) {
            let (row, lane) = (&mut self.block(place / CHUNK)[rule], place % CHUNK);
            row.before[lane] = row.now[lane];
            row.now[lane] = code(*value);
        }
    }

    /// What a rule says of the places of a block, from its first on.
    pub fn of_block(&self, rule: usize, block: usize) -> &[u8; CHUNK] {
        &self.rows[block * self.rules + rule].now
    }

    pub fn now(&self, rule: usize, place: usize) -> u8 {
        self.rows[place / CHUNK * self.rules + rule].now[place % CHUNK]
    }

    pub fn before(&self, rule: usize, place: usize) -> u8 {
        self.rows[place / CHUNK * self.rules + rule].before[place % CHUNK]
    }

    fn block(&mut self, number: usize) -> &mut [Row] {
        &mut self.rows[number * self.rules..][..self.rules]
    }
}
