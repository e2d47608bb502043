//! Scripts as people write them, of which benchmarks make thousands.

/// The `n`-th script as SQL: indicators of usual lengths, thresholds of its own.
pub const SCRIPT: &str = "CASE n % 4
    WHEN 0 THEN format('rsi(close, %s) < %s && volume > sma(volume, 20)', (ARRAY[7, 9, 14, 21])[1 + n / 4 % 4], 20 + n / 64.0)
    WHEN 1 THEN format('crossover(ema(close, %s), ema(close, %s)) && volume > %s * sma(volume, 20)',
                       (ARRAY[7, 9, 14, 21])[1 + n / 4 % 4], (ARRAY[50, 100, 200])[1 + n / 16 % 3], 1 + n / 512.0)
    WHEN 2 THEN format('tf(\"1h\").close > ema(tf(\"1h\").close, 50) && rsi(close, %s) < %s',
                       (ARRAY[7, 9, 14, 21])[1 + n / 4 % 4], 20 + n / 64.0)
    ELSE format('adx(%s) > %s && close > highest(high, %s)[1]', (ARRAY[7, 14, 21])[1 + n / 4 % 3], 20 + n / 64.0,
                (ARRAY[20, 50, 100])[1 + n / 12 % 3]) END";
