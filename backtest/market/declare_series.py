"""One series of a market file: its keys, its short forms, and which of them make sense together."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from backtest.errors import MarketError, did_you_mean
from backtest.market.declare_values import sentence, span
from backtest.market.sources.base import KINDS
from backtest.model.passport import Origin

__all__ = ["FUNDING_CHOICES", "Role", "Source", "derives", "source_of"]

Role = Literal["bars", "mark", "funding", "feed"]

PLACES = ("file", "store", "scenario")
FILE_KEYS = (*PLACES, "proxy", "columns", "tz")
STORE_KEYS = ("symbol", "series", "interval", "check")
KEYS: dict[Role, tuple[str, ...]] = {
    "bars": (*FILE_KEYS, *STORE_KEYS),
    "mark": (*FILE_KEYS, "column", "symbol", "series", "interval"),
    "funding": (*FILE_KEYS, "column", "unit", "assume", "every", "symbol", "series"),
    "feed": (*FILE_KEYS, "column", "unit", "assume", "known_at", "interval", "lag", "symbol", "series"),
}
COLUMNS: dict[Role, tuple[str, ...]] = {
    "bars": ("time", "open", "high", "low", "close", "volume"),
    "mark": ("time", "open", "high", "low", "close", "price"),
    "funding": ("time", "rate", "mark"),
    "feed": ("time", "value"),
}
# What a stored series can stand for; a feed can be made of any.
SERIES: dict[Role, tuple[str, ...]] = {
    "bars": ("bars",),
    "mark": ("mark", "bars"),
    "funding": ("funding",),
    "feed": KINDS,
}
FUNDING_CHOICES = (
    'a file or store entry (funding = "funding_8h.parquet"), another symbol\'s (funding = { proxy = "BTCUSDT" }), '
    'an assumed rate (funding = { assume = 0.0001, every = "8h" }) or none at all: '
    'funding = "spot", or funding = "none" where it is not known'
)
# Series made out of others of the same symbol, where no source has them: key -> what it can be made of.
DERIVED = {"mark": "last", "long_liquidations": "open_interest", "short_liquidations": "open_interest"}


class Source(BaseModel):
    """Where a series comes from and how to read it: one of file, store, scenario, assume, none, or a proxy alone.

    every, interval, lag: ns; column, columns: names in the file (time, open, ..., rate, mark, value); tz: the zone of
    times that carry none; unit: "fraction" or "percent" for funding, free text for a feed; known_at: when a feed's
    value is known; none: there is no funding; spot: because none is due. A proxy with a file names what the file stands
    in from. Of a store: symbol as the source spells it, series: the kind that is kept (bars, mark, liquidations, ...),
    check: "SOURCE:SYMBOL" of a second opinion.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    file: str | None = None
    store: str | None = None
    scenario: str | None = None
    proxy: str | None = None
    none: bool = False
    spot: bool = False
    assume: float | None = None
    every: int | None = None
    column: str | None = None
    columns: dict[str, str] = {}
    unit: str | None = None
    known_at: Literal["close", "open", "at"] = "close"
    interval: int | None = None
    lag: int = 0
    tz: str | None = None
    symbol: str | None = None
    series: str | None = None
    check: str | None = None

    @property
    def origin(self) -> Origin:
        """What the passport says of the series."""
        if self.scenario is not None:
            return "simulated"
        if self.assume is not None:
            return "assumed"
        return "real" if self.proxy is None else "proxy"


def derives(key: str, source: Source) -> bool:
    """Whether a symbol's series is made out of its others: marks of last prices, liquidations of open interest."""
    alone = source.file is None and source.store is None
    return alone and source.proxy is not None and DERIVED.get(key) == source.proxy


def source_of(kind: Role, where: str, value: Any) -> Source:
    """Return the checked source of a series, from its short form (a text) or its table."""
    if isinstance(value, str):
        value = short_form(kind, value)
    if not isinstance(value, dict):
        raise MarketError(f'`{where}` must be a path, "store:SOURCE", "scenario:NAME" or a table, got {value!r}.')
    for key in value:
        if key not in KEYS[kind] and not (kind == "funding" and key in ("none", "spot")):
            raise MarketError(f"`{where}.{key}` is not a key of {kind}.{did_you_mean(key, KEYS[kind])}")
    table = dict(value)
    for key in ("every", "interval", "lag"):
        if key in table:
            table[key] = span(table, key, f"{where}.{key}")
    try:
        source = Source.model_validate(table)
    except ValidationError as error:
        raise MarketError(sentence(where, error)) from None
    check_source(kind, where, source)
    return source


def short_form(kind: Role, value: str) -> dict[str, Any]:
    """Return the table that a text stands for."""
    if kind == "funding" and value in ("none", "spot"):
        return {"none": True, "spot": value == "spot"}
    for place in ("store", "scenario"):
        if value.startswith(f"{place}:"):
            return {place: value.removeprefix(f"{place}:")}
    return {"file": value}


def check_source(kind: Role, where: str, source: Source) -> None:
    """Refuse a source with no place or two, and keys that make no sense together."""
    places = [p for p in (*PLACES, "assume") if getattr(source, p) is not None] + (["none"] if source.none else [])
    alone = not places and source.proxy is not None and (kind in ("funding", "feed") or derives(kind, source))
    if kind == "mark" and not places and source.proxy and not alone:
        raise MarketError(f'`{where}.proxy` must be "last", the last price, got {source.proxy!r}.')
    if (len(places) != 1 and not alone) or any(getattr(source, p) == "" for p in (*PLACES, "proxy")):
        allowed = [k for k in (*PLACES, "assume") if k in KEYS[kind]]
        raise MarketError(f"`{where}` needs exactly one of {', '.join(allowed)}; it has {', '.join(places) or 'none'}.")
    if source.proxy is not None and ("assume" in places or "none" in places or "scenario" in places):
        raise MarketError(f"`{where}` has both `proxy` and `{places[0]}`; keep one of them.")
    for key in source.columns:
        if key not in COLUMNS[kind]:
            raise MarketError(f"`{where}.columns.{key}` is not a column of {kind}.{did_you_mean(key, COLUMNS[kind])}")
    if source.spot and not source.none:
        raise MarketError(f'`{where}.spot` says that there is no funding; write {where.rpartition(".")[2]} = "spot".')
    if kind == "funding":
        check_funding(where, source)
    if kind == "feed" and source.known_at == "close" and source.interval is None and "file" in places:
        raise MarketError(
            f"`{where}.interval` is missing: a value known at the close of its bar needs the bar's interval "
            '(interval = "1d"); where each stamp is the time at which the value became known, say known_at = "at".'
        )
    check_stored(kind, where, source)


def check_stored(kind: Role, where: str, source: Source) -> None:
    """Refuse keys of a store without one, a series that can't stand for this one, and a check that names no symbol."""
    for key in STORE_KEYS:
        if source.store is None and getattr(source, key) is not None and not (kind == "feed" and key == "interval"):
            raise MarketError(f"`{where}.{key}` goes with `store`; a series from elsewhere has no use for it.")
    if source.symbol == "":
        raise MarketError(f"`{where}.symbol` is empty; spell it as the source does, or leave it out.")
    if source.series is not None and source.series not in SERIES[kind]:
        near = did_you_mean(source.series, SERIES[kind])
        raise MarketError(f"`{where}.series` can't be {source.series!r}.{near}")
    if source.check is not None and not re.fullmatch(r"[A-Za-z0-9_-]+:.+", source.check):
        told = f'must name a source and a symbol, such as "yahoo:BTC-USD", got {source.check!r}'
        raise MarketError(f"`{where}.check` {told}.")


def check_funding(where: str, source: Source) -> None:
    """Refuse an unknown unit, an assumed rate without its interval and an implausible one."""
    if source.unit not in (None, "fraction", "percent"):
        raise MarketError(f'`{where}.unit` must be "fraction" or "percent", got {source.unit!r}.')
    if (source.assume is None) != (source.every is None):
        raise MarketError(f'`{where}` needs `assume` and `every` together: {{ assume = 0.0001, every = "8h" }}.')
    if source.assume is not None and abs(source.assume) > 0.05:
        raise MarketError(f"`{where}.assume` is {source.assume} a stamp, above 0.05; give a fraction, not percent.")
