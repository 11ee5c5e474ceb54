"""The archive of Binance and the server that it asks, for the tests of its files."""

import numpy as np
import pytest
from servers.binance_archive import (
    DAY,
    HOUR,
    Archive,
    at,
    day_of,
)

from backtest.errors import SourceError
from backtest.market.sources import Request
from backtest.market.sources.binance_archive import BinanceArchive

NOW = at("2026-03-20T10:00")
FUTURES = "/data/futures/um"


@pytest.fixture
def server(monkeypatch):
    with Archive(until="2026-03-19") as server:  # the day before `NOW` is not there yet
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", server.url)
        monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0")
        yield server


def asked(start, end, kind="bars", interval=HOUR, symbol="BTCUSDT"):
    return Request("binance-archive", symbol, kind, 0 if kind == "funding" else interval, at(start), at(end))


def source(now=NOW):
    return BinanceArchive(now=lambda: now)


def fetch(request, now=NOW):
    """Return the pages of a whole plan."""
    archive = source(now)
    return [archive.page(part) for part in archive.plan(request)]


def day(date, kind="bars", **options):
    """Return the one page of a day."""
    (page,) = fetch(asked(date, day_of(at(date) + DAY), kind, **options))
    return page


def refused(request, now=NOW):
    with pytest.raises(SourceError) as caught:
        fetch(request, now)
    return caught.value


def path(name, kind="klines", period="daily", interval="1h", root=FUTURES):
    symbol = name.split("-")[0]
    return f"{root}/{period}/{kind}/{symbol}/{f'{interval}/' if interval else ''}{name}.zip"


def times(page):
    return [str(np.datetime64(int(t), "ns").astype("M8[s]")) for t in page.columns["time"]]
