"""The runs that were made: one folder each under results/, and the catalogue that lists them."""

from backtest.catalogue.again import Again, Change, compare_again
from backtest.catalogue.find import Choice, choose_runs, find_run, load_run, sort_key
from backtest.catalogue.index import Index, read_index
from backtest.catalogue.notes import read_note, write_note
from backtest.catalogue.remove import Doomed, find_doomed, remove_runs
from backtest.catalogue.runs import (
    ASSESSMENT,
    REPORT,
    BrokenRun,
    RunEntry,
    RunLine,
    SavedRun,
    list_runs,
    results_folder,
    run_id,
    save_run,
    scan_runs,
)
from backtest.catalogue.toml import config_from_toml, config_to_toml
from backtest.catalogue.trials import (
    Trial,
    Trials,
    load_trials,
    market_hash,
    merge_trials,
    record_trials,
    trial_of,
)

__all__ = [
    "ASSESSMENT",
    "REPORT",
    "Again",
    "BrokenRun",
    "Change",
    "Choice",
    "Doomed",
    "Index",
    "RunEntry",
    "RunLine",
    "SavedRun",
    "Trial",
    "Trials",
    "choose_runs",
    "compare_again",
    "config_from_toml",
    "config_to_toml",
    "find_doomed",
    "find_run",
    "list_runs",
    "load_run",
    "load_trials",
    "market_hash",
    "merge_trials",
    "read_index",
    "read_note",
    "record_trials",
    "remove_runs",
    "results_folder",
    "run_id",
    "save_run",
    "scan_runs",
    "sort_key",
    "trial_of",
    "write_note",
]
