"""Load a declared market: declaration -> sources -> bars -> panel -> funding, feeds, finer bars -> `Market`."""

import os
from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import MarketError
from backtest.market.align import Panel, align, align_mark, check_common_time
from backtest.market.bars import Loaded, Span, load_bars, load_mark
from backtest.market.certify import certify
from backtest.market.declare import Declaration, Source, SymbolSeries, check_fine, check_span, read_declaration
from backtest.market.declare_series import derives
from backtest.market.feeds import load_feeds
from backtest.market.funding import assume_holes, join, load_stamps, note_holes
from backtest.market.obtain import PRICES, Sources
from backtest.market.proxies import liquidation_feeds, mark_line, open_interest_of
from backtest.market.read import Columns
from backtest.market.validate import CLOSE_ENOUGH, count
from backtest.model.arrays import utc_text
from backtest.model.market import Feed, Market
from backtest.model.passport import Passport

__all__ = ["load_market"]

NONE = SymbolSeries(None, None, None, {})
EMPTY = Columns(np.empty(0, np.int64), {k: np.empty(0) for k in (*PRICES, "volume")}, "")


@dataclass(frozen=True)
class Wanted:
    """A declaration with every blank filled in from its scenario.

    derived: feeds that are made out of the symbol's open interest; marked_at_last: symbols whose last price is their mark.
    """

    declaration: Declaration
    span: Span
    symbols: tuple[str, ...]
    bars: dict[str, Source]
    marks: dict[str, Source]
    funding: dict[str, Source]
    feeds: dict[str, Source]
    derived: tuple[str, ...] = ()
    marked_at_last: tuple[str, ...] = ()


def load_market(
    name_or_path: str | os.PathLike[str], *, seed: int | None = None, assume_funding: float | None = None
) -> Market:
    """Return a declared market with its series validated and aligned, and a passport that says what they are.

    name_or_path: a name of `./data/markets` or of the shipped ones, or a path (ends in .toml or has a slash);
    seed: of simulated series, None for the scenario's own; assume_funding: rate (fraction) of stamps that are missing.
    MarketError, in sentences with symbol, time and count, for a declaration or a series that must not be used.
    """
    declaration = read_declaration(os.fspath(name_or_path))
    sources = Sources(declaration.path.parent, os.fspath(name_or_path), seed)
    market = note_holes(assemble(sources, complete(sources, declaration)))
    return market if assume_funding is None else assume_holes(market, assume_funding)


def complete(sources: Sources, declaration: Declaration) -> Wanted:
    """Return what to load; a top-level scenario gives the span, the symbols and every series that is not declared."""
    d = declaration if declaration.scenario is None else filled_in(sources, declaration, declaration.scenario)
    if d.interval is None or d.start is None or d.end is None:
        raise MarketError(f"{d.path.name}: `interval`, `start` and `end` are needed.")
    rest = None if d.scenario is None else Source(scenario=d.scenario)
    own = {s: d.series.get(s, NONE) for s in d.symbols}
    bars = {s: found for s in d.symbols if (found := own[s].bars or rest)}
    funding = {s: found for s in d.symbols if (found := own[s].funding or rest)}
    marks = {s: mark for s in d.symbols if (mark := own[s].mark)}
    last = tuple(s for s, mark in marks.items() if derives("mark", mark))
    marks = {s: mark for s, mark in marks.items() if s not in last}
    feeds = {f"{s}.{key}": source for s in d.symbols for key, source in own[s].feeds.items()} | dict(d.feeds)
    if d.scenario is not None and rest is not None:
        world = sources.simulation(d.scenario)
        if world.mark is not None:
            marks |= {s: rest for s in d.symbols if own[s].bars is None and s not in marks}
        of = {name: name.rpartition(".")[0] for name in world.feeds}
        feeds = {n: rest for n, s in of.items() if s in d.symbols or s not in world.symbols} | feeds
    derived = {n: source for n, source in feeds.items() if "." in n and derives(n.rpartition(".")[2], source)}
    feeds = {n: source for n, source in feeds.items() if n not in derived}
    return Wanted(d, Span(d.start, d.end, d.interval), d.symbols, bars, marks, funding, feeds, tuple(derived), last)


def filled_in(sources: Sources, d: Declaration, scenario: str) -> Declaration:
    """Return a declaration whose blanks are filled from its scenario, checked again."""
    world = sources.simulation(scenario)
    extra = tuple(s for s in d.series if s not in world.symbols)
    d = replace(
        d,
        interval=world.interval if d.interval is None else d.interval,
        start=world.start_ns if d.start is None else d.start,
        end=int(world.time[-1]) + world.interval if d.end is None else d.end,
        symbols=d.symbols or (*world.symbols, *extra),
    )
    try:
        check_span(d)
        check_fine(d)
    except MarketError as error:
        raise MarketError(f"{d.path.name}: {error}") from None
    return d


def assemble(sources: Sources, wanted: Wanted) -> Market:
    """Return the market of validated, aligned series."""
    d, span = wanted.declaration, wanted.span
    bars = {s: load_bars(sources, s, source, span, d.gaps) for s, source in wanted.bars.items()}
    check_common_time(wanted.symbols, [b.columns for b in bars.values()])
    panel = align([b.columns for b in bars.values()], span.interval, [b.gaps for b in bars.values()])
    check_trade_from(d, int(panel.time[-1]))
    traded = Span(int(panel.time[0]), int(panel.time[-1]) + span.interval, span.interval)
    marks = {s: load_mark(sources, s, source, traded) for s, source in wanted.marks.items()}
    spot = [s for s, source in wanted.bars.items() if is_spot(s, source)]
    stamps = load_stamps(sources, wanted.funding, traded.start, traded.end, spot)
    feeds = load_feeds(sources, wanted.feeds, traded)
    lines = [*(b.series for b in bars.values()), *(m.series for m in marks.values()), *(s.series for s in stamps)]
    lines += [mark_line(s, bars[s].series) for s in wanted.marked_at_last]
    lines.sort(key=lambda line: wanted.symbols.index(line.name.rpartition(".")[0]))
    market = Market(
        time=panel.time,
        interval=span.interval,
        symbols=wanted.symbols,
        open=panel.values["open"],
        high=panel.values["high"],
        low=panel.values["low"],
        close=panel.values["close"],
        volume=panel.values["volume"],
        funding=join(wanted.symbols, stamps),
        passport=Passport((*lines, *(f.series for f in feeds.values()))),
        mark=align_mark([marks[s].columns if s in marks else None for s in wanted.symbols], panel.time),
        feeds={name: f.feed for name, f in feeds.items() if f.feed is not None},
        trade_from=d.trade_from,
        name=d.name,
    )
    return with_fine(sources, wanted, with_derived(market, wanted.derived))


def is_spot(symbol: str, bars: Source) -> bool:
    """Whether a symbol's bars are of spot by where they come from: an exchange's "spot/..." or Yahoo, which has no perpetuals."""
    return bars.store is not None and (bars.store == "yahoo" or (bars.symbol or symbol).startswith("spot/"))


def with_derived(market: Market, names: tuple[str, ...]) -> Market:
    """Return the market with the feeds that stand in for liquidations, made out of its open interest and volume."""
    feeds, lines = dict(market.feeds), list(market.passport.series)
    of = {line.name: line for line in lines}
    for symbol in dict.fromkeys(name.rpartition(".")[0] for name in names):
        lender = f"{symbol}.open_interest"
        found = open_interest_of(symbol, feeds) or Feed(lender, np.empty(0, np.int64), np.empty(0), "usd")
        made = liquidation_feeds(symbol, market[symbol], found, (of[f"{symbol}.bars"], of[found.name]))
        feeds |= {name: feed for name, (feed, _) in made.items() if name in names and feed is not None}
        lines += [line for name, (_, line) in made.items() if name in names]
    return replace(market, feeds=feeds, passport=Passport(tuple(lines)))


def check_trade_from(d: Declaration, last: int) -> None:
    """Refuse data that end before anything may be traded."""
    if d.trade_from is not None and d.trade_from > last:
        when = f"{utc_text(d.trade_from)}, after the last bar at {utc_text(last)}"
        raise MarketError(f"{d.path.name}: `trade_from` is {when}; nothing could be traded.")


def with_fine(sources: Sources, wanted: Wanted, market: Market) -> Market:
    """Return the market with its finer bars, where it declares them or its scenario has them.

    The finer market has the same symbols in the same order, NaN for those without finer bars, and the same funding.
    """
    loaded, interval = finer_bars(sources, wanted, market)
    if not loaded:
        return market
    columns = [loaded[s].columns if s in loaded else EMPTY for s in market.symbols]
    panel = align(columns, interval, [loaded[s].gaps if s in loaded else "halt" for s in market.symbols])
    notes = disagreements(market, panel)
    lines = tuple(replace(x.series, findings=x.series.findings + notes.get(s, ())) for s, x in loaded.items())
    fine = Market(
        time=panel.time,
        interval=interval,
        symbols=market.symbols,
        open=panel.values["open"],
        high=panel.values["high"],
        low=panel.values["low"],
        close=panel.values["close"],
        volume=panel.values["volume"],
        funding=market.funding,
        passport=Passport(lines),
        trade_from=market.trade_from,
        name=market.name,
    )
    return replace(market, fine=fine, passport=Passport((*market.passport.series, *lines)))


def finer_bars(sources: Sources, wanted: Wanted, market: Market) -> tuple[dict[str, Loaded], int]:
    """Return the finer bars by symbol and their interval; nothing where there are none."""
    d, start, end = wanted.declaration, int(market.time[0]), int(market.time[-1]) + market.interval
    if d.fine and d.fine_interval is not None:
        span = Span(start, end, d.fine_interval)
        return {
            s: load_bars(sources, s, source, span, d.fine_gaps, "fine") for s, source in d.fine.items()
        }, span.interval
    fine = None if d.scenario is None else sources.simulation(d.scenario).fine
    if fine is None:
        return {}, 0
    return {s: cut(fine, s, start, end) for s in market.symbols if s in fine.symbols}, fine.interval


def cut(fine: Market, symbol: str, start: int, end: int) -> Loaded:
    """Return a simulated symbol's finer bars in the span."""
    bars = fine[symbol]
    values = {k: getattr(bars, k) for k in (*PRICES, "volume")}
    inside = (bars.time >= start) & (bars.time < end) & np.isfinite(bars.close)
    columns = Columns(bars.time, values, "scenario").take(inside)
    return Loaded(columns, certify(f"{symbol}.fine", "simulated", columns, (), 0, fine.interval), "halt")


def disagreements(market: Market, fine: Panel) -> dict[str, tuple[str, ...]]:
    """Return, by symbol, a sentence on the bars whose finer bars leave their range, as from another source."""
    rows = np.searchsorted(market.time, fine.time, side="right") - 1
    notes: dict[str, tuple[str, ...]] = {}
    for j, symbol in enumerate(market.symbols):
        high, low = market.high[rows, j] * (1 + CLOSE_ENOUGH), market.low[rows, j] * (1 - CLOSE_ENOUGH)
        outside = np.unique(rows[(fine.values["high"][:, j] > high) | (fine.values["low"][:, j] < low)])
        if outside.size:
            at = f"the first at {utc_text(int(market.time[outside[0]]))}; are they of another source?"
            notes[symbol] = (f"{symbol} has {count(outside.size, 'bar')} whose finer bars leave its range, {at}",)
    return notes
