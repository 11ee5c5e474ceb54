"""Axes and spaces: what a text asks for, and every point by its number."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.model import RunConfig
from backtest.sweep import Axis, Space, make_space, read_axis
from backtest.sweep.draws import key_of, shuffled, uniform
from backtest.sweep.store import space_from_toml, space_to_toml


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lookback=24:48:8", (24, 32, 40, 48)),
        ("lookback=24:47:8", (24, 32, 40)),
        ("lookback=5:3:-1", (5, 4, 3)),
        ("lookback=3:6", (3, 4, 5, 6)),
        ("lookback=20,55", (20, 55)),
        ("lookback=20,55,20", (20, 55)),
        ("lookback=3,10:14:2", (3, 10, 12, 14)),
        ("lookback=log:10:1000:3", (10, 100, 1000)),
        ("buffer=0,0.001,0.002,0.005", (0.0, 0.001, 0.002, 0.005)),
        ("buffer=0.001:0.003:0.001", (0.001, 0.002, 0.003)),
        ("stop_fraction=log:0.01:0.1:2", (0.01, 0.1)),
        ("stop_fraction=log:0.001:0.1:3", (0.001, 0.01, 0.1)),
        ("stop_fraction=lin:0.1:0.3:3", (0.1, 0.2, 0.3)),
        ("symbol=BTCUSDT,ETHUSDT", ("BTCUSDT", "ETHUSDT")),
        ("leverage=1,2", (1.0, 2.0)),
        ("account.leverage=1,20", (1.0, 20.0)),
        ("margin_mode=cross,isolated", ("cross", "isolated")),
        ("margin=isolated", ("isolated",)),
        ("maker=0:0.0004:0.0002", (0.0, 0.0002, 0.0004)),
    ],
)
def test_the_values_of_an_axis(text, values):
    assert read_axis(text, "donchian_break").values == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("levels=75000;70000|80000;75000", ((75_000.0, 70_000.0), (80_000.0, 75_000.0))),
        ("levels=75000|70000", ((75_000.0,), (70_000.0,))),
        ("rule=close,wick", ("close", "wick")),
        ("max_wait=none,24", ("none", 24)),
        ("kinds=round,fixed(75000, 70000)", ("round", "fixed(75000, 70000)")),
    ],
)
def test_tuples_words_and_nothing(text, values):
    assert read_axis(text, "support_break").values == values


def test_an_axis_knows_whether_it_is_of_the_account():
    assert not read_axis("leverage=1,2", "donchian_break").account  # the strategy has one of that name
    assert read_axis("account.leverage=1,2", "donchian_break") == Axis("account.leverage", (1.0, 2.0), account=True)
    assert read_axis("leverage=1,2", "ma_cross") == Axis("leverage", (1.0, 2.0), account=True)


def test_the_points_of_a_grid_by_number():
    """The last axis changes fastest; the account's settings go into the account."""
    space = make_space(
        "donchian_break", ["lookback=20,55", "account.leverage=1,5,10"], base=RunConfig("", venue="paper")
    )
    assert len(space) == 6
    assert [tuple(space.values(i).values()) for i in range(6)] == [
        (20, 1.0), (20, 5.0), (20, 10.0), (55, 1.0), (55, 5.0), (55, 10.0),
    ]  # fmt: skip
    assert space.config(4) == RunConfig(
        "donchian_break", parameters=(("lookback", 55),), venue="paper", account=(("leverage", 5.0),)
    )
    with pytest.raises(IndexError, match="there is no point 6"):
        space.config(6)


def test_each_strategy_gets_the_axes_and_settings_that_it_has():
    base = RunConfig("", parameters=(("symbol", "BTCUSDT"), ("buffer", 0.01)))
    space = make_space(["donchian_break", "buy_and_hold"], ["lookback=20,55"], markets=["a", "b"], base=base)
    assert len(space) == 2 * (2 + 1)
    found = [space.values(i) for i in range(6)]
    assert [(v["market"], v["strategy"], v["lookback"]) for v in found] == [
        ("a", "donchian_break", 20), ("a", "donchian_break", 55), ("a", "buy_and_hold", None),
        ("b", "donchian_break", 20), ("b", "donchian_break", 55), ("b", "buy_and_hold", None),
    ]  # fmt: skip
    assert space.config(2).parameters == (("symbol", "BTCUSDT"),)
    assert dict(space.config(4).parameters) == {"symbol": "BTCUSDT", "buffer": 0.01, "lookback": 55}


def test_a_grid_of_a_million_is_not_made():
    axes = tuple(Axis(name, tuple(range(1000))) for name in "abcdef")
    space = Space(("x",), ("m",), axes, RunConfig(""))
    assert space.count == 10**18
    assert space.values(10**18 - 1) == dict.fromkeys("abcdef", 999)


def test_a_random_sample_takes_no_point_twice():
    space = make_space("donchian_break", ["lookback=1:50:1", "buffer=0:0.01:0.001"], random=550)
    drawn = {tuple(space.values(i).values()) for i in range(550)}
    assert len(drawn) == 550  # the whole grid, shuffled
    assert drawn == {(n, k / 1000) for n in range(1, 51) for k in range(11)}
    other = make_space("donchian_break", ["lookback=1:50:1", "buffer=0:0.01:0.001"], random=550, seed=1)
    assert [other.values(i) for i in range(9)] != [space.values(i) for i in range(9)]


def test_a_latin_hypercube_has_one_point_in_each_part_of_each_axis():
    space = make_space(
        "donchian_break", ["stop_fraction=0.1:0.2", "target_fraction=log:0.01:1", "lookback=1:20"], latin=20
    )
    points = [space.values(i) for i in range(20)]
    assert sorted(int((p["stop_fraction"] - 0.1) / 0.1 * 20) for p in points) == list(range(20))
    assert sorted(p["lookback"] for p in points) == list(range(1, 21))
    assert all(0.01 <= p["target_fraction"] < 1 for p in points)
    assert sum(p["target_fraction"] < 0.1 for p in points) == 10  # half of the decades


def test_a_random_sample_of_a_span_fills_it():
    space = make_space("donchian_break", ["stop_fraction=0.1:0.2"], random=2000)
    values = [space.values(i)["stop_fraction"] for i in range(2000)]
    assert min(values) >= 0.1
    assert max(values) < 0.2
    assert abs(sum(values) / 2000 - 0.15) < 0.002  # three standard errors of 0.1/sqrt(12 * 2000)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 1000), st.integers(0, 2**63))
def test_a_shuffle_puts_each_number_somewhere_else(size, key):
    assert sorted(shuffled(i, size, key) for i in range(size)) == list(range(size))


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_a_draw_lies_between_0_and_1(index, seed):
    assert 0.0 <= uniform(index, key_of(seed, "x")) < 1.0


@pytest.mark.parametrize(
    ("grid", "given_too"),
    [
        (["lookback=20,55", "buffer=0:0.01:0.001", "account.leverage=1,5"], {}),
        (["stop_fraction=log:0.01:0.1", "margin_mode=cross,isolated"], {"latin": 7, "seed": 3}),
        (["lookback=20,55"], {"markets": ["a.toml", "b"], "random": 2}),
    ],
)
def test_a_space_is_plain_data_and_comes_back_from_its_file(grid, given_too):
    base = RunConfig("", parameters=(("symbol", 'a "b"'),), account=(("cash", 500.0),), seed=4)
    space = make_space("donchian_break", grid, base=base, **given_too)
    assert space_from_toml(space_to_toml(space, "0123456789")) == space
    assert pickle.loads(pickle.dumps(space)) == space
    assert hash(space) == hash(pickle.loads(pickle.dumps(space)))


def test_a_parameter_called_like_a_figure_gets_a_column_of_its_own():
    space = Space(("x",), ("m",), (Axis("trades", (1, 2)), Axis("n", (3,))), RunConfig(""))
    assert space.values(1) == {"set_trades": 2, "n": 3}
