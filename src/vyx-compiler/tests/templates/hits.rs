//! On which candles each template fires, held against a file that says it.
//!
//! `VYX_BLESS=1 cargo test -p vyx-compiler --test main templates::hits` writes the file anew. What changed in it is to
//! be explained by a change of the template or of a function it calls. That the numbers are right, and not only the same
//! as before, is for `rules` to show.

use super::candles::World;
use super::{TEMPLATES, Template, interval, program};
use std::fmt::Write;
use std::path::Path;
use vyx_core::Millis;
use vyx_engine::market::anchor;
use vyx_engine::{Outcome, Series};

/// What a template does over all candles of a file.
pub struct Run {
    pub candles: usize,
    pub matched: usize,
    /// Open times of the candles on which a trader fires: it matches, and did not at the candle before.
    pub fired: Vec<Millis>,
}

/// Runs a template over its candles, each judged by its own history.
pub fn run(template: &Template, world: &World) -> Run {
    let (symbol, interval) = (&world.symbol, world.interval);
    let klines = world.klines();
    let [from, through] = [0, klines.len() - 1].map(|index| interval.ordinal(klines[index].open_time));
    let said = Series::of(&program(template), &world.market, symbol, from, through);
    assert_eq!(said.ordinals.len(), klines.len(), "{}", template.name);
    let missing = |outcome: &Outcome| *outcome == Outcome::NotReady(vyx_engine::NotReady::HistoryMissing);
    let begins = |index: usize| {
        let before = index.checked_sub(1)?;
        let own = said.ordinals[before] >= anchor(symbol, interval, said.ordinals[index]);
        (own && said.outcomes[before] == Outcome::NoMatch).then_some(())
    };
    let matched: Vec<usize> = (0..klines.len()).filter(|index| said.outcomes[*index] == Outcome::Match).collect();
    // Bitcoin's candles may end before the other's; nothing else is lacking.
    assert!(!said.outcomes.iter().any(missing), "{} lacks history", template.name);
    let fired = matched.iter().filter(|index| begins(**index).is_some()).map(|index| klines[*index].open_time);
    Run { candles: klines.len(), matched: matched.len(), fired: fired.collect() }
}

/// FNV-1a of the open times, so that one hit that moved is seen.
fn hash(times: &[Millis]) -> u64 {
    let bytes = times.iter().flat_map(|time| time.0.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[test]
fn templates_fire_on_real_candles_where_they_did_before() {
    let mut found = String::from("# template symbol interval: candles matched fired, first and last hit, their hash\n");
    for template in TEMPLATES {
        let Some(world) = World::at(interval(template)) else { return };
        let Run { candles, matched, fired } = run(template, &world);
        let [Some(first), Some(last)] = [fired.first(), fired.last()] else { panic!("{} never fires", template.name) };
        assert!(fired.len() * 5 <= candles, "{} fires on {} of {candles} candles", template.name, fired.len());
        let (name, symbol, interval, count, hash) =
            (template.name, world.symbol, template.interval, fired.len(), hash(&fired));
        writeln!(found, "{name} {symbol} {interval}: {candles} {matched} {count}, {} {}, {hash:016x}", first.0, last.0)
            .expect("a string takes it");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates/hits.txt");
    if std::env::var_os("VYX_BLESS").is_some() {
        std::fs::write(&path, found).expect("the file can be written");
        return;
    }
    let recorded = std::fs::read_to_string(&path).expect("hits were recorded");
    for (found, recorded) in found.lines().zip(recorded.lines()) {
        assert_eq!(found, recorded);
    }
    assert_eq!(found.lines().count(), recorded.lines().count());
}
