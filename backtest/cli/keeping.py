"""What becomes of runs that were made: counted as trials, judged, kept in a folder each with a report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.errors import LevelbreakError, ResultsError

if TYPE_CHECKING:
    from backtest.analysis import Assessment, Summary
    from backtest.analysis.compare import Comparison
    from backtest.model.config import RunConfig
    from backtest.model.market import Market
    from backtest.report.html import RunView
    from backtest.runner import Ran

__all__ = ["Beside", "Kept", "beside", "identity_of", "keep_runs", "watched"]


@dataclass(frozen=True, eq=False)
class Kept:
    """A run that was kept: its figures, what they are worth, the folder, and how a report sees it."""

    summary: "Summary"
    assessment: "Assessment"
    folder: Path
    view: "RunView"


def keep_runs(done: "Sequence[tuple[str, Ran]]", results: Path | None) -> "list[Kept | LevelbreakError]":
    """Count the runs as trials, judge each by all trials of its strategy on its data, and write its folder.

    done: pairs of a strategy's name or path and its run. All are counted before one is judged, so that it makes no
    difference in which order strategies are named. A strategy that can't name its levels is no reason to lose the others:
    its error stands in its place, and its run stays counted.
    """
    from backtest.model.memo import Memo
    from backtest.plugins import describe_strategy

    digests = [describe_strategy(name).source_sha256 for name, _ in done]
    count_trials([ran for _, ran in done], digests, results)
    memos: dict[int, Memo] = {}  # runs on one market share what their reports ask of it
    kept = []
    for (_, ran), digest in zip(done, digests, strict=True):
        with memos.setdefault(id(ran.market), Memo(ran.market)).active():
            kept.append(keep(ran, digest, results))
    return kept


def count_trials(ran: "Sequence[Ran]", digests: Sequence[str], results: Path | None) -> None:
    from backtest.analysis.metrics import daily_returns
    from backtest.analysis.significance import moments
    from backtest.catalogue import record_trials, trial_of

    trials, when = [], datetime.now(UTC).isoformat(timespec="milliseconds")
    for one, digest in zip(ran, digests, strict=True):
        r = one.result
        _, earned = daily_returns(r.time, r.interval, r.equity_values, r.venue.cash)
        trials.append(trial_of(r, moments(earned).sharpe, earned.size, source=digest, created=when))
    record_trials(results, trials)


def keep(ran: "Ran", digest: str, results: Path | None) -> "Kept | LevelbreakError":
    result = ran.result
    try:
        levels = watched(ran.strategy, ran.market, result.config)
    except LevelbreakError as error:
        return error
    return judged(ran, levels, digest, results)


def judged(ran: "Ran", levels: dict[str, Any], digest: str, results: Path | None) -> Kept:
    from backtest.analysis import analyze, assess
    from backtest.catalogue import ASSESSMENT, REPORT, load_trials, market_hash, run_id, save_run
    from backtest.market import load_crises
    from backtest.report.html import view_of, write_report

    result = ran.result
    summary = analyze(result)
    trials = load_trials(results, summary.strategy, market_hash(result.passport))
    assessment = assess(result, ran.market, levels or None, load_crises(), trials=trials)
    view = view_of(result, summary, assessment=assessment, levels=levels, identity=run_id(result, digest))
    worth = assessment.to_dict()
    files = {ASSESSMENT: json.dumps(worth, allow_nan=False) + "\n", REPORT: write_report(None, view, ran.market)}
    told = {**summary.to_dict(), "luck": worth["luck"]}
    folder = save_run(result, told, results, source=digest, files=files)
    return Kept(summary, assessment, folder, view)


def watched(strategy: Any, market: "Market", config: "RunConfig | None") -> dict[str, Any]:
    """Return the levels that the strategy looks at, by symbol; what its method raises is blamed on its file."""
    from backtest.analysis.chart_data import watched_levels
    from backtest.plugins import blamed, origin

    with blamed(*origin(type(strategy)), "failed while it named its levels"):
        return watched_levels(strategy, market, config)


@dataclass(frozen=True, eq=False)
class Beside:
    """Runs set beside each other, and the page that shows them so; None where it can't be written, which problem says."""

    found: "Comparison"
    page: Path | None
    problem: str = ""


def beside(kept: Sequence[Kept], results: Path | None) -> Beside:
    """Compare runs that were kept, and write the page; where that fails the runs are there all the same."""
    from backtest.analysis.compare import compare
    from backtest.catalogue import results_folder
    from backtest.report.html import write_report

    views = [one.view for one in kept]
    found = compare(views)
    page = results_folder(results) / f"compare_{identity_of(views)}.html"
    try:
        write_report(page, views, compared=found)
    except ResultsError as error:
        return Beside(found, None, str(error))
    return Beside(found, page)


def identity_of(views: "Sequence[RunView]") -> str:
    """Return an id of a set of runs, whatever the order in which they are named."""
    from hashlib import sha256

    return sha256("\n".join(sorted(view.identity for view in views)).encode()).hexdigest()[:10]
