"""Find runs: one by its name, or those of a list that a filter keeps, in the order that was asked for."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from backtest.catalogue.index import Index, read_index
from backtest.catalogue.runs import RunLine, SavedRun, read_entry, results_folder
from backtest.catalogue.toml import config_from_toml
from backtest.errors import ConfigError, LevelbreakError, ResultsError, did_you_mean

__all__ = ["Choice", "choose_runs", "find_run", "load_run", "sort_key"]

SHOWN = 8  # runs that a message names
GRADES = "ABCD"
TEXTS = ("id", "created", "strategy", "market", "grade", "note")
# Figures that any run has, and shorter names for them; a run that has more can be sorted by those too.
FIGURES = (
    "total_return", "cagr", "sharpe", "sortino", "max_drawdown", "calmar", "trades", "win_rate", "exposure",
    "funding_paid", "fees", "liquidations", "volatility", "final_equity",
)  # fmt: skip
SHORT = {"return": "total_return", "drawdown": "max_drawdown", "equity": "final_equity"}

Say = Callable[[str], None]


def load_run(run: str, results: str | os.PathLike[str] | None = None, say: Say | None = None) -> SavedRun:
    """Return the run whose id starts with `run`, or whose folder or path is `run`; "last" is the newest.

    An unknown one is a ResultsError with the nearest names, one that fits several names them all. say: called with the
    sentence of a catalogue that was of no use.
    """
    index = read_index(results)
    if say is not None and index.problem:
        say(index.problem)
    line = find_run(run, index, results)
    try:
        entry = read_entry(line.path)
    except ResultsError as error:
        raise ResultsError(f"The run {line.path.name} is broken: {error}.") from error
    try:
        config = config_from_toml((entry.path / "config.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"The run {entry.path.name} has no readable config.toml: {error}.") from error
    return SavedRun(**{f.name: getattr(entry, f.name) for f in fields(entry)}, config=config)


def find_run(run: str, index: Index, results: str | os.PathLike[str] | None = None) -> RunLine:
    """Return the run of the index that `run` names; see `load_run`."""
    for bad in index.broken:
        if run == bad.path.name:
            raise ResultsError(f"The run {run} is broken: {bad.problem}.")
    runs, place = index.runs, results_folder(results)
    if not runs:
        raise ResultsError(f"There are no runs in {place}; make one with `backtest run`.")
    if run == "last":
        return runs[-1]
    name = run.rstrip("/\\")
    found = named(name, runs, place)
    found = found or [r for r in runs if name and r.id.startswith(name)]
    found = found or [r for r in runs if name and r.path.name.startswith(name)]
    if not found:
        newest = [n for r in runs[-SHOWN:] for n in (r.id, r.path.name)]
        raise ResultsError(f"No run named {run!r} in {place}.{did_you_mean(run, newest)}")
    if len(found) > 1:
        names = ", ".join(r.path.name for r in found[-SHOWN:])
        raise ResultsError(f"{run!r} fits {len(found)} runs: {names}. Give more of the id.")
    return found[0]


def named(name: str, runs: Sequence[RunLine], results: Path) -> list[RunLine]:
    """Return the run whose folder's name or whose path this is."""
    path = Path(name)
    inside = path.name if path.parent.resolve() == results.resolve() else ""
    found = [r for r in runs if r.path.name in (name, inside)]
    if found or not os.path.isdir(path):  # Path's own raises where a name is too long for a path
        return found
    return [r for r in runs if r.path.resolve() == path.resolve()]


# --- filters -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Which runs of a list, in which order.

    strategy, market: a name, with or without its folder, `*` and `?` for anything; grade: letters, such as "A" or "AB"; since:
    ISO date or time, UTC where it names no zone; sort: a column or a figure; limit: how many, at least 1.
    """

    strategy: str | None = None
    market: str | None = None
    grade: str | None = None
    since: str | None = None
    sort: str = "created"
    reverse: bool = False
    limit: int | None = None


def choose_runs(runs: Sequence[RunLine], choice: Choice) -> list[RunLine]:
    """Return the runs that the choice keeps: the newest last, or by another key, figures from the highest down.

    A limit keeps the newest, or the first ones by the key. A run without the figure comes last. A choice that makes no sense is
    a ConfigError.
    """
    key = sort_key(choice.sort, runs)
    if choice.limit is not None and choice.limit < 1:
        raise ConfigError(f"`limit` must be at least 1, got {choice.limit}.")
    kept = filtered(runs, choice)
    if key == "created":
        newest = sorted(kept, key=lambda r: (r.created, r.path.name))[-(choice.limit or 0) :]
        return newest[::-1] if choice.reverse else newest
    return ordered(kept, key, choice.reverse)[: choice.limit]


def filtered(runs: Sequence[RunLine], choice: Choice) -> list[RunLine]:
    grades = grades_of(choice.grade) if choice.grade is not None else None
    since = moment(choice.since) if choice.since is not None else None
    return [
        r
        for r in runs
        if fits(choice.strategy, r.strategy)
        and fits(choice.market, r.market)
        and (grades is None or r.grade in grades)
        and (since is None or made(r) >= since)
    ]


def fits(pattern: str | None, name: str) -> bool:
    """Return whether a name is the one asked for, with or without its folder and its ending.

    >>> fits("break", "ideas/break.py"), fits("support_*", "support_break"), fits("break", "support_break")
    (True, True, False)
    """
    return pattern is None or any(fnmatchcase(n, pattern) for n in (name, plain_name(name))) or name == pattern


def plain_name(name: str) -> str:
    return re.sub(r"\.(py|toml)$", "", re.split(r"[/\\]", name)[-1])


def grades_of(text: str) -> tuple[str, ...]:
    letters = tuple(text.upper().replace(",", "").replace(" ", ""))
    if not letters or not set(letters) <= set(GRADES):
        raise ConfigError(f"A grade is A, B, C or D, or several of these such as AB; got {text!r}.")
    return letters


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(f"`since` must be a date such as 2026-02-28 or 2026-02-28T12:00, got {text!r}.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def made(run: RunLine) -> datetime:
    """Return when a run was made; one that does not say was made long ago."""
    try:
        return moment(run.created)
    except LevelbreakError:
        return datetime.min.replace(tzinfo=UTC)


# --- order -------------------------------------------------------------------------------------------------------


def sort_key(text: str, runs: Sequence[RunLine] = ()) -> str:
    """Return the column or figure that a word names; an unknown one is a ConfigError with the nearest.

    >>> sort_key("return"), sort_key("max-drawdown"), sort_key("Sharpe")
    ('total_return', 'max_drawdown', 'sharpe')
    """
    name = text.strip().lower().replace("-", "_")
    name = SHORT.get(name, name)
    if name in (*TEXTS, *FIGURES):
        return name
    more = {figure for run in runs for figure in run.metrics}
    if name in more:
        return name
    known = dict.fromkeys((*TEXTS, *FIGURES, *SHORT, *more))
    raise ConfigError(f"Runs can't be sorted by {text!r}.{did_you_mean(name, known)}")


def ordered(runs: Sequence[RunLine], key: str, reverse: bool) -> list[RunLine]:
    """Return the runs by a key, texts from A, figures from the highest; those that lack it last, newest first among equals."""
    newest = sorted(runs, key=lambda r: (r.created, r.path.name), reverse=True)
    if key in TEXTS:
        having = [r for r in newest if getattr(r, key)]
        there = sorted(having, key=lambda r: str(getattr(r, key)).lower(), reverse=reverse)
        return there + [r for r in newest if not getattr(r, key)]
    there = sorted((r for r in newest if figure(r, key) is not None), key=lambda r: figure(r, key), reverse=not reverse)
    return there + [r for r in newest if figure(r, key) is None]


def figure(run: RunLine, key: str) -> Any:
    return run.metrics.get(key)
