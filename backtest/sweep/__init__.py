"""Sweeps: a strategy's figures over many combinations of its parameters, on one core or many."""

from backtest.sweep.axes import Axis, read_axis
from backtest.sweep.point import FIGURES, Row, Scorer, score_point
from backtest.sweep.space import Space, make_space
from backtest.sweep.store import Sweep, load_sweep
from backtest.sweep.sweep import TIME_LIMIT, Progress, make_task, sweep
from backtest.sweep.work import Chunk, ChunkDone, Executor, Task, Worker

__all__ = [
    "FIGURES",
    "TIME_LIMIT",
    "Axis",
    "Chunk",
    "ChunkDone",
    "Executor",
    "Progress",
    "Row",
    "Scorer",
    "Space",
    "Sweep",
    "Task",
    "Worker",
    "load_sweep",
    "make_space",
    "make_task",
    "read_axis",
    "score_point",
    "sweep",
]
