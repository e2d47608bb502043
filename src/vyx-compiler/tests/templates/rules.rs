//! The plain meaning of templates, written down once more: one candle's history in, whether it matches out.
//!
//! Each is the definition in its slowest form, over plain numbers; nothing here knows of programs, streams or states.
//! What a template fires on must be what its definition says, candle for candle.

use super::candles::World;
use super::hits::run;
use super::{interval, named};
use vyx_core::Kline;
use vyx_engine::market::anchor;

/// From the history of a candle, which is its last: `None` while there is not enough.
type Rule = fn(&[Kline]) -> Option<bool>;

/// Templates beside their definitions.
const RULES: &[(&str, Rule)] = &[
    ("rsi_dip", rsi_dip),
    ("ema_cross", ema_cross),
    ("golden_cross", golden_cross),
    ("macd_turn", macd_turn),
    ("bollinger_touch", bollinger_touch),
    ("volume_spike", volume_spike),
    ("vwap_reclaim", vwap_reclaim),
    ("breakout_50", breakout_50),
    ("breakdown_50", breakdown_50),
    ("turtle", turtle),
    ("williams_r", williams_r),
    ("aroon_cross", aroon_cross),
    ("ichimoku_cloud", ichimoku_cloud),
    ("cci_thrust", cci_thrust),
    ("hammer_volume", hammer_volume),
    ("three_soldiers", three_soldiers),
    ("inside_bar_break", inside_bar_break),
    ("trade_surge", trade_surge),
    ("buyer_shift", buyer_shift),
    ("session_breakout", session_breakout),
    ("zscore_fade", zscore_fade),
];

#[test]
fn templates_fire_where_their_definitions_say() {
    for (name, rule) in RULES {
        let template = named(name);
        let Some(world) = World::at(interval(template)) else { return };
        let klines = world.klines();
        let ordinals: Vec<i64> = klines.iter().map(|kline| world.interval.ordinal(kline.open_time)).collect();
        let start = |index: usize| {
            let anchor = anchor(&world.symbol, world.interval, ordinals[index]);
            ordinals.partition_point(|ordinal| *ordinal < anchor)
        };
        let verdicts: Vec<_> = (0..klines.len()).map(|index| rule(&klines[start(index)..=index])).collect();
        let begins = |index: usize| verdicts[index] == Some(true) && verdicts[index - 1] == Some(false);
        let expected: Vec<_> = (1..klines.len()).filter(|index| begins(*index)).map(|i| klines[i].open_time).collect();
        let found = run(template, &world);
        let matched = verdicts.iter().filter(|verdict| **verdict == Some(true)).count();
        assert_eq!((found.fired, found.matched), (expected, matched), "{name}");
    }
}

// Columns and windows. `ago` counts candles back from the newest.

fn column(k: &[Kline], of: impl Fn(&Kline) -> f64) -> Vec<f64> {
    k.iter().map(of).collect()
}

fn closes(k: &[Kline]) -> Vec<f64> {
    column(k, |k| k.close)
}

/// The `n` values that end `ago` candles back.
fn window(x: &[f64], n: usize, ago: usize) -> Option<&[f64]> {
    let end = x.len().checked_sub(ago)?;
    Some(&x[end.checked_sub(n)?..end])
}

fn back(x: &[f64], ago: usize) -> Option<f64> {
    window(x, 1, ago).map(|one| one[0])
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn average(x: &[f64], n: usize, ago: usize) -> Option<f64> {
    window(x, n, ago).map(mean)
}

fn deviation(x: &[f64]) -> f64 {
    let mean = mean(x);
    (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
}

fn greatest(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn least(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The exponential average at every candle from `n` − 1 on: seeded with the plain one, weight 2 / (n + 1).
fn exponential(x: &[f64], n: usize) -> Vec<f64> {
    let Some(first) = x.get(..n) else { return Vec::new() };
    let mut values = vec![mean(first)];
    for x in &x[n..] {
        let before = values[values.len() - 1];
        values.push(before + 2.0 / (n as f64 + 1.0) * (x - before));
    }
    values
}

/// Wilder's RSI at every candle from `n` on.
fn rsi(x: &[f64], n: usize) -> Vec<f64> {
    let moves: Vec<f64> = x.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let Some(first) = moves.get(..n) else { return Vec::new() };
    let [mut up, mut down] = [1.0, -1.0].map(|sign| first.iter().map(|m| (sign * m).max(0.0)).sum::<f64>() / n as f64);
    let mut values = vec![100.0 * up / (up + down)];
    for m in &moves[n..] {
        up += (m.max(0.0) - up) / n as f64;
        down += ((-m).max(0.0) - down) / n as f64;
        values.push(100.0 * up / (up + down));
    }
    values
}

/// From not above to above, or, as in Pine, from equal.
fn crosses_over(a: [f64; 2], b: [f64; 2]) -> bool {
    a[0] > b[0] && a[1] <= b[1]
}

/// The newest value and the one before.
fn pair(x: &[f64]) -> Option<[f64; 2]> {
    Some([back(x, 0)?, back(x, 1)?])
}

/// Both of a rule's sides must be known, unless one of them alone decides.
fn and(parts: &[Option<bool>]) -> Option<bool> {
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    parts.iter().all(Option::is_some).then_some(true)
}

// The rules.

fn rsi_dip(k: &[Kline]) -> Option<bool> {
    let close = closes(k);
    let falls = pair(&rsi(&close, 14)).map(|[now, before]| now < 30.0 && before >= 30.0);
    and(&[falls, average(&close, 200, 0).map(|average| close[close.len() - 1] > average)])
}

fn ema_cross(k: &[Kline]) -> Option<bool> {
    let close = closes(k);
    Some(crosses_over(pair(&exponential(&close, 9))?, pair(&exponential(&close, 21))?))
}

fn golden_cross(k: &[Kline]) -> Option<bool> {
    let close = closes(k);
    let at = |n| Some([average(&close, n, 0)?, average(&close, n, 1)?]);
    Some(crosses_over(at(50)?, at(200)?))
}

/// Both averages begin where the slow one does, and the signal is an average of their difference.
fn macd_turn(k: &[Kline]) -> Option<bool> {
    let close = closes(k);
    let slow = exponential(&close, 26);
    let fast = exponential(close.get(26 - 12..)?, 12);
    let macd: Vec<f64> = fast.iter().zip(&slow).map(|(fast, slow)| fast - slow).collect();
    let signal = exponential(&macd, 9);
    Some(crosses_over(pair(&macd)?, pair(&signal)?) && macd[macd.len() - 1] < 0.0)
}

/// In a market without direction, which is the ADX.
fn bollinger_touch(k: &[Kline]) -> Option<bool> {
    let close = closes(k);
    let newest = k[k.len() - 1];
    let lower = window(&close, 20, 0).map(|window| mean(window) - 2.0 * deviation(window));
    let rejected = lower.map(|lower| newest.low < lower && newest.close > lower);
    and(&[rejected, Some(newest.close > newest.open), adx(k, 14).map(|adx| adx < 25.0)])
}

/// Wilder's: sums of movements that lose one part in `n` each candle, and the average of how one-sided they are.
fn adx(k: &[Kline], n: usize) -> Option<f64> {
    let parts = n as f64;
    let moves = |pair: &[Kline]| {
        let (up, down) = (pair[1].high - pair[0].high, pair[0].low - pair[1].low);
        let range = pair[1].high.max(pair[0].close) - pair[1].low.min(pair[0].close);
        [if up > down && up > 0.0 { up } else { 0.0 }, if down > up && down > 0.0 { down } else { 0.0 }, range]
    };
    let moves: Vec<[f64; 3]> = k.windows(2).map(moves).collect();
    // The first sum is of one candle less than n, as TA-Lib has it.
    let mut sums = [0, 1, 2].map(|which| moves.iter().take(n - 1).map(|m| m[which]).sum::<f64>());
    let mut sided = Vec::new();
    for m in moves.get(n - 1..)? {
        sums = [0, 1, 2].map(|which| sums[which] - sums[which] / parts + m[which]);
        sided.push(100.0 * (sums[0] - sums[1]).abs() / (sums[0] + sums[1]));
    }
    let mut value = mean(sided.get(..n)?);
    sided[n..].iter().for_each(|sided| value += (sided - value) / parts);
    Some(value)
}

fn volume_spike(k: &[Kline]) -> Option<bool> {
    let volume = column(k, |k| k.volume);
    let newest = k[k.len() - 1];
    and(&[average(&volume, 60, 1).map(|usual| newest.volume / usual > 5.0), Some(newest.close > newest.open)])
}

/// Of the candles of the same day, up to the one `ago` candles back.
fn day_average(k: &[Kline], ago: usize) -> Option<f64> {
    let k = &k[..k.len().checked_sub(ago)?];
    let day = |k: &Kline| k.open_time.0 / 86_400_000;
    let today = || k.iter().filter(|other| day(other) == day(&k[k.len() - 1]));
    let traded: f64 = today().map(|k| (k.high + k.low + k.close) / 3.0 * k.volume).sum();
    Some(traded / today().map(|k| k.volume).sum::<f64>())
}

fn vwap_reclaim(k: &[Kline]) -> Option<bool> {
    let newest = k[k.len() - 1];
    let above = newest.close > day_average(k, 0)?;
    if !above || hour(&newest) < 2 {
        return Some(false);
    }
    let below = (1..=12).map(|ago| Some(k[k.len().checked_sub(ago + 1)?].close < day_average(k, ago)?));
    Some(below.collect::<Option<Vec<bool>>>()?.into_iter().all(|below| below))
}

fn hour(k: &Kline) -> i64 {
    k.open_time.0 / 3_600_000 % 24
}

/// The close is over the highest high of the `n` candles before, as it was not a candle earlier.
fn breaks_out(k: &[Kline], n: usize) -> Option<bool> {
    let (close, high) = (closes(k), column(k, |k| k.high));
    let level = [greatest(window(&high, n, 1)?), greatest(window(&high, n, 2)?)];
    Some(crosses_over(pair(&close)?, level))
}

fn busier_than_average(k: &[Kline], n: usize) -> Option<bool> {
    let volume = column(k, |k| k.volume);
    Some(volume[volume.len() - 1] > average(&volume, n, 0)?)
}

fn breakout_50(k: &[Kline]) -> Option<bool> {
    and(&[breaks_out(k, 50), busier_than_average(k, 50)])
}

fn breakdown_50(k: &[Kline]) -> Option<bool> {
    let mirrored: Vec<Kline> = k.iter().map(|k| Kline { high: -k.low, low: -k.high, close: -k.close, ..*k }).collect();
    and(&[breaks_out(&mirrored, 50), busier_than_average(k, 50)])
}

fn turtle(k: &[Kline]) -> Option<bool> {
    breaks_out(k, 20)
}

fn williams_r(k: &[Kline]) -> Option<bool> {
    let (close, high, low) = (closes(k), column(k, |k| k.high), column(k, |k| k.low));
    let at = |ago| {
        let (top, bottom) = (greatest(window(&high, 14, ago)?), least(window(&low, 14, ago)?));
        Some(if top > bottom { -100.0 * (top - back(&close, ago)?) / (top - bottom) } else { 0.0 })
    };
    let turns = at(0).zip(at(1)).map(|(now, before)| now > -80.0 && before <= -80.0);
    let uptrend = exponential(&close, 100).last().map(|average| close[close.len() - 1] > *average);
    and(&[turns, uptrend])
}

fn aroon_cross(k: &[Kline]) -> Option<bool> {
    let fresh = |x: &[f64], ago| {
        let window = window(x, 26, ago)?;
        // Of equal ones the newest counts.
        let newest = window.iter().rposition(|value| *value == greatest(window))?;
        Some(100.0 * newest as f64 / 25.0)
    };
    let at = |x: &[f64]| Some([fresh(x, 0)?, fresh(x, 1)?]);
    let up = at(&column(k, |k| k.high))?;
    let down = at(&column(k, |k| -k.low))?;
    Some(crosses_over(up, down) && up[0] >= 70.0)
}

/// The cloud at a candle was drawn 25 candles earlier: plotted 26 ahead, counting the candle itself.
fn ichimoku_cloud(k: &[Kline]) -> Option<bool> {
    let (close, high, low) = (closes(k), column(k, |k| k.high), column(k, |k| k.low));
    let middle = |n, ago| Some((greatest(window(&high, n, ago)?) + least(window(&low, n, ago)?)) / 2.0);
    let top = |ago: usize| Some(((middle(9, ago + 25)? + middle(26, ago + 25)?) / 2.0).max(middle(52, ago + 25)?));
    Some(crosses_over(pair(&close)?, [top(0)?, top(1)?]) && middle(9, 0)? > middle(26, 0)?)
}

fn cci_thrust(k: &[Kline]) -> Option<bool> {
    let typical = column(k, |k| (k.high + k.low + k.close) / 3.0);
    let cci = |ago| {
        let window = window(&typical, 20, ago)?;
        let mean_distance = mean(&window.iter().map(|x| (x - mean(window)).abs()).collect::<Vec<_>>());
        Some((window[19] - mean(window)) / (0.015 * mean_distance))
    };
    let calm = (1..=10).map(|ago| Some(cci(ago)?.abs() < 100.0)).collect::<Option<Vec<bool>>>();
    and(&[cci(0).map(|cci| cci > 100.0), calm.map(|calm| calm.into_iter().all(|calm| calm))])
}

fn hammer_volume(k: &[Kline]) -> Option<bool> {
    let (low, volume) = (column(k, |k| k.low), column(k, |k| k.volume));
    let Kline { open, high, low: bottom, close, .. } = k[k.len() - 1];
    let body = (close - open).abs();
    let shape = open.min(close) - bottom > 2.0 * body && high - open.max(close) < body && body > 0.0;
    and(&[
        Some(shape),
        window(&low, 20, 0).map(|window| bottom == least(window)),
        average(&volume, 20, 1).map(|usual| volume[volume.len() - 1] / usual > 1.5),
    ])
}

fn three_soldiers(k: &[Kline]) -> Option<bool> {
    let low = column(k, |k| k.low);
    let [first, second, third] = *k.last_chunk::<3>()?;
    let marches = |k: &Kline| k.close > k.open && k.high - k.close < (k.close - k.open) / 2.0;
    let joined = |a: &Kline, b: &Kline| b.open >= a.open && b.open <= a.close && b.close > a.close;
    let soldiers = [first, second, third].iter().all(marches) && joined(&first, &second) && joined(&second, &third);
    and(&[Some(soldiers), window(&low, 12, 0).map(|window| first.low == least(window))])
}

fn inside_bar_break(k: &[Kline]) -> Option<bool> {
    let [around, inside, newest] = *k.last_chunk::<3>()?;
    let breaks = inside.high < around.high && inside.low > around.low && newest.close > around.high;
    and(&[Some(breaks), exponential(&closes(k), 50).last().map(|average| newest.close > *average)])
}

fn trade_surge(k: &[Kline]) -> Option<bool> {
    let trades = column(k, |k| k.trades as f64);
    let [before, newest] = *k.last_chunk::<2>()?;
    let bought = newest.taker_buy_volume > newest.volume - newest.taker_buy_volume;
    and(&[
        average(&trades, 60, 1).map(|usual| newest.trades as f64 > 3.0 * usual),
        Some(bought && newest.close > before.close),
    ])
}

fn buyer_shift(k: &[Kline]) -> Option<bool> {
    let (volume, bought) = (column(k, |k| k.volume), column(k, |k| k.taker_buy_volume));
    let share = |ago| Some(mean(window(&bought, 20, ago)?) / mean(window(&volume, 20, ago)?));
    let shares = (0..20).map(share).collect::<Option<Vec<f64>>>();
    let crosses = share(0).zip(share(1)).map(|(now, before)| crosses_over([now, before], [0.5; 2]));
    and(&[crosses, shares.map(|shares| least(&shares) < 0.45)])
}

fn session_breakout(k: &[Kline]) -> Option<bool> {
    let newest = k[k.len() - 1];
    // 1970-01-01 was a Thursday.
    let weekday = (newest.open_time.0 / 86_400_000 + 3) % 7;
    and(&[breaks_out(k, 24), Some((13..21).contains(&hour(&newest)) && weekday < 5)])
}

fn zscore_fade(k: &[Kline]) -> Option<bool> {
    let close = closes(k);
    let z = |ago| {
        let window = window(&close, 50, ago)?;
        Some((window[49] - mean(window)) / deviation(window))
    };
    let far = (0..5).map(z).collect::<Option<Vec<f64>>>().map(|z| greatest(&z) > 3.0);
    and(&[z(0).zip(z(1)).map(|(now, before)| now < 2.0 && before >= 2.0), far])
}
