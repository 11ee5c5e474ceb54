"""The core types: few, frozen, facts only."""

from backtest.model.config import RunConfig
from backtest.model.market import Bars, Feed, Funding, FundingHole, Mark, Market
from backtest.model.passport import Passport, Series
from backtest.model.plan import Plan
from backtest.model.result import Ledger, Rejections, Result, Trades
from backtest.model.score import Score
from backtest.model.venue import Instrument, TierTable, Venue

__all__ = [
    "Bars",
    "Feed",
    "Funding",
    "FundingHole",
    "Instrument",
    "Ledger",
    "Mark",
    "Market",
    "Passport",
    "Plan",
    "Rejections",
    "Result",
    "RunConfig",
    "Score",
    "Series",
    "TierTable",
    "Trades",
    "Venue",
]
