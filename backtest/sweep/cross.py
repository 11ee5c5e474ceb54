"""Combinatorial purged cross-validation of choosing the best point: many histories out of sample instead of one."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from backtest.analysis.summary import as_plain
from backtest.errors import ConfigError
from backtest.model.arrays import DAY, BoolArray, Float
from backtest.sweep.folds import Fold, Span, combinatorial, groups_of, paths_of
from backtest.sweep.overfit import PointReturns, sharpes_of, yearly_sharpe

__all__ = ["GROUPS", "TESTED", "CrossValidation", "cross_validate", "days_of_bars"]

GROUPS, TESTED = 6, 2
"""The source's example: 15 folds, 5 paths."""


@dataclass(frozen=True)
class CrossValidation:
    """What choosing came to on every path.

    groups, tested: into how many parts the days were cut, and how many of them each fold tests; chosen: by fold, the point
    with the best Sharpe ratio of its training, None where none has one; in_sample: yearly Sharpe ratio that chose, mean over
    the folds; paths: yearly Sharpe ratio of each path, whole histories of days that did not choose, NaN where it has none;
    returns: total return of each path; purge, embargo: days.
    """

    groups: int
    tested: int
    chosen: tuple[int | None, ...]
    in_sample: float
    paths: tuple[float, ...]
    returns: tuple[float, ...]
    purge: int
    embargo: int

    def sentence(self) -> str:
        """Return what the paths show in words."""
        known = sorted(value for value in self.paths if not math.isnan(value))
        if not known:
            return f"Cross-validation: none of {len(self.paths)} paths has a Sharpe ratio."
        middle, below = float(np.median(known)), sum(value <= 0 for value in known)
        return (
            f"Cross-validation, {self.tested} of {self.groups} parts tested at a time: {len(self.paths)} paths out of sample "
            f"with a Sharpe ratio of {middle:.2f} in the middle ({known[0]:.2f} to {known[-1]:.2f}), {below} of them at or "
            f"below 0; in sample {self.in_sample:.2f}. Days near a test were left out: {self.purge} before it, "
            f"{self.purge + self.embargo} behind."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON: NaN as None."""
        plain: dict[str, Any] = as_plain({**asdict(self), "sentence": self.sentence()})
        return plain


def days_of_bars(bars: int, interval: int) -> int:
    """Return how many days a number of bars touches at most, beyond the first: up to it, a trade may reach.

    >>> days_of_bars(0, 3_600_000_000_000), days_of_bars(1, 3_600_000_000_000), days_of_bars(25, 3_600_000_000_000)
    (0, 1, 2)
    """
    return -(-bars * interval // DAY)


def cross_validate(
    found: PointReturns, groups: int = GROUPS, tested: int = TESTED, *, purge: int = 0, embargo: int | None = None
) -> CrossValidation:
    """Choose the best point of each fold's training days, and put what it earned in the tests together as paths.

    purge: days before a test, as many as the longest holding time reaches; embargo: further days behind one, None for as many
    as the purge. The returns are those of whole runs, cut: a parameter is chosen, nothing is trained. Source: Lopez de Prado,
    Advances in Financial Machine Learning (2018), 12.4. Where the gaps leave a fold nothing to learn from: ConfigError.
    """
    embargo = purge if embargo is None else embargo
    n = found.days.size
    folds = combinatorial(0, n, groups, tested, purge, embargo)
    starved = next((fold for fold in folds if not fold.train), None)
    if starved is not None:
        raise ConfigError(
            f"Purge and embargo, {purge} + {embargo} days, leave fold {starved.number} of {groups} parts of {n} days nothing to "
            "learn from; give a longer market or fewer --groups, or state a shorter longest holding time with --purge."
        )
    picks = [pick(found, fold) for fold in folds]
    bounds = groups_of(0, n, groups)
    spans = list(pairwise(bounds))
    histories = [path(found, spans, [picks[k - 1][0] for k in one]) for one in paths_of(groups, tested)]
    learnt = [value for _, value in picks if not math.isnan(value)]
    return CrossValidation(
        groups=groups,
        tested=tested,
        chosen=tuple(None if column is None else found.points[column] for column, _ in picks),
        in_sample=float(np.mean(learnt)) if learnt else math.nan,
        paths=tuple(yearly_sharpe(history) for history in histories),
        returns=tuple(float(np.prod(1.0 + history)) - 1.0 for history in histories),
        purge=purge,
        embargo=embargo,
    )


def pick(found: PointReturns, fold: Fold) -> tuple[int | None, float]:
    """Return the column that is best on the fold's training days, and its yearly Sharpe ratio there."""
    values = sharpes_of(found.returns, mask(found.days.size, fold.train))
    if np.isnan(values).all():
        return None, math.nan
    best = int(np.nanargmax(values))
    return best, float(values[best]) * math.sqrt(365.0)


def mask(days: int, spans: Sequence[Span]) -> BoolArray:
    chosen = np.zeros(days, dtype=np.bool_)
    for first, last in spans:
        chosen[first:last] = True
    return chosen


def path(found: PointReturns, spans: Sequence[Span], columns: Sequence[int | None]) -> Float:
    """Return (n,) the returns of a path: in each group those of the column that was chosen without it; without one, 0."""
    parts = [
        np.zeros(last - first) if column is None else found.returns[first:last, column]
        for (first, last), column in zip(spans, columns, strict=True)
    ]
    return np.concatenate(parts).astype(np.float64)
