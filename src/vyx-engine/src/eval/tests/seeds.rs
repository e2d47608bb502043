//! One seed is one world, which comes out the same whenever it is run.
//!
//! More of them: `SEEDS=500 cargo test -p vyx-engine eval::tests`; one again: `SEED=17`.

/// Runs `world` for the seeds `0..usual`, or for as many as the environment asks for; says which one failed. Returns how
/// many there were.
pub fn each_seed(usual: u64, world: impl Fn(u64)) -> u64 {
    struct Told(u64);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("seed {0} failed; this one again: SEED={0}", self.0);
            }
        }
    }
    let wish = |name: &str| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let seeds = match wish("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..wish("SEEDS").unwrap_or(usual),
    };
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let _told = Told(seed);
        world(seed);
    }
    count
}
