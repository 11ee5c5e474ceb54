"""Everything that can be said about a run: its figures, drawdowns, months, trades, where the money came from, and luck."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.analysis import metrics
from backtest.analysis.attribution import Attribution, Window, attribution_of
from backtest.analysis.round_trips import TRADE_FIGURES, round_trips
from backtest.analysis.summary import METRICS, analyze, as_plain
from backtest.analysis.traded_levels import traded_levels
from backtest.levels import Levels
from backtest.model.arrays import HOUR, Float
from backtest.model.market import Market
from backtest.model.result import Result
from backtest.model.trials import Trials

if TYPE_CHECKING:
    from backtest.analysis.significance import Luck

__all__ = ["DEEPEST", "TRADE_FIGURES", "Assessment", "Drawdown", "assess"]

DEEPEST = 10
"""Drawdowns that are listed [D]."""
DAYS_A_YEAR = 365.0


@dataclass(frozen=True)
class Drawdown:
    """One fall of the equity: start, trough, recovery: ns UTC, open times of the bars of the peak, of the lowest equity and of the
    first one back at the peak (None while there is none; the start of a fall from the cash is the first bar); depth: fraction
    from -1 to 0; fall: quote units; bars: at whose close the equity was below the peak.
    """

    start: int
    trough: int
    recovery: int | None
    depth: float
    fall: float
    bars: int


@dataclass(frozen=True)
class Assessment:
    """A run judged.

    metrics: name -> number, those of `Summary` and more: fractions and quote units, NaN where undefined; drawdowns: the
    deepest, the deepest first; trade_stats: "side", "level", "rung" -> label -> figure of `TRADE_FIGURES` -> number, of the
    closed trades ("all", "long", "short"; level and rung only where they can be told); months: (year, month, return) in
    UTC; attribution: the parts of the change of equity; luck: whether it is better than luck, None where not asked for.
    """

    metrics: Mapping[str, float]
    drawdowns: Sequence[Drawdown]
    trade_stats: Mapping[str, Mapping[str, Mapping[str, float]]]
    months: Sequence[tuple[int, int, float]]
    attribution: Attribution
    luck: "Luck | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Return the assessment as plain data for JSON: NaN and infinite as None."""
        plain: dict[str, Any] = {
            "metrics": self.metrics,
            "drawdowns": [asdict(one) for one in self.drawdowns],
            "trade_stats": self.trade_stats,
            "months": [list(month) for month in self.months],
            "attribution": self.attribution.to_dict(),
        }
        return {**as_plain(plain), "luck": None if self.luck is None else self.luck.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Assessment":
        """Return the assessment that `to_dict` wrote; None is NaN again. A missing field is a KeyError."""
        from backtest.analysis.significance import Luck

        stats = {g: {k: known(row) for k, row in rows.items()} for g, rows in data["trade_stats"].items()}
        luck = data["luck"]
        return cls(
            metrics=known(data["metrics"]),
            drawdowns=[Drawdown(**one) for one in data["drawdowns"]],
            trade_stats=stats,
            months=[(year, month, math.nan if r is None else r) for year, month, r in data["months"]],
            attribution=Attribution.from_dict(data["attribution"]),
            luck=None if luck is None else Luck.from_dict(luck),
        )


def known(row: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in row.items()}


def assess(
    result: Result,
    market: Market | None = None,
    levels: Mapping[str, Levels] | Levels | None = None,
    crises: Iterable[Window] = (),
    *,
    trials: Trials | None = None,
    seed: int = 0,
    luck: bool = True,
) -> Assessment:
    """Return everything that can be said about a run.

    market: the one that was run on, for MAE, MFE and the regimes (NaN and None without it); levels: the tables that the
    strategy watched, by symbol, for the figures by level and rung; crises: named windows, as `load_crises` gives them;
    trials: how often it was tried; seed: of the bootstrap; luck: whether to judge it, which takes the most time.
    """
    traded = traded_levels(result, market, levels) if market is not None and levels is not None else None
    curve = (result.time, result.interval, result.equity_values, result.venue.cash)
    _, earned = metrics.daily_returns(*curve)
    trips, falls = round_trips(result, market), metrics.drawdowns(result.equity_values, result.venue.cash)
    stats, headline = trips.stats(traded), run_figures(result)
    ways_down = drawdown_figures(result, falls, headline["cagr"])
    return Assessment(
        # The headline figures last: of trades, they count the open ones too.
        metrics={**stats["side"]["all"], **ways_down, **day_figures(earned), **held_figures(result), **headline},
        drawdowns=deepest(result, falls),
        trade_stats=stats,
        months=metrics.monthly_returns(*curve),
        attribution=attribution_of(result, market, crises, traded),
        luck=judged(earned, int(np.count_nonzero(trips.closed)), trials, seed) if luck else None,
    )


def judged(earned: Float, trades: int, trials: Trials | None, seed: int) -> "Luck":
    from backtest.analysis.significance import judge  # imported late: it imports numba

    return judge(earned, trades=trades, trials=trials, seed=seed)


def run_figures(result: Result) -> dict[str, float]:
    """Return the headline figures, those of the summary."""
    summary = analyze(result)
    return {name: float(getattr(summary, name)) for name in METRICS}


def drawdown_figures(result: Result, falls: metrics.Drawdowns, yearly: float) -> dict[str, float]:
    """Return the figures of the way down; hours are those of bars."""
    n, hours = len(result), result.interval / HOUR
    index = metrics.ulcer(result.equity_values, result.venue.cash)
    return {
        "ulcer": index,
        "martin": metrics.martin(yearly, index),
        "max_drawdown_quote": float(np.max(falls.fall, initial=0.0)) if n else math.nan,
        "drawdowns": float(len(falls)),
        "time_under_water": float(np.sum(falls.bars)) / n if n else math.nan,
        "longest_under_water_hours": float(np.max(falls.bars, initial=0)) * hours if n else math.nan,
    }


def day_figures(earned: Float) -> dict[str, float]:
    """Return the figures of the UTC days; ratios are yearly, a year has 365 of them."""
    some = earned.size > 0
    return {
        "days": float(earned.size),
        "sharpe_daily": metrics.sharpe(earned, DAYS_A_YEAR),
        "sharpe_lo": metrics.sharpe_lo(earned, DAYS_A_YEAR),
        "sortino_daily": metrics.sortino(earned, DAYS_A_YEAR),
        "volatility_daily": metrics.volatility(earned, DAYS_A_YEAR),
        "omega_daily": metrics.omega(earned),
        "var_95_daily": metrics.value_at_risk(earned, 0.05),
        "cvar_95_daily": metrics.conditional_value_at_risk(earned, 0.05),
        "var_99_daily": metrics.value_at_risk(earned, 0.01),
        "cvar_99_daily": metrics.conditional_value_at_risk(earned, 0.01),
        "best_day": float(np.max(earned)) if some else math.nan,
        "worst_day": float(np.min(earned)) if some else math.nan,
        "winning_days": float(np.mean(earned > 0)) if some else math.nan,
    }


def held_figures(result: Result) -> dict[str, float]:
    """Return how much was held, by side, and how much was traded."""
    n, trades = len(result), result.trades_table
    bar, symbol, quantity = result.position_bar, result.position_symbol, result.position_quantity
    traded = metrics.traded_notional(symbol, quantity, trades.symbol, trades.entry_price, trades.exit_price)
    years = (int(result.time[-1]) - int(result.time[0]) + result.interval) / metrics.YEAR if n else math.nan
    mean = float(np.mean(result.equity_values)) if n else math.nan
    return {
        "exposure_long": metrics.exposure(bar, symbol, np.maximum(quantity, 0.0), n),
        "exposure_short": metrics.exposure(bar, symbol, np.minimum(quantity, 0.0), n),
        "traded_notional": traded,
        "turnover": metrics.turnover(traded, mean, years),
    }


def deepest(result: Result, falls: metrics.Drawdowns) -> list[Drawdown]:
    found, time = falls.deepest(DEEPEST), result.time
    rows = zip(
        *(x.tolist() for x in (found.start, found.trough, found.recovery, found.depth, found.fall, found.bars)),
        strict=True,
    )
    return [
        Drawdown(int(time[max(start, 0)]), int(time[trough]), None if back < 0 else int(time[back]), depth, fall, bars)
        for start, trough, back, depth, fall, bars in rows
    ]
