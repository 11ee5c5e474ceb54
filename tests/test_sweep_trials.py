"""Points of a sweep as trials: each that gave figures once, in batches, whatever ended the sweep."""

import math

import pytest
from pyarrow import parquet
from sweep_made import make_files

from backtest.catalogue import market_hash, run_id
from backtest.catalogue.record import ASIDE, TRIALS, full_files
from backtest.catalogue.trials import load_trials, read_trials
from backtest.plugins import load_maker
from backtest.runner import run
from backtest.sweep import make_space, sweep
from backtest.sweep import trials as trials_module


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


def rows_on_record(results):
    """Return the rows of all files of the record, those that are there twice counted twice."""
    files = [*full_files(results), *results.glob(TRIALS)]
    return sum(parquet.read_metadata(path).num_rows for path in files)


def test_each_point_with_figures_is_a_trial_and_a_failed_one_is_none(here):
    """A hold of 13 is refused by the strategy: 3 of 9 points."""
    found = sweep(make_space("./shorter.py", ["entry=0:2", "hold=2,13,4"], markets=["./market.toml"]))
    assert found.failed == 3
    trials = read_trials()
    assert {t.identity for t in trials} == {one for one in found.table(["run"])["run"].to_pylist() if one}
    assert {(t.strategy, t.kind, t.bars, t.periods) for t in trials} == {("shorter", "sweep", 12, 1)}
    assert len({t.market_hash for t in trials}) == 1
    yearly = [one for one in found.table(["sharpe"])["sharpe"].to_pylist() if not math.isnan(one)]
    assert [t.sharpe for t in trials] == pytest.approx([one / math.sqrt(365) for one in yearly])


def test_a_point_that_was_a_run_is_the_same_trial(here):
    space = make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])
    sweep(space)
    result = run(space.config(1))
    identity = run_id(result, load_maker("./shorter.py").sha256)
    assert identity in load_trials(None, "shorter", market_hash(result.passport)).identities


def test_strategies_and_markets_are_counted_apart(here):
    """The second market has other funding, so its data have another hash."""
    (here / "second.py").write_text((here / "shorter.py").read_text())
    (here / "dear.csv").write_text((here / "funding.csv").read_text().replace("0.001", "0.002"))
    (here / "dear.toml").write_text((here / "market.toml").read_text().replace("funding.csv", "dear.csv"))
    sweep(make_space(["./shorter.py", "./second.py"], ["entry=0:3"], markets=["./market.toml", "./dear.toml"]))
    trials = read_trials()
    hashes = {t.market_hash for t in trials}
    assert (len(trials), len(hashes)) == (16, 2)
    assert all(load_trials(None, s, data).count == 4 for s in ("second", "shorter") for data in hashes)


def test_batches_are_recorded_on_the_way(here, monkeypatch):
    """With a batch of 10, most of 40 points are on record before the last chunk comes back."""
    monkeypatch.setattr(trials_module, "BATCH", 10)
    seen = []
    space = make_space("./shorter.py", ["entry=0:9", "hold=1:4"], markets=["./market.toml"])
    sweep(space, progress=lambda now: seen.append((now.done, len(read_trials()))))
    assert all(done - 10 < counted <= done for done, counted in seen)
    assert len(read_trials()) == rows_on_record(here / "results") == 40


def test_a_count_that_was_killed_is_made_whole_and_writes_nothing_twice(here, monkeypatch):
    """Of 40 points 20 were on record when the sweep was killed; those lie aside by now."""
    monkeypatch.setattr("backtest.catalogue.record.FULL", 10)
    monkeypatch.setattr(trials_module, "BATCH", 10)
    space = make_space("./shorter.py", ["entry=0:9", "hold=1:4"], markets=["./market.toml"])
    folder = sweep(space).folder
    results = here / "results"
    files = [*full_files(results), results / TRIALS]
    for path in files[len(files) // 2 :]:
        path.unlink()
    (folder / ".counted").unlink()
    kept = rows_on_record(results)
    assert 0 < kept < 40
    assert (results / ASIDE).is_dir()
    sweep(space)
    assert (folder / ".counted").exists()
    assert len(read_trials()) == rows_on_record(results) == 40


def test_a_finished_sweep_reads_no_record(here, monkeypatch):
    space = make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])
    sweep(space)
    monkeypatch.setattr(trials_module, "Known", None)
    assert sweep(space).done == 3
