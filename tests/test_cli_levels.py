"""`backtest levels`: the ladder and the tables as a reader sees them, the JSON, and a sentence for every mistake."""

import io

import pytest
from command import FIRST, call, document, process, write_market
from rich.console import Console
from test_layers import HEAVY, loaded_by

from backtest.analysis.break_matrix import break_matrix
from backtest.analysis.level_map import level_map
from backtest.levels import fixed
from backtest.market import load_market
from backtest.report.levels import print_breaks, print_levels

# A flat day, then 100 is touched, holds, breaks and is bought back; the last close is 98.
FLAT = [(104, 105, 103, 104)] * 14
ROWS = [*FLAT, (101, 102, 100, 101), (101, 104, 101, 103), (103, 103, 97, 98)]
FEEDS = {
    "oi": [1000] * 11 + [1005] * 4 + [1015, 995, 999],
    "longs": [0] * 15 + [500, 70, 2000],
    "shorts": [0] * 15 + [30, 900, 0],
}
MARKET = """interval = "1h"
start = "2026-01-01"
end = "2026-01-01T17:00Z"

[BTCUSDT]
bars = "bars.csv"
funding = "funding.csv"
"""
SERIES = """open_interest = { file = "oi.csv", column = "value", unit = "coins", known_at = "at" }
long_liquidations = { file = "longs.csv", column = "value", unit = "usd", known_at = "at" }
short_liquidations = { file = "shorts.csv", column = "value", unit = "usd", known_at = "at" }
"""


def write(folder, series=SERIES):
    """Write the market and its feeds, stamped at each bar's open and the last close, and return its path."""
    bars = [f"{FIRST + 3600 * i},{','.join(map(str, row))},10" for i, row in enumerate(ROWS)]
    text = "\n".join(["time,open,high,low,close,volume", *bars]) + "\n"
    for name, values in FEEDS.items():
        lines = [f"{FIRST + 3600 * i},{value}" for i, value in enumerate(values)]
        (folder / f"{name}.csv").write_text("\n".join(["time,value", *lines]) + "\n")
    return write_market(folder, text, market=MARKET + series)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


DASH = "\N{EN DASH}"
LEVELS = ("--levels", "fixed(104, 100, 90)")

MAP = """\
BTCUSDT 98.000 · 2026-01-01T17:00Z · market · bars of 1h · ATR 2.475

                                  longs liq.|shorts liq.       OI opened
104.000 v flipped   given                #|######            ++++++
100.000 x broken    given ################|#                 ++++++++++++++++
 98.000 > =====================================================================
        :
 90.000 - active    given                 |

  level   kind    state     age   touch    away   OI opened   longs   shorts
────────────────────────────────────────────────────────────────────────────
104.000   given   flipped   16h       0   +6.1%         520      70      900
100.000   given   broken    16h       1   +2.0%       1.41k   2.50k       30
 90.000   given   active    16h       0   -8.2%           0       0        0

OI opened, longs, shorts: open interest opened and positions force-closed, USD,
in the bars that came within 0.5% of a level since it is known, 30 days back at
most; measured.
"""

BREAKS = """\
The breaks: when each rule confirmed it (UTC), and the price given up by then
               104.000        100.000
            2026-01-01     2026-01-01
rule             02:00          17:00
─────────────────────────────────────
wick      02:00  0.00%   17:00      ~
close     15:00  2.88%   17:00      ~
close2    16:00  0.96%              ~
close3    17:00      ~              ~
volume               ~              ~
retest    16:00  0.96%              ~
reclaim              ~              ~
""".replace("~", DASH)


def test_the_map_is_a_ladder_and_a_table(here):
    done = call("levels", write(here), *LEVELS)
    assert (done.exit_code, done.output) == (0, MAP)


def test_in_a_process_of_its_own_it_prints_the_same(here):
    done = process("levels", write(here), *LEVELS, cwd=here)
    assert (done.returncode, done.stdout, done.stderr) == (0, MAP, "")


def test_without_feeds_the_columns_say_so_and_a_note_names_them(here):
    lines = call("levels", write(here, ""), *LEVELS).output.splitlines()
    assert lines[2:7] == [
        "104.000 v flipped   given",
        "100.000 x broken    given",
        " 98.000 > ==================",
        "        :",
        " 90.000 - active    given",
    ]
    assert lines[11] == "100.000   given   broken    16h       1   +2.0%     no feed   no feed   no feed"
    assert " ".join(line.strip() for line in lines[14:]).startswith(
        "· No feed BTCUSDT.open_interest, BTCUSDT.long_liquidations, BTCUSDT.short_liquidations: open interest and"
    )
    some = call("levels", write(here, SERIES.splitlines()[0]), *LEVELS).output.splitlines()
    assert some[3].rstrip() == "104.000 v flipped   given +++++++++++"  # 520 of 1,407 in 30
    assert some[12].endswith("+2.0%       1.41k   no feed   no feed")


def test_what_is_not_known_is_a_question_mark_and_a_dash(here):
    path = write(here, SERIES.replace("longs.csv", "late.csv"))
    (here / "late.csv").write_text(
        f"time,value\n{FIRST + 3600 * 15},5\n{FIRST + 3600 * 16},70\n{FIRST + 3600 * 17},2000\n"
    )
    lines = call("levels", path, *LEVELS).output.splitlines()
    assert (
        lines[3].rstrip() == "104.000 v flipped   given                ?|#######           ++++++"
    )  # 900 of 2,005 in 16
    assert lines[11].split()[-2:] == [DASH, "900"]


def test_the_matrix_says_when_each_rule_confirmed_and_what_that_gave_up(here):
    done = call("levels", write(here), *LEVELS, "--breaks")
    assert done.exit_code == 0
    assert done.output.endswith(BREAKS)
    table = [line.split() for line in done.output.splitlines()[3:11]]
    assert table[0] == ["rule", "breaks", "waiting", "given", "up", "ATRs", "false"]
    assert table[2] == ["wick", "2", "0h", "0.00%", DASH, DASH]
    assert table[3] == ["close", "2", "6.5h", "2.88%", "1.40", DASH]  # 13 h and 0 h; 1 - 101/104; 3 of 15/7
    assert "retest: back at the level from below" in done.output


def test_a_wide_terminal_says_beside_each_rule_what_confirms_it(here):
    done = process("levels", write(here), *LEVELS, "--breaks", cwd=here, COLUMNS="130")
    assert f"wick           2        0h      0.00%      {DASH}       {DASH}   a low below the floor" in done.stdout
    assert "wick: a low" not in done.stdout


def test_where_nothing_has_broken_it_says_so(here):
    done = call("levels", write(here), "--levels", "fixed(90)", "--breaks")
    assert done.output.splitlines()[-1] == "None of these levels has broken."


def test_the_json_is_the_map_or_the_matrix(here):
    path = write(here)
    market, levels = load_market(path), fixed([104, 100, 90])
    assert document(call("levels", path, *LEVELS, "--json")) == level_map(market, levels=levels).to_dict()
    told = document(call("levels", path, *LEVELS, "--breaks", "--json"))
    assert told | break_matrix(market["BTCUSDT"], levels).to_dict() == told
    assert (told["time"], told["price"], told["buffer"]) == ("2026-01-01T17:00Z", 98.0, 0.003)


def test_at_a_time_it_shows_what_was_known_then(here):
    path = write(here)
    then = document(call("levels", path, *LEVELS, "--at", "2026-01-01T15:30", "--json"))
    assert (then["time"], then["price"]) == ("2026-01-01T15:00Z", 101.0)
    assert [row["state"] for row in then["rows"]] == ["broken", "tested", "active"]
    broken = document(call("levels", path, *LEVELS, "--at", "2026-01-01T15:30", "--breaks", "--json"))
    assert [one["level"] for one in broken["breaks"]] == [104.0]
    assert broken["breaks"][0]["rules"]["close"]["price"] is None  # the next open was still to come


def test_how_many_levels_are_left_out_is_said_and_all_draws_them(here):
    path = write(here)
    few = call("levels", path, "--levels", "round(step=1, reach=0.1)")
    assert "more levels are known, weaker or farther away; --all draws everything." in few.output
    every = call("levels", path, "--levels", "round(step=1, reach=0.1)", "--all")
    assert "--all" not in every.output
    assert len(every.output.splitlines()) > len(few.output.splitlines())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--at", "2027-01-01"), "`at` 2027-01-01T00:00Z lies outside the market market, whose bars close from"),
        (("--at", "soon"), "`at` must be a time like '2026-02-05' or '2026-02-05T12:00', got 'soon'."),
        (("--symbol", "BTC"), "No symbol named 'BTC' in the market market. Did you mean 'BTCUSDT'?"),
        (("--levels", "fractl(k=2)"), "No kind of level named 'fractl'. Did you mean 'fractal'?"),
        (("--levels", "fixed("), "Levels are named in text like"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(here, arguments, sentence):
    done = call("levels", write(here), *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_an_unknown_market_is_a_sentence(here):
    done = call("levels", "nope")
    assert done.exit_code == 2
    assert "No market named 'nope'." in done.stderr


def test_its_help_loads_nothing_heavy():
    code = (
        "from backtest.cli import app\ntry:\n    app(['levels', '-h'])\nexcept SystemExit as e:\n    assert not e.code"
    )
    assert loaded_by(code) & HEAVY == set()


# --- any document fits the terminal -------------------------------------------------------------------------------


def row(price, **changes):
    told = {
        "price": price, "kind": "round", "found_by": ["round"], "major": False, "state": "active", "intact": True, "age_days": 1.0,
        "touches": 1, "bounces": 0, "distance": 0.1, "atrs": None, "opened": 0.0, "longs": 0.0, "shorts": 0.0,
    }  # fmt: skip
    return told | changes


def printed(found, width, print_it=print_levels):
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    print_it(found, console)
    return console.file.getvalue()


def found(rows, **changes):
    told = {
        "market": "m", "symbol": "BTCUSDT", "grade": "A", "interval": 3_600_000_000_000, "time": "2026-01-01T00:00Z",
        "price": 100.0, "atr": None, "left_out": 1,
        "asked": "levels", "days": 30.0, "near": 0.005, "missing": [], "notes": [], "rows": rows,
    }  # fmt: skip
    return told | changes


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width):
    rows = [row(123_456.0, state="reclaimed", kind="month low", opened=9.99e9, longs=123e6, shorts=45e6), row(90.0)]
    for one in (found(rows, price=100_000.0), found(rows, price=100_000.0, missing=["opened", "longs", "shorts"])):
        lines = printed(one, width).splitlines()
        assert max(len(line.rstrip()) for line in lines) <= width
        assert "…" not in "".join(lines)


def test_a_map_without_levels_is_the_price_alone():
    lines = printed(found([]), 80).splitlines()
    assert lines[2].startswith("100.00 > ===")
    assert lines[4] == "1 more level is known, weaker or farther away; --all draws everything."


def test_names_can_t_move_the_cursor():
    bad = "\x1b[2J"
    told = found([row(110.0, kind=bad, found_by=[bad, bad], state=bad)], symbol=bad, market=bad, notes=[bad])
    assert "\x1b" not in printed(told, 120)
    rule = {
        "name": bad,
        "events": 1,
        "wait": 0.0,
        "given_up": 0.0,
        "given_up_atr": None,
        "false": None,
        "judged": 0,
        "meaning": bad,
    }
    one = {"level": 110.0, "first": "2026-01-01T00:00Z", "rules": {bad: None}}
    assert "\x1b" not in printed(
        {**told, "rules": [rule], "breaks": [one], "buffer": 0.003, "within": 24}, 80, print_breaks
    )


def test_on_daily_bars_the_matrix_has_days_and_no_clock():
    rule = {
        "name": "close2",
        "events": 1,
        "wait": 1.0,
        "given_up": 0.01,
        "given_up_atr": 0.5,
        "false": 0.25,
        "judged": 4,
        "meaning": "two",
    }
    confirmed = {"time": "2026-01-03T00:00Z", "given_up": 0.01}
    one = {"level": 110.0, "first": "2026-01-02T00:00Z", "rules": {"close2": confirmed}}
    told = found([], interval=24 * 3_600_000_000_000, rules=[rule], breaks=[one], buffer=0.003, within=5)
    lines = [line.split() for line in printed(told, 80, print_breaks).splitlines()]
    assert ["close2", "1", "1d", "1.00%", "0.50", "25%", "of", "4", "two"] in lines
    assert ["close2", "01-03", "1.00%"] in lines
