"""What every result must say of itself: the assumptions that were in force, by short name; and what no engine can assume."""

from collections.abc import Mapping

from backtest.errors import MarketError
from backtest.model import Market, Venue

__all__ = ["finer_bars", "stated_assumptions"]


def finer_bars(market: Market) -> Market:
    """Return the finer bars of a market; where it has none they can't be walked, and a MarketError says so."""
    if market.fine is None:
        raise MarketError(
            f"`intrabar` 'fine' needs finer bars, and the market {market.name} has none; use 'worst' or 'best'."
        )
    return market.fine


def stated_assumptions(market: Market, venue: Venue, counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of a run together with what market and venue assume; what did not occur is left out.

    counts: ambiguous_bars, cross_extremes_coincide, funding_inside_bar, marked_at_last_close, mark_is_last,
    tiers_before_their_date and assumed_tiers, as an engine has counted them.
    """
    found = {
        **counts,
        "assumed_funding": market.funding.assumed,
        "slippage_is_a_constant": int(venue.slippage > 0),
        "gaps_filled": sum(series.filled for series in market.passport.series),
    }
    for series in market.passport.series:
        if series.origin in ("proxy", "assumed"):
            found[f"{series.origin}_feed:{series.name}"] = 1
    found["simulated_data"] = sum(series.origin == "simulated" for series in market.passport.series)
    return {name: count for name, count in found.items() if count}
