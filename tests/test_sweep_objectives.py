"""What is sought, and what rules a point out."""

import math
import re

import pytest

from backtest.errors import ConfigError
from backtest.sweep.objectives import better_side, objective_named, read_constraint, satisfied, worth


def test_more_of_some_and_less_of_others_is_better():
    assert [better_side(name) for name in ("sharpe", "return", "drawdown", "fees", "volatility")] == [1, 1, 1, -1, -1]
    assert worth({"max_drawdown": -0.2}, "max_drawdown") > worth({"max_drawdown": -0.3}, "max_drawdown")
    assert worth({"fees": 3.0}, "fees") > worth({"fees": 4.0}, "fees")
    assert worth({"sharpe": math.nan}, "sharpe") == worth({"sharpe": 2.0, "error": "It failed."}, "sharpe") == -math.inf


@pytest.mark.parametrize(
    ("text", "row", "kept", "excess"),
    [
        ("liquidations=0", {"liquidations": 0}, True, 0.0),
        ("liquidations=0", {"liquidations": 2}, False, 2.0),
        ("drawdown<0.3", {"max_drawdown": -0.1}, True, -0.2),
        ("drawdown < 30%", {"max_drawdown": -0.5}, False, 0.2),
        ("max_drawdown>=-0.3", {"max_drawdown": -0.3}, True, 0.0),
        ("trades>10", {"trades": 10}, False, 1e-12),
        ("sharpe>1", {"sharpe": math.nan}, False, 1.0),
        ("trades>=1", {"trades": 5, "error": "It failed."}, False, 4.0),
    ],
)
def test_a_limit_is_kept_or_broken_by_so_much(text, row, kept, excess):
    limit = read_constraint(text)
    assert limit.keeps(row) is kept
    assert limit.excess(row) == pytest.approx(excess)
    assert satisfied(row, [limit]) is kept
    assert (limit.excess(row) <= 0) is kept


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("liquidations", "A constraint is a figure, a sign and a number, such as liquidations=0 or drawdown<0.3; got"),
        ("liquidation=0", "No figure named 'liquidation' to hold a point to. Did you mean 'liquidations'?"),
        ("drawdown<-0.3", "`drawdown` is a depth from 0 to 1, such as drawdown<0.3; got -0.3."),
        ("max_drawdown>0.3", "`max_drawdown` is a fraction from -1 to 0, such as max_drawdown>-0.3; got 0.3."),
        ("trades>1.2.3", "The limit of 'trades>1.2.3' is no number."),
    ],
)
def test_a_limit_that_makes_no_sense_is_a_sentence(text, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        read_constraint(text)


def test_a_figure_that_can_not_be_sought_is_a_sentence():
    with pytest.raises(ConfigError, match=re.escape("No figure 'sharp' can be sought. Did you mean 'sharpe'?")):
        objective_named("sharp")
