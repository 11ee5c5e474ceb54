"""The report in the terminal: readable at any width, honest about what is simulated, unharmed by odd names."""

import doctest
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from made_result import make_result
from rich.console import Console

from backtest.analysis import analyze
from backtest.catalogue import BrokenRun, list_runs, save_run
from backtest.model import RunConfig
from backtest.report import columns, listing, print_report, print_runs, progress, words

NAMES = (
    "buy_and_hold",
    "contagion_short",
    "donchian_break",
    "funding_carry",
    "ladder",
    "support_bounce",
    "support_break",
)


def made_console(width, **options):
    return Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False, **options)


def text_of(console):
    return console.file.getvalue()


def report(summaries, width=80, failures=None, **options):
    console = made_console(width, **options)
    print_report(summaries, [Path("results") / s.strategy for s in summaries], console, failures)
    return text_of(console)


def summaries():
    base = analyze(make_result())
    return [replace(base, strategy=name, trades=i, liquidations=i % 2) for i, name in enumerate(NAMES)]


def test_every_example_of_the_docstrings_holds():
    assert doctest.testmod(words).failed == 0


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 200])
def test_no_line_is_wider_than_the_terminal(width):
    for text in (report(summaries(), width), report(summaries()[:1], width)):
        lines = [line for line in text.splitlines() if not line.startswith("  results")]
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_figure_is_there_and_no_row_is_broken(width):
    text = report(summaries(), width)
    headers = (
        "return",
        "CAGR",
        "Sharpe",
        "Sortino",
        "max DD",
        "Calmar",
        "trades",
        "win rate",
        "exposure",
        "funding paid",
    )
    for header in (*headers, "fees", "liq.", "trade PnL", "funding", "unrealised", "= total"):
        assert header in text
    rows = [line for line in text.splitlines() if line.startswith(NAMES)]
    tables = text.count("strategy  ")
    assert len(rows) == tables * len(NAMES)


def test_a_wide_terminal_shows_the_comparison_in_one_table():
    rows = [line for line in report(summaries(), 200).splitlines() if line.startswith("support_break")]
    assert len(rows) == 2
    assert rows[0].split() == [
        "support_break", "+1.5%", ">99,999%", "42.05", "128.79", "-0.5%", words.ratio(summaries()[0].calmar),
        "6", "100.0%", "80.0%", "-0.30", "0.21", "0",
    ]  # fmt: skip
    assert rows[1].split() == ["support_break", "20.00", "-0.21", "0.30", "-5.00", "15.09", "-0.04"]


def test_numbers_are_right_aligned():
    lines = report([replace(s, final_equity=s.cash + 10**i) for i, s in enumerate(summaries())], 200).splitlines()
    header = next(line for line in lines if "= total" in line)
    end = header.index("= total") + len("= total")
    assert {line[end - 1] for line in lines if line.startswith(NAMES) and " -5 " in line} == {"1"} | {"0"}


def test_a_simulated_market_says_so_first_and_a_real_one_does_not():
    simulated = report([analyze(make_result())])
    assert simulated.splitlines()[0].startswith(" SIMULATED MARKET ")
    assert "grade D, simulated" in simulated
    real = report([analyze(make_result(origin="real"))])
    assert "SIMULATED" not in real
    assert "grade B, proxy or missing" in real  # it has neither funding nor mark
    assert words.grade_words("A").startswith("grade A, real: price, funding and what liquidation depends on come from")


def test_undefined_is_a_dash():
    s = replace(analyze(make_result()), sharpe=math.nan, win_rate=math.nan)
    assert report([s], 200).count(words.NOTHING) == 2
    assert "nan" not in report([s], 200)


def test_assumptions_are_in_plain_words_with_counts():
    one = report([analyze(make_result())])
    assert f"series made by a generator, not by a market  {words.TIMES}1" in one
    several = [replace(s, assumptions={"ambiguous_bars": i}) for i, s in enumerate(summaries()[:3])]
    assert f"{words.TIMES}1 to {words.TIMES}2, in 2 of 3" in report(several, 200)
    assert f"some new thing  {words.TIMES}4" in report([replace(summaries()[0], assumptions={"some_new_thing": 4})])
    assert "· none" in report([replace(summaries()[0], assumptions={})])


def test_amounts_that_add_up_have_the_same_digits():
    s = replace(summaries()[0], final_equity=6_000.0, unrealised=-4_000.0)
    row = next(line for line in report([s], 200).splitlines() if "-4,000.00" in line)
    assert row.split() == ["buy_and_hold", "20.00", "-0.21", "0.30", "-4,000.00", "5,000.00", "-0.04"]


def test_slippage_is_said_as_a_cost():
    assert "slippage cost 0.04; it is inside the prices of the fills" in report(summaries(), 200)
    free = [replace(s, memo={"slippage": 0.0}) for s in summaries()]
    assert "inside the prices" not in report(free, 200)


def test_the_venue_of_the_margin_tiers_is_said_once():
    s = replace(summaries()[0], tier_tables=("okx-swap BTCUSDT 2026-01-01", "okx-swap ETHUSDT 2025-01-01"))
    assert "margin tiers of okx-swap: BTCUSDT 2026-01-01, ETHUSDT 2025-01-01" in report([s], 200)
    s = replace(s, tier_tables=("okx-swap BTCUSDT 2026", "bybit-linear ETHUSDT 2025"))
    assert "margin tiers: okx-swap BTCUSDT 2026, bybit-linear ETHUSDT 2025" in report([s], 200)
    s = replace(s, tier_tables=("paper, no maintenance margin",))
    assert "margin tiers: paper, no maintenance margin" in report([s], 200)


def test_a_heading_breaks_between_its_facts():
    lines = report(summaries()[:1], 60).splitlines()
    assert not any(line.endswith((" ·", " of")) or line.startswith("·") for line in lines)


def test_what_only_holds_or_not_has_no_count():
    s = replace(summaries()[0], assumptions={"slippage_is_a_constant": 1, "proxy_feed:vix": 1})
    lines = [line.rstrip() for line in report([s], 200).splitlines()]
    assert "  · slippage is a constant fraction, whatever the size and the hour" in lines
    assert "  · another series stands in for vix" in lines


def test_findings_are_shown_up_to_a_few():
    s = replace(summaries()[0], findings=tuple(f"finding {i}" for i in range(9)))
    assert "finding 4" in report([s])
    assert "finding 5" not in report([s])
    assert "and 4 more findings" in report([s])


def test_a_single_run_shows_its_parameters():
    assert "levels=75000,70000  buffer=0.003  rule=close" in report([analyze(make_result())])


def test_a_failure_is_named_with_its_sentence():
    text = report(summaries()[:1], failures={"mine": "mine failed while it planned."})
    assert "Not run" in text
    assert "mine: mine failed while it planned." in text
    assert "Not run" in report([], failures={"mine": "no"})


ODD = "[red]x[/red][/] :bomb: \x1b[2J\r\n[link=http://x]"


def test_markup_and_control_characters_in_names_do_no_harm():
    s = replace(analyze(make_result(strategy=ODD, market=ODD)), symbols=(ODD,), findings=(ODD,), tier_tables=(ODD,))
    s = replace(s, assumptions={ODD: 1}, parameters={ODD: ODD}, rejections={ODD: 1})
    text = report([s], 300, failures={ODD: ODD})
    assert "\x1b" not in text
    assert "\r" not in text
    assert text.count("[red]x[/red]") >= 8
    assert ":bomb:" in text


def test_colour_is_only_an_accent():
    coloured = report(summaries(), force_terminal=True, color_system="standard")
    assert "\x1b[32m" in coloured
    plain = Console(file=io.StringIO()).render_str(coloured, markup=False)
    assert "\x1b" not in report(summaries())
    assert plain


def test_a_path_is_never_cut(tmp_path):
    console = made_console(40)
    long = Path("/" + "a" * 100)
    print_report([analyze(make_result())], [long], console)
    assert f"  {long}\n" in text_of(console)


# --- lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_list_of_runs(tmp_path, width):
    for strategy in ("support_break", "mine.py"):
        result = make_result(strategy=strategy, config=RunConfig(strategy))
        save_run(result, analyze(result).to_dict(), tmp_path)
    console = made_console(width)
    print_runs(list_runs(tmp_path), [BrokenRun(tmp_path / "bad", "it has no summary.json")], tmp_path, console)
    text = text_of(console)
    assert all(run.id in text for run in list_runs(tmp_path))
    assert "support_break" in text
    assert "mine " in text
    assert "+1.5%" in text
    assert "it has no summary.json" in text.replace("\n", " ").replace("  ", " ")
    assert max(map(len, text.splitlines())) <= width


def test_no_runs_is_a_friendly_sentence(tmp_path):
    console = made_console(200)
    print_runs([], [], Path("results"), console)
    assert text_of(console) == "There are no runs in results yet; make one with `backtest run`.\n"


PARAMETERS = [
    {"name": "levels", "type": "tuple[float, ...]", "default": (75000.0, 70000.0), "meaning": "support prices " * 9}
]
STRATEGY = {
    "name": "mine",
    "doc": "First\nline.\n\nSecond.",
    "parameters": PARAMETERS,
    "path": "/x/mine.py",
    "title": "First line.",
}


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_strategy_with_its_parameters(width):
    console = made_console(width)
    listing.print_strategy(STRATEGY, console)
    text = text_of(console)
    assert "First line." in text
    assert "75000,70000" in text
    assert ("tuple[float, ...]" in text) == (width >= 100)
    assert max(map(len, text.splitlines())) <= width


def test_a_wrong_file_does_not_hide_the_others():
    console = made_console(80)
    listing.print_strategies([STRATEGY, {"name": "bad[b]", "error": "bad.py is not Python."}], console)
    assert "bad[b] bad.py is not Python." in text_of(console)
    assert "mine\n  First line." in text_of(console)


def test_a_name_too_long_is_clipped():
    column = columns.Column("strategy", ["a" * 50], left=True)
    console = made_console(80)
    console.print(columns.table_of([column]))
    assert "a" * 27 + "…" in text_of(console)


# --- progress ----------------------------------------------------------------------------------------------------


def test_the_bar_stays_away_where_nobody_waits(monkeypatch):
    console = made_console(80, force_terminal=True)
    with progress.progress(2, console) as advance:
        advance(RunConfig("a"))
    assert "a" not in text_of(console)


def test_the_bar_appears_after_its_patience_and_is_gone_at_the_end(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    console = made_console(80, force_terminal=True)
    with progress.progress(2, console) as advance:
        for name in ("first", "[red]second"):
            advance(RunConfig(name))
            progress.threading.Event().wait(0.3)
    assert "[red]second" in text_of(console)
    assert "1/2" in text_of(console)


def test_there_is_no_bar_without_a_terminal(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    console = made_console(80)
    with progress.progress(1, console) as advance:
        advance(RunConfig("first"))
        progress.threading.Event().wait(0.2)
    assert text_of(console) == ""
