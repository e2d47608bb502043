//! Every way to a value gives the same bits, and they are those of a slow, obvious evaluator.

mod functions;
mod history;
mod market;
mod programs;
mod reference;
mod seeds;
mod truth;
mod worlds;
