"""Every point of a sweep that gave figures is a trial of its strategy, recorded in batches."""

import math
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backtest.catalogue.trials import Trial, record_trials, strategy_name
from backtest.sweep.space import Space
from backtest.sweep.store import Store, parts_in, read_part

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Tally"]

NEEDED = ["point", "run", "sharpe", "error"]
BATCH = 5_000  # points that are recorded at once, or a quarter of those before: each batch reads the whole record
YEARLY = math.sqrt(365.0)


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
        self.pending: list[Trial] = []
        self.recorded = 0
        if not store.counted:
            for path in parts_in(store.folder):
                self.add(read_part(path, NEEDED))

    def add(self, rows: "pa.Table") -> None:
        """Count rows, soon."""
        self.store.counted = False
        columns = (rows[name].to_pylist() for name in NEEDED)
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.pending += [
            self.trial(point, run, sharpe, when)
            for point, run, sharpe, error in zip(*columns, strict=True)
            if not error
        ]
        if len(self.pending) >= max(BATCH, self.recorded // 4):
            self.record()

    def trial(self, point: int, run: str, sharpe: float | None, when: str) -> Trial:
        market, strategy, _ = self.space.locate(point)
        identity, days, bars = self.markets[market]
        name = strategy_name(self.space.strategies[strategy])
        daily = math.nan if sharpe is None else sharpe / YEARLY
        return Trial(name, identity, run, "sweep", when, daily, days, bars)

    def record(self) -> None:
        if self.pending:
            record_trials(self.results, self.pending)
            self.recorded += len(self.pending)
            self.pending = []

    def close(self) -> None:
        """Record what is left."""
        self.record()
        self.store.counted = True
