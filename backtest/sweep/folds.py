"""Where training ends and testing begins: spans of bars for walk-forward and for combinatorial cross-validation.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 7 (purging, embargo) and 12 (combinatorial
purged cross-validation).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from backtest.errors import ConfigError
from backtest.model import Market
from backtest.model.arrays import DAY, HOUR

__all__ = [
    "Fold",
    "Span",
    "anchored",
    "bars_of",
    "combinatorial",
    "groups_of",
    "path_count",
    "paths_of",
    "purged",
    "rolling",
    "window",
]

Span = tuple[int, int]
"""A stretch of bars: the first, and the one behind the last."""

UNITS = {"m": HOUR // 60, "h": HOUR, "d": DAY, "w": 7 * DAY}
MOST_FOLDS = 10_000
"""Folds of a cross-validation, at most, [D]: so many choices among two thousand points take minutes."""
LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([mhdw]?)")


@dataclass(frozen=True)
class Fold:
    """What is learnt from, and what is judged on: spans of bars in rising order, none of them in both.

    number: from 1; a walk-forward has one training span before one test span, cross-validation several of each.
    """

    number: int
    train: tuple[Span, ...]
    test: tuple[Span, ...]


def bars_of(length: int | str, interval: int, name: str) -> int:
    """Return a length as bars: a number of bars, or a time such as "90d", "36h", "2w"; interval: ns.

    >>> bars_of("2d", 3_600_000_000_000, "train"), bars_of("48", 3_600_000_000_000, "train")
    (48, 48)
    """
    found = LENGTH.fullmatch(str(length).strip())
    if found is None:
        raise ConfigError(f"`{name}` must be a number of bars, or a time such as 90d or 36h; got {length!r}.")
    number, unit = found.groups()
    bars = float(number) * (UNITS[unit] / interval if unit else 1.0)
    if bars != math.floor(bars):
        raise ConfigError(f"`{name}` of {length!r} is no whole number of bars of {interval / HOUR:g} h.")
    return int(bars)


def rolling(start: int, end: int, train: int, test: int, purge: int = 0, embargo: int = 0) -> tuple[Fold, ...]:
    """Return folds over the bars start to end - 1, each trained on the `train` bars before its test.

    The tests lie end to end and cover all bars behind the first training; the last one is shorter where the bars don't
    come out even. Of each training its last purge + embargo bars are left out. Nothing is learnt behind a test here, so
    that an embargo only widens the gap before it. A span too short for a single fold is a ConfigError.

    >>> [(f.train, f.test) for f in rolling(0, 10, train=4, test=3, purge=1)]
    [(((0, 3),), ((4, 7),)), (((3, 6),), ((7, 10),))]
    """
    check_lengths(start, end, train, test, purge, embargo)
    starts = range(start + train, end, test)
    return walk(starts, [(at - train, at - purge - embargo) for at in starts], end, test)


def anchored(start: int, end: int, train: int, test: int, purge: int = 0, embargo: int = 0) -> tuple[Fold, ...]:
    """Return folds like `rolling`, each trained on everything from the first bar on; `train`: bars of the first training.

    >>> [(f.train, f.test) for f in anchored(0, 10, train=4, test=3, purge=1)]
    [(((0, 3),), ((4, 7),)), (((0, 6),), ((7, 10),))]
    """
    check_lengths(start, end, train, test, purge, embargo)
    starts = range(start + train, end, test)
    return walk(starts, [(start, at - purge - embargo) for at in starts], end, test)


def walk(starts: Iterable[int], trains: Iterable[Span], end: int, test: int) -> tuple[Fold, ...]:
    spans = zip(starts, trains, strict=True)
    return tuple(Fold(k, (train,), ((at, min(at + test, end)),)) for k, (at, train) in enumerate(spans, 1))


def check_lengths(start: int, end: int, train: int, test: int, purge: int, embargo: int) -> None:
    for name, value, least in (("train", train, 1), ("test", test, 1), ("purge", purge, 0), ("embargo", embargo, 0)):
        if value < least:
            raise ConfigError(f"`{name}` must be at least {least} bar{'' if least == 1 else 's'}, got {value}.")
    if start + train >= end:
        raise ConfigError(
            f"A training of {train:,} bars leaves nothing to test: there are {end - start:,} bars in all; "
            "give a shorter --train, or a longer market."
        )
    if purge + embargo >= train:
        raise ConfigError(
            f"Purge and embargo, {purge:,} + {embargo:,} bars, leave nothing of a training of {train:,} bars; give a "
            "longer --train, or state a shorter longest holding time with --purge."
        )


def combinatorial(
    start: int, end: int, groups: int = 6, tested: int = 2, purge: int = 0, embargo: int = 0
) -> tuple[Fold, ...]:
    """Return the C(groups, tested) folds of combinatorial purged cross-validation over the bars start to end - 1.

    The bars are cut into equal groups in order; every choice of `tested` of them is a test, a span a group, and the others
    are trained on, less purge bars before and purge + embargo bars behind each test. Source: Lopez de Prado (2018), 12.4.

    >>> combinatorial(0, 12, groups=3, tested=1, purge=1, embargo=1)[1]
    Fold(number=2, train=((0, 3), (10, 12)), test=((4, 8),))
    """
    bounds = list(pairwise(groups_of(start, end, groups)))
    check_groups(groups, tested)
    chosen = combinations(range(groups), tested)
    folds = (
        Fold(k, tuple(s for g, s in enumerate(bounds) if g not in test), tuple(bounds[g] for g in test))
        for k, test in enumerate(chosen, 1)
    )
    return tuple(purged(fold, purge, purge + embargo) for fold in folds)


def groups_of(start: int, end: int, groups: int) -> tuple[int, ...]:
    """Return the bounds of equal groups, the first ones a bar longer where they don't come out even.

    >>> groups_of(0, 8, 3)
    (0, 3, 6, 8)
    """
    if groups < 2 or groups > end - start:
        raise ConfigError(
            f"`groups` must be at least 2 and at most the {end - start:,} there are to cut, got {groups}."
        )
    size, more = divmod(end - start, groups)
    return tuple(start + g * size + min(g, more) for g in range(groups + 1))


def check_groups(groups: int, tested: int) -> None:
    if not 1 <= tested < groups:
        raise ConfigError(
            f"Of {groups} groups at least 1 and at most {groups - 1} can be tested at a time, got {tested}."
        )
    if groups > MOST_FOLDS or math.comb(groups, tested) > MOST_FOLDS:
        raise ConfigError(
            f"There are more than {MOST_FOLDS:,} ways to test {tested:,} of {groups:,} groups, and each is a fold; give fewer "
            "--groups, or a smaller --tested."
        )


def path_count(groups: int, tested: int) -> int:
    """Return how many whole paths the tests of the folds make up: tested / groups * C(groups, tested).

    >>> path_count(6, 2), path_count(10, 2)
    (5, 9)
    """
    check_groups(groups, tested)
    return math.comb(groups - 1, tested - 1)


def paths_of(groups: int, tested: int) -> tuple[tuple[int, ...], ...]:
    """Return the paths: for each of them, by group, the number of the fold that tests the group on it.

    The j-th path takes of every group the j-th fold that tests it, so that each test of each fold is on one path.

    >>> paths_of(3, 2)
    ((1, 1, 2), (2, 3, 3))
    """
    check_groups(groups, tested)
    chosen = list(combinations(range(groups), tested))
    by_group = [[k for k, test in enumerate(chosen, 1) if g in test] for g in range(groups)]
    return tuple(zip(*by_group, strict=True))


def purged(fold: Fold, before: int, behind: int) -> Fold:
    """Return the fold without the training bars that lie within so many bars before or behind a test span.

    A trade of at most `before` bars that is entered in what is left ends before the test begins.

    >>> purged(Fold(1, ((0, 10), (12, 20)), ((10, 12),)), before=2, behind=3).train
    ((0, 8), (15, 20))
    """
    spans = list(fold.train)
    for first, last in fold.test:
        spans = [rest for span in spans for rest in without(span, first - before, last + behind)]
    return replace(fold, train=tuple(joined(spans)))


def without(span: Span, first: int, last: int) -> list[Span]:
    pieces = ((span[0], min(span[1], first)), (max(span[0], last), span[1]))
    return [piece for piece in pieces if piece[0] < piece[1]]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans that touch as one.

    >>> joined([(0, 3), (3, 5), (7, 8)])
    [(0, 5), (7, 8)]
    """
    found: list[Span] = []
    for first, last in spans:
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def window(market: Market, first: int, last: int) -> Market:
    """Return the market as it was known at the close of bar last - 1, to be traded and scored from bar `first` on.

    Every bar before `first` warms up signals and levels; nothing that became known behind the last bar is in it: bars,
    marks, funding, feeds and finer bars are cut alike. The bars must lie within what the market scores.
    """
    if not market.start_bar <= first < last <= len(market):
        raise ConfigError(
            f"The bars {first:,} to {last - 1:,} are no part of what the market {market.name} trades, "
            f"{market.start_bar:,} to {len(market) - 1:,}."
        )
    return replace(market.head(last), trade_from=int(market.time[first]))
