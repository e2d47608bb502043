//! Volume by price.

use super::whole;
use crate::catalog::{Function, Indicator, Param};
use crate::eval::bank::bank;
use crate::program::{Field, Kind};
use std::collections::VecDeque;

/// The part of the volume that the value area holds.
const VALUE_AREA: f64 = 0.7;

pub(crate) const VOLUME_PROFILE: Function = Function {
    name: "volume_profile",
    candle: &[Field::High, Field::Low, Field::Close, Field::Volume],
    params: &[
        Param { name: "length", whole: true, min: 1.0, max: 500.0, default: Some(100.0) },
        Param { name: "rows", whole: true, min: 2.0, max: 100.0, default: Some(24.0) },
    ],
    outputs: &["poc", "vah", "val", "hvn", "hvn_above", "hvn_below", "nodes"],
    kind: Kind::Number,
    warm_up: |p| whole(p, 0) - 1,
    doc: "The volume of the last `length` candles by price: their whole range in `rows` equal rows, a candle's volume spread evenly from its low to its high. poc: the middle of the row with most volume, the lowest of equal ones. vah, val: the ends of the value area, which grows from the poc by the larger of the rows next to it (the upper of equal ones) until it holds 70 %. High-volume nodes: the poc, and each row with more than the mean and more than the rows beside it (of equal rows side by side the lowest); nodes: how many. hvn: the middle of the one nearest to the close, the lower of equally near ones; hvn_above, hvn_below: the nearest not below, not above the close, undefined if there is none. Where nothing moves all are that price; without volume all are undefined. It is made anew on each candle, as its range moves with the window: a step for each candle and each row that one touches.",
    open: |p| {
        let (length, rows) = (whole(p, 0), whole(p, 1));
        bank(move || Profile { length, rows, window: VecDeque::new(), volumes: Vec::new() })
    },
    ..Function::PLAIN
};

struct Profile {
    length: usize,
    rows: usize,
    /// Low, high and volume, oldest first. Each candle's profile is made from it anew, in this order: nothing is
    /// taken off again, so the values are those of the window whatever was before it.
    window: VecDeque<(f64, f64, f64)>,
    /// Kept for its room.
    volumes: Vec<f64>,
}

impl Indicator for Profile {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [high, low, close, volume] = *inputs else { unreachable!("volume_profile declares four inputs") };
        self.window.push_back((low, high, volume));
        if self.window.len() > self.length {
            self.window.pop_front();
        }
        outputs.fill(f64::NAN);
        if self.window.len() < self.length {
            return;
        }
        let bottom = self.window.iter().fold(f64::INFINITY, |a, (low, ..)| a.min(*low));
        let top = self.window.iter().fold(f64::NEG_INFINITY, |a, (_, high, _)| a.max(*high));
        let total: f64 = self.window.iter().map(|(.., volume)| volume).sum();
        // Also where the total is no number.
        if total.is_nan() || total <= 0.0 {
            return;
        }
        let height = (top - bottom) / self.rows as f64;
        if height <= 0.0 {
            outputs.copy_from_slice(&[bottom, bottom, bottom, bottom, bottom, bottom, 1.0]);
            if close != bottom {
                outputs[if close > bottom { 4 } else { 5 }] = f64::NAN;
            }
            return;
        }
        self.fill(bottom, top, height);
        let middle = |row: usize| bottom + (row as f64 + 0.5) * height;
        let volumes = &self.volumes;
        let poc = (0..self.rows).fold(0, |most, row| if volumes[row] > volumes[most] { row } else { most });
        let (lowest, highest) = value_area(volumes, poc, total);
        outputs[..3].copy_from_slice(&[
            middle(poc),
            bottom + (highest + 1) as f64 * height,
            bottom + lowest as f64 * height,
        ]);
        let mut nodes = 0;
        let mut falls = true;
        // From above: a node that is as near as the one before it is lower, and takes its place.
        for row in (0..self.rows).rev() {
            falls = volumes.get(row + 1).is_none_or(|v| *v < volumes[row] || (*v == volumes[row] && falls));
            let rises = row == 0 || volumes[row - 1] < volumes[row];
            let peak = falls && rises && volumes[row] > total / self.rows as f64;
            if !peak && row != poc {
                continue;
            }
            nodes += 1;
            let price = middle(row);
            let nearer = |than: f64| than.is_nan() || (price - close).abs() <= (than - close).abs();
            if nearer(outputs[3]) {
                outputs[3] = price;
            }
            if price >= close {
                outputs[4] = price;
            }
            if price <= close && nearer(outputs[5]) {
                outputs[5] = price;
            }
        }
        outputs[6] = f64::from(nodes);
    }
}

impl Profile {
    /// Spreads the window's volume over the rows. Rows that the same candles cover come to the same number, to the last
    /// bit, so that equal rows are known to be equal.
    fn fill(&mut self, bottom: f64, top: f64, height: f64) {
        let last_row = self.rows - 1;
        let row_of = |price: f64| (((price - bottom) / height) as usize).min(last_row);
        let edge = |row: usize| bottom + row as f64 * height;
        self.volumes.clear();
        self.volumes.resize(self.rows, 0.0);
        for (low, high, volume) in &self.window {
            let (first, last) = (row_of(*low), row_of(*high));
            if first >= last {
                self.volumes[first] += volume;
                continue;
            }
            let a_row = volume * (height / (high - low));
            let covers_first = *low <= edge(first);
            let covers_last = *high >= top;
            let of_first = if covers_first { 1.0 } else { ((edge(first + 1) - low) / height).max(0.0) };
            let of_last = if covers_last { 1.0 } else { ((high - edge(last)) / height).max(0.0) };
            self.volumes[first] += a_row * of_first;
            self.volumes[first + 1..last].iter_mut().for_each(|row| *row += a_row);
            self.volumes[last] += a_row * of_last;
        }
    }
}

/// Its lowest and its highest row.
fn value_area(volumes: &[f64], poc: usize, total: f64) -> (usize, usize) {
    let (mut lowest, mut highest, mut held) = (poc, poc, volumes[poc]);
    while held < VALUE_AREA * total {
        let below = lowest.checked_sub(1).map(|row| volumes[row]);
        let above = volumes.get(highest + 1).copied();
        match (below, above) {
            (None, None) => break,
            (Some(below), Some(above)) if below > above => (lowest, held) = (lowest - 1, held + below),
            (Some(below), None) => (lowest, held) = (lowest - 1, held + below),
            (_, Some(above)) => (highest, held) = (highest + 1, held + above),
        }
    }
    (lowest, highest)
}
