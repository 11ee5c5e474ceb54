"""A sweep shown again, from what its folder keeps: nothing is judged, counted as a trial or written."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backtest.cli.swept import (
    PAGE,
    WORTH,
    Asked,
    Ending,
    Standing,
    looked_at,
    pictured,
    read_json,
    told_of,
    unchosen,
    untold,
    viewed,
)
from backtest.errors import LevelbreakError

if TYPE_CHECKING:
    from backtest.sweep import Sweep

__all__ = ["show_sweep"]

SIMULATED = "SIMULATED MARKET: prices or other series were made by a generator; the figures say nothing about the past."


def show_sweep(found: "Sweep") -> Ending:
    """Return what is told of a sweep that was made before, ranked by the figure that was judged; its page stays as it is.

    Where a strategy, the data, the venue or this package is not what the sweep was made with, nothing is run: figures of
    today would stand beside rows of then.
    """
    from backtest.sweep.scale import Points

    asked = asked_before(found)
    space, points, best = found.space, Points(found), found.best(asked.by, asked.top)
    changed = change(found)
    stand = Standing((), {}, (), {}, changed) if changed else Standing.of(space, looked_at(space, points, asked.by))
    overfitting = kept_worth(found, best, asked, bool(changed))
    view = viewed(found, points, best, stand, asked, overfitting)
    page = found.folder / PAGE
    return Ending(view, pictured(points, asked), overfitting, page if page.is_file() else None, stand.problem)


def asked_before(found: "Sweep") -> Asked:
    from backtest.sweep import FIGURES

    by = read_json(found.folder / WORTH).get("by")
    return Asked(by=by) if by in FIGURES else Asked()


def change(found: "Sweep") -> str:
    """Return a sentence where the same space would be another sweep today, empty where it is the same."""
    from backtest.sweep import make_task
    from backtest.sweep.store import ASKED

    began = tomllib.loads((found.folder / ASKED).read_text(encoding="utf-8")).get("id")
    try:
        today = make_task(found.space).id
    except LevelbreakError as error:
        return f"Only what this sweep kept is shown, since what it was made of can't be loaded from here: {error}"
    if today == began:
        return ""
    return (
        "Only what this sweep kept is shown: its strategy, data, venue or version of levelbreak is not what it was made with. "
        f"Today the same command would make another sweep, {today}."
    )


def kept_worth(found: "Sweep", best: Sequence[int], asked: Asked, changed: bool) -> Mapping[str, Any]:
    """Return the overfitting figures as they were kept, or the sentence that says why there are none."""
    if why := unchosen(found.space, best, asked):
        return untold(why)
    kept = read_json(found.folder / WORTH)
    point = kept["of"]["best"] if kept else -1
    if not 0 <= point < found.space.count:
        how = "it would be another sweep that is judged today" if changed else "the same sweep command judges it"
        return untold(f"No overfitting figures of this sweep are kept; {how}.")
    first = [SIMULATED] if changed and kept.get("grade") == "D" else []
    if point != best[0]:
        first.append(f"What was judged is point {point}, not the first one above.")
    figures = kept["figures"]
    return told_of(found.space, point, {**figures, "sentences": [*first, *figures["sentences"]]})
