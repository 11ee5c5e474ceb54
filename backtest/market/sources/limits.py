"""How fast a source may be asked: calls in a window of time, pauses between tries, and an end to waiting."""

import os
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field

__all__ = ["HALT", "Limit", "backoff", "pause", "scale"]

LONGEST = 60.0  # seconds; no pause between tries grows beyond it
HALT = threading.Event()  # set by whoever ends a fetch: every pause ends at once, and no request is tried again


def scale() -> float:
    """Return what all waiting is multiplied by: $BACKTEST_RETRY_SECONDS, the length of the first pause; usually 1."""
    try:
        return max(0.0, float(os.environ.get("BACKTEST_RETRY_SECONDS", "1")))
    except ValueError:
        return 1.0


def pause(seconds: float) -> None:
    """Wait, or return at once when everything was told to halt."""
    HALT.wait(seconds * scale())


def backoff(tries: int) -> float:
    """Return the seconds before another try: twice as long each time, with jitter of half to all of it.

    Without jitter, all that failed together would come back together.
    """
    return min(LONGEST, 2.0 ** (tries - 1)) * random.uniform(0.5, 1.0)


@dataclass
class Limit:
    """At most `calls` in any `seconds`, over all threads of this process.

    A sliding window rather than a bucket: a full bucket lets twice the limit through in the first minute.
    """

    calls: int
    seconds: float
    made: deque[float] = field(default_factory=deque)  # when the latest calls were allowed, oldest first
    held: float = 0.0  # nothing is allowed before this moment
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> float:
        """Wait until one more call is allowed, and return the seconds that this took."""
        waited = 0.0
        while (left := self.reserve()) > 0 and not HALT.is_set():
            HALT.wait(left)
            waited += left
        return waited

    def reserve(self) -> float:
        """Note one call and return 0, or return the seconds until one is allowed."""
        with self.lock:
            now, window = time.monotonic(), self.seconds * scale()
            while self.made and self.made[0] <= now - window:
                self.made.popleft()
            if (left := self.held - now) > 0:
                return left
            if len(self.made) >= self.calls:
                return self.made[0] + window - now
            self.made.append(now)
            return 0.0

    def hold(self, seconds: float) -> None:
        """Allow no call for some seconds, as the source asked."""
        with self.lock:
            self.held = max(self.held, time.monotonic() + seconds * scale())
