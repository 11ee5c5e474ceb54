"""Published numbers of levels and breaks: for each `fn` of a file of vectors, how the package's functions give it."""

import numpy as np
from bars_made import bars_from

from backtest.analysis.event_study.martingale import next_level_probability
from backtest.levels import (
    anchored_vwap,
    donchian,
    fractal_lows,
    pivot_points,
    round_grid,
    turning_points,
    volume_profile,
)


def fractal(inputs):
    high, low = np.array(inputs["hl"]).T
    i = len(low) // 2
    found = fractal_lows(-high, inputs["k"])[i], fractal_lows(low, inputs["k"])[i]
    return [float(price[i]) if there else None for price, there in zip((high, low), found, strict=True)]


def donchian_prior(inputs):
    """Return the channel of the bars given, in force at a bar after them: its top, middle and bottom."""
    rows = [*inputs["hl"], inputs["hl"][-1]]
    n = len(inputs["hl"])
    bottom = donchian(bars_from([(low, high, low, low) for high, low in rows]), n)[-1]
    top = -donchian(bars_from([(-high, -low, -high, -high) for high, low in rows]), n)[-1]
    return [top, (top + bottom) / 2, bottom]


def pivots(inputs):
    return pivot_points(*(np.float64(inputs[name]) for name in "hlc"))


def vwap(inputs):
    high, low, close, volume = np.array(inputs["hlcv"], dtype=np.float64).T
    return anchored_vwap(high, low, close, volume)


def turns(inputs):
    """Return the turning points with the ends of the series, as an offline zigzag labels them: (bars, sides).

    Its first value is the opposite of the first turning point; its last one is what is sought, where it is the extreme
    since the last confirmation, and else the opposite.
    """
    x = np.array(inputs["x"], dtype=np.float64)
    assert inputs["up"] == -inputs["down"], "the package's zigzag has one threshold for both directions"
    bar, side, known = turning_points(x, x, x, np.full(x.size, inputs["up"]))
    bars, sides = bar.tolist(), side.tolist()
    if not bars or bars[0] != 0:
        first = -sides[0] if sides else -1 if x[0] < x[-1] else 1
        bars, sides = [0, *bars], [first, *sides]
    if bars[-1] == x.size - 1:  # a price of 0, from which any price has come back
        return bars, sides
    sought, since = -sides[-1], int(known[-1]) if known.size else 0
    last = sought if int(np.argmax(sought * x[since:])) == x.size - 1 - since else -sought
    return [*bars, x.size - 1], [*sides, last]


def zigzag(inputs):
    bars, sides = turns(inputs)
    labels = [0] * len(inputs["x"])
    for bar, side in zip(bars, sides, strict=True):
        labels[bar] = side
    return labels


def zigzag_segments(inputs):
    x = np.array(inputs["x"])[turns(inputs)[0]]
    return x[1:] / x[:-1] - 1


def vprofile(inputs):
    found = volume_profile(np.array(inputs["close"], float), np.array(inputs["vol"], float), float(inputs["step"]))
    bins = {f"{found.edge(i):.12g}": volume for i, volume in enumerate(found.volume.tolist()) if volume}
    return {"profile": bins, "poc": found.edge(found.poc())}


def barriers(inputs):
    """Return the chance to fall by `a` before rising by `b`: the next level is `a` below the close, the reclaim `b` above."""
    fall, rise = inputs["a"], inputs["b"]
    return next_level_probability(reclaim=rise, close=0.0, gap=fall + rise)


ADAPTERS = {
    "fractal": fractal,
    "donchian": donchian_prior,
    "pivot_std": pivots,
    "vwap": vwap,
    "zigzag": zigzag,
    "zigzag_segments": zigzag_segments,
    "vprofile": vprofile,
    "barrier_mc": barriers,
    "round_grid": lambda inputs: round_grid(inputs["price"], inputs["step"]),
}
