//! What this session's database can say: symbols may have letters of any script, and some databases only a few of them.

#![allow(unsafe_code)]

use pgrx::pg_sys;
use vyx_core::Symbol;
use vyx_core::store::{Store, SymbolEntry};

/// The symbols of the store whose names can be handed to SQL here.
pub fn symbols(store: Store<'static>) -> impl Iterator<Item = SymbolEntry> {
    store.symbols().filter_map(move |id| store.symbol(id)).filter(|entry| can_say(&entry.info.symbol))
}

/// Whether a symbol's name can be handed to SQL here. Where the database is not UTF-8, only a name of ASCII letters can:
/// the others are left out of every answer and every evaluation, as CREATE EXTENSION has warned.
pub fn can_say(symbol: &Symbol) -> bool {
    // SAFETY: reads a number that is fixed for the life of the session.
    symbol.as_str().is_ascii() || unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32
}
