"""Every point of a sweep that gave figures is a trial of its strategy, recorded in batches."""

import math
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backtest.catalogue.record import Known
from backtest.catalogue.runs import results_folder
from backtest.catalogue.trials import YEARLY, Trial, record_trials, strategy_name
from backtest.sweep.space import Space
from backtest.sweep.store import Store, parts_in, read_part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Tally"]

NEEDED = ["point", "run", "sharpe", "error"]
BATCH = 5_000  # points that are recorded at once


class Tally:
    """Counts points as trials: when there are many, and at the end of each start, whatever ends it.

    markets: (hash, days, scored bars) of each. A sweep that was killed before its points were counted counts them when it
    is started again. The Sharpe ratio of a point is that of its bars, brought to a day: a sweep keeps no daily returns.
    """

    def __init__(
        self,
        results: str | os.PathLike[str] | None,
        space: Space,
        markets: tuple[tuple[str, int, int], ...],
        store: Store,
    ) -> None:
        self.results = results
        self.space = space
        self.markets = markets
        self.store = store
        self.names = [strategy_name(strategy) for strategy in space.strategies]
        self.pending: list[Trial] = []
        parts = [] if store.counted else parts_in(store.folder)
        if parts:
            known = Known(results_folder(results))  # a start that was killed has counted some of them
            for path in parts:
                self.add(read_part(path, NEEDED), known)
            self.record(known)

    def add(self, rows: "pa.Table", known: Known | None = None) -> None:
        """Count rows, soon; known: what is on record, where some of them may be."""
        self.store.counted = False
        columns = (rows[name].to_pylist() for name in NEEDED)
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.pending += [
            self.trial(point, run, sharpe, when)
            for point, run, sharpe, error in zip(*columns, strict=True)
            if not error
        ]
        if len(self.pending) >= BATCH:
            self.record(known)

    def trial(self, point: int, run: str, sharpe: float | None, when: str) -> Trial:
        market, strategy, _ = self.space.locate(point)
        data, days, bars = self.markets[market]
        daily = math.nan if sharpe is None else sharpe / YEARLY
        return Trial(self.names[strategy], data, run, "sweep", when, daily, days, bars)

    def record(self, known: Known | None = None) -> None:
        """Record what is pending."""
        if self.pending:
            record_trials(self.results, self.pending, known)
            self.pending = []

    def close(self) -> None:
        """Record what is left."""
        self.record()
        self.store.counted = True
