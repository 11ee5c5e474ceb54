"""A venue: every number of the exchange and of the account in one place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from backtest.errors import VenueError

__all__ = ["Instrument", "Intrabar", "MarginMode", "TierTable", "Venue"]

MarginMode = Literal["isolated", "cross"]
Intrabar = Literal["worst", "best", "fine"]


@dataclass(frozen=True)
class TierTable:
    """A table of maintenance tiers in force from a date on.

    name: what a run reports; date: ns UTC; origin: where the figures come from; assumed: True where they are not published;
    floors: notional (quote units) at which each tier starts, the first 0; mmr: maintenance rates, fractions;
    max_leverage: highest leverage setting that each tier allows. The maintenance amounts follow from floors and rates:
    cum_0 = 0, cum_k = cum_{k-1} + floor_k * (mmr_k - mmr_{k-1}).
    """

    name: str
    date: int
    origin: str
    floors: tuple[float, ...]
    mmr: tuple[float, ...]
    max_leverage: tuple[float, ...]
    assumed: bool = False

    def __post_init__(self) -> None:
        if any(math.isnan(value) for value in (*self.floors, *self.mmr, *self.max_leverage)):
            raise VenueError(f"A figure of the tier table {self.name} is not a number.")
        if not len(self.floors) == len(self.mmr) == len(self.max_leverage) >= 1:
            raise VenueError(
                f"The tier table {self.name} needs as many rates and leverages as floors, and at least one."
            )
        if self.floors[0] != 0 or any(b <= a for a, b in zip(self.floors, self.floors[1:], strict=False)):
            raise VenueError(f"The floors of the tier table {self.name} must start at 0 and increase: {self.floors}.")
        if not all(0 <= rate < 1 for rate in self.mmr) or any(
            b < a for a, b in zip(self.mmr, self.mmr[1:], strict=False)
        ):
            raise VenueError(f"The maintenance rates of {self.name} must be fractions that do not fall: {self.mmr}.")
        if any(leverage < 1 for leverage in self.max_leverage):
            raise VenueError(f"The highest leverages of {self.name} must be at least 1: {self.max_leverage}.")


@dataclass(frozen=True)
class Instrument:
    """What a venue says of one contract: lot (base units), minimum notional (quote units), tier tables by date."""

    lot: float
    minimum_notional: float
    tables: tuple[TierTable, ...]

    def __post_init__(self) -> None:
        if not self.lot > 0 or not self.minimum_notional >= 0:
            raise VenueError(
                f"A lot must be above 0 and a minimum notional at least 0: {self.lot}, {self.minimum_notional}."
            )
        if not self.tables:
            raise VenueError("An instrument needs at least one tier table.")
        object.__setattr__(self, "tables", tuple(sorted(self.tables, key=lambda t: t.date)))


@dataclass(frozen=True)
class Venue:
    """The exchange's rules and the account's settings; fractions, quote units.

    cash: the wallet at the start; maker, taker: fees on notional; slippage: adverse move of every market fill;
    liquidation_fee: on the closed notional of a cross liquidation; leverage: the venue's leverage setting, not the exposure
    (infinite where there is no limit); maintenance: notional at the "mark" or at the "entry" (Bybit's older rule);
    taker_in_maintenance: the closing fee is added to the maintenance rate (Gate, OKX); intrabar: which of two events inside
    a bar comes first; instruments: by symbol; default: for every other symbol.
    """

    name: str
    default: Instrument
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    cash: float = 10_000.0
    maker: float = 0.0002
    taker: float = 0.0005
    slippage: float = 0.0
    liquidation_fee: float = 0.0
    leverage: float = 10.0
    margin_mode: MarginMode = "cross"
    maintenance: Literal["mark", "entry"] = "mark"
    taker_in_maintenance: bool = False
    intrabar: Intrabar = "worst"

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruments", MappingProxyType(dict(self.instruments)))
        if not 0 < self.cash < float("inf"):
            raise VenueError(f"`cash` must be above 0, got {self.cash}.")
        for name in ("maker", "taker", "slippage", "liquidation_fee"):
            value = getattr(self, name)
            if not -0.01 <= value < 0.5 or (value < 0 and name != "maker"):
                raise VenueError(f"`{name}` must be a fraction of the notional, not percent, got {value}.")
        if not self.leverage >= 1:
            raise VenueError(f"`leverage` must be at least 1, got {self.leverage}.")
        if self.margin_mode not in ("isolated", "cross"):
            raise VenueError(f"`margin_mode` must be 'isolated' or 'cross', got {self.margin_mode!r}.")
        if self.maintenance not in ("mark", "entry"):
            raise VenueError(f"`maintenance` must be 'mark' or 'entry', got {self.maintenance!r}.")
        if self.intrabar not in ("worst", "best", "fine"):
            raise VenueError(f"`intrabar` must be 'worst', 'best' or 'fine', got {self.intrabar!r}.")
        if self.leverage == float("inf") and self.margin_mode == "isolated":
            raise VenueError(
                "Isolated margin needs a leverage setting; without a leverage limit use `margin_mode` 'cross'."
            )

    def __reduce__(self) -> tuple[object, ...]:
        values = (self.name, self.default, dict(self.instruments), self.cash, self.maker, self.taker, self.slippage)
        return Venue, (*values, self.liquidation_fee, self.leverage, self.margin_mode, self.maintenance,
                       self.taker_in_maintenance, self.intrabar)  # fmt: skip

    def instrument(self, symbol: str) -> Instrument:
        """Return what the venue says of a symbol, or its default."""
        return self.instruments.get(symbol, self.default)
