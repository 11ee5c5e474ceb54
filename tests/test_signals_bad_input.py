"""Bad input to signals, one table: each says in a sentence what it got, and none goes on with it in silence."""

import math

import numpy as np
import pytest
from signal_markets import DAY, days, drawn, stamped

from backtest.errors import ConfigError
from backtest.signals import (
    Holding,
    beta,
    deleveraging,
    delta_covar,
    funding_cumulative,
    funding_sum,
    holders_unrealised,
    recovery,
    risk_off,
    robust_z,
    tail_dependence,
    technical,
    unrealised_from_realised_price,
)

NAN, BTC, ETH = math.nan, "BTCUSDT", "ETHUSDT"
FUNDED, WHOLE = stamped(48, [8, 16, 24, 32], [0.0001] * 4), drawn(1, 60)


def gap(got):
    return f"`longest_gap` must be a number of ns above 0, got {got}."


WRONG = [
    (lambda: funding_cumulative(FUNDED, BTC, longest_gap=-1), gap(-1)),
    (lambda: funding_cumulative(FUNDED, BTC, longest_gap=NAN), gap("nan")),
    (lambda: funding_cumulative(FUNDED, BTC, longest_gap="12h"), gap("'12h'")),
    (lambda: funding_sum(FUNDED, BTC, hours=0), "`hours` must be a number above 0, got 0."),
    (lambda: funding_sum(FUNDED, BTC, hours="24"), "`hours` must be a number above 0, got '24'."),
    (lambda: risk_off(WHOLE, fear=NAN), "`fear` must be a number, got nan."),
    (lambda: risk_off(WHOLE, fear="high"), "`fear` must be a number, got 'high'."),
    (lambda: recovery(WHOLE, BTC, rise=NAN), "`rise` must be a number of points, got nan."),
    (lambda: recovery(WHOLE, BTC, rise="5"), "`rise` must be a number of points, got '5'."),
    (lambda: recovery(WHOLE, BTC, within=-1), "`within` must be a number of days above 0, got -1."),
    (lambda: deleveraging(WHOLE, BTC, z_interest="3"), "`z_interest` must be above 0, got '3'."),
    (lambda: beta(WHOLE, ETH, BTC, half_life="30"), "`half_life` must be a number of days above 0, got '30'."),
    (lambda: tail_dependence(WHOLE, ETH, q="5%"), "`q` must be a fraction between 0 and 1, got '5%'."),
    (lambda: delta_covar(WHOLE, ETH, q=None), "`q` must be a fraction between 0 and 1, got None."),
    (
        lambda: robust_z(np.ones(3), DAY * np.arange(3), share="half"),
        "`share` must be a fraction above 0 and at most 1, got 'half'.",
    ),
    (lambda: Holding("x", "many", 100), "The coins of x must be a number from 0, got 'many'."),
    (lambda: Holding("x", 1, "100"), "The average cost of x must be a price above 0, got '100'."),
    (
        lambda: holders_unrealised(days(1), BTC, [("x", 1, 100)]),
        "Holders' unrealised profit needs `Holding(...)` rows, got ('x', 1, 100).",
    ),
    (lambda: unrealised_from_realised_price(days(1), BTC, "1"), "`coins` must be a number above 0, got '1'."),
    (
        lambda: technical(WHOLE, "rsi"),
        "Indicators are computed on the bars of one symbol, `market['BTCUSDT']`, got Market.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_what_makes_no_sense_is_refused_with_the_value(call, sentence):
    with pytest.raises(ConfigError) as refused:
        call()
    assert str(refused.value) == sentence
