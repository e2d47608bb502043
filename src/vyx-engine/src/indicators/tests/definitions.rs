//! Every function written down once more, as slowly as its definition reads: from the whole window each time.

mod averages;
mod bands;
mod events;
mod momentum;
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
                let close = (value - expected).abs() <= within * expected.abs().max(value.abs());
                assert!(close, "{name} at {i}: {value}, not {expected}");
            }
        }
    }
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
