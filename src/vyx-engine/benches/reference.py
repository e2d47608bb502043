"""The rules of the benchmark `evaluate`, computed with numpy, pandas and TA-Lib.

    python reference.py DIRECTORY      started by the benchmark; answers on stdout in JSON

`rules.json` has the rules as [shape, period, long, own] and the lengths of each symbol's series of 1m and 1h; `candles`
their columns (time, high, low, close, volume) as 64-bit floats, series after series.

The numpy variant is what a careful author would write: each distinct indicator once per symbol, then every rule as a
comparison of arrays over all symbols. The pandas variant is what is usually written: for each rule and symbol
the columns that the rule needs, then the rule over the frame, of which the last row counts.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import talib

DAY = 86_400_000
WINDOW = 500   # candles that a reference computes its indicators over; hits are counted over the whole history
TURNS = 5
RULES, SYMBOLS = 100, 10   # of the pandas loop


def read(directory):
    said = json.loads((directory / "rules.json").read_text())
    numbers = np.fromfile(directory / "candles", dtype="<f8")
    at, symbols = 0, []
    for lengths in said["series"]:
        series = []
        for length in lengths:
            columns = numbers[at : at + 5 * length].reshape(5, length)
            series.append(dict(zip(("time", "high", "low", "close", "volume"), columns)))
            at += 5 * length
        symbols.append(series)
    assert at == len(numbers)
    return [tuple(rule) for rule in said["rules"]], symbols


def cut(series, window):
    return {name: np.ascontiguousarray(column[-window:]) for name, column in series.items()}


# numpy and TA-Lib: an indicator gives its last two values.

def stochrsi(close, period):
    rsi = talib.RSI(close, period)
    rsi = rsi[~np.isnan(rsi)]
    return talib.STOCH(rsi, rsi, rsi, 14, 3, 0, 3, 0)[0]


def vwap(minute):
    today = minute["time"] // DAY == minute["time"][-1] // DAY
    volume = minute["volume"][today]
    traded = (minute["high"] + minute["low"] + minute["close"])[today] / 3 * volume
    return np.cumsum(traded) / np.cumsum(volume)


def width(close):
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    return (upper - lower) / middle


INDICATORS = {
    "close": lambda m, h: m["close"],
    "volume": lambda m, h: m["volume"],
    "usual": lambda m, h: talib.SMA(m["volume"], 20),
    "atr": lambda m, h: talib.ATR(m["high"], m["low"], m["close"], 14),
    "rsi": lambda m, h, n: talib.RSI(m["close"], n),
    "ema": lambda m, h, n: talib.EMA(m["close"], n),
    "macd": lambda m, h, n: talib.MACD(m["close"], 12, 26, n)[0],
    "signal": lambda m, h, n: talib.MACD(m["close"], 12, 26, n)[1],
    "width": lambda m, h: width(m["close"]),
    "narrowest": lambda m, h, n: talib.MIN(width(m["close"]), n),
    "lower": lambda m, h, n: talib.BBANDS(m["close"], n, 2.0, 2.0)[2],
    "vwap": lambda m, h: vwap(m),
    "highest": lambda m, h, n: talib.MAX(m["high"], n),
    "stochrsi": lambda m, h, n: stochrsi(m["close"], n),
    "adx": lambda m, h, n: talib.ADX(m["high"], m["low"], m["close"], n),
    "hourly": lambda m, h: h["close"],
    "hourly_ema": lambda m, h, n: talib.EMA(h["close"], n),
}


def needs(rule):
    shape, period, long, _ = rule
    own = {
        0: [("rsi", period)],
        1: [("ema", period), ("ema", long)],
        2: [("macd", period), ("signal", period)],
        3: [("width",), ("narrowest", long)],
        4: [("lower", period)],
        5: [("vwap",)],
        6: [("highest", long)],
        7: [("stochrsi", period)],
        8: [("adx", period)],
        9: [("hourly",), ("hourly_ema", long), ("rsi", period)],
    }
    return [("close",), ("volume",), ("usual",), ("atr",), *own[shape]]


def crossover(a, b):
    return (a[1] > b[1]) & (a[0] <= b[0])


def fires(rule, value):
    """Whether a rule fires, by symbol; `value` gives an indicator at the candle before and at the last one."""
    shape, period, long, own = rule
    busy = value("volume")[1] > value("usual")[1] * (1 + own / 100)
    match shape:
        case 0: hit = value("rsi", period)[1] < own
        case 1: hit = crossover(value("ema", period), value("ema", long))
        case 2: hit = crossover(value("macd", period), value("signal", period))
        case 3: hit = value("width")[1] <= value("narrowest", long)[1]
        case 4: hit = crossover(value("close"), value("lower", period))
        case 5: hit = crossover(value("close"), value("vwap"))
        case 6: hit = value("close")[1] > value("highest", long)[0]
        case 7: hit = value("stochrsi", period)[1] < own
        case 8: hit = value("adx", period)[1] > own
        case 9: hit = (value("hourly")[1] > value("hourly_ema", long)[1]) & (value("rsi", period)[1] < own)
    return hit & busy


def by_numpy(rules, symbols):
    wanted = list(dict.fromkeys(need for rule in rules for need in needs(rule)))
    values = {key: np.empty((2, len(symbols))) for key in wanted}
    for place, (minute, hour) in enumerate(symbols):
        for key in wanted:
            name, *parameters = key
            values[key][:, place] = INDICATORS[name](minute, hour, *parameters)[-2:]
    return np.array([fires(rule, lambda *key: values[key]) for rule in rules])


def by_pandas(rules, symbols):
    hits = 0
    for rule in rules:
        shape, period, long, own = rule
        for minute, hour in symbols:
            df = pd.DataFrame(minute)
            df["usual"] = df.volume.rolling(20).mean()
            df["atr"] = talib.ATR(df.high, df.low, df.close, 14)
            match shape:
                case 0:
                    hit = talib.RSI(df.close, period) < own
                case 1:
                    fast, slow = talib.EMA(df.close, period), talib.EMA(df.close, long)
                    hit = (fast > slow) & (fast.shift() <= slow.shift())
                case 2:
                    macd, signal, _ = talib.MACD(df.close, 12, 26, period)
                    hit = (macd > signal) & (macd.shift() <= signal.shift())
                case 3:
                    upper, middle, lower = talib.BBANDS(df.close, 20, 2.0, 2.0)
                    wide = (upper - lower) / middle
                    hit = wide <= wide.rolling(long).min()
                case 4:
                    lower = talib.BBANDS(df.close, period, 2.0, 2.0)[2]
                    hit = (df.close > lower) & (df.close.shift() <= lower.shift())
                case 5:
                    day = df.time // DAY
                    traded = ((df.high + df.low + df.close) / 3 * df.volume).groupby(day).cumsum()
                    price = traded / df.volume.groupby(day).cumsum()
                    hit = (df.close > price) & (df.close.shift() <= price.shift())
                case 6:
                    hit = df.close > df.high.rolling(long).max().shift()
                case 7:
                    rsi = talib.RSI(df.close, period)
                    low, high = rsi.rolling(14).min(), rsi.rolling(14).max()
                    hit = (100 * (rsi - low) / (high - low)).rolling(3).mean() < own
                case 8:
                    hit = talib.ADX(df.high, df.low, df.close, period) > own
                case 9:
                    hours = pd.DataFrame(hour)
                    up = hours.close.iloc[-1] > talib.EMA(hours.close, long).iloc[-1]
                    hit = (talib.RSI(df.close, period) < own) & up
            df["fire"] = hit & (df.volume > df.usual * (1 + own / 100))
            hits += bool(df.fire.iloc[-1])
    return hits


def timed(work):
    begun = time.thread_time()   # of the processor, as the engine's
    result = work()
    return (time.thread_time() - begun) * 1e3, result


def main():
    rules, whole = read(Path(sys.argv[1]))
    hits = by_numpy(rules, whole)
    window = [(cut(minute, WINDOW), cut(hour, WINDOW)) for minute, hour in whole]
    numpy_ms = median(timed(lambda: by_numpy(rules, window))[0] for _ in range(TURNS))
    # Not every n-th: the shapes repeat themselves.
    places = np.linspace(0, len(rules) - 1, RULES).astype(int)
    some, step = [rules[place] for place in places], len(whole) // SYMBOLS
    pandas_ms, _ = timed(lambda: by_pandas(some, window[::step]))
    scale = len(rules) * len(whole) / (len(some) * len(window[::step]))
    print(json.dumps({
        "hits": int(hits.sum()),
        "numpy": {
            "ms": numpy_ms,
            "how": f"each indicator once a symbol over {WINDOW} candles, rules as arrays, median of {TURNS}",
        },
        "pandas": {
            "ms": pandas_ms * scale,
            "how": f"each rule and symbol by itself over {WINDOW} candles; measured on {RULES} x {SYMBOLS}, scaled",
            "hits": by_pandas(some, whole[::step]),
            "expected": int(hits[places][:, ::step].sum()),
        },
    }))


main()
