"""Yahoo's source and the server that it asks, for its tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from backtest.errors import SourceError
from backtest.market.clock import parse_time
from backtest.market.sources import Page, Request
from backtest.market.sources.yahoo import Yahoo
from backtest.model.arrays import DAY
from tests.servers.yahoo import Symbol, YahooServer, bitcoin

NOW = parse_time("2024-03-20")  # the server's usual now, too
VIX = {"zone": "America/Chicago", "session": (8.5, 15.25)}
T = parse_time
IN_COINS = "Yahoo's volume of BTC-USD is in USD; it was turned into coins at the bar's typical price, (high + low + close) / 3."


class Place:
    """A source and the server that it asks."""

    def __init__(self, server: YahooServer) -> None:
        self.server, self.now = server, NOW
        self.source = Yahoo(timeout=1.0, clock=lambda: self.now)

    def request(self, symbol: str, start: str, end: str, interval: int = DAY) -> Request:
        return Request("yahoo", symbol, "bars", interval, T(start), T(end))

    def page(self, *arguments: Any, **options: Any) -> Page:
        """The only page of a span."""
        (part,) = self.source.plan(self.request(*arguments, **options))
        return self.source.page(part)

    def refused(self, *arguments: Any, cause: str) -> str:
        with pytest.raises(SourceError) as caught:
            self.page(*arguments)
        assert caught.value.cause == cause
        return str(caught.value)

    @property
    def charts(self) -> int:
        return sum("/chart/" in path for path in self.server.paths)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")
    with YahooServer({"BTC-USD": bitcoin(), "^GSPC": Symbol(), "^VIX": Symbol(**VIX)}) as server:
        monkeypatch.setenv("BACKTEST_URL_YAHOO", server.url)
        yield Place(server)
