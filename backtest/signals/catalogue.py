"""Every signal of a symbol by name, with its defaults: for checks that go over all of them, and for lists."""

from collections.abc import Callable

from backtest.model.arrays import Float
from backtest.model.market import Market
from backtest.signals.basis import basis, basis_z
from backtest.signals.contagion import beta, delta_covar, downside_beta, lead_lag, tail_dependence
from backtest.signals.funding import funding_annualised, funding_cumulative, funding_sum, funding_z
from backtest.signals.holders import unrealised_from_realised_price
from backtest.signals.leverage import estimated_leverage
from backtest.signals.liquidations import (
    forced_share,
    liquidation_imbalance,
    liquidation_intensity,
    liquidation_z,
    liquidations,
)
from backtest.signals.macro import risk_off
from backtest.signals.open_interest import (
    open_interest,
    open_interest_change,
    open_interest_to_market_cap,
    open_interest_z,
)
from backtest.signals.ratios import long_short_ratio, taker_ratio, top_trader_ratio
from backtest.signals.recovery import recovery
from backtest.signals.regime import deleveraging, realised_volatility

__all__ = ["SIGNALS"]

SIGNALS: dict[str, Callable[[Market, str], Float]] = {
    "funding_sum": funding_sum,
    "funding_annualised": funding_annualised,
    "funding_cumulative": funding_cumulative,
    "funding_z": funding_z,
    "open_interest": open_interest,
    "open_interest_change": open_interest_change,
    "open_interest_z": open_interest_z,
    "open_interest_to_market_cap": open_interest_to_market_cap,
    "liquidations": liquidations,
    "liquidation_z": liquidation_z,
    "liquidation_intensity": liquidation_intensity,
    "liquidation_imbalance": liquidation_imbalance,
    "forced_share": forced_share,
    "long_short_ratio": long_short_ratio,
    "top_trader_ratio": top_trader_ratio,
    "taker_ratio": taker_ratio,
    "basis": basis,
    "basis_z": basis_z,
    "estimated_leverage": estimated_leverage,
    "deleveraging": deleveraging,
    "realised_volatility": realised_volatility,
    "recovery": lambda market, symbol: recovery(market, symbol).score,
    "unrealised_from_realised_price": unrealised_from_realised_price,
    "risk_off": lambda market, symbol: risk_off(market).score,
    "beta": lambda market, symbol: beta(market, symbol, market.symbols[0]),
    "downside_beta": lambda market, symbol: downside_beta(market, symbol, market.symbols[0]),
    "tail_dependence": lambda market, symbol: tail_dependence(market, symbol, market.symbols[0]),
    "delta_covar": lambda market, symbol: delta_covar(market, symbol, market.symbols[0]),
    "lead_lag": lambda market, symbol: lead_lag(market, symbol, market.symbols[0])[0],
}
"""Name -> the signal at its defaults, (n,) on the market's bars; contagion is measured against the market's first symbol."""
