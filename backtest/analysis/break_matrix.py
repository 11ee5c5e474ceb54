"""The same breaks under every rule side by side: when each rule confirms one, and the price that waiting for it gives up."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backtest.analysis.summary import as_plain
from backtest.errors import ConfigError, did_you_mean
from backtest.levels import BreakEvents, Levels, atr, break_events
from backtest.levels.break_rule import false_break_bars
from backtest.levels.checks import whole_bars
from backtest.levels.table import check_levels
from backtest.model.arrays import BoolArray, Float, Int64, frozen_array, utc_text
from backtest.model.market import Bars

__all__ = ["BUFFER", "MATRIX_RULES", "BreakMatrix", "MatrixRule", "break_matrix"]

BUFFER = 0.003
"""[D] Least distance of the floor below a level, fraction of the level."""


@dataclass(frozen=True)
class MatrixRule:
    """A rule with its settings, under a short name, and what it means."""

    name: str
    rule: str
    settings: tuple[tuple[str, float], ...] = ()
    meaning: str = ""

    @property
    def side(self) -> int:
        """1 where the trade of the rule is a short, -1 where it is a long: who buys the reclaim pays more by waiting."""
        return -1 if self.rule == "reclaim" else 1


MATRIX_RULES = (
    MatrixRule("wick", "wick", (), "a low below the floor"),
    MatrixRule("close", "close", (), "a close below the floor"),
    MatrixRule("close2", "n_closes", (("closes", 2),), "two closes in a row below it"),
    MatrixRule("close3", "n_closes", (("closes", 3),), "three closes in a row below it"),
    MatrixRule("volume", "close", (("volume", 1.5),), "a close below it at 1.5 times the usual volume"),
    MatrixRule("retest", "retest", (), "back at the level from below, then a close below the floor"),
    MatrixRule("reclaim", "reclaim", (), "a close back above the level: a false break, bought"),
)
"""The rules that are compared, the earliest first; settings are those of `breaks`, 1.5 times the volume is [D]."""


@dataclass(frozen=True, eq=False)
class BreakMatrix:
    """Breaks (e,) of levels, by level and time, each under r rules.

    row: (e,) position in `levels`; first_bar: (e,) the bar whose low first went below the floor, level - delta; bar:
    (e, r) the bar whose close confirms the break under a rule, -1 where the rule has none; reclaim_bar: (e, r) the
    first bar from then on that closed above level + delta, -1 without one; within: bars in which that makes the break a
    false one.
    """

    bars: Bars
    levels: Levels
    rules: tuple[MatrixRule, ...]
    row: Int64
    first_bar: Int64
    bar: Int64
    reclaim_bar: Int64
    within: int

    def __post_init__(self) -> None:
        for name in ("row", "first_bar", "bar", "reclaim_bar"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))

    def __len__(self) -> int:
        return int(self.row.size)

    @property
    def level(self) -> Float:
        """(e,) quote units."""
        return np.asarray(self.levels.price[self.row], np.float64)

    @cached_property
    def wait(self) -> Float:
        """(e, r) bars from `first_bar` to the confirmation, NaN without one."""
        return np.where(self.bar >= 0, self.bar - self.first_bar[:, None], np.nan)

    @cached_property
    def price(self) -> Float:
        """(e, r) the next open after the confirmation, at which one can act, quote units; NaN where none has come."""
        traded = np.flatnonzero(np.isfinite(self.bars.open))
        at = np.searchsorted(traded, self.bar, side="right")
        opened = np.append(self.bars.open[traded], np.nan)
        return np.where(self.bar >= 0, opened[at], np.nan)

    @cached_property
    def given_up(self) -> Float:
        """(e, r) by how much that open is worse than the level, fraction: 1 - open / level, for "reclaim" open / level - 1."""
        return self.sides * (1 - self.price / self.level[:, None])

    @cached_property
    def given_up_atr(self) -> Float:
        """(e, r) the same distance in ATRs of 14 bars at the confirmation, NaN without one."""
        span = atr(self.bars)[np.maximum(self.bar, 0)] if len(self.bars) else np.full(self.bar.shape, np.nan)
        return self.sides * (self.level[:, None] - self.price) / np.where(span > 0, span, np.nan)

    @cached_property
    def false(self) -> Float:
        """(e, r) 1.0 where the break was reclaimed within `within` bars, 0.0 where not, NaN while neither is known.

        NaN for "reclaim", too, which is no break.
        """
        back = (self.reclaim_bar >= 0) & (self.reclaim_bar - self.bar <= self.within)
        told = (self.bar >= 0) & (back | self.over) & (self.sides > 0)
        return np.where(told, back.astype(np.float64), np.nan)

    @property
    def over(self) -> BoolArray:
        """(e, r) whether the market goes on for `within` bars after the confirmation."""
        return (self.bar >= 0) & (self.bar + self.within < len(self.bars))

    @property
    def sides(self) -> Int64:
        """(r,) 1 for a short, -1 for a long."""
        return np.array([rule.side for rule in self.rules], np.int64)

    def summary(self) -> list[dict[str, Any]]:
        """Return one row a rule: events, medians of `wait`, `given_up`, `given_up_atr`, the share of false breaks.

        events: confirmed breaks; judged: those after which the market goes on for `within` bars, so that one that is
        reclaimed and one that is not count alike; false: their fraction that was reclaimed, NaN without one.
        """
        rows = []
        for r, rule in enumerate(self.rules):
            told = {name: middle(getattr(self, name)[:, r]) for name in ("wait", "given_up", "given_up_atr")}
            false = self.false[self.over[:, r], r]
            false = false[np.isfinite(false)]
            told |= {"false": float(false.mean()) if false.size else float("nan"), "judged": int(false.size)}
            settings = {"rule": rule.rule, "settings": dict(rule.settings), "meaning": rule.meaning}
            rows.append({"name": rule.name, **settings, "events": int((self.bar[:, r] >= 0).sum()), **told})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON: times as text, NaN as None, breaks by the time of their first low."""
        order = np.lexsort((self.row, self.first_bar)).tolist()
        plain = {"symbol": self.bars.symbol, "interval": self.bars.interval, "within": self.within}
        return dict(as_plain({**plain, "rules": self.summary(), "breaks": [self.facts(e) for e in order]}))

    def facts(self, e: int) -> dict[str, Any]:
        """Return one break: level, when a low first went through it, and for each rule its confirmation or None."""
        rules: dict[str, Any] = {}
        for r, rule in enumerate(self.rules):
            rules[rule.name] = self.confirmation(e, r) if self.bar[e, r] >= 0 else None
        row = int(self.row[e])
        level = {"level": float(self.levels.price[row]), "kind": self.levels.kind[row], "row": row}
        return {**level, "first": utc_text(int(self.bars.known_at[self.first_bar[e]])), "rules": rules}

    def confirmation(self, e: int, r: int) -> Mapping[str, Any]:
        names = ("wait", "price", "given_up", "given_up_atr", "false")
        told = {name: float(getattr(self, name)[e, r]) for name in names}
        false = None if np.isnan(told["false"]) else bool(told["false"])
        time = utc_text(int(self.bars.known_at[self.bar[e, r]]))
        return {"time": time, **told, "wait": int(told["wait"]), "false": false}


def middle(values: Float) -> float:
    """Return the median of the values that are numbers, NaN without one."""
    there = values[np.isfinite(values)]
    return float(np.median(there)) if there.size else float("nan")


def break_matrix(
    bars: Bars,
    levels: Levels,
    rules: Sequence[MatrixRule] = MATRIX_RULES,
    *,
    buffer: float = BUFFER,
    within: int | None = None,
) -> BreakMatrix:
    """Return what each rule makes of the breaks of the levels; each confirmation uses nothing later than its bar's close.

    One row is one break: from the first low below the floor, level - delta, to the close above level + delta, as
    `break_events` counts them, whose settings the rules take. A rule that confirms a break twice counts the first time.
    Reclaims end no level here, since each rule counts others of them: all rules see the same levels for as long.
    buffer: least delta, fraction of the level [D]; within: bars in which a reclaim makes a break a false one, by default
    24, on daily bars 5 [D]. What one can act on is the open after the confirming bar, so that is what waiting costs.

    Levels that were chosen with hindsight, as those that still stand today, flatter or hurt every rule alike: compare
    the rules with each other. Errors (ConfigError): no rule, two of one name, what is no table of levels, settings out of range.
    """
    check_levels(levels)
    names = [rule.name for rule in rules]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"A matrix needs rules, each under a name of its own, got {', '.join(names) or 'none'}.")
    soon = whole_bars("within", within) if within is not None else false_break_bars(bars)
    found = [events_of(bars, levels, rule, buffer, soon) for rule in rules]
    n = len(bars) + 1
    keys = [events.row * n + events.first_bar for events in found]
    every = np.unique(np.concatenate(keys))
    bar = np.full((every.size, len(names)), -1, np.int64)
    reclaim = bar.copy()
    for r, (key, events) in enumerate(zip(keys, found, strict=True)):
        at = np.searchsorted(every, key[::-1])  # backwards, so that the first of two stays
        bar[at, r], reclaim[at, r] = events.bar[::-1], events.reclaim_bar[::-1]
    return BreakMatrix(bars, levels, tuple(rules), every // n, every % n, bar, reclaim, soon)


def events_of(bars: Bars, levels: Levels, rule: MatrixRule, buffer: float, within: int) -> BreakEvents:
    known = tuple(name for name in inspect.signature(break_events).parameters if name not in ("bars", "levels", "rule"))
    for name, _ in rule.settings:
        if name not in known:
            raise ConfigError(f"The rule {rule.name!r} has no setting named {name!r}.{did_you_mean(name, known)}")
    settings: dict[str, Any] = {"buffer": buffer, "round_trips": None, **dict(rule.settings)}
    if rule.rule == "reclaim":
        settings["within"] = within
    return break_events(bars, levels, rule=rule.rule, **settings)
