"""Which axes of a sweep move a figure most."""

from itertools import combinations

import numpy as np

from backtest.sweep.heat_map import quantiles
from backtest.sweep.scale import Points

__all__ = ["movers"]


def movers(points: Points, metric: str, cells: int = 40) -> list[tuple[str, str]]:
    """Return the pairs of sides, those first whose values move the figure most.

    An axis moves a figure by the variance of the medians of the figure at each of its values (or bins); a pair by the sum of
    both. The axis with more steps comes second: it goes down the page, where there is more room.
    """
    moved = {name: moves(points, name, metric, cells) for name in points.sides}
    names = sorted(moved, key=lambda name: -moved[name])
    pairs = sorted(combinations(names, 2), key=lambda pair: -(moved[pair[0]] + moved[pair[1]]))
    steps = {name: len(points.scale(name, cells)) for name in names}
    return [(a, b) if steps[a] <= steps[b] else (b, a) for a, b in pairs]


def moves(points: Points, name: str, metric: str, cells: int) -> float:
    scale, figure = points.scale(name, cells), points.figure(metric)
    (found,) = quantiles(scale.codes, figure, points.ordered(metric), len(scale), (0.5,))
    return float(np.var(found[np.isfinite(found)])) if np.isfinite(found).any() else 0.0
