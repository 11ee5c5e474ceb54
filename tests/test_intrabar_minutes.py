"""Minutes inside hours: simulated ones, and what they and real ones say of ambiguous events."""

import numpy as np
import pytest
from intrabar_made import HOUR, assert_between
from real_market import file, needs_history, write

from backtest import Plan, load_market, load_venue
from backtest.checks.intrabar import Course, aggregated, events_of, two_scales, with_minutes


@pytest.fixture(scope="module")
def simulated():
    """The first 400 traded hours of the embedded market, with minutes."""
    market = load_market("deleveraging-2026")
    return with_minutes(market.head(market.start_bar + 400))


def test_simulated_minutes_make_up_their_bars_and_follow_each_other(simulated):
    start, fine = simulated.start_bar, simulated.fine
    again = aggregated(fine, HOUR)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(again, name), getattr(simulated, name)[start:])
        np.testing.assert_array_equal(getattr(again.mark, name), getattr(simulated.mark, name)[start:])
    inside = np.arange(1, len(fine)) % 60 != 0
    np.testing.assert_array_equal(fine.open[1:][inside], fine.close[:-1][inside])


def test_simulated_minutes_are_called_simulated_and_hang_on_the_seed_alone(simulated):
    lines = [s for s in simulated.passport.series if s.name.endswith(".fine")]
    assert [s.name for s in lines] == [f"{symbol}.fine" for symbol in simulated.symbols]
    assert {s.origin for s in lines} == {"simulated"}
    bare = load_market("deleveraging-2026").head(simulated.start_bar + 3)
    np.testing.assert_array_equal(with_minutes(bare).fine.close, simulated.fine.close[:180])
    assert not np.array_equal(with_minutes(bare, 1).fine.close, simulated.fine.close[:180])


def test_the_order_of_the_extremes_is_that_of_a_walk_that_ends_where_the_bar_does(simulated):
    # a bar that rises over most of its range had its low first; one that goes nowhere as often as not
    bars, start = simulated, simulated.start_bar
    path = simulated.fine.low.reshape(-1, 60, 5), simulated.fine.high.reshape(-1, 60, 5)
    low_first = path[0].argmin(axis=1) < path[1].argmax(axis=1)
    rise = ((bars.close - bars.open) / (bars.high - bars.low))[start:]
    assert low_first[rise > 0.6].mean() > 0.95
    assert low_first[rise < -0.6].mean() < 0.05
    assert 0.3 < low_first[np.abs(rise) < 0.1].mean() < 0.7


def probes(market, runs):
    """Give plans that enter every third hour, in turns long and short, at the market, by limit and by trigger."""
    rng = np.random.default_rng(7)
    for k in range(runs):
        symbol = market.symbols[k % len(market.symbols)]
        close = market[symbol].close
        bars = np.arange(market.start_bar + k % 3, len(market) - 1, 3)
        bars = bars[np.isfinite(close[bars])]
        make, side = (Plan.long, 1) if k % 2 else (Plan.short, -1)
        stops, targets = rng.uniform(0.0015, 0.006, (2, bars.size))
        how = (
            {}
            if k % 3 == 0
            else {
                "valid_bars": 2,
                ("limit", "trigger")[k % 3 - 1]: close[bars] * (1 + side * (-0.001, 0.001)[k % 3 - 1]),
            }
        )
        yield make(symbol, at=bars, exposure=3.0, stop_fraction=stops, target_fraction=targets, max_bars=3, **how)


def probed(market, runs):
    mode = ("isolated", "cross")
    return [
        event
        for k, plan in enumerate(probes(market, runs))
        for event in events_of(Course.of(market, plan, load_venue("binance-usdm", margin_mode=mode[k // 2 % 2])))
    ]


def test_on_simulated_minutes_the_truth_lies_between(request):
    market = load_market("deleveraging-2026")
    runs = 60 if request.config.getoption("--full") else 6
    events = probed(with_minutes(market), runs)
    assert len(events) > 100 * runs
    assert_between(events)


@needs_history
@pytest.mark.parametrize(
    ("bars", "funding", "span"),
    [
        (
            "btcusdt_perp_1m_binance_202505_202508",
            file("btcusdt_funding_8h_binance"),
            ("2025-05-04T16:00Z", "2025-08-16T11:00Z"),
        ),
        ("btcusdt_spot_1m_binance_202206_202207", '"none"', ("2022-06-15T03:00Z", "2022-07-19T20:00Z")),
    ],
)
def test_on_real_minutes_the_truth_lies_between_but_for_gaps(tmp_path, request, bars, funding, span):
    head = f'interval = "1m"\nstart = "{span[0]}"\nend = "{span[1]}"\ngaps = "halt"'
    path = write(tmp_path, "minutes", [head, "[BTCUSDT]", f"bars = {file(bars)}", f"funding = {funding}"])
    market = two_scales(load_market(path))
    runs = 48 if request.config.getoption("--full") else 6
    events = probed(market, runs)
    assert len(events) > 60 * runs
    assert_between([event for event in events if event.reason != "gap"])
    assert sum(event.reason == "gap" for event in events) <= 0.002 * len(events)
