"""What a report draws of levels, their lives as stretches and their breaks with what came of them, and how runs move together."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backtest.errors import ConfigError, StrategyError, did_you_mean
from backtest.levels import Levels, break_events, fixed, life
from backtest.levels.break_rule import BreakRule
from backtest.levels.life import STATES, LifeRules
from backtest.model.arrays import DAY, BoolArray, Float, Int64
from backtest.model.config import RunConfig
from backtest.model.market import Bars, Market

__all__ = [
    "BreakRow",
    "LevelLine",
    "break_rows",
    "break_rule",
    "correlations",
    "daily_equity",
    "level_lines",
    "named_levels",
    "rule_arguments",
    "watched_levels",
]

RETIRED = STATES.index("retired")
Stretch = tuple[int, int, str]
PARAMETERS = {name: name for name in ("rule", "buffer", "buffer_atr", "closes", "volume", "volume_bars")} | {
    "max_wait": "within"
}


@dataclass(frozen=True)
class LevelLine:
    """One level as it is drawn: price in quote units, what found it, and its stretches (start, end, state), ns UTC, by time.

    Neighbouring stretches differ in state. A stretch starts at the close of the bar that showed its state.
    """

    price: float
    kind: str
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class BreakRow:
    """One break of a watched level, and what came of it.

    level, close, lowest: quote units, the close of the breaking bar and the lowest low from there to the reclaim or the
    end; time: ns UTC, that bar's close; reclaimed: ns UTC, the close that was back above the level, None while there is none;
    bars: from the break to the reclaim, or to the last bar; outcome: "false break" (reclaimed soon, by the rule's own
    bars), "reclaimed" (later) or "not reclaimed".
    """

    level: float
    kind: str
    time: int
    close: float
    lowest: float
    reclaimed: int | None
    bars: int
    outcome: str


# --- which levels, by which rule --------------------------------------------------------------------------------


def watched_levels(strategy: Any, market: Market, config: RunConfig | None = None) -> dict[str, Levels]:
    """Return the levels that a strategy looks at, by symbol: its `watched(market)`, else the prices that it is given.

    A table alone is of the strategy's `symbol`. Where it names none, the result is empty. What is no table of levels, or of
    a symbol that the market lacks, is a StrategyError.
    """
    watched = getattr(strategy, "watched", None)
    if watched is None:
        return named_levels(config, market.symbols) if config is not None else {}
    found = watched(market)
    tables = found if isinstance(found, Mapping) else {getattr(strategy, "symbol", market.symbols[0]): found}
    for symbol, levels in tables.items():
        check_watched(f"{type(strategy).__name__}.watched", symbol, levels, market)
    return {symbol: levels for symbol, levels in tables.items() if len(levels)}


def check_watched(who: str, symbol: Any, levels: Any, market: Market) -> None:
    if not isinstance(levels, Levels):
        raise StrategyError(
            f"{who} must return levels, such as fixed((75_000,)), or a mapping of symbols to them, got {levels!r}."
        )
    if symbol not in market.symbols:
        raise StrategyError(
            f"{who} names levels of {symbol!r}, and {market.name} holds {', '.join(market.symbols)}."
            f"{did_you_mean(str(symbol), market.symbols)}"
        )


def named_levels(config: RunConfig, symbols: Sequence[str]) -> dict[str, Levels]:
    """Return the prices of a configuration's parameter `levels`, as levels of its `symbol`; none where it has no such prices.

    >>> named_levels(RunConfig("support_break", parameters=(("levels", (75_000.0, 70_000.0)),)), ("BTCUSDT",))["BTCUSDT"].price
    array([75000., 70000.])
    """
    parameters = dict(config.parameters)
    prices, symbol = parameters.get("levels"), parameters.get("symbol", symbols[0] if symbols else "")
    if not isinstance(prices, tuple) or not prices or symbol not in symbols:
        return {}
    try:
        return {str(symbol): fixed(tuple(float(price) for price in prices))}
    except (ConfigError, TypeError, ValueError):
        return {}


def break_rule(config: RunConfig | None) -> BreakRule:
    """Return the rule of breaks that a strategy's parameters name, the defaults for what they do not.

    Read are `rule`, `buffer`, `buffer_atr`, `closes`, `volume`, `volume_bars` and `max_wait`; what is no setting of a rule is
    passed over, since a strategy may mean something else by the word.
    """
    parameters = dict(config.parameters) if config is not None else {}
    found = BreakRule()
    for parameter, setting in PARAMETERS.items():
        with suppress(ConfigError, TypeError):
            given: dict[str, Any] = {setting: parameters[parameter]} if parameter in parameters else {}
            found = replace(found, **given)
    return found


def rule_arguments(rule: BreakRule) -> dict[str, Any]:
    """Return what `break_events` takes of a rule."""
    names = ("rule", "buffer", "buffer_atr", "closes", "volume", "volume_bars", "zone", "within")
    return {name: getattr(rule, name) for name in names}


# --- levels -----------------------------------------------------------------------------------------------------


def level_lines(
    bars: Bars, levels: Levels, since: int, rule: BreakRule | None = None, most: int = 40
) -> tuple[tuple[LevelLine, ...], int]:
    """Return the lives of levels from `since` (ns UTC) on, the highest first, and how many of those alive then are left out.

    Of more than `most`, prices given by hand come first, then levels to which more happened [D]. The life is that of
    `life`, broken by the rule's margin where the rule is "wick" or "close", by closes otherwise.
    """
    rule = BreakRule() if rule is None else rule
    through = rule.rule if rule.rule in ("wick", "close") else "close"
    lived = life(bars, levels, LifeRules(rule=through, buffer=rule.buffer, buffer_atr=rule.buffer_atr))
    if len(lived) == 0:
        return (), 0
    end = int(bars.known_at[-1])
    first = np.searchsorted(lived.row, np.arange(len(levels)))
    last = np.searchsorted(lived.row, np.arange(len(levels)), side="right")
    ends = np.where(lived.state[np.maximum(last - 1, 0)] == RETIRED, lived.time[np.maximum(last - 1, 0)], end)
    alive = np.flatnonzero((last > first) & (ends > since))
    happened = np.bincount(lived.row[lived.time >= since], minlength=len(levels))[alive]
    given = np.array([kind == "fixed" for kind in levels.kind], np.bool_)[alive]
    chosen = alive[np.lexsort((-happened, ~given))][:most]
    chosen = chosen[np.argsort(-levels.price[chosen], kind="stable")]
    lines = tuple(
        LevelLine(
            float(levels.price[k]), levels.kind[k], stretches(lived.time, lived.state, first[k], last[k], since, end)
        )
        for k in chosen
    )
    return lines, int(alive.size - chosen.size)


def stretches(time: Int64, state: Int64, first: int, last: int, since: int, end: int) -> tuple[Stretch, ...]:
    """Return the stretches between events first to last (exclusive), cut at `since`; events that keep the state are one."""
    found: list[Stretch] = []
    for e in range(first, last):
        start, stop = max(int(time[e]), since), int(time[e + 1]) if e + 1 < last else end
        if state[e] == RETIRED or stop <= start:
            continue
        name = STATES[state[e]]
        if found and found[-1][2] == name and found[-1][1] == start:
            found[-1] = (found[-1][0], stop, name)
        else:
            found.append((start, stop, name))
    return tuple(found)


def break_rows(bars: Bars, levels: Levels, since: int, rule: BreakRule | None = None) -> tuple[BreakRow, ...]:
    """Return every break of every level from `since` (ns UTC) on, by time, then from the highest level down."""
    rule = BreakRule() if rule is None else rule
    found = break_events(bars, levels, **rule_arguments(rule))
    kept = np.flatnonzero(bars.known_at[found.bar] >= since)
    order = kept[np.lexsort((-levels.price[found.row[kept]], found.bar[kept]))]
    return tuple(break_row(bars, levels, found, int(e), rule.soon(bars)) for e in order)


def break_row(bars: Bars, levels: Levels, found: Any, e: int, soon: int) -> BreakRow:
    row, bar, back = int(found.row[e]), int(found.bar[e]), int(found.reclaim_bar[e])
    last = back if back >= 0 else len(bars) - 1
    lows = bars.low[bar : last + 1]
    lows = lows[np.isfinite(lows)]
    outcome = "not reclaimed" if back < 0 else "false break" if back - int(found.broke_bar[e]) <= soon else "reclaimed"
    return BreakRow(
        level=float(levels.price[row]),
        kind=levels.kind[row],
        time=int(bars.known_at[bar]),
        close=float(bars.close[bar]),
        lowest=float(lows.min()) if lows.size else math.nan,
        reclaimed=int(bars.known_at[back]) if back >= 0 else None,
        bars=last - bar,
        outcome=outcome,
    )


# --- runs beside each other -------------------------------------------------------------------------------------


def daily_equity(time: Int64, interval: int, equity: Float) -> tuple[Int64, Float]:
    """Return UTC days (days since 1970, by the close of the last bar in them) and the equity at their end.

    time: (n,) ns UTC, opens of bars; a bar that closes at midnight belongs to the day that ends then.
    """
    if len(time) == 0:
        return np.empty(0, np.int64), np.empty(0)
    days = (np.asarray(time) + interval - 1) // DAY
    last: BoolArray = np.append(np.diff(days) > 0, True)
    return days[last].astype(np.int64), np.asarray(equity)[last]


def correlations(runs: Sequence[tuple[Int64, int, Float]]) -> Float:
    """Return (r, r) Pearson correlations of the daily returns of runs, each (time, interval, equity), over their common days.

    NaN where two runs share fewer than three days, where one of them never moved, and after a ruin: from an equity of 0
    there is no return.
    """
    daily = [returns_by_day(*daily_equity(*run)) for run in runs]
    found = np.full((len(runs), len(runs)), np.nan)
    for i, one in enumerate(daily):
        for j, two in enumerate(daily[: i + 1]):
            found[i, j] = found[j, i] = correlation(one, two)
    return found


def returns_by_day(days: Int64, equity: Float) -> dict[int, float]:
    before, after = equity[:-1], equity[1:]
    there = (before > 0) & (np.diff(days) == 1)
    return {int(d): float(b / a - 1) for d, a, b in zip(days[1:][there], before[there], after[there], strict=True)}


def correlation(one: Mapping[int, float], two: Mapping[int, float]) -> float:
    common = sorted(one.keys() & two.keys())
    a, b = (np.array([of[day] for day in common]) for of in (one, two))
    if len(common) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))
