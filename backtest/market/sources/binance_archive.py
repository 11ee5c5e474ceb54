"""Binance's public archive of files: bars, mark, premium, funding, and five-minute metrics; no key, no country barred.

Whole months come from monthly files, the rest from daily ones, each checked against its published SHA-256. A file that is
not there is one of four things: a symbol that does not exist (an error), a month whose monthly file is late (its days are
taken), a day that is not published yet (asked again next time), or a hole (covered, with a note).
"""

import hashlib
import io
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backtest.errors import SourceError
from backtest.market.sources.base import COLUMNS, Page, Request
from backtest.market.sources.binance_files import FIVE, MEASURED, reader_of, sampled
from backtest.market.sources.binance_layout import GIVEN, Folder, days, folder_of
from backtest.market.sources.clocks import time_of
from backtest.market.sources.dates import day_text, day_time, month_start, month_text, next_month
from backtest.market.sources.faults import check_request, fault
from backtest.market.sources.guard import guarded
from backtest.market.sources.http import Answer, UnreadableError, address, ask, looks_like_html
from backtest.market.sources.limits import backoff, pause
from backtest.market.sources.rows import Rows, tidy
from backtest.model.arrays import DAY

__all__ = ["BinanceArchive"]

NAME = "binance-archive"
HOME = "https://data.binance.vision"
LISTING = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"  # the bucket below, which lists its files
LATE_DAY = 3 * DAY  # a day's file comes on the next day, or one or two later
LATE_MONTH = 15 * DAY  # a month's comes in the first days of the next
LARGEST = 1 << 27  # bytes of a CSV; a month of 1-minute bars has 5 million
PIECE = 1 << 20  # bytes of it that are unpacked at a time
OTHERS = "another source"
WAYS_ON = 'Use source coinalyze (recent ones), a file of your own, or declare a proxy: { proxy = "open_interest" }.'


@dataclass(frozen=True)
class BinanceArchive:
    """The source `binance-archive`. Symbols: BTCUSDT for the perpetual, spot/BTCUSDT for spot.

    now: ns UTC; listed: what is known of which folders exist, so that it is asked once.
    """

    now: Callable[[], int] = time.time_ns
    listed: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)
    name: str = NAME
    kinds: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: GIVEN)
    needs: str = ""
    concurrency: int = 8

    def plan(self, request: Request) -> list[Request]:
        """Return one request a file: whole months, and days at the edges; SourceError for what no file can hold."""
        check_request(self, request)
        folder, now = folder_of(request), self.now()
        refuse_what_ended(request, folder)
        if request.end <= folder.first:
            since, asked = day_text(folder.first), day_text(request.start)
            why = f"{request.kind} of {request.symbol} begin {since}; the span starts {asked}"
            raise fault(NAME, "too_old", why, instead=f"a later start, or {OTHERS}")
        pages, at = [], request.start
        while at < request.end:
            end = folder.first if at < folder.first else folder.end_of_file(at, request.end, now)
            pages.append(replace(request, start=at, end=min(end, request.end)))
            at = end
        return pages

    @guarded
    def page(self, request: Request) -> Page:
        """Return the rows of one file of a plan, from [start, end) alone; of several days where a month has no file."""
        folder = folder_of(request)
        if request.end <= folder.first:
            return hole(request, f"has no files before {day_text(folder.first)}")
        if request.start >= folder.published(self.now()):
            return self.not_yet(request)
        whole = request.start == month_start(request.start) and request.end == next_month(request.start)
        if folder.monthly and (whole or not folder.daily):
            return self.month(request, folder)
        return joined(request, [self.day(day, folder) for day in days(request)])

    def month(self, request: Request, folder: Folder) -> Page:
        """Return the rows of a monthly file, or of daily ones where it is missing."""
        rows = self.rows(request, folder, month_text(request.start))
        if rows is not None:
            return page_of(request, rows)
        late = self.now() - next_month(request.start)
        if not folder.daily:
            return self.not_yet(request) if late < LATE_MONTH else self.missing(request, folder)
        there = self.days_listed(request, folder)
        if there is None and late >= 3 * LATE_MONTH:
            return self.missing(request, folder)
        asked = [day for day in days(request) if there is None or day_text(day.start) in there or self.fresh(day)]
        if not asked:
            return self.missing(request, folder)
        found = joined(request, [self.day(day, folder) for day in asked])
        lost = len(days(request)) - len(asked)
        said = f"The monthly file of {request.symbol} for {month_text(request.start)} is missing: its daily files were taken"
        return replace(found, notes=(f"{said}{f', of which {lost} are missing, too' if lost else ''}.", *found.notes))

    def day(self, request: Request, folder: Folder) -> Page:
        """Return the rows of a daily file; a hole where it is missing, nothing where it is not published yet."""
        rows = self.rows(request, folder, day_text(request.start))
        if rows is None:
            return self.not_yet(request) if self.fresh(request) else self.missing(request, folder)
        if request.kind in MEASURED:
            rows = sampled(self.closed(request, folder, rows), request.interval)
        return page_of(request, rows)

    def closed(self, request: Request, folder: Folder, rows: Rows) -> Rows:
        """Return a day's metrics with its last five minutes, which some files leave to the first row of the next day's."""
        midnight = request.start // DAY * DAY + DAY
        times = rows.columns["time"]
        if request.end < midnight or midnight - FIVE in times or midnight >= folder.published(self.now()):
            return rows
        after = self.rows(replace(request, start=midnight, end=midnight + DAY), folder, day_text(midnight), own=False)
        if after is None:
            return rows
        mine = after.columns["time"] < midnight
        columns = {k: np.concatenate([v, after.columns[k][mine]]) for k, v in rows.columns.items()}
        return Rows(tidy(columns).columns, rows.notes)

    def rows(self, request: Request, folder: Folder, date: str, own: bool = True) -> Rows | None:
        """Return the rows of a file, None where it is not there; `own`: it must have rows of its own period.

        A file that does not match its SHA-256, or is no zip file of one CSV as documented, is asked for once more.
        """
        path, read = folder.path(request, date), reader_of(request, date)
        error = SourceError("")
        for tries in range(2):
            if tries:
                pause(backoff(tries))
            body = ask(f"{address(NAME, HOME)}/{path}", source=NAME, read=zip_of, accept=(404,), symbol=request.symbol)
            if body is None:
                return None
            self.listed[folder.place(request, "monthly" if len(date) == 7 else "daily")] = True
            digest = ask(f"{address(NAME, HOME)}/{path}.CHECKSUM", source=NAME, read=digest_of, accept=(404,))
            name = path.rsplit("/", 1)[1]
            found = unpacked(body, digest, name, read)
            if isinstance(found, Rows):
                if own:
                    check_period(found, request, date, name)
                return found
            error = found
        raise error

    def missing(self, request: Request, folder: Folder) -> Page:
        """Return a hole; SourceError where the symbol has no file at all.

        Where that can't be found out, for a mirror without a list of its files, the span stays to be asked for again.
        """
        period = "daily" if folder.daily else "monthly"
        where = folder.place(request, period).removesuffix("/")
        listed = self.is_listed(f"{where}/")
        if listed is False:
            hint = "Symbols look like BTCUSDT, or spot/BTCUSDT."
            raise fault(NAME, "unknown_symbol", f"there is no {where}", symbol=request.symbol, hint=hint)
        whole = request.start == month_start(request.start) and request.end == next_month(request.start)
        span = month_text(request.start) if whole else day_text(request.start)
        if listed is None:
            said = f"{where} has no file of {span}, and whether it has any can't be found out; it is asked for again next time."
            return Page(no_rows(request), request.start, request.start, (said,))
        return hole(request, f"has no file of {span}")

    def not_yet(self, request: Request) -> Page:
        """Return a page that covers nothing, so that its span is asked for again next time."""
        comes = (
            "the file of a day comes on the next" if folder_of(request).daily else "a month's file comes after its end"
        )
        said = f"{request.symbol} {request.kind} from {day_text(request.start)} on is not published yet: {comes}."
        other = " Source binance has it already." if request.kind in ("bars", "mark", "funding") else ""
        return Page(no_rows(request), request.start, request.start, (said + other,))

    def fresh(self, day: Request) -> bool:
        """Whether a day ended so lately that its file may still come."""
        return time_of(NAME, self.now()) - (day.start // DAY * DAY + DAY) < LATE_DAY

    def is_listed(self, place: str) -> bool | None:
        """Whether a folder has any file; None where that can't be found out, and neither days nor months were ever seen."""
        if place not in self.listed:
            found = self.listing(place, 1)
            if found is None:
                other = (
                    place.replace("/daily/", "/monthly/")
                    if "/daily/" in place
                    else place.replace("/monthly/", "/daily/")
                )
                return self.listed.get(place) or self.listed.get(other)  # one may have come meanwhile
            self.listed[place] = bool(found)
        return self.listed[place]

    def days_listed(self, request: Request, folder: Folder) -> set[str] | None:
        """Return the days of a month that have a file; None where that can't be found out."""
        found = self.listing(folder.path(request, day_text(request.start)).removesuffix("-01.zip"))
        return None if found is None else {m[1] for key in found if (m := re.search(r"-(\d{4}-\d\d-\d\d)\.zip$", key))}

    def listing(self, prefix: str, most: int = 1000) -> list[str] | None:
        """Return the paths of files that begin with a prefix; None where the list can't be had."""
        base = address(NAME, "")
        try:
            return ask(
                f"{base or LISTING}/", source=NAME, read=keys_of, params={"prefix": prefix, "max-keys": most}, retries=1
            )
        except SourceError:
            return None


def refuse_what_ended(request: Request, folder: Folder) -> None:
    """Refuse a span beyond the last file of a kind that is no longer published."""
    if folder.ended and request.end > folder.ended:
        last, asked = day_text(folder.ended - 1), day_text(request.end - 1)
        raise SourceError(
            f"Binance's archive ends its {request.kind} on {last}; the span ends {asked}. {WAYS_ON}", "refused"
        )


def zip_of(answer: Answer) -> bytes | None:
    """Return the bytes of a zip file, None for one that is not there."""
    if answer.status == 404:
        return None
    if looks_like_html(answer.body):
        raise UnreadableError("HTML in place of a zip file")
    if not answer.body.startswith(b"PK"):
        raise UnreadableError(f"{len(answer.body):,} bytes that are no zip file")
    return answer.body


def digest_of(answer: Answer) -> str | None:
    """Return the SHA-256 in a .CHECKSUM file, None where there is none."""
    if answer.status == 404:
        return None
    found = re.match(rb"\s*([0-9a-fA-F]{64})\b", answer.body)
    if found is None:
        raise UnreadableError(
            "HTML in place of a checksum" if looks_like_html(answer.body) else "a checksum that is none"
        )
    return found[1].decode().lower()


def keys_of(answer: Answer) -> list[str]:
    """Return the paths in a listing of the bucket."""
    if b"<ListBucketResult" not in answer.body:
        raise UnreadableError("no listing")
    return [key.decode() for key in re.findall(rb"<Key>([^<]+)</Key>", answer.body)]


def unpacked(body: bytes, digest: str | None, name: str, read: Callable[[bytes], Rows]) -> Rows | SourceError:
    """Return the rows of a zip file, or what is wrong with it."""
    got = hashlib.sha256(body).hexdigest()
    if digest is not None and got != digest:
        return fault(NAME, "checksum", f"{name} has {got[:12]}..., published is {digest[:12]}..., 2 tries")
    try:
        rows = read(csv_of(body))
    except UnreadableError as error:
        return fault(NAME, "malformed", f"{name}: {error}")
    if digest is not None:
        return rows
    return Rows(rows.columns, (*rows.notes, f"{name} has no published SHA-256; it was not checked against one."))


def csv_of(body: bytes) -> bytes:
    """Return the one CSV in a zip file."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            inside = [info for info in archive.infolist() if info.filename.lower().endswith(".csv")]
            if len(inside) != 1 or inside[0].file_size > LARGEST:
                most = f"one of at most {LARGEST >> 20} MiB"
                raise UnreadableError(f"a zip file of {len(inside)} CSV files, where there is {most}")
            text = bytearray()
            with archive.open(inside[0]) as file:  # piece by piece: what it says of its size may be wrong
                while piece := file.read(PIECE):
                    text += piece
                    if len(text) > LARGEST:
                        raise UnreadableError(f"a CSV of more than {LARGEST >> 20} MiB")
            return bytes(text)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        raise UnreadableError("a broken zip file") from None


def check_period(rows: Rows, request: Request, date: str, name: str) -> None:
    """Refuse a file without rows, and one with rows of another time alone."""
    times = rows.columns["time"]
    if not times.size:
        raise fault(NAME, "empty", name, symbol=request.symbol)
    start = day_time(f"{date}-01" if len(date) == 7 else date)
    end = next_month(start) if len(date) == 7 else start + DAY
    early = FIVE if request.kind in MEASURED else 0  # a first row may bear the end of the day before's last minutes
    if not ((times >= start - early) & (times < end)).any():
        raise fault(NAME, "malformed", f"{name} has rows of {day_text(int(times[0]))}, none of its own time")


def page_of(request: Request, rows: Rows) -> Page:
    """Return the rows of a request's span as its page."""
    times = rows.columns["time"]
    mine = (times >= request.start) & (times < request.end)
    return Page({k: v[mine] for k, v in rows.columns.items()}, request.start, request.end, rows.notes)


def no_rows(request: Request) -> dict[str, np.ndarray]:
    """Return the columns of a kind without a row."""
    columns = {"time": np.zeros(0, dtype=np.int64), **{name: np.zeros(0) for name in COLUMNS[request.kind]}}
    return columns | ({"known_at": np.zeros(0, dtype=np.int64)} if request.kind in MEASURED else {})


def hole(request: Request, why: str) -> Page:
    """Return a page that covers its span without a row."""
    return Page(
        no_rows(request), request.start, request.end, (f"{request.symbol} {request.kind}: Binance's archive {why}.",)
    )


def joined(request: Request, pages: Sequence[Page]) -> Page:
    """Return days as one page, up to the first that covers nothing."""
    if len(pages) == 1:
        return pages[0]
    cut = next((i for i, page in enumerate(pages) if page.end == page.start), len(pages))
    end = request.end if cut == len(pages) else pages[cut].start
    filled = [page.columns for page in pages[:cut] if page.columns["time"].size]
    names = filled[0] if filled else no_rows(request)
    columns = {name: np.concatenate([c[name] for c in filled]) for name in names} if filled else no_rows(request)
    return Page(columns, request.start, end, tuple(note for page in pages[: cut + 1] for note in page.notes))
