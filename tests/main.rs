//! End-to-end tests: a real server, a real simulator, SQL only. Nothing of vyx is linked here, so a mistake in it cannot
//! repeat itself in what is expected of it.

mod harness;

mod always;
mod ask;
mod attacks;
mod checklist;
mod conditions;
mod crashes;
mod delivery;
mod ending;
mod faults;
mod grants;
mod import;
mod lanes;
mod ledger;
mod market;
mod monitoring;
mod moving;
mod neighbour;
mod pause;
mod readme;
mod replay;
mod rights;
mod room;
mod settings;
mod signals;
mod snapshot;
mod standby;
mod storm;
mod tenants;
mod traders;
mod universe;
mod upgrade;
