"""Where the money came from: the change of equity in parts that add up, by trade, symbol, side, level, month, regime, crisis."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from backtest.analysis.regimes import REGIMES, regimes
from backtest.analysis.traded_levels import TradedLevels, traded_levels
from backtest.levels import Levels
from backtest.model.arrays import Float, Int64
from backtest.model.market import Market
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS, Result

__all__ = ["OUTSIDE", "PARTS", "Attribution", "Parts", "Window", "attribute"]

PARTS = ("price", "fees", "funding", "slippage", "liquidation", "insurance", "haircut", "frozen")
PRICE, SLIPPAGE, LIQUIDATION = 0, 3, 4
PART_OF_KIND = {
    "trade_pnl": "price",
    "fee": "fees",
    "funding": "funding",
    "slippage": "slippage",
    "liquidation_loss": "liquidation",
    "liquidation_fee": "liquidation",
    "insurance": "insurance",
    "haircut": "haircut",
    "frozen": "frozen",
}
OUTSIDE = "outside"
"""The label of what lies in no crisis, or belongs to no trade."""

Parts = Mapping[str, float]
Split = Mapping[str, Parts]


class Window(Protocol):
    """A named stretch of time: start, end in ns UTC, end exclusive. The crises of `backtest.market.crises` are such."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True)
class Attribution:
    """The change of equity in parts; every mapping is label -> part of `PARTS` -> quote units, None where it can't be told.

    change: last equity - cash; total: its parts, which add up to it; by_trade: label is the trade's number. The rows of each
    split add up to `total`, part by part, to 1e-9 of the money that moved. notes: sentences, why a split is None or unknown.
    """

    change: float
    total: Parts
    by_trade: Split
    by_symbol: Split
    by_side: Split
    by_month: Split
    by_level: Split | None = None
    by_rung: Split | None = None
    by_regime: Split | None = None
    by_crisis: Split | None = None
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the attribution as plain data for JSON; each split as a table: its labels, and a column for each part."""
        plain: dict[str, Any] = {"change": self.change, "total": dict(self.total), "notes": list(self.notes)}
        for f in fields(self):
            if f.name.startswith("by_"):
                split = getattr(self, f.name)
                plain[f.name] = None if split is None else table_of(split)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Attribution":
        """Return the attribution that `to_dict` wrote. A missing field is a KeyError."""
        values: dict[str, Any] = {f.name: data[f.name] for f in fields(cls)}
        for name, value in values.items():
            if name.startswith("by_") and value is not None:
                columns = [value[part] for part in PARTS]
                values[name] = {
                    label: dict(zip(PARTS, row, strict=True))
                    for label, *row in zip(value["label"], *columns, strict=True)
                }
        return cls(**{**values, "notes": tuple(data["notes"])})


def table_of(split: Split) -> dict[str, Any]:
    return {"label": list(split)} | {part: [row[part] for row in split.values()] for part in PARTS}


def attribute(
    result: Result,
    market: Market | None = None,
    levels: Mapping[str, Levels] | Levels | None = None,
    crises: Iterable[Window] = (),
) -> Attribution:
    """Return where the change of equity of a run came from.

    The parts: fees, funding, insurance, haircut and frozen are the ledger's rows of that kind; slippage its memo, what was
    lost to prices worse than the market's; liquidation the losses and fees of forced closes; price is what is left of the
    change of equity: the PnL of closed positions and the unrealised change of open ones, at unslipped prices. A trade's
    slippage is inside its PnL already, so it is taken out of the part in which the trade ended: of `liquidation` for a
    liquidated one [D], of `price` for any other.

    By trade: an open one has its unrealised PnL at the last mark close (without a market: the last close); where these do not
    add up to the unrealised part of the equity, the rest goes to the open trades by notional. By month (UTC): a bar belongs
    to the month in which it closes, a ledger row to its bar. By regime: the bar's, out of `regimes`; it needs the market.
    By crisis: the bars that close inside the window, the first one that fits where windows overlap, else "outside"; windows
    outside the run are left out. By level and by rung: out of `traded_levels`; they need the market and the levels.
    """
    traded = traded_levels(result, market, levels) if market is not None and levels is not None else None
    return attribution_of(result, market, crises, traded)


def attribution_of(
    result: Result, market: Market | None, crises: Iterable[Window], traded: TradedLevels | None
) -> Attribution:
    """Return the attribution, with the levels of the trades found already."""
    money, notes = Money(result, market), []
    by_regime = None
    if market is None:
        notes.append("Not split by regime: the market of the run is not at hand.")
    else:
        found = regimes(market)
        notes += found.notes
        at = np.searchsorted(market.time, result.time, side="right") - 1
        by_regime = money.by_bar(np.where(at >= 0, found.code[at], REGIMES.index("unknown")), REGIMES)
    if traded is None:
        notes.append("Not split by level and rung: the market or the levels that the strategy watched are not at hand.")
    windows = tuple(crises)
    return Attribution(
        change=money.change,
        total=money.total,
        by_trade=money.grouped(money.trade_labels),
        by_symbol=money.grouped(money.symbol_labels),
        by_side=money.grouped([("short", "", "long")[side + 1] for side in result.trades_table.side.tolist()]),
        by_month=money.by_bar(*months_of(result)),
        by_level=money.grouped(traded.label) if traded else None,
        by_rung=money.grouped([str(rung or "none") for rung in traded.rung.tolist()]) if traded else None,
        by_regime=by_regime,
        by_crisis=money.by_bar(*crises_of(result, windows)) if windows else None,
        notes=tuple(notes),
    )


class Money:
    """Every change of money of a result as a row of trade, bar, part and amount, and the sums that are made of them."""

    def __init__(self, result: Result, market: Market | None) -> None:
        ledger, trades = result.ledger_table, result.trades_table
        self.result = result
        self.equity = np.concatenate(([result.venue.cash], result.equity_values))
        self.change = float(self.equity[-1] - self.equity[0])
        codes = np.array([PARTS.index(PART_OF_KIND[kind]) for kind in LEDGER_KINDS])
        owner = np.searchsorted(trades.trade, ledger.trade)  # the row of the trade; t for what belongs to none
        own = np.append(trades.trade, -1)[owner] == ledger.trade
        self.trade = np.where(own, owner, len(trades))
        part, amount = codes[ledger.kind], ledger.amount
        slip = summed(self.trade[part == SLIPPAGE], amount[part == SLIPPAGE], len(trades) + 1)
        # The slippage of a liquidated trade is inside its liquidation loss: a row that takes it out, at the end of the trade.
        forced = np.flatnonzero(np.asarray(trades.reason) == EXIT_REASONS.index("liquidation"))
        self.trade = np.append(self.trade, forced)
        self.part = np.append(part, np.full(forced.size, LIQUIDATION))
        self.amount = np.append(amount, -slip[forced])
        self.time = np.append(ledger.time, trades.exit_time[forced])
        wallet = np.where(part == SLIPPAGE, 0.0, amount)
        self.earned = summed(self.trade[: amount.size], wallet, len(trades) + 1)
        self.earned[:-1] += unrealised(result, market)

    @cached_property
    def total(self) -> Parts:
        """The parts of the whole change of equity; price is what the others leave of it."""
        found = {PARTS[k]: math.fsum(self.amount[self.part == k].tolist()) for k in range(len(PARTS))}
        found["price"] = math.fsum([self.change, *(-found[part] for part in PARTS[1:])])
        return found

    @cached_property
    def trade_parts(self) -> Float:
        """(t + 1, p) the parts of each trade, the last row of what belongs to none."""
        p = len(PARTS)
        sums = summed(self.trade * p + self.part, self.amount, self.earned.size * p).reshape(-1, p)
        sums[:, PRICE] = self.earned - sums[:, 1:].sum(axis=1)
        return sums

    @cached_property
    def outside(self) -> dict[str, Parts]:
        """What belongs to no trade: nothing in a run of an engine; it may be in a result of another origin."""
        rest = self.trade_parts[-1:].copy()
        rest[0, PRICE] += self.change - float(self.earned.sum())
        moved = float(np.abs(self.amount).sum()) + float(self.equity[0])
        return labelled([OUTSIDE], rest) if np.abs(rest).max() > 1e-9 * moved else {}

    @property
    def trade_labels(self) -> list[str]:
        return [str(trade) for trade in self.result.trades_table.trade.tolist()]

    @property
    def symbol_labels(self) -> list[str]:
        return [self.result.symbols[j] for j in self.result.trades_table.symbol.tolist()]

    def grouped(self, labels: Sequence[str]) -> Split:
        """Return the parts of all trades of a label; labels: one a trade."""
        names = list(dict.fromkeys(labels))
        index = {name: k for k, name in enumerate(names)}
        sums = np.zeros((len(names), len(PARTS)))
        np.add.at(sums, np.array([index[label] for label in labels], dtype=np.int64), self.trade_parts[:-1])
        return labelled(names, sums) | self.outside

    def by_bar(self, code: Int64, names: Sequence[str]) -> Split:
        """Return the parts of all bars of a code; code: (n,) positions in `names`. A name without a bar is left out."""
        if not code.size:
            return {}
        known, p = self.result.time + self.result.interval, len(PARTS)
        bar = np.minimum(np.searchsorted(known, self.time, side="right"), code.size - 1)
        starts = np.flatnonzero(np.diff(code, prepend=code[0] - 1))
        change = self.equity[np.append(starts[1:], code.size)] - self.equity[starts]
        sums = summed(code[bar] * p + self.part, self.amount, len(names) * p).reshape(len(names), p)
        sums[:, PRICE] = summed(code[starts], change, len(names)) - sums[:, 1:].sum(axis=1)
        there = np.unique(code[starts])
        return labelled([names[k] for k in there.tolist()], sums[there])


def summed(group: Int64, amount: Float, groups: int) -> Float:
    """Return (groups,) the sums of the amounts by group."""
    return np.bincount(group, weights=amount, minlength=groups).astype(np.float64)


def labelled(labels: Sequence[str], sums: Float) -> dict[str, Parts]:
    """Return rows of sums, a column a part, by label."""
    return {label: dict(zip(PARTS, row, strict=True)) for label, row in zip(labels, sums.tolist(), strict=True)}


def unrealised(result: Result, market: Market | None) -> Float:
    """Return (t,) the unrealised PnL of each trade at the end, 0 for closed ones; in sum what the equity has beyond the wallet."""
    trades = result.trades_table
    found = np.zeros(len(trades))
    opened = np.flatnonzero(np.asarray(trades.reason) == EXIT_REASONS.index("open"))
    if not opened.size or not len(result):
        return found
    price = np.array([last_price(result, market, i) for i in opened.tolist()])
    held = np.array([quantity_held(result, i) for i in opened.tolist()])
    found[opened] = held * (price - trades.entry_price[opened])
    rest = float(result.equity_values[-1]) - result.final_wallet - float(found.sum())
    weight = np.abs(held) * price
    share = weight / weight.sum() if weight.sum() > 0 else np.full(opened.size, 1.0 / opened.size)
    found[opened] += rest * share
    return found


def last_price(result: Result, market: Market | None, trade: int) -> float:
    """Return the price at which an open trade is marked: the last mark close, else the last close."""
    price = float(result.trades_table.exit_price[trade])
    symbol = result.symbols[int(result.trades_table.symbol[trade])]
    if market is None or market.mark is None or symbol not in market.symbols:
        return price
    mark = float(market.mark.close[-1, market.symbols.index(symbol)])
    return price if math.isnan(mark) else mark


def quantity_held(result: Result, trade: int) -> float:
    """Return the signed quantity that an open trade holds at the end; one trade a symbol is open at most."""
    mine = np.flatnonzero(np.asarray(result.position_symbol) == result.trades_table.symbol[trade])
    if mine.size:
        return float(result.position_quantity[mine[-1]])
    return float(result.trades_table.quantity[trade]) * int(result.trades_table.side[trade])


def months_of(result: Result) -> tuple[Int64, list[str]]:
    """Return (n,) the month in which each bar closes, counted from the first, and their names as in "2026-02"."""
    if not len(result):
        return np.empty(0, np.int64), []
    last = result.time + (result.interval - 1)
    first, final = (np.datetime64(int(t), "ns").astype("datetime64[M]") for t in last[[0, -1]])
    months = np.arange(first, final + 1)
    starts = months.astype("datetime64[ns]").astype(np.int64)
    code = np.searchsorted(starts, last, side="right") - 1
    return code, [str(month) for month in months]


def crises_of(result: Result, windows: Sequence[Window]) -> tuple[Int64, list[str]]:
    """Return (n,) the window in which each bar closes, the last code for none, and the names."""
    last = result.time + (result.interval - 1)
    code = np.full(last.size, len(windows), np.int64)
    for k in reversed(range(len(windows))):
        code[np.searchsorted(last, windows[k].start) : np.searchsorted(last, windows[k].end)] = k
    return code, [*(window.name for window in windows), OUTSIDE]
