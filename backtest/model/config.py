"""The configuration of a run: plain data, hashable and picklable, TOML in and out."""

from dataclasses import dataclass

__all__ = ["DEFAULT_MARKET", "DEFAULT_VENUE", "RunConfig", "Value"]

Value = str | int | float | bool | tuple[float, ...] | tuple[str, ...]

DEFAULT_MARKET = "deleveraging-2026"
DEFAULT_VENUE = "binance-usdm"


@dataclass(frozen=True)
class RunConfig:
    """What to run: names or paths, and every setting that differs from its default.

    strategy: a name or a path; market: a declared market's name or a path; parameters: (name, value) of the strategy;
    venue: a venue's name or a path; account: (name, value) of the venue settings to replace (cash, leverage, margin_mode,
    intrabar, slippage, maker, taker); engine: "fast" or "backtrader", None for the one that suits the strategy (a result carries
    the one that ran); seed: of the simulated market, None for its own; assume_funding: rate for stamps that are missing, None
    to forbid.
    """

    strategy: str
    market: str = DEFAULT_MARKET
    parameters: tuple[tuple[str, Value], ...] = ()
    venue: str = DEFAULT_VENUE
    account: tuple[tuple[str, Value], ...] = ()
    engine: str | None = None
    seed: int | None = None
    assume_funding: float | None = None
