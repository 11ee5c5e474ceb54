"""The market that a comparison is made on: coarse bars put together out of finer ones, and what either lacks."""

from dataclasses import replace

import numpy as np
import pytest
from intrabar_made import HOUR, QUARTER, QUIET, at, hours

from backtest.checks.intrabar import aggregated, two_scales
from backtest.checks.intrabar.bars import Filled, filled, note_on_bars
from backtest.errors import ConfigError, MarketError
from backtest.model import Market

# --- two scales ----------------------------------------------------------------------------------------------------


def quarters():
    """Two hours as a market of quarters, the first quarter of the second hour without prices."""
    fine = hours(
        [
            [(1, 4, 1, 2), (2, 3, 0.5, 2), (2, 2, 2, 2), (2, 5, 2, 3)],
            [(3, 9, 3, 4), (4, 4, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)],
        ]
    ).fine
    columns = {name: getattr(fine, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[4] = np.nan
    return Market(
        fine.time, QUARTER, fine.symbols, *columns.values(), np.full((8, 1), 2.0), fine.funding, fine.passport
    )


def test_coarse_bars_have_the_first_open_the_extremes_and_the_last_close_of_what_traded():
    market = aggregated(quarters(), HOUR)
    assert [getattr(market, name)[:, 0].tolist() for name in ("open", "high", "low", "close", "volume")] == [
        [1.0, 4.0], [5.0, 4.0], [0.5, 3.0], [3.0, 3.0], [8.0, 8.0],
    ]  # fmt: skip
    assert market.time.tolist() == [at(0), at(1)]
    assert len(market.fine) == 7, "a quarter without prices is none"


def test_a_market_of_finer_bars_is_put_together_and_one_that_has_them_is_taken_as_it_is():
    assert two_scales(quarters()).interval == HOUR
    assert two_scales(quarters(), "30m").time.tolist() == [at(0), at(0, 2), at(1), at(1, 2)]
    market = hours([QUIET])
    assert two_scales(market) is market


@pytest.mark.parametrize(
    ("coarse", "sentence"),
    [
        ("40m", "`coarse` must be 15m, the interval of the market market, or a multiple of it; got '40m'."),
        ("soon", "`coarse` must be an interval like"),
    ],
)
def test_coarse_bars_that_can_not_be(coarse, sentence):
    with pytest.raises(ConfigError, match=sentence.replace("`", "`")):
        two_scales(quarters(), coarse)


def test_bars_that_nothing_is_finer_than_are_a_mistake():
    with pytest.raises(MarketError, match=r"bars of 15m and none finer, so nothing .* choose a multiple of its bars"):
        two_scales(quarters(), "15m")
    with pytest.raises(MarketError, match=r"bars of 1h and none finer, .* or declare it with bars of 1m"):
        two_scales(replace(hours([QUIET]), fine=None))


def test_bars_of_a_minute_are_not_told_to_be_bars_of_a_minute():
    market = quarters()
    minutes = replace(market, time=at(0) + HOUR // 60 * np.arange(8), interval=HOUR // 60)
    sentence = "bars of 1m and none finer, so nothing says what happened inside a bar; choose a multiple"
    with pytest.raises(MarketError, match=sentence) as raised:
        two_scales(minutes, "1m")
    assert "declare" not in str(raised.value)


# --- bars that are missing -------------------------------------------------------------------------------------------


def holed(*gone):
    """Five hours, put together out of quarters of which these are without prices."""
    fine = hours([QUIET] * 5).fine
    columns = {name: getattr(fine, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[list(gone)] = np.nan
    return aggregated(
        Market(fine.time, QUARTER, ("A",), *columns.values(), fine.volume, fine.funding, fine.passport), HOUR
    )


def test_missing_and_partial_hours_are_counted():
    # the second hour has nothing, the third two quarters, the fourth three
    market = holed(4, 5, 6, 7, 8, 11, 12)
    assert filled(market) == Filled(bars=5, empty=1, bare=0, partial=2, missing=3, pieces=4)
    assert note_on_bars(market) == (
        "Of 5 bars of 1h: 1 without a price, in which nothing happens; 2 with only some of their 4 bars of 15m; what happened "
        "in the 3 that are missing is not known."
    )
    assert note_on_bars(holed()) == ""


def test_bars_without_finer_ones_are_counted_for_each_symbol():
    market = hours([QUIET] * 3, [QUIET] * 3)
    later = market.fine
    columns = {name: getattr(later, name)[4:].copy() for name in ("open", "high", "low", "close", "volume")}
    for values in columns.values():
        values[:4, 1] = np.nan
    fine = replace(later, time=later.time[4:], **columns)
    told = note_on_bars(replace(market, fine=fine))
    assert (
        told == "Of 6 bars of 1h (each symbol's counted): 3 without bars of 15m, in which the truth is what worst says."
    )
