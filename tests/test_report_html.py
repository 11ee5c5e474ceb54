"""The HTML report without a browser: one file, what is on the page, and figures of its own."""

import hashlib
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import report_made as made
from made_result import HOUR, START, make_result
from report_page import NO_NUMBER, Page, page_of

import backtest.report.html as package
from backtest.analysis import analyze
from backtest.analysis.assess import assess
from backtest.analysis.compare import compare
from backtest.catalogue import load_run, save_run
from backtest.errors import ResultsError
from backtest.report.html import view_of, write_report
from backtest.report.html.money import bin_edges, month_returns
from backtest.report.html.pack import unpacked

VENDOR = Path(package.__file__).parent / "vendor"


@pytest.fixture(scope="module")
def single():
    return write_report(None, made.embedded_view(), made.embedded())


@pytest.fixture(scope="module")
def comparison():
    return write_report(None, [made.embedded_view(name) for name in made.FIVE])


# --- one file, no request ---------------------------------------------------------------------------------------


def test_the_vendored_charts_are_those_that_were_published():
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    assert set(sums) == {"LICENSE", "lightweight-charts.standalone.production.js"}
    assert sums == {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in sums}


@pytest.mark.parametrize("which", ["single", "comparison"])
def test_a_page_refers_to_nothing_outside_itself(which, request):
    page = Page(request.getfixturevalue(which))
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "srcset", "data", "action", "poster", "background"):
                pytest.fail(f"<{tag} {name}={value!r}> loads something")
            if name == "href" and tag != "a":
                assert (tag, value) == ("link", "data:,")
    outside = {a["href"] for a in page.of("a") if not a["href"].startswith("#")}
    assert outside == {"https://www.tradingview.com/"}


@pytest.mark.parametrize("which", ["single", "comparison"])
def test_a_page_forbids_itself_every_request_and_foreign_script(which, request):
    text = request.getfixturevalue(which)
    page = Page(text)
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind in ("script-src", "style-src"):
        assert re.fullmatch(r"('sha256-[\w+/=]+' ?)+", rules[kind])
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    ]


@pytest.mark.parametrize("which", ["single", "comparison"])
def test_a_page_names_the_author_of_its_charts(which, request):
    page = Page(request.getfixturevalue(which))
    assert (
        "TradingView Lightweight Charts™, Copyright (c) 2026 TradingView, Inc., https://www.tradingview.com/"
        in page.text
    )
    assert any("Apache License 2.0" in script for script in page.scripts)


def test_the_same_run_gives_the_same_bytes(single):
    assert write_report(None, made.embedded_view(), made.embedded()) == single


# --- what is on it ----------------------------------------------------------------------------------------------


def test_sections_in_the_order_of_what_to_believe_first(single):
    found = [a["id"] for a in Page(single).of("section")]
    assert found == [
        "assumptions", "passport", "verdict", "figures", "chart", "trades", "attribution", "months", "distribution",
        "breaks", "configuration",
    ]  # fmt: skip


def test_sections_of_a_comparison(comparison):
    found = [a["id"] for a in Page(comparison).of("section")]
    assert found == [
        "assumptions",
        "passport",
        "verdict",
        "ranking",
        "chart",
        "differences",
        "attribution",
        "correlations",
        "configuration",
    ]


def test_links_and_labels_lead_somewhere(single):
    page = Page(single)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.of("a") if a["href"].startswith("#")} <= set(ids)
    assert {a["aria-labelledby"] for a in page.of("section")} <= set(ids)


def test_figures_of_a_run_made_by_hand():
    page = page_of(make_result())
    # equity 1000, 999.9, 1010.2, 1020.085, 1015.085; a short of 2 at 100 made 20.11, a long is still open
    for told in (
        "SIMULATED MARKET",
        "Grade D, simulated",
        "bars in a position without a mark price: margin and funding use the last price \N{MULTIPLICATION SIGN}3",
        "2 bars look odd",
        "return +1.5%",
        "max drawdown -0.5%",
        "trades 2 (1 open)",
        "Orders that came to nothing: end of data \N{MULTIPLICATION SIGN}1.",
        "1 BTCUSDT short 2026-01-01 01:00 100 2026-01-01 03:00 90 2h +10.1% 20.11 -0.19 0.30 target",
        "2 ETHUSDT long 2026-01-01 03:00 10 open 9 2h -0.1% -0.03 -0.03 0.00 open",
        "trade PnL 20.00 fees -0.21 funding 0.30 unrealised -5.00 = total 15.09",
        "2026 1.5% 1.5%",
        "One closed trade is no distribution.",
        "backtest run support_break --market made --set levels=75000.0,70000.0 --set buffer=0.003 --set rule=close",
        "No verdict. The result was not tested against luck.",
        "The market was not at hand, so only the equity is drawn.",
    ):
        assert told in page.text, told


def test_what_the_chart_draws_is_what_was_run():
    data = page_of(make_result()).data
    np.testing.assert_allclose(unpacked(data["equity"]["v"]), [1000.0, 999.9, 1010.2, 1020.085, 1015.085])
    assert data["equity"]["t"] == {"n": 5, "start": START // 10**9, "step": 3600, "jumps": []}
    trades = data["trades"]
    assert unpacked(trades["side"]).tolist() == [-1, 1]
    assert unpacked(trades["in"]).tolist() == [(START + n * HOUR) // 10**9 for n in (1, 3)]
    assert unpacked(trades["out"]).tolist() == [(START + n * HOUR) // 10**9 for n in (3, 4)]  # open: the last bar
    assert unpacked(trades["kind"]).tolist() == [0, 3]
    assert unpacked(trades["chart"]).tolist() == [-1, -1]  # no market, no chart


def test_the_bars_come_back_as_they_were(single):
    market, chart = made.embedded(), Page(single).data["charts"][0]
    bars, first = market["BTCUSDT"], market.start_bar
    assert chart["symbol"] == "BTCUSDT"
    assert chart["t"] == {"n": 2880, "start": int(bars.time[first]) // 10**9, "step": 3600, "jumps": []}
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(unpacked(chart[name]), getattr(bars, name)[first:], rtol=1e-6)
    np.testing.assert_allclose(unpacked(chart["volume"]), bars.volume[first:], rtol=1e-3, atol=1.0)
    interest = market.feed("BTCUSDT.open_interest")[first:]
    np.testing.assert_allclose(unpacked(chart["open_interest"]), interest, rtol=1e-4)
    assert unpacked(chart["funding"]["bar"]).tolist() == list(range(0, 2880, 8))
    assert {part[2] for level in chart["levels"] for part in level["parts"]} >= {
        "active",
        "tested",
        "broken",
        "reclaimed",
    }


def test_breaks_name_the_trades_that_followed(single):
    assert "2026-01-31 05:00 75,000 fixed" in Page(single).text
    table = Page(single).text.split("Breaks of the levels")[-1]
    assert re.search(
        r"2026-01-31 05:00 75,000 fixed [\d,.]+ -0\.\d% -\d\.\d% \d+ bars false break 2026-01-31 17:00 1 ", table
    )


def test_a_comparison_shows_what_was_compared(comparison):
    page, found = Page(comparison), compare([made.embedded_view(name) for name in made.FIVE], superior=False)
    returns = [summary.total_return for summary in found.summaries]
    assert returns == sorted(returns, reverse=True)
    assert [run["name"] for run in page.data["runs"]] == list(found.names)
    assert page.text.count("backtest run ") >= 5
    for told in ("5 runs compared", "Runs by return", "against donchian_break", "against buy_and_hold", *found.notes):
        assert told in page.text


def test_a_comparison_that_was_made_is_shown_as_it_was_made():
    views = [made.embedded_view(name) for name in made.FIVE[:3]]
    found = compare(views, "sharpe", replicates=100)
    page = Page(write_report(None, views, compared=found))
    assert "Runs by Sharpe" in page.text
    assert [run["name"] for run in page.data["runs"]] == list(found.names)
    for sentence in found.sentences():
        assert sentence in page.text


# --- figures of its own -----------------------------------------------------------------------------------------


def test_months_by_hand():
    time = np.array([0, 30 * 24, 31 * 24 - 1, 31 * 24, 40 * 24], dtype=np.int64) * HOUR + START
    view = replace(view_of(make_result()), time=time, equity=np.array([1000.0, 1100.0, 1200.0, 900.0, 600.0]))
    # the bar of 31 January 23:00 closes at midnight and is January's last; February falls from 1200 to 600
    assert month_returns(view) == {(2026, 1): pytest.approx(0.2), (2026, 2): pytest.approx(-0.5)}


def test_after_a_ruin_a_month_has_no_return():
    time = np.array([0, 40 * 24], dtype=np.int64) * HOUR + START
    found = month_returns(replace(view_of(make_result()), time=time, equity=np.zeros(2)))
    assert found[2026, 1] == -1.0
    assert math.isnan(found[2026, 2])


@pytest.mark.parametrize(("low", "high"), [(-0.031, 0.027), (0.0, 0.0), (1e-9, 2e-9), (-5.0, -4.9), (-0.9, 12.0)])
def test_bins_cover_the_returns_in_round_steps(low, high):
    edges = bin_edges(low, high)
    steps = np.diff(edges)
    assert edges[0] <= low + 1e-12
    assert edges[-1] >= high - 1e-12
    np.testing.assert_allclose(steps, steps[0])
    assert 1 <= steps.size <= 40
    assert abs(edges[0] / steps[0] - round(edges[0] / steps[0])) < 1e-6  # 0 is a multiple


# --- assessments ------------------------------------------------------------------------------------------------


def assessed():
    luck = SimpleNamespace(
        verdict="not distinguishable from luck",
        sentence="The 95% interval of the Sharpe ratio reaches from -1.20 to 2.40.",
        intervals={"sharpe": (-1.2, 2.4), "total_return": (-0.1, math.nan)},
    )
    parts = {"price": 15.0, "fees": -0.215, "funding": 0.3, "frozen": 0.0}
    by_symbol = {"BTCUSDT": {"price": 20.0, "fees": -0.19}, "ETHUSDT": {"price": -5.0}}
    attribution = SimpleNamespace(total=parts, by_symbol=by_symbol, by_level=None, notes=("Not split by level.",))
    drawdown = SimpleNamespace(start=START, trough=START + HOUR, recovery=None, depth=-0.25, bars=3)
    metrics = {"ulcer": 0.0123, "omega": None, "cvar": math.nan}
    stats = {"side": {"all": {"trades": 1.0, "win_rate": 1.0, "payoff": math.nan, "pnl": 20.11}}, "rung": {}}
    months = [(2026, 1, 0.0151)]
    return SimpleNamespace(
        luck=luck, attribution=attribution, drawdowns=[drawdown], metrics=metrics, months=months, trade_stats=stats
    )


def test_an_assessment_is_shown_where_there_is_one():
    page = page_of(view_of(make_result(), assessment=assessed()))
    for told in (
        "Not distinguishable from luck. The 95% interval of the Sharpe ratio reaches from -1.20 to 2.40.",
        "95%: -1.20 to 2.40",
        "price 15.00 fees -0.21 funding 0.30 = total 15.09",
        "By symbol (2)",
        "BTCUSDT 20.00 -0.19 19.81",
        "Not split by level.",
        "2026-01-01 00:00 2026-01-01 01:00 not yet -25.0% 3",
        "Closed trades by side",
        "all 1 100.0% \N{EN DASH} 20.11",
        "Every figure (3)",
        "ulcer 0.0123 omega \N{EN DASH} cvar \N{EN DASH}",
        "2026 1.5% 1.5%",
    ):
        assert told in page.text, told
    assert not NO_NUMBER.search(page.text)


def test_the_assessment_of_the_package_is_shown():
    result = made.embedded_result()
    found = assess(result, made.embedded())
    page = page_of(view_of(result, assessment=found), made.embedded())
    assert found.luck.sentence.removeprefix("Not enough trades") in page.text
    for told in (
        "By side (",
        "By month (",
        "By regime (",
        "Deepest drawdowns",
        "Closed trades by side",
        "price ",
        "slippage ",
    ):
        assert told in page.text
    assert not NO_NUMBER.search(page.text)


# --- files ------------------------------------------------------------------------------------------------------


def test_a_report_is_written_to_a_file(tmp_path):
    path = tmp_path / "report.html"
    text = write_report(path, make_result())
    assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(
        ResultsError, match=r"^The report .*report\.html can't be written: No such file or directory\.$"
    ):
        write_report(tmp_path / "missing" / "report.html", make_result())


def test_a_saved_run_has_the_same_report(tmp_path):
    result = make_result()
    folder = save_run(result, analyze(result).to_dict(), tmp_path)
    saved = load_run(folder.name, tmp_path)
    live = view_of(result, identity=saved.id)
    assert write_report(None, saved) == write_report(None, live)
