"""Sweeps for the tests of heat maps: rows that were made by hand, or by a formula, without a run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from backtest.cli.swept import rows_of, swept
from backtest.model import RunConfig
from backtest.report.sweep import SweepView
from backtest.sweep.atlas import atlas
from backtest.sweep.axes import Axis
from backtest.sweep.point import FIGURES
from backtest.sweep.rows import column_of, schema_of
from backtest.sweep.scale import Points
from backtest.sweep.space import Space
from backtest.sweep.store import Sweep


@dataclass(frozen=True)
class Made(Sweep):
    """A sweep whose rows are in memory."""

    rows: pa.Table = None

    def table(self, columns=None):
        names = [n for n in self.rows.column_names if n != "seconds"] if columns is None else list(columns)
        return self.rows.select(names)


def made(
    axes,
    sharpe,
    *,
    trades=50,
    errors=None,
    strategies=("shorter",),
    markets=("m",),
    takes=(),
    sample=None,
    folder=".",
    **figures,
):
    """Return a sweep of every combination of axes, each name -> values or an Axis, with figures in the order of the points.

    sharpe, trades and other figures: one value for all, or one a point; errors: point -> its sentence, and then no figures.
    """
    sides = tuple(one if isinstance(one, Axis) else Axis(name, tuple(one)) for name, one in axes.items())
    space = Space(strategies, markets, sides, RunConfig("shorter"), sample, takes)
    n, errors = space.count, errors or {}
    given = {"sharpe": sharpe, "trades": trades, **figures}
    points = [space.values(i) for i in range(n)] if n <= 20_000 else None
    columns = []
    for field in (schema := schema_of(space)):
        name, whole = field.name, pa.types.is_integer(field.type)
        if points is not None and name in points[0]:
            values = [listed(one[name]) for one in points]
        elif name == "point":
            values = list(range(n))
        elif field.type == pa.string():
            values = [errors.get(i, "") if name == "error" else f"run{i}" for i in range(n)]
        else:
            one = given.get(name, given.get(name.removesuffix("_worst").removesuffix("_best"), 0))
            every = np.broadcast_to(np.asarray(one, np.float64), (n,)).tolist()
            failed = None if whole else np.nan
            values = [failed if i in errors else int(v) if whole else v for i, v in enumerate(every)]
        columns.append(column_of(values, field.type))
    assert len(FIGURES) == 48
    return Made(Path(folder), space, pa.Table.from_arrays(columns, schema=schema))


def listed(value):
    return list(value) if isinstance(value, tuple) else value


def made_view(sweep, by="sharpe", **more):
    """Return what a report takes of such a sweep, its market gone."""
    points = Points(sweep)
    maps = atlas(points, by)
    best = sweep.best(by, 10)
    failures = {"it failed: <img src=x onerror=alert(1)>": int(points.failed.sum())} if points.failed.any() else {}
    facts = {"folder": sweep.folder, "strategies": sweep.space.strategies, "markets": sweep.space.markets}
    counts = {
        "points": sweep.space.count,
        "done": points.failed.size,
        "failed": int(points.failed.sum()),
        "ambiguous": 0,
    }
    told = {"by": by, "axes": points.names, "rows": rows_of(sweep, best), "failures": failures}
    shown = {"maps": maps.maps, "no_map": maps.none, "map_note": maps.note}
    swept_axes = [swept(axis) for axis in sweep.space.axes]
    return SweepView(**facts, **counts, **told, **shown, swept=swept_axes, worth=("Nothing was judged.",), **more)
