"""The study as one calls it: from Python, from the command line, and on real history."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import real_market
from command import call, document, process, write_market
from real_market import COINS, file, needs_history, write
from rich.console import Console
from study_walks import market, walk

from backtest.analysis.event_study import LEVELS, study
from backtest.errors import ConfigError, MarketError
from backtest.levels import donchian, fixed, fractal
from backtest.market import load_market
from backtest.model.arrays import DAY
from backtest.model.passport import Passport, Series
from backtest.report.study import print_study

VERDICTS = ("different from ", "not distinguishable from ", "not enough events (", "no verdict: ")


@pytest.fixture(scope="module")
def two():
    return market(walk(1, 3_000), walk(2, 3_000))


@pytest.fixture(scope="module")
def found(two):
    return study(two, levels="round | fractal(k=12)", sets=60, seed=4)


def printed(document):
    console = Console(width=100, highlight=False, markup=False, emoji=False, record=True, file=None, quiet=False)
    with console.capture() as capture:
        print_study(document, console)
    return capture.get()


def test_symbols_are_pooled(two, found):
    parts = [study(two, [name], "round | fractal(k=12)", sets=5) for name in ("W0", "W1")]
    assert found.symbols == ("W0", "W1")
    assert found.events.bar.size == sum(part.events.bar.size for part in parts)
    bounces = [part.findings[0] for part in parts]
    hits = sum(f.value * f.events for f in bounces)
    assert found.findings[0].value == pytest.approx(hits / sum(f.events for f in bounces))
    assert study(two, "W0", fractal(12), sets=2).symbols == ("W0",)


def test_a_seed_gives_the_same_study(two, found):
    again = study(two, levels="round | fractal(k=12)", sets=60, seed=4)
    assert [f.p for f in again.findings] == [f.p for f in found.findings]
    assert json.dumps(again.to_dict(), default=str) == json.dumps(found.to_dict(), default=str)


def test_every_finding_has_its_null_its_p_values_and_a_verdict(found):
    for f in found.findings:
        assert f.low <= f.value <= f.high
        assert 0 < f.p <= f.p_bh <= f.p_holm <= 1
        assert f.verdict.startswith(VERDICTS)
        assert f.null == "martingale" or f.p_above >= 1 / 61
    assert [f.null for f in found.findings].count("martingale") == 1


def test_too_few_events_get_no_verdict(two):
    few = study(two, levels=fixed([99.0]), sets=20)
    assert {f.verdict.split(" (")[0] for f in few.findings} == {"not enough events"}
    bounce = few.findings[0]
    assert bounce.verdict == f"not enough events ({bounce.events:,} of {bounce.needed:,} needed)"
    assert few.findings[2].events < 30
    assert math.isnan(few.findings[2].p)
    assert study(two, levels="fractal(k=12)", sets=5, effect=0.3).findings[0].verdict.startswith(VERDICTS[:2])


def test_levels_that_prices_replace_get_no_verdict(two):
    told = study(two, levels=donchian(20) | fractal(12), sets=5, effect=0.3).findings[0].verdict
    assert told == "no verdict: where donchian levels end is up to prices, which no placebo level is"


def test_what_comes_before_trade_from_is_not_scored(two, found):
    late = study(replace(two, trade_from=int(two.time[1_500])), levels="round | fractal(k=12)", sets=5)
    kept = found.events.bar >= 1_500
    assert late.events.bar.tolist() == found.events.bar[kept].tolist()
    assert late.bars == 1_500
    assert late.start == int(two.time[1_500])


def test_daily_bars_have_no_horizon_of_hours():
    bars = walk(3, 900)
    daily = market(replace(bars, interval=DAY))
    daily = replace(daily, interval=DAY, time=bars.time[0] + DAY * np.arange(900))
    names = [f.name for f in study(daily, levels=fractal(3), sets=5).findings if f.unit == "ATR"]
    assert names[:3] == ["forward return 24h", "forward return 3d", "forward return 7d"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"levels": "frctal(k=3)"}, "No kind of level named 'frctal'. Did you mean 'fractal'?"),
        ({"levels": 75_000.0}, "`levels` must be text like"),
        ({"levels": fixed([1e6]), "symbols": []}, None),
        ({"rule": "closs"}, "No break rule named 'closs'. Did you mean 'close'?"),
        ({"sets": 0}, "`sets` must be a whole number from 1, got 0."),
        ({"set": 5}, "A study has no setting named 'set'. Did you mean 'sets'?"),
        ({"buffer": 1.5}, "`buffer` must be a fraction from 0 to below 1, not percent, got 1.5."),
        ({"reclaim": 0}, "must be a whole number of bars from 1, got 0."),
        ({"hours": (0.0,)}, "`hours` must be a number above 0, got 0.0."),
        ({"levels": "(round | fractal).within(0.01, atrs=0.5)"}, "leave `atrs` 0.5 out of `.within`."),
        ({"since": 4}, "A study has no setting named 'since'."),
    ],
)
def test_bad_input_is_said_in_a_sentence(two, asked, sentence):
    if sentence is None:
        assert study(two, sets=2, **asked).events.bar.size == 0
        return
    with pytest.raises(ConfigError) as error:
        study(two, **asked)
    assert sentence in str(error.value)


def test_what_is_not_there_is_said_in_a_sentence(two):
    with pytest.raises(MarketError, match="No symbol named 'W3' in the market walks"):
        study(two, ["W3"])
    with pytest.raises(ConfigError, match="have no level in the bars of W0, W1"):
        study(two, levels=fractal(k=2_000))
    silent = replace(two, **{k: np.full((3_000, 2), np.nan) for k in ("open", "high", "low", "close", "volume")})
    with pytest.raises(ConfigError, match="None of W0, W1 has a price in the market walks"):
        study(silent)


# --- what is shown -----------------------------------------------------------------------------------------------------


def test_the_report_says_every_number_its_null_and_its_assumptions(found):
    text = printed(found.to_dict())
    for f in found.findings:
        assert f.verdict in " ".join(text.split()).replace("· ", "")
    assert "60 placebo sets" in text
    assert "seed 4" in text
    assert "p (two-sided)" in text
    assert {"Holm", "BH", "needed"} <= set(text.split())
    assert "Kaplan-Meier" in text
    assert "grade A" in text
    assert "SIMULATED" not in text
    assert len(found.to_dict()["assumptions"]) == 11


def test_a_simulated_market_says_so(two):
    made = Passport((Series("W0.bars", "simulated", "walk"), Series("W1.bars", "simulated", "walk")))
    told = study(replace(two, passport=made), levels=fractal(12), sets=2).to_dict()
    assert told["grade"] == "D"
    assert "SIMULATED MARKET" in printed(told)
    assert "grade D, simulated" in printed(told)


# --- the command -------------------------------------------------------------------------------------------------------


def test_the_command_studies_the_shipped_market():
    told = document(
        call("study", "--sets", "20", "--seed", "3", "--levels", "fractal(k=12)", "-s", "BTCUSDT", "--json")
    )
    assert (told["market"], told["symbols"], told["grade"]) == ("deleveraging-2026", ["BTCUSDT"], "D")
    assert (told["settings"]["sets"], told["settings"]["seed"], told["levels"]) == (20, 3, "fractal(k=12)")
    assert len(told["findings"]) == 11
    assert all(f["verdict"].startswith(VERDICTS) for f in told["findings"])


def test_the_command_prints_tables():
    done = call(
        "study", "--sets", "10", "--levels", "fractal(k=12)", "-s", "BTCUSDT", "--rule", "wick", "--reclaim", "6"
    )
    assert done.exit_code == 0
    assert "SIMULATED MARKET" in done.output
    assert "breaks by wick" in done.output
    assert "a low below the level less a margin" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--levels", "rond"], "No kind of level named 'rond'. Did you mean 'round'?"),
        (["--levels", ""], "Levels are named in text like"),
        (["--rule", "clse"], "No break rule named 'clse'. Did you mean 'close'?"),
        (["--sets", "0"], "`sets` must be a whole number from 1, got 0."),
        (["-s", "BTCUSD"], "No symbol named 'BTCUSD'"),
        (["--market", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(arguments, sentence):
    done = call("study", *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.output


def test_a_market_of_twelve_hours_has_no_level_yet(tmp_path):
    done = process("study", "--market", write_market(tmp_path), "--sets", "5", cwd=tmp_path)
    assert done.returncode == 2
    assert "have no level in the bars of BTCUSDT" in " ".join(done.stderr.split())


# --- real history ------------------------------------------------------------------------------------------------------


def five_coins(folder, start):
    """Write the market of five coins without funding, which no level asks for."""
    lines = [f'interval = "1h"\nstart = "{start}"\nend = "2026-03-15"']
    for coin in COINS:
        lines += [f"[{coin}USDT]", f"bars = {file(f'{coin.lower()}usdt_perp_1h_binance')}", 'funding = "none"']
    return write(folder, "five", lines)


@needs_history
def test_five_coins_of_real_history_say_something(tmp_path, request):
    """Two years, with --full all six; what is found is printed, whatever it is."""
    full = request.config.getoption("--full")
    told = study(load_market(five_coins(tmp_path, "2020-01-01" if full else "2024-03-15")), sets=1_000 if full else 200)
    print(printed(told.to_dict()))
    assert told.symbols == tuple(f"{coin}USDT" for coin in COINS)
    assert told.levels == LEVELS
    assert told.events.bar.size > 2_000
    assert all(math.isfinite(f.p) and f.verdict.startswith(VERDICTS) for f in told.findings)
    assert not any(f.verdict.startswith("not enough") for f in told.findings[:2])
    assert 0 < told.waits.median < 24 * 30
    assert real_market.HISTORY.is_dir()
