//! What came out, read from the engine's columns: nothing is copied for the pairs that nobody asks for.

use super::clock::CHUNK;
use super::plan::Linked;
use super::run::{Engine, State};
use super::said;
use super::value::{TRUE, is_warming};
use crate::program::Kind;
use std::sync::Arc;
use vyx_core::Symbol;

/// What a program says of one candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Match,
    NoMatch,
    NotReady(NotReady),
    /// There is no such candle.
    Absent,
}

/// Why a program has nothing to say yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotReady {
    /// The exchange has too few candles.
    Warming,
    /// The result is undefined, e.g. 0/0.
    Undefined,
    /// The candle's history is not all held; ask again when it is.
    HistoryMissing,
}

/// A value as it leaves the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(f64),
    Bool(bool),
    Text(Arc<str>),
    NotReady(NotReady),
}

/// As metadata shows it. JSON has no infinity: that is null, as is what is undecided. Whole numbers stand without a
/// fraction, as far as every number of their size is exact.
impl From<Value> for serde_json::Value {
    fn from(value: Value) -> serde_json::Value {
        const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        match value {
            Value::Number(number) if number.fract() == 0.0 && number.abs() < EXACT => (number as i64).into(),
            Value::Number(number) => number.into(),
            Value::Bool(bool) => bool.into(),
            Value::Text(text) => text.to_string().into(),
            Value::NotReady(_) => serde_json::Value::Null,
        }
    }
}

/// The outcomes of one evaluation. Programs are numbered as they were given to [`Engine::set_programs`], symbols as they
/// were given to [`Engine::evaluate`].
pub struct Outcomes<'a> {
    engine: &'a Engine,
    slots: Vec<usize>,
}

impl<'a> Outcomes<'a> {
    pub(super) fn new(engine: &'a Engine, slots: Vec<usize>) -> Outcomes<'a> {
        Outcomes { engine, slots }
    }

    pub fn programs(&self) -> usize {
        self.engine.plan.programs.len()
    }

    pub fn symbols(&self) -> usize {
        self.slots.len()
    }

    /// The caller's key of a program.
    pub fn key(&self, program: usize) -> u64 {
        self.linked(program).key
    }

    pub fn symbol(&self, symbol: usize) -> &'a Symbol {
        &self.engine.lanes[self.slots[symbol]].symbol
    }

    /// What a program says of the candle.
    pub fn now(&self, program: usize, symbol: usize) -> Outcome {
        self.at(self.linked(program), self.slots[symbol])
    }

    fn at(&self, linked: &Linked, slot: usize) -> Outcome {
        let missing = linked.clocks.iter().any(|clock| self.engine.misses(*clock, slot));
        outcome(self.engine.lanes[slot].state, missing, self.engine.said.now(linked.fire, slot))
    }

    /// What a program says of the candle, symbol after symbol.
    pub fn all(&self, program: usize) -> impl Iterator<Item = Outcome> + '_ {
        let linked = self.linked(program);
        self.slots.iter().map(move |slot| self.at(linked, *slot))
    }

    /// What programs, some of them perhaps several times, say of all symbols: counted where it is that they do not match or
    /// cannot say. By far most of what is said is, so it is read as it lies, program after program.
    pub fn sift(&self, programs: &[usize]) -> Vec<Sifted> {
        let mut blocks: Vec<usize> = self.slots.iter().map(|slot| slot / CHUNK).collect();
        blocks.sort_unstable();
        blocks.dedup();
        // By place, as it is told; places that nobody asked for cost less than to tell them apart.
        let lanes = &self.engine.lanes;
        let places = lanes.len().next_multiple_of(CHUNK);
        let (mut no_match, mut not_ready, mut rest) = (vec![0; places], vec![0; places], vec![Vec::new(); places]);
        for (nth, program) in programs.iter().enumerate() {
            let linked = self.linked(*program);
            for block in &blocks {
                let places = block * CHUNK..(block + 1) * CHUNK;
                if !linked.clocks.is_empty() {
                    for slot in places.start..places.end.min(lanes.len()) {
                        match self.at(linked, slot) {
                            Outcome::NoMatch => no_match[slot] += 1,
                            Outcome::NotReady(NotReady::Warming | NotReady::Undefined) => not_ready[slot] += 1,
                            _ => rest[slot].push(nth),
                        }
                    }
                    continue;
                }
                let said = self.engine.said.of_block(linked.fire, *block);
                let counts = no_match[places.clone()].iter_mut().zip(&mut not_ready[places.clone()]);
                for ((no_match, not_ready), said) in counts.zip(said) {
                    *no_match += u32::from(*said == said::NO);
                    *not_ready += u32::from(*said > said::YES);
                }
                if said.contains(&said::YES) {
                    let matching = places.zip(said).filter(|(_, said)| **said == said::YES);
                    matching.for_each(|(slot, _)| rest[slot].push(nth));
                }
            }
        }
        let sifted = |slot: &usize| match lanes[*slot].state {
            State::Ready => {
                Sifted { no_match: no_match[*slot], not_ready: not_ready[*slot], rest: rest[*slot].clone() }
            }
            State::Absent | State::Missing => Sifted { rest: (0..programs.len()).collect(), ..Sifted::default() },
        };
        self.slots.iter().map(sifted).collect()
    }

    /// What it says of the candle before, by that candle's own history. `Absent` where the history has none.
    pub fn before(&self, program: usize, symbol: usize) -> Outcome {
        let (linked, slot) = (self.linked(program), self.slots[symbol]);
        let lane = &self.engine.lanes[slot];
        let missing = linked.clocks.iter().any(|clock| lane.missing_before[usize::from(*clock)]);
        outcome(lane.state_before, missing, self.engine.said.before(linked.fire, slot))
    }

    /// Metadata: each field's key with its value at the candle; `HistoryMissing` where nothing can be said of it.
    pub fn fields(&self, program: usize, symbol: usize) -> impl Iterator<Item = (&'a str, Value)> + use<'a> {
        let (linked, slot) = (self.linked(program), self.slots[symbol]);
        let engine = self.engine;
        let unknown =
            matches!(self.now(program, symbol), Outcome::Absent | Outcome::NotReady(NotReady::HistoryMissing));
        let keys = linked.program.program().fields.iter().map(|(key, _)| key.as_str());
        keys.zip(&linked.fields).map(move |(key, (node, kind))| {
            let value = engine.clocks[0].kept(*node, slot);
            (key, if unknown { Value::NotReady(NotReady::HistoryMissing) } else { engine.value(*kind, value) })
        })
    }

    fn linked(&self, program: usize) -> &'a Linked {
        &self.engine.plan.programs[program]
    }
}

/// What many programs say of one symbol's candle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sifted {
    pub no_match: u32,
    /// Too few candles, or undefined.
    pub not_ready: u32,
    /// Positions, in the list that was asked for, of the programs that say anything else.
    pub rest: Vec<usize>,
}

impl Engine {
    pub(super) fn value(&self, kind: Kind, value: f64) -> Value {
        if value.is_nan() {
            return Value::NotReady(not_ready(value));
        }
        match kind {
            Kind::Number => Value::Number(value),
            Kind::Bool => Value::Bool(value == TRUE),
            Kind::Text => {
                let text = self.plan.texts.get(value).expect("a text in use keeps its number");
                Value::Text(Arc::clone(text))
            }
        }
    }
}

pub(super) fn outcome(state: State, missing: bool, fire: u8) -> Outcome {
    match state {
        State::Absent => Outcome::Absent,
        State::Missing => Outcome::NotReady(NotReady::HistoryMissing),
        State::Ready if missing => Outcome::NotReady(NotReady::HistoryMissing),
        State::Ready => match fire {
            said::NO => Outcome::NoMatch,
            said::YES => Outcome::Match,
            said::WARMING => Outcome::NotReady(NotReady::Warming),
            _ => Outcome::NotReady(NotReady::Undefined),
        },
    }
}

fn not_ready(value: f64) -> NotReady {
    if is_warming(value) { NotReady::Warming } else { NotReady::Undefined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_shows_whole_numbers_without_a_fraction_and_nothing_that_json_has_not() {
        let shown = |value| serde_json::Value::from(value).to_string();
        let number = |number| shown(Value::Number(number));
        assert_eq!([number(236.0), number(-3.0), number(-0.0), number(0.1)], ["236", "-3", "0", "0.1"]);
        assert_eq!([number(9_007_199_254_740_992.0), number(1e300)], ["9007199254740992.0", "1e+300"]);
        assert_eq!([number(f64::INFINITY), shown(Value::NotReady(NotReady::Warming))], ["null", "null"]);
        assert_eq!([shown(Value::Bool(true)), shown(Value::Text("up".into()))], ["true", "\"up\""]);
    }
}
