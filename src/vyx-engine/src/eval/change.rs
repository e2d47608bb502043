//! Programs come and go: what stays keeps its states.

use super::clock::Clock;
use super::plan::{CallKey, ClockPlan, Id, Plan, Step};
use super::run::Engine;
use super::said::Said;
use crate::check::Checked;
use std::sync::Arc;
use vyx_core::Interval;

/// A program of another interval was given to an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("program {key} is for {found}, not {expected}")]
pub struct WrongInterval {
    pub key: u64,
    pub found: Interval,
    pub expected: Interval,
}

impl Engine {
    /// From now on evaluates these programs. Nodes that stay keep their states; the keys are the caller's.
    ///
    /// # Errors
    /// A program of another interval; nothing is changed then.
    pub fn set_programs(&mut self, programs: Vec<(u64, Arc<Checked>)>) -> Result<(), WrongInterval> {
        let expected = self.interval;
        if let Some((key, program)) = programs.iter().find(|(_, program)| program.interval() != expected) {
            return Err(WrongInterval { key: *key, found: program.interval(), expected });
        }
        self.version += 1;
        let plan = Plan::build(self.interval, &programs, &self.plan.texts);
        let old_plan = std::mem::replace(&mut self.plan, plan);
        let mut old_clocks = std::mem::take(&mut self.clocks);
        let old_said = std::mem::take(&mut self.said);
        self.drop_prepared();
        // By clock: its old position, and each node's old number.
        let mut known: Vec<Option<(usize, Vec<Option<Id>>)>> = vec![None; self.plan.clocks.len()];
        let mut clocks: Vec<Clock> = Vec::with_capacity(self.plan.clocks.len());
        clocks.resize_with(self.plan.clocks.len(), Clock::default);
        // The traders' own clock last, since it refers to the others.
        for position in (0..self.plan.clocks.len()).rev() {
            let plan = &self.plan.clocks[position];
            let places = if plan.key.symbol.is_some() { 1 } else { self.lanes.len() };
            let slots = if position == 0 { self.slots } else { places };
            clocks[position] = Clock::new(plan, places, slots, self.version, self.stop);
            let Some(old) = old_plan.clocks.iter().position(|clock| clock.key == plan.key) else { continue };
            let (nodes, calls) = correspond(plan, &old_plan.clocks[old], |clock, node| {
                let (old, nodes) = known[usize::from(clock)].as_ref()?;
                Some((u16::try_from(*old).ok()?, nodes[node as usize]?))
            });
            clocks[position].adopt(&mut old_clocks[old], &nodes, &calls);
            known[position] = Some((old, nodes));
        }
        self.clocks = clocks;
        let same = |fire: &Id| {
            let node = known[0].as_ref()?.1[*fire as usize]?;
            old_plan.fires.iter().position(|old| *old == node)
        };
        let theirs: Vec<_> = self.plan.fires.iter().map(same).collect();
        self.said = Said::new(self.lanes.len(), &old_said, &theirs);
        // What no program asked for before was computed, but not kept.
        for (fire, _) in self.plan.fires.iter().zip(&theirs).filter(|(_, theirs)| theirs.is_none()) {
            self.clocks[0].since[*fire as usize] = self.version;
        }
        let new = self.clocks[0].since.contains(&self.version);
        for lane in &mut self.lanes {
            let old = |known: &Option<(usize, Vec<_>)>| known.as_ref().map(|(position, _)| *position);
            lane.links = known.iter().map(|k| old(k).and_then(|p| lane.links.get(p).copied().flatten())).collect();
            lane.missing_before =
                known.iter().map(|k| old(k).is_some_and(|p| lane.missing_before.get(p) == Some(&true))).collect();
            if !new && lane.version + 1 == self.version {
                lane.version = self.version;
            }
        }
        Ok(())
    }
}

/// The old number of each node and each call of a clock, where there is an equal one. `align` renumbers what other
/// clocks' nodes are referred to by.
fn correspond(
    plan: &ClockPlan,
    old: &ClockPlan,
    align: impl Fn(u16, Id) -> Option<(u16, Id)>,
) -> (Vec<Option<Id>>, Vec<Option<u32>>) {
    let mut nodes: Vec<Option<Id>> = Vec::with_capacity(plan.steps.len());
    let mut calls: Vec<Option<u32>> = vec![None; plan.calls.len()];
    for step in &plan.steps {
        if let Step::Call(call, 0) = step {
            let key = plan.calls[*call as usize].renumbered(|id| nodes[id as usize]);
            calls[*call as usize] = key.and_then(|key: CallKey| old.find_call(&key));
        }
        let step = step.renumbered(|id| nodes[id as usize], |call| calls[call as usize], &align);
        nodes.push(step.and_then(|step| old.find(step)));
    }
    (nodes, calls)
}
