//! What `vyx.uid()`, in sql/schema.sql, must know to tell who is speaking.

use crate::{guc, shmem};
use pgrx::prelude::*;

/// The setting `vyx.jwt_logins`; NULL where vyx is not preloaded: there it is no setting but a name that any session can
/// give a value.
#[pg_extern(stable, parallel_safe, schema = "vyx", requires = ["schema"])]
fn _jwt_logins() -> Option<String> {
    shmem::store().is_ok().then(guc::jwt_logins)
}
