"""What a made exchange has traded: a rule that says every row, so that a test can work the same row by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
JULY = 1_751_328_000_000  # 2025-07-01T00:00Z in ms

Span = tuple[int, int]


@dataclass
class Book:
    """A symbol's history in ms: listed, now; funding every so often; holes without rows; jitter added to stamps.

    most: rows of an answer at most, below what was asked for, as venues do under load. A bar that opens at t has
    k = t / interval: open 100 + k % 10, high open + 2, low open - 1, close open + 1, volume k % 5 + 0.5.
    """

    listed: int = JULY - 400 * DAY
    now: int = JULY + 40 * DAY
    funding_every: int = 8 * HOUR
    holes: list[Span] = field(default_factory=list)
    most: int | None = None
    jitter: Callable[[int], int] = lambda k: 0

    def stamps(self, every: int, start: int, end: int) -> list[int]:
        """The stamps in [start, end], oldest first; the last bar is still open."""
        first = -(-max(start, self.listed) // every) * every
        found = range(first, min(end, self.now) + 1, every)
        return [t for t in found if not any(low <= t < high for low, high in self.holes)]

    def bar(self, t: int, every: int) -> list[float]:
        k = t // every
        opened = 100 + k % 10
        return [float(opened), opened + 2.0, opened - 1.0, opened + 1.0, k % 5 + 0.5]

    def stamped(self, t: int, every: int) -> int:
        return t + self.jitter(t // every)

    def funding(self, start: int, end: int) -> list[tuple[int, float]]:
        """Stamps, with their jitter, inside [start, end] and rates: 0.0001 times k % 3."""
        every = self.funding_every
        around = self.stamps(every, start - HOUR, end + HOUR)
        rows = [(self.stamped(t, every), t // every % 3 * 0.0001) for t in around]
        return [(t, rate) for t, rate in rows if start <= t <= end]

    def interest(self, every: int, start: int, end: int) -> list[tuple[int, float, float]]:
        """Stamps inside [start, end], coins 1,000 + k % 7 and usd at 50,000 a coin."""
        around = self.stamps(every, start - HOUR, end + HOUR)
        rows = [(self.stamped(t, every), 1000.0 + t // every % 7) for t in around]
        return [(t, coins, coins * 50_000) for t, coins in rows if start <= t <= end]

    def cut(self, limit: int) -> int:
        return min(limit, self.most or limit)
