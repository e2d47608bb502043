//! Candle patterns: what TA-Lib recognises, by the names people use, and bars inside or outside the one before.
//!
//! TA-Lib knows candles by their bodies and shadows beside the averages of the last five or ten candles (its default
//! settings), white when close >= open; it does not look for a trend before a pattern, except that a hammer and the like
//! stand against the candle before. A flat candle is white and has neither body nor shadows.

use super::real;
use super::talib::{CORE, lookback, streams};
use crate::catalog::{Function, Indicator};
use crate::eval::bank::bank;
use crate::program::{Field, Kind};

const CANDLE: &[Field] = &[Field::Open, Field::High, Field::Low, Field::Close];

/// The names of what a pattern says, by [`Once`], [`Sides`] or [`Confirmed`].
macro_rules! outputs {
    (Once $name:literal) => {
        &[$name]
    };
    (Sides $name:literal) => {
        &["bull", "bear"]
    };
    (Confirmed $name:literal) => {
        &["bull", "bear", "bull_confirmed", "bear_confirmed"]
    };
}

/// The second of two, as often as there is a first.
macro_rules! second {
    ($first:literal $second:expr) => {
        $second
    };
}

/// Declares patterns: constant, name, other names, TA-Lib's first, what it says and its usual penetration if it takes
/// one, TA-Lib's two functions, documentation.
macro_rules! patterns {
    ($($constant:ident $name:literal [$theirs:literal $(, $alias:literal)*] $said:ident($($penetration:literal)?)
        $lookback:ident $open:ident, $doc:literal;)*) => {
        $(pub(crate) const $constant: Function = Function {
            name: $name,
            aliases: &[$theirs $(, $alias)*],
            candle: CANDLE,
            params: &[$(real("penetration", 0.0, 1.0, $penetration))?],
            outputs: outputs!($said $name),
            kind: Kind::Bool,
            warm_up: |_p| lookback(CORE.$lookback($(second!($penetration _p[0]))?)),
            doc: concat!($doc, " (TA-Lib ", $theirs, ")."),
            open: |_p| {
                $(let penetration = second!($penetration _p[0]);)?
                streams(
                    lookback(CORE.$lookback($(second!($penetration penetration))?)),
                    move |c, [open, high, low, close]| {
                        c.$open(open, high, low, close $(, second!($penetration penetration))?)
                            .map(|(h, v)| (h, $said::say(v)))
                    },
                    |h, [open, high, low, close]| h.update(open, high, low, close).map($said::say),
                )
            },
            ..Function::PLAIN
        };)*
    };
}

/// There or not there: one side, or none.
struct Once;

impl Once {
    fn say(found: i32) -> [f64; 1] {
        [f64::from(found != 0)]
    }
}

/// A bull and a bear.
struct Sides;

impl Sides {
    fn say(found: i32) -> [f64; 2] {
        [f64::from(found > 0), f64::from(found < 0)]
    }
}

/// Those, and on a later candle their confirmation.
struct Confirmed;

impl Confirmed {
    fn say(found: i32) -> [f64; 4] {
        [(1..=100).contains(&found), (-100..0).contains(&found), found > 100, found < -100].map(f64::from)
    }
}

pub(crate) const INSIDE_BAR: Function = Function {
    name: "inside_bar",
    candle: &[Field::High, Field::Low],
    outputs: &["inside_bar"],
    kind: Kind::Bool,
    warm_up: |_| 1,
    doc: "high <= high[1] and low >= low[1].",
    open: |_| bank(move || Bars { before: None, meant: |(h0, l0): (f64, f64), (h, l): (f64, f64)| h <= h0 && l >= l0 }),
    ..Function::PLAIN
};

pub(crate) const OUTSIDE_BAR: Function = Function {
    name: "outside_bar",
    candle: &[Field::High, Field::Low],
    outputs: &["outside_bar"],
    kind: Kind::Bool,
    warm_up: |_| 1,
    doc: "high >= high[1] and low <= low[1].",
    open: |_| bank(move || Bars { before: None, meant: |(h0, l0): (f64, f64), (h, l): (f64, f64)| h >= h0 && l <= l0 }),
    ..Function::PLAIN
};

struct Bars<Meant> {
    /// High and low.
    before: Option<(f64, f64)>,
    meant: Meant,
}

impl<Meant: Fn((f64, f64), (f64, f64)) -> bool + Send> Indicator for Bars<Meant> {
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let now = (inputs[0], inputs[1]);
        outputs[0] = self.before.map_or(f64::NAN, |before| f64::from((self.meant)(before, now)));
        self.before = Some(now);
    }
}

patterns! {
    ABANDONED_BABY "abandoned_baby" ["cdlabandonedbaby"] Sides(0.3) cdlabandonedbaby_lookback cdlabandonedbaby_open,
        "A long candle, a doji with gaps on both sides, then one of the other colour that closes deeper than `penetration` of the first body";
    ADVANCE_BLOCK "advance_block" ["cdladvanceblock"] Once() cdladvanceblock_lookback cdladvanceblock_open,
        "Bearish: three white candles that each close higher, with ever smaller bodies or longer upper shadows";
    BELT_HOLD "belt_hold" ["cdlbelthold"] Sides() cdlbelthold_lookback cdlbelthold_open,
        "A long body that opens at its low (bull) or high (bear)";
    BREAKAWAY "breakaway" ["cdlbreakaway"] Sides() cdlbreakaway_lookback cdlbreakaway_open,
        "A long candle with a gap behind it, two that go on, then one of the other colour that closes in the gap";
    CLOSING_MARUBOZU "closing_marubozu" ["cdlclosingmarubozu"] Sides() cdlclosingmarubozu_lookback cdlclosingmarubozu_open,
        "A long body that closes at its high (bull) or low (bear)";
    CONCEALING_BABY_SWALLOW "concealing_baby_swallow" ["cdlconcealbabyswall"] Once() cdlconcealbabyswall_lookback cdlconcealbabyswall_open,
        "Bullish: four black candles, two marubozus, then one with an upper shadow that the last one engulfs";
    COUNTERATTACK "counterattack" ["cdlcounterattack", "meeting_lines"] Sides() cdlcounterattack_lookback cdlcounterattack_open,
        "Two long candles of opposite colours that close at the same price";
    DARK_CLOUD_COVER "dark_cloud_cover" ["cdldarkcloudcover", "dark_cloud"] Once(0.5) cdldarkcloudcover_lookback cdldarkcloudcover_open,
        "Bearish: a long white candle, then a black one that opens above its high and closes deeper than `penetration` of its body";
    DOJI "doji" ["cdldoji"] Once() cdldoji_lookback cdldoji_open,
        "A candle whose body is next to nothing beside the ranges before it";
    DOJI_STAR "doji_star" ["cdldojistar"] Sides() cdldojistar_lookback cdldojistar_open,
        "A long body, then a doji with a gap: below a black one bull, above a white one bear";
    DRAGONFLY_DOJI "dragonfly_doji" ["cdldragonflydoji"] Once() cdldragonflydoji_lookback cdldragonflydoji_open,
        "A doji without upper shadow, with a lower one";
    ENGULFING "engulfing" ["cdlengulfing"] Sides() cdlengulfing_lookback cdlengulfing_open,
        "A body that engulfs the one before, which is of the other colour";
    EVENING_DOJI_STAR "evening_doji_star" ["cdleveningdojistar"] Once(0.3) cdleveningdojistar_lookback cdleveningdojistar_open,
        "Bearish: a long white candle, a doji above it, then a black one that closes deeper than `penetration` of the first body";
    EVENING_STAR "evening_star" ["cdleveningstar"] Once(0.3) cdleveningstar_lookback cdleveningstar_open,
        "Bearish: a long white candle, a short body above it, then a black one that closes deeper than `penetration` of the first body";
    GAP_SIDE_BY_SIDE_WHITE "gap_side_by_side_white" ["cdlgapsidesidewhite"] Sides() cdlgapsidesidewhite_lookback cdlgapsidesidewhite_open,
        "Two white candles side by side after a gap: upwards bull, downwards bear";
    GAP_THREE_METHODS "gap_three_methods" ["cdlxsidegap3methods"] Sides() cdlxsidegap3methods_lookback cdlxsidegap3methods_open,
        "A gap between two candles of one colour, then one of the other that closes it";
    GRAVESTONE_DOJI "gravestone_doji" ["cdlgravestonedoji"] Once() cdlgravestonedoji_lookback cdlgravestonedoji_open,
        "A doji without lower shadow, with an upper one";
    HAMMER "hammer" ["cdlhammer"] Once() cdlhammer_lookback cdlhammer_open,
        "Bullish: a small body near the low before it, a long lower shadow, next to no upper one";
    HANGING_MAN "hanging_man" ["cdlhangingman"] Once() cdlhangingman_lookback cdlhangingman_open,
        "Bearish: a hammer's shape near the high before it";
    HARAMI "harami" ["cdlharami"] Sides() cdlharami_lookback cdlharami_open,
        "A short body within the long one before: of a black one bull, of a white one bear";
    HARAMI_CROSS "harami_cross" ["cdlharamicross"] Sides() cdlharamicross_lookback cdlharamicross_open,
        "A doji within the long body before: of a black one bull, of a white one bear";
    HIGH_WAVE "high_wave" ["cdlhighwave"] Once() cdlhighwave_lookback cdlhighwave_open,
        "A short body, very long shadows on both sides";
    HIKKAKE "hikkake" ["cdlhikkake"] Confirmed() cdlhikkake_lookback cdlhikkake_open,
        "An inside candle, then a false break of it: downwards bull, upwards bear. Confirmed by a close beyond the inside candle within three more";
    HIKKAKE_MODIFIED "hikkake_modified" ["cdlhikkakemod"] Confirmed() cdlhikkakemod_lookback cdlhikkakemod_open,
        "A hikkake whose inside candle has another inside it and closes near its end. Confirmed by a close beyond that candle within three more";
    HOMING_PIGEON "homing_pigeon" ["cdlhomingpigeon"] Once() cdlhomingpigeon_lookback cdlhomingpigeon_open,
        "Bullish: a long black candle, then a short black one within its body";
    IDENTICAL_THREE_CROWS "identical_three_crows" ["cdlidentical3crows"] Once() cdlidentical3crows_lookback cdlidentical3crows_open,
        "Bearish: three falling black candles that each open about where the one before closed";
    IN_NECK "in_neck" ["cdlinneck"] Once() cdlinneck_lookback cdlinneck_open,
        "Bearish: a long black candle, then a white one that opens below its low and closes just inside its body";
    INVERTED_HAMMER "inverted_hammer" ["cdlinvertedhammer"] Once() cdlinvertedhammer_lookback cdlinvertedhammer_open,
        "Bullish: a small body with a gap below the one before, a long upper shadow, next to no lower one";
    KICKING "kicking" ["cdlkicking"] Sides() cdlkicking_lookback cdlkicking_open,
        "Two marubozus of opposite colours with a gap between them; the second says which way";
    KICKING_BY_LENGTH "kicking_by_length" ["cdlkickingbylength"] Sides() cdlkickingbylength_lookback cdlkickingbylength_open,
        "Two marubozus of opposite colours with a gap between them; the longer says which way";
    LADDER_BOTTOM "ladder_bottom" ["cdlladderbottom"] Once() cdlladderbottom_lookback cdlladderbottom_open,
        "Bullish: three falling black candles, a black one with an upper shadow, then a white one that opens above its body";
    LONG_LEGGED_DOJI "long_legged_doji" ["cdllongleggeddoji"] Once() cdllongleggeddoji_lookback cdllongleggeddoji_open,
        "A doji with a long shadow or two";
    LONG_LINE "long_line" ["cdllongline"] Sides() cdllongline_lookback cdllongline_open,
        "A long body with short shadows; its colour says which way";
    MARUBOZU "marubozu" ["cdlmarubozu"] Sides() cdlmarubozu_lookback cdlmarubozu_open,
        "A long body with next to no shadows; its colour says which way";
    MAT_HOLD "mat_hold" ["cdlmathold"] Once(0.5) cdlmathold_lookback cdlmathold_open,
        "Bullish: a long white candle, three small ones that stay above `penetration` of its body, then a white one that closes above them";
    MATCHING_LOW "matching_low" ["cdlmatchinglow"] Once() cdlmatchinglow_lookback cdlmatchinglow_open,
        "Bullish: two black candles with the same close";
    MORNING_DOJI_STAR "morning_doji_star" ["cdlmorningdojistar"] Once(0.3) cdlmorningdojistar_lookback cdlmorningdojistar_open,
        "Bullish: a long black candle, a doji below it, then a white one that closes higher than `penetration` of the first body";
    MORNING_STAR "morning_star" ["cdlmorningstar"] Once(0.3) cdlmorningstar_lookback cdlmorningstar_open,
        "Bullish: a long black candle, a short body below it, then a white one that closes higher than `penetration` of the first body";
    ON_NECK "on_neck" ["cdlonneck"] Once() cdlonneck_lookback cdlonneck_open,
        "Bearish: a long black candle, then a white one that opens below its low and closes at that low";
    PIERCING "piercing" ["cdlpiercing", "piercing_line"] Once() cdlpiercing_lookback cdlpiercing_open,
        "Bullish: a long black candle, then a long white one that opens below its low and closes above the middle of its body";
    RICKSHAW_MAN "rickshaw_man" ["cdlrickshawman"] Once() cdlrickshawman_lookback cdlrickshawman_open,
        "A doji with two long shadows, its body near the middle of the range";
    RISE_FALL_THREE_METHODS "rise_fall_three_methods" ["cdlrisefall3methods"] Sides() cdlrisefall3methods_lookback cdlrisefall3methods_open,
        "A long candle, three small ones against it within its range, then a long one that closes beyond it";
    SEPARATING_LINES "separating_lines" ["cdlseparatinglines"] Sides() cdlseparatinglines_lookback cdlseparatinglines_open,
        "Two candles of opposite colours with the same open; the second, which has no shadow there, says which way";
    SHOOTING_STAR "shooting_star" ["cdlshootingstar"] Once() cdlshootingstar_lookback cdlshootingstar_open,
        "Bearish: a small body with a gap above the one before, a long upper shadow, next to no lower one";
    SHORT_LINE "short_line" ["cdlshortline"] Once() cdlshortline_lookback cdlshortline_open,
        "A short body and short shadows";
    SPINNING_TOP "spinning_top" ["cdlspinningtop"] Once() cdlspinningtop_lookback cdlspinningtop_open,
        "A short body with shadows that are longer than it";
    STALLED "stalled" ["cdlstalledpattern"] Once() cdlstalledpattern_lookback cdlstalledpattern_open,
        "Bearish: three white candles that each close higher, the last one small and high on the second";
    STICK_SANDWICH "stick_sandwich" ["cdlsticksandwich"] Once() cdlsticksandwich_lookback cdlsticksandwich_open,
        "Bullish: a black, a higher white and a black candle, the black ones with the same close";
    TAKURI "takuri" ["cdltakuri"] Once() cdltakuri_lookback cdltakuri_open,
        "A dragonfly doji with a very long lower shadow";
    TASUKI_GAP "tasuki_gap" ["cdltasukigap"] Sides() cdltasukigap_lookback cdltasukigap_open,
        "A gap between two candles of one colour, then one of the other that closes within the gap";
    THREE_BLACK_CROWS "three_black_crows" ["cdl3blackcrows"] Once() cdl3blackcrows_lookback cdl3blackcrows_open,
        "Bearish: three long black candles that each close lower, after a white one";
    THREE_INSIDE "three_inside" ["cdl3inside", "three_inside_up_down"] Sides() cdl3inside_lookback cdl3inside_open,
        "A short body within the long one before, confirmed by the third close beyond the first open";
    THREE_LINE_STRIKE "three_line_strike" ["cdl3linestrike"] Sides() cdl3linestrike_lookback cdl3linestrike_open,
        "Three candles of one colour that go on, then one of the other that closes beyond the first open";
    THREE_OUTSIDE "three_outside" ["cdl3outside"] Sides() cdl3outside_lookback cdl3outside_open,
        "An engulfing candle, confirmed by a third that closes further";
    THREE_STARS_IN_THE_SOUTH "three_stars_in_the_south" ["cdl3starsinsouth"] Once() cdl3starsinsouth_lookback cdl3starsinsouth_open,
        "Bullish: three black candles with ever smaller bodies and shadows, each low above the one before";
    THREE_WHITE_SOLDIERS "three_white_soldiers" ["cdl3whitesoldiers"] Once() cdl3whitesoldiers_lookback cdl3whitesoldiers_open,
        "Bullish: three white candles that each open within the body before and close higher, near their highs";
    THRUSTING "thrusting" ["cdlthrusting"] Once() cdlthrusting_lookback cdlthrusting_open,
        "Bearish: a long black candle, then a white one that opens below its low and closes inside its body, below the middle";
    TRISTAR "tristar" ["cdltristar"] Sides() cdltristar_lookback cdltristar_open,
        "Three dojis, the second with a gap: downwards bull, upwards bear";
    TWO_CROWS "two_crows" ["cdl2crows"] Once() cdl2crows_lookback cdl2crows_open,
        "Bearish: a long white candle, then two black ones that open above it, the last closing inside it";
    UNIQUE_THREE_RIVER "unique_three_river" ["cdlunique3river"] Once() cdlunique3river_lookback cdlunique3river_open,
        "Bullish: a long black candle, a black one within it with a lower low, then a small white one below that one's close";
    UPSIDE_GAP_TWO_CROWS "upside_gap_two_crows" ["cdlupsidegap2crows"] Once() cdlupsidegap2crows_lookback cdlupsidegap2crows_open,
        "Bearish: a long white candle, a small black one above it, then a black one that engulfs that and still closes above the first";
}
