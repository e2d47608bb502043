"""Makes the golden vectors: candles, and what PyPI's TA-Lib (the C library) says of them.

    python3 -m venv venv && venv/bin/pip install 'TA-Lib==0.8.*' numpy
    venv/bin/python make.py path/to/BTCUSDT-1h.csv path/to/LTCBTC-5m.csv path/to/XRPETH-1m.csv

For each set of candles, `btc` and `micro`, `SET.csv` holds the candles and `ROOM.SET.csv` the values, a function below
for each room. The micro set is at a ten-thousand-millionth of the price, rounded to a tick of 1e-8, where older
versions of TA-Lib made one line of Bollinger's three.

`patterns.hits.csv` says how often each candle pattern is in the whole of the files.

A column is named as the call is: `name`, then fields of the candle for arguments that are not left out, then the
constants, then `.output` where there are several. A `~` before it says that the value is a difference of its inputs
and is known to the rounding of those. TA-Lib's numbers are written as they are, all digits.
"""
import csv
import pathlib
import sys
from types import SimpleNamespace

import numpy as np
import talib
import talib.abstract

ROWS = 120
HERE = pathlib.Path(__file__).parent
SMA, EMA = 0, 1


def named(call, outputs, values):
    """Columns of a call with several outputs."""
    return {f"{call}.{output}": value for output, value in zip(outputs.split(), values)}


def ppo(close):
    line = talib.PPO(close, 12, 26, EMA)
    signal = talib.EMA(line, 9)
    return np.where(np.isnan(signal), np.nan, line), signal, line - signal


def supertrend(c):
    """With Pine's direction, −1 in an uptrend, and none before the first value."""
    value, trend = talib.SUPERTREND(c.high, c.low, c.close, 10, 3.0)
    return value, np.where(np.isnan(value), np.nan, -trend)


def dmi(c, adx):
    """All three from the first candle that has an ADX."""
    both = [f(c.high, c.low, c.close, 14) for f in (talib.PLUS_DI, talib.MINUS_DI)]
    return [np.where(np.isnan(adx), np.nan, v) for v in (*both, adx)]


def averages(c):
    return {
        "sma 20": talib.SMA(c.close, 20),
        "sma volume 20": talib.SMA(c.volume, 20),
        "ema 20": talib.EMA(c.close, 20),
        "wma 20": talib.WMA(c.close, 20),
        "rma 20": talib.RMA(c.close, 20),
        "hma 20": talib.HMA(c.close, 20),
        "vwma 20": talib.VWMA(c.close, c.volume, 20),
        "dema 20": talib.DEMA(c.close, 20),
        "tema 20": talib.TEMA(c.close, 20),
        "trima 20": talib.TRIMA(c.close, 20),
        "trima 5": talib.TRIMA(c.close, 5),
        "zlema 20": talib.ZLEMA(c.close, 20),
        "kama 20": talib.KAMA(c.close, 20),
        "t3 5 0.7": talib.T3(c.close, 5, 0.7),
    }


def momentum(c):
    return {
        "rsi 14": talib.RSI(c.close, 14),
        **named("stoch 14 3 3", "k d", talib.STOCH(c.high, c.low, c.close, 14, 3, SMA, 3, SMA)),
        **named("stochrsi 14 14 1 3", "k d", talib.STOCHRSI(c.close, 14, 14, 3, SMA)),
        "cci 20": talib.CCI(c.high, c.low, c.close, 20),
        "mfi 14": talib.MFI(c.high, c.low, c.close, c.volume, 14),
        "willr 14": talib.WILLR(c.high, c.low, c.close, 14),
        "ultosc 7 14 28": talib.ULTOSC(c.high, c.low, c.close, 7, 14, 28),
        "cmo 14": talib.CMO(c.close, 14),
        "cmou 14": talib.CMOU(c.close, 14),
        "bop": talib.BOP(c.open, c.high, c.low, c.close),
        **named("~macd 12 26 9", "macd signal hist", talib.MACD(c.close, 12, 26, 9)),
        **named("~ppo 12 26 9", "ppo signal hist", ppo(c.close)),
        "~apo 12 26": talib.APO(c.close, 12, 26, EMA),
        "~mom 10": talib.MOM(c.close, 10),
        "~roc 10": talib.ROC(c.close, 10),
        "~trix 18": talib.TRIX(c.close, 18),
        "tsi 13 25": talib.TSI(c.close, 25, 13),
        "~ao 5 34": talib.AO(c.high, c.low, 5, 34),
    }


def trend(c):
    adx = talib.ADX(c.high, c.low, c.close, 14)
    smoother = talib.RMA(talib.DX(c.high, c.low, c.close, 14), 20)
    return {
        "~tr": talib.TRANGE(c.high, c.low, c.close),
        "atr 14": talib.ATR(c.high, c.low, c.close, 14),
        "natr 14": talib.NATR(c.high, c.low, c.close, 14),
        "adx 14": adx,
        "adxr 14": talib.ADXR(c.high, c.low, c.close, 14),
        **named("aroon 14", "down up", talib.AROON(c.high, c.low, 14)),
        "aroonosc 14": talib.AROONOSC(c.high, c.low, 14),
        **named("vortex 14", "plus minus", talib.VORTEX(c.high, c.low, c.close, 14)),
        "psar 0.02 0.02 0.2": talib.SAR(c.high, c.low, 0.02, 0.2),
        "psar 0.01 0.03 0.1": np.abs(talib.SAREXT(c.high, c.low, 0, 0, 0.01, 0.03, 0.1, 0.01, 0.03, 0.1)),
        **named("supertrend 3 10", "value direction", supertrend(c)),
        **named("dmi 14 0", "plus minus adx", dmi(c, adx)),
        **named("dmi 14 14", "plus minus adx", dmi(c, adx)),
        **named("dmi 14 20", "plus minus adx", dmi(c, smoother)),
    }


def bands(c):
    return {
        **named("bbands 20 2", "upper middle lower", talib.BBANDS(c.close, 20, 2.0, 2.0, SMA)),
        **named("keltner hlc3 20 2 10", "upper middle lower", talib.KC(c.high, c.low, c.close, 20, 10, 2.0)),
        **named("keltner hlc3 5 1.5 10", "upper middle lower", talib.KC(c.high, c.low, c.close, 5, 10, 1.5)),
        **named("donchian 20", "upper middle lower", talib.DONCHIAN(c.high, c.low, 20)),
        "stdev 20": talib.STDDEV(c.close, 20, 1.0),
        "variance 20": talib.VAR(c.close, 20, 1.0),
        "linreg 14 0": talib.LINEARREG(c.close, 14),
        "~linreg_slope 14": talib.LINEARREG_SLOPE(c.close, 14),
        "linreg_intercept 14": talib.LINEARREG_INTERCEPT(c.close, 14),
        "percentrank 20": talib.PERCENTRANK(c.close, 20),
        "correlation high volume 20": talib.CORREL(c.high, c.volume, 20),
    }


def volume(c):
    return {
        "obv": talib.OBV(c.close, c.volume),
        "ad": talib.AD(c.high, c.low, c.close, c.volume),
        "adosc 3 10": talib.ADOSC(c.high, c.low, c.close, c.volume, 3, 10),
        "pvi": talib.PVI(c.close, c.volume),
        "nvi": talib.NVI(c.close, c.volume),
        "cmf 20": talib.CMF(c.high, c.low, c.close, c.volume, 20),
        "efi 13": talib.EFI(c.close, c.volume, 13),
        "rvol 20": talib.RVOL(c.volume, 20),
    }


def windows(c):
    return {
        "sum 20": talib.SUM(c.close, 20),
        "highest 20": talib.MAX(c.high, 20),
        "lowest 20": talib.MIN(c.low, 20),
        "~change 1": talib.MOM(c.close, 1),
        "percentile 20 50": talib.PERCENTILE(c.close, 20, 50),
        "percentile 14 25": talib.PERCENTILE(c.close, 14, 25),
    }


# Our name, TA-Lib's, and the penetration where there is one. First those that are there or not there.
ONCE = {
    "advance_block": ("CDLADVANCEBLOCK", None),
    "concealing_baby_swallow": ("CDLCONCEALBABYSWALL", None),
    "dark_cloud_cover": ("CDLDARKCLOUDCOVER", 0.5),
    "doji": ("CDLDOJI", None),
    "dragonfly_doji": ("CDLDRAGONFLYDOJI", None),
    "evening_doji_star": ("CDLEVENINGDOJISTAR", 0.3),
    "evening_star": ("CDLEVENINGSTAR", 0.3),
    "gravestone_doji": ("CDLGRAVESTONEDOJI", None),
    "hammer": ("CDLHAMMER", None),
    "hanging_man": ("CDLHANGINGMAN", None),
    "high_wave": ("CDLHIGHWAVE", None),
    "homing_pigeon": ("CDLHOMINGPIGEON", None),
    "identical_three_crows": ("CDLIDENTICAL3CROWS", None),
    "in_neck": ("CDLINNECK", None),
    "inverted_hammer": ("CDLINVERTEDHAMMER", None),
    "ladder_bottom": ("CDLLADDERBOTTOM", None),
    "long_legged_doji": ("CDLLONGLEGGEDDOJI", None),
    "mat_hold": ("CDLMATHOLD", 0.5),
    "matching_low": ("CDLMATCHINGLOW", None),
    "morning_doji_star": ("CDLMORNINGDOJISTAR", 0.3),
    "morning_star": ("CDLMORNINGSTAR", 0.3),
    "on_neck": ("CDLONNECK", None),
    "piercing": ("CDLPIERCING", None),
    "rickshaw_man": ("CDLRICKSHAWMAN", None),
    "shooting_star": ("CDLSHOOTINGSTAR", None),
    "short_line": ("CDLSHORTLINE", None),
    "spinning_top": ("CDLSPINNINGTOP", None),
    "stalled": ("CDLSTALLEDPATTERN", None),
    "stick_sandwich": ("CDLSTICKSANDWICH", None),
    "takuri": ("CDLTAKURI", None),
    "three_black_crows": ("CDL3BLACKCROWS", None),
    "three_stars_in_the_south": ("CDL3STARSINSOUTH", None),
    "three_white_soldiers": ("CDL3WHITESOLDIERS", None),
    "thrusting": ("CDLTHRUSTING", None),
    "two_crows": ("CDL2CROWS", None),
    "unique_three_river": ("CDLUNIQUE3RIVER", None),
    "upside_gap_two_crows": ("CDLUPSIDEGAP2CROWS", None),
}
# A bull and a bear each.
SIDES = {
    "abandoned_baby": ("CDLABANDONEDBABY", 0.3),
    "belt_hold": ("CDLBELTHOLD", None),
    "breakaway": ("CDLBREAKAWAY", None),
    "closing_marubozu": ("CDLCLOSINGMARUBOZU", None),
    "counterattack": ("CDLCOUNTERATTACK", None),
    "doji_star": ("CDLDOJISTAR", None),
    "engulfing": ("CDLENGULFING", None),
    "gap_side_by_side_white": ("CDLGAPSIDESIDEWHITE", None),
    "gap_three_methods": ("CDLXSIDEGAP3METHODS", None),
    "harami": ("CDLHARAMI", None),
    "harami_cross": ("CDLHARAMICROSS", None),
    "kicking": ("CDLKICKING", None),
    "kicking_by_length": ("CDLKICKINGBYLENGTH", None),
    "long_line": ("CDLLONGLINE", None),
    "marubozu": ("CDLMARUBOZU", None),
    "rise_fall_three_methods": ("CDLRISEFALL3METHODS", None),
    "separating_lines": ("CDLSEPARATINGLINES", None),
    "tasuki_gap": ("CDLTASUKIGAP", None),
    "three_inside": ("CDL3INSIDE", None),
    "three_line_strike": ("CDL3LINESTRIKE", None),
    "three_outside": ("CDL3OUTSIDE", None),
    "tristar": ("CDLTRISTAR", None),
}
# The same, and later the confirmation.
CONFIRMED = {
    "hikkake": ("CDLHIKKAKE", None),
    "hikkake_modified": ("CDLHIKKAKEMOD", None),
}


def pattern(c, function, penetration):
    """What TA-Lib says, and where it says nothing yet."""
    f = getattr(talib, function)
    args = (c.open, c.high, c.low, c.close)
    value = f(*args) if penetration is None else f(*args, penetration=penetration)
    parameters = {} if penetration is None else {"penetration": penetration}
    lookback = talib.abstract.Function(function, **parameters).lookback
    return value, np.arange(len(value)) < lookback


def patterns(c):
    columns = {}
    for group, outputs in ((ONCE, {"": None}), (SIDES, {".bull": (1, 100), ".bear": (-1, 100)}),
                           (CONFIRMED, {".bull": (1, 100), ".bear": (-1, 100),
                                        ".bull_confirmed": (1, 200), ".bear_confirmed": (-1, 200)})):
        for name, (function, penetration) in group.items():
            value, early = pattern(c, function, penetration)
            call = name if penetration is None else f"{name} {penetration}"
            for output, meant in outputs.items():
                # 80 is a weaker 100.
                hit = value != 0 if meant is None else (np.sign(value) == meant[0]) & ((np.abs(value) > 100) == (meant[1] > 100))
                columns[call + output] = np.where(early, np.nan, hit.astype(float))
    return columns


def hits(files):
    """Of each file and output of a pattern: how often, and the sum of the numbers of the candles (from 0)."""
    with (HERE / "patterns.hits.csv").open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["file", "call", "hits", "sum"])
        for path in files:
            rows = np.loadtxt(path, delimiter=",", skiprows=1)
            candles = {field: np.ascontiguousarray(rows[:, i]) for i, field in enumerate(fields)}
            for call, column in patterns(SimpleNamespace(**candles)).items():
                found = np.flatnonzero(np.nan_to_num(column))
                out.writerow([path.name, call, len(found), int(found.sum())])


def write(name, columns):
    with (HERE / name).open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        for row in zip(*columns.values()):
            out.writerow(["" if np.isnan(v) else repr(float(v)) for v in row])


def vectors(name, candles):
    write(f"{name}.csv", candles)
    for room in (averages, momentum, trend, bands, volume, windows, patterns):
        if columns := room(SimpleNamespace(**candles)):
            write(f"{room.__name__}.{name}.csv", columns)


rows = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, max_rows=ROWS)
fields = ("time", "open", "high", "low", "close", "volume")
btc = {field: np.ascontiguousarray(rows[:, i]) for i, field in enumerate(fields)}
prices = fields[1:5]
vectors("btc", btc)
vectors("micro", {field: np.round(v * 1e-10, 8) if field in prices else v for field, v in btc.items()})
hits([pathlib.Path(path) for path in sys.argv[1:]])
