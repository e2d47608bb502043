//! Rules to begin with: what `vyx_templates()` lists. A script lies in a file of `templates/`, what is said of it here.
//!
//! Data and nothing else, so that the compiler's tests read this file as it is: there each is compiled, run over real
//! candles and held against its recorded hits.

/// A rule that can be saved as it is.
pub struct Template {
    /// What it is asked for by, e.g. `rsi_dip`.
    pub name: &'static str,
    pub title: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// The interval it was written for; it compiles on others too.
    pub interval: &'static str,
    pub tags: &'static [&'static str],
    pub script: &'static str,
}

/// One entry a template: name, title, interval, tags; description.
macro_rules! templates {
    ($($name:literal $title:literal $interval:literal [$($tag:literal)*] $description:literal)*) => {
        &[$(Template {
            name: $name,
            title: $title,
            description: $description,
            interval: $interval,
            tags: &[$($tag),*],
            script: include_str!(concat!("templates/", $name, ".rhai")),
        }),*]
    };
}

/// All of them, in the order users see them.
pub static TEMPLATES: &[Template] = templates! {
    "rsi_dip" "RSI dip" "1h" ["reversal" "momentum"]
        "The RSI falls below 30 while the price still stands above its 200-candle average."
    "ema_cross" "EMA cross" "1h" ["trend"]
        "The 9-candle exponential average rises above the 21-candle one."
    "golden_cross" "Golden cross" "4h" ["trend"]
        "The 50-candle average rises above the 200-candle average."
    "macd_turn" "MACD turn" "1h" ["reversal" "momentum"]
        "The MACD rises above its signal line while it is still below zero."
    "bollinger_squeeze" "Bollinger squeeze" "1h" ["breakout" "volatility"]
        "The price closes above the upper Bollinger band within ten candles of the narrowest bands of 120."
    "bollinger_touch" "Bollinger touch" "5m" ["reversal" "volatility"]
        "In a sideways market, a rising candle dips below the lower Bollinger band and closes back inside."
    "volume_spike" "Volume spike" "1m" ["volume"]
        "A rising candle trades more than five times the average volume of the 60 candles before it."
    "vwap_reclaim" "VWAP reclaim" "5m" ["volume" "reversal"]
        "After twelve closes below the day's volume-weighted average price, one above it."
    "vwap_bands" "VWAP bands" "5m" ["volume" "reversal"]
        "The price closes back above the band two deviations below the day's volume-weighted average price."
    "breakout_50" "50-bar breakout" "1h" ["breakout"]
        "The price closes above the highest high of the 50 candles before, on more than average volume."
    "breakdown_50" "50-bar breakdown" "1h" ["breakout" "short"]
        "The price closes below the lowest low of the 50 candles before, on more than average volume."
    "turtle" "Turtle entry" "4h" ["breakout" "trend"]
        "The price closes above the 20-candle Donchian channel; stop and exit come with the signal."
    "stochrsi_cross" "StochRSI cross" "5m" ["reversal" "momentum"]
        "The StochRSI's %K rises above its %D while both are oversold."
    "adx_trend" "ADX trend" "1h" ["trend"]
        "The ADX rises above 25 while the upward movement is the stronger one: a trend begins."
    "rsi_divergence" "RSI divergence" "1h" ["reversal" "momentum"]
        "The price makes a lower low and the RSI a higher one; known, and fired, three candles after the low."
    "ichimoku_cloud" "Ichimoku cloud" "1h" ["trend" "breakout"]
        "The price closes above the Ichimoku cloud while the conversion line is above the base line."
    "williams_r" "Williams %R" "5m" ["reversal" "momentum"]
        "Williams %R comes back over -80 while the price is above its 100-candle average."
    "aroon_cross" "Aroon cross" "1h" ["trend"]
        "Aroon up rises above Aroon down and is at least 70: the newest extreme is a high."
    "atr_expansion" "ATR expansion" "1h" ["volatility" "breakout"]
        "A candle more than 2.2 times as wide as usual closes in the upper quarter of its range."
    "cci_thrust" "CCI thrust" "1h" ["momentum"]
        "The CCI rises above 100 after ten candles within -100 and 100."
    "psar_flip" "PSAR flip" "1h" ["trend"]
        "The parabolic stop and reverse turns from above the price to below it while the ADX is over 20."
    "supertrend_flip" "Supertrend flip" "1h" ["trend"]
        "The supertrend turns from falling to rising."
    "keltner_break" "Keltner break" "1h" ["breakout" "volatility"]
        "After ten closes inside the Keltner channel the price closes above it, while its middle rises."
    "hammer_volume" "Hammer with volume" "5m" ["pattern" "volume" "reversal"]
        "A hammer at the lowest low of 20 candles, on one and a half times the usual volume."
    "three_soldiers" "Three soldiers" "1h" ["pattern" "reversal"]
        "Three rising candles in a row from a low, each opening in the body before and closing near its high."
    "inside_bar_break" "Inside-bar break" "1h" ["pattern" "breakout"]
        "The candle after an inside bar closes above the bar around it, in an uptrend."
    "trade_surge" "Trade-count surge" "1m" ["volume" "flow"]
        "Three times the usual number of trades, more bought than sold, and a higher close."
    "buyer_shift" "Buyer shift" "5m" ["flow" "reversal"]
        "The buyers' share of the volume of 20 candles rises above one half, from below 45 % not long before."
    "three_timeframes" "Three timeframes" "1h" ["trend" "timeframes"]
        "The hourly averages cross upwards while the four-hour averages and the day are rising too."
    "btc_regime" "BTC regime filter" "5m" ["breakout" "filter"]
        "A 30-candle breakout, taken only while bitcoin is calm and above its hourly 100-candle average."
    "session_breakout" "Session filter" "5m" ["breakout" "filter"]
        "A 24-candle breakout between 13:00 and 21:00 UTC, Monday to Friday."
    "ema_pullback" "EMA pullback" "1h" ["trend"]
        "With the 21, 50 and 200-candle averages in order, the price dips to the first and closes above it again."
    "heikin_ashi_turn" "Heikin-Ashi turn" "1h" ["reversal"]
        "After four falling Heikin-Ashi candles, a rising one without a lower wick."
    "zscore_fade" "Z-score fade" "5m" ["reversal" "short"]
        "The price was three standard deviations above its 50-candle average and falls back below two."
    "mfi_capitulation" "MFI capitulation" "5m" ["reversal" "volume"]
        "The money flow index rises back over 20 on a candle that closes higher."
    "day_momentum" "Day momentum" "5m" ["momentum" "breakout"]
        "Up more than 3 % in 24 hours, and a close above the highest high of the last 48 candles."
};
