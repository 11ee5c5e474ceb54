"""Coinalyze on loopback: its histories in their documented form, its key, its limit of calls and its short memory."""

import math
import threading
from collections import deque

from servers.base import Asked, Reply, Server, as_json

SECONDS = {
    "1min": 60, "5min": 300, "15min": 900, "30min": 1800, "1hour": 3600, "2hour": 7200, "4hour": 14_400, "6hour": 21_600,
    "12hour": 43_200, "daily": 86_400,
}  # fmt: skip
HISTORIES = ("liquidation-history", "open-interest-history", "funding-rate-history", "long-short-ratio-history")
MARKETS = ("BTCUSDT_PERP.A", "ETHUSDT_PERP.A", "BTCUSDT_PERP.6", "BTCUSD_PERP.0", "BTCUSD.C")


class Coinalyze(Server):
    """The service at a moment `now` (seconds UTC); key: the one it accepts; kept: intraday bars that it still has.

    calls: how many are allowed in `window` seconds, each further one a 429 with Retry-After; rows: path -> history in
    place of the made-up one.
    """

    def __init__(self, now: int, key: str = "a-key", kept: int = 1_700, calls: int = 40, window: float = 60.0) -> None:
        super().__init__()
        self.now, self.key, self.kept = now, key, kept
        self.calls, self.window = calls, window
        self.recent: deque[float] = deque()
        self.refusals = 0
        self.rows: dict[str, list[dict[str, float]]] = {}
        self.counting = threading.Lock()

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("api_key") != self.key:
            return as_json({"message": f"Invalid API key {asked.headers.get('api_key', '')}"}, 401)
        if (wait := self.wait(asked.when)) > 0:
            self.refusals += 1
            return as_json({"message": "Too many requests"}, 429, Retry_After=f"{wait:.3f}")
        name = asked.path.strip("/")
        if name == "future-markets":
            return as_json([{"symbol": symbol, "exchange": symbol[-1], "is_perpetual": True} for symbol in MARKETS])
        if name not in HISTORIES or asked.query.get("interval") not in SECONDS:
            return as_json({"message": "Invalid value for parameter interval"}, 400)
        symbol = asked.query["symbols"]
        if symbol not in MARKETS:
            return as_json([])
        rows = self.history(name, asked.query)
        return as_json([{"symbol": symbol, "history": rows}] if rows else [])

    def wait(self, now: float) -> float:
        """Return the seconds until another call is allowed, 0 when this one is."""
        with self.counting:
            while self.recent and self.recent[0] <= now - self.window:
                self.recent.popleft()
            if len(self.recent) >= self.calls:
                return self.recent[0] + self.window - now
            self.recent.append(now)
            return 0.0

    def history(self, name: str, query: dict[str, str]) -> list[dict[str, float]]:
        """Return the bars of a span, both ends included, in ascending order."""
        start, end = int(query["from"]), int(query["to"])
        if name in self.rows:
            return [row for row in self.rows[name] if start <= row["t"] <= end]
        step = SECONDS[query["interval"]]
        if step < 86_400:
            start = max(start, self.now - self.kept * step)
        first = -(-start // step) * step
        usd = query.get("convert_to_usd") == "true"
        return [row(name, t, usd) for t in range(first, min(end, self.now) + 1, step)]


def row(name: str, t: int, usd: bool) -> dict[str, float]:
    """Return a made-up bar."""
    wave, price = math.sin(t / 86_400), 70_000.0
    if name == "liquidation-history":
        unit = price if usd else 1.0
        return {"t": t, "l": round((2 + wave) * unit, 4), "s": round((2 - wave) * unit, 4)}
    if name == "long-short-ratio-history":
        return {"t": t, "r": round(1.5 + wave / 10, 4), "l": 60.0, "s": 40.0}
    level = (80_000 + 100 * wave) * (price if usd else 1.0) if name == "open-interest-history" else 0.01 + wave / 1000
    return {"t": t, "o": level, "h": level, "l": level, "c": round(level, 8)}
