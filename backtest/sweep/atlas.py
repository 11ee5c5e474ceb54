"""Every map that a sweep's page shows: each pair of its axes, each of the main figures, within what a page and a wait allow."""

import math
from dataclasses import dataclass

from backtest.sweep.heat_map import HeatMap, heat, movers
from backtest.sweep.scale import Points

__all__ = ["Atlas", "atlas"]

FIGURES = (
    "sharpe", "total_return", "max_drawdown", "calmar", "sortino", "trades", "win_rate", "exposure", "fees", "liquidations",
)  # fmt: skip
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
    """Return the maps of a sweep, those first whose axes move the figure `by` most.

    ambiguous: also return and Sharpe ratio with the worst and the best order inside bars. Of very many points, axes or
    figures not all fit a page: the note says what is not there.
    """
    count = points.failed.size
    if count == 0 or points.failed.all():
        return Atlas(none="No point gave figures, so there is nothing to map.")
    if not points.sides:
        return Atlas(none="No axis has two values, so there is nothing to map.")
    wanted = tuple(dict.fromkeys((by, *FIGURES, *(ORDERED if ambiguous else ()))))
    figures = wanted[: max(1, HELD // count)]
    every = movers(points, by) if len(points.sides) > 1 else [(points.sides[0], "")]
    held = 3 * len(figures) + 2  # numbers of a cell: of each figure its value and its trades, and how many points
    pairs = every[: max(1, min(WORK // (count * len(figures)), NUMBERS // (LEAST**2 * held)))]
    side = max(LEAST, min(CELLS, math.isqrt(NUMBERS // (len(pairs) * held))))
    cells = (side, side) if pairs[0][1] else (CELLS, 1)
    maps = tuple(tuple(heat(points, x, y, figure, cells=cells) for figure in figures) for x, y in pairs)
    left = [f"{len(every) - len(pairs):,} pairs of axes"] * (len(pairs) < len(every))
    left += [f"{len(wanted) - len(figures):,} figures"] * (len(figures) < len(wanted))
    note = (
        f"Left out to keep the page small: {' and '.join(left)}; `--heat X,Y --by FIGURE` prints any." if left else ""
    )
    return Atlas(maps, note=note)
