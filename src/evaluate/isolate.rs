//! A program that breaks the engine is found and left out, so that it stops nobody else's.

use super::evaluator::Warm;
use super::market::StoreMarket;
use super::version::Version;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use vyx_core::{Interval, Symbol};

/// Evaluates as the engine does; what came out is there to be asked for. A version whose program panics is marked as
/// broken and taken out, and the rest is evaluated anew by an engine of its own.
///
/// # Panics
/// As the engine does, where no single version is the cause; and where this process is to end or to cancel its statement.
pub fn evaluate(warm: &mut Warm, market: &StoreMarket, symbols: &[Symbol], ordinal: i64) {
    let interval = warm.interval();
    while let Err(why) = attempt(warm, market, symbols, ordinal) {
        pgrx::check_for_interrupts!();
        let versions = std::mem::replace(warm, Warm::new(interval)).versions;
        let panics = |some: &[Rc<Version>]| breaks(interval, some, market, symbols, ordinal);
        let broken = broken(&versions, &panics);
        assert!(!broken.is_empty(), "the engine panicked, and no single program is the cause: {why}");
        for (version, why) in broken {
            let (trader, number) = version.key;
            pgrx::warning!("vyx: the program of trader {trader}, version {number}, is left out from now on: {why}");
            version.broken.get_or_init(|| format!("the program broke the engine: {why}"));
        }
        warm.set(versions.into_iter());
    }
}

/// Runs one of the histories that the next candle will need; whether there may be more. An engine that panics is given up
/// as a whole: the next evaluation finds out why.
pub fn prepare(warm: &mut Warm, market: &StoreMarket, symbols: &[Symbol], next: i64) -> bool {
    let ran = catch_unwind(AssertUnwindSafe(|| warm.engine.prepare(market, symbols, next, 1)));
    ran.map(|histories| histories > 0).unwrap_or_else(|_| {
        pgrx::check_for_interrupts!();
        let versions = std::mem::replace(warm, Warm::new(warm.interval())).versions;
        warm.set(versions.into_iter());
        false
    })
}

/// The versions that panic by themselves, each with what it says: halves are tried, and halves of those that panic.
fn broken<T: Clone>(versions: &[T], panics: &dyn Fn(&[T]) -> Option<String>) -> Vec<(T, String)> {
    match (versions, panics(versions)) {
        (_, None) => Vec::new(),
        ([version], Some(why)) => vec![(version.clone(), why)],
        (several, Some(_)) => {
            let (left, right) = several.split_at(several.len() / 2);
            let mut found = broken(left, panics);
            found.extend(broken(right, panics));
            found
        }
    }
}

/// What the engine says when it panics on some of the versions.
fn breaks(
    interval: Interval,
    versions: &[Rc<Version>],
    market: &StoreMarket,
    symbols: &[Symbol],
    ordinal: i64,
) -> Option<String> {
    pgrx::check_for_interrupts!();
    let mut warm = Warm::new(interval);
    warm.set(versions.iter().map(Rc::clone));
    attempt(&mut warm, market, symbols, ordinal).err()
}

/// The engine calls nothing of Postgres but [`must_stop`](crate::worker::must_stop), so what unwinds here is a panic of its
/// own, or the word that it was stopped: whoever calls looks for interrupts first.
fn attempt(warm: &mut Warm, market: &StoreMarket, symbols: &[Symbol], ordinal: i64) -> Result<(), String> {
    let evaluate = AssertUnwindSafe(|| drop(warm.engine.evaluate(market, symbols, ordinal)));
    catch_unwind(evaluate).map_err(|panic| said(panic.as_ref()))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use super::{broken, said};
    use pgrx::prelude::*;
    use std::panic::catch_unwind;

    #[pg_test]
    fn the_versions_that_panic_are_found_among_many() {
        let panics = |guilty: &'static [u32]| {
            move |some: &[u32]| guilty.iter().find(|one| some.contains(one)).map(|one| format!("{one} panics"))
        };
        let all: Vec<u32> = (0..100).collect();
        let found = |guilty| broken(&all, &panics(guilty)).into_iter().map(|(one, _)| one).collect::<Vec<_>>();
        assert!(found(&[]).is_empty());
        assert_eq!(found(&[37]), [37]);
        assert_eq!(found(&[0, 49, 50, 99]), [0, 49, 50, 99]);
        // Only together: nobody is accused.
        assert!(broken(&all, &|some: &[u32]| (some.len() > 1).then(|| "together".to_owned())).is_empty());
    }

    #[pg_test]
    fn a_panic_that_is_caught_leaves_the_session_well() {
        let caught = |panic: fn()| catch_unwind(panic).map_err(|panic| said(panic.as_ref()));
        assert_eq!(caught(|| panic!("index {}", std::hint::black_box(7))), Err("index 7".to_owned()));
        assert_eq!(caught(|| panic!("out of range")), Err("out of range".to_owned()));
        assert_eq!(Spi::get_one("SELECT 1"), Ok(Some(1)));
    }
}
