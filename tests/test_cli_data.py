"""The commands about data: fetch, data verify, data import, and what `markets` says of what is here."""

import io
import json

import pytest
from fake_source import DAY, HOUR, FakeSource
from rich.console import Console
from typer.testing import CliRunner

from backtest import cli
from backtest.errors import SourceError
from backtest.market import load_market
from backtest.market.fetching.lanes import Progress
from backtest.report.fetching import watch

MARKET = """description = "Two coins"
interval = "1h"
start = "2025-07-01"
end = "2025-07-11"

[BTCUSDT]
bars = "store:fake"
funding = "store:fake"

[ETHUSDT]
bars = "store:fake"
funding = "none"
"""
START = 1_751_328_000_000_000_000  # 2025-07-01T00:00Z


def call(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], env={"COLUMNS": "140"})


def document(*arguments):
    done = call(*arguments, "--json")
    assert done.stderr == ""
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A folder with the market `two`, a source that it names, and a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    (tmp_path / "data" / "markets").mkdir(parents=True)
    (tmp_path / "data" / "markets" / "two.toml").write_text(MARKET)
    source = FakeSource()
    monkeypatch.setattr("backtest.market.fetching.fetch.get_source", lambda name: source)
    monkeypatch.setattr("backtest.market.fetching.inventory.SOURCES", ("fake",))
    return source


def said(done):
    return " ".join(done.stdout.split())


# --- fetch -----------------------------------------------------------------------------------------------------------


def test_a_fetch_ends_with_a_table_of_what_the_data_are_worth(fake):
    done = call("fetch", "two")
    assert (done.exit_code, done.stderr) == (0, "")
    head, line = done.stdout.splitlines()[0].split(), done.stdout.splitlines()[2].split()
    assert head == ["series", "rows", "span", "gaps", "duplicates", "repairs", "jumps", "stale", "bad", "agreement"]
    assert line == ["BTCUSDT.bars", "240", "2025-07-01", "to", "2025-07-11", *"000000", "\N{EN DASH}"]
    assert "511 new rows in 23 pages; kept in" in said(done)
    again = call("fetch", "two")
    assert "nothing was missing" in said(again)


def test_json_is_one_document(fake):
    code, told = document("fetch", "two")
    assert (code, told["market"], told["interrupted"]) == (0, "two", False)
    assert [s["added"] for s in told["series"]] == [240, 31, 240]


def test_a_dry_run_says_what_would_be_asked_for(fake):
    done = call("fetch", "two", "--dry-run")
    assert (done.exit_code, fake.asked) == (0, [])
    assert "BTCUSDT.funding fake BTCUSDT funding \N{EN DASH} 3 2025-07-01T00:00Z to 2025-07-11T00:01Z" in said(done)
    assert "23 pages would be asked for; nothing was" in said(done)


def test_since_reaches_the_fetch(fake):
    _, told = document("fetch", "two", "--since", "2025-07-09")
    assert told["series"][2]["added"] == 48


def test_what_is_kept_is_asked_for_again_where_that_is_wanted(fake):
    call("fetch", "two")
    fake.revise = 1.0
    assert "nothing was missing" in said(call("fetch", "two"))
    done = call("fetch", "two", "--again", "--since", "2025-07-10")
    assert done.exit_code == 0
    assert "fake has revised rows" in said(done)
    _, told = document("fetch", "two", "--again")
    assert [(s["added"], s["revised"]) for s in told["series"]] == [(0, 216), (0, 0), (0, 216)]  # all days but the last


def test_a_market_that_lies_ahead_is_said_to(fake, tmp_path):
    (tmp_path / "later.toml").write_text(MARKET.replace("2025-07", "2199-07"))
    done = call("fetch", "./later.toml")
    assert done.exit_code == 0
    assert "has not begun; there is nothing to fetch of it yet" in said(done)
    assert "nothing was missing" not in said(done)


def test_the_command_that_gets_a_market_can_be_pasted(fake, tmp_path):
    (tmp_path / "data" / "markets" / "my two.toml").write_text(MARKET)
    found = next(m for m in document("markets", "--data", "a b")[1]["markets"] if m["name"] == "my two")
    assert found["fetch"] == "backtest fetch 'my two' --data 'a b'"


def test_data_go_where_the_option_says_and_the_variable_is_as_before(fake, tmp_path, monkeypatch):
    _, told = document("fetch", "two", "--data", tmp_path / "there")
    assert told["store"] == str(tmp_path / "there" / "store")
    assert (tmp_path / "there" / "store" / "fake" / "BTCUSDT_1h" / "manifest.json").is_file()
    assert not (tmp_path / "kept").exists()
    assert document("data", "verify", "--data", tmp_path / "there")[0] == 0


def test_some_series_failed_is_1_and_all_of_them_is_2(fake):
    fake.faults["ETHUSDT"] = SourceError("fake knows no ETHUSDT.", "unknown_symbol")
    done = call("fetch", "two")
    assert done.exit_code == 1
    assert "Not fetched \N{MIDDLE DOT} ETHUSDT.bars: fake knows no ETHUSDT." in said(done)
    fake.faults["BTCUSDT"] = SourceError("fake knows no BTCUSDT.", "unknown_symbol")
    assert call("fetch", "two", "--data", "elsewhere").exit_code == 2


def test_a_reason_that_several_series_share_is_said_once(fake):
    fake.concurrency = 1
    for symbol in ("BTCUSDT", "ETHUSDT"):
        fake.faults[symbol] = SourceError("fake can't be reached.", "offline")
    done = call("fetch", "two")
    assert done.stdout.count("can't be reached") == 1
    assert "BTCUSDT.bars, BTCUSDT.funding, ETHUSDT.bars: fake can't be reached." in said(done)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fetch", "tow"), "No market named 'tow'. Did you mean 'two'?"),
        (("fetch", "two", "--since", "soon"), "`since` must be a time like"),
        (("fetch", "two", "--source", "yahoo"), "Source yahoo spells its symbols in its own way"),
        (
            ("data", "import", "none.csv", "--source", "me", "--symbol", "X", "--kind", "bars"),
            "`--interval` is missing",
        ),
        (
            ("data", "import", "none.csv", "--source", "me", "--symbol", "X", "--kind", "bars", "--interval", "hourly"),
            "`--interval` must be an interval like",
        ),
        (
            ("data", "import", "none.csv", "--source", "me", "--symbol", "X", "--kind", "bars", "--interval", "1h"),
            "none.csv: there is no such file",
        ),
        (
            ("data", "import", "x", "--source", "me", "--symbol", "X", "--kind", "funding", "--column", "rate"),
            "`--column` needs two names",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(fake, arguments, sentence):
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr


def test_a_market_that_needs_nothing_says_so(fake):
    done = call("fetch", "deleveraging-2026")
    assert done.exit_code == 0
    assert "takes nothing from the store: there is nothing to fetch" in said(done)


def test_the_progress_of_each_source_is_on_the_terminal():
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    with watch(console) as advance:
        advance(Progress("binance-archive", 0, 0, 0, 0))
        advance(Progress("binance-archive", 12, 40, 8_640, 0))
        advance(Progress("yahoo", 1, 3, 250, 1))
    told = console.export_text()
    assert "binance-archive" in told
    assert "12/40" in told
    assert "8,640 rows" in told
    assert "1 failed" in told


# --- markets ---------------------------------------------------------------------------------------------------------


def test_markets_say_what_is_here_what_is_missing_and_how_to_get_it(fake):
    def two():
        return next(m for m in document("markets")[1]["markets"] if m["name"] == "two")

    assert {s["of"]: s["state"] for s in two()["series"]} == {
        "BTCUSDT.bars": "missing", "BTCUSDT.funding": "missing", "ETHUSDT.bars": "missing"
    }  # fmt: skip
    assert two()["fetch"] == "backtest fetch two"
    assert (
        "not here: BTCUSDT.bars, BTCUSDT.funding, ETHUSDT.bars (3 of 3 series); get them with `backtest fetch two`"
        in said(call("markets"))
    )
    fake.concurrency = 1
    fake.faults["ETHUSDT", START + 5 * DAY] = SourceError("late", "timeout")
    call("fetch", "two")
    assert [(s["state"], s["missing"]) for s in two()["series"]] == [
        ("here", []), ("here", []), ("part", [["2025-07-06T00:00Z", "2025-07-11T00:00Z"]])
    ]  # fmt: skip
    fake.faults = {}
    call("fetch", "two")
    assert two()["fetch"] is None
    assert "all data here" in said(call("markets"))


def test_a_file_that_the_user_put_into_the_store_counts(fake, tmp_path):
    place = tmp_path / "kept" / "store" / "fake"
    place.mkdir(parents=True)
    (place / "ETHUSDT_1h.parquet").write_bytes(b"mine")
    found = next(m for m in document("markets")[1]["markets"] if m["name"] == "two")
    assert [s["state"] for s in found["series"]] == ["missing", "missing", "own"]


def test_simulated_markets_need_nothing(fake):
    found = next(m for m in document("markets")[1]["markets"] if m["name"] == "deleveraging-2026")
    assert (found["series"], found["fetch"]) == ([], None)


# --- verify and import -----------------------------------------------------------------------------------------------


def test_verify_names_a_changed_byte(fake, tmp_path):
    assert "The store is empty" in said(call("data", "verify"))
    call("fetch", "two")
    assert "3 of 3 series are as they were stored." in said(call("data", "verify"))
    file = next((tmp_path / "kept" / "store" / "fake" / "ETHUSDT_1h").glob("*.parquet"))
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    done = call("data", "verify")
    assert done.exit_code == 1
    assert file.name in said(done)
    assert "2 of 3 series" in said(done)
    code, told = document("data", "verify")
    assert (code, [f["state"] for f in told["findings"]]) == (1, ["ok", "ok", "changed"])


def test_a_file_of_ones_own_is_imported_and_a_market_reads_it(fake, tmp_path):
    rows = "\n".join(f"{(START + h * HOUR) // 10**9},{100 + h}" for h in range(240))
    (tmp_path / "mood.csv").write_text(f"when,score\n{rows}\n")
    arguments = ("--source", "me", "--symbol", "BTCUSDT", "--kind", "value", "--interval", "1h")
    columns = ("--column", "time=when", "--column", "value=score")
    done = call("data", "import", "mood.csv", *arguments, *columns)
    assert done.exit_code == 0, done.stderr
    assert "240 new rows of mood.csv are now me/BTCUSDT_value_1h in" in said(done)
    code, told = document("data", "import", "mood.csv", *arguments, *columns)
    assert (code, told["added"], told["repeated"]) == (0, 0, 240)
    call("fetch", "two")
    (tmp_path / "mine.toml").write_text(
        MARKET.replace('funding = "store:fake"', 'funding = "store:fake"\nmood = "store:me"')
    )
    found = load_market("./mine.toml").feeds["BTCUSDT.mood"]
    assert (found.value[0], found.known_at[0], found.value.size) == (100.0, START + HOUR, 240)


def test_a_second_source_that_is_not_here_keeps_nobody_from_running(fake, tmp_path):
    text = MARKET.replace('bars = "store:fake"', 'bars = { store = "fake", check = "fake:BTC-USD" }', 1)
    (tmp_path / "data" / "markets" / "two.toml").write_text(text)
    fake.faults["BTC-USD"] = SourceError("no", "unknown_symbol")
    assert call("fetch", "two").exit_code == 1
    found = next(m for m in document("markets")[1]["markets"] if m["name"] == "two")
    assert {s["of"]: s["state"] for s in found["series"]}["BTCUSDT.bars.check"] == "missing"
    assert found["fetch"] is None
    assert len(load_market("two")) == 240


def test_a_run_finds_what_was_fetched_into_a_folder(fake, tmp_path):
    call("fetch", "two", "--data", "there")
    arguments = ("run", "buy_and_hold", "--market", "two")
    done = call(*arguments)
    assert done.exit_code == 2
    assert "BTCUSDT.bars: The store has no entry fake/BTCUSDT_1h" in done.stderr
    assert call(*arguments, "--data", "there").exit_code == 0
