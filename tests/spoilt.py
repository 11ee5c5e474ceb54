"""A good market, and what a refused command must have said and left, for the tests of bad input."""

import pytest
from command import bars_csv, call, tree, write_market

from backtest.catalogue.trials import read_trials

STRATEGY = '''"""Buy once."""
from dataclasses import dataclass

from backtest import Plan


@dataclass(frozen=True)
class Once:
    size: float = 1.0  # exposure
    bars: int = 1  # how many

    def plan(self, market):
        return Plan.long("BTCUSDT", at=[0], exposure=self.size)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a small market and a run that was made before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    write_market(tmp_path)
    (tmp_path / "results" / "kept").mkdir(parents=True)
    (tmp_path / "results" / "kept" / "summary.json").write_text("{}")
    return tmp_path


def run(*arguments, strategy="buy_and_hold"):
    return call("run", strategy, "--market", "./market.toml", *arguments)


def assert_refused(done, *phrases, counted=None):
    """Check that a command said, in one line on stderr, what is wrong, and that it wrote nothing.

    counted: of a run that was made and could not be written, the trials that are on record then.
    """
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith((".\n", "?\n", ")\n")) or "--set" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    missing = [phrase for phrase in phrases if phrase not in done.stderr]
    assert missing == [], done.stderr
    assert_untouched(counted)


def assert_untouched(counted=None):
    """Check that results/ holds what it held, and the record of trials only where runs were made, whole and of that many."""
    left = tree("results")
    if counted is not None:
        assert left.pop(".trials.lock") == b""
        assert len(read_trials("results")) == counted
        left.pop("trials.parquet", None)
    assert left == {"kept": None, "kept/summary.json": b"{}"}


def edited(change):
    """Return the bars with a change to their lines; line 0 is the header, line 1 the bar of 00:00."""
    lines = bars_csv().splitlines()
    lines = change(lines) or lines
    return "\n".join(lines) + "\n"


def cell(line, column, text):
    """Return the bars with one cell replaced; columns: 0 time, 1 open, 2 high, 3 low, 4 close, 5 volume."""

    def change(lines):
        cells = lines[line].split(",")
        cells[column] = text
        lines[line] = ",".join(cells)

    return edited(change)


def with_plan(body):
    return STRATEGY.split("        return")[0] + f"        {body}\n"
