//! The whole way from the exchange into the rings, many times over, with faults by chance: the real feed, the real sink and
//! store, the simulator of the exchange, over pipes and in virtual time. One seed is one world, which comes out the same
//! whenever it is run.
//!
//! `make simulate SEEDS=1000`, or one seed again: `SEED=17 cargo test -p vyx-ingest --test simulate -- --nocapture`

mod check;
mod faults;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seeds that a run without wishes takes.
const SEEDS: u64 = 24;
/// Worlds side by side.
const THREADS: usize = 2;

/// `make` hands over what was not given as an empty text.
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn whatever_happens_rings_are_the_truth_and_every_gap_has_an_end() {
    if let Some(seed) = from_environment("SEED") {
        println!("{}", world::run(seed, true));
        return;
    }
    let count = from_environment("SEEDS").unwrap_or(SEEDS);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let totals = Mutex::new(world::Summary::default());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| world::run(seed, false))) {
                        Ok(summary) => totals.lock().unwrap().add(&summary),
                        Err(_) => {
                            println!("seed {seed} failed; again: SEED={seed} cargo test -p vyx-ingest --test simulate -- --nocapture");
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    println!("{count} seeds in {:.0?}: {}", start.elapsed(), totals.into_inner().unwrap());
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

#[test]
fn the_same_seed_is_the_same_world() {
    let [first, second] = [3, 3].map(|seed| world::run(seed, false).to_string());
    assert_eq!(first, second);
}
