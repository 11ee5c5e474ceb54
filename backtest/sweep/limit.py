"""A time limit for one point: an alarm of the system, which interrupts whatever the strategy does in Python."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Clock", "LateError", "clock", "late_limit", "late_words", "sensible"]

AGAIN = 0.5  # seconds after which it is said again to a strategy that swallowed it


LONGEST = 365 * 86_400.0  # seconds; a limit beyond a year is none
LATE = re.compile(r"It took longer than (\S+) s[;,]")


def sensible(seconds: float | None) -> float | None:
    """Return a limit in seconds, None where it is too long to be one."""
    return None if seconds is None or seconds > LONGEST else seconds


def late_words(seconds: float, stuck: bool = False) -> str:
    """Return the reason of a point that was over its time; stuck: in code that no alarm reaches.

    >>> late_words(0.5, stuck=True)
    "It took longer than 0.5 s, in code that can't be interrupted; give it more with --time-limit."
    """
    if stuck:
        return f"It took longer than {seconds:g} s, in code that can't be interrupted; give it more with --time-limit."
    return f"It took longer than {seconds:g} s; give it more with --time-limit, or leave the point out."


def late_limit(reason: str) -> float | None:
    """Return the limit that a point was over, of the reason that `late_words` made; None for another reason.

    >>> late_limit(late_words(60.0)), late_limit("It failed: OSError: no")
    (60.0, None)
    """
    found = LATE.match(reason)
    return None if found is None else float(found[1])


class LateError(BaseException):
    """A point took too long; no `except Exception` of a strategy stops it."""


class Clock:
    """Raises LateError inside `running()` once the time is over; does nothing where the system or the thread has no alarms."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.armed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Give what runs inside its time."""
        if self.seconds is None:
            yield
            return
        self.armed = True
        signal.setitimer(signal.ITIMER_REAL, self.seconds, AGAIN)
        try:
            yield
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def ring(self, number: int, frame: Any) -> None:
        """Answer the alarm."""
        if self.armed:
            raise LateError


@contextmanager
def clock(seconds: float | None) -> Iterator[Clock]:
    """Give a clock, and take the alarm over while it is used."""
    possible = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not possible:
        yield Clock(None)
        return
    made = Clock(seconds)
    before = signal.signal(signal.SIGALRM, made.ring)
    try:
        yield made
    finally:
        signal.signal(signal.SIGALRM, before)
