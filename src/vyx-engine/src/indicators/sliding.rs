//! Sums and extremes of the last `length` values in as little memory as they need, since what a close costs is mostly
//! waiting for memory: one ring, of which an update touches neighbours only.

/// The last `length` values. The one after the newest is the oldest.
struct Ring {
    values: Box<[f64]>,
    /// Where the next value goes.
    at: usize,
    full: bool,
}

impl Ring {
    fn new(length: usize) -> Ring {
        Ring { values: vec![0.0; length].into(), at: 0, full: false }
    }

    /// Gives the oldest of the last `length` values, this one included; `None` while there are fewer.
    fn push(&mut self, value: f64) -> Option<f64> {
        self.values[self.at] = value;
        self.at += 1;
        if self.at == self.values.len() {
            (self.at, self.full) = (0, true);
        }
        self.full.then(|| self.values[self.at])
    }

    /// Oldest first, when it is full.
    fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        let (newer, older) = self.values.split_at(self.at);
        older.iter().chain(newer).copied()
    }
}

/// The simple average, added and subtracted in the order of TA-Lib's SMA and hence equal to the last bit.
pub(super) struct Mean {
    ring: Ring,
    total: f64,
}

impl Mean {
    pub fn new(length: usize) -> Mean {
        Mean { ring: Ring::new(length), total: 0.0 }
    }

    /// The average of the last `length` values, or `None` while there are fewer.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        let oldest = self.ring.push(value);
        self.total += value;
        oldest.map(|oldest| {
            let total = self.total;
            self.total -= oldest;
            total / self.ring.values.len() as f64
        })
    }
}

/// After so many windows at the latest the sums of [`Spread`] are added up anew.
const WINDOWS_BETWEEN_REBUILDS: usize = 32;

/// The average and the population variance. Deviations are measured from a shift near the values, so that squares stay
/// small, and added up anew when rounding may have gathered: TA-Lib's VAR step by step, and hence equal to the last bit.
pub(super) struct Spread {
    ring: Ring,
    /// As of [`Mean`].
    total: f64,
    shift: f64,
    deviations: f64,
    squares: f64,
    /// The largest sum of squares since the last rebuild, whose rounding the sums still carry.
    peak: f64,
    left: usize,
}

impl Spread {
    pub fn new(length: usize) -> Spread {
        let left = WINDOWS_BETWEEN_REBUILDS * length;
        let ring = Ring::new(length);
        Spread { ring, total: 0.0, shift: f64::NAN, deviations: 0.0, squares: 0.0, peak: 0.0, left }
    }

    /// Average and variance of the last `length` values, or `None` while there are fewer.
    pub fn push(&mut self, value: f64) -> Option<(f64, f64)> {
        if self.shift.is_nan() {
            self.shift = value;
        }
        let oldest = self.ring.push(value);
        self.total += value;
        let deviation = value - self.shift;
        self.deviations += deviation;
        self.squares += deviation * deviation;
        self.peak = if self.squares > self.peak { self.squares } else { self.peak };
        let oldest = oldest?;
        let share = 1.0 / self.ring.values.len() as f64;
        let mut variance = self.variance(share);
        self.leave(oldest);
        self.left -= 1;
        if variance < 0.000_001 * (self.peak * share) || self.left == 0 {
            variance = self.rebuild(share, value, oldest);
        }
        let mean = self.total / self.ring.values.len() as f64;
        self.total -= oldest;
        Some((mean, variance))
    }

    fn variance(&self, share: f64) -> f64 {
        let mean = self.deviations * share;
        self.squares * share - mean * mean
    }

    fn leave(&mut self, oldest: f64) {
        let deviation = oldest - self.shift;
        self.deviations -= deviation;
        self.squares -= deviation * deviation;
    }

    #[cold]
    fn rebuild(&mut self, share: f64, newest: f64, oldest: f64) -> f64 {
        self.left = WINDOWS_BETWEEN_REBUILDS * self.ring.values.len();
        self.add_up(self.ring.iter().fold(0.0, |total, value| total + value) * share);
        let mut variance = self.variance(share);
        if variance < 0.000_001 * (self.squares * share) {
            // Flat to within the rounding of its own mean; seen from one of its own values it is exactly flat.
            self.add_up(newest);
            variance = self.variance(share);
        }
        self.peak = self.squares;
        if variance < 0.000_000_000_001 * (self.squares * share) {
            variance = 0.0;
        }
        self.leave(oldest);
        variance
    }

    fn add_up(&mut self, shift: f64) {
        let (mut deviations, mut squares) = (0.0, 0.0);
        for value in self.ring.iter() {
            let deviation = value - shift;
            deviations += deviation;
            squares += deviation * deviation;
        }
        (self.shift, self.deviations, self.squares) = (shift, deviations, squares);
    }
}

/// The largest value, in constant time but for one pass a window, and without a branch that depends on the values: of the
/// block of `length` values that is being filled what is largest so far, and of the block before what is largest from
/// each position to its end (van Herk 1992; Gil and Werman 1993). Of equal values the newest.
pub(super) struct Largest {
    /// Up to `at` the values of this block, from there on the extremes of the one before.
    values: Box<[f64]>,
    at: usize,
    so_far: f64,
    /// NaN while there are fewer values.
    largest: f64,
    full: bool,
}

impl Largest {
    pub fn new(length: usize) -> Largest {
        Largest { values: vec![0.0; length].into(), at: 0, so_far: f64::NEG_INFINITY, largest: f64::NAN, full: false }
    }

    /// The largest of the last `length` values, or `None` while there are fewer.
    pub fn get(&self) -> Option<f64> {
        (!self.largest.is_nan()).then_some(self.largest)
    }

    /// Takes a value that is not NaN, and gives the same as [`Largest::get`] after it.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.so_far = larger(self.so_far, value);
        self.values[self.at] = value;
        self.at += 1;
        if let Some(before) = self.values.get(self.at) {
            if self.full {
                self.largest = larger(*before, self.so_far);
            }
        } else {
            self.largest = self.so_far;
            for position in (1..self.values.len()).rev() {
                self.values[position - 1] = larger(self.values[position - 1], self.values[position]);
            }
            (self.at, self.so_far, self.full) = (0, f64::NEG_INFINITY, true);
        }
        self.get()
    }
}

fn larger(older: f64, newer: f64) -> f64 {
    if newer >= older { newer } else { older }
}
