"""Every map that a sweep's page shows: each pair of its axes, each of the main figures, within what a page and a wait allow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from backtest.analysis.summary import METRICS
from backtest.sweep.heat_map import HeatMap, heat
from backtest.sweep.movers import movers
from backtest.sweep.scale import Points

__all__ = ["Atlas", "atlas"]

FIGURES = (
    "sharpe", "total_return", "max_drawdown", "calmar", "sortino", "trades", "win_rate", "exposure", "fees", "liquidations",
)  # fmt: skip
LESSER = tuple(name for name in METRICS if name not in FIGURES)  # left out before a pair of axes is
ORDERED = ("total_return_worst", "total_return_best", "sharpe_worst", "sharpe_best")
CELLS, LEAST = 40, 6  # a side at most, and where there are very many pairs
NUMBERS = 320_000  # in all cells: about 4 bytes each on the page
HELD = 20_000_000  # points times figures that are in memory
WORK = 60_000_000  # points times maps that are made, a few seconds


@dataclass(frozen=True, eq=False)
class Atlas:
    """Maps, pair of axes by pair of axes a map for each figure; none: why there is none; note: what was left out, and how."""

    maps: tuple[tuple[HeatMap, ...], ...] = ()
    none: str = ""
    note: str = ""


def atlas(points: Points, by: str, ambiguous: bool = False) -> Atlas:
    """Return the maps of a sweep, those first whose axes move the figure `by` most: every figure of `METRICS`, and `by`.

    ambiguous: also return and Sharpe ratio with the worst and the best order inside bars. Of very many points or axes not
    all fit a page: first the lesser figures go, then pairs of axes, then figures; the note says what is not there.
    """
    count = points.failed.size
    if count == 0 or points.failed.all():
        return Atlas(none="No point gave figures, so there is nothing to map.")
    if not points.sides:
        return Atlas(none="No axis has two values, so there is nothing to map.")
    every = movers(points, by) if len(points.sides) > 1 else [(points.sides[0], "")]
    main = tuple(dict.fromkeys((by, *FIGURES, *(ORDERED if ambiguous else ()))))
    wanted = tuple(dict.fromkeys((*main, *LESSER)))
    figures = wanted if room(count, len(wanted)) >= len(every) else main
    figures = figures[: max(1, HELD // count)]
    pairs = every[: room(count, len(figures))]
    side = max(LEAST, min(CELLS, math.isqrt(NUMBERS // (len(pairs) * held(len(figures))))))
    cells = (side, side) if pairs[0][1] else (CELLS, 1)
    maps = tuple(tuple(heat(points, x, y, figure, cells=cells) for figure in figures) for x, y in pairs)
    return Atlas(maps, note=note(len(every) - len(pairs), [name for name in wanted if name not in figures]))


def held(figures: int) -> int:
    """Return the numbers of a cell: of each figure its value, its trades and the least of them, and how many points."""
    return 3 * figures + 2


def room(count: int, figures: int) -> int:
    """Return how many pairs of axes there is room for, one at least."""
    return max(1, min(WORK // (count * figures), NUMBERS // (LEAST**2 * held(figures))))


def note(pairs: int, figures: Sequence[str]) -> str:
    """Return what is not on the page."""
    left = [f"{pairs:,} pair{'s' * (pairs > 1)} of axes"] * (pairs > 0)
    left += [f"the figures {', '.join(figures)}"] * (len(figures) > 0)
    return (
        f"Left out to keep the page small: {' and '.join(left)}; `--heat X,Y --figure NAME` prints any." if left else ""
    )
