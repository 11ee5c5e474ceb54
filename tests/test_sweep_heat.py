"""Heat maps of sweeps: cells, neighbours, the plateau beside the peak, holes and bins, worked by hand."""

import doctest
import math

import numpy as np
import pytest
from heat_made import made
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import ConfigError
from backtest.report import heat as heat_report
from backtest.report import sweep as sweep_report
from backtest.sweep import heat_map as heat_module
from backtest.sweep import scale as scale_module
from backtest.sweep.axes import Axis
from backtest.sweep.heat_map import check_sides, heat
from backtest.sweep.movers import movers
from backtest.sweep.scale import Points, labels_of, spanned

NAN = math.nan
ROWS, COLUMNS = {"b": (10, 20, 30)}, {"a": (1, 2, 3)}
HILL = (0, 0, 0, 0, 9,
        0, 0, 0, 0, 0,
        2, 2, 2, 0, 0,
        2, 2, 2, 0, 0,
        2, 2, 2, 0, 0)  # fmt: skip
BLOCK_OF_FOUR_BY_THREE = np.array([[4, 6, 4], [6, 9, 6], [6, 9, 6], [4, 6, 4]])
FIVE = {"b": range(5), "a": range(5)}


def test_a_cell_its_neighbours_and_their_spread():
    found = heat(made(ROWS | COLUMNS, range(1, 10)), "a", "b")
    assert found.value.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert (found.x.labels, found.y.labels) == (("1", "2", "3"), ("10", "20", "30"))
    assert found.around.tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]
    assert (found.middle[1, 1], found.lowest[1, 1], found.highest[1, 1], found.spread[1, 1]) == (5, 1, 9, 8)
    assert found.middle[0, 0] == 3  # of 1, 2, 4, 5
    assert found.floor[1, 1] == 3  # the third of nine
    assert found.floor[2, 2] == 5  # of 5, 6, 8, 9; the five beyond the edge count like 5
    assert found.floor[2, 1] == 4  # of 4, 5, 6, 7, 8, 9
    assert found.plateau == found.peak == (2, 2)
    assert found.above == 3  # 9 over the median of 5, 6 and 8


def test_the_plateau_is_not_the_lonely_peak():
    found = heat(made(FIVE, HILL), "a", "b")
    assert found.peak == (0, 4)
    assert found.above == 9
    assert found.plateau == (3, 1)  # of the four cells with nothing but 2 around, the one with most neighbours
    assert not found.thin
    assert not found.sparse


def test_a_crater_is_no_plateau():
    """Every block holds the -50, and only the middle of the map is it: all floors but its own are -50, and so is its value."""
    found = heat(made({"b": range(3), "a": range(3)}, [10, 10, 10, 10, -50, 10, 10, 10, 10]), "a", "b")
    assert found.floor.tolist() == [[-50, -50, -50], [-50, 10, -50], [-50, -50, -50]]
    assert found.plateau == found.peak == (0, 1)  # of the eight 10s the first with six in its block, not four


@pytest.mark.parametrize(
    ("axes", "values", "plateau"),
    [
        ({"b": range(2), "a": range(2)}, [1, 2, 4, 3], (1, 0)),  # one block: the floor of all is 1, the middle 2.5
        ({"b": range(2), "a": range(2)}, [4, 4, 4, -9], (0, 0)),
        ({"a": range(2)}, [1, 2], (0, 1)),
        ({"a": range(2)}, [2, 1], (0, 0)),
        ({"a": range(5)}, [5, 5, -9, 5, 5], (0, 0)),  # its two are 5, and so are those of the last
        (
            {"a": range(5)},
            [0, 0, 9, 3, 3],
            (0, 3),
        ),  # beside the 9 is a 0; the 3 in its block has 9, 3, 3, the last but 3, 3
    ],
)
def test_a_small_map_has_its_plateau_where_it_is_good(axes, values, plateau):
    sides = ("a", "b") if "b" in axes else ("a",)
    assert heat(made(axes, values), *sides).plateau == plateau
    mirrored = heat(made(axes, 0, fees=[10 - value for value in values]), *sides, "fees") if len(sides) > 1 else None
    assert mirrored is None or mirrored.plateau == plateau


def test_where_less_is_better_a_crater_is_a_hill():
    """Fees of 1 around fees of 50: the fifty has a floor of 1 and is the worst of the map."""
    found = heat(made({"b": range(3), "a": range(3)}, 0, fees=[1, 1, 1, 1, 50, 1, 1, 1, 1]), "a", "b", "fees")
    assert found.floor[1, 1] == 1
    assert found.plateau == found.peak == (0, 1)


def test_of_equal_cells_the_peak_is_the_plateau():
    found = heat(made({"b": range(4), "a": range(4)}, [9, 0, 0, 0, 0, 9, 9, 9, 0, 9, 9, 9, 0, 9, 9, 9]), "a", "b")
    assert found.plateau == found.peak == (2, 2)  # nine around it are 9; the first 9 is the corner's


def test_cells_with_few_trades_are_no_plateau_unless_all_have_few():
    trades = [29 if value == 2 else 30 for value in HILL]
    found = heat(made(FIVE, HILL, trades=trades), "a", "b")
    assert found.plateau == (
        1,
        1,
    )  # the floor of all that is left is 0; the first of those inside the map
    assert not found.thin
    every = heat(made(FIVE, HILL, trades=29), "a", "b")
    assert every.plateau == (3, 1)
    assert every.thin


def test_an_edge_is_no_advantage():
    """The best column is the second; the first sees only half of what is around it, and that half is good."""
    found = heat(made({"b": range(3), "a": range(4)}, [6, 8, 6, 0, 8, 10, 8, 0, 6, 8, 6, 0]), "a", "b")
    assert (found.floor[1, 1], found.floor[1, 0]) == (6, 6)
    assert found.plateau == (1, 1)  # of equals the one with nine


def test_a_hole_makes_a_block_no_better():
    found = heat(made(ROWS | COLUMNS, [1, 5, 5, 2, 5, 5, NAN, 5, 5]), "a", "b")
    assert found.floor[1, 1] == 2  # of 1, 2, 5, 5, 5, 5, 5, 5 the second, for the hole counts like 1


def test_what_has_no_value_is_a_hole_and_no_zero():
    figures = [1.0, NAN, 3.0, 4.0, 5.0, 6.0, 7.0, math.inf, 9.0]
    found = heat(made(ROWS | COLUMNS, figures, errors={3: "no luck"}), "a", "b")
    np.testing.assert_array_equal(found.value, [[1, NAN, 3], [NAN, 5, 6], [7, NAN, 9]])
    assert found.failed.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert found.points.tolist() == [[1, 1, 1]] * 3
    assert found.scored.tolist() == [[1, 0, 1], [0, 1, 1], [1, 0, 1]]
    assert found.around[1, 1] == 6
    assert math.isnan(found.middle[0, 1])
    assert found.middle[0, 0] == 3  # of 1 and 5
    assert found.lowest[1, 1] == 1
    assert math.isnan(found.trades[1, 0])


def test_a_cell_alone_among_holes_is_the_plateau_only_where_all_are():
    alone = heat(made(ROWS | COLUMNS, [9, NAN, NAN, 1, NAN, NAN, 1, 1, 1]), "a", "b")
    assert alone.peak == (
        0,
        0,
    )  # there with one neighbour: two of the four cells of its block, which is not more than half
    assert alone.above == 8
    assert alone.plateau == (1, 0)  # 9, 1, 1, 1 of six cells: as good as those below it, and before them
    assert not alone.sparse
    checkers = heat(made({"b": range(5), "a": (1, 2)}, [3, NAN, NAN, NAN, 2, NAN, NAN, NAN, 1, NAN]), "a", "b")
    assert checkers.plateau == (0, 0)
    assert checkers.sparse


def test_no_value_at_all_has_no_plateau():
    found = heat(made(ROWS | COLUMNS, NAN), "a", "b")
    assert found.plateau is found.peak is None
    assert math.isnan(found.above)
    assert found.to_dict()["plateau"] is None


def test_other_axes_count_by_their_median_or_their_best():
    sweep = made({"b": (1, 2), "a": (1, 2), "c": (1, 2, 3, 4)}, [1, 2, 3, 10] * 4, trades=[10, 20, 30, 80] * 4)
    median = heat(sweep, "a", "b")
    assert median.value.tolist() == [[2.5, 2.5], [2.5, 2.5]]
    assert median.points.tolist() == [[4, 4], [4, 4]]
    assert (median.trades[0, 0], median.fewest[0, 0]) == (25, 10)
    assert median.others == ("c",)
    best = heat(sweep, "a", "b", over="best")
    assert best.value.tolist() == [[10, 10], [10, 10]]
    assert (best.trades[0, 0], best.fewest[0, 0]) == (80, 80)
    held = heat(sweep, "a", "b", at={"c": "3.0"})
    assert held.value.tolist() == [[3, 3], [3, 3]]
    assert (held.held, held.others) == ((("c", "3"),), ())


def test_where_less_is_better_the_plateau_lies_low():
    fees = [1, 5, 9, 5, 5, 9, 9, 9, 9]
    found = heat(made(ROWS | COLUMNS, 0, fees=fees), "a", "b", "fees_worst")
    assert found.lower
    assert found.peak == (0, 0)
    assert found.above == 4  # 5 - 1
    assert found.plateau == (0, 0)
    assert found.floor[0, 0] == 5  # the worst of 1, 5, 5, 5
    assert (found.lowest[0, 0], found.highest[0, 0]) == (1, 5)
    best = heat(made(ROWS | {"a": (1, 2)}, 0, fees=[3, 1] * 3), "b", "", "fees", over="best")
    assert best.value.tolist() == [[1, 1, 1]]


def test_one_axis_makes_a_row():
    found = heat(made({"a": (3, 1, 2)}, [30, 10, 20]), "a")
    assert found.value.tolist() == [[10, 20, 30]]
    assert found.around.tolist() == [[2, 3, 2]]
    assert found.marks()["peak"] == {"row": 0, "column": 2, "at": {"a": "3"}}


def test_numbers_stand_in_order_and_words_as_they_were_asked_for():
    found = heat(made({"b": ("late", "early"), "a": (10.0, 2.0, 1.0)}, range(6)), "a", "b")
    assert found.x.labels == ("1", "2", "10")
    assert found.y.labels == ("late", "early")
    assert found.value.tolist() == [[2, 1, 0], [5, 4, 3]]
    several = heat(made({"levels": ((75e3, 70e3), (80e3,)), "deep": (True, False)}, range(4)), "levels", "deep")
    assert several.x.labels == ("75000,70000", "80000")
    assert several.y.labels == ("false", "true")
    assert several.value.tolist() == [[1, 3], [0, 2]]


def test_points_without_the_parameter_are_told_and_not_shown():
    sweep = made(
        {"a": (1, 2), "b": (1, 2)}, range(6), strategies=("both", "other"), takes=(("a", "b"), ("b",))
    )  # 4 points, and 2 of a strategy without a
    found = heat(sweep, "a", "b")
    assert found.value.tolist() == [[0, 2], [1, 3]]
    assert found.outside == 2
    assert found.others == ()  # all points on the map are of one strategy
    by_strategy = heat(sweep, "b", "strategy")
    assert by_strategy.y.labels == ("both", "other")
    assert by_strategy.value.tolist() == [[1, 2], [4, 5]]


def test_too_many_values_are_put_into_bins_and_none_is_lost():
    found = heat(made({"a": range(10)}, range(10)), "a", cells=(4, 1))
    assert found.x.ends == (("0", "2"), ("3", "5"), ("6", "7"), ("8", "9"))
    assert found.value.tolist() == [[1, 4, 6.5, 8.5]]
    assert found.points.sum() == 10
    assert found.x.binned
    assert found.x.values == 10


def test_a_span_is_cut_into_bins_of_equal_width():
    codes = np.arange(4, dtype=np.int32)
    even = spanned("s", [0.0, 1.0, 6.0, 9.0], codes, False, 3)
    assert even.ends == (("0", "3"), ("3", "6"), ("6", "9"))
    assert even.codes.tolist() == [0, 0, 2, 2]
    log = spanned("s", [1.0, 20.0, 50.0, 1000.0], codes, True, 3)
    assert log.ends == (("1", "10"), ("10", "100"), ("100", "1000"))
    assert log.codes.tolist() == [0, 1, 1, 2]
    assert spanned("s", [3, 5], codes[:2], False, 3).ends == (("3", "3"), ("5", "5"))


def test_a_sample_of_two_spans_has_four_points_a_cell():
    axes = {name: Axis(name, span=(0.0, 1.0)) for name in ("a", "b")}
    found = heat(made(axes, range(64), sample=("random", 64, 0)), "a", "b")
    assert found.value.shape == (4, 4)  # sqrt(64 / 4)
    assert found.points.sum() == 64
    assert found.x.span


def test_a_thin_sample_of_a_grid_is_put_into_bins():
    """64 points of 50 x 50 x 2 combinations: a cell a value would leave 2,436 of 2,500 cells empty."""
    axes = {"a": range(50), "b": range(50), "c": (1, 2)}
    found = heat(made(axes, range(64), sample=("random", 64, 0)), "a", "b")
    assert found.value.shape == (4, 4)  # sqrt(64 / 4)
    assert found.points.sum() == 64
    assert found.x.thin
    assert "The points that were drawn are too few for a cell a value." in heat_report.sentences(found)[1]
    assert len(heat(made(axes, range(64), sample=("random", 64, 0)), "c", "b").x) == 2  # two values need no bins
    full = heat(made({"a": range(12), "b": range(12)}, range(144)), "a", "b")
    assert (full.value.shape, full.x.thin) == ((12, 12), False)  # the whole grid
    dense = heat(made({"a": range(5), "b": range(5), "c": range(4)}, range(64), sample=("random", 64, 0)), "a", "b")
    assert (dense.value.shape, dense.x.thin) == ((5, 5), False)  # 64 points, 25 cells


def test_only_axes_that_vary_are_told():
    sweep = made({"b": (1, 2), "a": (1, 2), "c": (1, 2), "d": (1, 2)}, range(16))
    assert heat(sweep, "a", "b").others == ("c", "d")
    assert heat(sweep, "a", "b", at={"c": 1}).others == ("d",)


def test_a_map_is_made_again_with_fewer_columns():
    found = heat(made({"b": range(2), "a": range(6)}, range(12)), "a", "b").again(3)
    assert found.x.ends == (("0", "1"), ("2", "3"), ("4", "5"))
    assert found.value.tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]


def test_labels_tell_values_apart():
    assert labels_of([0.10001, 0.10002]) == ("0.10001", "0.10002")
    assert labels_of([0.001, 0.25]) == ("0.001", "0.25")


def test_the_axes_that_move_the_figure_most_come_first():
    values = [100 * a + 10 * b + c for a in range(2) for b in range(3) for c in range(4)]
    pairs = movers(Points(made({"a": range(2), "b": range(3), "c": range(4)}, values)), "sharpe")
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]  # the side with more values goes down the page
    flipped = made({"a": range(3), "b": range(2)}, [100 * a + b for a in range(3) for b in range(2)])
    assert movers(Points(flipped), "sharpe") == [("b", "a")]


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-5, 5)), min_size=1, max_size=40))
def test_the_median_of_a_cell_is_numpy_s(points):
    axis = {"b": range(len(points)), "a": (0, 1, 2)}
    values = np.full((len(points), 3), NAN)
    for row, (column, value) in enumerate(points):
        values[row, column] = value
    found = heat(made(axis, values.ravel()), "a")
    for column in range(3):
        mine = [value for c, value in points if c == column]
        expected = float(np.median(mine)) if mine else NAN
        np.testing.assert_allclose(found.value[0, column], expected, rtol=1e-12, equal_nan=True)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=12, max_size=12))
def test_the_figures_of_a_block_stand_in_order(values):
    found = heat(made({"b": range(4), "a": range(3)}, [NAN if v is None else v for v in values]), "a", "b")
    there = np.isfinite(found.value)
    assert (found.plateau is None) == (not there.any())
    if there.any():
        assert found.value[found.peak] == found.value[there].max()
        assert (found.lowest[there] <= found.floor[there]).all()
        worse = np.fmin(found.value, found.floor)[there & (found.sparse | (2 * found.around > BLOCK_OF_FOUR_BY_THREE))]
        assert min(found.value[found.plateau], found.floor[found.plateau]) == worse.max()
        assert (found.floor[there] <= found.middle[there]).all()
        assert (found.middle[there] <= found.highest[there]).all()


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sides", "more", "sentence"),
    [
        (("lookbak", "b"), {}, r"The sweep has no axis 'lookbak'\. Did you mean 'lookback'\?"),
        (("b", "b"), {}, r"A map needs two different axes, got 'b' twice\."),
        (("lookback", "one"), {}, r"`one` has one value in this sweep \(7\); a map needs an axis with two or more\."),
        (("lookback", "b"), {"metric": "sharp"}, r"A sweep has no figure 'sharp'\. Did you mean 'sharpe'\?"),
        (("lookback", "b"), {"at": {"b": 2}}, r"`b` is a side of the map; hold another axis at a value, or none\."),
        (("lookback", "b"), {"at": {"one": 8}}, r"No point of this sweep has `one` at 8; it has 7\."),
        (("lookback", "b"), {"over": "mean"}, r"their 'median' or the 'best' of them, not 'mean'\."),
    ],
)
def test_a_mistake_is_a_sentence(sides, more, sentence):
    sweep = made({"lookback": (1, 2), "b": (1, 2), "one": (7,)}, range(4))
    with pytest.raises(ConfigError, match=sentence):
        heat(sweep, *sides, **more)


@pytest.mark.parametrize(
    ("sides", "at", "sentence"),
    [
        (("lookback",), {}, r"A map is over two axes, got 'lookback' alone; add one of b, one: --heat lookback,NAME\."),
        (("lookback", "lookback"), {}, "two different axes"),
        (("lookback", "one"), {}, "`one` has one value"),
        (("lookback", "b"), {"b": "1"}, "`b` is a side of the map"),
        (("lookback", "b"), {"one": "8"}, "No point of this sweep has `one` at 8; it has 7"),
        (("lookback", "b"), {"hold": "3"}, r"no axis 'hold'\. There are: b, lookback, one\."),
    ],
)
def test_a_map_that_can_t_be_is_refused_before_the_sweep(sides, at, sentence):
    space = made({"lookback": (1, 2), "b": (1, 2), "one": (7,)}, range(4)).space
    with pytest.raises(ConfigError, match=sentence):
        check_sides(space, sides, at)


@pytest.mark.parametrize("module", [heat_module, scale_module, heat_report, sweep_report])
def test_the_examples_in_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
