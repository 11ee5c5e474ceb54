"""What can go wrong, as one tree.

LevelbreakError            a mistake of the input; the command line prints it and exits with code 2
 ├─ ConfigError            a run, parameter or option that makes no sense
 ├─ MarketError            a market that can't be loaded or must not be used
 │   ├─ FundingHoleError   a position was held while its funding is unknown
 │   └─ SourceError        a source of data that did not give what was asked; `cause` says why in one word
 ├─ VenueError             a venue whose numbers contradict each other
 ├─ PlanError              a plan that breaks the rules of plans
 ├─ StrategyError          a strategy that can't be found, loaded or run
 └─ ResultsError           results that can't be written or read
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "FundingHoleError",
    "LevelbreakError",
    "MarketError",
    "PlanError",
    "ResultsError",
    "SourceError",
    "StrategyError",
    "VenueError",
    "did_you_mean",
]


class LevelbreakError(Exception):
    """A mistake of the input, said in a sentence that tells what to do."""


class ConfigError(LevelbreakError):
    """A run, a parameter or an option that makes no sense."""


class MarketError(LevelbreakError):
    """A market that can't be loaded or must not be used."""


class FundingHoleError(MarketError):
    """A position was held while its funding is unknown."""


class SourceError(MarketError):
    """A source of data that did not give what was asked.

    cause: "offline", "rate_limited", "geo_blocked", "unknown_symbol", "too_old", "empty", "malformed", "timeout",
    "checksum", "needs_key", "needs_extra" or "refused" (anything else that the source will not or can't do).
    """

    def __init__(self, message: str, cause: str = "refused") -> None:
        super().__init__(message)
        self.cause = cause


class VenueError(LevelbreakError):
    """A venue whose numbers contradict each other."""


class PlanError(LevelbreakError):
    """A plan that breaks the rules of plans."""


class StrategyError(LevelbreakError):
    """A strategy that can't be found, loaded or run."""


class ResultsError(LevelbreakError):
    """Results that can't be written or read."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known word, or the known words when none is near.

    >>> did_you_mean("suport", ["support", "bounce"])
    " Did you mean 'support'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" There are: {', '.join(names)}." if names else ""
