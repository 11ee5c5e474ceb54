"""Whether the folds of a walk-forward choose the same parameters: one that wanders was fitted to noise."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from backtest.analysis.summary import as_plain

__all__ = ["Stability", "stability"]


@dataclass(frozen=True)
class Stability:
    """How one setting was chosen over the folds.

    chosen: by fold, in order, None where nothing was chosen; shares: value -> share of the folds with a choice, the most
    frequent first; spread: mean step between one fold and the next, as a share of the whole axis, 0 where it stays and 1
    where it jumps from end to end, NaN below two choices and for one value; chance: the spread of choices at random.
    """

    name: str
    chosen: tuple[Any, ...]
    shares: Mapping[Any, float]
    spread: float
    chance: float

    def sentence(self) -> str:
        """Return the choices in words."""
        if not self.shares:
            return f"{self.name}: no fold chose."
        value, share = next(iter(self.shares.items()))
        made = sum(one is not None for one in self.chosen)
        told = f"{self.name}: {shown(value)} in {round(share * made)} of {made} fold{'' if made == 1 else 's'}"
        if math.isnan(self.spread):
            return f"{told}."
        if self.spread == 0:
            return f"{told}; it stays."
        verdict = "settles" if self.spread < self.chance / 2 else "wanders"
        return (
            f"{told}; it {verdict}: from fold to fold by {self.spread:.0%} of its range, where choices at random move "
            f"by {self.chance:.0%}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON: the shares as a list of value and share."""
        shares = [{"value": value, "share": share} for value, share in self.shares.items()]
        plain: dict[str, Any] = as_plain({**asdict(self), "shares": shares, "sentence": self.sentence()})
        return plain


def shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def stability(name: str, values: Sequence[Any], chosen: Sequence[Any]) -> Stability:
    """Return how the folds chose one setting.

    values: of the axis, in its order; chosen: by fold, None where nothing was chosen. A step is counted in places of the axis,
    whatever the values are; of words, which have no order, a change is a step over the whole axis. Choices at random, each
    as likely as any, move by (n + 1) / (3n) of an axis of n values on average, words by (n - 1) / n.

    >>> found = stability("lookback", (10, 20, 30), (10, 10, 30))
    >>> found.spread, [round(share, 3) for share in found.shares.values()]   # steps of 0 and 2 places of 2
    (0.5, [0.667, 0.333])
    """
    made = [one for one in chosen if one is not None]
    shares = {value: count / len(made) for value, count in Counter(made).most_common()}
    n, ordered = len(values), all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    if n < 2 or len(made) < 2:
        return Stability(name, tuple(chosen), shares, math.nan, math.nan)
    if ordered:
        place = {value: i for i, value in enumerate(sorted(values))}
        steps = [abs(place[b] - place[a]) / (n - 1) for a, b in pairwise(made)]
    else:
        steps = [float(a != b) for a, b in pairwise(made)]
    chance = (n + 1) / (3 * n) if ordered else (n - 1) / n
    return Stability(name, tuple(chosen), shares, sum(steps) / len(steps), chance)
