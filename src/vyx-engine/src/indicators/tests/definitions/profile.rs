//! The volume profile, each row from all candles.

use super::super::{Data, markets, stream};
use super::{check, highest, lowest};

/// Outputs as the engine has them, for candles (low, high, volume) and a close.
fn profile(candles: &[(f64, f64, f64)], rows: usize, close: f64) -> [Option<f64>; 7] {
    let bottom = lowest(&candles.iter().map(|c| c.0).collect::<Vec<_>>());
    let top = highest(&candles.iter().map(|c| c.1).collect::<Vec<_>>());
    let total: f64 = candles.iter().map(|c| c.2).sum();
    if total == 0.0 {
        return [None; 7];
    }
    if top == bottom {
        let (above, below) = ((bottom >= close).then_some(bottom), (bottom <= close).then_some(bottom));
        return [Some(bottom), Some(bottom), Some(bottom), Some(bottom), above, below, Some(1.0)];
    }
    let height = (top - bottom) / rows as f64;
    let edge = |row: usize| if row == rows { top } else { bottom + height * row as f64 };
    let volume = |row: usize| -> f64 {
        let part = |(low, high, volume): &(f64, f64, f64)| {
            if *low <= edge(row) && *high >= edge(row + 1) {
                // The same number for each row it covers, as rows may be equal.
                volume * (height / (high - low))
            } else if high > low {
                volume * (high.min(edge(row + 1)) - low.max(edge(row))).max(0.0) / (high - low)
            } else {
                // On an edge it belongs to the row above, at the top to the last.
                let row_of = (((low - bottom) / height) as usize).min(rows - 1);
                if row_of == row { *volume } else { 0.0 }
            }
        };
        candles.iter().map(part).sum()
    };
    let volumes: Vec<f64> = (0..rows).map(volume).collect();
    let middle = |row: usize| bottom + (row as f64 + 0.5) * height;
    let poc = (0..rows).find(|row| volumes[*row] == highest(&volumes)).unwrap();
    let (mut from, mut to) = (poc, poc);
    while volumes[from..=to].iter().sum::<f64>() < 0.7 * total {
        let below = if from > 0 { volumes[from - 1] } else { -1.0 };
        let above = if to + 1 < rows { volumes[to + 1] } else { -1.0 };
        if below > above { from -= 1 } else { to += 1 }
    }
    let beside = |row: Option<usize>| row.and_then(|row| volumes.get(row)).copied().unwrap_or(0.0);
    let node = |row: &usize| {
        let behind = (row + 1..rows).find(|next| volumes[*next] != volumes[*row]);
        let larger = volumes[*row] > beside(row.checked_sub(1)) && volumes[*row] > beside(behind);
        *row == poc || larger && volumes[*row] > total / rows as f64
    };
    let nodes: Vec<f64> = (0..rows).filter(node).map(middle).collect();
    let nearest = |among: &dyn Fn(f64) -> bool| {
        nodes.iter().copied().filter(|p| among(*p)).min_by(|a, b| (a - close).abs().total_cmp(&(b - close).abs()))
    };
    [
        Some(middle(poc)),
        Some(edge(to + 1)),
        Some(edge(from)),
        nearest(&|_| true),
        nearest(&|p| p >= close),
        nearest(&|p| p <= close),
        Some(nodes.len() as f64),
    ]
}

#[test]
fn volume_profile() {
    for Data { high, low, close, volume, .. } in &markets() {
        for (length, rows) in [(100, 24), (30, 10), (1, 2)] {
            let columns = stream("volume_profile", &[length as f64, rows as f64], &[high, low, close, volume]);
            let candles: Vec<_> = (0..close.len()).map(|i| (low[i], high[i], volume[i])).collect();
            let expected: Vec<_> = (0..close.len())
                .map(|i| match (i + 1).checked_sub(length) {
                    Some(from) => profile(&candles[from..=i], rows, close[i]),
                    None => [None; 7],
                })
                .collect();
            for (output, column) in columns.iter().enumerate() {
                let name = format!("volume_profile({length}, {rows}) {output}");
                check(&name, column, 1e-12, |i| expected[i][output]);
            }
        }
    }
}

#[test]
fn a_profile_by_hand() {
    // Four rows from 0 to 8: 1 + 2.5 in each of the lower two, 1 in the third, 1 + 3 in the highest.
    let (low, high) = ([0.0, 0.0, 7.0], [8.0, 4.0, 7.5]);
    let columns = stream("volume_profile", &[3.0, 4.0], &[&high, &low, &[7.0, 4.0, 6.0], &[4.0, 5.0, 3.0]]);
    let last: Vec<f64> = columns.iter().map(|column| column[2]).collect();
    // The highest row has 4, the mean is 3; with the two rows below it the value area holds 8.5 of 12.
    assert_eq!(last[..4], [7.0, 8.0, 2.0, 7.0]);
    assert_eq!(last[4..], [7.0, 1.0, 2.0]);
}
