"""The main job with one strategy: settings, a small market to the cent, again from Python, and what there is."""

import os
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from command import MARKET, assert_books_balance, call, document, tables, tree, write_market
from main_job import FIGURES, SHIPPED, UTC

from backtest import run
from backtest.catalogue.toml import config_from_toml


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    return tmp_path


# --- one strategy, settings, other markets and venues ----------------------------------------------------------------


def test_json_holds_what_the_tables_hold(here):
    found = document(call("run", "support_break", "--json"))
    assert found["failed"] == []
    one = found["runs"][0]
    assert (one["strategy"], one["market"], one["grade"]) == ("support_break", "deleveraging-2026", "D")
    assert set(one["metrics"]) == FIGURES
    assert set(one["pnl_by_kind"]) >= {"trade_pnl", "fee", "funding"}
    assert one["assumptions"]["simulated_data"] > 0
    assert tree(here)[f"{one['folder']}/summary.json"]


def test_the_other_market(here):
    runs = {r["strategy"]: r for r in document(call("run", "--market", "counterparty-2022", "--json"))["runs"]}
    assert sorted(runs) == list(SHIPPED)
    assert {r["grade"] for r in runs.values()} == {"D"}
    assert runs["donchian_break"]["metrics"]["trades"] >= 1
    # In 2022 bitcoin stood below 50,000 throughout: the levels of 2026 are never broken, and never touched from above.
    assert runs["support_break"]["metrics"]["trades"] == runs["support_bounce"]["metrics"]["trades"] == 0
    changed = call("run", "support_break", "--market", "counterparty-2022", "--set", "levels=30000,25000", "--json")
    assert document(changed)["runs"][0]["metrics"]["trades"] >= 1


def test_a_strategy_without_a_trade_says_so(here):
    told = " ".join(call("run", "support_break", "--market", "counterparty-2022").stdout.split())
    assert "support_break: no trade: nothing on this market met its rule" in told


def test_two_markets_are_two_runs(here):
    for market in ("deleveraging-2026", "counterparty-2022"):
        document(call("run", "donchian_break", "--market", market, "--json"))
    names = sorted(p.name.rsplit("_", 1)[0] for p in (here / "results").iterdir() if p.is_dir())
    assert names == ["donchian_break_counterparty-2022", "donchian_break_deleveraging-2026"]


@pytest.mark.parametrize(
    ("venue", "taker"),
    [("binance-usdm", 0.0005), ("bybit-linear", 0.00055), ("okx-swap", 0.0005), ("hyperliquid", 0.00045), ("paper", 0)],
)
def test_every_venue(here, venue, taker):
    one = document(call("run", "donchian_break", "--venue", venue, "--json"))["runs"][0]
    assert (one["settings"]["venue"], one["settings"]["taker"]) == (venue, taker)
    assert one["metrics"]["trades"] >= 1
    assert_books_balance(here / one["folder"], one)


def test_the_account_can_be_set(here):
    options = ("--margin", "isolated", "--leverage", "3", "--intrabar", "best", "--cash", "5000")
    one = document(call("run", "donchian_break", *options, "--json"))["runs"][0]
    settings = one["settings"]
    assert (settings["margin_mode"], settings["leverage"], settings["intrabar"]) == ("isolated", 3.0, "best")
    assert one["cash"] == 5000.0
    assert_books_balance(here / one["folder"], one)
    assert "cash 5,000 · 3x isolated" in call("show", "last").stdout
    kept = tomllib.loads((here / one["folder"] / "config.toml").read_text())
    assert kept["account"] == {"cash": 5000.0, "leverage": 3.0, "margin_mode": "isolated", "intrabar": "best"}


def test_a_crash_at_high_exposure_is_a_liquidation_that_everyone_sees(here):
    options = ("--set", "exposure=5", "--leverage", "5", "--margin", "isolated")
    done = call("run", "buy_and_hold", *options, "--json")
    one = document(done)["runs"][0]
    assert one["metrics"]["liquidations"] == 1
    assert one["pnl_by_kind"]["liquidation_loss"] < 0
    assert_books_balance(here / one["folder"], one)
    _, trades, _, _ = tables(here / one["folder"])
    assert trades.reason.tolist() == ["liquidation"]
    assert "liquidation loss" in call("show", "last").stdout


# --- a market of one's own, worked by hand ---------------------------------------------------------------------------


def test_a_small_market_to_the_cent(here):
    """Short at 94, the open of 06:00; the funding of 08:00 comes in; out on the reclaim, at 96, the open of 09:00.

    Without fees the size is 1000/94 = 10.63829787; PnL is -2 of it, funding 0.001 at the open of 08:00, 92.
    """
    market = write_market(here)
    settings = ("--set", "levels=95", "--set", "buffer=0", "--venue", "paper", "--cash", "1000")
    one = document(call("run", "support_break", "--market", market, *settings, "--json"))["runs"][0]
    ledger, trades, equity, rejections = tables(here / one["folder"])
    assert trades[["symbol", "side", "reason"]].iloc[0].tolist() == ["BTCUSDT", "short", "close_stop"]
    assert trades[["entry_price", "exit_price"]].iloc[0].tolist() == [94.0, 96.0]
    assert [str(t) for t in trades[["entry_time", "exit_time"]].iloc[0]] == [
        "2026-01-01 06:00:00+00:00", "2026-01-01 09:00:00+00:00",
    ]  # fmt: skip
    assert trades.quantity.tolist() == [10.63829787]
    assert ledger.kind.tolist() == ["funding", "trade_pnl"]
    assert ledger.amount.tolist() == pytest.approx([0.978723404, -21.27659574], abs=1e-9)
    assert equity.equity.tolist()[:7] == pytest.approx([1000.0] * 6 + [1010.63829787])
    assert equity.equity.iloc[-1] == pytest.approx(979.702127664)
    assert len(rejections) == 0
    assert one["grade"] == "C"  # the data are real, the account's tiers made up
    assert one["standing"]["price"] == {"real": 1}
    assert one["standing"]["tiers"] == {"assumed": 1}
    assert one["metrics"]["funding_paid"] == pytest.approx(-0.978723404)
    assert_books_balance(here / one["folder"], one)


def test_fees_and_slippage_to_the_cent(here):
    """Buy at the open of 01:00, 100 slipped by 1% to 101, taker 1%: 1000/(101*1.01) = 9.80296049 units, floored to 9.8."""
    market = write_market(here)
    (here / "dear.toml").write_text(
        (Path(__file__).parents[1] / "data/venues/paper.toml").read_text()
        .replace("taker = 0.0", "taker = 0.01").replace("slippage = 0.0", "slippage = 0.01")
        .replace("lot = 1e-8", "lot = 0.1")
    )  # fmt: skip
    options = ("--market", market, "--venue", "dear.toml", "--cash", "1000", "--json")
    one = document(call("run", "buy_and_hold", *options))["runs"][0]
    ledger, trades, _, _ = tables(here / one["folder"])
    assert (trades.quantity.iloc[0], trades.entry_price.iloc[0]) == (pytest.approx(9.8), 101.0)
    # 9.8 * 101 * 1% of fee; a memo of 9.8 * 1 of slippage; 9.8 * 92 * 0.001 of funding paid at 08:00.
    assert dict(zip(ledger.kind, ledger.amount, strict=True)) == pytest.approx(
        {"fee": -9.898, "slippage": -9.8, "funding": -0.9016}
    )
    # Marked at 99: 9.8 * (99 - 101) = -19.6.
    assert one["metrics"]["unrealised"] == pytest.approx(-19.6)
    assert one["metrics"]["final_equity"] == pytest.approx(1000 - 9.898 - 0.9016 - 19.6)
    assert one["metrics"]["fees"] == pytest.approx(9.898)


@pytest.mark.parametrize(
    ("funding", "origin", "told"),
    [
        ('"none"', "missing", "BTCUSDT declares no funding, and none is paid or received; only spot has none, which"),
        ('"spot"', "real", "BTCUSDT is spot: it has no funding."),
    ],
)
def test_a_symbol_without_funding_pays_none_and_says_whether_that_is_known(here, funding, origin, told):
    market = write_market(here, market=MARKET.replace('"funding.csv"', funding))
    one = document(call("run", "buy_and_hold", "--market", market, "--json"))["runs"][0]
    assert one["metrics"]["funding_paid"] == 0
    assert any(f.startswith(told) for f in one["findings"])
    assert one["standing"]["funding"] == {origin: 1}


@pytest.mark.parametrize(
    ("funding", "grade", "assumption"),
    [
        ('{ assume = 0.0001, every = "4h" }', "C", "assumed_feed:BTCUSDT.funding"),
        ('{ file = "funding.csv", proxy = "ETHUSDT" }', "B", "proxy_feed:BTCUSDT.funding"),
    ],
)
def test_what_stands_in_or_is_assumed_lowers_the_grade(here, funding, grade, assumption):
    market = write_market(here, market=MARKET.replace('"funding.csv"', funding))
    done = call("run", "buy_and_hold", "--market", market, "--json")
    one = document(done)["runs"][0]
    assert one["grade"] == grade
    assert one["assumptions"][assumption] == 1
    assert f"grade {grade}" in call("show", "last").stdout


# --- again, from Python, and with one's own strategies ---------------------------------------------------------------


def test_a_configuration_gives_the_same_ledger_byte_for_byte(here):
    options = ("--set", "lookback=24", "--leverage", "4", "--seed", "11", "--venue", "okx-swap")
    one = document(call("run", "donchian_break", *options, "--json"))["runs"][0]
    config = config_from_toml((here / one["folder"] / "config.toml").read_text())
    assert (dict(config.parameters)["lookback"], config.seed, config.venue) == (24, 11, "okx-swap")
    from backtest.analysis import analyze
    from backtest.catalogue import save_run

    result = run(config)
    again = save_run(result, analyze(result).to_dict(), here / "again")
    for name in ("ledger", "trades", "equity", "rejections"):
        assert (again / f"{name}.parquet").read_bytes() == (here / one["folder"] / f"{name}.parquet").read_bytes()
    assert (again / "config.toml").read_bytes() == (here / one["folder"] / "config.toml").read_bytes()


def test_another_seed_is_another_market(here):
    runs = [document(call("run", "donchian_break", "--seed", s, "--json"))["runs"][0] for s in (1, 2)]
    assert runs[0]["metrics"]["total_return"] != runs[1]["metrics"]["total_return"]
    assert runs[0]["id"] != runs[1]["id"]


def test_the_same_from_python(here):
    market = write_market(here)
    result = run("support_break", market=market, levels=(95,), buffer=0, venue="paper", account={"cash": 1000})
    assert result.trades.pnl.tolist() == pytest.approx([0.978723404 - 21.27659574], abs=1e-9)
    assert result.trades.index.tolist() == [pd.Timestamp("2026-01-01T06:00Z")]
    assert result.ledger.kind.tolist() == ["funding", "trade_pnl"]
    assert str(result.ledger.index.dtype) == UTC
    assert result.equity.iloc[-1] == pytest.approx(979.702127664)
    assert result.passport.grade == "C"  # the account's tiers are made up
    assert tree(here / "results") == {}


def test_parameters_of_the_command_line_reach_the_run(here):
    one = document(call("run", "support_break", "--set", "levels=80000, 76000", "--set", "rule=wick", "--json"))
    parameters = one["runs"][0]["parameters"]
    assert (parameters["levels"], parameters["rule"], parameters["buffer"]) == ([80000.0, 76000.0], "wick", 0.003)


def test_a_strategy_of_ones_own_comes_before_the_shipped_one(here):
    source = (Path(__file__).parents[1] / "strategies" / "buy_and_hold.py").read_text()
    (here / "strategies").mkdir()
    (here / "strategies" / "buy_and_hold.py").write_text(source.replace("Plan.long", "Plan.short"))
    (here / "strategies" / "mine.py").write_text(source)
    document(call("run", "buy_and_hold", "--json"))
    _, trades, _, _ = tables(next((here / "results").glob("buy_and_hold_*")))
    assert trades.side.tolist() == ["short"]
    every = [s["name"] for s in document(call("strategies", "--json"))["strategies"]]
    assert every == sorted((*SHIPPED, "mine"))
    assert len(document(call("run", "--json"))["runs"]) == len(SHIPPED) + 1


def test_a_strategy_by_its_path(here):
    source = (Path(__file__).parents[1] / "strategies" / "buy_and_hold.py").read_text()
    (here / "idea.py").write_text(source)
    one = document(call("run", "./idea.py", "--json"))["runs"][0]
    assert Path(one["folder"]).name.startswith("idea_deleveraging-2026_")
    assert sorted(os.listdir(here)) == ["idea.py", "results"]


# --- what there is ---------------------------------------------------------------------------------------------------


def test_the_markets_there_are(here):
    found = {m["name"]: m for m in document(call("markets", "--json"))["markets"]}
    assert sorted(found) == [
        "black-thursday-2020-03-12", "break-2026-02", "break-2026-02-daily", "counterparty-2022", "crash-2021-05-19",
        "credit-2022-06", "deleveraging-2026", "ftx-2022-11", "liquidations-2025-10-10", "long-daily",
    ]  # fmt: skip
    assert found["deleveraging-2026"]["origins"] == ["simulated"]
    assert found["deleveraging-2026"]["trade_from"] == "2025-10-15T00:00Z"
    text = call("markets").stdout
    assert "deleveraging-2026" in text
    assert "simulated" in text


def test_the_strategies_there_are(here):
    text = call("strategies").stdout
    assert all(name in text for name in SHIPPED)
    explained = call("strategies", "support_break").stdout
    assert all(word in explained for word in ("levels", "75000,70000", "support prices", "buffer", "leverage", "rule"))
    facts = document(call("strategies", "support_break", "--json"))
    assert [p["name"] for p in facts["parameters"]] == [
        "symbol", "levels", "buffer", "leverage", "rule", "ladder", "kinds", "buffer_atr", "closes", "max_wait", "volume",
        "trend_bars",
    ]  # fmt: skip
