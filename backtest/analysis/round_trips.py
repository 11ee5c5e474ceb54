"""The round trips of a run as columns, and what they were worth by side, by level and by rung of the ladder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtest.analysis import metrics
from backtest.analysis.traded_levels import TradedLevels
from backtest.model.arrays import HOUR, BoolArray, Float, Int64
from backtest.model.market import Market
from backtest.model.result import EXIT_REASONS, Result

__all__ = ["TRADE_FIGURES", "RoundTrips", "round_trips"]

TRADE_FIGURES = (
    "trades",
    "open_trades",
    "pnl",
    "win_rate",
    "payoff",
    "profit_factor",
    "expectancy",
    "average_win",
    "average_loss",
    "best",
    "worst",
    "mean_return",
    "mean_holding_hours",
    "mae",
    "mfe",
    "liquidations",
)
"""What is said of every group of trades: all but `open_trades` of its closed ones."""

Stats = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, eq=False)
class RoundTrips:
    """The trades of a run, (t,) each.

    closed, forced: whether it is over, whether a liquidation ended it; side: +1 or -1; pnl: net, quote units; returned: pnl
    over the entry notional (largest quantity, average price); hours: from the open of the entry's bar to that of the
    exit's; mae, mfe: means of `excursions`, fractions of the entry price, NaN without the market.
    """

    closed: BoolArray
    forced: BoolArray
    side: Int64
    pnl: Float
    returned: Float
    hours: Float
    mae: Float
    mfe: Float

    def stats(self, traded: TradedLevels | None) -> Stats:
        """Return the figures by side ("all", "long", "short"), and by level and rung where they are known."""
        short = (self.side < 0).astype(np.int64)
        everything = self.figures(np.zeros(short.size, np.int64), ["all"])
        found = {"side": everything | self.figures(short, ["long", "short"])}
        if traded is not None:
            found["level"] = self.by_label(traded.label)
            found["rung"] = self.by_label([str(rung or "none") for rung in traded.rung.tolist()])
        return found

    def by_label(self, labels: Sequence[str]) -> dict[str, dict[str, float]]:
        names = list(dict.fromkeys(labels))
        index = {name: k for k, name in enumerate(names)}
        return self.figures(np.array([index[label] for label in labels], dtype=np.int64), names)

    def figures(self, code: Int64, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the figures of every group of trades; code: (t,) positions in `names`.

        Those of `metrics`, for all groups at once: payoff = average win / |average loss|, profit factor = sum of the wins
        / |sum of the losses|, expectancy = mean net pnl. NaN where a group has no such trade.
        """
        groups, mine = len(names), np.flatnonzero(self.closed)
        of, pnl = code[mine], self.pnl[mine]

        def total(values: Float) -> Float:
            return np.bincount(of, weights=values, minlength=groups).astype(np.float64)

        count, wins, losses = (total(x.astype(np.float64)) for x in (np.ones(mine.size), pnl > 0, pnl < 0))
        won, lost = total(np.maximum(pnl, 0.0)), total(np.minimum(pnl, 0.0))
        best, worst = np.full(groups, -np.inf), np.full(groups, np.inf)
        np.maximum.at(best, of, pnl)
        np.minimum.at(worst, of, pnl)
        columns = {
            "trades": count,
            "open_trades": np.bincount(code[~self.closed], minlength=groups).astype(np.float64),
            "pnl": total(pnl),
            "win_rate": over(wins, count),
            "payoff": over(over(won, wins), -over(lost, losses)),
            "profit_factor": over(won, -lost),
            "expectancy": over(total(pnl), count),
            "average_win": over(won, wins),
            "average_loss": over(lost, losses),
            "best": np.where(count > 0, best, np.nan),
            "worst": np.where(count > 0, worst, np.nan),
            "mean_return": over(total(self.returned[mine]), count),
            "mean_holding_hours": over(total(self.hours[mine]), count),
            "mae": over(total(self.mae[mine]), count),
            "mfe": over(total(self.mfe[mine]), count),
            "liquidations": total(self.forced[mine].astype(np.float64)),
        }
        rows = zip(*(columns[figure].tolist() for figure in TRADE_FIGURES), strict=True)
        return {name: dict(zip(TRADE_FIGURES, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def over(above: Float, below: Float) -> Float:
    """Return the ratios, NaN where there is nothing below."""
    ratios: Float = np.full(above.size, np.nan)
    np.divide(above, below, out=ratios, where=below > 0)
    return ratios


def round_trips(result: Result, market: Market | None) -> RoundTrips:
    """Return the trades of a run as columns; MAE and MFE need the market."""
    trades, reason = result.trades_table, np.asarray(result.trades_table.reason)
    closed = reason != EXIT_REASONS.index("open")
    end = int(result.time[-1]) + result.interval if len(result) else 0
    left = np.where(closed, trades.exit_time, end)
    notional = trades.quantity * trades.entry_price
    returned = np.divide(trades.pnl, notional, out=np.full(len(trades), np.nan), where=notional > 0)
    hours = (left - trades.entry_time) / HOUR
    forced, side = reason == EXIT_REASONS.index("liquidation"), np.asarray(trades.side, np.int64)
    return RoundTrips(closed, forced, side, trades.pnl, returned, hours, *travelled(result, market, closed, left))


def travelled(result: Result, market: Market | None, closed: BoolArray, left: Int64) -> tuple[Float, Float]:
    """Return (t,) MAE and MFE of the trades; left: (t,) ns UTC, the open of the exit's bar or the end of the run."""
    trades = result.trades_table
    mae, mfe = np.full(len(trades), np.nan), np.full(len(trades), np.nan)
    if market is None:
        return mae, mfe
    first, last = (np.searchsorted(market.time, t, side="right") - 1 for t in (trades.entry_time, left))
    last = np.where(closed, last, np.searchsorted(market.time, left, side="left"))
    for j, symbol in enumerate(result.symbols):
        mine = np.flatnonzero(np.asarray(trades.symbol) == j)
        if not mine.size or symbol not in market.symbols:
            continue
        column = market.symbols.index(symbol)
        prices = (trades.side[mine], trades.entry_price[mine], trades.exit_price[mine])
        low, high = market.low[:, column], market.high[:, column]
        mae[mine], mfe[mine] = metrics.excursions(*prices, first[mine], last[mine], low, high)
    return mae, mfe
