"""Placebo levels: sets as large as the real one, known at the same bars and as long, at distances drawn anew."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtest.analysis.event_study.lines import Path, ground
from backtest.analysis.event_study.martingale import OVERSHOOT
from backtest.analysis.event_study.sets_walk import MOVES, Ground, Notes, Rows, Tally, count_sets
from backtest.analysis.event_study.settings import Settings
from backtest.levels import Levels
from backtest.model.arrays import DAY, Float, Int64

__all__ = ["Grid", "Placement", "count_placebos", "count_real", "placement"]

CELL = 0.001  # height of a cell of the ladder of prices, in logs: the prices that placebo levels may have
REACH = 400  # cells below a break in which the next level is looked for, about a third of the price
MANY = 1 << 40
WIDER = 1.25
FEW = 50  # distances below which they are smoothed before they are drawn from
ROOM = 4_000_000  # numbers held at once for the sets drawn


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the levels of a study stand, (k,) each, by symbol and birth.

    symbol: which path; row: place in its table of levels; price: quote units; width: half-width, fraction of the price, in
    steps of a quarter; start: the bar at which it is decided, the first that knows it and has an ATR; end: bar at which it is
    over by age or because a newer one took its place; trips: returns that end it; close, span: close and ATR of the start,
    quote units; distance: ATRs below the close, negative above it; step: quote units, of a grid whose levels stand together,
    else 0; pool: levels of one pool may swap distances, those of one kind on one side of the price.
    """

    symbol: Int64
    row: Int64
    price: Float
    width: Float
    start: Int64
    end: Int64
    trips: Int64
    close: Float
    span: Float
    distance: Float
    step: Float
    pool: Int64

    def __len__(self) -> int:
        return int(self.row.size)

    @cached_property
    def grids(self) -> tuple[Int64, Float, Float]:
        """(k,) the grid of each level, those of one symbol and step; (g,) each, how far a grid may be moved down and up.

        In steps: as far as no level comes to the other side of the price at its birth, and at most one step. On a grid that
        is born at one bar that is one step in all, so that every place of a grid is as likely as any other.
        """
        _, grid = np.unique(np.column_stack((self.symbol, self.step)), axis=0, return_inverse=True)
        grid = np.asarray(grid, np.int64).ravel()
        size = int(grid.max(initial=-1)) + 1
        lowest, highest = np.full(size, -1.0), np.full(size, 1.0)
        own = self.step > 0
        away = np.divide(self.close - self.price, self.step, out=np.zeros(len(self)), where=own)
        above, below = own & (self.distance < 0), own & (self.distance >= 0)
        np.maximum.at(lowest, grid[above], away[above])
        np.minimum.at(highest, grid[below], away[below])
        return grid, lowest, highest


def placement(paths: Sequence[Path], tables: Sequence[Levels], settings: Settings) -> Placement:
    """Return the levels of every symbol that are known at a bar with an ATR."""
    parts = [placed(path, table, settings) for path, table in zip(paths, tables, strict=True)]
    kinds = np.concatenate(
        [np.array(table.kind, dtype=object)[p["row"]] for table, p in zip(tables, parts, strict=True)]
    )
    columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    symbol = np.repeat(np.arange(len(parts)), [p["row"].size for p in parts])
    _, code = np.unique(kinds.astype(str), return_inverse=True)
    return Placement(symbol=symbol, pool=2 * code + (columns["distance"] < 0), **columns)


def placed(path: Path, levels: Levels, settings: Settings) -> dict[str, Float | Int64]:
    """Return the columns of one symbol's levels, by birth."""
    bars, known = path.bars, path.bars.known_at
    able = np.flatnonzero(np.isfinite(path.span) & np.isfinite(bars.close))
    first = np.searchsorted(known, levels.known_at, side="left")
    at = np.searchsorted(able, first, side="left")
    row = np.flatnonzero(at < able.size)
    start = able[at[row]]
    lasting = np.isin(np.array(levels.kind, dtype=object)[row].astype(str), settings.permanent)
    old = np.searchsorted(known, known[start] + int(settings.life_days * DAY), side="left")
    replaced = np.searchsorted(known, levels.until[row], side="left")
    end = np.minimum(np.where(lasting, len(bars), old), replaced)
    kept = np.flatnonzero(end > start)
    order = kept[np.argsort(start[kept], kind="stable")]
    row, start, end, lasting = row[order], start[order], end[order], lasting[order]
    price, close, span = levels.price[row], bars.close[start], path.span[start]
    return {
        "row": row, "price": price, "width": stepped_widths(levels)[row], "start": start, "end": end.astype(np.int64),
        "trips": np.where(lasting, MANY, settings.round_trips), "close": close, "span": span,
        "distance": (close - price) / span, "step": steps(levels)[row],
    }  # fmt: skip


def stepped_widths(levels: Levels) -> Float:
    """Return (k,) half-widths as fractions of the price, rounded to powers of 1.25, so that few widths are to be walked."""
    share = levels.half_width / levels.price
    with np.errstate(divide="ignore"):
        return np.where(share > 0, WIDER ** np.round(np.log(share) / math.log(WIDER)), 0.0)


def steps(levels: Levels) -> Float:
    """Return (k,) the step of the grid that each level is part of, 0 where it is part of none."""
    return np.array([float(dict(p).get("step", 0.0)) if p else 0.0 for p in levels.params])


@dataclass(frozen=True, eq=False)
class Grid:
    """The ladders of prices of all symbols: cells of equal height in logs; (m,) bottom, quote units, cells, first cell.

    widths: (w,) the half-widths of levels, fractions: each cell has a line of each.
    """

    bottom: Float
    cells: Int64
    first: Int64
    widths: Float

    @classmethod
    def of(cls, paths: Sequence[Path], levels: Placement) -> "Grid":
        """Return the ladders that hold every price traded, every level, and the zone around them."""
        lows, tops = [], []
        for s, path in enumerate(paths):
            own = levels.price[levels.symbol == s]
            lows.append(min(float(np.nanmin(path.bars.low)), *own.tolist(), math.inf) * 0.98)
            tops.append(max(float(np.nanmax(path.bars.high)), *own.tolist(), 0.0) * 1.02)
        cells = np.ceil(np.log(np.array(tops) / np.array(lows)) / CELL).astype(np.int64)
        return cls(np.array(lows), cells, np.concatenate(([0], np.cumsum(cells)[:-1])), np.unique(levels.width))

    def cell(self, symbol: Int64, price: Float) -> Int64:
        """Return the cell of each price, counted through all symbols; -1 beyond the ladder, where nothing happens."""
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.floor(np.log(price / self.bottom[symbol]) / CELL)
        inside = (at >= 0) & (at < self.cells[symbol])
        return np.where(inside, self.first[symbol] + np.where(inside, at, 0).astype(np.int64), -1)

    def lines(self, levels: Placement, cell: Int64) -> Int64:
        """Return the line of each level's cell that is as wide as the level."""
        first, wide = self.first[levels.symbol], np.searchsorted(self.widths, levels.width)
        return first * self.widths.size + wide * self.cells[levels.symbol] + cell - first

    def ground(self, paths: Sequence[Path]) -> Ground:
        """Return what happens on every line: the middles of all cells, once for each width."""
        middles = [b * np.exp(CELL * (np.arange(c) + 0.5)) for b, c in zip(self.bottom, self.cells, strict=True)]
        prices = [np.tile(price, self.widths.size) for price in middles]
        widths = [np.repeat(self.widths, price.size) * np.tile(price, self.widths.size) for price in middles]
        return ground(paths, prices, widths)


def rows_of(levels: Placement, grid: Grid) -> Rows:
    return Rows(levels.symbol, levels.start, levels.end, levels.trips, grid.first, grid.cells)


def tally_of(settings: Settings, grid: Grid, interval: int) -> Tally:
    merge = round(settings.merge / CELL)
    return Tally(settings.reclaim_bars(interval), merge, REACH, OVERSHOOT, CELL, grid.bottom, settings.since)


def columns(ground: Ground) -> int:
    return MOVES + 2 * int(ground.moves.shape[1])


def count_real(
    paths: Sequence[Path], levels: Placement, grid: Grid, settings: Settings
) -> tuple[Ground, Float, Int64, Float]:
    """Return what happens on the real lines, the totals, and the events: (e, 4) level, event, kind, bar, with their facts."""
    own = [levels.symbol == s for s in range(len(paths))]
    land = ground(paths, [levels.price[m] for m in own], [levels.width[m] * levels.price[m] for m in own])
    totals, room = np.zeros((1, columns(land))), int(land.bar.size)
    noted, facts = np.empty((room, 4), np.int64), np.empty((room, 4))
    lines, cells = np.arange(len(levels))[None], grid.cell(levels.symbol, levels.price)[None]
    tally = tally_of(settings, grid, paths[0].bars.interval)
    size = count_sets(land, rows_of(levels, grid), tally, lines, cells, totals, Notes(noted, facts))
    return land, totals[0], noted[:size], facts[:size]


def count_placebos(paths: Sequence[Path], levels: Placement, grid: Grid, settings: Settings) -> Float:
    """Return (sets, columns) the totals of every placebo set."""
    land = grid.ground(paths)
    rows, tally = rows_of(levels, grid), tally_of(settings, grid, paths[0].bars.interval)
    totals = np.zeros((settings.sets, columns(land)))
    nothing, at = Notes(np.empty((0, 4), np.int64), np.empty((0, 4))), 0
    for cells in draws(levels, grid, settings):
        lines = grid.lines(levels, cells)
        count_sets(land, rows, tally, lines, cells, totals[at : at + len(cells)], nothing)
        at += len(cells)
    return totals


def draws(levels: Placement, grid: Grid, settings: Settings) -> Iterator[Int64]:
    """Yield (some, k) cells of placebo sets until there are enough, never more at once than there is room for."""
    random = np.random.default_rng(settings.seed)
    step = max(1, ROOM // max(1, len(levels)))
    for at in range(0, settings.sets, step):
        found = np.empty((min(step, settings.sets - at), len(levels)), np.int64)
        for i in range(len(found)):
            found[i] = grid.cell(levels.symbol, drawn(levels, random))
        yield found


def drawn(levels: Placement, random: np.random.Generator) -> Float:
    """Return (k,) the prices of a placebo set, quote units, each on its level's side of the price at birth.

    The levels of a grid are moved together: drawn one by one they would lie closer here and wider there than any grid, and
    what they meet would vary more than what a grid meets.
    """
    grid, lowest, highest = levels.grids
    shift = random.uniform(lowest, highest)[grid] * levels.step
    return np.where(levels.step > 0, levels.price + shift, levels.close - redrawn(levels, random) * levels.span)


def redrawn(levels: Placement, random: np.random.Generator) -> Float:
    """Return (k,) distances in ATRs of a placebo set: those of the real levels of the same pool, in another order."""
    found = np.empty(len(levels))
    for pool in np.unique(levels.pool):
        mine = np.flatnonzero(levels.pool == pool)
        own = random.permutation(levels.distance[mine])
        if mine.size < FEW:
            logs = np.log(np.abs(own))
            spread = float(np.std(logs)) or 0.5
            own = own * np.exp(random.normal(0.0, spread * mine.size**-0.2, mine.size))
        found[mine] = own
    return found
