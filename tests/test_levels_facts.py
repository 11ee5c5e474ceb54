"""Levels against the published facts: at 67,490 the supports at 75,000 and 70,000 are broken and 65,000 is the next.

On a path made by hand, on the simulated market of that report, and on the real hours of the winter of 2026.
"""

import numpy as np
import pytest
from markets_made import bars_of, closes
from real_market import bitcoin, needs_history

from backtest import load_market
from backtest.levels import LifeRules, breaks, fixed, life, round_grid, round_numbers
from backtest.model.arrays import utc_text

SUPPORTS = fixed([75_000, 70_000, 65_000, 60_000])
BY_CLOSE = LifeRules(buffer=0.0, buffer_atr=0.0)
PATH = [78_000, 76_500, 75_000, 74_999, 73_000, 71_000, 70_000, 69_999, 68_500, 67_490]


def opens(bars, rows):
    return [utc_text(time) for time in bars.time[rows].tolist()]


def breaking(found, row):
    """Return the bars at which a level broke while it was intact."""
    return found.bar[found.broke & (found.row == row)]


def round_ladder(bars):
    """Return price -> whether it is an intact support, of the multiples of 5,000 known at the last close."""
    seen = life(bars, round_numbers(step=5_000.0).find(bars)).visible()
    return dict(zip(seen.price.tolist(), seen.intact.tolist(), strict=True))


# --- a path made by hand ---


def test_supports_break_below_their_price_and_not_at_it():
    bars = bars_of(closes(PATH))
    found = life(bars, SUPPORTS, BY_CLOSE)
    assert breaking(found, 0).tolist() == [3]
    assert breaking(found, 1).tolist() == [7]
    assert [found.states(t)[0] for t in (2, 3)] == ["active", "broken"]
    assert [found.states(t)[1] for t in (6, 7)] == ["active", "broken"]
    events = breaks(bars, SUPPORTS, buffer=0.0)
    assert list(zip(events.bar.tolist(), events.level.tolist(), events.next_level.tolist(), strict=True)) == [
        (3, 75_000.0, 70_000.0),
        (7, 70_000.0, 65_000.0),
    ]


def test_at_67490_the_next_level_below_is_65000():
    found = life(bars_of(closes(PATH)), SUPPORTS, BY_CLOSE)
    assert found.states() == ("broken", "broken", "active", "active")
    assert found.visible().intact.tolist() == [False, False, True, True]
    assert found.support_below().tolist() == [
        *(75_000.0, 75_000.0, 70_000.0, 70_000.0, 70_000.0, 70_000.0),  # at 75,000 and at 70,000 the level is not below
        *(65_000.0, 65_000.0, 65_000.0, 65_000.0),
    ]


def test_the_round_numbers_at_67490():
    bars = bars_of(closes(PATH))
    grid = round_numbers().find(bars).visible(int(bars.known_at[-1])).price
    assert grid[grid < 67_490].max() == 65_000.0
    assert round_grid(67_490, 5_000) == (65_000.0, 70_000.0)
    ladder = round_ladder(bars)
    assert [ladder[price] for price in (75_000.0, 70_000.0, 65_000.0, 60_000.0)] == [False, False, True, True]
    assert life(bars, round_numbers().find(bars)).support_below()[-1] == 65_000.0


def test_supports_first_heard_of_at_67490_are_broken_without_a_break():
    bars = bars_of(closes(PATH))
    late = fixed([75_000, 70_000, 65_000], known_from=int(bars.known_at[-1]))
    found = life(bars, late, BY_CLOSE)
    assert found.states() == ("broken", "broken", "active")
    assert not found.broke.any()
    assert len(breaks(bars, late, buffer=0.0)) == 0


# --- the simulated market ---


@pytest.fixture(scope="module")
def simulated():
    return load_market("deleveraging-2026")["BTCUSDT"]


def test_the_simulated_market_ends_at_67490_with_both_supports_broken(simulated):
    assert simulated.close[-1] == 67_490.0
    for rules in (LifeRules(), BY_CLOSE):
        found = life(simulated, SUPPORTS, rules)
        assert found.states()[:2] == ("broken", "broken")
        assert found.visible().intact.tolist() == [False, False, True, True]
        assert found.support_below()[-1] == 65_000.0


def test_the_supports_of_the_simulated_market_break_in_their_order(simulated):
    found = life(simulated, SUPPORTS, BY_CLOSE)
    first, second = (int(breaking(found, row)[0]) for row in (0, 1))
    assert first < second
    assert (simulated.close[:first] >= 75_000).all()
    assert (simulated.close[:second] >= 70_000).all()
    assert max(simulated.close[first] - 75_000, simulated.close[second] - 70_000) < 0
    assert found.support_below()[[first, second]].tolist() == [70_000.0, 65_000.0]


def test_the_round_numbers_of_the_simulated_market(simulated):
    ladder = round_ladder(simulated)
    assert [ladder[price] for price in (75_000.0, 70_000.0, 65_000.0, 60_000.0)] == [False, False, True, True]
    assert life(simulated, round_numbers().find(simulated)).support_below()[-1] == 65_000.0


# --- the real hours ---


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return load_market(bitcoin(tmp_path_factory.mktemp("real")))["BTCUSDT"]


@needs_history
def test_the_breaks_of_2026_fall_on_their_hours(real):
    known = fixed([75_000, 70_000, 65_000], known_from="2026-01-01")
    events = breaks(real, known, rule="close", buffer=0.0)
    first = [int(np.argmax(events.level == level)) for level in (75_000.0, 70_000.0)]
    assert opens(real, events.bar[first]) == ["2026-02-03T17:00Z", "2026-02-05T12:00Z"]
    assert events.next_level[first].tolist() == [70_000.0, 65_000.0]
    found = life(real, known, BY_CLOSE)
    assert opens(real, [breaking(found, row)[0] for row in (0, 1)]) == ["2026-02-03T17:00Z", "2026-02-05T12:00Z"]


@needs_history
def test_the_lowest_low_of_that_fall(real):
    fall = np.flatnonzero((real.time >= bar_of("2026-02-03")) & (real.time < bar_of("2026-02-10")))
    lowest = fall[np.argmin(real.low[fall])]
    assert (opens(real, [lowest]), real.low[lowest]) == (["2026-02-06T00:00Z"], 59_800.0)
    # A wick below 60,000 that closed above it: broken by its low, and not by its close.
    known = fixed([60_000], known_from="2026-01-01")
    assert opens(real, breaks(real, known, rule="wick", buffer=0.0).bar[:1]) == ["2026-02-06T00:00Z"]
    assert lowest not in breaks(real, known, rule="close", buffer=0.0).bar


def bar_of(date):
    return int(np.datetime64(date, "ns").astype(np.int64))


@needs_history
def test_when_the_real_price_first_closed_below_67490_both_were_broken(real):
    from_january = real.time >= bar_of("2026-01-01")
    bar = int(np.flatnonzero(from_january & (real.close < 67_490))[0])
    found = life(real, fixed([75_000, 70_000, 65_000, 60_000], known_from="2026-01-01"))
    assert found.visible(bar).intact.tolist() == [False, False, True, True]
    assert found.support_below()[bar] == 65_000.0
    assert life(real, round_numbers().find(real)).support_below()[bar] == 65_000.0
