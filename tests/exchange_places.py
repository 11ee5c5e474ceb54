"""An exchange's source and the server that it asks, for the tests of Binance, Bybit and OKX."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from backtest.market.sources import Page, Request
from backtest.market.sources.exchanges import Exchange
from backtest.model.arrays import DAY, SECOND
from tests.servers.binance import BinanceServer
from tests.servers.book import JULY, Book
from tests.servers.bybit import BybitServer
from tests.servers.okx import OkxServer

MS = 1_000_000
MINUTE = 60 * SECOND
START = JULY * MS  # 2025-07-01T00:00Z
NOW = START + 40 * DAY
NAMES = ("binance", "bybit", "okx")


@dataclass
class Place:
    """A source, the server that it asks, and the book of its BTCUSDT."""

    source: Exchange
    server: Any
    book: Book
    now: list[int] = field(default_factory=lambda: [NOW])

    def request(self, kind: str, interval: int, start: int, end: int, symbol: str = "BTCUSDT") -> Request:
        return Request(self.source.name, symbol, kind, interval, START + start, START + end)

    def pages(self, *arguments: Any, **options: Any) -> list[Page]:
        return [self.source.page(part) for part in self.source.plan(self.request(*arguments, **options))]

    def columns(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The rows of all pages after another."""
        pages = self.pages(*arguments, **options)
        return {name: np.concatenate([p.columns[name] for p in pages]) for name in pages[0].columns}

    def data_paths(self) -> list[str]:
        return [p for p in self.server.paths if "nfo" not in p and "instruments" not in p]


def place(name: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Place:
    book = Book(**options)
    makers: dict[str, Any] = {
        "binance": lambda: BinanceServer(BTCUSDT=book, ETHUSDT=Book()),
        "bybit": lambda: BybitServer(BTCUSDT=book, ETHUSDT=Book()),
        "okx": lambda: OkxServer(
            {"BTC-USDT-SWAP": book, "ETH-USDT-SWAP": Book(), "BTC-USD-SWAP": Book(), "BTC-USDT": book}
        ),
    }
    server = makers[name]()
    server.__enter__()
    monkeypatch.setenv(f"BACKTEST_URL_{name.upper()}", server.url)
    now = [NOW]
    return Place(Exchange(name, timeout=1.0, clock=lambda: now[0]), server, book, now)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")


@pytest.fixture(params=NAMES)
def at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = place(request.param, monkeypatch)
    yield found
    found.server.stop()


def venue(name: str) -> Any:
    """A fixture-like parametrisation for tests of one exchange."""
    return pytest.mark.parametrize("at", [name], indirect=True)
