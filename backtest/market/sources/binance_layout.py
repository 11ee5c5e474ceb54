"""What lies where in Binance's archive: the folder of each kind, the name of each file, and from when to when."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from backtest.errors import SourceError
from backtest.market.sources.base import Request
from backtest.market.sources.dates import day_time, month_start, next_month
from backtest.market.sources.faults import fault
from backtest.model.arrays import DAY, HOUR, SECOND

__all__ = ["GIVEN", "Folder", "days", "folder_of"]

MINUTE = 60 * SECOND
BARS = tuple(n * MINUTE for n in (1, 3, 5, 15, 30)) + tuple(n * HOUR for n in (1, 2, 4, 6, 8, 12)) + (DAY,)
SAMPLED = tuple(i for i in BARS if i >= 5 * MINUTE)  # of the five-minute metrics: the last value in each bar
GIVEN: dict[str, tuple[int, ...]] = {
    "bars": BARS,
    "mark": BARS,
    "premium": BARS,
    "funding": (),
    "open_interest": SAMPLED,
    "long_short_ratio": SAMPLED,
    "taker_ratio": (5 * MINUTE,),  # a ratio of sums: that of an hour does not follow from those of its minutes
    "liquidations": BARS,
}
NAMES = {
    MINUTE * n: f"{n}m" for n in (1, 3, 5, 15, 30)
} | {HOUR * n: f"{n}h" for n in (1, 2, 4, 6, 8, 12)} | {DAY: "1d"}  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """One kind of file: `root/daily|monthly/name/SYMBOL/[INTERVAL/]SYMBOL-INTERVAL|name-DATE.zip`.

    first: no file of any symbol is older (ns UTC); ended: no file is of that time or later, 0 while they go on;
    by_interval: one file an interval.
    """

    root: str
    name: str
    first: int
    ended: int = 0
    daily: bool = True
    monthly: bool = False
    by_interval: bool = False

    def place(self, request: Request, period: str) -> str:
        """Return the folder of a symbol's files; period: "daily" or "monthly"."""
        interval = f"{NAMES[request.interval]}/" if self.by_interval else ""
        return f"data/{self.root}/{period}/{self.name}/{bare(request.symbol)}/{interval}"

    def path(self, request: Request, date: str) -> str:
        """Return the path of the file of a day ("2024-03-01") or a month ("2024-03")."""
        middle = NAMES[request.interval] if self.by_interval else self.name
        period = "monthly" if len(date) == 7 else "daily"
        return f"{self.place(request, period)}{bare(request.symbol)}-{middle}-{date}.zip"

    def published(self, now: int) -> int:
        """Return the time from which on no file can be there yet: today, or this month where days have none."""
        return now // DAY * DAY if self.daily else month_start(now)

    def end_of_file(self, start: int, end: int, now: int) -> int:
        """Return where the file ends that serves `start`: whole months from monthly files, the rest from daily ones."""
        if start >= self.published(now):
            return end
        after = next_month(start)
        whole = start == month_start(start) and end >= after and after <= self.published(now)
        return after if self.monthly and (whole or not self.daily) else start // DAY * DAY + DAY


def folders() -> Iterator[tuple[tuple[str, str], Folder]]:
    """Yield (market, kind) and its folder."""
    um, listed, counted = "futures/um", day_time("2019-09-01"), day_time("2020-09-01")
    for kind, name in (("bars", "klines"), ("mark", "markPriceKlines"), ("premium", "premiumIndexKlines")):
        yield ("um", kind), Folder(um, name, listed, monthly=True, by_interval=True)
    yield ("um", "funding"), Folder(um, "fundingRate", listed, daily=False, monthly=True)
    for kind in ("open_interest", "long_short_ratio", "taker_ratio"):
        yield ("um", kind), Folder(um, "metrics", counted)
    yield ("um", "liquidations"), Folder(um, "liquidationSnapshot", listed, ended=day_time("2024-04-01"))
    yield ("spot", "bars"), Folder("spot", "klines", day_time("2017-08-01"), monthly=True, by_interval=True)


def folder_of(request: Request) -> Folder:
    """Return the folder of what is asked; SourceError for a symbol that can't be one, and for a kind that spot lacks."""
    if not re.fullmatch(r"(spot/)?\w+", request.symbol) or request.symbol != request.symbol.upper().replace(
        "SPOT/", "spot/"
    ):
        like = re.sub(r"_PERP|[:.].*|[^A-Z0-9]", "", request.symbol.upper().removeprefix("SPOT/"))
        hint = f"Symbols look like BTCUSDT, or spot/BTCUSDT.{f' Did you mean {like!r}?' if like else ''}"
        raise fault("binance-archive", "unknown_symbol", symbol=request.symbol, hint=hint)
    market = "spot" if request.symbol.startswith("spot/") else "um"
    if (market, request.kind) not in FOLDERS:
        raise SourceError(
            f"Binance's archive has no {request.kind} of {request.symbol}: spot has bars alone. "
            f"Use the perpetual, {bare(request.symbol)}."
        )
    return FOLDERS[market, request.kind]


def bare(symbol: str) -> str:
    """Return a symbol as the files have it."""
    return symbol.removeprefix("spot/")


def days(request: Request) -> list[Request]:
    """Return a request cut at midnights."""
    edges = [request.start, *range(request.start // DAY * DAY + DAY, request.end, DAY), request.end]
    return [replace(request, start=a, end=b) for a, b in pairwise(edges)]


FOLDERS = dict(folders())
