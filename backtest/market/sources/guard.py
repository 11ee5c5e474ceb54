"""What holds for every page of every source: an answer of an unknown form is an error in words, an open bar is left out."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from backtest.errors import LevelbreakError
from backtest.market.sources.base import Page, Request
from backtest.market.sources.clocks import clock_note, time_of
from backtest.market.sources.faults import fault
from backtest.market.sources.http import UnreadableError

__all__ = ["guarded"]

# What reading raises where something is not what it always was: a text for a number, a number that no integer holds.
UNUSUAL = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def guarded(page: Callable[[Any, Request], Page]) -> Callable[[Any, Request], Page]:
    """Wrap a source's `page`: what an odd answer breaks is a SourceError "malformed", and only what is closed is kept."""

    @wraps(page)
    def wrapped(source: Any, request: Request) -> Page:
        try:
            found = page(source, request)
        except LevelbreakError:
            raise
        except UNUSUAL as error:
            said = str(error) if isinstance(error, UnreadableError) else type(error).__name__
            why = f"an answer in another form than usual: {said}"
            raise fault(source.name, "malformed", why, symbol=request.symbol) from None
        now = (getattr(source, "clock", None) or source.now)()
        return told(request, found, time_of(source.name, now), now)

    return wrapped


def told(request: Request, page: Page, now: int, ours: int) -> Page:
    """Return a page up to `now`, the source's time, where that is before `ours`; with a note where clocks are far apart."""
    said, step = clock_note(request.source), request.interval or 1
    limit = max(request.start, now // step * step)
    if now < ours and page.end > limit:
        columns = page.columns
        closed = (columns["time"] < limit) & (columns.get("known_at", columns["time"] + request.interval) <= now)
        page = replace(page, columns={name: values[closed] for name, values in columns.items()}, end=limit)
    return replace(page, notes=(*page.notes, *said)) if said else page
