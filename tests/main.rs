//! End-to-end tests: a real server, a real simulator, SQL only. Nothing of vyx is linked here, so a mistake in it cannot
//! repeat itself in what is expected of it.

mod harness;

mod ask;
mod attacks;
mod checklist;
mod conditions;
mod crashes;
mod ending;
mod faults;
mod grants;
mod import;
mod ledger;
mod market;
mod neighbour;
mod pause;
mod moving;
mod readme;
mod replay;
mod rights;
mod room;
mod settings;
mod signals;
mod snapshot;
mod storm;
mod standby;
mod traders;
mod universe;
mod upgrade;
