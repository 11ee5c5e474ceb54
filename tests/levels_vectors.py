"""Published numbers of levels: for each `fn` of a file of vectors, how the package's functions give it."""

import numpy as np
from bars_made import bars_from

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
    rows = [(low, high, low, low) for high, low in [*inputs["hl"], inputs["hl"][-1]]]
    mirrored = [(1e3 - low, 1e3 - low, 1e3 - high, 1e3 - low) for _, high, low, _ in rows]
    n = len(inputs["hl"])
    bottom, top = donchian(bars_from(rows), n)[-1], 1e3 - donchian(bars_from(mirrored), n)[-1]
    return [top, (top + bottom) / 2, bottom]


def pivots(inputs):
    return pivot_points(*(np.float64(inputs[name]) for name in "hlc"))


def vwap(inputs):
    high, low, close, volume = np.array(inputs["hlcv"], dtype=np.float64).T
    return anchored_vwap(high, low, close, volume)


def turns(inputs):
    """Return the turning points with the ends of the series, as an offline zigzag labels them: (bars, sides)."""
    x = np.array(inputs["x"], dtype=np.float64)
    assert inputs["up"] == -inputs["down"]
    bar, side, _ = turning_points(x, x, x, np.full(x.size, inputs["up"]))
    bars, sides = bar.tolist(), side.tolist()
    if bars[0] != 0:
        bars, sides = [0, *bars], [-sides[0], *sides]
    return [*bars, x.size - 1], [*sides, -sides[-1]]


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
    bins = {f"{found.edge(i):g}": volume for i, volume in enumerate(found.volume.tolist()) if volume}
    return {"profile": bins, "poc": found.edge(found.poc())}


ADAPTERS = {
    "fractal": fractal,
    "donchian": donchian_prior,
    "pivot_std": pivots,
    "vwap": vwap,
    "zigzag": zigzag,
    "zigzag_segments": zigzag_segments,
    "vprofile": vprofile,
    "round_grid": lambda inputs: round_grid(inputs["price"], inputs["step"]),
}
