//! The store's past as bytes, so that the next server start has it: closed klines, tickers, symbols, the ledger of gaps.
//!
//! A snapshot is a header and then rounds. The first round holds everything, each later one what has changed since; a
//! round ends with a commit, and what stands behind the last commit does not count. Every record has a checksum that
//! goes on from the one before, so nothing can be damaged, missing or moved unnoticed. Records name symbols and
//! intervals, never places, so a store of another shape takes what it has room for.
//!
//! Here are bytes only; whose bytes they are, file or memory, is somebody else's business.

mod format;
mod record;
mod restore;
mod take;
#[cfg(all(test, not(loom)))]
mod tests;

pub use format::{BadSnapshot, Encoder, Extent, Header, scan};
pub use restore::restore;
pub use take::Round;
