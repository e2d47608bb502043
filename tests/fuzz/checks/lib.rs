//! What must hold for whatever bytes: the same checks for the fuzz targets, which use this crate, and for the replay of
//! the corpora in `tests/corpus.rs` of vyx-core, vyx-feed and vyx-engine and `tests/main.rs` of vyx-compiler, which include
//! its files.

pub mod program;
pub mod script;
pub mod snapshot;
pub mod wire;
