"""What a report takes of a run, as plain data, whether the run has just ended or is read back from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backtest.analysis.assess import Assessment
from backtest.analysis.chart_data import named_levels
from backtest.analysis.summary import Summary, analyze
from backtest.catalogue import SavedRun
from backtest.errors import ResultsError
from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.config import RunConfig
from backtest.model.passport import Passport, Series
from backtest.model.result import EXIT_REASONS, Result, Trades

__all__ = ["RunView", "view_of"]

OPEN = EXIT_REASONS.index("open")


@dataclass(frozen=True, eq=False)
class RunView:
    """One run as a report sees it.

    time: (k,) ns UTC, open times of the scored bars; equity: (k,) quote units, marked at each bar's close; assessment: of
    `backtest.analysis.assess`, None where there is none; levels: by symbol, those that the strategy looks at; identity: the
    run's id, empty where it was not saved.
    """

    summary: Summary
    time: Int64
    equity: Float
    trades: Trades
    passport: Passport
    config: RunConfig | None = None
    assessment: Assessment | None = None
    levels: Mapping[str, Any] = field(default_factory=dict)
    identity: str = ""

    @property
    def closed(self) -> BoolArray:
        """(t,) whether each trade has ended."""
        return np.asarray(np.asarray(self.trades.reason) != OPEN, np.bool_)

    @property
    def trade_returns(self) -> Float:
        """(t,) each trade's net PnL as a fraction of what its largest size was worth at the entry; NaN where that is 0."""
        worth = self.trades.quantity * self.trades.entry_price
        there = np.isfinite(worth) & (worth > 0)
        return np.where(there, self.trades.pnl / np.where(there, worth, 1.0), np.nan)

    @property
    def drawdown(self) -> Float:
        """(k,) equity / highest equity so far - 1, the starting cash included."""
        if self.equity.size == 0:
            return self.equity
        return self.equity / np.maximum.accumulate(np.maximum(self.equity, self.summary.cash)) - 1.0

    @property
    def ruined_bar(self) -> int | None:
        """The first bar at whose close nothing was left."""
        gone = np.flatnonzero(self.equity <= 0)
        return int(gone[0]) if gone.size else None

    @property
    def traded(self) -> dict[str, int]:
        """Symbol -> number of trades, of every symbol of the run."""
        counts = np.bincount(np.asarray(self.trades.symbol), minlength=len(self.symbols))
        return {symbol: int(n) for symbol, n in zip(self.symbols, counts, strict=True)}

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.trades.symbols)


def view_of(
    run: Result | SavedRun,
    summary: Summary | None = None,
    *,
    assessment: Assessment | None = None,
    levels: Mapping[str, Any] | None = None,
    identity: str = "",
) -> RunView:
    """Return what a report takes of a run, live or saved.

    levels: by symbol, by default the prices of the configuration's `levels`. A saved run whose files lack a part is a
    ResultsError.
    """
    view = saved_view(run) if isinstance(run, SavedRun) else live_view(run)
    config, symbols = view["config"], view["trades"].symbols
    known = levels if levels is not None else {} if config is None else named_levels(config, symbols)
    found = {"summary": summary or view.pop("summary", None) or analyze(run), "identity": identity}  # type: ignore[arg-type]
    judged = assessment if assessment is not None else view.pop("assessment", None)
    parts = {k: v for k, v in view.items() if k not in ("summary", "assessment")}
    return RunView(**{**found, **parts}, assessment=judged, levels=known)


def live_view(result: Result) -> dict[str, Any]:
    parts = {name: getattr(result, name) for name in ("time", "passport", "config")}
    return {**parts, "equity": result.equity_values, "trades": result.trades_table}


def saved_view(saved: SavedRun) -> dict[str, Any]:
    """Return the parts of a view that a run's folder holds."""
    try:
        summary = Summary.from_dict(saved.summary)
        told = saved.summary["passport"]["series"]
        series = tuple(Series(**{**line, "findings": tuple(line.get("findings", ()))}) for line in told)
        equity = saved.table("equity")
        return {
            "summary": summary,
            "time": equity["time"].to_numpy("datetime64[ns]").astype(np.int64),
            "equity": equity["equity"].to_numpy(np.float64),
            "trades": trades_of(saved.table("trades"), tuple(summary.symbols)),
            "passport": Passport(series),
            "config": saved.config,
            "identity": saved.id,
            "assessment": None if saved.assessment is None else Assessment.from_dict(saved.assessment),
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ResultsError(f"The files of {saved.path.name} lack {error}; run it again.") from error


def trades_of(frame: Any, symbols: tuple[str, ...]) -> Trades:
    """Return the table of trades that a run's Parquet file holds, names as codes again."""
    names = tuple(dict.fromkeys((*symbols, *frame["symbol"])))

    def times(name: str) -> Int64:
        return np.asarray(frame[name].to_numpy("datetime64[ns]").astype(np.int64))

    columns: dict[str, Any] = {name: frame[name].to_numpy() for name in NUMBERS}
    columns["symbol"] = np.array([names.index(s) for s in frame["symbol"]], dtype=np.int32)
    columns["side"] = np.array([1 if side == "long" else -1 for side in frame["side"]], dtype=np.int8)
    columns["reason"] = np.array([EXIT_REASONS.index(reason) for reason in frame["reason"]], dtype=np.int8)
    return Trades(names, entry_time=times("entry_time"), exit_time=times("exit_time"), **columns)


NUMBERS = (
    "trade",
    "quantity",
    "entry_price",
    "exit_price",
    "pnl",
    "fees",
    "funding",
    "slippage",
    "entry_bar",
    "exit_bar",
)
