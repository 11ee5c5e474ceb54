"""The same sweep on both engines: a fall with funding, on leverage, in which shorts are stopped, closed out and liquidated."""

import numpy as np
import pytest
from command import FIRST, write_market

from backtest.model import RunConfig
from backtest.sweep import FIGURES, make_space, sweep
from backtest.sweep.point import COUNTS

BARS = 240
GRID = ["lookback=3:27:6", "stop_fraction=0.02,0.5", "leverage=1,15"]
WHOLE = [name for name in FIGURES if name.removesuffix("_worst").removesuffix("_best") in COUNTS]


def falling_bars() -> str:
    """Return hourly bars of a wild fall: each runs from the close before, with wicks of up to 3% on both sides."""
    draws = np.random.default_rng(7)
    steps, wicks = draws.normal(-0.001, 0.015, BARS), draws.uniform(0.0, 0.03, (2, BARS))
    for squeeze in (50, 120, 200):  # a new low, and straight up from there
        steps[squeeze : squeeze + 2] = -0.05, 0.09
        wicks[:, squeeze + 1] = 0.0
    closes = 100.0 * np.cumprod(1.0 + steps)
    opens = np.concatenate([[100.0], closes[:-1]])
    highs = np.maximum(opens, closes) * (1.0 + wicks[0])
    lows = np.minimum(opens, closes) * (1.0 - wicks[1])
    times = FIRST + 3600 * np.arange(BARS)
    rows = zip(times, opens, highs, lows, closes, strict=True)
    return "time,open,high,low,close,volume\n" + "".join(
        f"{t},{o:.6f},{h:.6f},{low:.6f},{c:.6f},10\n" for t, o, h, low, c in rows
    )


def funding() -> str:
    """Return a rate every eight hours, paid by shorts and by longs in turn."""
    rates = [(-1) ** i * 0.0004 for i in range(BARS // 8)]
    return "time,funding_rate\n" + "".join(f"{FIRST + 28_800 * i},{rate}\n" for i, rate in enumerate(rates))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The rows of both engines: twenty points of a shipped strategy on a small market."""
    here = tmp_path_factory.mktemp("engines")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        market = '[BTCUSDT]\nbars = "bars.csv"\nfunding = "funding.csv"\n'
        head = 'interval = "1h"\nstart = "2026-01-01"\nend = "2026-01-11"\n\n'
        write_market(here, bars=falling_bars(), funding=funding(), market=head + market)
        settings = {"parameters": (("buffer", 0.0), ("target_fraction", 0.02)), "account": (("leverage", 20.0),)}
        bases = [RunConfig("", engine=engine, **settings) for engine in ("fast", "backtrader")]
        return [
            sweep(make_space("donchian_break", GRID, markets=["./market.toml"], base=base), here / base.engine).table()
            for base in bases
        ]


def column(table, name):
    return [np.nan if value is None else value for value in table[name].to_pylist()]


def test_twenty_points_are_swept_without_an_error(rows):
    for table in rows:
        assert table.num_rows == 20
        assert table["error"].to_pylist() == [""] * 20
        assert table["point"].to_pylist() == list(range(20))


def test_the_market_is_not_too_easy(rows):
    """There are trades in every point, funding, liquidations, rejected rows, and bars whose order makes a difference."""
    fast = rows[0]
    assert min(column(fast, "trades")) >= 4
    assert any(column(fast, "funding_paid"))
    assert max(column(fast, "liquidations")) >= 1
    assert max(column(fast, "rejections")) >= 1
    assert max(column(fast, "ambiguous_bars")) >= 1
    worst, best = column(fast, "total_return_worst"), column(fast, "total_return_best")
    assert any(w != b for w, b in zip(worst, best, strict=True))
    assert len(set(column(fast, "total_return"))) > 15


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_in_every_order_inside_a_bar(rows, name):
    """To 1e-9; those of the worst and of the best order too."""
    fast, slow = (column(table, name) for table in rows)
    if name in WHOLE:
        assert fast == slow
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", ["lookback", "stop_fraction", "leverage", "ambiguous_bars", "rejections"])
def test_settings_and_counts_are_the_same(rows, name):
    assert column(rows[0], name) == column(rows[1], name)


def test_the_engine_is_part_of_the_id(rows):
    """The points are other runs, and other trials."""
    fast, slow = (set(table["run"].to_pylist()) for table in rows)
    assert len(fast) == len(slow) == 20
    assert not fast & slow
