"""Whether both engines make the same of a strategy's plan."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from backtest.checks.difference import TOLERANCE, Difference, first_difference, largest_differences
from backtest.engines import ENGINES, get_engine
from backtest.errors import LevelbreakError, StrategyError
from backtest.model import Market, Plan, Result, RunConfig, Venue
from backtest.model.arrays import utc_text
from backtest.plugins import BacktraderStrategy, load_strategy, make_plan
from backtest.runner import configure, market_of, parameters_of, venue_of

__all__ = ["EngineComparison", "compare_engines", "compare_results"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class EngineComparison:
    """What the two engines made of one plan; pairs are (fast, backtrader).

    start, end: ns UTC; interval: ns; bars: scored; tolerance: fraction of the cash; equity_difference, ledger_difference: the
    largest ones, quote units, of equity at a close and of an amount in the ledger; first: the first difference in time that is
    more than the tolerance, None where the engines agree.
    """

    config: RunConfig
    market: str
    symbols: tuple[str, ...]
    start: int
    end: int
    interval: int
    cash: float
    bars: Pair
    trades: Pair
    ledger_rows: Pair
    rejections: Pair
    final_equity: tuple[float, float]
    equity_difference: float
    ledger_difference: float
    tolerance: float = TOLERANCE
    first: Difference | None = None

    @property
    def agrees(self) -> bool:
        return self.first is None

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data: the configuration's settings flat and without the engine, times as text in UTC."""
        plain = {name: value for name, value in asdict(self).items() if name != "config"}
        plain |= {"start": utc_text(self.start), "end": utc_text(self.end)}
        if self.first is not None:
            plain["first"]["time"] = utc_text(self.first.time)
        config = {k: v for k, v in asdict(self.config).items() if k not in ("engine", "market")}
        tables = {name: dict(getattr(self.config, name)) for name in ("parameters", "account")}
        return {"check": "engines", "agrees": self.agrees, **config, **tables, **plain}


def compare_engines(config: RunConfig | str, **changes: Any) -> EngineComparison:
    """Run a strategy's plan on both engines and return where they agree, and the first difference, if any.

    The arguments are those of `backtest.run`; the configuration's engine is not looked at. What both engines refuse is their
    error; a strategy of backtrader, which only one of them can run, is a StrategyError.
    """
    config = configure(config, **changes)
    market = market_of(config)
    strategy = load_strategy(config.strategy, dict(config.parameters))
    if isinstance(strategy, BacktraderStrategy):
        raise StrategyError(
            f"{strategy.name} is a strategy of backtrader: only the engine 'backtrader' can run it, so there is nothing to "
            "compare. The engines are compared on strategies with a `plan`."
        )
    plan = make_plan(strategy, market)
    venue = venue_of(config, market)
    outcomes = [outcome(name, market, plan, venue) for name in ENGINES]
    config = replace(config, engine=None, parameters=parameters_of(strategy, config))
    return compare_results(outcomes[0], outcomes[1], market, plan, config)


def outcome(engine: str, market: Market, plan: Plan, venue: Venue) -> Result | LevelbreakError:
    """Return what an engine makes of the plan, or the sentence with which it refuses."""
    try:
        return get_engine(engine)(market, plan, venue)
    except LevelbreakError as error:
        return error


def compare_results(
    fast: Result | LevelbreakError, other: Result | LevelbreakError, market: Market, plan: Plan, config: RunConfig
) -> EngineComparison:
    """Return the comparison of two results of one plan; raises the first error where both engines refused."""
    ran = [r for r in (fast, other) if isinstance(r, Result)]
    if isinstance(fast, LevelbreakError) and not ran:
        raise fast
    equity, ledger, first = 0.0, 0.0, None
    if isinstance(fast, Result) and isinstance(other, Result):
        equity, ledger = largest_differences(fast, other)
        first = first_difference(fast, other, plan, market.start_bar)
    else:
        first = refusal(fast, other, market)
    return EngineComparison(
        config=config,
        market=market.name,
        symbols=market.symbols,
        start=int(market.time[market.start_bar]),
        end=int(market.time[-1]) + market.interval,
        interval=market.interval,
        cash=ran[0].venue.cash,
        bars=sizes(fast, other, "time"),
        trades=sizes(fast, other, "trades_table"),
        ledger_rows=sizes(fast, other, "ledger_table"),
        rejections=sizes(fast, other, "rejections_table"),
        final_equity=(last_equity(fast), last_equity(other)),
        equity_difference=equity,
        ledger_difference=ledger,
        first=first,
    )


def refusal(fast: Result | LevelbreakError, other: Result | LevelbreakError, market: Market) -> Difference:
    """Return the difference of a run that only one of the engines refused."""
    said = ["it ran" if isinstance(r, Result) else f"refused: {r}" for r in (fast, other)]
    start = market.start_bar
    return Difference(start, int(market.time[start]), "", "the run as a whole", "outcome", *said)


def sizes(fast: Result | LevelbreakError, other: Result | LevelbreakError, table: str) -> Pair:
    a, b = (len(getattr(r, table)) if isinstance(r, Result) else 0 for r in (fast, other))
    return a, b


def last_equity(result: Result | LevelbreakError) -> float:
    return float(result.equity_values[-1]) if isinstance(result, Result) else float("nan")
