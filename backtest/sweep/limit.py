"""A time limit for one point: an alarm of the system, which interrupts whatever the strategy does in Python."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Clock", "LateError", "clock"]

AGAIN = 0.5  # seconds after which it is said again to a strategy that swallowed it


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
