"""Whether the truth inside a bar lies between worst and best: one ambiguous event at a time, and whole runs."""

from backtest.checks.intrabar.compare import WINDOWS, Intrabar, compared, intrabar, totals
from backtest.checks.intrabar.course import ORDERS, Course, Outcome, Played, State
from backtest.checks.intrabar.events import ANSWERS, REASONS, Event, events_of, played_events
from backtest.checks.intrabar.minutes import with_minutes
from backtest.checks.intrabar.panels import aggregated, two_scales
from backtest.checks.intrabar.runs import CAUSES, FIGURES, Departure, WholeRun, whole_run, window

__all__ = [
    "ANSWERS",
    "CAUSES",
    "FIGURES",
    "ORDERS",
    "REASONS",
    "WINDOWS",
    "Course",
    "Departure",
    "Event",
    "Intrabar",
    "Outcome",
    "Played",
    "State",
    "WholeRun",
    "aggregated",
    "compared",
    "events_of",
    "intrabar",
    "played_events",
    "totals",
    "two_scales",
    "whole_run",
    "window",
    "with_minutes",
]
