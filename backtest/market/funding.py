"""Funding stamps of all symbols: real, borrowed from another symbol, assumed, or declared not to exist."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import MarketError, did_you_mean
from backtest.market.certify import certify
from backtest.market.clock import interval_text
from backtest.market.declare import Source
from backtest.market.kept import keep
from backtest.market.obtain import Sources
from backtest.market.read import Columns
from backtest.market.validate import RATE_LIMIT, Finding, count, funding_findings, order_findings, sift
from backtest.model.arrays import HOUR, SECOND, Int64, utc_text
from backtest.model.market import Funding, FundingHole, Market
from backtest.model.passport import SPOT, Origin, Passport, Series

__all__ = ["Stamps", "assume_holes", "join", "load_stamps", "note_holes"]

USUAL = 8 * HOUR  # the interval of most perpetuals, for a symbol without any stamp


@dataclass(frozen=True, eq=False)
class Stamps:
    """One symbol's funding: columns rate and mark at the stamps, its passport line; `none` where it has no funding."""

    columns: Columns
    series: Series
    none: bool = False

    @property
    def assumed(self) -> int:
        """How many stamps were made up."""
        return int(self.columns.time.size) if self.series.origin == "assumed" else 0


def load_stamps(
    sources: Sources, declared: Mapping[str, Source], start: int, end: int, spot: Collection[str] = ()
) -> list[Stamps]:
    """Return each symbol's stamps in [start, end], in the market's order; spot: the symbols whose bars are of spot."""
    own = {s: stamps_of(sources, s, d, start, end, s in spot) for s, d in declared.items() if not borrows(d)}
    return [own[s] if s in own else borrowed(s, d.proxy or "", own, declared) for s, d in declared.items()]


def borrows(source: Source) -> bool:
    """Whether the series is another symbol's of the same market."""
    return source.proxy is not None and source.file is None and source.store is None


def stamps_of(sources: Sources, symbol: str, source: Source, start: int, end: int, spot: bool = False) -> Stamps:
    """Return the stamps that a symbol declares for itself."""
    name = f"{symbol}.funding"
    if source.scenario is not None and symbol in sources.column(source.scenario, symbol)[0].funding.none:
        return no_stamps(symbol, "simulated", f"{symbol} has no funding in its scenario.")
    if source.none:
        if source.spot or spot:
            return no_stamps(symbol, "real", f"{symbol} is spot: it has no funding.")
        told = f"{symbol} declares no funding, and none is paid or received; only spot has none, which"
        return no_stamps(symbol, "missing", f'{told} funding = "spot" would say.')
    if source.assume is not None and source.every is not None:
        return assumed_stamps(symbol, source.assume, source.every, start, end)
    try:
        entry = f"{symbol}_funding"
        kept = keep("funding", name, source, 0, entry, sources.market, (start, end))
        read = sources.funding(symbol, source, kept.path if kept else entry)
    except MarketError as error:
        raise MarketError(f"{name}: {error}") from None
    notes = [finding.text for finding in kept.unfetched("funding", start, end, sources.market)] if kept else []
    return checked(symbol, source, replace(read, findings=(*read.findings, *notes)), start, end, bool(notes))


def no_stamps(symbol: str, origin: Origin, note: str) -> Stamps:
    """Return a symbol without funding: "real" for spot, where none is due, "missing" where that is not known."""
    columns = nothing(SPOT if origin == "real" else "none")
    return Stamps(columns, certify(f"{symbol}.funding", origin, columns, (note,)), none=True)


def checked(symbol: str, source: Source, read: Columns, start: int, end: int, partial: bool = False) -> Stamps:
    """Return the stamps inside the span, snapped to the second, once nothing fatal was found in them."""
    label = f"{symbol} funding"
    snapped = (read.time + SECOND // 2) // SECOND * SECOND
    findings = list(order_findings(label, "stamp", snapped))
    inside = read.take((snapped >= start) & (snapped <= end))
    findings += funding_findings(label, inside.time, inside.values["rate"], inside.values["mark"])
    if read.time.size and not inside.time.size:
        covers = f"{utc_text(int(snapped.min()))} to {utc_text(int(snapped.max()))}"
        findings.append(Finding(f"{label} has no stamp in the span; the source covers {covers}.", False))
    if n := int(np.isnan(inside.values["rate"]).sum()):
        at = utc_text(int(inside.time[np.isnan(inside.values["rate"])][0]))
        findings.append(
            Finding(f"{label} has no rate at {count(n, 'stamp')}, the first at {at}; they count as missing.", False)
        )
    notes = read.findings + sift(read.source, findings)
    kept = inside.take(~np.isnan(inside.values["rate"]))
    kept = Columns((kept.time + SECOND // 2) // SECOND * SECOND, kept.values, kept.source)
    origin = source.origin if kept.time.size else "missing"
    if source.proxy is not None:
        kept = replace(kept, values={"rate": kept.values["rate"], "mark": np.full(kept.time.size, np.nan)})
        notes += (f"{label} stands in from {source.proxy}.",)
    return Stamps(kept, certify(f"{symbol}.funding", origin, kept, notes, partial=partial))


def assumed_stamps(symbol: str, rate: float, every: int, start: int, end: int) -> Stamps:
    """Return a made-up rate on the epoch's grid, strictly after the start and up to the end."""
    time = np.arange(start // every * every + every, end + 1, every, dtype=np.int64)
    columns = Columns(
        time,
        {"rate": np.full(time.size, rate), "mark": np.full(time.size, np.nan)},
        f"{rate:g} every {interval_text(every)}",
    )
    note = (
        f"{symbol} funding is an assumption: {columns.source}, {count(time.size, 'stamp')} from {utc_text(start)} on."
    )
    return Stamps(columns, certify(f"{symbol}.funding", "assumed", columns, (note,)))


def borrowed(symbol: str, lender: str, own: Mapping[str, Stamps], symbols: Mapping[str, Source]) -> Stamps:
    """Return another symbol's rates under this symbol's name; its settlement marks are not this symbol's prices."""
    if lender not in own or own[lender].none:
        why = "borrows itself" if lender in symbols else "is not a symbol of the market"
        why = "has no funding" if lender in own else why
        near = "" if lender in symbols else did_you_mean(lender, symbols)
        raise MarketError(
            f"`{symbol}.funding.proxy` names {lender!r}, which {why}; name a symbol with its own funding.{near}"
        )
    lent = own[lender]
    values = {"rate": lent.columns.values["rate"], "mark": np.full(lent.columns.time.size, np.nan)}
    columns = Columns(lent.columns.time, values, f"{lender}.funding")
    origin = "proxy" if lent.series.origin == "real" else lent.series.origin
    note = f"{symbol} funding stands in from {lender}: {count(columns.time.size, 'stamp')}."
    return Stamps(columns, certify(f"{symbol}.funding", origin, columns, (note,)))


def nothing(source: str) -> Columns:
    """Return no stamps."""
    return Columns(np.empty(0, np.int64), {"rate": np.empty(0), "mark": np.empty(0)}, source)


def join(symbols: Sequence[str], stamps: Sequence[Stamps]) -> Funding:
    """Return the stamps of all symbols as events."""
    sizes = [s.columns.time.size for s in stamps]
    return Funding(
        time=np.concatenate([s.columns.time for s in stamps]),
        symbol=np.repeat(np.arange(len(symbols), dtype=np.int32), sizes),
        rate=np.concatenate([s.columns.values["rate"] for s in stamps]),
        mark=np.concatenate([s.columns.values["mark"] for s in stamps]),
        none=frozenset(name for name, s in zip(symbols, stamps, strict=True) if s.none),
        assumed=sum(s.assumed for s in stamps),
    )


def note_holes(market: Market) -> Market:
    """Return the market with every funding hole as a finding of its symbol's passport line."""
    holes = market.funding_holes
    lines = [
        replace(s, gaps=s.gaps + len(mine), findings=s.findings + tuple(f"{hole}." for hole in mine))
        if (mine := [hole for hole in holes if s.name == f"{hole.symbol}.funding"]) else s
        for s in market.passport.series
    ]  # fmt: skip
    return replace(market, passport=Passport(tuple(lines)))


def assume_holes(market: Market, rate: float) -> Market:
    """Return the market with every funding hole filled with stamps at a rate (fraction), flagged as an assumption.

    A hole (a, b) gets stamps at the interval of the neighbouring stamps: a + g, a + 2g, ... < b; the one before the
    first stamp is filled backwards from it; a symbol without any stamp gets the 8h grid of the epoch.
    """
    if not abs(rate) <= RATE_LIMIT:
        raise MarketError(f"An assumed funding rate must be a fraction of at most {RATE_LIMIT} a stamp, got {rate}.")
    made = {
        s: filler(market, [h for h in market.funding_holes if h.symbol == s])
        for s in {h.symbol for h in market.funding_holes}
    }
    old = market.funding
    time = np.concatenate([old.time, *made.values()])
    code = np.concatenate([old.symbol, *(np.full(t.size, market.position(s), np.int32) for s, t in made.items())])
    n = time.size - old.time.size
    rates, marks = np.concatenate([old.rate, np.full(n, rate)]), np.concatenate([old.mark, np.full(n, np.nan)])
    funding = Funding(time, code.astype(np.int32), rates, marks, old.none, old.assumed + n)
    lines = [
        assumed_line(market, funding, s, rate, {f"{k}.funding": t.size for k, t in made.items()})
        for s in market.passport.series
    ]
    return replace(market, funding=funding, passport=Passport(tuple(lines)))


def filler(market: Market, holes: Sequence[FundingHole]) -> Int64:
    """Return the times of the stamps that fill a symbol's holes."""
    code = market.position(holes[0].symbol)
    stamps = market.funding.time[market.funding.symbol == code]
    return np.concatenate([fill_one(stamps, hole.start, hole.end) for hole in holes])


def fill_one(stamps: Int64, a: int, b: int) -> Int64:
    """Return the times that fill one hole (a, b), both ends left out."""
    if stamps.size == 0:
        return np.arange(a // USUAL * USUAL + USUAL, b, USUAL, dtype=np.int64)
    gap = neighbour(stamps, a, b)
    if a < int(stamps[0]):
        return np.arange(b - gap, a, -gap, dtype=np.int64)[::-1]
    return np.arange(a + gap, b, gap, dtype=np.int64)


def neighbour(stamps: Int64, a: int, b: int) -> int:
    """Return the distance of the stamps just before a hole, else just after it; 8h where there is neither."""
    before, after = stamps[stamps <= a], stamps[stamps >= b]
    if before.size > 1:
        return int(before[-1] - before[-2])
    return int(after[1] - after[0]) if after.size > 1 else USUAL


def assumed_line(market: Market, funding: Funding, line: Series, rate: float, made: Mapping[str, int]) -> Series:
    """Return a passport line after the filling: an assumption where stamps were made up, untouched elsewhere."""
    if line.name not in made:
        return line
    mine = funding.symbol == market.position(line.name.removesuffix(".funding"))
    columns = Columns(funding.time[mine], {"rate": funding.rate[mine], "mark": funding.mark[mine]}, line.source)
    note = f"{line.name} misses {count(made[line.name], 'stamp')}, assumed at {rate:g} each."
    return certify(line.name, "assumed", columns, (*line.findings, note), line.gaps)
