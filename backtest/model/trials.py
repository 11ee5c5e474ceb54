"""How often a strategy was tried on a market: what a result has to be held against."""

from dataclasses import dataclass, field

import numpy as np

from backtest.model.arrays import Float

__all__ = ["Trials"]


@dataclass(frozen=True, eq=False)
class Trials:
    """The trials of one strategy on one market, every run and every point of a sweep.

    sharpes: (k,) Sharpe ratio per day of each, NaN where a trial has none; identities: (k,) the ids of the runs, each once;
    strategy: its name without a folder; market_hash: of the data.
    """

    sharpes: Float
    identities: tuple[str, ...] = ()
    strategy: str = ""
    market_hash: str = ""
    count: int = field(init=False)

    def __post_init__(self) -> None:
        sharpes = np.array(self.sharpes, dtype=np.float64)
        sharpes.setflags(write=False)
        object.__setattr__(self, "sharpes", sharpes)
        object.__setattr__(self, "count", int(sharpes.size))

    def including(self, identity: str, sharpe: float) -> "Trials":
        """Return the trials with one more, or the same where a run of that id is among them.

        >>> Trials(np.array([0.1]), ("a",)).including("b", 0.2).count
        2
        >>> Trials(np.array([0.1]), ("a",)).including("a", 0.1).count
        1
        """
        if identity in self.identities:
            return self
        sharpes = np.append(self.sharpes, sharpe)
        return Trials(sharpes, (*self.identities, identity), self.strategy, self.market_hash)
