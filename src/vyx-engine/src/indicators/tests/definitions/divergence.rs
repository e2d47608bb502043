//! Divergence as TradingView's script says it: by `valuewhen` and `barssince` of the candles that found a pivot.

use super::super::{Data, markets, stream};
use super::{check, pivots::is_pivot};

#[test]
fn divergence() {
    let mut said = [0; 4];
    for Data { high, low, close, .. } in &markets() {
        let rsi: Vec<f64> =
            stream("rsi", &[14.0], &[close])[0].iter().map(|v| if v.is_nan() { 50.0 } else { *v }).collect();
        for (left, right, most, least) in [(5, 5, 60, 5), (2, 3, 20, 0)] {
            let columns = stream("divergence", &[left, right, most, least].map(|n| n as f64), &[&rsi, high, low]);
            let rule = |i: usize, sign: f64, price: &[f64]| {
                let found = |i: usize| i >= right && is_pivot(&rsi, i - right, left, right, sign);
                let before = (0..i).rev().find(|j| found(*j));
                // barssince(found[1])
                let near = before.is_some_and(|j| (least..=most).contains(&(i - 1 - j)));
                let (true, true, Some(j)) = (found(i), near, before) else { return [false; 2] };
                let price = sign * (price[i - right] - price[j - right]);
                let oscillator = sign * (rsi[i - right] - rsi[j - right]);
                [price > 0.0 && oscillator < 0.0, price < 0.0 && oscillator > 0.0]
            };
            for (output, sign, price, kind) in
                [(0, -1.0, low, 0), (1, 1.0, high, 0), (2, -1.0, low, 1), (3, 1.0, high, 1)]
            {
                said[output] += columns[output].iter().filter(|v| **v == 1.0).count();
                check("divergence", &columns[output], 0.0, |i| {
                    (i >= left + right).then(|| f64::from(rule(i, sign, price)[kind]))
                });
            }
        }
    }
    assert!(said.iter().all(|n| *n > 10) || markets().is_empty(), "{said:?}");
}
