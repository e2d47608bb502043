//! Crosses, and what happened when a condition was last true.

use super::super::{Data, markets, stream};
use super::check;

#[test]
fn crosses_and_events() {
    for Data { open, close, .. } in &markets() {
        // Rounded, so that equal values are met.
        let step = close[0] * 1e-3;
        let round = |x: &[f64]| -> Vec<f64> { x.iter().map(|v| (v / step).round()).collect() };
        let (a, b) = (round(close), round(open));
        let over = |i: usize| i.checked_sub(1).map(|before| a[i] > b[i] && a[before] <= b[before]);
        let under = |i: usize| i.checked_sub(1).map(|before| a[i] < b[i] && a[before] >= b[before]);
        check("crossover", &stream("crossover", &[], &[&a, &b])[0], 0.0, |i| over(i).map(f64::from));
        check("crossunder", &stream("crossunder", &[], &[&a, &b])[0], 0.0, |i| under(i).map(f64::from));
        check("cross", &stream("cross", &[], &[&a, &b])[0], 0.0, |i| Some(f64::from(over(i)? || under(i)?)));

        let rare: Vec<f64> = (0..a.len()).map(|i| f64::from(over(i) == Some(true))).collect();
        let times = |i: usize| (0..=i).rev().filter(|j| rare[*j] == 1.0).collect::<Vec<_>>();
        check("barssince", &stream("barssince", &[], &[&rare])[0], 0.0, |i| Some((i - times(i).first()?) as f64));
        for n in [0, 3] {
            let column = &stream("valuewhen", &[n as f64], &[&rare, close])[0];
            check("valuewhen", column, 0.0, |i| Some(close[*times(i).get(n)?]));
        }
    }
}
