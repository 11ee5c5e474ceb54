"""The command that compares runs, and the pictures of `show`, as a user types them."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from command import CLOSES, bars_csv, call, document, write_market
from compared_runs import made_run
from test_png import SIGNATURE

from backtest.analysis import analyze
from backtest.catalogue import list_runs, save_run

NAMES = ("one", "two", "three", "buy_and_hold")


def kept(folder, *runs):
    """Save runs into a folder, each a minute after the one before, and return their ids."""
    first = datetime(2026, 4, 1, tzinfo=UTC)
    for i, run in enumerate(runs):
        save_run(run, analyze(run).to_dict(), folder, source=str(i), created=first + timedelta(minutes=i))
    return [run.id for run in list_runs(folder)]


@pytest.fixture(scope="module")
def runs():
    draws = np.random.default_rng(8).normal(0.0, 0.02, (4, 60))
    return [made_run(r, name, trades=[("BTCUSDT", 1, 5, 100)]) for r, name in zip(draws, NAMES, strict=True)]


@pytest.fixture
def results(tmp_path, runs):
    folder = tmp_path / "results"
    return folder, kept(folder, *runs)


def test_runs_are_compared_and_the_page_lies_beside_them(results):
    folder, ids = results
    done = call("compare", *ids[:3], "--results", folder)
    assert done.exit_code == 0, done.stderr
    assert "3 runs by return" in done.stdout
    assert "Against buy_and_hold" in done.stdout  # kept in the folder, on the same data
    (page,) = folder.glob("compare_*.html")
    assert str(page) in done.stdout
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert len(list_runs(folder)) == 4


def test_the_page_has_one_name_whatever_the_order(results):
    folder, ids = results
    call("compare", *ids[:2], "--results", folder)
    call("compare", *ids[1::-1], "--results", folder)
    assert len(list(folder.glob("compare_*.html"))) == 1


def test_the_page_goes_where_it_is_wanted(results, tmp_path):
    folder, ids = results
    done = call("compare", *ids[:2], "--results", folder, "--html", tmp_path / "mine.html")
    assert done.exit_code == 0
    assert (tmp_path / "mine.html").exists()
    assert list(folder.glob("*.html")) == []
    done = call("compare", *ids[:2], "--results", folder, "--html", tmp_path / "nowhere" / "mine.html")
    assert done.exit_code == 2
    assert "can't be written" in done.stderr


def test_a_folder_that_can_not_be_written_to_costs_only_the_page(results, monkeypatch):
    folder, ids = results
    from backtest.errors import ResultsError

    def refuse(*_, **__):
        raise ResultsError("The report can't be written: Read-only file system.")

    monkeypatch.setattr("backtest.report.html.write_report", refuse)
    done = call("compare", *ids[:2], "--results", folder)
    assert done.exit_code == 0
    assert "2 runs by return" in done.stdout
    assert "Page" not in done.stdout
    assert "Read-only file system" in done.stderr


def test_json_is_one_document(results, runs):
    folder, ids = results
    data = document(call("compare", *ids, "--results", folder, "--json", "--sort", "sharpe"))
    assert data["sort"] == "sharpe"
    assert [row["rank"] for row in data["runs"]] == [1, 2, 3, 4]
    assert {row["id"] for row in data["runs"]} == set(ids)
    assert data["html"].endswith(".html")
    best = max((analyze(run).sharpe, run.config.strategy) for run in runs)
    assert data["runs"][0]["name"] == best[1]


def test_without_a_kept_run_of_buy_and_hold_it_says_how_to_make_one(tmp_path, runs):
    ids = kept(tmp_path, *runs[:2])
    done = call("compare", *ids, "--results", tmp_path)
    assert "`backtest run buy_and_hold` makes one" in " ".join(done.stdout.split())


def test_a_run_of_buy_and_hold_on_other_data_is_not_taken(tmp_path, runs):
    ids = kept(tmp_path, *runs[:2], made_run([0.0] * 60, "buy_and_hold", data="11"))
    done = call("compare", *ids[:2], "--results", tmp_path)
    assert "Against buy_and_hold" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ID0"], "A comparison needs at least two runs, got 1"),
        (["ID0", "ID1", "ID0"], "'ID0' and 'ID0' are the same run"),
        (["last", "ID3"], "'last' and 'ID3' are the same run"),
        (["ID0", "nothing"], "No run named 'nothing'"),
        (["ID0", "ID1", "--sort", "sharp"], "There is no figure 'sharp' to rank by. Did you mean 'sharpe'?"),
        ([], "Missing argument 'RUN RUN...'"),
    ],
)
def test_a_mistake_is_a_sentence(results, arguments, sentence):
    folder, ids = results
    names = {f"ID{i}": identity for i, identity in enumerate(ids)}

    def named(text):
        for short, identity in names.items():
            text = text.replace(short, identity)
        return text

    done = call("compare", *map(named, arguments), "--results", folder)
    assert done.exit_code == 2
    assert named(sentence) in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_help_lists_it_after_show():
    words = call("--help").stdout.split()
    assert words.index("compare") > words.index("show")


# --- pictures of show --------------------------------------------------------------------------------------------


def test_show_draws_in_the_terminal(results):
    folder, ids = results
    plain = call("show", ids[0], "--results", folder).stdout
    drawn = call("show", ids[0], "--results", folder, "--plot").stdout
    assert drawn.startswith(plain)
    assert "Drawdown from the highest equity so far" in drawn
    assert "2026-01-01" in drawn.splitlines()[-1]


def test_show_writes_a_picture_with_the_market_s_price(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    market = write_market(tmp_path)
    assert call("run", "support_break", "--market", market, "--set", "levels=95").exit_code == 0
    with_price = call("show", "last", "--png", "a.png")
    assert (with_price.exit_code, with_price.stderr) == (0, "")
    assert "The picture is a.png" in with_price.stdout
    write_market(tmp_path, bars=bars_csv((*CLOSES[:-1], 99.5)))
    without = call("show", "last", "--png", "b.png", "--json")
    assert json.loads(without.stdout)["png"] == "b.png"
    assert "the data of the market are not those of the run any more" in " ".join(without.stderr.split())
    (tmp_path / "market.toml").unlink()
    gone = call("show", "last", "--png", "c.png")
    assert gone.exit_code == 0
    assert "The picture has no price" in gone.stderr
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in "abc"]
    assert all(data.startswith(SIGNATURE) for data in pictures)
    assert pictures[1] == pictures[2] != pictures[0]


def test_a_picture_that_is_none_is_a_sentence(results):
    folder, ids = results
    done = call("show", ids[0], "--results", folder, "--png", "x.jpg")
    assert done.exit_code == 2
    assert "name it 'x.png', not 'x.jpg'" in done.stderr
