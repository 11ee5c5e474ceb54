"""The runs that were made: one folder each under results/."""

from backtest.catalogue.runs import (
    BrokenRun,
    RunEntry,
    SavedRun,
    list_runs,
    load_run,
    results_folder,
    run_id,
    save_run,
    scan_runs,
)
from backtest.catalogue.toml import config_from_toml, config_to_toml

__all__ = [
    "BrokenRun",
    "RunEntry",
    "SavedRun",
    "config_from_toml",
    "config_to_toml",
    "list_runs",
    "load_run",
    "results_folder",
    "run_id",
    "save_run",
    "scan_runs",
]
