"""A run made again beside the first: the same bytes, the same rows, or what changed."""

import doctest
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_result import make_ledger, make_result, make_venue

from backtest.analysis import analyze
from backtest.catalogue import Change, compare_again, load_run, save_run
from backtest.catalogue import again as again_module
from backtest.errors import ResultsError
from backtest.model import RunConfig


def saved(place, source="aa" * 32, **changes):
    result = make_result(**changes)
    save_run(result, analyze(result).to_dict(), place, source=source)
    return load_run("last", place)


@pytest.fixture
def first(tmp_path):
    return saved(tmp_path / "first")


def again(tmp_path, **changes):
    return saved(tmp_path / "again", **changes)


def edit(run, **values):
    """Return the run with other entries in its summary.json, None for none."""
    path = run.path / "summary.json"
    data = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
    return load_run("last", run.path.parent)


def other_ledger(**changes):
    return replace(make_ledger(), **changes)


def test_every_example_of_the_docstrings_holds():
    assert doctest.testmod(again_module).failed == 0


def test_the_same_run_again_is_the_same_to_the_byte(tmp_path, first):
    found = compare_again(first, again(tmp_path))
    assert set(found.tables.values()) == {"bytes"}
    assert list(found.tables) == ["ledger", "trades", "equity", "rejections"]
    assert (found.identical, found.changes, found.unknown, found.figures, found.first) == (True, (), (), {}, "")


def test_another_writer_of_parquet_makes_other_bytes_of_the_same_rows(tmp_path, first):
    path = first.path / "ledger.parquet"
    pq.write_table(pq.read_table(path), path, compression="none")
    found = compare_again(first, again(tmp_path))
    assert found.tables == {"ledger": "content", "trades": "bytes", "equity": "bytes", "rejections": "bytes"}
    assert found.identical
    assert all(writer.startswith("parquet-cpp-arrow") for writer in found.writers)


def test_rows_without_a_price_are_the_same_rows(tmp_path):
    price = np.array([100.0, np.nan, 95.0, 90.0, 90.0, 10.0])
    one = saved(tmp_path / "first", ledger_table=other_ledger(price=price))
    path = one.path / "ledger.parquet"
    pq.write_table(pq.read_table(path), path, compression="none")
    assert compare_again(one, again(tmp_path, ledger_table=other_ledger(price=price))).identical


def test_the_first_row_that_differs_is_told(tmp_path, first):
    amount = np.array([-0.1, -0.04, 0.3, 21.0, -0.09, -0.025])
    found = compare_again(first, again(tmp_path, ledger_table=other_ledger(amount=amount)))
    assert not found.identical
    assert found.tables["ledger"] == "different"
    assert found.first == "row 4 of 6, trade_pnl of BTCUSDT at 2026-01-01T03:00Z: amount was 20.0 and is 21.0"
    assert found.changes == ()


def test_a_ledger_that_goes_on_is_told(tmp_path, first):
    short = type(make_ledger())(
        make_ledger().symbols,
        **{
            n: getattr(make_ledger(), n)[:4] for n in ("time", "symbol", "trade", "kind", "amount", "position", "price")
        },
    )
    found = compare_again(first, again(tmp_path, ledger_table=short))
    assert found.first == "6 rows, now 4; the first 4 are the same"


def test_the_data_that_changed_are_named(tmp_path, first):
    passport = make_result().passport
    (bars,) = passport.series
    added = replace(bars, name="BTCUSDT.mark", sha256="22")
    changed = replace(passport, series=(replace(bars, origin="real", sha256="11"), added))
    found = compare_again(first, again(tmp_path, passport=changed))
    assert found.changes == (
        Change("data BTCUSDT.bars", "simulated 00", "real 11"),
        Change("data BTCUSDT.mark", None, "simulated 22"),
    )
    assert found.identical, "the tables are the same all the same"


def test_the_source_that_changed_is_named(tmp_path, first):
    found = compare_again(first, again(tmp_path, source="bb" * 32))
    assert found.changes == (Change("the strategy's source", "aa" * 32, "bb" * 32),)


def test_the_venues_numbers_that_changed_are_named(tmp_path, first):
    table = make_venue().default.tables
    lots = replace(make_venue().default, lot=0.01, tables=table)
    found = compare_again(first, again(tmp_path, venue=make_venue(taker=0.001, default=lots)))
    told = {change.what: (change.before, change.now) for change in found.changes}
    assert told.pop("venue sha256")[0] != ""
    assert told == {
        "venue taker": (0.0005, 0.001),
        "venue lots BTCUSDT": ([0.001, 5.0], [0.01, 5.0]),
        "venue lots ETHUSDT": ([0.001, 5.0], [0.01, 5.0]),
    }


def test_a_venue_without_a_limit_can_be_recorded(tmp_path):
    run = saved(tmp_path, venue=make_venue(leverage=float("inf")))
    assert run.summary["venue"]["leverage"] == "inf"


def test_a_parameter_that_is_new_is_named(tmp_path, first):
    config = make_result().config
    more = replace(config, parameters=(*config.parameters, ("closes", 2)), engine="fast")
    found = compare_again(first, again(tmp_path, config=more))
    assert found.changes == (Change("parameter closes", None, 2), Change("engine", None, "fast"))


def test_a_parameter_that_is_not_a_number_is_the_same_twice(tmp_path):
    config = RunConfig("support_break", "made", (("level", float("nan")), ("levels", (1.0, float("inf")))))
    assert compare_again(saved(tmp_path / "first", config=config), again(tmp_path, config=config)).changes == ()


def test_the_versions_that_changed_are_named(tmp_path, first):
    versions = {**first.summary["versions"], "numpy": "1.0"}
    old = edit(first, version="0.0.1", versions=versions)
    found = compare_again(old, again(tmp_path))
    told = {change.what: change.before for change in found.changes}
    assert told == {"version levelbreak": "0.0.1", "version numpy": "1.0"}


def test_what_an_older_run_did_not_record_is_said(tmp_path, first):
    old = edit(first, source_sha256=None, venue=None, versions=None, market_hash=None)
    assert compare_again(old, again(tmp_path)).unknown == ("the packages' versions",), "the id says the rest"
    other = saved(tmp_path / "other", source="bb" * 32)
    assert compare_again(old, other).unknown == (
        "the strategy's source",
        "the venue's numbers",
        "the packages' versions",
    )
    assert compare_again(old, other).changes == ()


def test_the_figures_that_differ_are_there_before_and_now(tmp_path, first):
    equity = np.array([1000.0, 999.9, 1010.2, 1020.085, 1100.0])
    found = compare_again(first, again(tmp_path, equity_values=equity))
    assert found.tables["equity"] == "different"
    assert found.figures["final_equity"] == (1015.085, 1100.0)
    assert found.figures["total_return"] == pytest.approx((0.015085, 0.1), abs=1e-12)
    assert "trades" not in found.figures


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"PAR1")])
def test_a_ledger_that_can_not_be_read_is_a_sentence(tmp_path, first, damage):
    damage(first.path / "ledger.parquet")
    with pytest.raises(ResultsError, match=r"has no readable ledger\.parquet"):
        compare_again(first, again(tmp_path))


def test_a_ledger_with_other_columns_is_different(tmp_path, first):
    path = first.path / "ledger.parquet"
    pd.read_parquet(path).drop(columns="price").to_parquet(path)
    found = compare_again(first, again(tmp_path))
    assert not found.identical
    assert found.first == (
        "its columns were time, symbol, trade, kind, amount, position "
        "and are time, symbol, trade, kind, amount, position, price"
    )


def test_a_ledger_with_other_types_is_different(tmp_path, first):
    path = first.path / "ledger.parquet"
    pd.read_parquet(path).astype({"trade": "int32"}).to_parquet(path)
    found = compare_again(first, again(tmp_path))
    assert (found.identical, found.first) == (False, "the same values in columns of other types")
