"""The overfitting figures of a sweep: what its best point is worth among all that were tried."""

import os
from typing import TYPE_CHECKING

from backtest.errors import ConfigError
from backtest.model import Market
from backtest.sweep.overfit import MOST, Overfitting, chosen_points, judge_choice, point_returns
from backtest.sweep.tried import TrialBook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backtest.sweep.space import Space

__all__ = ["judge_sweep"]


def judge_sweep(
    space: "Space",
    best: int,
    market: Market | None = None,
    results: str | os.PathLike[str] | None = None,
    *,
    failed: "Collection[int]" = (),
    most: int = MOST,
    seed: int = 0,
    time_limit: float | None = None,
    progress: "Callable[[int], None] | None" = None,
) -> Overfitting:
    """Return the overfitting figures of a sweep whose best point is `best`, among the points of its strategy and market.

    market: the point's, None to load it; results: the folder with the record of trials, in which a sweep has put its points;
    failed: points that failed in the sweep, which are not run again (one that hangs would hang again); most: points that are run
    in full for their daily returns, the best always among them; progress: points done of those.
    """
    which, strategy, number = space.locate(best)
    config = space.config(best)
    if market is None:
        from backtest.runner import market_of

        market = market_of(config)
    first = best - number
    looked, said = chosen_points(range(first, first + space.sizes[strategy]), most, seed)
    ran = tuple(sorted({*looked, best}.difference(failed)))
    if len(ran) < len(looked):
        said = without(said, len(ran), len(looked), space.sizes[strategy])
    found = point_returns(market, space.config, ran, said=said, progress=progress, time_limit=time_limit)
    if best in found.failed:
        raise ConfigError(f"The point {best} of {space.markets[which]} failed: {found.failed[best]}")
    book = TrialBook(market, results)
    book.add_points(space.config, found)
    return judge_choice(found, book.trials(config), chosen=best, seed=seed)


def without(said: str, ran: int, looked: int, points: int) -> str:
    """Return the sentence on the points that are run in full, where some of them failed in the sweep."""
    if looked < points:
        return f"{said} {looked - ran:,} of those drawn failed in the sweep and were left out."
    return f"{ran:,} of {points:,} points were run in full for their daily returns; the others failed in the sweep."
