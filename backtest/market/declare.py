"""The declaration of a market: a TOML file checked key by key, before any series is read."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtest.errors import MarketError, did_you_mean
from backtest.market.clock import grid_offset, interval_text
from backtest.market.declare_series import DERIVED, FUNDING_CHOICES, Role, Source, derives, source_of
from backtest.market.declare_values import Gaps, moment, policy, span, table_of, text
from backtest.model.passport import Origin
from backtest.places import shipped

__all__ = [
    "Declaration",
    "Description",
    "Gaps",
    "Source",
    "SymbolSeries",
    "describe_market",
    "market_names",
    "read_declaration",
]

TOP = ("name", "description", "interval", "start", "end", "trade_from", "gaps", "symbols", "scenario", "feeds", "fine")


@dataclass(frozen=True)
class SymbolSeries:
    """The series that a symbol declares; None where a top-level scenario has to give them."""

    bars: Source | None
    mark: Source | None
    funding: Source | None
    feeds: Mapping[str, Source]


@dataclass(frozen=True)
class Declaration:
    """A market file, checked. Times and intervals in ns UTC; None where a top-level scenario has to say them.

    symbols: in the market's order, empty for all of the scenario; fine: finer bars by symbol.
    """

    path: Path
    name: str
    description: str
    interval: int | None
    start: int | None
    end: int | None
    trade_from: int | None
    gaps: Gaps
    scenario: str | None
    symbols: tuple[str, ...]
    series: Mapping[str, SymbolSeries]
    feeds: Mapping[str, Source]
    fine: Mapping[str, Source]
    fine_interval: int | None
    fine_gaps: Gaps


@dataclass(frozen=True)
class Description:
    """What a listing says of a market, without loading its series; times in ns UTC, None where the scenario decides."""

    name: str
    description: str
    symbols: tuple[str, ...]
    interval: str | None
    start: int | None
    end: int | None
    trade_from: int | None
    origins: tuple[Origin, ...]


def market_folders() -> tuple[Path, Path]:
    """Return the folders of market files: the user's own first, then the shipped one."""
    return Path("data/markets"), shipped("data/markets")


def market_names() -> list[str]:
    """Return the names of the declared markets, the user's own and the shipped ones, sorted."""
    return sorted({path.stem for folder in market_folders() for path in folder.glob("*.toml")})


def describe_market(name: str) -> Description:
    """Return what a market declares, without reading any of its series; MarketError for a file that is wrong."""
    d = read_declaration(name)
    sources = [
        s
        for series in d.series.values()
        for s in (series.bars, series.mark, series.funding, *series.feeds.values())
        if s
    ]
    origins: set[Origin] = {s.origin for s in [*sources, *d.feeds.values(), *d.fine.values()]}
    if d.scenario is not None:
        origins.add("simulated")
    interval = None if d.interval is None else interval_text(d.interval)
    return Description(d.name, d.description, d.symbols, interval, d.start, d.end, d.trade_from, tuple(sorted(origins)))


def find_market(name_or_path: str) -> Path:
    """Return the file of a market: a path ends in .toml or has a slash, anything else is a name."""
    if name_or_path.endswith(".toml") or "/" in name_or_path or "\\" in name_or_path:
        if Path(name_or_path).is_file():
            return Path(name_or_path)
        raise MarketError(f"There is no market file {name_or_path!r}.")
    for folder in market_folders():
        if (folder / f"{name_or_path}.toml").is_file():
            return folder / f"{name_or_path}.toml"
    raise MarketError(f"No market named {name_or_path!r}.{did_you_mean(name_or_path, market_names())}")


def read_declaration(name_or_path: str) -> Declaration:
    """Return the checked declaration of a market, by name or path; every MarketError names the file and the key."""
    path = find_market(name_or_path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MarketError(f"{path.name} is not a readable TOML file: {error}.") from None
    try:
        return declaration(raw, path)
    except MarketError as error:
        raise MarketError(f"{path.name}: {error}") from None


def declaration(raw: dict[str, Any], path: Path) -> Declaration:
    """Return the checked declaration of the parsed TOML; messages name the key, not the file."""
    tables = {k: v for k, v in raw.items() if k not in TOP}
    for key, value in tables.items():
        if not isinstance(value, dict):
            raise MarketError(f"`{key}` is not a key of a market.{did_you_mean(key, TOP)}")
    scenario = text(raw, "scenario")
    series = {key: symbol_series(key, table, scenario) for key, table in tables.items()}
    symbols = symbol_names(raw.get("symbols"), series, scenario)
    interval, gaps = span(raw, "interval"), policy(raw, "gaps", "error")
    fine = dict(table_of(raw, "fine"))
    fine_interval, fine_gaps = span(fine, "interval", "fine.interval"), policy(fine, "gaps", gaps, "fine.gaps")
    finer = {k: source_of("bars", f"fine.{k}", v) for k, v in fine.items() if k not in ("interval", "gaps")}
    feeds = {key: source_of("feed", f"feeds.{key}", value) for key, value in table_of(raw, "feeds").items()}
    start, end, trade_from = (moment(raw, key) for key in ("start", "end", "trade_from"))
    result = Declaration(
        path, text(raw, "name") or path.stem, text(raw, "description") or "", interval, start, end, trade_from, gaps,
        scenario, symbols, series, feeds, finer, fine_interval, fine_gaps,
    )  # fmt: skip
    check_span(result)
    check_fine(result)
    check_series(result)
    return result


def symbol_series(symbol: str, table: dict[str, Any], scenario: str | None) -> SymbolSeries:
    """Return the series of a symbol's table; what is neither bars, mark nor funding is a feed."""
    if "bars" not in table and scenario is None:
        near = did_you_mean(symbol, ("feeds", "fine")) if symbol in ("feed", "Feeds", "fines") else ""
        raise MarketError(f"`{symbol}.bars` is missing: every symbol needs a price series; [{symbol}] has none.{near}")
    if "funding" not in table and scenario is None:
        raise MarketError(f"`{symbol}.funding` is missing; declare {FUNDING_CHOICES}.")
    kinds: tuple[Role, Role, Role] = ("bars", "mark", "funding")
    bars, mark, funding = (source_of(k, f"{symbol}.{k}", table[k]) if k in table else None for k in kinds)
    feeds = {k: source_of("feed", f"{symbol}.{k}", v) for k, v in table.items() if k not in kinds}
    return SymbolSeries(bars, mark, funding, feeds)


def symbol_names(declared: Any, series: Mapping[str, SymbolSeries], scenario: str | None) -> tuple[str, ...]:
    """Return the symbols in the market's order: the declared list, else the order of their tables."""
    if declared is None:
        if not series and scenario is None:
            raise MarketError("the market has no symbol; add a table such as [BTCUSDT] with `bars` and `funding`.")
        return () if scenario is not None else tuple(series)
    if not isinstance(declared, list) or not declared or not all(isinstance(s, str) and s for s in declared):
        raise MarketError(f"`symbols` must be a list of names, got {declared!r}.")
    if len(set(declared)) != len(declared):
        raise MarketError(f"`symbols` names a symbol twice: {', '.join(declared)}.")
    for symbol in series:
        if symbol not in declared:
            raise MarketError(f"[{symbol}] is not one of `symbols`.{did_you_mean(symbol, declared)}")
    for symbol in declared:
        if symbol not in series and scenario is None:
            raise MarketError(f"`symbols` names {symbol!r}, which has no table.{did_you_mean(symbol, series)}")
    return tuple(declared)


def check_span(d: Declaration) -> None:
    """Refuse a span that is missing, backwards or off the grid, and a `trade_from` outside it."""
    for key in ("interval", "start", "end"):
        if getattr(d, key) is None and d.scenario is None:
            raise MarketError(f'`{key}` is missing; add {key} = "{"1h" if key == "interval" else "2026-01-01"}".')
    if d.start is not None and d.end is not None and d.start >= d.end:
        raise MarketError("`start` must lie before `end`.")
    if d.interval is not None:
        for key, value in (("start", d.start), ("end", d.end)):
            if value is not None and grid_offset_of(value, d.interval):
                raise MarketError(f"`{key}` does not stand on the {interval_text(d.interval)} grid of the bars.")
    before = d.trade_from is not None and d.start is not None and d.trade_from < d.start
    if before or (d.trade_from is not None and d.end is not None and d.trade_from >= d.end):
        raise MarketError("`trade_from` must lie between `start` and `end`.")


def grid_offset_of(time: int, interval: int) -> int:
    """Return how far past the grid one time stands, ns."""
    import numpy as np

    return int(grid_offset(np.array([time], dtype=np.int64), interval)[0])


def check_fine(d: Declaration) -> None:
    """Refuse finer bars without an interval, or with one that does not nest in the market's."""
    if not d.fine:
        return
    if d.fine_interval is None:
        raise MarketError('`fine.interval` is missing: say how long the finer bars are (interval = "1m").')
    if d.interval is not None and (d.fine_interval >= d.interval or d.interval % d.fine_interval):
        fine, coarse = interval_text(d.fine_interval), interval_text(d.interval)
        raise MarketError(f"`fine.interval` {fine} must divide the market's interval {coarse} into two bars or more.")
    for symbol in d.fine:
        if d.symbols and symbol not in d.symbols:
            raise MarketError(f"`fine.{symbol}` is not a symbol of the market.{did_you_mean(symbol, d.symbols)}")


def check_series(d: Declaration) -> None:
    """Refuse bars and marks of another interval than the market's, and series derived from one that is not there."""
    for where, source, interval in panel_sources(d):
        if source.interval is not None and interval is not None and source.interval != interval:
            own, wanted = interval_text(source.interval), interval_text(interval)
            raise MarketError(f"`{where}.interval` is {own} where the bars are of {wanted}; leave it out.")
    for symbol, series in d.series.items():
        for key, source in series.feeds.items():
            if derives(key, source) and DERIVED[key] not in series.feeds:
                raise MarketError(
                    f"`{symbol}.{key}` is to be derived from open interest, but [{symbol}] has no `{DERIVED[key]}`; "
                    "declare it."
                )


def panel_sources(d: Declaration) -> Iterator[tuple[str, Source, int | None]]:
    """Give the sources of bars and marks with their key and the interval that they must have."""
    for symbol, series in d.series.items():
        for key, source in (("bars", series.bars), ("mark", series.mark)):
            if source is not None:
                yield f"{symbol}.{key}", source, d.interval
    for symbol, source in d.fine.items():
        yield f"fine.{symbol}", source, d.fine_interval
