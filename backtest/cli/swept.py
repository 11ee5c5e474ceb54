"""The end of a sweep: its best points, what choosing them is worth, and its page."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.cli.app import terminal
from backtest.errors import LevelbreakError, ResultsError

if TYPE_CHECKING:
    from backtest.analysis import Summary
    from backtest.model import Market
    from backtest.model.passport import Passport
    from backtest.report.sweep import SweepView, Swept
    from backtest.sweep import Space, Sweep
    from backtest.sweep.axes import Axis
    from backtest.sweep.heat_map import HeatMap
    from backtest.sweep.scale import Points

__all__ = ["Asked", "Ending", "Pictured", "end_sweep", "print_ending"]

PAGE = "report.html"
WORTH = "overfitting.json"
AT_ONCE = 4_000_000  # numbers of a table that are read at once
LISTED = 12


@dataclass(frozen=True)
class Pictured:
    """The map that is asked for: its sides, none for those that move the figure most; its figure; what is held and how."""

    sides: tuple[str, ...] = ()
    figure: str = ""
    at: tuple[tuple[str, str], ...] = ()
    over: str = "median"


@dataclass(frozen=True)
class Asked:
    """What is asked of a finished sweep: the figure that ranks, how many of the best, the map, seconds for a point in full."""

    by: str = "sharpe"
    top: int = 10
    map: Pictured = Pictured()
    time_limit: float | None = 60.0


@dataclass(frozen=True, eq=False)
class Ending:
    """What is told of a finished sweep: how reports see it, the printed map, the overfitting figures as plain data, the page."""

    view: "SweepView"
    map: "HeatMap | None"
    overfitting: Mapping[str, Any]
    page: Path | None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        v = self.view
        counts = {"points": v.points, "done": v.done, "failed": v.failed, "ambiguous": v.ambiguous}
        return {
            "folder": str(v.folder),
            "html": self.page and str(self.page),
            "note": self.problem or None,
            **counts,
            "by": v.by,
            "best": list(v.rows),
            "failures": dict(list(v.failures.items())[:5]),
            "overfitting": self.overfitting,
            "heat": self.map and self.map.to_dict(),
        }


def end_sweep(found: "Sweep", asked: Asked, results: Path | None) -> Ending:
    """Return what is told of a finished sweep, and write its page; markets that can't be loaded any more leave their part out."""
    from backtest.report.html.sweep import write_sweep_report
    from backtest.sweep.atlas import atlas
    from backtest.sweep.scale import Points

    points, best = Points(found), found.best(asked.by, asked.top)
    stand = Standing.of(found.space, looked_at(found.space, points, asked.by))
    overfitting = worth(found, best, stand, asked, results)
    view = viewed(found, points, best, stand, asked, overfitting)
    maps = atlas(points, asked.by, view.ambiguous > 0)
    view = replace(view, maps=maps.maps, no_map=maps.none, map_note=maps.note)
    picture = pictured(points, asked)
    try:
        page, problem = write_sweep_report(found.folder / PAGE, view), ""
    except ResultsError as error:
        page, problem = None, str(error)
    return Ending(view, picture, overfitting, page, " ".join(filter(None, (stand.problem, problem))))


def viewed(
    found: "Sweep",
    points: "Points",
    best: Sequence[int],
    stand: "Standing",
    asked: Asked,
    overfitting: Mapping[str, Any],
) -> "SweepView":
    """Return how reports see a sweep, without the maps of its page."""
    from backtest.report.sweep import SweepView

    space, reasons = found.space, Counter(texts_at(found, points.failed))
    return SweepView(
        folder=found.folder, strategies=space.strategies, markets=space.markets, points=space.count,
        done=points.failed.size, failed=sum(reasons.values()), ambiguous=int((points.open_bars > 0).sum()), by=asked.by,
        axes=points.names, rows=rows_of(found, best), failures=dict(reasons.most_common()),
        swept=[swept(axis) for axis in space.axes], held=held(space), sample=sample_words(space),
        worth=overfitting["sentences"], summaries=stand.summaries, passports=stand.passports, symbols=stand.symbols,
    )  # fmt: skip


def print_ending(ending: Ending, whole: bool, followed: bool = False) -> None:
    """Print what is told of a sweep; whole: the map with its trades and spread; followed: by runs in full."""
    from backtest.report.sweep import print_sweep

    maps = [] if ending.map is None else [ending.map]
    print_sweep(ending.view, terminal(), maps, whole, ending.page, followed)


# --- rows --------------------------------------------------------------------------------------------------------


def rows_of(found: "Sweep", points: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows of some points, in that order; of a large sweep some columns at a time."""
    import numpy as np

    from backtest.sweep.columns import integers
    from backtest.sweep.rows import schema_of

    if not points:
        return []
    numbers = integers(found.table(["point"])["point"])
    places = np.searchsorted(numbers, np.array(points)).tolist()
    names = [name for name in schema_of(found.space).names if name != "seconds"]
    step = max(1, AT_ONCE // numbers.size)
    rows: list[dict[str, Any]] = [{} for _ in points]
    for first in range(0, len(names), step):
        some = found.table(names[first : first + step])
        for row, place in zip(rows, places, strict=True):  # `take` would import more than all this takes
            row |= {name: some[name][place].as_py() for name in some.column_names}
    return rows


def texts_at(found: "Sweep", rows: Any) -> list[str]:
    """Return the reasons of the points that failed."""
    column = found.table(["error"])["error"] if rows.any() else None
    return [] if column is None else [str(column[i].as_py()) for i in rows.nonzero()[0].tolist()]


def looked_at(space: "Space", points: "Points", by: str) -> dict[str, int | None]:
    """Return the best point of each market, None where it has none."""
    import numpy as np

    from backtest.sweep.heat_map import lower_is_better

    value = points.figure(by) * (-1.0 if lower_is_better(by) else 1.0)
    each = sum(space.sizes)
    found: dict[str, int | None] = {}
    for position, market in enumerate(space.markets):
        mine = np.flatnonzero((points.numbers // each == position) & np.isfinite(value))
        found[market] = int(points.numbers[mine[np.argmax(value[mine])]]) if mine.size else None
    return found


def pictured(points: "Points", asked: Asked) -> "HeatMap | None":
    """Return the map to print: the one that is asked for, else that of the axes that move the figure most, where there are two."""
    from backtest.sweep.heat_map import heat
    from backtest.sweep.movers import movers

    wanted, figure = asked.map, asked.map.figure or asked.by
    if not points.failed.size or points.failed.all() or (not wanted.sides and len(points.sides) < 2):
        return None
    sides = wanted.sides or movers(points, figure)[0]
    cells = (40, 40) if wanted.sides else (12, 12)  # whatever the terminal's width: what prints it makes it narrower
    over: Any = wanted.over
    x, y = (*sides, "")[:2]
    return heat(points, x, y, figure, at=dict(wanted.at), over=over, cells=cells)


# --- what the data are, and what choosing is worth -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Standing:
    """The markets of a sweep: of each the best point run in full and the passport; the loaded one of the first; what failed."""

    summaries: "tuple[Summary, ...]"
    passports: "Mapping[str, Passport]"
    symbols: tuple[str, ...]
    markets: "Mapping[str, Market]"
    problem: str = ""

    @classmethod
    def of(cls, space: "Space", looked: Mapping[str, int | None]) -> "Standing":
        from backtest.analysis import analyze
        from backtest.runner import market_of, run_on

        summaries, passports, symbols, problems = [], {}, dict[str, None](), []
        markets: dict[str, Market] = {}
        for name, point in looked.items():
            try:
                market = market_of(replace(space.base, market=name))
                passports[name] = market.passport
                symbols |= dict.fromkeys(market.symbols)
                if len(looked) == 1:
                    markets[name] = market
                if point is not None:
                    result = run_on(market, space.config(point))
                    passports[name] = result.passport
                    summaries.append(analyze(result))
            except LevelbreakError as error:
                problems.append(str(error))
        return cls(tuple(summaries), passports, tuple(symbols), markets, " ".join(problems))


def worth(
    found: "Sweep", best: Sequence[int], stand: Standing, asked: Asked, results: Path | None
) -> Mapping[str, Any]:
    """Return the overfitting figures of the best point as plain data, or the sentence that says why there are none.

    They are kept in the sweep's folder: the same best point among the same number of trials is not judged twice.
    """
    if why := unchosen(found.space, best, asked):
        return untold(why)
    market = found.space.markets[found.space.locate(best[0])[0]]
    try:
        told = judged(found, best[0], stand.markets.get(market), asked, results)
    except LevelbreakError as error:
        return untold(f"There are no overfitting figures: {error}")
    return told_of(found.space, best[0], told)


def unchosen(space: "Space", best: Sequence[int], asked: Asked) -> str:
    """Return why nothing was chosen, so that there is nothing to judge; empty where something was."""
    if not best:
        from backtest.report.heat import figure_name

        return f"No point that ran has the figure {figure_name(asked.by)}, so there is nothing to choose."
    market, strategy, _ = space.locate(best[0])
    if space.sizes[strategy] > 1:
        return ""
    alone = "" if space.count == 1 else f" of {space.strategies[strategy]} on {space.markets[market]}"
    return f"One point{alone} was tried, so nothing was chosen; a second one makes it a choice."


def told_of(space: "Space", point: int, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the figures of a point's choice, with the strategy and the market among which it was, where there are several."""
    if len(space.strategies) * len(space.markets) == 1:
        return told
    market, strategy, _ = space.locate(point)
    of = f"Of {space.strategies[strategy]} on {space.markets[market]}, where the best point is."
    return {**told, "sentences": [of, *told["sentences"]]}


def untold(sentence: str) -> Mapping[str, Any]:
    return {"sentences": [sentence]}


def judged(found: "Sweep", best: int, market: "Market | None", asked: Asked, results: Path | None) -> Mapping[str, Any]:
    from backtest.report.stages import stages
    from backtest.runner import market_of
    from backtest.sweep.overfit import MOST
    from backtest.sweep.tried import TrialBook
    from backtest.sweep.verdict import judge_sweep

    space, config = found.space, found.space.config(best)
    market = market_of(config) if market is None else market
    book = TrialBook(market, results)
    key = {"best": best, "trials": book.trials(config).count, "done": found.done}
    kept = found.folder / WORTH
    old = read_json(kept)
    more = {"by": asked.by, "grade": market.passport.grade}
    if old.get("of") == key:
        if old != old | more:
            write_json(kept, old | more)
        return dict(old["figures"])
    count = min(MOST, space.sizes[space.locate(best)[1]])
    with stages() as advance:
        told = judge_sweep(
            space, best, market, results, failed=failed_points(found), time_limit=asked.time_limit,
            progress=lambda done: advance("running points in full, to judge the choice", done, count),
        ).to_dict()  # fmt: skip
    key["trials"] = book.trials(config).count  # those that were judged here are among them now
    write_json(kept, {"of": key, **more, "figures": told})
    return told


def failed_points(found: "Sweep") -> frozenset[int]:
    """Return the points that have a reason instead of figures."""
    from backtest.sweep.columns import integers, lengths

    table = found.table(["point", "error"])
    return frozenset(integers(table["point"])[lengths(table["error"]) > 0].tolist())


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(found.get(name), dict) for name in ("of", "figures"))
    return found if whole and isinstance(found["of"].get("best"), int) and "sentences" in found["figures"] else {}


def write_json(path: Path, data: Any) -> None:
    """Keep what was worked out; where it can't be kept it is worked out again."""
    from backtest.report.html.write import replace_file

    try:
        replace_file(path, json.dumps(data, allow_nan=False) + "\n")
    except ResultsError:
        return


# --- words -------------------------------------------------------------------------------------------------------


def swept(axis: "Axis") -> "Swept":
    from backtest.report.sweep import Swept
    from backtest.sweep.scale import label

    name = axis.name
    if axis.span is not None:
        low, high = (label(end, 6) for end in axis.span)
        how = "drawn evenly in the logarithm" if axis.log else "drawn evenly"
        return Swept(name, 0, f"{low} to {high}, {how}{', whole numbers' if axis.whole else ''}")
    few = len(axis) <= LISTED
    some = axis.values if few else (*axis.values[:3], *axis.values[-1:])
    texts = [label(value) for value in some]
    return Swept(name, len(axis), ", ".join(texts if few else [*texts[:3], "...", texts[3]]))


def held(space: "Space") -> dict[str, str]:
    """Return the settings that every point has."""
    from backtest.sweep.scale import label

    base = space.base
    given = {
        **dict(base.parameters),
        **dict(base.account),
        "venue": base.venue,
        "engine": base.engine,
        "seed": base.seed,
    }
    given |= {"assumed funding": base.assume_funding}
    return {name: label(value) for name, value in given.items() if value is not None}


def sample_words(space: "Space") -> str:
    if space.sample is None:
        return ""
    kind, _, seed = space.sample
    return f"{'drawn at random' if kind == 'random' else 'a Latin hypercube'}, draw {seed}"
