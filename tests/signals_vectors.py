"""Published numbers of leverage and contagion: for each `fn` of a file of vectors, how the package's functions give it."""

import numpy as np

from backtest.signals.basis import basis_of
from backtest.signals.dependence import student_tail
from backtest.signals.funding import annualised
from backtest.signals.leverage import leverage_ratio
from backtest.signals.liquidations import imbalance
from backtest.signals.open_interest import open_interest_weighted_price
from backtest.venues import linear, maintenance_amounts


def liquidation_price(inputs):
    """What backs the position in cross mode: the wallet, less what the others need, with what they have gained."""
    side, size = inputs["side"], inputs["pos"]
    cash = inputs["wb"] - inputs["tmm"] + inputs["upnl"] - side * size * inputs["ep"]
    return linear.liquidation_price_of_cash(side, size, cash, inputs["mmr"], inputs["cum"])


def both_sides(inputs):
    entry, margin = inputs["entry"], inputs["entry"] / inputs["lev"]
    return [linear.liquidation_price(side, 1.0, entry, margin, inputs["mmr"]) for side in (1, -1)]


def amounts(inputs):
    tops, rates = zip(*inputs["tiers"], strict=True)
    return list(maintenance_amounts([0.0, *tops[:-1]], list(rates)))


def weighted_price(inputs):
    return open_interest_weighted_price(np.array(inputs["mark"], float), np.array(inputs["oi"], float))


def both_and_imbalance(inputs):
    long, short = inputs["long"], inputs["short"]
    return [long - short, long + short, float(imbalance(long, short))]


ADAPTERS = {
    "liq_binance": liquidation_price,
    "cum_tiers": amounts,
    "liq_simple": both_sides,
    "liq_imb": both_and_imbalance,
    "oi_wap": weighted_price,
    "basis": lambda inputs: float(basis_of(inputs["mark"], inputs["index"])),
    "ratio": lambda inputs: float(leverage_ratio(inputs["a"], inputs["b"])),
    "funding_ann": lambda inputs: annualised(inputs["rate"], inputs["per_day"]),
    "t_tail": lambda inputs: student_tail(inputs["nu"], inputs["rho"]),
}
