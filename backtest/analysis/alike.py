"""What runs have in common and what they don't: names that tell them apart, shared days, and what limits a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.analysis.metrics import daily_returns
from backtest.model.arrays import DAY, Float, Int64, utc_text

if TYPE_CHECKING:
    from backtest.analysis.compare import Run

__all__ = ["Shared", "correlations", "daily", "labels", "shared_days", "what_differs"]

NOTHING = "\N{EN DASH}"
SETTINGS = ("market", "venue", "engine", "seed", "assume_funding")
FEW_DAYS = 30  # [D] as many as a verdict takes


# --- names ------------------------------------------------------------------------------------------------------


def labels(runs: Sequence["Run"]) -> tuple[str, ...]:
    """Return a name for each run: the strategy's, with the settings that differ where several have the same, each once."""
    names = [run.summary.strategy.replace("\\", "/").rsplit("/", 1)[-1].replace(".py", "") for run in runs]
    settings = [settings_of(run) for run in runs]
    found: list[str] = []
    for i, name in enumerate(names):
        same = [settings[j] for j, other in enumerate(names) if other == name]
        told = [f"{k}={settings[i].get(k, NOTHING)}" for k in differing(same)]
        label = " ".join([name, *told])
        if label in found:
            label = f"{label} ({runs[i].identity or i + 1})"
        found.append(label)
    return tuple(found)


def settings_of(run: "Run") -> dict[str, str]:
    """Return a configuration's settings, parameters and account as texts."""
    config = run.config
    if config is None:
        return {}
    plain = {name: getattr(config, name) for name in SETTINGS}
    return {k: as_text(v) for k, v in {**plain, **dict(config.parameters), **dict(config.account)}.items()}


def as_text(value: Any) -> str:
    """Return a setting as the command line takes it.

    >>> as_text((75000.0, 70000.0)), as_text(True), as_text(None)
    ('75000.0,70000.0', 'true', 'none')
    """
    if isinstance(value, (tuple, list)):
        return ",".join(as_text(v) for v in value)
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of those settings that are not the same everywhere."""
    names = dict.fromkeys(name for one in settings for name in one)
    return [name for name in names if len({str(one.get(name)) for one in settings}) > 1]


# --- days -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shared:
    """What all runs cover: whole UTC days since 1970, (n,), and start and end in ns; same: whether spans and bars are equal."""

    days: Int64
    start: int
    end: int
    same: bool


def daily(run: "Run") -> tuple[Int64, Float]:
    """Return a run's UTC days since 1970 and their returns; the first one is from its cash."""
    days, earned = daily_returns(run.time, run.summary.interval, run.equity, run.summary.cash)
    return days // DAY, earned


def shared_days(runs: Sequence["Run"]) -> Shared:
    """Return the days that all runs cover; where their spans differ, only days that each covers whole."""
    summaries = [run.summary for run in runs]
    start, end = max(s.start for s in summaries), min(s.end for s in summaries)
    days = daily(runs[0])[0]
    for other in runs[1:]:
        days = np.intersect1d(days, daily(other)[0])
    same = len({(s.start, s.end, s.interval) for s in summaries}) == 1
    if not same:
        days = days[(days * DAY >= start) & ((days + 1) * DAY <= end)]
        start, end = (int(days[0]) * DAY, (int(days[-1]) + 1) * DAY) if days.size else (0, 0)
    return Shared(days, start, end, same)


def correlations(returns: Float) -> Float:
    """Return (k, k) Pearson correlations of the columns of returns (n, k); NaN below three days and for what never moved.

    >>> correlations(np.array([[0.1, 0.02, 0.0], [-0.1, -0.02, 0.0], [0.1, 0.02, 0.0]])).round(12).tolist()
    [[1.0, 1.0, nan], [1.0, 1.0, nan], [nan, nan, nan]]
    """
    n, k = returns.shape
    found = np.full((k, k), np.nan)
    moved = np.flatnonzero(np.ptp(returns, axis=0) > 0) if n >= 3 else np.empty(0, np.int64)
    if moved.size:
        found[np.ix_(moved, moved)] = np.clip(np.corrcoef(returns[:, moved], rowvar=False), -1.0, 1.0)
    return found


# --- sentences --------------------------------------------------------------------------------------------------


def what_differs(runs: Sequence["Run"], shared: Shared) -> tuple[str, ...]:
    """Return what limits a comparison of the runs, in sentences: spans, markets, data, accounts, too few days."""
    return (*span_notes(runs, shared), *market_notes(runs), *account_notes(runs))


def span_notes(runs: Sequence["Run"], shared: Shared) -> list[str]:
    if not shared.days.size:
        spans = ", ".join(sorted({f"{utc_text(r.summary.start)} to {utc_text(r.summary.end)}" for r in runs}))
        return [f"They share no day ({spans}), so they can't be compared: each row is of its own span, and unranked."]
    n, notes = int(shared.days.size), []
    if not shared.same:
        notes.append(
            f"Their spans or bars differ: return, risk and drawdown are of the {n:,} days that all of them cover, "
            f"{utc_text(shared.start)[:10]} to {utc_text(shared.end)[:10]}, from daily equity; the rest is of each own span."
        )
    if n < FEW_DAYS:
        days = "1 day" if n == 1 else f"{n} days"
        notes.append(f"They share {days} only; the intervals say less than they seem to.")
    return notes


def market_notes(runs: Sequence["Run"]) -> list[str]:
    markets = sorted({run.summary.market for run in runs})
    if len(markets) > 1:
        names = ", ".join(markets)
        return [f"They ran on different markets ({names}): what differs may be the markets' and not the strategies'."]
    data = {tuple((s.name, s.origin, s.sha256) for s in run.passport.series) for run in runs}
    if len(data) > 1:
        return [f"The data of {markets[0]} are not the same in all of them: part of what differs is the data's."]
    return []


def account_notes(runs: Sequence["Run"]) -> list[str]:
    settings = [{**run.summary.settings, "cash": run.summary.cash} for run in runs]
    names = [name for name in differing(settings) if name not in ("engine", "seed")]
    if not names:
        return []
    told = ", ".join(name.replace("_", " ") for name in names)
    return [f"Their venues or accounts differ in {told}."]
