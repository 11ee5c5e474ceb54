"""Published numbers of leverage and contagion, through the functions that compute them; figures from several sources."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest.signals.basis import basis_of
from backtest.signals.dependence import student_tail
from backtest.signals.funding import annualised
from backtest.signals.leverage import leverage_ratio
from backtest.signals.liquidations import forced_fraction, imbalance
from backtest.signals.open_interest import open_interest_weighted_price
from backtest.venues import linear, maintenance_amounts

Inputs = dict[str, Any]
VECTORS = Path(__file__).parent / "vectors" / "methods.json"
TOPICS = ("leverage.", "contagion.")

WALLET = {"wb": 1535443.01, "cum": 135365.0, "side": 1, "pos": 3683.979, "ep": 1456.84, "mmr": 0.1}
BTC_TIERS = [
    [5e4, 0.004], [2.5e5, 0.005], [1e6, 0.01], [1e7, 0.025], [2e7, 0.05],
    [5e7, 0.1], [1e8, 0.125], [2e8, 0.15], [3e8, 0.25], [5e8, 0.5],
]  # fmt: skip
BTC_AMOUNTS = [0, 50, 1300, 16300, 266300, 1266300, 2516300, 5016300, 25016300, 100016300]
BONK_TIERS = [
    [5e3, 0.01], [5e4, 0.02], [6e5, 0.025], [1.2e6, 0.05], [3e6, 0.1], [4e6, 0.125], [6e6, 0.25], [1e7, 0.5],
]  # fmt: skip
BONK_AMOUNTS = [0, 50, 300, 15300, 75300, 150300, 650300, 2150300]

# id, fn, inputs, expected, tolerance: used where the file is not there.
CASES: list[tuple[str, str, Inputs, Any, float]] = [
    ("liqprice_binance_0", "liq_binance", WALLET | {"tmm": 0, "upnl": 0}, 1114.78, 0.005),
    ("liqprice_binance_2", "liq_binance", WALLET | {"tmm": 71200.81144, "upnl": -56354.57}, 1153.26, 0.005),
    ("binance_cum_tiers", "cum_tiers", {"tiers": BTC_TIERS}, BTC_AMOUNTS, 1e-6),
    ("binance_cum_1000bonk_usdc", "cum_tiers", {"tiers": BONK_TIERS}, BONK_AMOUNTS, 1e-6),
    ("liqmap_simple", "liq_simple", {"entry": 100, "lev": 10, "mmr": 0.0}, [90, 110], 1e-9),
    ("liq_imbalance", "liq_imb", {"long": 30, "short": 10}, [20, 40, 0.5], 1e-12),
    ("oi_weighted_price", "oi_wap", {"mark": [100, 110], "oi": [10, 30]}, 107.5, 1e-9),
    ("funding_basis", "basis", {"mark": 100.5, "index": 100.0}, 0.005, 1e-12),
    ("elr", "ratio", {"a": 25000, "b": 100000}, 0.25, 1e-12),
    ("funding_ann", "funding_ann", {"rate": 0.0001, "per_day": 3}, 0.1095, 1e-12),
    ("oct10_forced_share", "one_minus_ratio", {"a": 1.0, "b": 14.0}, 0.93, 0.005),
    ("taildep_t_2_0", "t_tail", {"nu": 2, "rho": 0}, 0.18, 0.006),
    ("taildep_t_2_0.9", "t_tail", {"nu": 2, "rho": 0.9}, 0.72, 0.006),
    ("taildep_t_4_0.5", "t_tail", {"nu": 4, "rho": 0.5}, 0.25, 0.006),
    ("taildep_t_10_0.5", "t_tail", {"nu": 10, "rho": 0.5}, 0.08, 0.006),
]  # fmt: skip


def of_the_file() -> list[tuple[str, str, Inputs, Any, float]]:
    cases = json.loads(VECTORS.read_text(encoding="utf-8")) if VECTORS.exists() else []
    mine = [c for c in cases if c["topic"].startswith(TOPICS) or c["fn"] == "one_minus_ratio"]
    return [(c["id"], c["fn"], c["inputs"], c["expected"], c["tolerance"]) for c in mine]


def liquidation_price(i: Inputs) -> float:
    """What backs the position in cross mode: the wallet, less what the others need, with what they have gained."""
    cash = i["wb"] - i["tmm"] + i["upnl"] - i["side"] * i["pos"] * i["ep"]
    return float(linear.liquidation_price_of_cash(i["side"], i["pos"], cash, i["mmr"], i["cum"]))


def both_sides(i: Inputs) -> list[float]:
    margin = i["entry"] / i["lev"]
    return [linear.liquidation_price(side, 1.0, i["entry"], margin, i["mmr"]) for side in (1, -1)]


def amounts(i: Inputs) -> list[float]:
    floors = [0.0, *(top for top, _ in i["tiers"][:-1])]
    return list(maintenance_amounts(floors, [rate for _, rate in i["tiers"]]))


ADAPTERS: dict[str, Callable[[Inputs], Any]] = {
    "liq_binance": liquidation_price,
    "cum_tiers": amounts,
    "liq_simple": both_sides,
    "liq_imb": lambda i: [i["long"] - i["short"], i["long"] + i["short"], float(imbalance(i["long"], i["short"]))],
    "oi_wap": lambda i: open_interest_weighted_price(np.array(i["mark"], float), np.array(i["oi"], float)),
    "basis": lambda i: float(basis_of(i["mark"], i["index"])),
    "ratio": lambda i: float(leverage_ratio(i["a"], i["b"])),
    "funding_ann": lambda i: annualised(i["rate"], i["per_day"]),
    "one_minus_ratio": lambda i: 1 - float(forced_fraction(i["a"], -i["b"])),
    "t_tail": lambda i: student_tail(i["nu"], i["rho"]),
}


@pytest.mark.parametrize(("name", "fn", "inputs", "expected", "tolerance"), of_the_file() or CASES)
def test_published_number(name, fn, inputs, expected, tolerance):
    assert ADAPTERS[fn](inputs) == pytest.approx(expected, rel=0, abs=tolerance), name


def test_perfect_and_normal_dependence_are_the_ends():
    assert student_tail(3, 1.0) == pytest.approx(1.0, abs=1e-12)
    assert student_tail(10_000, 0.5) < 1e-6
    # One more degree of freedom than one: T_2(-sqrt(2)) = (1 - sqrt(2 / (2 + 2))) / 2, by hand for nu = 1, rho = 0.
    assert student_tail(1, 0.0) == pytest.approx(1 - math.sqrt(0.5), abs=1e-12)
