"""Signals of leverage, contagion and the world outside: arrays on a market's bars, NaN where something is not known.

Every value at a bar uses nothing later than the bar's close. A feed that is missing is an error that names it, never zero.
"""

from backtest.signals.basis import basis, basis_z
from backtest.signals.catalogue import SIGNALS
from backtest.signals.contagion import beta, delta_covar, downside_beta, downside_test, lead_lag, tail_dependence
from backtest.signals.funding import funding_annualised, funding_cumulative, funding_sum, funding_z
from backtest.signals.holders import Holding, holders_unrealised, unrealised_from_realised_price
from backtest.signals.leverage import estimated_leverage
from backtest.signals.liquidations import (
    forced_share,
    liquidation_imbalance,
    liquidation_intensity,
    liquidation_z,
    liquidations,
)
from backtest.signals.macro import RISKS, RiskOff, risk_off
from backtest.signals.open_interest import (
    open_interest,
    open_interest_change,
    open_interest_to_market_cap,
    open_interest_z,
)
from backtest.signals.ratios import long_short_ratio, ratio_z, taker_ratio, top_trader_ratio
from backtest.signals.recovery import RECOVERY, Recovery, recovery
from backtest.signals.regime import deleveraging, realised_volatility
from backtest.signals.technical import technical, technical_names
from backtest.signals.windows import past_median, robust_z

__all__ = [
    "RECOVERY",
    "RISKS",
    "SIGNALS",
    "Holding",
    "Recovery",
    "RiskOff",
    "basis",
    "basis_z",
    "beta",
    "deleveraging",
    "delta_covar",
    "downside_beta",
    "downside_test",
    "estimated_leverage",
    "forced_share",
    "funding_annualised",
    "funding_cumulative",
    "funding_sum",
    "funding_z",
    "holders_unrealised",
    "lead_lag",
    "liquidation_imbalance",
    "liquidation_intensity",
    "liquidation_z",
    "liquidations",
    "long_short_ratio",
    "open_interest",
    "open_interest_change",
    "open_interest_to_market_cap",
    "open_interest_z",
    "past_median",
    "ratio_z",
    "realised_volatility",
    "recovery",
    "risk_off",
    "robust_z",
    "tail_dependence",
    "taker_ratio",
    "technical",
    "technical_names",
    "top_trader_ratio",
    "unrealised_from_realised_price",
]
