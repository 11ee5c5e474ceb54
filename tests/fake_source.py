"""A source without a network, for the tests of fetching: bars that follow from their time, and faults where told."""

import threading
import time
from collections import Counter

import numpy as np

from backtest.errors import SourceError
from backtest.market.sources.base import COLUMNS, Page, Request

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


class FakeSource:
    """Gives every kind at every interval, `rows` rows a page.

    faults: page start (ns) -> error or a function to call, once each page; asked: the requests of pages, in order; busiest:
    the most pages under way at once; oldest: spans that start before it are too old; revise: added to every close.
    """

    kinds: dict[str, tuple[int, ...]] = dict.fromkeys(COLUMNS, ())
    needs = ""

    def __init__(self, name="fake", concurrency=2, rows=24, work=0.0):
        self.name, self.concurrency, self.rows, self.work = name, concurrency, rows, work
        self.faults, self.asked, self.oldest, self.revise = {}, [], None, 0.0
        self.notes: dict[int, str] = {}
        self.under_way = self.busiest = 0
        self.lock = threading.Lock()

    def plan(self, request):
        if self.oldest is not None and request.start < self.oldest:
            raise SourceError(f"{self.name} has nothing so old for {request.symbol}.", "too_old")
        step = (request.interval or 8 * HOUR) * self.rows
        first = request.start // step * step
        return [
            Request(*self.series(request), max(start, request.start), min(start + step, request.end))
            for start in range(first, request.end, step)
        ]

    def series(self, request):
        return request.source, request.symbol, request.kind, request.interval

    def page(self, request):
        with self.lock:
            self.asked.append(request)
            self.under_way += 1
            self.busiest = max(self.busiest, self.under_way)
        try:
            if self.work:
                time.sleep(self.work)
            self.fail(request)
            return self.answer(request)
        finally:
            with self.lock:
                self.under_way -= 1

    def fail(self, request):
        fault = self.faults.get((request.symbol, request.start)) or self.faults.get(request.symbol)
        if callable(fault):
            fault(request)
        elif fault is not None:
            raise fault

    def answer(self, request):
        step = request.interval or 8 * HOUR
        time = np.arange(-(-request.start // step) * step, request.end, step, dtype=np.int64)
        notes = (self.notes[request.start],) if request.start in self.notes else ()
        return Page({"time": time, **self.columns(request, time)}, request.start, request.end, notes)

    def columns(self, request, time):
        price = 100 + 5 * np.sin(time / (50 * HOUR)) + self.revise
        if request.kind in ("bars", "mark", "premium"):
            found = {"open": price, "high": price + 1, "low": price - 1, "close": price + 0.5}
            return found | ({"volume": np.full(time.size, 7.0)} if request.kind == "bars" else {})
        if request.kind == "funding":
            return {"rate": 0.0001 * np.sin(time / (50 * HOUR))}
        return dict.fromkeys(COLUMNS[request.kind], 1000 + price)

    def pages(self):
        """Return how many pages were asked of each symbol."""
        return Counter(request.symbol for request in self.asked)
