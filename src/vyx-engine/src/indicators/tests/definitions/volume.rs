//! Price and volume together.

use super::super::{Data, markets, stream};
use super::{check, some};

#[test]
fn volume() {
    for Data { time, high, low, close: x, volume, .. } in &markets() {
        check("obv", &stream("obv", &[], &[x, volume])[0], 1e-9, |i| {
            let through = (1..=i).fold(volume[0], |total, i| match x[i].total_cmp(&x[i - 1]) {
                std::cmp::Ordering::Greater => total + volume[i],
                std::cmp::Ordering::Less => total - volume[i],
                std::cmp::Ordering::Equal => total,
            });
            Some(through)
        });

        let day = |i: usize| (time[i] / 86_400_000.0).floor();
        check("vwap", &stream("vwap", &[], &[time, high, low, x, volume])[0], 1e-9, |i| {
            let session = (0..=i).filter(|j| day(*j) == day(i));
            let (traded, total) = session.fold((0.0, 0.0), |(traded, total), j| {
                (traded + (high[j] + low[j] + x[j]) / 3.0 * volume[j], total + volume[j])
            });
            some(traded / total)
        });
    }
}
