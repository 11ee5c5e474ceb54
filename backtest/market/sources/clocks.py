"""This machine's clock held against those of the sources: what their answers say of the time, in the Date header.

A bar counts as closed only once it is by both clocks: one that is still open would be stored as if it were done.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from backtest.market.sources.faults import title
from backtest.model.arrays import SECOND

__all__ = ["clock_note", "hear", "time_of"]

NOISE = 5.0  # seconds by which answers may be late and Date, which has whole seconds, be off
APART = 60.0  # seconds from which on the user is told
# Source -> seconds by which this machine's clock is ahead of its, the least that was seen: an answer that is slow, or that
# was kept by a cache, only ever looks older than it is.
AHEAD: dict[str, float] = {}


def hear(source: str, headers: Mapping[str, str]) -> None:
    """Note the time in an answer that just began; headers: names in lower case. One without a time says nothing."""
    try:
        told = parsedate_to_datetime(headers.get("date", "")).timestamp() + float(headers.get("age", "0"))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return
    ahead = time.time() - told
    AHEAD[source] = min(ahead, AHEAD.get(source, ahead))


def time_of(source: str, now: int) -> int:
    """Return the time by the source's clock where it is behind this machine's `now` (ns UTC), else `now`."""
    ahead = AHEAD.get(source, 0.0)
    return now - int(ahead * SECOND) if ahead > NOISE else now


def clock_note(source: str) -> tuple[str, ...]:
    """Return what is to be said of clocks that are a minute or more apart: one sentence or none."""
    seconds = AHEAD.get(source, 0.0)
    if abs(seconds) < APART:
        return ()
    how = "ahead of" if seconds > 0 else "behind"
    said = f"This machine's clock is {abs(seconds) / 60:,.0f} min {how} that of {title(source)}"
    return (f"{said}; bars are stored once they are closed by both.",)
