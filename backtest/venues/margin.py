"""Margin and fees on a notional: what linear and inverse contracts have in common.

Amounts are in the settlement currency: quote units for a linear contract, coin for an inverse one. Rates are fractions.
`side` is +1 long, -1 short. A NaN in any argument gives NaN; leverages must be above 0.
"""

import math
from collections.abc import Iterable

__all__ = [
    "closing_fee",
    "cross_backing",
    "fee",
    "initial_margin",
    "maintenance_margin",
    "maintenance_rate",
    "margin_level",
    "margin_ratio",
    "order_quantity",
    "return_on_margin",
    "risk_rate",
    "sustainable_loss",
]


def fee(notional: float, rate: float) -> float:
    """Return what a fill costs; below 0 for a maker rebate. Formula: notional * rate.

    >>> fee(2_400.0, 0.00055)
    1.32
    """
    return notional * rate


def closing_fee(side: int, notional: float, leverage: float, taker: float) -> float:
    """Return the taker fee set aside at the entry for closing at the bankruptcy price.

    notional: at the entry. Formula: notional * (1 - s/L) * taker, the value at the bankruptcy price being notional * (1
    - s/L). Source: Bybit's order cost, KuCoin's close fee reserve.

    >>> closing_fee(+1, 1_000.0, 4.0, 0.001)
    0.75
    """
    return fee(notional * (1 - side / leverage), taker)


def initial_margin(notional: float, leverage: float, closing_fee: float = 0.0) -> float:
    """Return the margin that opening a position takes.

    Formula: notional / L, plus a closing fee where the venue reserves one.

    >>> initial_margin(160_000.0, 25.0)
    6400.0
    """
    return notional / leverage + closing_fee


def maintenance_margin(
    notional: float, mmr: float, cum: float = 0.0, taker: float = 0.0, closing_fee: float = 0.0
) -> float:
    """Return the margin below which a position is liquidated.

    Formula: notional * (mmr + taker) - cum, plus a reserved closing fee.

    mmr, cum: maintenance rate and maintenance amount of the tier of this notional (Binance); taker: the fee rate that
    Gate and OKX add to the maintenance rate; notional: at the mark, or at the entry under Bybit's older rule.

    >>> round(maintenance_margin(4_918_775.081, 0.1, 135_365.0), 3)
    356512.508
    """
    return notional * (mmr + taker) - cum + closing_fee


def maintenance_rate(leverage: float, share: float = 0.5) -> float:
    """Return the maintenance rate of venues that state it as a share of the initial rate. Formula: share / L.

    Hyperliquid: half of the initial rate at the tier's highest leverage; HTX: the adjustment factor at the leverage in
    use.

    >>> maintenance_rate(40)
    0.0125
    """
    return share / leverage


def cross_backing(wallet: float, unrealised: Iterable[float], maintenance: Iterable[float]) -> float:
    """Return what a cross account has behind one position once its other positions are provided for.

    unrealised, maintenance: PnL and maintenance margin of the others at their marks. Formula: wallet + sum(unrealised)
    - sum(maintenance); it takes the place of the posted margin in `liquidation_price`. Source: Binance, USDS-M
    liquidation price.

    >>> cross_backing(1_000.0, [-50.0], [20.0, 5.0])
    925.0
    """
    return wallet + math.fsum(unrealised) - math.fsum(maintenance)


def sustainable_loss(available: float, initial: float, maintenance: float) -> float:
    """Return the loss that a cross position bears before it is liquidated.

    Formula: available + initial - maintenance margin.

    Source: Bybit, liquidation price of USDT contracts in cross mode.

    >>> sustainable_loss(2_000.0, 200.0, 100.0)
    2100.0
    """
    return available + initial - maintenance


def margin_ratio(maintenance: float, equity: float) -> float:
    """Return how much of the equity the maintenance margin takes; at 1 and above the account is liquidated.

    Formula: maintenance / equity; infinite where the equity is 0. Source: Binance's and Toobit's margin ratio.

    >>> margin_ratio(65.0, 130.0)
    0.5
    """
    return maintenance / equity if equity else math.inf


def margin_level(equity: float, maintenance: float, mmr: float, taker: float) -> float:
    """Return how many times the equity covers maintenance margin and closing fee; at 1 the account is liquidated.

    maintenance: at the rate mmr, so that the notional is maintenance / mmr. Formula: equity / (maintenance * (1 +
    taker/mmr)). Source: OKX's margin ratio.

    >>> margin_level(11.0, 1.0, 0.005, 0.0005)
    10.0
    """
    return equity / (maintenance * (1 + taker / mmr))


def risk_rate(balance: float, position_margin: float, adjust_factor: float) -> float:
    """Return HTX's margin ratio; at 0 and below the position is liquidated.

    Formula: balance / position margin - factor.

    >>> risk_rate(30.0, 20.0, 0.25)
    1.25
    """
    return balance / position_margin - adjust_factor


def return_on_margin(pnl: float, margin: float) -> float:
    """Return the gain as a fraction of the margin that it was made with. Formula: pnl / margin.

    >>> return_on_margin(-5.0, 20.0)
    -0.25
    """
    return pnl / margin


def order_quantity(equity: float, price: float, exposure: float, fee_rate: float, lot: float) -> float:
    """Return the quantity whose notional is `exposure` times the equity left after the entry fee, in whole lots.

    equity, price: quote units, price as filled; exposure: signed multiple, the sign is left out of the quantity; lot:
    base units. Formula: floor(q/lot + 1e-9) * lot with q = |e| * equity / (price * (1 + |e| * fee)). With e = L it is
    what the equity can buy.

    >>> order_quantity(10.0, 2.0, 1.0, 0.01, 0.01)
    4.95
    """
    quantity = abs(exposure) * equity / (price * (1 + abs(exposure) * fee_rate))
    return math.floor(quantity / lot + 1e-9) * lot if math.isfinite(quantity) else math.nan
