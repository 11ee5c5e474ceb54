"""Sweeps: a strategy's figures over many combinations of its parameters, on one core or many."""

import importlib
from typing import TYPE_CHECKING, Any

from backtest.sweep.axes import Axis, read_axis
from backtest.sweep.point import FIGURES, Row, Scorer, score_point
from backtest.sweep.space import Space, make_space
from backtest.sweep.store import Sweep, load_sweep
from backtest.sweep.sweep import TIME_LIMIT, Progress, make_task, sweep
from backtest.sweep.work import Chunk, ChunkDone, Executor, Task, Worker

if TYPE_CHECKING:
    from backtest.sweep.forward import Forward, Walk, walk_forward
    from backtest.sweep.heat_map import HeatMap, heat
    from backtest.sweep.keep import keep_forward
    from backtest.sweep.objectives import Constraint, read_constraint
    from backtest.sweep.optimisation import Optimisation, optimise
    from backtest.sweep.overfit import Overfitting
    from backtest.sweep.study import Search
    from backtest.sweep.verdict import judge_sweep

__all__ = [
    "FIGURES",
    "TIME_LIMIT",
    "Axis",
    "Chunk",
    "ChunkDone",
    "Constraint",
    "Executor",
    "Forward",
    "HeatMap",
    "Optimisation",
    "Overfitting",
    "Progress",
    "Row",
    "Scorer",
    "Search",
    "Space",
    "Sweep",
    "Task",
    "Walk",
    "Worker",
    "heat",
    "judge_sweep",
    "keep_forward",
    "load_sweep",
    "make_space",
    "make_task",
    "optimise",
    "read_axis",
    "read_constraint",
    "score_point",
    "sweep",
    "walk_forward",
]

# Where the names lie that a sweep itself does not need; imported on first use. A module has the name of none of them: once
# imported, it would stand here in its place.
HOMES = {
    "Constraint": "objectives",
    "Forward": "forward",
    "HeatMap": "heat_map",
    "Optimisation": "optimisation",
    "Overfitting": "overfit",
    "Search": "study",
    "Walk": "forward",
    "heat": "heat_map",
    "judge_sweep": "verdict",
    "keep_forward": "keep",
    "optimise": "optimisation",
    "read_constraint": "objectives",
    "walk_forward": "forward",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
