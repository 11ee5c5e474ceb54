"""Write a report."""

import os
from collections.abc import Sequence
from pathlib import Path

from backtest.analysis.compare import Comparison
from backtest.catalogue import SavedRun
from backtest.errors import ResultsError
from backtest.model.market import Market
from backtest.model.result import Result
from backtest.report.html.page import render, report_of
from backtest.report.html.view import RunView, view_of

__all__ = ["write_report"]


def write_report(
    path: str | os.PathLike[str] | None,
    runs: RunView | Result | SavedRun | Sequence[RunView | Result | SavedRun],
    market: Market | None = None,
    *,
    compared: Comparison | None = None,
) -> str:
    """Write the report of one run, or the comparison of several, to a file, and return its text.

    path: None only returns the text; runs: views, results or saved runs; market: of a single run, for its chart; compared:
    of several, what `compare` made of them. The same runs give the same bytes. Where nothing can be written it is a
    ResultsError, and an older file stays as it was.
    """
    several = [runs] if isinstance(runs, (RunView, Result, SavedRun)) else list(runs)
    views = [run if isinstance(run, RunView) else view_of(run) for run in several]
    text = render(report_of(views, market, compared))
    if path is not None:
        replace_file(Path(path), text)
    return text


def replace_file(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ResultsError(f"The report {path} can't be written: {error.strerror}.") from error
