"""The HTML report of odd runs: names that are markup, runs in which something is missing, and very long ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import report_made as made
from made_result import make_result
from report_page import NO_NUMBER, Page, page_of

from backtest.errors import ConfigError
from backtest.report.html import report_of, write_report
from backtest.report.html.lists import command
from backtest.report.html.series import charts_of, coarser

# --- nothing becomes markup -------------------------------------------------------------------------------------


def test_names_that_are_markup_stay_names():
    view, market = made.hostile()
    for text in (write_report(None, view, market), write_report(None, [view, view])):
        page = Page(text)
        assert not page.of("img")
        assert len(page.of("script")) == 3
        assert made.HOSTILE in page.text
        assert "alert(2)" not in "".join(page.scripts[1:])
        known = {
            "html",
            "head",
            "meta",
            "link",
            "title",
            "style",
            "body",
            "a",
            "header",
            "h1",
            "p",
            "strong",
            "nav",
            "main",
        }
        known |= {
            "div",
            "section",
            "h2",
            "ul",
            "li",
            "span",
            "table",
            "caption",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
        }
        known |= {
            "summary",
            "code",
            "dl",
            "dt",
            "dd",
            "figure",
            "figcaption",
            "label",
            "select",
            "option",
            "button",
            "svg",
        }
        known |= {"line", "path", "rect", "input", "noscript", "pre", "footer", "script"}
        assert {tag for tag, _ in page.elements} <= known


def test_a_symbol_with_quotes_is_in_table_and_data_as_it_is():
    view, market = made.hostile()
    page = page_of(view, market)
    assert page.data["charts"][0]["symbol"] == made.QUOTED
    assert f"1 {made.QUOTED} long" in page.text


def test_the_command_quotes_what_a_shell_would_read():
    view, _ = made.hostile()
    assert command(view.config).startswith(
        "backtest run '<img src=x onerror=alert(1)>' --market '<script>alert(2)</script>'"
    )


# --- runs in which something is missing -------------------------------------------------------------------------

SAID = {
    "no_trade": [
        "No trade: nothing on this market met the rule",
        "No trade.",
        "No closed trade, so there is nothing to spread out.",
    ],
    "one_trade": ["One trade: its figures describe that trade and no rule.", "One closed trade is no distribution."],
    "ruined_at_once": ["Ruined: nothing was left of the account at the close of bar 1, 2026-02-03 02:00 UTC."],
    "all_nan_feeds": [
        "BTCUSDT.open_interest has no value that is a number.",
        "BTCUSDT has no funding in this span.",
        "BTCUSDT.long_liquidations has no value that is a number.",
    ],
    "one_never_traded": ["Never traded: BNBUSDT."],
    "without_prices": ["BNBUSDT has no price in this span."],
    "one_bar": ["One trade: its figures describe that trade and no rule.", "No closed trade"],
}


@pytest.mark.parametrize("name", [*SAID, "hostile"])
def test_an_odd_run_is_written_and_says_what_is_odd(name):
    view, market = made.EDGES[name]()
    for page in (page_of(view, market), Page(write_report(None, [view, view], market))):
        assert not NO_NUMBER.search(page.text), NO_NUMBER.search(page.text)
    for told in SAID.get(name, []):
        assert told in page_of(view, market).text


def test_a_run_without_a_bar_is_written_and_says_so():
    empty = make_result(
        time=np.empty(0, np.int64),
        equity_values=np.empty(0),
        final_wallet=1000.0,
        trades_table=type(make_result().trades_table)(("BTCUSDT",), *(np.empty(0, np.int64) for _ in range(15))),
        **{name: np.empty(0, np.int64) for name in ("position_bar", "position_symbol")},
        position_quantity=np.empty(0),
    )
    page = page_of(empty, made.embedded())
    for told in (
        "Nothing was scored: the run has no bars.",
        "There is no bar to draw.",
        "No month: the run has no bars.",
    ):
        assert told in page.text
    assert not NO_NUMBER.search(page.text)
    assert not NO_NUMBER.search(Page(write_report(None, [empty, make_result()])).text)


def test_a_report_of_no_run_is_refused():
    with pytest.raises(ConfigError, match=r"^A report needs at least one run\.$"):
        report_of([])


# --- size -------------------------------------------------------------------------------------------------------


def test_a_run_on_the_embedded_market_is_a_small_file():
    single = write_report(None, made.assessed_view(), made.embedded())
    comparison = write_report(None, [made.embedded_view(name) for name in made.FIVE])
    assert len(single.encode()) <= 1_000_000
    assert len(comparison.encode()) <= 1_000_000


def test_a_long_run_is_not_a_large_file():
    view, market = made.long_view(), made.long_market()
    assert (len(view.time), len(view.trades), len(view.levels["BTCUSDT"])) == (70_000, 600, 5)
    assert len(write_report(None, view, market).encode()) <= 3_500_000


def test_of_too_many_bars_the_less_traded_symbols_are_drawn_coarser():
    market = made.long_market(40_000, ("A", "B", "C", "D"), seed=2)
    view = made.long_view(20, market)
    charts = charts_of(view, market)
    assert [(chart.symbol, chart.step) for chart in charts] == [("A", 1), ("B", 2), ("C", 2), ("D", 2)]
    text = write_report(None, view, market)
    assert "B is drawn in bars of 2h, to keep the file small." in Page(text).text
    assert len(text.encode()) <= 3_500_000


def test_coarser_bars_by_hand():
    view, market = made.one_trade()
    chart = charts_of(view, market)[0]
    values = {
        "open": [1, 2, 3],
        "high": [5, 6, 4],
        "low": [0.5, 1, 2],
        "close": [2, 3, 3.5],
        "volume": [1, math.nan, 4],
    }
    small = replace(
        chart,
        time=chart.time[:3],
        **{k: np.array(v, dtype=float) for k, v in values.items()},
        open_interest=np.array([7, math.nan, math.nan]),
        longs=np.array([1.0, 2.0, math.nan]),
        shorts=np.array([math.nan] * 3),
        funding_bar=np.array([0, 1, 2]),
        funding=np.array([0.1, 0.2, 0.4]),
    )
    found = coarser(small, 2)
    assert found.time.tolist() == [chart.time[0], chart.time[2]]
    wanted = {
        "open": [1, 3], "high": [6, 4], "low": [0.5, 2], "close": [3, 3.5], "volume": [1, 4], "open_interest": [7, math.nan],
        "longs": [3, math.nan], "shorts": [math.nan, math.nan], "funding": [0.1 + 0.2, 0.4], "funding_bar": [0, 1],
    }  # fmt: skip
    for name, values in wanted.items():
        np.testing.assert_allclose(getattr(found, name), values, err_msg=name)
    assert found.interval == 2 * chart.interval
