"""Bad input to levels, one table: every detector and `fixed`, `breaks`, `bounces`, `life` say in a sentence what they got."""

import math
from dataclasses import replace

import numpy as np
import pytest
from bars_made import bars_from, columns, random_bars

from backtest.errors import ConfigError
from backtest.levels import (
    Levels,
    LifeRules,
    anchored_vwap,
    atr,
    avwap,
    bounces,
    break_events,
    breaks,
    cluster,
    donchian,
    fixed,
    fractal,
    fractal_lows,
    life,
    pivot,
    prior,
    profile,
    round_grid,
    round_numbers,
    turning_points,
    volume_profile,
    zigzag,
)
from backtest.levels.round_numbers import round_step

NAN = math.nan
BARS = random_bars(1, 60)
ONE = fixed([60_000.0])
KINDS = [
    *(fractal(), zigzag(), donchian(20), prior(), pivot(), avwap(), profile(), cluster(), round_numbers()),
    fractal() | prior(),
]
ANCHOR = "`anchor` must be 'day', 'week', 'month', a date like '2026-01-15', ns UTC, or a Fractal or Zigzag, got"


def whole(name, got):
    return f"`{name}` must be a whole number from 1, got {got}."


def above(name, got, most=""):
    return f"`{name}` must be a number above 0{most}, got {got}."


def fraction(name, got):
    return f"`{name}` must be a fraction from 0 to below 1, not percent, got {got}."


def table(got, hint="turn prices into one with `fixed`."):
    return f"`levels` must be a table of levels, got {got}; {hint}"


DETECTORS = [
    (lambda: fractal(k=0), whole("k", 0)),
    (lambda: fractal(k=-2), whole("k", -2)),
    (lambda: fractal(k=NAN), whole("k", "nan")),
    (lambda: fractal(k="2"), whole("k", "'2'")),
    (lambda: fractal(k=True), whole("k", True)),
    (lambda: fractal(side="hihg"), "`side` can't be 'hihg'. Did you mean 'high'?"),
    (lambda: zigzag(-0.1), above("theta", -0.1, " to 0.99")),
    (lambda: zigzag(5), above("theta", 5, " to 0.99")),
    (lambda: zigzag("3%"), above("theta", "'3%'", " to 0.99")),
    (lambda: zigzag(atrs=NAN), "`atrs` must be a number from 0, got nan."),
    (lambda: zigzag(n=0), whole("n", 0)),
    (lambda: zigzag(side=None), "`side` can't be None. There are: high, low."),
    (lambda: donchian(-3), "The lookback of a Donchian channel must be a whole number of bars from 1, got -3."),
    (lambda: donchian("20"), "The lookback of a Donchian channel must be a whole number of bars from 1, got '20'."),
    (lambda: prior(None), "`period` can't be None. There are: day, month, week."),
    (lambda: prior("weeek"), "`period` can't be 'weeek'. Did you mean 'week'?"),
    (lambda: pivot("hour"), "`period` can't be 'hour'. There are: day, month, week."),
    (lambda: pivot(names="s1"), "`names` must be different names of pivots like ('pp', 's1'), got 's1'."),
    (
        lambda: pivot(names=("s1", "s1")),
        "`names` must be different names of pivots like ('pp', 's1'), got ('s1', 's1').",
    ),
    (lambda: avwap(None), f"{ANCHOR} None."),
    (lambda: avwap(3.5), f"{ANCHOR} 3.5."),
    (lambda: avwap([1]), f"{ANCHOR} [1]."),
    (lambda: avwap(donchian(3)), f"{ANCHOR} Donchian(n=3)."),
    (lambda: profile(days=1.5), whole("days", 1.5)),
    (lambda: profile(bin=-0.1), above("bin", -0.1)),
    (lambda: profile(share=0), above("share", 0, " to 1")),
    (lambda: profile(prominence=NAN), above("prominence", "nan", " to 1")),
    (lambda: cluster(width=0), above("width", 0)),
    (lambda: cluster(width=-0.5), above("width", -0.5)),
    (lambda: cluster(lookback=math.inf), above("lookback", "inf")),
    (lambda: cluster(members=0), whole("members", 0)),
    (lambda: round_numbers(step=0), above("step", 0)),
    (lambda: round_numbers(finest=NAN), above("finest", "nan", " to 0.99")),
    (lambda: round_numbers(reach=2), above("reach", 2, " to 0.99")),
    (lambda: round_grid(NAN, 5_000), above("price", "nan")),
    (lambda: round_grid(67_490, -5_000), above("step", -5_000)),
    (lambda: round_grid("67490", 5_000), above("price", "'67490'")),
    (lambda: volume_profile(BARS.close, BARS.volume, NAN), above("step", "nan")),
    (lambda: atr(BARS, 0), whole("n", 0)),
    (lambda: fractal_lows(BARS.low, 0), whole("k", 0)),
    (lambda: turning_points(BARS.high, BARS.low, BARS.close, np.full(60, -0.1)), "`theta` must be above 0, got -0.1."),
    (lambda: round_step(NAN), above("price", "nan")),
    (
        lambda: anchored_vwap(BARS.high, BARS.low[:3], BARS.close, BARS.volume),
        "Columns of bars need one length, got `high` 60, `low` 3, `close` 60, `volume` 60.",
    ),
    (
        lambda: volume_profile(BARS.close, BARS.volume[:3], 1.0),
        "Columns of bars need one length, got `prices` 60, `volume` 3.",
    ),
    (lambda: (fractal() | ONE).within(-0.003), "`width` must be a number from 0, got -0.003."),
    (lambda: (fractal() | ONE).within("0.3%"), "`width` must be a number from 0, got '0.3%'."),
    (lambda: (fractal() | ONE).within(atrs=NAN), "`atrs` must be a number from 0, got nan."),
    (lambda: (fractal() | ONE).within(memory=0), above("memory", 0)),
    (lambda: ONE | "70000", "Only levels and detectors combine with `|`, got '70000'; prices need `fixed`."),
]
PRICES = [
    (lambda: fixed("75000"), "`levels` must be a list of prices like (75000.0, 70000.0), got '75000'."),
    (lambda: fixed(None), "`levels` must be a list of prices like (75000.0, 70000.0), got None."),
    (lambda: fixed(["75k", "70k"]), "A level must be a price above 0, got '75k'."),
    (lambda: fixed([75_000, "70000"]), "A level must be a price above 0, got '70000'."),
    (lambda: fixed([75_000, NAN]), "A level must be a price above 0, got nan."),
    (lambda: fixed(np.array([75_000, NAN])), "A level must be a price above 0, got nan."),
    (lambda: fixed([75_000, -70_000]), "A level must be a price above 0, got -70000."),
    (lambda: fixed([75_000, 70_000, 75_000]), "The level 75000.0 stands twice."),
    (lambda: fixed([1.0], known_from=1.5), "`known_from` must be a date like '2026-01-15' or ns UTC, got 1.5."),
    (lambda: fixed([1.0], known_from=NAN), "`known_from` must be a date like '2026-01-15' or ns UTC, got nan."),
    (lambda: Levels([NAN], [0.0], ("x",), [0], [0], ((),)), "A level must be a price above 0, got nan."),
    (lambda: Levels(["75k"], [0.0], ("x",), [0], [0], ((),)), "`price` must be numbers, got ['75k']."),
    (lambda: Levels([1.0], [0.0], ("x",), [0], [NAN], ((),)), "`known_at` must be times in ns UTC, got [nan]."),
    (lambda: Levels([1.0], [-0.5], ("x",), [0], [0], ((),)), "A level's half-width must be at least 0, got -0.5."),
    (lambda: Levels([1.0], [0.0], ("x",), [5], [4], ((),)), "The level 1.0 is known before it formed."),
    (lambda: Levels([1.0], [0.0], ("x",), [0], [4], ((),), [3]), "The level 1.0 is over before it is known."),
]
RULES = [
    (lambda: breaks(BARS, [75_000.0]), table("[75000.0]")),
    (lambda: breaks(BARS, "75000"), table("'75000'")),
    (lambda: breaks(BARS, ["75000", "70000"]), table("['75000', '70000']")),
    (lambda: breaks(BARS, fractal()), table("Fractal(k=2, side='low')", "apply it to bars with `.find(bars)`.")),
    (lambda: breaks(BARS, ONE, rule="closes"), "No break rule named 'closes'. Did you mean 'close'?"),
    (lambda: breaks(BARS, ONE, buffer=-0.003), fraction("buffer", -0.003)),
    (lambda: breaks(BARS, ONE, buffer=NAN), fraction("buffer", "nan")),
    (lambda: breaks(BARS, ONE, quiet_bars=0), "`quiet_bars` must be a whole number of bars from 1, got 0."),
    (lambda: breaks(BARS, ONE, buffer_atr=-0.25), "`buffer_atr` must be a number from 0, got -0.25."),
    (lambda: breaks(BARS, ONE, rule="n_closes", closes=0), "`closes` must be a whole number of bars from 1, got 0."),
    (lambda: breaks(BARS, ONE, volume=-1), "`volume` must be a number from 0, got -1."),
    (lambda: breaks(BARS, ONE, volume_bars=0), "`volume_bars` must be a whole number of bars from 1, got 0."),
    (lambda: breaks(BARS, ONE, rule="retest", zone=NAN), "`zone` must be a number from 0, got nan."),
    (lambda: breaks(BARS, ONE, rule="reclaim", within=0), "`within` must be a whole number of bars from 1, got 0."),
    (lambda: break_events(BARS, [75_000.0]), table("[75000.0]")),
    (lambda: bounces(BARS, [75_000.0]), table("[75000.0]")),
    (lambda: bounces(BARS, ["75000"]), table("['75000']")),
    (lambda: bounces(BARS, ONE, zone=-0.15), "`zone` must be a number from 0, got -0.15."),
    (lambda: bounces(BARS, ONE, leave=NAN), "`leave` must be a number from 0, got nan."),
    (lambda: bounces(BARS, ONE, buffer=-0.003), fraction("buffer", -0.003)),
    (lambda: bounces(BARS, ONE, away=0.1), "`zone` 0.15 must be at most `away` 0.1 and below `leave` 1.0."),
    (lambda: bounces(BARS, ONE, quiet_bars=-1), "`quiet_bars` must be a whole number of bars from 1, got -1."),
    (lambda: life(BARS, [75_000.0]), table("[75000.0]")),
    (lambda: life(BARS, ["75000"]), table("['75000']")),
    (lambda: life(BARS, ONE, {"zone": 0.1}), "`rules` must be LifeRules(...), got {'zone': 0.1}."),
    (
        lambda: LifeRules(permanent=None),
        "`permanent` must be kinds of levels like ('fixed', 'round'), got None.",
    ),
    (lambda: life(BARS, ONE, LifeRules(zone=-0.15)), "`zone` must be a number from 0, got -0.15."),
    (lambda: life(BARS, ONE, LifeRules(buffer=NAN)), fraction("buffer", "nan")),
    (lambda: life(BARS, ONE, LifeRules(atr_bars=0)), "`atr_bars` must be a whole number of bars from 1, got 0."),
    (lambda: life(BARS, ONE).states(60), "`bar` must be one of the 60 bars of the market, got 60."),
    (
        lambda: life(BARS, ONE).support_below(np.full(3, NAN)),
        "`price` has the shape (3,); 60 bars need one price each.",
    ),
    (
        lambda: life(BARS, ONE).visible(tau_days="90"),
        "`tau_days` must be a number of days above 0, got '90'.",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), [*DETECTORS, *PRICES, *RULES])
def test_it_is_said_what_was_got(make, sentence):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value) == sentence


FOUND = [
    *(pytest.param(kind.find, id=str(kind)) for kind in KINDS),
    *(pytest.param(lambda bars, f=f: f(bars, ONE), id=f.__name__) for f in (breaks, break_events, bounces, life)),
]


@pytest.mark.parametrize("find", FOUND)
@pytest.mark.parametrize("bars", ["BTCUSDT", [1.0, 2.0], None])
def test_what_is_no_bars_is_named(find, bars):
    with pytest.raises(ConfigError) as error:
        find(bars)
    got = type(bars).__name__
    assert str(error.value) == f"Levels are found in the bars of one symbol, `market['BTCUSDT']`, got {got}."


@pytest.mark.parametrize("find", FOUND)
def test_bars_out_of_order_and_columns_of_unlike_length_are_refused(find):
    turned, short = replace(BARS, time=BARS.time[::-1]), replace(BARS, low=BARS.low[:50])
    with pytest.raises(
        ConfigError, match=r"The bars of TEST must be in order of time; bar 1 opens no later than bar 0\."
    ):
        find(turned)
    with pytest.raises(ConfigError, match=r"Columns of bars need one length, got `time` 60, .*`low` 50,"):
        find(short)


# --- what need not be sorted, and what may be NaN ---


def test_given_prices_come_from_either_end():
    for prices in ([65_000, 70_000, 75_000], (65_000, 70_000, 75_000), np.array([75_000, 70_000, 65_000])):
        assert columns(fixed(prices)) == columns(fixed([75_000, 70_000, 65_000]))


def test_the_rows_of_a_table_come_in_any_order():
    low, high = float(np.nanmin(BARS.low)), float(np.nanmax(BARS.high))
    ladder = fixed(np.linspace(low, high, 9)) + fixed([low + 1, high - 1], known_from=int(BARS.known_at[20]))
    order = np.random.default_rng(2).permutation(len(ladder))
    mixed = ladder.take(order)
    told = [breaks(BARS, table, buffer=0.0, quiet_bars=1) for table in (ladder, mixed)]
    assert len(told[0]) > 3
    for name in ("bar", "level", "next_level", "close"):
        np.testing.assert_array_equal(*(getattr(found, name) for found in told))
    told = [bounces(BARS, table, leave=0.6, quiet_bars=1) for table in (ladder, mixed)]
    assert len(told[0]) > 0
    for name in ("bar", "touch_bar", "level"):
        np.testing.assert_array_equal(*(getattr(found, name) for found in told))
    np.testing.assert_array_equal(*(life(BARS, table).support_below() for table in (ladder, mixed)))
    states = life(BARS, ladder).states()
    assert life(BARS, mixed).states() == tuple(states[row] for row in order.tolist())


@pytest.mark.parametrize("detector", KINDS, ids=str)
def test_prices_that_are_nan_are_bars_without_trades_and_make_no_level(detector):
    silent = bars_from([(NAN,) * 4] * 500, volume=[NAN] * 500)
    assert len(detector.find(silent)) == 0
    assert len(breaks(silent, ONE)) == len(bounces(silent, ONE)) == len(life(silent, ONE)) == 0
