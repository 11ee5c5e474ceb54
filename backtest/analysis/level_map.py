"""The map of levels that a person would draw at a moment: where they are, what became of them, what happened around them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from backtest.analysis.around import FLOWS, Flows, flows
from backtest.analysis.summary import as_plain
from backtest.errors import ConfigError, MarketError
from backtest.levels import Detector, Levels, atr, fractal, life, prior, profile, round_numbers, zigzag
from backtest.levels.detector import number, whole
from backtest.levels.life import Visible
from backtest.levels.table import Params
from backtest.model.arrays import DAY, BoolArray, Float, Int64, utc_text
from backtest.model.market import Bars, Market

__all__ = ["MOST", "LevelMap", "LevelRow", "drawn_levels", "level_map"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST = 12
"""Levels drawn on each side of the price [D]."""
NAMES = {"fixed": "given", "fractal": "swing", "zigzag": "swing", "donchian": "window"}


@dataclass(frozen=True)
class LevelRow:
    """One level of a map.

    price, half_width: quote units; kind: what a trader calls it ("round", "swing low", "week low", "POC", ...);
    found_by: such names of everything that is merged into it and still holds, its own first; origin: all that ever was,
    as detectors with their settings; major: a round number on the coarser grid; state: out of `life`; intact: a support, not broken
    or flipped; known_at: ns UTC; age: ns since then; touches, bounces, strength: out of `Visible`; distance: fraction,
    price / close - 1, negative below the close; atrs: the same in ATRs of 14 bars, NaN without one; opened, longs,
    shorts: USD of open interest opened and of positions force-closed around it, NaN where that is unknown.
    """

    price: float
    half_width: float
    kind: str
    found_by: tuple[str, ...]
    origin: tuple[str, ...]
    major: bool
    state: str
    intact: bool
    known_at: int
    age: int
    touches: int
    bounces: int
    strength: float
    distance: float
    atrs: float
    opened: float
    longs: float
    shorts: float

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data: times as text, the age in days, NaN as None."""
        found = {**vars(self), "known_at": utc_text(self.known_at), "age_days": self.age / DAY}
        del found["age"]
        return dict(as_plain(found))


@dataclass(frozen=True, eq=False)
class LevelMap:
    """The levels of one symbol at the close of a bar, the highest first.

    time: ns UTC, that close; price: the last close; atr: of 14 bars, quote units; rows: what is drawn; levels: their
    table, row by row; left_out: how many more are known then; asked: what looked for them; days, near: the window and
    the zone of `opened`, `longs` and `shorts`; missing: those of them without a feed; notes: sentences about the feeds.
    """

    market: str
    symbol: str
    grade: str
    interval: int
    time: int
    price: float
    atr: float
    rows: tuple[LevelRow, ...]
    levels: Levels
    left_out: int
    asked: str
    days: float
    near: float
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the map as plain data for JSON."""
        names = ("market", "symbol", "grade", "interval", "price", "atr", "left_out", "asked", "days", "near")
        plain: dict[str, Any] = {name: getattr(self, name) for name in names}
        plain |= {"time": utc_text(self.time), "rows": [row.to_dict() for row in self.rows]}
        return dict(as_plain({**plain, "missing": self.missing, "notes": self.notes}))


def drawn_levels(interval: int) -> Detector:
    """Return what a person draws on a chart of such bars: swing lows, lows of week and month, the profile, round numbers.

    interval: ns; a swing low is the lowest of a day on each side, of five bars at least. What lies within 1% is one
    level. Of the volume profile: the point of control and the value area. All of it this project's [D].
    """
    swings = fractal(k=max(5, round(DAY / interval))) | zigzag()
    return (swings | prior("week") | prior("month") | profile(prominence=1.0) | round_numbers()).within(width=0.01)


def level_map(
    market: Market,
    symbol: str | None = None,
    at: int | str | None = None,
    levels: Detector | Levels | None = None,
    *,
    most: int | None = MOST,
    reach: float = 0.35,
    apart: float = 0.01,
    near: float = 0.005,
    days: float = 30.0,
) -> LevelMap:
    """Return the levels that a person would draw at a moment, using nothing later than the last close at or before it.

    symbol: by default the market's first; at: ns UTC or ISO text (read as UTC), by default the last close; levels: a
    detector or a table, by default `drawn_levels`. State, touches, bounces and strength are those of `life`.

    Which are drawn [D]: those within `reach` (fraction of the price); of those less than `apart` (fraction of the price)
    from each other the strongest; on each side of the price the nearest half of `most`, then the strongest up to
    `most`. Stronger is: a major round number, then more bounces (up to four), more touches, nearer. Prices given by
    `fixed` are always drawn. None for `most` draws all that is known and not retired.

    Around a level, measured and not modelled: over the bars that opened since it is known, at most `days` back, and
    whose range came within max(`near` * price, half-width) of it, `opened` is the sum of the rises of open interest over
    a bar, counted in coins and valued at the bar's (H+L+C)/3, `longs` and `shorts` that of the liquidations, in USD. A
    bar counts whole, and for every level that it reaches; see `flows`. Without a feed they are NaN, and `missing` and
    `notes` name it.

    Errors (ConfigError, MarketError): an unknown symbol, a time that is none or outside the market, a market without a
    bar that traded, numbers out of range.
    """
    settings = checked(most, reach, apart, near, days)
    if levels is not None and not isinstance(levels, (Detector, Levels)):
        raise ConfigError(
            f"`levels` must be a detector or a table of levels, got {levels!r}; read text with `read_levels`."
        )
    name = (market.symbols[0] if market.symbols else "") if symbol is None else symbol
    market.position(name)
    known = head_at(market, at)
    bars = known[name]
    traded = np.flatnonzero(np.isfinite(bars.close))
    if traded.size == 0:
        raise MarketError(f"{name} has not traded in the market {market.name} by then; choose a later time.")
    wanted = drawn_levels(bars.interval) if levels is None else levels
    table = wanted.find(bars)
    seen = life(bars, table).visible()
    price, major = float(bars.close[traded[-1]]), majors(table)[seen.row]
    given = np.array([table.kind[r] == "fixed" for r in seen.row.tolist()], np.bool_)
    kept = chosen_rows(seen, price, major, given, settings)
    kept = kept[np.argsort(-seen.price[kept], kind="stable")]
    chosen = table.take(seen.row[kept])
    measured = flows(known, name)
    return LevelMap(
        market=market.name,
        symbol=name,
        grade=market.passport.grade,
        interval=market.interval,
        time=int(known.known_at[-1]),
        price=price,
        atr=float(atr(bars)[-1]),
        rows=rows_of(bars, chosen, seen, kept, major, price, around(measured, chosen, seen.age[kept], settings)),
        levels=chosen,
        left_out=len(seen) - kept.size,
        asked="levels" if isinstance(wanted, Levels) else repr(wanted),
        days=float(days),
        near=float(near),
        missing=measured.missing,
        notes=(*lacking(name, measured.missing), *measured.notes),
    )


# --- when ---------------------------------------------------------------------------------------------------------


def head_at(market: Market, at: int | str | None) -> Market:
    """Return the market as it was known at a time; one before the first close or after the last is a ConfigError."""
    if len(market) == 0:
        raise MarketError(f"The market {market.name} has no bars.")
    first, last = int(market.known_at[0]), int(market.known_at[-1])
    time = last if at is None else moment(at)
    if not first <= time <= last:
        raise ConfigError(
            f"`at` {utc_text(time)} lies outside the market {market.name}, whose bars close from {utc_text(first)} "
            f"to {utc_text(last)}."
        )
    return market.head(int(np.searchsorted(market.known_at, time, side="right")))


def moment(at: int | str) -> int:
    """Return ns UTC out of ns or ISO text without a zone (UTC) or with one."""
    if isinstance(at, (int, np.integer)) and not isinstance(at, bool):
        return int(at)
    try:
        time = datetime.fromisoformat(str(at).strip())
    except ValueError:
        raise ConfigError(f"`at` must be a time like '2026-02-05' or '2026-02-05T12:00', got {at!r}.") from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (time - EPOCH) // timedelta(microseconds=1) * 1000


# --- which --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """What is drawn of the levels, and what counts as around one; the meaning is that of `level_map`."""

    most: int | None
    reach: float
    apart: float
    near: float
    days: float


def checked(most: int | None, reach: float, apart: float, near: float, days: float) -> Settings:
    rows = None if most is None else whole("most", most)
    return Settings(
        rows,
        number("reach", reach, above=True),
        number("apart", apart),
        number("near", near, 0, 0.99),
        number("days", days, 0, 100_000, above=True),
    )


def majors(levels: Levels) -> BoolArray:
    """Return (k,) whether a level is a major round number, or one was merged into it."""
    found = np.zeros(len(levels), np.bool_)
    if levels.merged is None:
        found[:] = [is_major(params) for params in levels.params]
    else:
        mine = [is_major(params) for params in levels.merged.rows.params]
        found[levels.merged.owner[np.array(mine, np.bool_)]] = True
    return found


def is_major(params: Params) -> bool:
    return dict(params).get("major") == 1.0


def chosen_rows(seen: Visible, price: float, major: BoolArray, given: BoolArray, settings: Settings) -> Int64:
    """Return which of the visible levels are drawn, in no order."""
    if settings.most is None:
        return np.arange(len(seen))
    far = np.abs(seen.price / price - 1)
    strongest = np.lexsort((far, -seen.touches, -np.minimum(seen.bounces, 4), ~major, ~given))
    apart = spread(seen.price, strongest, given, settings.apart * price)
    apart = apart[(far[apart] <= settings.reach) | given[apart]]
    kept = set(apart[given[apart]].tolist())
    for side in (seen.price > price, seen.price <= price):
        mine = apart[side[apart]]  # the strongest first
        nearest = mine[np.argsort(far[mine], kind="stable")][: (settings.most + 1) // 2]
        order = dict.fromkeys([*nearest.tolist(), *mine.tolist()])
        kept |= set(list(order)[: settings.most])
    return np.array(sorted(kept), np.int64)


def spread(price: Float, order: Int64, given: BoolArray, width: float) -> Int64:
    """Return the levels in an order, without those nearer than the width to one before them; given ones stay."""
    kept: list[int] = []
    for i in order.tolist():
        if given[i] or not kept or float(np.abs(price[kept] - price[i]).min()) >= width:
            kept.append(i)
    return np.array(kept, np.int64)


# --- what ---------------------------------------------------------------------------------------------------------


def around(measured: Flows, levels: Levels, age: Int64, settings: Settings) -> dict[str, Float]:
    """Return (k,) of each flow what happened around the levels."""
    now = int(measured.market.known_at[-1])
    width = np.maximum(settings.near * levels.price, levels.half_width)
    since = now - np.minimum(age, round(settings.days * DAY))
    return measured.around(levels.price - width, levels.price + width, since)


def rows_of(
    bars: Bars, levels: Levels, seen: Visible, kept: Int64, major: BoolArray, price: float, flow: dict[str, Float]
) -> tuple[LevelRow, ...]:
    now, span = int(bars.known_at[-1]), float(atr(bars)[-1])
    names, origins = found_by(levels, now), levels.origin
    rows = []
    for i, k in enumerate(kept.tolist()):
        level, age = float(seen.price[k]), int(seen.age[k])
        rows.append(
            LevelRow(
                price=level,
                half_width=float(levels.half_width[i]),
                kind=names[i][0],
                found_by=names[i],
                origin=origins[i],
                major=bool(major[k]),
                state=seen.state[k],
                intact=bool(seen.intact[k]),
                known_at=now - age,
                age=age,
                touches=int(seen.touches[k]),
                bounces=int(seen.bounces[k]),
                strength=float(seen.strength[k]),
                distance=level / price - 1,
                atrs=(level - price) / span if span > 0 else math.nan,
                **{name: float(flow[name][i]) for name in FLOWS},
            )
        )
    return tuple(rows)


def found_by(levels: Levels, now: int) -> list[tuple[str, ...]]:
    """Return for each level the names of what is merged into it and not superseded, each once, its own first."""
    names = [{called(kind, dict(params)): None} for kind, params in zip(levels.kind, levels.params, strict=True)]
    if levels.merged is not None:
        rows = levels.merged.rows
        for r in np.flatnonzero(
            rows.until > now
        ).tolist():  # rows that are merged are sorted by the time they were known
            names[int(levels.merged.owner[r])][called(rows.kind[r], dict(rows.params[r]))] = None
    return [tuple(each) for each in names]


def called(kind: str, params: Mapping[str, float | str]) -> str:
    """Return what a trader calls a level.

    >>> called("prior", {"period": "week"}), called("profile", {"name": "poc"}), called("round", {})
    ('week low', 'POC', 'round')
    """
    if kind in ("fractal", "zigzag", "donchian", "prior"):
        return f"{params.get('period', NAMES.get(kind))} {params.get('side', 'low')}"
    if kind in ("profile", "pivot") and "name" in params:
        return str(params["name"]).upper()
    return NAMES.get(kind, kind)


def lacking(symbol: str, missing: tuple[str, ...]) -> list[str]:
    """Return a sentence for what has no feed."""
    feeds = {"opened": "open_interest", "longs": "long_liquidations", "shorts": "short_liquidations"}
    names = [f"{symbol}.{feeds[name]}" for name in missing]
    if not names:
        return []
    unknown = {"open interest": "opened" in missing, "liquidations": bool({"longs", "shorts"} & set(missing))}
    what, it = " and ".join(name for name, so in unknown.items() if so), "it" if len(names) == 1 else "them"
    return [f"No feed {', '.join(names)}: {what} around the levels can't be told; declare {it} in the market file."]
