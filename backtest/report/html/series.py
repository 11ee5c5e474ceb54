"""The series behind a chart: a symbol's bars, open interest, funding, liquidations, levels and breaks, on the scored bars."""

from dataclasses import dataclass, replace

import numpy as np

from backtest.analysis.around import flows
from backtest.analysis.chart_data import BreakRow, LevelLine, break_rows, break_rule, level_lines
from backtest.errors import LevelbreakError
from backtest.model.arrays import Float, Int64
from backtest.model.market import Market
from backtest.report.html.view import RunView

__all__ = ["Chart", "charts_of", "coarser"]

MOST_BARS = 100_000  # bars of all symbols together; a page of more is slow on a phone
STEPS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168)


@dataclass(frozen=True, eq=False)
class Chart:
    """What is drawn of one symbol, (n,) each on its bars: ns UTC, quote units, NaN where nothing is known.

    step: the market's bars in one bar here; open_interest: last known at the bar's close, in `unit`; longs, shorts: force-closed
    in the bar, USD; funding_bar, funding: (f,) the bar in which each stamp was due and the fraction that longs paid;
    notes: what is not there, in sentences; levels_left_out: how many more there were.
    """

    symbol: str
    interval: int
    time: Int64
    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float
    open_interest: Float
    unit: str
    longs: Float
    shorts: Float
    funding_bar: Int64
    funding: Float
    notes: tuple[str, ...] = ()
    levels: tuple[LevelLine, ...] = ()
    levels_left_out: int = 0
    breaks: tuple[BreakRow, ...] = ()
    step: int = 1

    def __len__(self) -> int:
        return int(self.time.size)

    @property
    def priced(self) -> bool:
        """Whether any bar has a price."""
        return bool(np.isfinite(self.close).any())


def charts_of(view: RunView, market: Market | None) -> tuple[Chart, ...]:
    """Return a chart for each symbol of the market, those most traded first, on the bars that were scored.

    Where all symbols together would be too many bars, those after the first are drawn in coarser ones.
    """
    if market is None or len(view.time) == 0 or len(market) == 0:
        return ()
    order = sorted(
        market.symbols, key=lambda s: (-view.traded.get(s, 0), s not in view.levels, market.symbols.index(s))
    )
    found = [chart_of(view, market, symbol) for symbol in order]
    rest = sum(len(chart) for chart in found[1:])
    room = max(1, MOST_BARS - len(found[0]))
    step = next((k for k in STEPS if rest <= room * k), STEPS[-1])
    return (found[0], *(coarser(chart, step) for chart in found[1:]))


def chart_of(view: RunView, market: Market, symbol: str) -> Chart:
    first = int(np.searchsorted(market.time, view.time[0]))
    last = int(np.searchsorted(market.time, view.time[-1], side="right"))
    inside, bars = slice(first, last), market[symbol]
    interest, unit, told = interest_of(market, symbol)
    longs, shorts, said = liquidations_of(market, symbol)
    bar, rate = funding_of(market, symbol, first, last)
    notes = [*told, *said, *([] if rate.size else [f"{symbol} has no funding in this span."])]
    if not np.isfinite(bars.close[inside]).any():
        notes = [f"{symbol} has no price in this span."]
    levels = view.levels.get(symbol)
    drawn: tuple[LevelLine, ...] = ()
    broken: tuple[BreakRow, ...] = ()
    left_out = 0
    if levels is not None and len(levels):
        rule = break_rule(view.config)
        drawn, left_out = level_lines(bars, levels, int(market.time[first]), rule)
        broken = break_rows(bars, levels, int(market.time[first]), rule)
    columns = {name: getattr(bars, name)[inside] for name in ("time", "open", "high", "low", "close", "volume")}
    return Chart(
        symbol,
        market.interval,
        **columns,
        open_interest=interest[inside],
        unit=unit,
        longs=longs[inside],
        shorts=shorts[inside],
        funding_bar=bar,
        funding=rate,
        notes=tuple(notes),
        levels=drawn,
        levels_left_out=left_out,
        breaks=broken,
    )


def interest_of(market: Market, symbol: str) -> tuple[Float, str, list[str]]:
    """Return open interest (n,), its unit, and a sentence where there is none."""
    for key in ("open_interest", "open_interest_coins"):
        name = f"{symbol}.{key}"
        if name in market.feeds:
            values = market.feed(name)
            known = bool(np.isfinite(values).any())
            return values, market.feeds[name].unit, [] if known else [f"{name} has no value that is a number."]
    return np.full(len(market), np.nan), "", [f"{symbol} has no feed of open interest."]


def liquidations_of(market: Market, symbol: str) -> tuple[Float, Float, list[str]]:
    """Return what was force-closed of longs and of shorts in each bar (n,), USD, and sentences about it."""
    unknown = np.full(len(market), np.nan)
    try:
        found = flows(market, symbol)
    except LevelbreakError as error:
        return unknown, unknown, [str(error)]
    sides = {"longs": "long_liquidations", "shorts": "short_liquidations"}
    if set(sides) <= set(found.missing):
        return unknown, unknown, [f"{symbol} has no feed of liquidations."]
    notes = [f"{symbol} has no feed {name!r}." for side, name in sides.items() if side in found.missing]
    notes += [note for note in found.notes if "liquidations" in note]
    for side, name in sides.items():
        if side not in found.missing and not np.isfinite(getattr(found, side)).any():
            notes.append(f"{symbol}.{name} has no value that is a number.")
    return found.longs, found.shorts, list(dict.fromkeys(notes))


def funding_of(market: Market, symbol: str, first: int, last: int) -> tuple[Int64, Float]:
    """Return the bars, counted from `first`, in which a symbol's funding was due, and the rates; of one bar their sum."""
    mine = market.funding.symbol == market.position(symbol)
    bar = np.searchsorted(market.time, market.funding.time[mine], side="right") - 1 - first
    inside = (bar >= 0) & (bar < last - first)
    return summed(bar[inside], market.funding.rate[mine][inside])


def coarser(chart: Chart, step: int) -> Chart:
    """Return the chart with `step` bars in one; a bar without a price in any of them has none."""
    n = len(chart)
    if step <= 1 or n == 0:
        return chart
    starts = np.arange(0, n, step)
    due, rate = summed(chart.funding_bar // step, chart.funding)
    return replace(
        chart,
        interval=chart.interval * step,
        time=chart.time[starts],
        open=of_each(chart.open, starts, n, first=True),
        high=np.fmax.reduceat(chart.high, starts),
        low=np.fmin.reduceat(chart.low, starts),
        close=of_each(chart.close, starts, n, first=False),
        volume=total(chart.volume, starts),
        open_interest=of_each(chart.open_interest, starts, n, first=False),
        longs=total(chart.longs, starts),
        shorts=total(chart.shorts, starts),
        funding_bar=due,
        funding=rate,
        step=step,
    )


def summed(bar: Int64, rate: Float) -> tuple[Int64, Float]:
    """Return each bar once, and the sum of its rates."""
    due, slot = np.unique(bar, return_inverse=True)
    return due.astype(np.int64), np.bincount(slot, weights=rate, minlength=due.size).astype(np.float64)


def of_each(values: Float, starts: Int64, n: int, first: bool) -> Float:
    """Return the first or last number of each group; NaN where a group has none."""
    there = np.isfinite(values)
    index = np.arange(n)
    if first:
        chosen = np.minimum.reduceat(np.where(there, index, n), starts)
        return np.where(chosen < n, values[np.minimum(chosen, n - 1)], np.nan)
    chosen = np.maximum.reduceat(np.where(there, index, -1), starts)
    return np.where(chosen >= 0, values[np.maximum(chosen, 0)], np.nan)


def total(values: Float, starts: Int64) -> Float:
    known = np.add.reduceat(np.isfinite(values).astype(np.int64), starts)
    return np.where(known > 0, np.add.reduceat(np.nan_to_num(values), starts), np.nan)
