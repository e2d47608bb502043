//! What is due, its outcomes, and the batch that is written. Knows neither who asked nor how scripts are compiled.

pub mod market;
