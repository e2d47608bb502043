//! Price and volume together.

use super::talib::{CORE, lookback, of_one_period, single, streams};
use super::{TYPICAL, candles, period, real, whole};
use crate::catalog::{Function, Indicator, Input};
use crate::eval::bank::bank;
use crate::program::{Field, Kind};
use vyx_core::Millis;

const HIGH_LOW_CLOSE_VOLUME: &[Field] = &[Field::High, Field::Low, Field::Close, Field::Volume];
const CLOSE_VOLUME: &[Field] = &[Field::Close, Field::Volume];

pub(crate) const OBV: Function = Function {
    name: "obv",
    candle: CLOSE_VOLUME,
    outputs: &["obv"],
    warm_up: |_| lookback(CORE.obv_lookback()),
    doc: "On-balance volume: the volume added on a rise of the close, taken off on a fall. It starts with the volume of the history's first candle, and the history's start moves on, so only differences mean something (TA-Lib OBV).",
    open: single!(obv_lookback, obv_open, (close, volume), _p),
    ..Function::PLAIN
};

pub(crate) const AD: Function = Function {
    name: "ad",
    aliases: &["accdist"],
    candle: HIGH_LOW_CLOSE_VOLUME,
    outputs: &["ad"],
    warm_up: |_| lookback(CORE.ad_lookback()),
    doc: "Chaikin's accumulation and distribution: the sum of volume × ((close − low) − (high − close)) / (high − low) since the history's first candle, whose start moves on, so only differences mean something. A candle without range adds 0 (TA-Lib AD).",
    open: single!(ad_lookback, ad_open, (high, low, close, volume), _p),
    ..Function::PLAIN
};

pub(crate) const ADOSC: Function = Function {
    name: "adosc",
    aliases: &["chaikin_osc"],
    candle: HIGH_LOW_CLOSE_VOLUME,
    params: &[candles("fast", 2.0, Some(3.0)), candles("slow", 2.0, Some(10.0))],
    outputs: &["adosc"],
    warm_up: |p| lookback(CORE.adosc_lookback(period(p, 0), period(p, 1))),
    doc: "Chaikin's oscillator: ema(ad, fast) − ema(ad, slow), both averages begun at the first value of ad; 0 where nothing moves or nothing is traded (TA-Lib ADOSC).",
    open: single!(adosc_lookback, adosc_open, (high, low, close, volume), p, fast = period(p, 0), slow = period(p, 1)),
    ..Function::PLAIN
};

pub(crate) const PVI: Function = Function {
    name: "pvi",
    candle: CLOSE_VOLUME,
    outputs: &["pvi"],
    warm_up: |_| lookback(CORE.pvi_lookback()),
    doc: "Positive volume index: 1000 on the history's first candle, then multiplied by close / the close before where volume rises. The history's start moves on, so only ratios mean something (TA-Lib PVI).",
    open: single!(pvi_lookback, pvi_open, (close, volume), _p),
    ..Function::PLAIN
};

pub(crate) const NVI: Function = Function {
    name: "nvi",
    candle: CLOSE_VOLUME,
    outputs: &["nvi"],
    warm_up: |_| lookback(CORE.nvi_lookback()),
    doc: "Negative volume index: 1000 on the history's first candle, then multiplied by close / the close before where volume falls. The history's start moves on, so only ratios mean something (TA-Lib NVI).",
    open: single!(nvi_lookback, nvi_open, (close, volume), _p),
    ..Function::PLAIN
};

pub(crate) const CMF: Function = Function {
    name: "cmf",
    candle: HIGH_LOW_CLOSE_VOLUME,
    params: &[candles("length", 2.0, Some(20.0))],
    outputs: &["cmf"],
    warm_up: |p| lookback(CORE.cmf_lookback(period(p, 0))),
    doc: "Chaikin money flow, −1 to 1: the sum of volume × ((close − low) − (high − close)) / (high − low) over the sum of volume, of `length` candles. A candle without range adds 0; 0 where the window has no volume (TA-Lib CMF).",
    open: of_one_period!(cmf_lookback, cmf_open, (high, low, close, volume)),
    ..Function::PLAIN
};

pub(crate) const EFI: Function = Function {
    name: "efi",
    aliases: &["force_index"],
    candle: CLOSE_VOLUME,
    params: &[candles("length", 1.0, Some(13.0))],
    outputs: &["efi"],
    warm_up: |p| lookback(CORE.efi_lookback(period(p, 0))),
    doc: "Elder's force index: ema((close − close[1]) × volume, length); 0 where nothing moves or nothing is traded (TA-Lib EFI).",
    open: of_one_period!(efi_lookback, efi_open, (close, volume)),
    ..Function::PLAIN
};

pub(crate) const RVOL: Function = Function {
    name: "rvol",
    aliases: &["relative_volume"],
    candle: &[Field::Volume],
    params: &[candles("length", 1.0, Some(20.0))],
    outputs: &["rvol"],
    warm_up: |p| lookback(CORE.rvol_lookback(period(p, 0))),
    doc: "Relative volume: this candle's volume over the mean of the `length` candles before it. Where those had none: infinite, or undefined if this one has none either (TA-Lib RVOL).",
    open: of_one_period!(rvol_lookback, rvol_open, (volume)),
    ..Function::PLAIN
};

pub(crate) const BUY_PRESSURE: Function = Function {
    name: "buy_pressure",
    candle: &[Field::BuyVolume, Field::Volume],
    params: &[candles("length", 1.0, Some(14.0))],
    outputs: &["buy_pressure"],
    warm_up: |p| whole(p, 0) - 1,
    doc: "The share of volume that takers bought in the last `length` candles, 0 to 1; undefined where nothing was traded.",
    open: |p| {
        let length = whole(p, 0);
        bank(move || BuyPressure { bought: Total::new(length), volume: Total::new(length) })
    },
    ..Function::PLAIN
};

struct BuyPressure {
    bought: Total,
    volume: Total,
}

impl Indicator for BuyPressure {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let (bought, volume) = (self.bought.push(inputs[0]), self.volume.push(inputs[1]));
        // Rounding of the two totals must not lead out of what a share can be.
        outputs[0] = match (bought, volume) {
            (Some(bought), Some(volume)) if volume > 0.0 => (bought / volume).clamp(0.0, 1.0),
            _ => f64::NAN,
        };
    }
}

/// The total of the last `length` values. It is added up anew each time the window has passed, so that rounding does
/// not gather, and is exactly 0 where all are.
struct Total {
    length: usize,
    values: Vec<f64>,
    /// Where the next value goes.
    next: usize,
    others_than_zero: usize,
    total: f64,
}

impl Total {
    fn new(length: usize) -> Total {
        Total { length, values: Vec::with_capacity(length), next: 0, others_than_zero: 0, total: 0.0 }
    }

    /// Takes a value; `None` while there are fewer than `length`.
    fn push(&mut self, value: f64) -> Option<f64> {
        self.others_than_zero += usize::from(value != 0.0);
        self.total += value;
        if self.values.len() < self.length {
            self.values.push(value);
        } else {
            let left = std::mem::replace(&mut self.values[self.next], value);
            self.others_than_zero -= usize::from(left != 0.0);
            self.total -= left;
        }
        self.next = (self.next + 1) % self.length;
        if self.others_than_zero == 0 {
            self.total = 0.0;
        } else if self.next == 0 {
            self.total = self.values.iter().sum();
        }
        (self.values.len() == self.length).then_some(self.total)
    }
}

pub(crate) const CVD: Function = Function {
    name: "cvd",
    candle: &[Field::BuyVolume, Field::Volume],
    outputs: &["cvd"],
    doc: "Cumulative volume delta: the volume that takers bought less the volume they sold, summed up from the history's first candle on. The history's start moves on, so only differences mean something.",
    open: |_| bank(move || Cvd { total: 0.0 }),
    ..Function::PLAIN
};

struct Cvd {
    total: f64,
}

impl Indicator for Cvd {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [bought, volume] = *inputs else { unreachable!("cvd declares two inputs") };
        self.total += bought - (volume - bought);
        outputs[0] = self.total;
    }
}

pub(crate) const EMV: Function = Function {
    name: "emv",
    aliases: &["eom", "ease_of_movement"],
    candle: &[Field::High, Field::Low, Field::Volume],
    params: &[candles("length", 1.0, Some(14.0)), real("divisor", 1.0, 1e12, 10_000.0)],
    outputs: &["emv"],
    warm_up: |p| lookback(CORE.emv_lookback(period(p, 0), p[1])),
    doc: "Arms' ease of movement: sma((hl2 − hl2[1]) × (high − low) / (volume / divisor), length). A candle without volume or range counts 0. Computed by TA-Lib's EMV.",
    open: single!(emv_lookback, emv_open, (high, low, volume), p, n = period(p, 0), divisor = p[1]),
    ..Function::PLAIN
};

pub(crate) const VWAP: Function = Function {
    name: "vwap",
    inputs: &[TYPICAL],
    candle: &[Field::Time, Field::Volume],
    outputs: &["vwap"],
    session: true,
    doc: "Volume-weighted average of the source since 00:00 UTC; undefined until the day has volume. For 1m to 12h: of 1s the history is shorter than a day, and a candle of 1d is its own average.",
    open: |_| bank(move || Vwap { day: None, average: Weighted::default() }),
    ..Function::PLAIN
};

struct Vwap {
    /// Days since 1970 of the candle before.
    day: Option<i64>,
    average: Weighted,
}

impl Indicator for Vwap {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [source, time, volume] = *inputs else { unreachable!("vwap declares three inputs") };
        let day = Some((time as i64).div_euclid(Millis::DAY.0));
        if day != self.day {
            *self = Vwap { day, average: Weighted::default() };
        }
        self.average.push(source, volume);
        outputs[0] = self.average.mean();
    }
}

/// A volume-weighted average, and on demand its deviation.
#[derive(Default)]
struct Weighted {
    traded: f64,
    volume: f64,
    /// The same mean, kept as West does.
    mean: f64,
    /// Sum of volume × square of the distance from the mean.
    squares: f64,
}

impl Weighted {
    fn push(&mut self, source: f64, volume: f64) {
        self.traded += source * volume;
        self.volume += volume;
    }

    /// As [`Weighted::push`], and keeps the deviation: West (1979), as the difference of two sums of squares would
    /// lose what it is after.
    fn push_spread(&mut self, source: f64, volume: f64) {
        self.push(source, volume);
        if self.volume > 0.0 {
            let distance = source - self.mean;
            self.mean += distance * (volume / self.volume);
            self.squares += volume * distance * (source - self.mean);
        }
    }

    /// NaN while there is no volume.
    fn mean(&self) -> f64 {
        self.traded / self.volume
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.volume).max(0.0).sqrt()
    }
}

pub(crate) const VWAP_BANDS: Function = Function {
    name: "vwap_bands",
    inputs: &[TYPICAL],
    candle: &[Field::Time, Field::Volume],
    params: &[real("mult", 0.0, 100.0, 2.0)],
    outputs: &["upper", "middle", "lower"],
    session: true,
    doc: "vwap(source) and `mult` volume-weighted standard deviations of the source above and below, since 00:00 UTC. All three are equal where nothing moves and on a day's first candle; undefined until the day has volume. For 1m to 12h, as vwap.",
    open: |p| {
        let mult = p[0];
        bank(move || VwapBands { mult, day: None, average: Weighted::default() })
    },
    ..Function::PLAIN
};

struct VwapBands {
    mult: f64,
    day: Option<i64>,
    average: Weighted,
}

impl Indicator for VwapBands {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [source, time, volume] = *inputs else { unreachable!("vwap_bands declares three inputs") };
        let day = Some((time as i64).div_euclid(Millis::DAY.0));
        if day != self.day {
            *self = VwapBands { mult: self.mult, day, average: Weighted::default() };
        }
        self.average.push_spread(source, volume);
        let (mean, reach) = (self.average.mean(), self.mult * self.average.deviation());
        outputs.copy_from_slice(&[mean + reach, mean, mean - reach]);
    }
}

pub(crate) const ANCHORED_VWAP: Function = Function {
    name: "anchored_vwap",
    aliases: &["avwap"],
    inputs: &[TYPICAL, Input { name: "anchor", kind: Kind::Bool, default: None }],
    candle: &[Field::Volume],
    outputs: &["anchored_vwap"],
    doc: "Volume-weighted average of the source since the last candle on which the anchor was true, that candle included (Pine's ta.vwap with an anchor); undefined before the first, and until there is volume. Ask for events, as a history holds them: what was anchored before its first candle is not known.",
    open: |_| bank(move || AnchoredVwap { average: None }),
    ..Function::PLAIN
};

struct AnchoredVwap {
    average: Option<Weighted>,
}

impl Indicator for AnchoredVwap {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let [source, anchor, volume] = *inputs else { unreachable!("anchored_vwap declares three inputs") };
        if anchor != 0.0 {
            self.average = Some(Weighted::default());
        }
        outputs[0] = self.average.as_mut().map_or(f64::NAN, |average| {
            average.push(source, volume);
            average.mean()
        });
    }
}
