"""`backtest sweep`: its heat map, what choosing is worth, its page, and the best points run in full."""

import json

import numpy as np
import pytest
from command import call, document, process
from heat_made import made, made_view
from hypothesis import given, settings
from hypothesis import strategies as st
from report_page import NO_NUMBER, Page
from rich.console import Console
from sweep_made import make_files

from backtest.analysis.summary import METRICS
from backtest.report.heat import print_heat, sentences
from backtest.report.html.sweep import render_sweep
from backtest.sweep.heat_map import heat
from backtest.sweep.point import COUNTS

GRID = ("--grid", "entry=1,4,6", "--grid", "hold=4,6")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    make_files(tmp_path)
    return tmp_path


def swept(*arguments):
    return call("sweep", "./shorter.py", "-m", "./market.toml", *arguments)


def folder(here):
    return next(here.glob("results/sweep_*"))


# --- the map -------------------------------------------------------------------------------------------------------


def test_two_axes_are_mapped_unasked(here):
    found = document(swept(*GRID, "--by", "total_return", "--json"))
    told = found["heat"]
    assert (told["x"]["axis"], told["y"]["axis"], told["figure"]) == ("hold", "entry", "total_return")
    assert told["y"]["steps"] == ["1", "4", "6"]
    values = {(row["hold"], row["entry"]): row["total_return"] for row in found["best"]}
    for r, entry in enumerate((1, 4, 6)):
        for c, hold in enumerate((4, 6)):
            assert told["value"][r][c] == pytest.approx(values[hold, entry])
    done = swept(*GRID, "--by", "total_return")
    assert "Heat map: return, hold across, entry down" in done.stdout
    assert "Plateau, in brackets: " in done.stdout
    assert "Its trades" not in done.stdout


def test_a_map_is_chosen_with_its_figure_and_held_axes(here):
    more = ("--grid", "stop=0.01,0.5")
    done = swept(*GRID, *more, "--heat", "entry,hold", "--figure", "trades", "--at", "stop=0.5")
    assert done.exit_code == 0
    assert "Heat map: trades, entry across, hold down" in done.stdout
    assert "Each cell is one point, at stop=0.5. 6 points." in done.stdout
    assert "Its trades, in the median of a cell" in done.stdout
    assert "Spread of trades among a cell and its neighbours" in done.stdout
    over = document(swept(*GRID, *more, "--heat", "entry,hold", "--over", "best", "--json"))["heat"]
    assert (over["over"], over["others"], over["points"]) == ("best", ["stop"], [[2, 2, 2], [2, 2, 2]])


def test_one_axis_is_mapped_when_asked(here):
    done = swept("--grid", "entry=1,4,6")
    assert "Heat map" not in done.stdout
    assert "Heat map: Sharpe, entry across" in swept("--grid", "entry=1,4,6", "--heat", "entry").stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--heat", "entri,hold"), "The sweep has no axis 'entri'. Did you mean 'entry'?"),
        (("--heat", "entry"), "A map is over two axes, got 'entry' alone"),
        (("--heat", "entry,entry"), "A map needs two different axes, got 'entry' twice."),
        (("--heat", "entry,hold,stop"), "`--heat` needs two axes, such as --heat lookback,buffer"),
        (("--heat", "entry,"), "`--heat` needs two axes"),
        (("--heat", "entry,stop", "--grid", "stop=0.5"), "`stop` has one value in this sweep (0.5)"),
        (("--figure", "sharp"), "A sweep has no figure 'sharp'. Did you mean 'sharpe'?"),
        (("--at", "hold=4"), "`--at` holds an axis of a map at a value; say which map"),
        (("--heat", "entry,hold", "--at", "hold=4"), "`hold` is a side of the map"),
        (("--heat", "entry,hold", "--at", "hold"), "`--at` needs a name and a value"),
        (("--compare",), "`--compare` runs the best points in full; say how many, such as --top 10 --compare."),
        (("--dask", "nowhere"), "by the address of its scheduler, such as tcp://127.0.0.1:8786, got 'nowhere'."),
        (("--top", "0"), "`--top` must be a number of points from 1, got 0."),
    ],
)
def test_a_mistake_is_said_before_anything_runs(here, options, sentence):
    done = swept(*GRID, *options)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""
    assert not (here / "results").exists()


def printed(found, width=80, colour=None):
    console = Console(width=width, force_terminal=bool(colour), color_system=colour, highlight=False)
    with console.capture() as capture:
        print_heat(found, console, whole=True)
    return capture.get()


def test_a_printed_map_marks_the_plateau_and_needs_no_colour():
    values = [0, 0, 0, 9, 2, 2, 2, 0, 2, 2, 2, 0, 2, 2, 2, np.nan]
    found = heat(made({"b": range(4), "a": range(4)}, values, trades=40, errors={0: "x"}), "a", "b")
    text = printed(found)
    lines = text.splitlines()
    assert lines[1] == "Heat map: Sharpe, a across, b down"
    assert lines[2].split() == ["0", "1", "2", "3"]
    assert lines[3].split() == ["0", "x", "0.00", "0.00", "9.00^"]
    assert lines[5].split() == ["2", "2.00", "[2.00]", "2.00", "0.00"]
    assert lines[6].split() == ["3", "2.00", "2.00", "2.00", "·"]
    assert "x every point failed · · no value" in " ".join(text.split())
    joined = " ".join(sentences(found))
    assert "Each cell is one point. 16 points, 1 failed, 1 without this figure." in joined
    assert "Plateau, in brackets: a 1, b 2: Sharpe 2.00, it and its neighbours 2.00 to 2.00, 40 trades." in joined
    assert "Peak, marked ^: a 3, b 0: 9.00, 9.00 better than the median of its neighbours: likely luck." in joined
    assert "48;2;" in printed(found, colour="truecolor")
    assert "48;" in printed(found, colour="256")
    assert max(map(len, lines)) <= 80


def test_sentences_of_a_map_with_few_trades_and_of_bins():
    found = heat(made({"a": range(9), "c": (1, 2)}, list(range(18)), trades=[3, 5] * 9), "a", cells=(3, 1))
    joined = " ".join(sentences(found))
    assert "Each cell is the median of its points over c, up to 6. 18 points." in joined
    assert "a: 9 values in 3 bins." in joined
    assert (
        "4 trades in the median, 3 at least. That is too few to tell anything; no cell among neighbours has 30."
        in joined
    )
    assert "It lies at the end of a: what is beyond was not swept. It is the peak, too." in joined
    assert "0..2" not in printed(found)  # of bins the first line has the beginnings, the second the ends
    assert "..2" in printed(found)


def test_a_wide_sweep_fits_80_columns(here):
    done = process("sweep", "./shorter.py", "-m", "./market.toml", "--grid", "stop=lin:0.1:0.9:24", "--grid", "hold=1:12",
                   "--heat", "stop,hold", cwd=here)  # fmt: skip
    assert done.returncode == 0, done.stderr
    inside = done.stdout[done.stdout.index("Heat map") : done.stdout.index("Is choosing")]
    assert max(map(len, inside.splitlines())) <= 80
    assert "stop: 24 values in 8 bins." in inside


@given(
    st.integers(2, 30),
    st.integers(1, 4),
    st.sampled_from([0.001, 1.0, 1234.5, 1e6]),
    st.sampled_from([1 / 3, 1.0, 98_765.4321]),
    st.sampled_from(["sharpe", "total_return", "trades", "fees"]),
    st.sampled_from([40, 80, 90, 200]),
)
@settings(max_examples=60, deadline=None)
def test_no_row_is_longer_than_the_terminal_and_the_marks_are_there(columns, rows, size, step, figure, width):
    """The peak is in the last column, where a row would be cut, and far from the plateau in the first."""
    values = np.zeros((rows, columns))
    values[:, :2], values[-1, -1] = 2 * size, 9 * size
    of_figure = {} if figure in ("sharpe", "trades") else {figure: values.ravel()}
    trades = np.where(values > 0, values + 50, 50).ravel() if figure == "trades" else 50
    axes = {
        "b": [f"a strategy with a long name {i}" for i in range(rows)],
        "a": [(i + 1) * step for i in range(columns)],
    }
    sides = ("a", "b") if rows > 1 else ("a",)
    text = printed(heat(made(axes, values.ravel(), trades=trades, **of_figure), *sides, metric=figure), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    first = [line for line in lines[1 : lines.index("", 1)] if not line.startswith(("[ ]", "  ·"))]
    marks = "".join(first)
    assert (marks.count("["), marks.count("]")) == (1, 1)
    assert "^" in marks or "It is the peak, too." in " ".join(text.split())


def test_a_terminal_of_16_colours_gets_numbers_without_a_background():
    found = heat(made({"b": range(3), "a": range(3)}, range(9)), "a", "b")
    row = next(line for line in printed(found, colour="standard").splitlines() if "6.00" in line)
    assert row == "\x1b[2m2 \x1b[0m 6.00  7.00 [8.00]"  # the name alone is dim
    deep = next(line for line in printed(found, colour="truecolor").splitlines() if "8.00" in line)
    assert "\x1b[2m2 \x1b[0m" in deep
    assert "\x1b[2;" not in deep


def test_the_map_in_json_is_the_same_at_every_width(here):
    asked = ("--grid", "stop=lin:0.1:0.9:24", "--grid", "hold=4,6", "--heat", "stop,hold", "--json")
    narrow, wide = (
        document(process("sweep", "./shorter.py", "-m", "./market.toml", *asked, cwd=here, COLUMNS=width))["heat"]
        for width in ("40", "200")
    )
    assert narrow == wide
    assert len(narrow["x"]["steps"]) == 24


# --- what choosing is worth ----------------------------------------------------------------------------------------


def test_the_overfitting_figures_come_unasked_and_once(here):
    found = document(swept(*GRID, "--by", "total_return", "--json"))["overfitting"]
    assert found["luck"]["trials"] == 6
    assert found["said"] == "All 6 points were run in full for their daily returns."
    kept = folder(here) / "overfitting.json"
    marked = json.loads(kept.read_text())
    marked["figures"]["sentences"] = ["from before"]
    kept.write_text(json.dumps(marked))
    assert "from before" in swept(*GRID, "--by", "total_return").stdout
    kept.write_text("{")
    assert "All 6 points were run in full" in " ".join(swept(*GRID, "--by", "total_return").stdout.split())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--grid", "entry=1"), "One point was tried, so nothing was chosen; a second one makes it a choice."),
        (("--grid", "hold=13"), "No point gave figures, so there is nothing to choose."),
        (("--grid", "hold=13,4"), "1 configuration over 1 period are too few to tell overfitting."),
    ],
)
def test_where_there_is_nothing_to_judge_a_sentence_says_so(here, options, sentence):
    by = ("--by", "total_return") if "hold=13,4" in options else ()
    assert sentence in " ".join(swept(*options, *by).stdout.split())


def test_several_strategies_are_judged_by_that_of_the_best_point(here):
    done = call(
        "sweep", "./shorter.py", "buy_and_hold", "-m", "./market.toml", "--grid", "entry=1,4", "--by", "total_return"
    )
    told = " ".join(done.stdout.split())
    assert (
        "Of ./shorter.py on ./market.toml, where the best point is. · Only the points of that strategy on that market are judged"
        in told
    )


def test_the_figures_say_that_they_choose_by_sharpe(here):
    sentence = (
        "These figures choose by the Sharpe ratio of daily returns, not by return; the deflated Sharpe ratio is that of the best "
        "point by return."
    )
    assert sentence in " ".join(swept(*GRID, "--by", "total_return").stdout.split())
    assert sentence in Page((folder(here) / "report.html").read_text()).text
    assert "These figures choose by" not in swept(*GRID).stdout


def test_points_without_the_figure_are_not_called_failed(here):
    """One trade that is still open at the end: no point has a share of trades that won."""
    view = made_view(made({"a": (1, 2)}, 1.0, win_rate=np.nan), by="win_rate")
    assert view.choice() == ["No point that ran has the figure win rate, so there is nothing to choose."]
    assert "No point that ran has the figure win rate." in Page(render_sweep(view)).text


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_page_has_everything_and_asks_nobody(here):
    done = swept("--grid", "entry=1,4", "--grid", "hold=2,13", "--by", "total_return")
    assert done.exit_code == 1
    path = folder(here) / "report.html"
    assert f"Page: {path.relative_to(here)}" in done.stdout
    page = Page(path.read_text())
    for words in ("Sweep of shorter", "Best points", "Heat maps", "Is choosing the best worth anything?", "Passport of the data",
                  "2 of 4 points failed.", "hold of 13 brings bad luck", "What was swept", "1, 4", "ranked by return"):  # fmt: skip
        assert words in page.text
    assert "SIMULATED" not in page.text
    assert not NO_NUMBER.search(page.text)
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    ] == []
    assert page.data["sides"] == {"entry": ["1", "4"], "hold": ["2", "13"]}
    assert [pair["x"] for pair in page.data["pairs"]] == ["entry"]
    before = path.read_text()
    swept("--grid", "entry=1,4", "--grid", "hold=2,13", "--by", "total_return")
    assert path.read_text() == before


def test_a_page_stays_small_whatever_is_swept():
    """Five axes of sixty values, and every figure undefined at points of its own: ten pairs of axes, each map at its largest."""
    rng = np.random.default_rng(0)
    figures = {
        name: np.where(rng.random(6_000) < 0.1, np.nan, rng.normal(0, 1, 6_000))
        for name in METRICS
        if name not in COUNTS
    }
    axes = {name: range(60) for name in "abcde"}
    sweep = made(axes, trades=rng.integers(0, 900, 6_000), sample=("random", 6_000, 0), **figures)
    view = made_view(sweep)
    assert len(view.maps) == 10
    assert all(m.x.binned and m.points.sum() == 6_000 for maps in view.maps for m in maps)
    assert 300_000 < len(render_sweep(view)) < 1_500_000


def test_the_page_offers_every_figure_and_three_things_to_show():
    page = Page(render_sweep(made_view(made({"a": (1, 2, 3), "b": (1, 2)}, range(6)), by="total_return_worst")))
    assert [figure["name"] for figure in page.data["figures"]] == [
        "return, worst order", "Sharpe", "return", "max drawdown", "Calmar", "Sortino", "trades", "win rate", "exposure",
        "fees paid", "liquidations", "CAGR", "funding paid", "volatility", "open trades", "final equity", "unrealised",
    ]  # fmt: skip
    assert [a["value"] for a in page.of("option") if not a["value"].isdecimal()] == ["value", "spread", "trades"]


def test_figures_that_are_left_out_are_named():
    """Twenty axes are 190 pairs; 36 cells of 32 numbers fit 277 times, with all figures, 36 cells of 50 numbers, 177 times."""
    axes = {f"a{i:02}": (1, 2) for i in range(20)}
    view = made_view(made(axes, range(40), sample=("random", 40, 0)))
    assert len(view.maps) == 190
    assert len(view.maps[0]) == 10
    assert view.map_note == (
        "Left out to keep the page small: the figures cagr, funding_paid, volatility, open_trades, final_equity, unrealised; "
        "`--heat X,Y --figure NAME` prints any."
    )


def test_a_simulated_market_is_called_so(here):
    swept("--grid", "entry=1")  # of files
    call("sweep", "./shorter.py", "--grid", "entry=5", "--results", "simulated")
    page = Page(next(here.glob("simulated/sweep_*/report.html")).read_text())
    assert "SIMULATED MARKET" in page.text
    assert "There is" not in page.text
    assert "No axis has two values, so there is nothing to map." in page.text


def test_a_sweep_that_failed_throughout_has_a_page(here):
    assert swept("--grid", "hold=13").exit_code == 2
    page = Page((folder(here) / "report.html").read_text())
    for words in ("No point gave figures.", "so there is nothing to map", "Passport of the data", "real"):
        assert words in page.text


# --- the best in full ----------------------------------------------------------------------------------------------


def test_the_best_are_run_in_full_and_compared(here):
    found = document(swept(*GRID, "--by", "total_return", "--top", "3", "--compare", "--json"))
    assert len(found["best"]) == 3
    runs = found["compared"]["runs"]
    assert [run["id"] for run in runs] == [row["run"] for row in found["best"]]
    for run, row in zip(runs, found["best"], strict=True):
        assert run["metrics"]["total_return"] == pytest.approx(row["total_return"], rel=1e-9)
        assert (here / run["folder"] / "report.html").is_file()
        assert run["folder"].endswith(row["run"])
    assert (here / found["compared"]["html"]).is_file()
    text = swept(*GRID, "--by", "total_return", "--top", "2", "--compare").stdout
    assert "The best of them, run in full and set beside each other" in text
    assert text.count("Assumptions in force") == 1


def test_a_run_that_several_points_are_is_compared_once(here):
    """A Latin hypercube of six points on an axis of two values has each value three times."""
    drawn = ("--grid", "entry=1,4", "--latin", "6", "--by", "total_return", "--top", "2", "--compare", "--json")
    found = document(swept(*drawn))
    assert len({row["run"] for row in found["best"]}) == 1
    ids = [run["id"] for run in found["compared"]["runs"]]
    assert len(ids) == len(set(ids)) == 2
    assert found["best"][0]["run"] == ids[0]


def test_one_best_point_alone_is_shown_as_a_run(here):
    done = swept(*GRID, "--by", "total_return", "--top", "1", "--compare")
    assert done.exit_code == 0
    assert "The best of them, run in full\n" in done.stdout
    assert "PnL by ledger kind" in done.stdout


def test_there_is_nothing_to_compare_where_all_failed(here):
    done = swept("--grid", "hold=13", "--top", "2", "--compare")
    assert done.exit_code == 2
    assert "There is nothing to compare: no point has the figure Sharpe." in done.stderr


def test_show_prints_a_sweep_again(here):
    swept(*GRID)
    name = folder(here).name
    for text in (name, name.rpartition("_")[2][:6]):
        done = call("show", text)
        assert done.exit_code == 0, done.output
        assert "The best of 6 points by Sharpe" in done.stdout
    assert document(call("show", name, "--json"))["done"] == 6
    done = call("show", name, "--plot")
    assert done.exit_code == 2
    assert f"{name} is a sweep; --plot and --png draw a run." in done.stderr
    assert call("show", "nothing").stderr.startswith("error: There are no runs in results")
