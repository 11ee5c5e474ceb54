"""Indicators that `ta` computes with the future, or slowly: done again, causally and at once."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.model.arrays import Float

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FAST", "FAST_AVERAGE", "Columns", "Lines", "Own", "Params", "series"]

Params = Mapping[str, Any]
Lines = dict[str, Float]
Columns = dict[str, Float]
Own = Callable[[Columns, Params], Lines]


def series(values: Float) -> "pd.Series[float]":
    import pandas as pd

    return pd.Series(values)


def smoothed(seed: float, values: Float, window: int) -> Float:
    """Return Wilder's average: the seed, then (before * (window - 1) + value) / window for each value."""
    wilder = series(np.concatenate(([seed], values))).ewm(alpha=1 / window, adjust=False)
    return np.asarray(wilder.mean(), dtype=np.float64)


def true_range(c: Columns) -> Float:
    before = np.concatenate(
        (c["close"][:1], c["close"][:-1])
    )  # a first close lies inside its bar: only high - low counts
    return np.maximum(c["high"], before) - np.minimum(c["low"], before)


def atr(c: Columns, p: Params) -> Lines:
    return {"average_true_range": wilder_atr(c, p["window"])}


def wilder_atr(c: Columns, window: int) -> Float:
    ranges = true_range(c)
    if ranges.size < window:
        return np.full(ranges.size, np.nan)
    return np.concatenate((np.full(window - 1, np.nan), smoothed(ranges[:window].mean(), ranges[window:], window)))


def wma(c: Columns, p: Params) -> Lines:
    window, close = p["window"], c["close"]
    total = np.zeros(close.size - window + 1)
    for i in range(
        window
    ):  # a pass for each weight: every row is summed in the same order, however many rows there are
        total += (i + 1) * 2 / (window * (window + 1)) * close[i : close.size - window + 1 + i]
    return {"wma": np.concatenate((np.full(window - 1, np.nan), total))}


def adx(c: Columns, p: Params) -> Lines:
    """Sums of w bars that lose 1/w of themselves a bar: w times Wilder's average. Row i stands for the bar w + i."""
    w, high, low = p["window"], c["high"], c["low"]
    before = c["close"][:-1]
    up, down = np.diff(high), -np.diff(low)
    moves = (np.maximum(high[1:], before) - np.minimum(low[1:], before),
             np.where((up > down) & (up > 0), up, 0.0), np.where((down > up) & (down > 0), down, 0.0))  # fmt: skip
    span, plus, minus = (w * smoothed(m[:w].sum() / w, m[w:], w) for m in moves)
    pos, neg = (np.where(span != 0, 100 * side / span, 0.0) for side in (plus, minus))
    index = np.where(pos + neg != 0, 100 * np.abs(pos - neg) / (pos + neg), 0.0)
    average = smoothed(index[:w].mean(), index[w:], w)
    whole = {"adx": average, "adx_pos": pos, "adx_neg": neg}
    return {line: np.concatenate((np.full(high.size, np.nan), v))[-high.size :] for line, v in whole.items()}


def psar(c: Columns, p: Params) -> Lines:
    """Wilder's stop and reverse, as `ta` starts it: upwards from the first bar's high, at the second bar's close."""
    stop, rising = psar_stops(c["high"].tolist(), c["low"].tolist(), c["close"].tolist(), p["step"], p["max_step"])
    values, up = np.array(stop, np.float64), np.array(rising, np.bool_)
    turned = np.concatenate(([False], up[1:] != up[:-1]))
    return {
        "psar": values,
        "psar_up": np.where(up, values, np.nan),
        "psar_down": np.where(up, np.nan, values),
        "psar_up_indicator": (turned & up).astype(np.float64),
        "psar_down_indicator": (turned & ~up).astype(np.float64),
    }


def psar_stops(
    high: list[float], low: list[float], close: list[float], step: float, most: float
) -> tuple[list[float], list[bool]]:
    stops, rising = close[:2], [True, True]  # plain floats: ten times faster than the rows of a Series
    up, pace, stop, top, bottom = True, step, close[1], high[0], low[0]
    for i in range(2, len(close)):
        extreme = top if up else bottom
        stop = stop + pace * (extreme - stop)
        if (low[i] < stop) if up else (high[i] > stop):
            stop, pace, up = extreme, step, not up
            top, bottom = (high[i], bottom) if up else (top, low[i])
        elif up:
            if high[i] > top:
                top, pace = high[i], min(pace + step, most)
            stop = low[i - 2] if low[i - 2] < stop else min(stop, low[i - 1])
        else:
            if low[i] < bottom:
                bottom, pace = low[i], min(pace + step, most)
            stop = high[i - 2] if high[i - 2] > stop else max(stop, high[i - 1])
        stops.append(stop)
        rising.append(up)
    return stops, rising


def kama(c: Columns, p: Params) -> Lines:
    """`ta` compares the first bars with the last ones (np.roll); here they have no change."""
    window, close = p["window"], c["close"]
    path = series(np.abs(np.diff(close, prepend=np.nan))).rolling(window).sum().to_numpy()[window:]
    way = np.abs(close[window:] - close[:-window])
    fast, slow = 2 / (p["pow1"] + 1), 2 / (p["pow2"] + 1)
    pace = (np.where(path != 0, way / path, 0.0) * (fast - slow) + slow) ** 2
    value, values = float(close[window - 1]), []
    for step, price in zip(pace.tolist(), close[window:].tolist(), strict=True):
        value += step * (price - value)
        values.append(value)
    return {"kama": np.concatenate((np.full(window, np.nan), values))}


def kst(c: Columns, p: Params) -> Lines:
    close = series(c["close"])
    changes = [(close / close.shift(p[f"roc{i}"]) - 1).rolling(p[f"window{i}"]).mean() for i in range(1, 5)]
    line = 100 * (changes[0] + 2 * changes[1] + 3 * changes[2] + 4 * changes[3])
    signal = line.rolling(p["nsig"]).mean()
    return {"kst": line.to_numpy(), "kst_sig": signal.to_numpy(), "kst_diff": (line - signal).to_numpy()}


def vortex(c: Columns, p: Params) -> Lines:
    high, low, window = series(c["high"]), series(c["low"]), p["window"]
    span = series(true_range(c)).rolling(window).sum()
    pos = (high - low.shift(1)).abs().rolling(window).sum() / span
    neg = (low - high.shift(1)).abs().rolling(window).sum() / span
    lines = {"vortex_indicator_pos": pos, "vortex_indicator_neg": neg, "vortex_indicator_diff": pos - neg}
    return {name: values.to_numpy() for name, values in lines.items()}


def nvi(c: Columns, p: Params) -> Lines:
    growth = np.where(c["volume"][:-1] > c["volume"][1:], c["close"][1:] / c["close"][:-1], 1.0)
    index: Float = np.cumprod(np.concatenate(([1000.0], growth)), dtype=np.float64)
    return {"negative_volume_index": index}


def keltner_average(c: Columns, p: Params) -> Lines:
    """The form with bands of some ATRs around an exponential average."""
    window, close = p["window"], c["close"]
    middle = np.asarray(series(close).ewm(span=window, min_periods=window, adjust=False).mean())
    reach = p["multiplier"] * wilder_atr(c, p["window_atr"])
    top, bottom = middle + reach, middle - reach
    return {
        "keltner_channel_mband": middle,
        "keltner_channel_hband": top,
        "keltner_channel_lband": bottom,
        "keltner_channel_wband": 100 * (top - bottom) / middle,
        "keltner_channel_pband": (close - bottom) / (top - bottom),
        "keltner_channel_hband_indicator": (close > top).astype(np.float64),
        "keltner_channel_lband_indicator": (close < bottom).astype(np.float64),
    }


FAST: dict[str, Own] = {
    "adx": adx, "atr": atr, "kama": kama, "kst": kst, "nvi": nvi, "psar": psar, "vortex": vortex, "wma": wma,
}  # fmt: skip
FAST_AVERAGE: Own = keltner_average
