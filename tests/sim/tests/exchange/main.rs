//! The simulator as a client meets it: real sockets on loopback, or pipes in virtual time, parsed with nothing but serde_json.

mod candles;
mod faults;
mod harness;
mod history;
mod listings;
mod load;
mod process;
mod sessions;
mod streams;
mod virtual_time;
