pub mod clock;
pub mod interval;
pub mod market;
mod noise;
pub mod symbols;
