"""A run in figures: what a table, a file or a comparison shows of a result."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from backtest.analysis import metrics
from backtest.model import Score
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS, MEMO_KINDS, REJECTION_REASONS, Result
from backtest.model.standing import SUBJECTS, standing

__all__ = ["METRICS", "Summary", "analyze", "figures"]

# The figures of the contract, in the order in which they are shown.
METRICS = (
    "total_return",
    "cagr",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "trades",
    "win_rate",
    "exposure",
    "funding_paid",
    "fees",
    "liquidations",
    "volatility",
    "open_trades",
    "final_equity",
    "unrealised",
)


@dataclass(frozen=True)
class Summary:
    """One run in figures: fractions and quote units, NaN where a figure is undefined.

    start, end: ns UTC, first bar's open and last bar's close; bars: scored ones; trades: all, open ones included;
    win_rate: of the closed ones; exposure: fraction of bars at whose close a position was held; funding_paid, fees:
    positive is paid, negative received; unrealised: of the positions still open; pnl_by_kind: sum of the ledger's
    amounts by kind, together the change of the wallet; memo: what is already inside (slippage); rejections: rows that
    came to nothing, by reason; assumptions: name -> count; findings: what is wrong with the data; standing: subject of
    the data (price, mark, funding, ...) -> origin -> number of symbols; settings: of venue, account and engine; worst, best:
    the figures of `METRICS` with the less and the more favourable order of two events inside one bar, empty where not known.
    """

    strategy: str
    market: str
    grade: str
    start: int
    end: int
    interval: int
    bars: int
    cash: float
    final_equity: float
    unrealised: float
    total_return: float
    cagr: float
    volatility: float
    sharpe: float
    sortino: float
    max_drawdown: float
    calmar: float
    trades: int
    open_trades: int
    win_rate: float
    exposure: float
    funding_paid: float
    fees: float
    liquidations: int
    pnl_by_kind: Mapping[str, float]
    memo: Mapping[str, float]
    rejections: Mapping[str, int]
    assumptions: Mapping[str, int]
    findings: tuple[str, ...] = ()
    tier_tables: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    standing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    worst: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data for JSON: the figures under "metrics", NaN and infinite as None."""
        plain = {f.name: as_plain(getattr(self, f.name)) for f in fields(self)}
        figures = {name: plain.pop(name) for name in METRICS}
        return {**plain, "metrics": figures}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Summary":
        """Return the summary that `to_dict` wrote; None is NaN again. A missing field is a KeyError."""
        flat = {**data, **known_numbers(data["metrics"])}
        flat = {"standing": {}, "worst": {}, "best": {}, **flat}  # a run of an earlier version does not say them
        flat |= {order: known_numbers(flat[order]) for order in ("worst", "best")}
        values: dict[str, Any] = {f.name: flat[f.name] for f in fields(cls)}
        for name in ("findings", "tier_tables", "symbols"):
            values[name] = tuple(values[name])
        return cls(**values)


def known_numbers(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in figures.items()}


def as_plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): as_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_plain(v) for v in value]
    return value


def analyze(result: Result) -> Summary:
    """Return the figures of a result; everything is measured on the scored bars, from `trade_from` on.

    Of an equity of n bars the four sums behind return, risk and drawdown come out of one compiled pass.
    """
    config = result.config
    own = performance(result) | trading(result) | money(result)
    return Summary(
        strategy=config.strategy if config else "plan",
        market=result.market_name,
        grade=result.passport.grade,
        findings=findings_of(result),
        tier_tables=tuple(result.tier_tables),
        symbols=tuple(result.symbols),
        parameters=dict(config.parameters) if config else {},
        settings=venue_settings(result),
        standing=standing_of(result),
        assumptions={name: int(count) for name, count in result.assumptions.items()},
        rejections=counts(result.rejections_table.reason, REJECTION_REASONS),
        worst=in_order(result, "worst", own),
        best=in_order(result, "best", own),
        **span(result),
        **own,
    )


def in_order(result: Result, order: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures with another order of events inside a bar: the run's own where that makes no difference."""
    alone = result.venue.intrabar == order or (
        result.venue.intrabar != "fine" and not result.assumptions.get("ambiguous_bars", 0)
    )
    if order in result.orders:
        other = result.orders[order]
        own = performance(other) | trading(other) | money(other)
    elif not alone:
        return {}
    return {name: own[name] for name in METRICS}


def findings_of(result: Result) -> tuple[str, ...]:
    """Return what is wrong with the data; how the tiers stand is an assumption of its own."""
    return tuple(f for s in result.passport.series if not s.name.endswith(".tiers") for f in s.findings)


def standing_of(result: Result) -> dict[str, dict[str, int]]:
    """Return, by subject of the data, how many symbols it is real, proxy, simulated, assumed or missing for."""
    found: dict[str, dict[str, int]] = {}
    for one in standing(result.passport, result.symbols):
        if one.subject in SUBJECTS:
            of = found.setdefault(one.subject, {})
            of[one.origin] = of.get(one.origin, 0) + 1
    return found


def venue_settings(result: Result) -> dict[str, Any]:
    venue = result.venue
    names = ("name", "leverage", "margin_mode", "intrabar", "maker", "taker", "slippage")
    settings = {"venue" if name == "name" else name: getattr(venue, name) for name in names}
    return settings | {"engine": result.config.engine, "seed": result.config.seed} if result.config else settings


def span(result: Result) -> dict[str, Any]:
    start = int(result.time[0]) if len(result) else 0
    end = int(result.time[-1]) + result.interval if len(result) else 0
    return {"start": start, "end": end, "interval": result.interval, "bars": len(result), "cash": result.venue.cash}


def performance(result: Result) -> dict[str, Any]:
    from backtest.analysis.kernels import equity_moments

    n, cash = len(result), result.venue.cash
    if n == 0:
        names = ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar", "exposure")
        return dict.fromkeys(names, math.nan) | {"final_equity": cash, "unrealised": cash - result.final_wallet}
    moments = equity_moments(np.ascontiguousarray(result.equity_values), cash)
    final = float(result.equity_values[-1])
    years = (int(result.time[-1]) - int(result.time[0]) + result.interval) / metrics.YEAR
    exposure = metrics.exposure(result.position_bar, result.position_symbol, result.position_quantity, n)
    figures = risk_and_return(moments, n, cash, final, years, metrics.periods_a_year(result.interval))
    return figures | {"unrealised": final - result.final_wallet, "exposure": exposure}


def risk_and_return(
    moments: tuple[float, float, float, float], n: int, cash: float, final: float, years: float, periods: float
) -> dict[str, Any]:
    """The figures that follow from the mean return, the sums of squares and of squared losses, and the worst equity / peak."""
    mean, squares, losses, worst = moments
    deviation = math.sqrt(squares / (n - 1)) if n > 1 else math.nan
    yearly = metrics.cagr(np.array([final]), cash, years)
    return {
        "final_equity": final,
        "total_return": final / cash - 1.0,
        "cagr": yearly,
        "volatility": deviation * math.sqrt(periods),
        "sharpe": metrics.ratio(mean, deviation, periods),
        "sortino": metrics.ratio(mean, math.sqrt(losses / n), periods),
        "max_drawdown": worst - 1.0,
        "calmar": metrics.calmar(yearly, worst - 1.0),
    }


def figures(score: Score) -> dict[str, Any]:
    """Return the figures of `METRICS` from a run's sums; they are those of `analyze` on the full run.

    The deviation comes from a sum of squares, so it agrees to about 1e-9 relative, not to the last digit.
    """
    years = (score.end - score.start) / metrics.YEAR
    moments = (score.mean, score.squares, score.losses, score.worst)
    periods = metrics.periods_a_year(score.interval)
    found = risk_and_return(moments, score.bars, score.cash, score.final_equity, years, periods)
    found |= {
        "unrealised": score.final_equity - score.final_wallet,
        "exposure": score.bars_held / score.bars,
        "trades": score.trades,
        "open_trades": score.trades - score.closed,
        "win_rate": score.wins / score.closed if score.closed else math.nan,
        "liquidations": score.liquidations,
        "funding_paid": 0.0 - score.totals["funding"],
        "fees": 0.0 - score.totals["fee"],
    }
    return {name: found[name] for name in METRICS}


def trading(result: Result) -> dict[str, Any]:
    reason = np.asarray(result.trades_table.reason)
    closed = reason != EXIT_REASONS.index("open")
    return {
        "trades": int(reason.size),
        "open_trades": int(reason.size - np.count_nonzero(closed)),
        "win_rate": metrics.win_rate(result.trades_table.pnl[closed]),
        "liquidations": int(np.count_nonzero(reason == EXIT_REASONS.index("liquidation"))),
    }


def money(result: Result) -> dict[str, Any]:
    sums = np.bincount(result.ledger_table.kind, weights=result.ledger_table.amount, minlength=len(LEDGER_KINDS))
    by_kind = {kind: float(amount) for kind, amount in zip(LEDGER_KINDS, sums, strict=True)}
    return {
        "pnl_by_kind": {kind: amount for kind, amount in by_kind.items() if kind not in MEMO_KINDS},
        "memo": {kind: by_kind[kind] for kind in MEMO_KINDS},
        "funding_paid": 0.0 - by_kind["funding"],
        "fees": 0.0 - by_kind["fee"],
    }


def counts(codes: Any, names: tuple[str, ...]) -> dict[str, int]:
    found = np.bincount(codes, minlength=len(names))
    return {name: int(count) for name, count in zip(names, found, strict=True) if count}
