//! Streamed values are those of TA-Lib's batch call, to the last bit and from the same candle on.

use super::super::talib::{CORE, LATER};
use super::{Data, markets, stream};
use crate::catalog;
use crate::program::Field;
use ta_lib::MAType::{EMA, SMA};
use ta_lib::{OutRange, RetCode};

/// Runs a batch call into `O` columns as long as the input, NaN before the first value.
fn batch<const O: usize>(
    length: usize,
    call: impl FnOnce(usize, [&mut [f64]; O]) -> Result<OutRange, RetCode>,
) -> Vec<Vec<f64>> {
    let mut columns: [Vec<f64>; O] = std::array::from_fn(|_| vec![0.0; length]);
    let range = call(length - 1, columns.each_mut().map(Vec::as_mut_slice)).unwrap();
    let padded = |column: Vec<f64>| {
        let mut padded = vec![f64::NAN; range.beg_idx];
        padded.extend(&column[..range.count]);
        padded
    };
    columns.into_iter().map(padded).collect()
}

#[track_caller]
fn check(name: &str, params: &[f64], inputs: &[&[f64]], expected: &[Vec<f64>]) {
    let streamed = stream(name, params, inputs);
    for (output, (streamed, expected)) in streamed.iter().zip(expected).enumerate() {
        assert_eq!(streamed.len(), expected.len());
        for (i, (a, b)) in streamed.iter().zip(expected).enumerate() {
            assert!(
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                "{name}{params:?}.{output} at {i}: {a}, {b}"
            );
        }
    }
}

#[test]
fn streams_equal_batch_calls() {
    for Data { high: h, low: l, close: x, volume: v, .. } in &markets() {
        let n = x.len();
        for length in [1, 2, 14, 50, 200] {
            let p = [f64::from(length)];
            check("sma", &p, &[x], &batch(n, |end, [a]| CORE.sma(0, end, x, length, a)));
            check("ema", &p, &[x], &batch(n, |end, [a]| CORE.ema(0, end, x, length, a)));
            check("wma", &p, &[x], &batch(n, |end, [a]| CORE.wma(0, end, x, length, a)));
            check("rma", &p, &[x], &batch(n, |end, [a]| CORE.rma(0, end, x, length, a)));
            check("variance", &p, &[x], &batch(n, |end, [a]| CORE.var(0, end, x, length, 1.0, a)));
            check("atr", &p, &[h, l, x], &batch(n, |end, [a]| CORE.atr(0, end, h, l, x, length, a)));
        }
        for length in [2, 14, 50, 200] {
            let p = [f64::from(length)];
            check("rsi", &p, &[x], &batch(n, |end, [a]| CORE.rsi(0, end, x, length, a)));
            check("adx", &p, &[h, l, x], &batch(n, |end, [a]| CORE.adx(0, end, h, l, x, length, a)));
            check("sum", &p, &[x], &batch(n, |end, [a]| CORE.sum(0, end, x, length, a)));
            check("stdev", &p, &[x], &batch(n, |end, [a]| CORE.stddev(0, end, x, length, 1.0, a)));
            check(
                "bbands",
                &[p[0], 2.5],
                &[x],
                &batch(n, |end, [a, b, c]| CORE.bbands(0, end, x, length, 2.5, 2.5, SMA, a, b, c)),
            );
            check("highest", &p, &[h], &batch(n, |end, [a]| CORE.max(0, end, h, length, a)));
            check("lowest", &p, &[l], &batch(n, |end, [a]| CORE.min(0, end, l, length, a)));
        }
        check("macd", &[12.0, 26.0, 9.0], &[x], &batch(n, |end, [a, b, c]| CORE.macd(0, end, x, 12, 26, 9, a, b, c)));
        check(
            "stoch",
            &[14.0, 3.0, 3.0],
            &[h, l, x],
            &batch(n, |end, [a, b]| CORE.stoch(0, end, h, l, x, 14, 3, SMA, 3, SMA, a, b)),
        );
        check("obv", &[], &[x, v], &batch(n, |end, [a]| CORE.obv(0, end, x, v, a)));
        let dmi = stream("dmi", &[14.0, 0.0], &[h, l, x]);
        let plus = batch(n, |end, [a]| CORE.plus_di(0, end, h, l, x, 14, a));
        let minus = batch(n, |end, [a]| CORE.minus_di(0, end, h, l, x, 14, a));
        assert_eq!(dmi[0][27..], plus[0][27..]);
        assert_eq!(dmi[1][27..], minus[0][27..]);
        assert_eq!(dmi[2][27..], stream("adx", &[14.0], &[h, l, x])[0][27..]);
    }
}

#[test]
fn streams_of_one_series_equal_batch_calls() {
    for Data { high: h, close: x, volume: v, .. } in &markets() {
        let n = x.len();
        for length in [2, 3, 14, 50, 200] {
            let p = [f64::from(length)];
            check("hma", &p, &[x], &batch(n, |end, [a]| CORE.hma(0, end, x, length, a)));
            check("vwma", &p, &[x, v], &batch(n, |end, [a]| CORE.vwma(0, end, x, v, length, a)));
            check("dema", &p, &[x], &batch(n, |end, [a]| CORE.dema(0, end, x, length, a)));
            check("tema", &p, &[x], &batch(n, |end, [a]| CORE.tema(0, end, x, length, a)));
            check("trima", &p, &[x], &batch(n, |end, [a]| CORE.trima(0, end, x, length, a)));
            check("zlema", &p, &[x], &batch(n, |end, [a]| CORE.zlema(0, end, x, length, a)));
            check("kama", &p, &[x], &batch(n, |end, [a]| CORE.kama(0, end, x, length, a)));
            check("t3", &[p[0], 0.7], &[x], &batch(n, |end, [a]| CORE.t3(0, end, x, length, 0.7, a)));
            let alma = batch(n, |end, [a]| CORE.alma(0, end, x, length, 6.0, 0.85, a));
            check("alma", &[p[0], 0.85, 6.0], &[x], &alma);
            check("cmo", &p, &[x], &batch(n, |end, [a]| CORE.cmo(0, end, x, length, a)));
            check("cmou", &p, &[x], &batch(n, |end, [a]| CORE.cmou(0, end, x, length, a)));
            check("mom", &p, &[x], &batch(n, |end, [a]| CORE.mom(0, end, x, length, a)));
            check("roc", &p, &[x], &batch(n, |end, [a]| CORE.roc(0, end, x, length, a)));
            check("trix", &p, &[x], &batch(n, |end, [a]| CORE.trix(0, end, x, length, a)));
            check("tsi", &[p[0], 25.0], &[x], &batch(n, |end, [a]| CORE.tsi(0, end, x, 25, length, a)));
            let apo = batch(n, |end, [a]| CORE.apo(0, end, x, length, 26, EMA, a));
            check("apo", &[p[0], 26.0], &[x], &apo);
            let ppo = batch(n, |end, [a]| CORE.ppo(0, end, x, length, 26, EMA, a));
            check("ppo", &[p[0], 26.0, 1.0], &[x], &ppo);
            check("variance", &p, &[x], &batch(n, |end, [a]| CORE.var(0, end, x, length, 1.0, a)));
            check("linreg", &[p[0], 0.0], &[x], &batch(n, |end, [a]| CORE.linearreg(0, end, x, length, a)));
            check("linreg_slope", &p, &[x], &batch(n, |end, [a]| CORE.linearreg_slope(0, end, x, length, a)));
            let intercept = batch(n, |end, [a]| CORE.linearreg_intercept(0, end, x, length, a));
            check("linreg_intercept", &p, &[x], &intercept);
            check("percentrank", &p, &[x], &batch(n, |end, [a]| CORE.percentrank(0, end, x, length, a)));
            check("correlation", &p, &[h, v], &batch(n, |end, [a]| CORE.correl(0, end, h, v, length, a)));
        }
    }
}

#[test]
fn streams_of_candles_equal_batch_calls() {
    for Data { open: o, high: h, low: l, close: x, volume: v, .. } in &markets() {
        let n = x.len();
        let typical: Vec<f64> = (0..n).map(|i| (h[i] + l[i] + x[i]) / 3.0).collect();
        check("tr", &[], &[h, l, x], &batch(n, |end, [a]| CORE.trange(0, end, h, l, x, a)));
        check("bop", &[], &[o, h, l, x], &batch(n, |end, [a]| CORE.bop(0, end, o, h, l, x, a)));
        for length in [2, 3, 14, 50, 200] {
            let p = [f64::from(length)];
            let hlc: [&[f64]; 3] = [h, l, x];
            check("cci", &p, &[&typical], &batch(n, |end, [a]| CORE.cci(0, end, h, l, x, length, a)));
            check("mfi", &p, &[&typical, v], &batch(n, |end, [a]| CORE.mfi(0, end, h, l, x, v, length, a)));
            check("willr", &p, &hlc, &batch(n, |end, [a]| CORE.willr(0, end, h, l, x, length, a)));
            let ultosc = batch(n, |end, [a]| CORE.ultosc(0, end, h, l, x, length, 14, 28, a));
            check("ultosc", &[p[0], 14.0, 28.0], &hlc, &ultosc);
            check("ao", &[p[0], 34.0], &[h, l], &batch(n, |end, [a]| CORE.ao(0, end, h, l, length, 34, a)));
            check("natr", &p, &hlc, &batch(n, |end, [a]| CORE.natr(0, end, h, l, x, length, a)));
            check("adxr", &p, &hlc, &batch(n, |end, [a]| CORE.adxr(0, end, h, l, x, length, a)));
            let [down, up] = batch(n, |end, [a, b]| CORE.aroon(0, end, h, l, length, a, b)).try_into().unwrap();
            check("aroon", &p, &[h, l], &[up, down]);
            check("aroonosc", &p, &[h, l], &batch(n, |end, [a]| CORE.aroonosc(0, end, h, l, length, a)));
            check("vortex", &p, &hlc, &batch(n, |end, [a, b]| CORE.vortex(0, end, h, l, x, length, a, b)));
            check("chop", &p, &hlc, &batch(n, |end, [a]| CORE.chop(0, end, h, l, x, length, a)));
            check("donchian", &p, &[h, l], &batch(n, |end, [a, b, c]| CORE.donchian(0, end, h, l, length, a, b, c)));
            let channels = batch(n, |end, [a, b, c]| CORE.kc(0, end, h, l, x, length, 10, 1.5, a, b, c));
            check("keltner", &[p[0], 1.5, 10.0], &[&typical, h, l, x], &channels);
            let mut trend = vec![0; n];
            let line = batch(n, |end, [a]| CORE.supertrend(0, end, h, l, x, length, 3.0, a, &mut trend));
            let warm_up = line[0].iter().take_while(|v| v.is_nan()).count();
            let direction = trend[..n - warm_up].iter().map(|up| f64::from(-up));
            let direction = std::iter::repeat_n(f64::NAN, warm_up).chain(direction).collect();
            check("supertrend", &[3.0, p[0]], &hlc, &[line[0].clone(), direction]);
        }
        check("psar", &[0.02, 0.02, 0.2], &[h, l], &batch(n, |end, [a]| CORE.sar(0, end, h, l, 0.02, 0.2, a)));
    }
}

#[test]
fn bollinger_bands_do_not_collapse_at_micro_prices() {
    // A coin at 7e-6 with a tick of 1e-8; a fixed epsilon in the deviation would make the bands one line.
    let close: Vec<f64> = (0..60).map(|i| 7e-6 + f64::from((i * 37) % 11 - 5) * 1e-8).collect();
    let bands = stream("bbands", &[20.0, 2.0], &[&close]);
    let last = &close[40..];
    let mean = last.iter().sum::<f64>() / 20.0;
    let deviation = (last.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20.0).sqrt();
    assert!((bands[0][59] - mean - 2.0 * deviation).abs() < 1e-9 * mean);
    assert!((bands[3][59] - 4.0 * deviation / mean).abs() < 1e-6, "width {}", bands[3][59]);
    assert!(bands[3][59] > 1e-2);
}

#[test]
fn a_stream_may_open_on_any_length_of_history() {
    for data in markets().iter().step_by(3) {
        let mut opened_late = 0;
        for function in catalog::functions() {
            // Made of streams of which one begins with the first value of another.
            if ["stoch", "stochrsi", "ppo"].contains(&function.name) {
                continue;
            }
            let given = function.inputs.iter().enumerate();
            let mut inputs: Vec<&[f64]> = given.map(|(i, _)| data.field([Field::Close, Field::Open][i])).collect();
            inputs.extend(function.candle.iter().map(|field| data.field(*field)));
            let params: Vec<f64> = function.params.iter().map(|p| p.default.unwrap_or(10.0)).collect();
            let first = (function.warm_up)(&params);
            let usual = stream(function.name, &params, &inputs);
            for later in [1, 32, 250, 1_000] {
                LATER.set(later);
                let late = stream(function.name, &params, &inputs);
                LATER.set(0);
                opened_late += usize::from(late[0][first].is_nan() && !usual[0][first].is_nan());
                for (usual, late) in usual.iter().zip(&late) {
                    for i in first + later..usual.len() {
                        let (a, b) = (usual[i], late[i]);
                        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
                        assert!(same, "{} {later} candles late, at {i}: {b}, not {a}", function.name);
                    }
                }
            }
        }
        assert!(opened_late > 150, "{opened_late} streams opened late");
    }
}
