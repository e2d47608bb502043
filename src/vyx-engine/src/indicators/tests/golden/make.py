"""Makes btc.csv and micro.csv: candles and what PyPI's TA-Lib (the C library) says of them.

    python3 -m venv venv && venv/bin/pip install 'TA-Lib==0.8.*'
    venv/bin/python make.py path/to/BTCUSDT-1h.csv

The candles are real ones; micro.csv has them at a ten-thousand-millionth of the price, rounded to a tick of 1e-8, where
older versions of TA-Lib made one line of Bollinger's three.
"""
import csv
import pathlib
import sys

import numpy as np
import talib

ROWS = 120


def outputs(high, low, close, volume):
    macd = talib.MACD(close, 12, 26, 9)
    bands = talib.BBANDS(close, 20, 2.0, 2.0, 0)
    stoch = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    return {
        "sma 20": talib.SMA(close, 20),
        "ema 20": talib.EMA(close, 20),
        "wma 20": talib.WMA(close, 20),
        "rsi 14": talib.RSI(close, 14),
        "macd 12 26 9.0": macd[0],
        "macd 12 26 9.1": macd[1],
        "macd 12 26 9.2": macd[2],
        "bbands 20 2.0": bands[0],
        "bbands 20 2.1": bands[1],
        "bbands 20 2.2": bands[2],
        "atr 14": talib.ATR(high, low, close, 14),
        "stoch 14 3 3.0": stoch[0],
        "stoch 14 3 3.1": stoch[1],
        "adx 14": talib.ADX(high, low, close, 14),
        "obv": talib.OBV(close, volume),
        "stdev 20": talib.STDDEV(close, 20, 1.0),
        "sum 20": talib.SUM(close, 20),
        "highest 20": talib.MAX(high, 20),
        "lowest 20": talib.MIN(low, 20),
    }


def write(name, high, low, close, volume):
    columns = {"high": high, "low": low, "close": close, "volume": volume, **outputs(high, low, close, volume)}
    path = pathlib.Path(__file__).with_name(name)
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        for row in zip(*columns.values()):
            out.writerow(["" if np.isnan(v) else repr(float(v)) for v in row])


rows = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, max_rows=ROWS)
high, low, close, volume = (np.ascontiguousarray(rows[:, i]) for i in (2, 3, 4, 5))
write("btc.csv", high, low, close, volume)
micro = [np.ascontiguousarray(np.round(column * 1e-10, 8)) for column in (high, low, close)]
write("micro.csv", *micro, volume)
