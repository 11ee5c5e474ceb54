"""Binance's archive on loopback: made-up files in the layout, the CSV forms and with the oddities of the real one."""

import hashlib
import io
import math
import re
import zipfile
from functools import lru_cache

import numpy as np

from servers.base import Asked, Reply, Server

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
NAMES = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY}
BASES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, "SOLUSDT": 150.0, "XRPUSDT": 0.5, "BNBUSDT": 500.0}
KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
SNAPSHOT_HEADER = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)
PATH = re.compile(
    r"/data/(?P<root>futures/um|spot)/(?P<period>daily|monthly)/(?P<kind>\w+)/(?P<symbol>\w+)/(?:(?P<interval>\d+[mhd])/)?"
    r"(?P=symbol)-[\w]+-(?P<date>\d{4}-\d\d(?:-\d\d)?)\.zip(?P<sum>\.CHECKSUM)?"
)
MONTHLY_ONLY, DAILY_ONLY = {"fundingRate"}, {"metrics", "liquidationSnapshot"}
SWITCH = "2026-06-25"  # metrics of this day and later bear the start of their five minutes


def at(text: str) -> int:
    """Return the ns UTC of an ISO text."""
    return int(np.datetime64(text, "ns").astype(np.int64))


def day_of(time: int) -> str:
    return str(np.datetime64(time, "ns").astype("M8[D]"))


def zipped(name: str, text: str) -> bytes:
    """Return a zip file of one CSV, the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def price(symbol: str, time: int) -> float:
    """Return a made-up price: waves of ten days and of thirty hours around a base."""
    base = BASES.get(symbol, 100.0)
    waves = 0.05 * math.sin(time / (10 * DAY) * 2 * math.pi) + 0.01 * math.sin(time / (30 * HOUR) * 2 * math.pi)
    return round(base * (1 + waves), 4)


class Archive(Server):
    """The archive; symbols: those that exist, from `since` to `until` (days "2026-03-01", the latter exclusive).

    files: path -> CSV text in place of the made-up one, or None for a file that is missing; sums: path -> the text of
    its CHECKSUM, None for none; lists: whether the bucket's listing answers.
    """

    def __init__(self, *symbols: str, since: str = "2020-01-01", until: str = "2026-08-01") -> None:
        super().__init__()
        self.symbols = symbols or tuple(BASES)
        self.since, self.until = since, until
        self.files: dict[str, str | bytes | None] = {}
        self.sums: dict[str, str | None] = {}
        self.lists = True

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/":
            return self.listing(asked.query.get("prefix", ""), int(asked.query.get("max-keys", "1000")))
        path = asked.path.removesuffix(".CHECKSUM")
        body = self.file(path)
        if body is None:
            return Reply(404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>")
        if path == asked.path:
            return Reply(200, body, {"Content-Type": "application/zip"})
        usual = f"{hashlib.sha256(body).hexdigest()}  {path.rsplit('/', 1)[1]}\n"
        text = self.sums.get(path, usual)
        return Reply(404) if text is None else Reply(200, text.encode())

    def file(self, path: str) -> bytes | None:
        """Return the zip file at a path."""
        name = path.rsplit("/", 1)[1].replace(".zip", ".csv")
        if path in self.files:
            text = self.files[path]
            return text if text is None or isinstance(text, bytes) else zipped(name, text)
        found = PATH.fullmatch(path)
        if found is None or found["symbol"] not in self.symbols or not self.has(found):
            return None
        return made(path, name, found["root"], found["kind"], found["symbol"], found["interval"] or "", found["date"])

    def has(self, found: re.Match[str]) -> bool:
        """Whether there is a file of that kind and date."""
        date, kind, monthly = found["date"], found["kind"], found["period"] == "monthly"
        if (kind in MONTHLY_ONLY and not monthly) or (kind in DAILY_ONLY and monthly) or monthly != (len(date) == 7):
            return False
        if kind == "liquidationSnapshot" and date > "2024-03-31":
            return False
        if monthly:
            return date >= self.since[:7] and date < self.until[:7]
        return self.since <= date < self.until

    def listing(self, prefix: str, most: int) -> Reply:
        """Return a page of the bucket's list of files."""
        if not self.lists:
            return Reply(403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>")
        keys = [key for key in self.keys(prefix) if key.startswith(prefix)][:most]
        inside = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        text = f"<?xml version='1.0'?><ListBucketResult><Prefix>{prefix}</Prefix>{inside}</ListBucketResult>"
        return Reply(200, text.encode(), {"Content-Type": "application/xml"})

    def keys(self, prefix: str) -> list[str]:
        """Return the paths of the files of the folder that a prefix names."""
        found = re.match(r"data/(futures/um|spot)/(daily|monthly)/(\w+)/(\w+)/(\d+[mhd])?", prefix)
        if found is None or found[4] not in self.symbols:
            return []
        folder = prefix[: prefix.rindex("/") + 1]
        span = (self.since[:7], self.until[:7], "M") if found[2] == "monthly" else (self.since, self.until, "D")
        dates = np.arange(np.datetime64(span[0], span[2]), np.datetime64(span[1], span[2]))
        paths = [f"{folder}{found[4]}-{found[5] or found[3]}-{date}.zip" for date in dates]
        gone = {path for path, text in self.files.items() if text is None}
        there = [p for p in paths if f"/{p}" not in gone and (m := PATH.fullmatch(f"/{p}")) and self.has(m)]
        return [key for path in there for key in (path, f"{path}.CHECKSUM")]


@lru_cache(maxsize=4096)
def made(path: str, name: str, root: str, kind: str, symbol: str, interval: str, date: str) -> bytes:
    """Return a made-up file."""
    start = at(date)
    end = at(str(np.datetime64(date, "M") + 1)) if len(date) == 7 else start + DAY
    if kind == "fundingRate":
        return zipped(name, funding(symbol, start, end))
    if kind == "metrics":
        return zipped(name, metrics(symbol, date))
    if kind == "liquidationSnapshot":
        return zipped(name, snapshot(symbol, date))
    return zipped(
        name, klines(symbol, NAMES[interval], start, end, spot=root == "spot", premium=kind.startswith("premium"))
    )


def klines(symbol: str, interval: int, start: int, end: int, *, spot: bool = False, premium: bool = False) -> str:
    """Return klines: futures with a header from 2022 on, spot without; spot in microseconds from 2025 on."""
    unit = 1000 if spot and start >= at("2025-01-01") else 10**6
    lines = [] if spot or start < at("2022-01-01") else [KLINE_HEADER]
    for t in range(start, end, interval):
        a, b = price(symbol, t), price(symbol, t + interval)
        if premium:
            a, b = round(a / 1e9, 8), round(b / 1e9, 8)
        high, low = max(a, b) * 1.001, min(a, b) * 0.999
        close_time = (t + interval) // unit - 1
        lines.append(f"{t // unit},{a},{high:.8f},{low:.8f},{b},{10 + t // HOUR % 7},{close_time},0,5,4,0,0")
    return "\n".join(lines) + "\n"


def funding(symbol: str, start: int, end: int) -> str:
    """Return funding each eight hours, some stamps with milliseconds of jitter."""
    lines = [FUNDING_HEADER]
    for i, t in enumerate(range(start, end, 8 * HOUR)):
        lines.append(f"{t // 10**6 + (0, 5, 11)[i % 3]},8,{0.0001 + i % 5 * 0.00001:.8f}")
    return "\n".join(lines) + "\n"


def metrics(symbol: str, date: str) -> str:
    """Return a day's metrics, by the end of their five minutes, and by the start of them since the switch."""
    lines = [METRICS_HEADER]
    for i in range(288):
        open_ = at(date) + i * 5 * MINUTE
        stamp = open_ if date >= SWITCH else open_ + 5 * MINUTE
        text = str(np.datetime64(stamp, "ns").astype("M8[s]")).replace("T", " ")
        coins = 100_000 + 1_000 * math.sin(open_ / (3 * DAY))
        lines.append(f"{text},{symbol},{coins:.3f},{coins * price(symbol, open_):.4f},1.5,1.4,{1 + i / 1000:.4f},0.9")
    return "\n".join(lines) + "\n"


def snapshot(symbol: str, date: str) -> str:
    """Return a day's liquidations: a long each hour at half past, a short each six hours."""
    lines = [SNAPSHOT_HEADER]
    for i in range(24):
        t = at(date) + i * HOUR + 30 * MINUTE
        p = price(symbol, t)
        lines.append(f"{t // 10**6},SELL,LIMIT,IOC,0.5,{p},{p},FILLED,0.5,0.5")
        if i % 6 == 0:
            lines.append(f"{t // 10**6 + 1000},BUY,LIMIT,IOC,0.25,{p},{p},FILLED,0.25,0.25")
    return "\n".join(lines) + "\n"
