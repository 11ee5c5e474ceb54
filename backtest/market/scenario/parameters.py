"""What a scenario file says: the published facts, our parameters, and each symbol's own."""

import math
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from backtest.errors import MarketError, did_you_mean
from backtest.places import shipped

__all__ = [
    "Anchor",
    "Break",
    "Fact",
    "Flush",
    "Parameters",
    "Scenario",
    "Selling",
    "SymbolParameters",
    "Volatility",
    "load_scenario",
    "scenario_names",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """A table of the file: every key known, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(Strict):
    """A published number: value and tolerance in `unit`; modelled = false where the simulation does not aim at it."""

    value: Finite
    unit: str
    source: str
    tolerance: Annotated[float, Field(ge=0)]
    says: str
    modelled: bool = True


class Anchor(Strict):
    """A value at a moment; `spread` is how far a seed may move it (standard deviation of its logarithm)."""

    at: AwareDatetime
    value: Finite
    spread: Share = 0.0


class Selling(Strict):
    """Forced selling: what it does to the price and what it leaves in the other series.

    jitter_hours: a seed moves its moment by up to so many hours; push: log fall at its deepest, push_hours after the
    start, then reverting; burst_hours: time constant of what follows; liquidations, volume: their multiples at the
    start; open_interest: log drop.
    """

    jitter_hours: Count
    push: Share
    push_hours: Positive
    burst_hours: Positive
    liquidations: Annotated[float, Field(ge=1)]
    volume: Annotated[float, Field(ge=1)]
    open_interest: Share


class Flush(Selling):
    """Forced selling that no level starts."""

    at: AwareDatetime


class Break(Selling):
    """A support level that breaks, and the forced selling that follows.

    level: name of the price among the facts or targets; defended_until: no close below the level before this moment;
    legs: (hours after it, multiple of the level) that the path then passes, the first at hour 0 above 1.
    """

    level: str
    defended_until: AwareDatetime
    legs: tuple[tuple[int, Positive], ...]

    @model_validator(mode="after")
    def legs_start_above(self) -> "Break":
        hours = [hour for hour, _ in self.legs]
        if not self.legs or self.legs[0][0] != 0 or self.legs[0][1] <= 1 or any(b <= a for a, b in pairwise(hours)):
            raise ValueError("legs must start at hour 0 above the level and go on in time")
        if not any(multiple < 1 for _, multiple in self.legs):
            raise ValueError("one of the legs must lie below the level")
        return self


class Volatility(Strict):
    """GJR-GARCH(1,1)-t around a level: level: hourly standard deviation by date; the rest is in units of that level."""

    level: tuple[Anchor, ...]
    reaction: Share
    asymmetry: Share
    persistence: Share
    degrees: Annotated[float, Field(gt=2)]
    shock_limit: Positive
    ceiling: Positive


class Leverage(Strict):
    """Parameters of open interest, liquidations, funding, account ratio, basis and mark price."""

    open_interest: tuple[Anchor, ...]
    open_interest_noise: Positive
    open_interest_trend: Finite
    liquidation_power: Positive
    liquidation_noise: Positive
    liquidation_scale: Positive
    short_share: Positive
    funding: tuple[Anchor, ...]
    funding_hours: Annotated[int, Field(gt=0)]
    funding_trend: Finite
    funding_noise: Positive
    funding_limit: Positive
    ratio_trend: Finite
    ratio_noise: Positive
    basis_noise: Positive
    mark_noise: Positive
    mark_wick: Annotated[float, Field(ge=0, le=1)]


class Macro(Strict):
    """Parameters of the daily feeds; known at `close_hour` UTC of exchange days, sentiment at midnight of every day."""

    close_hour: Annotated[int, Field(ge=0, lt=24)]
    holidays: tuple[str, ...]
    sp500: tuple[Anchor, ...]
    sp500_beta: Finite
    sp500_noise: Positive
    vix: tuple[Anchor, ...]
    vix_beta: Finite
    vix_noise: Positive
    dollar: tuple[Anchor, ...]
    dollar_noise: Positive
    sentiment: tuple[Anchor, ...]
    sentiment_trend: Finite
    sentiment_noise: Positive


class Holders(Strict):
    """The large holders: coins held and their average cost, quote units."""

    coins: Positive
    average_cost: Positive


class Parameters(Strict):
    """Everything that no report says: our choices, each with its comment in the file."""

    targets: dict[str, Finite] = {}
    path: tuple[Anchor, ...]
    defence: Share
    breaks: tuple[Break, ...]
    flushes: tuple[Flush, ...] = ()
    volatility: Volatility
    volume_power: Positive
    volume_noise: Positive
    day_swing: Share
    leverage: Leverage
    macro: Macro
    large_holders: Holders | None = None


class SymbolParameters(Strict):
    """One contract: decimals of price and size, median hourly volume (quote units), how it follows the first symbol.

    r = beta*r_first + downside*min(r_first, 0) + own_noise*sigma_first*t; path: prices it passes on the way.
    """

    decimals: Count
    size_decimals: Count
    volume: Positive
    beta: Positive
    downside: Finite
    own_noise: Annotated[float, Field(ge=0)]
    open_interest_share: Positive
    open_interest_share_end: Positive
    funding_scale: Positive
    account_ratio: Positive
    path: tuple[Anchor, ...] = ()


class Scenario(Strict):
    """A whole file. The first symbol leads; the others follow it by their betas."""

    title: str
    simulated: Literal[True]
    seed: Count
    start: AwareDatetime
    end: AwareDatetime
    interval: Literal["1h"]
    assumptions: tuple[str, ...]
    facts: dict[str, Fact]
    parameters: Parameters
    symbols: dict[str, SymbolParameters]

    @model_validator(mode="after")
    def adds_up(self) -> "Scenario":
        if (self.end - self.start).total_seconds() < 31 * 86_400:
            raise ValueError("the span must be longer than 30 days, which the facts look back over")
        if not self.symbols:
            raise ValueError("there must be at least one symbol")
        for name in ("open_interest_share", "open_interest_share_end"):
            shares = math.fsum(getattr(s, name) for s in self.symbols.values())
            if abs(shares - 1) > 1e-9:
                raise ValueError(f"`{name}` of all symbols must add up to 1, got {shares:.6f}")
        return self

    def target(self, name: str) -> float:
        """Return a number that the simulation must reach: the published one, else our own from `parameters.targets`."""
        if name in self.facts:
            return self.facts[name].value
        if name in self.parameters.targets:
            return self.parameters.targets[name]
        near = did_you_mean(name, [*self.facts, *self.parameters.targets])
        raise MarketError(f"The scenario gives no {name!r}; add it to [facts] or [parameters.targets].{near}")


def scenario_names() -> tuple[str, ...]:
    """Return the names of the shipped scenarios, sorted."""
    return tuple(sorted(path.stem for path in shipped("data/scenarios").glob("*.toml")))


def load_scenario(name: str) -> Scenario:
    """Return a shipped scenario by its name, or one from the path of a TOML file."""
    path = Path(name) if name.endswith(".toml") else shipped("data/scenarios") / f"{name}.toml"
    if not path.is_file():
        hint = "" if name.endswith(".toml") else did_you_mean(name, scenario_names())
        raise MarketError(f"No scenario named {name!r}.{hint}")
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MarketError(f"The scenario file {path.name} is not TOML: {error}.") from error
    except ValidationError as error:
        raise MarketError(f"The scenario file {path.name}: {sentence(error)}") from error


def sentence(error: ValidationError) -> str:
    """Return the first finding of a validation as one sentence."""
    first: Any = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    what = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not where:
        return f"{what}."
    got = "" if first["type"] == "missing" or isinstance(first["input"], dict) else f", got {first['input']!r}"
    return f"`{where}`: {what[0].lower()}{what[1:]}{got}."
