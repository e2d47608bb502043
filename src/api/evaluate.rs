//! The way into evaluation from SQL; its callers are in sql/evaluate.sql.

use super::timestamp;
use crate::shmem;
use pgrx::prelude::*;

/// Market time: the largest time seen from the exchange; NULL before the first, and where vyx is not preloaded.
#[pg_extern(stable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _market_time() -> Option<TimestampWithTimeZone> {
    let now = shmem::store().ok()?.market_time();
    (now.0 > 0).then_some(now).and_then(timestamp)
}
