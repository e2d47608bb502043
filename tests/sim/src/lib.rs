//! A simulator of the Binance spot exchange: klines and 24 h tickers over real WebSocket and HTTP, on loopback, at any
//! speed, with faults on request.
//!
//! ```text
//! symbols ─→ market ─→ publish ─→ hub ─→ ws::session ─→ client
//!  (csv)       │                  ↑ ws::control (SUBSCRIBE …)
//!              └────→ rest ─────────────────────────→ client
//! clock: market time     faults: asked by all     control: POST /control/…
//! ```
//!
//! [`Market`] is a pure function of seed, symbol and time, down to single trades, so that streams, history and tickers
//! agree to the last digit and any candle of the past exists at once. `publish` turns the passing of `clock` time
//! into events, which go through `outlet` to the `hub`, which knows who wants them. Everything runs in one thread;
//! [`Simulator`] is the handle, or [`Virtual`] for simulations in memory and in virtual time.
//!
//! Market time runs at the chosen speed: event times, server time, closes. Real time counts for all that concerns the
//! line: pings, rate limits, connection age, duration of faults.
//!
//! What the exchange does is written from its documentation and from observations of it. Nothing is taken from the
//! client under test: a shared mistake would cancel itself out.

mod clock;
mod control;
mod controls;
mod event;
mod exchange;
mod fault;
mod faults;
mod hub;
mod in_memory;
mod interval;
mod line;
mod market;
mod noise;
mod outlet;
mod prepare;
mod publish;
mod rest;
mod server;
mod settings;
mod simulator;
mod standing;
mod state;
mod symbols;
mod wanted;
mod ws;

pub use clock::replace_file;
pub use controls::Controls;
pub use exchange::Closing;
pub use fault::{Fault, KINDS, Kind, MALFORMED, Row, Shape};
pub use in_memory::Virtual;
pub use interval::Interval;
pub use market::{Csv, Kline, Market, Reader, ReaderMemory, Ticker, decimal};
pub use settings::{Settings, limits};
pub use simulator::Simulator;
pub use state::{ActiveFault, ConnectionState, State};
pub use symbols::{Status, Symbol, UNIT, demonstration, universe};
