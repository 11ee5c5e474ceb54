"""The command `intrabar` as a user types it, on a market of quarters whose every number is worked by hand."""

from json import loads

import pytest
from command import FIRST, call, document

from backtest.report.words import TIMES

# Three hours of quarters. In the second the low of 97 comes before the entry at 102; in the third the low of 97 before the high.
QUARTERS = [
    *[(100, 100, 100, 100)] * 4,
    *[(100, 100, 97, 100), (100, 103, 100, 102), (102, 102, 102, 102), (102, 102, 102, 102)],
    *[(102, 102, 97, 100), (100, 111, 100, 105), (105, 105, 105, 105), (105, 105, 105, 105)],
]

MARKET = """interval = "15m"
start = "2026-01-01"
end = "2026-01-01T03:00Z"

[BTCUSDT]
bars = "bars.csv"
funding = "none"
"""

STRATEGY = '''"""Buys at 102, and at the market an hour later."""

from dataclasses import dataclass

from backtest import Market, Plan


@dataclass(frozen=True)
class Twice:
    symbol: str = "BTCUSDT"
    target: float = 110.0  # of the first

    def plan(self, market: Market) -> Plan:
        first = Plan.long(self.symbol, at=[0], trigger=102.0, stop=98.0, target=self.target)
        return first + Plan.long(self.symbol, at=[1], stop=95.0, target=104.0)
'''

# On a paper account of 10,000, all of it in each trade. Worst stops at 98 in the second hour and goes in again at 102, out at 104:
# (98/102)*(104/102) - 1 = -0.0203768; best holds to 110: 110/102 - 1 = 0.0784314; the truth is stopped in the third hour:
# 98/102 - 1 = -0.0392157. Equity falls from 10,000 at once, so worst and truth have that fall as their drawdown.
RETURNS = {"worst": -0.0203768, "truth": -0.0392157, "best": 0.0784314}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the market and the strategy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    rows = [f"{FIRST + 900 * i},{','.join(map(str, row))},10" for i, row in enumerate(QUARTERS)]
    (tmp_path / "bars.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    (tmp_path / "market.toml").write_text(MARKET)
    (tmp_path / "twice.py").write_text(STRATEGY)
    return tmp_path


def intrabar(*more):
    return call("intrabar", "./twice.py", "-m", "./market.toml", "--venue", "paper", "--windows", "1", *more)


def test_the_document_has_every_figure(here):
    found = document(intrabar("--json"))
    (one,) = found["comparisons"]
    run = one["whole"]
    assert {side: round(run[side]["total_return"], 7) for side in RETURNS} == RETURNS
    assert {side: round(run[side]["max_drawdown"], 7) for side in RETURNS} == {
        "worst": -0.0392157, "truth": -0.0392157, "best": 0.0,
    }  # fmt: skip
    assert {side: (run[side]["trades"], run[side]["liquidations"]) for side in RETURNS} == {
        "worst": (2, 0), "truth": (1, 0), "best": (1, 0),
    }  # fmt: skip
    assert (run["cause"], run["outside"]) == ("trades", ["total_return"])
    assert run["since"] == "2026-01-01T02:00Z, a long of BTCUSDT under worst alone"
    assert [(left["order"], left["time"], left["there"], left["truth"]) for left in run["left"]] == [
        ("worst", "2026-01-01T01:00Z", "stop at 98", "the same at 2026-01-01T02:00Z"),
        ("best", "2026-01-01T02:00Z", "target at 110", "stop at 98"),
    ]
    (event,) = one["events"]
    assert (event["time"], event["how"], event["answer"]) == ("2026-01-01T01:00Z", "trigger", "best")
    assert found["total"]["outside"] == 1
    # 98/102 less (98/102)*(104/102), with sizes floored to the lot
    assert round(run["beyond"]["total_return"], 7) == round(RETURNS["truth"] - RETURNS["worst"], 7) == -0.0188389
    assert found["total"]["beyond"]["total_return"] == -run["beyond"]["total_return"]
    summary = one["summary"]
    assert (summary["grade"], summary["assumptions"]["ambiguous_bars"]) == ("C", 1)
    assert summary["metrics"]["total_return"] == run["worst"]["total_return"]
    assert (one["coarse"], one["fine"], one["drawn"]) == (3_600_000_000_000, 900_000_000_000, False)


REPORT = """market · BTCUSDT · 2026-01-01T00:00Z to 2026-01-01T03:00Z · 3 bars of 1h
12 finer ones of 15m

strategy   return worst   truth    best   trades worst/truth/best   liq.
────────────────────────────────────────────────────────────────────────
twice             -2.0%   -3.9%   +7.8%                     2/1/1      0

strategy   max DD worst   truth   best
──────────────────────────────────────
twice             -3.9%   -3.9%   0.0%

Ambiguous events, each taken from the same state under worst, best and truth
  · 1 event: 0 as worst says, 1 as best, 0 between the two, 0 outside

Whole runs: does the truth end between worst and best?
  · 1 run; 1 had an ambiguous bar
  · the return of 1 run lies outside, by 1.9 percentage points
  · 1: an earlier event went another way, after which another trade was open, or
    none

twice, 2026-01-01T00:00Z to 2026-01-01T03:00Z: truth -3.9%, worst -2.0%, best
+7.8%; 1.9 percentage points below both
  · left worst at 2026-01-01T01:00Z, the long of BTCUSDT: stop at 98 under
    worst, the same at 2026-01-01T02:00Z in truth
  · left best at 2026-01-01T02:00Z, the long of BTCUSDT: target at 110 under
    best, stop at 98 in truth
  · then: 2026-01-01T02:00Z, a long of BTCUSDT under worst alone

Assumptions in force
  · bars in which the order of two events is unknown, decided by the intrabar
    rule  x1
  · bars in a position without a mark price: margin and funding use the last
    price  x2
  · margin tiers that the venue does not publish, assumed  x1

Data
  · grade C, assumption: a series was assumed instead of measured
  · price real, mark missing, funding missing, open interest missing,
    liquidations missing, tiers assumed, macro missing
  · BTCUSDT declares no funding, and none is paid or received; only spot has
    none, which funding = "spot" would say.
"""


def test_the_report_is_this(here):
    done = intrabar()
    assert done.exit_code == 0, done.output
    told, tiers = done.stdout.replace(TIMES, "x").split("  · margin tiers: ")
    assert "\n".join(line.rstrip() for line in told.splitlines()) + "\n" == REPORT
    assert tiers.startswith("paper, no maintenance margin")


def test_a_grid_varies_one_strategy(here):
    # a target of 106 is taken in truth as little as one of 110: the stop came first
    found = document(intrabar("--grid", "target=106,110", "--json"))
    assert [one["values"] for one in found["comparisons"]] == [{"target": 106}, {"target": 110}]
    assert [round(one["whole"]["best"]["total_return"], 7) for one in found["comparisons"]] == [0.0392157, 0.0784314]
    assert found["total"]["runs"] == 2
    text = intrabar("--grid", "target=106,110").stdout
    assert "12 finer ones of 15m · twice" in text
    assert "\ntarget   return worst" in text


FAILING = STRATEGY.replace(
    "        first =",
    '        if self.target == 107.0:\n            raise RuntimeError("no such target")\n        first =',
)


def test_points_of_a_grid_that_fail_leave_the_others_and_are_told_with_their_values(here):
    # a target below the trigger is an invalid plan
    (here / "twice.py").write_text(FAILING)
    done = intrabar("--grid", "target=101,106,107", "--json")
    assert done.exit_code == 1
    found = loads(done.stdout)
    assert [one["values"] for one in found["comparisons"]] == [{"target": 106}]
    assert [(one["strategy"], one["values"]) for one in found["failed"]] == [
        ("./twice.py", {"target": 101}),
        ("./twice.py", {"target": 107}),
    ]
    assert "no such target" in found["failed"][1]["error"]
    text = " ".join(intrabar("--grid", "target=101,106,107").stdout.split())
    assert "· twice target=101: " in text
    assert "· twice target=107: " in text


def test_a_point_that_the_signal_refuses_is_one_of_them(here):
    done = call("intrabar", "donchian_break", "-m", "./market.toml", "--grid", "lookback=1,0", "--windows", "1")
    assert done.exit_code == 1
    assert "· donchian_break lookback=0: The lookback" in " ".join(done.stdout.split())


def test_where_every_point_fails_that_is_the_error(here):
    (here / "twice.py").write_text(FAILING)
    done = intrabar("--grid", "target=107")
    assert done.exit_code == 2
    assert "no such target" in " ".join(done.stderr.split())


def test_funding_that_is_assumed_is_told(here):
    assumed = MARKET.replace('funding = "none"', 'funding = { assume = 0.0001, every = "1h" }')
    (here / "market.toml").write_text(assumed)
    text = " ".join(intrabar().stdout.split())
    assert "funding stamps that are an assumption, not data" in text
    assert "funding assumed" in text


def test_funding_that_the_command_assumes_for_a_hole_is_told(here):
    (here / "market.toml").write_text(MARKET.replace('"none"', '"funding.csv"'))
    (here / "funding.csv").write_text(f"time,funding_rate\n{FIRST},0\n{FIRST + 3600},0\n")
    refused = intrabar()
    assert (refused.exit_code, "--assume-funding" in refused.stderr) == (2, True)
    done = intrabar("--assume-funding", "0.0001")
    assert done.exit_code == 0, done.output
    assert "funding stamps that are an assumption, not data" in " ".join(done.stdout.split())


def test_missing_and_partial_hours_are_noted(here):
    # the first hour has three of its quarters, the second none
    rows = [
        f"{FIRST + 900 * i},{','.join(map(str, row))},10" for i, row in enumerate(QUARTERS) if i not in (2, 4, 5, 6, 7)
    ]
    (here / "bars.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    (here / "market.toml").write_text(f'gaps = "halt"\n{MARKET}')
    (note,) = document(intrabar("--json"))["comparisons"][0]["notes"]
    assert note == (
        "Of 3 bars of 1h: 1 without a price, in which nothing happens; 1 with only some of their 4 bars of 15m; what happened "
        "in the 1 that are missing is not known."
    )
    assert "· Of 3 bars of 1h: 1 without a price" in " ".join(intrabar().stdout.split())


def test_without_a_market_the_minutes_are_simulated():
    done = call("intrabar", "donchian_break", "--windows", "2", "--set", "lookback=6")
    assert done.exit_code == 0, done.output
    assert " SIMULATED MARKET " in done.stdout
    assert "The finer bars are simulated" in done.stdout


def test_a_strategy_that_can_not_be_compared_leaves_the_others(here):
    done = call("intrabar", "./twice.py", "ma_cross", "-m", "./market.toml", "--windows", "1")
    assert done.exit_code == 1
    assert "ma_cross is a strategy of backtrader" in " ".join(done.stdout.split())
    assert "twice" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("ma_cross",),
            "ma_cross is a strategy of backtrader: it runs bar by bar and has no plan that could be walked",
        ),
        (
            ("./twice.py", "--coarse", "20m"),
            "`coarse` must be 15m, the interval of the market market, or a multiple of it",
        ),
        (("./twice.py", "--coarse", "15m"), "bars of 15m and none finer, so nothing says what happened inside a bar"),
        (("./twice.py", "--windows", "4"), "`windows` must be 1 to the 3 bars that are traded, got 4."),
        (("./twice.py", "--windows", "0"), "`windows` must be 1 to the 3 bars that are traded, got 0."),
        (("./twice.py", "ma_cross", "--grid", "target=1,2"), "A grid varies one strategy; name it"),
        (
            ("./twice.py", "--grid", "intrabar=worst,best"),
            "`intrabar` can't be varied here: each plan runs as worst, as best and on the finer bars anyway.",
        ),
        (("./twice.py", "--grid", "traget=1,2"), "Did you mean 'target'?"),
        (("./twice.py", "--set", "traget=1"), "Did you mean 'target'?"),
        (("twise",), "No strategy named 'twise'."),
    ],
)
def test_a_mistake_is_a_sentence(here, arguments, sentence):
    done = call("intrabar", *arguments, "-m", "./market.toml")
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
