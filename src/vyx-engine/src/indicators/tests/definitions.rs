//! Every function written down once more, as slowly as its definition reads: from the whole window each time.

mod averages;
mod bands;
mod divergence;
mod events;
mod momentum;
mod patterns;
mod pivots;
mod profile;
mod statistics;
mod stops;
mod trend;
mod volume;
mod windows;

/// `expected(i)` for each candle, `None` where there is no value; `within` relative to the size of the numbers.
#[track_caller]
fn check(name: &str, column: &[f64], within: f64, expected: impl Fn(usize) -> Option<f64>) {
    for (i, value) in column.iter().enumerate() {
        match expected(i) {
            None => assert!(value.is_nan(), "{name} at {i}: {value}, not nothing"),
            Some(expected) => {
                let close = *value == expected || (value - expected).abs() <= within * expected.abs().max(value.abs());
                assert!(close, "{name} at {i}: {value}, not {expected}");
            }
        }
    }
}

/// The same within an amount, for values that are differences of larger ones.
#[track_caller]
fn check_to(name: &str, column: &[f64], amount: f64, expected: impl Fn(usize) -> Option<f64>) {
    for (i, value) in column.iter().enumerate() {
        match expected(i) {
            None => assert!(value.is_nan(), "{name} at {i}: {value}, not nothing"),
            Some(expected) => assert!((value - expected).abs() <= amount, "{name} at {i}: {value}, not {expected}"),
        }
    }
}

fn highest(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::MIN, f64::max)
}

fn lowest(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::MAX, f64::min)
}

/// The true range of each candle but the first.
fn true_range(high: &[f64], low: &[f64], close: &[f64]) -> Vec<f64> {
    let ranges = (1..close.len()).map(|i| high[i].max(close[i - 1]) - low[i].min(close[i - 1]));
    std::iter::once(f64::NAN).chain(ranges).collect()
}

fn window(x: &[f64], i: usize, n: usize) -> Option<&[f64]> {
    (i + 1).checked_sub(n).map(|from| &x[from..=i])
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// An exponential average of what follows `from` missing values, seeded with the mean of the first `n`.
fn smoothed(x: &[f64], n: usize, weight: f64) -> Vec<f64> {
    let from = x.iter().take_while(|v| v.is_nan()).count();
    let mut out = vec![f64::NAN; x.len()];
    if x.len() >= from + n {
        let mut value = mean(&x[from..from + n]);
        out[from + n - 1] = value;
        for i in from + n..x.len() {
            value += weight * (x[i] - value);
            out[i] = value;
        }
    }
    out
}

fn some(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}
