//! The functions that look back: their names, arguments, outputs, warm-up and documentation.
//!
//! One table serves everybody: the compiler registers and checks calls by it, the engine builds states from
//! it, the list that users see is printed from it.

use crate::eval::bank::Bank;
use crate::indicators::{
    averages, bands, crosses, divergence, events, momentum, patterns, pivots, profile, rates, statistics, stops, trend,
    volume, windows,
};
use crate::program::{Field, Kind};

/// Most outputs a function has.
pub const MAX_OUTPUTS: usize = 8;
/// Most series a function takes, its candle fields included.
pub const MAX_INPUTS: usize = 8;

/// A function of series that keeps state from candle to candle.
pub struct Function {
    /// The name it is listed by, e.g. `bbands`.
    pub name: &'static str,
    /// Other spellings, e.g. `bb`. The prefixes `ta.` and `math.` are the compiler's matter.
    pub aliases: &'static [&'static str],
    /// Series the caller gives, in order.
    pub inputs: &'static [Input],
    /// Candle fields it reads by itself; their nodes follow the given ones in `Op::Call::inputs`.
    pub candle: &'static [Field],
    /// Constants the caller gives after the series, in order.
    pub params: &'static [Param],
    /// One output: a plain series. Several: a record with these fields. All of `kind`, at most [`MAX_OUTPUTS`].
    pub outputs: &'static [&'static str],
    pub kind: Kind,
    /// How many input candles, counted from the first defined one, give no value: the index of the first valid bar.
    pub warm_up: fn(params: &[f64]) -> usize,
    /// One line: formula or meaning, and its source.
    pub doc: &'static str,
    /// Its values belong to a day that starts at 00:00 UTC: refused where candles are not shorter than a day, or the
    /// history does not hold one.
    pub session: bool,
    /// Makes states, most simply by [`bank`](crate::eval::bank::bank). `params` were checked against [`Function::params`].
    pub(crate) open: fn(params: &[f64]) -> Box<dyn Bank>,
}

/// A series argument.
pub struct Input {
    pub name: &'static str,
    pub kind: Kind,
    /// The field that stands in when the caller leaves the argument out, e.g. close. Only for leading inputs.
    pub default: Option<Field>,
}

/// A constant argument.
#[derive(Debug, PartialEq)]
pub struct Param {
    pub name: &'static str,
    /// Whole numbers only.
    pub whole: bool,
    pub min: f64,
    pub max: f64,
    pub default: Option<f64>,
}

/// The state of one function over one symbol's candles.
///
/// `update` is called once for each candle on which every input is defined and finite; another candle is not shown to
/// the function, and its output there is undecided for the input's reason. An infinite input counts as undefined, since
/// a running sum that once took it in could never forget it.
pub trait Indicator: Send {
    /// Takes the inputs of one candle (bools as 0.0 and 1.0) and writes each output; NaN while there is no value yet.
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]);
}

/// All functions, in the order users see them. Each is declared beside its arithmetic, in a room of `indicators`.
static FUNCTIONS: &[Function] = &[
    averages::SMA,
    averages::EMA,
    averages::WMA,
    averages::RMA,
    averages::HMA,
    averages::VWMA,
    averages::DEMA,
    averages::TEMA,
    averages::TRIMA,
    averages::ZLEMA,
    averages::KAMA,
    averages::T3,
    averages::ALMA,
    averages::SWMA,
    momentum::RSI,
    momentum::STOCHRSI,
    momentum::STOCH,
    momentum::CCI,
    momentum::MFI,
    momentum::WILLR,
    momentum::ULTOSC,
    momentum::CMO,
    momentum::CMOU,
    momentum::BOP,
    rates::MACD,
    rates::PPO,
    rates::APO,
    rates::MOM,
    rates::ROC,
    rates::TRIX,
    rates::TSI,
    rates::AO,
    trend::ADX,
    trend::DMI,
    trend::ADXR,
    trend::AROON,
    trend::AROONOSC,
    trend::VORTEX,
    trend::CHOP,
    trend::TR,
    trend::ATR,
    trend::NATR,
    trend::HEIKIN_ASHI,
    bands::BBANDS,
    bands::KELTNER,
    bands::DONCHIAN,
    stops::PSAR,
    stops::SUPERTREND,
    stops::ICHIMOKU,
    statistics::STDEV,
    statistics::VARIANCE,
    statistics::ZSCORE,
    statistics::LINREG,
    statistics::LINREG_SLOPE,
    statistics::LINREG_INTERCEPT,
    statistics::PERCENTRANK,
    statistics::CORRELATION,
    volume::OBV,
    volume::AD,
    volume::ADOSC,
    volume::PVI,
    volume::NVI,
    volume::CMF,
    volume::EFI,
    volume::EMV,
    volume::RVOL,
    volume::BUY_PRESSURE,
    volume::CVD,
    volume::VWAP,
    volume::VWAP_BANDS,
    volume::ANCHORED_VWAP,
    windows::HIGHEST,
    windows::LOWEST,
    windows::HIGHESTBARS,
    windows::LOWESTBARS,
    windows::SUM,
    windows::CUM,
    windows::CHANGE,
    windows::MEDIAN,
    windows::PERCENTILE,
    windows::COUNT,
    windows::EVERY,
    windows::ANY,
    windows::RISING,
    windows::FALLING,
    pivots::PIVOT_HIGH,
    pivots::PIVOT_LOW,
    pivots::LAST_PIVOT_HIGH,
    pivots::LAST_PIVOT_LOW,
    divergence::DIVERGENCE,
    profile::VOLUME_PROFILE,
    crosses::CROSSOVER,
    crosses::CROSSUNDER,
    crosses::CROSS,
    events::BARSSINCE,
    events::VALUEWHEN,
    patterns::INSIDE_BAR,
    patterns::OUTSIDE_BAR,
    patterns::ABANDONED_BABY,
    patterns::ADVANCE_BLOCK,
    patterns::BELT_HOLD,
    patterns::BREAKAWAY,
    patterns::CLOSING_MARUBOZU,
    patterns::CONCEALING_BABY_SWALLOW,
    patterns::COUNTERATTACK,
    patterns::DARK_CLOUD_COVER,
    patterns::DOJI,
    patterns::DOJI_STAR,
    patterns::DRAGONFLY_DOJI,
    patterns::ENGULFING,
    patterns::EVENING_DOJI_STAR,
    patterns::EVENING_STAR,
    patterns::GAP_SIDE_BY_SIDE_WHITE,
    patterns::GAP_THREE_METHODS,
    patterns::GRAVESTONE_DOJI,
    patterns::HAMMER,
    patterns::HANGING_MAN,
    patterns::HARAMI,
    patterns::HARAMI_CROSS,
    patterns::HIGH_WAVE,
    patterns::HIKKAKE,
    patterns::HIKKAKE_MODIFIED,
    patterns::HOMING_PIGEON,
    patterns::IDENTICAL_THREE_CROWS,
    patterns::IN_NECK,
    patterns::INVERTED_HAMMER,
    patterns::KICKING,
    patterns::KICKING_BY_LENGTH,
    patterns::LADDER_BOTTOM,
    patterns::LONG_LEGGED_DOJI,
    patterns::LONG_LINE,
    patterns::MARUBOZU,
    patterns::MAT_HOLD,
    patterns::MATCHING_LOW,
    patterns::MORNING_DOJI_STAR,
    patterns::MORNING_STAR,
    patterns::ON_NECK,
    patterns::PIERCING,
    patterns::RICKSHAW_MAN,
    patterns::RISE_FALL_THREE_METHODS,
    patterns::SEPARATING_LINES,
    patterns::SHOOTING_STAR,
    patterns::SHORT_LINE,
    patterns::SPINNING_TOP,
    patterns::STALLED,
    patterns::STICK_SANDWICH,
    patterns::TAKURI,
    patterns::TASUKI_GAP,
    patterns::THREE_BLACK_CROWS,
    patterns::THREE_INSIDE,
    patterns::THREE_LINE_STRIKE,
    patterns::THREE_OUTSIDE,
    patterns::THREE_STARS_IN_THE_SOUTH,
    patterns::THREE_WHITE_SOLDIERS,
    patterns::THRUSTING,
    patterns::TRISTAR,
    patterns::TWO_CROWS,
    patterns::UNIQUE_THREE_RIVER,
    patterns::UPSIDE_GAP_TWO_CROWS,
];

/// All functions, in the order users see them.
pub fn functions() -> &'static [Function] {
    FUNCTIONS
}

/// Finds a function by name or alias.
pub fn find(name: &str) -> Option<&'static Function> {
    functions().iter().find(|f| f.name == name || f.aliases.contains(&name))
}

impl Function {
    /// What most functions do not say: a number from no arguments, from the first candle on.
    pub(crate) const PLAIN: Function = Function {
        name: "",
        aliases: &[],
        inputs: &[],
        candle: &[],
        params: &[],
        outputs: &[],
        kind: Kind::Number,
        session: false,
        warm_up: |_| 0,
        doc: "",
        open: |_| unreachable!("each function says how it is opened"),
    };

    /// How it is called, with its defaults, e.g. `bbands(source = close, length = 20, mult = 2)`.
    pub fn signature(&self) -> String {
        let inputs = self.inputs.iter().map(|input| match input.default {
            Some(field) => format!("{} = {}", input.name, format!("{field:?}").to_lowercase()),
            None => input.name.to_owned(),
        });
        let params = self.params.iter().map(|param| match param.default {
            Some(value) => format!("{} = {value}", param.name),
            None => param.name.to_owned(),
        });
        format!("{}({})", self.name, inputs.chain(params).collect::<Vec<_>>().join(", "))
    }

    /// Whether `params` are as many as declared, whole where they must be, and within their bounds.
    ///
    /// # Errors
    /// What is wrong with the first that does not fit.
    pub fn check_params(&self, params: &[f64]) -> Result<(), BadParam> {
        if params.len() != self.params.len() {
            return Err(BadParam::Count { expected: self.params.len(), found: params.len() });
        }
        for (param, value) in self.params.iter().zip(params) {
            let within = *value >= param.min && *value <= param.max;
            if !within || (param.whole && value.fract() != 0.0) {
                return Err(BadParam::Value { param, value: *value });
            }
        }
        Ok(())
    }
}

/// Why constants do not fit a function.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadParam {
    #[error("takes {expected} constants, not {found}")]
    Count { expected: usize, found: usize },
    #[error("\"{}\" must be {} from {} to {}, not {value}", param.name, if param.whole { "a whole number" } else { "a number" }, param.min, param.max)]
    Value { param: &'static Param, value: f64 },
}
