//! Randomness without state: every number is a hash of where it stands, so any moment of the market can be
//! asked for in any order and is always the same.
//!
//! Only `+ - * /` and `sqrt` are used on floats. IEEE 754 fixes their results to the last bit, which it does not
//! for `exp` or `ln`; so a seed gives the same market on every machine.

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): neighbouring inputs give unrelated outputs.
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A number for a name: FNV-1a of its bytes.
pub fn name(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A sequence of numbers that depends on nothing but its key.
pub struct Noise(u64);

impl Noise {
    /// The sequence of a place in the market: whose it is, what it is for and when.
    pub fn at(key: u64, purpose: u64, when: i64) -> Noise {
        Noise(mix(key ^ mix(purpose ^ mix(when as u64))))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// From 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From -1 to 1.
    pub fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// From 0 to `bound`, `bound` excluded; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }
}

/// Noise of ten octaves over `x`: the amplitude of an octave grows with the square root of its period, as the
/// spread of a random walk does, but the sum stays bounded (about ±75).
pub fn octaves(key: u64, x: i64) -> f64 {
    let mut sum = 0.0;
    for octave in 0..10u64 {
        let period = 1i64 << octave;
        let (cell, part) = (x.div_euclid(period), x.rem_euclid(period) as f64 / period as f64);
        let here = Noise::at(key, octave, cell).signed();
        let there = Noise::at(key, octave, cell + 1).signed();
        sum += (period as f64).sqrt() * (here + (there - here) * part);
    }
    sum
}

/// e to the power of `x` for |x| < 3, as (1 + x/1024)^1024: off by less than 0.5 %, the same everywhere.
pub fn exp(x: f64) -> f64 {
    (0..10).fold(1.0 + x / 1024.0, |power, _| power * power)
}
