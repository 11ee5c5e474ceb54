"""What a sweep asks: every point by its number, none of them made before it is needed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from backtest.analysis.summary import METRICS
from backtest.engines import check_engine
from backtest.errors import ConfigError
from backtest.model.config import RunConfig, Value
from backtest.plugins import load_maker
from backtest.runner import ACCOUNT
from backtest.sweep.axes import Axis, read_axes
from backtest.sweep.draws import key_of, shuffled, uniform

__all__ = ["MOST_POINTS", "Sample", "Space", "make_space"]

MOST_POINTS = 10_000_000
Sample = tuple[Literal["random", "latin"], int, int]
RESERVED = frozenset(
    ("point", "strategy", "market", "ambiguous_bars", "rejections", "run", "seconds", "error", *METRICS)
)


@dataclass(frozen=True)
class Space:
    """What a sweep asks: plain data, hashable and picklable.

    strategies, markets: names or paths; axes: what is swept; base: every other setting (its strategy and market do not count);
    sample: None for every combination, or how to draw from them, how many for each strategy and market, and the seed; takes:
    the parameters that each strategy has, empty where each takes every axis.

    Points are numbered by market, then strategy, then the axes, the last of which changes fastest.
    """

    strategies: tuple[str, ...]
    markets: tuple[str, ...]
    axes: tuple[Axis, ...]
    base: RunConfig
    sample: Sample | None = None
    takes: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return self.count

    @cached_property
    def count(self) -> int:
        """The number of points, however large."""
        return len(self.markets) * sum(self.sizes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The points of each strategy on one market."""
        grids = [math.prod(max(len(axis), 1) for axis in self.axes_of(s)) for s in range(len(self.strategies))]
        if self.sample is None:
            return tuple(grids)
        count = self.sample[1]
        return tuple(
            count if any(a.span for a in self.axes_of(s)) or self.sample[0] == "latin" else min(count, grid)
            for s, grid in enumerate(grids)
        )

    def axes_of(self, strategy: int) -> tuple[Axis, ...]:
        """Return the axes of a strategy, given by its position."""
        return self.own_axes[strategy]

    @cached_property
    def own_axes(self) -> tuple[tuple[Axis, ...], ...]:
        if not self.takes:
            return (self.axes,) * len(self.strategies)
        return tuple(tuple(a for a in self.axes if a.account or a.name in names) for names in self.takes)

    @cached_property
    def bases(self) -> tuple[tuple[tuple[str, Value], ...], ...]:
        """The parameters that are not swept, of each strategy those that it has."""
        given = self.base.parameters
        if len(self.strategies) == 1 or not self.takes:
            return (given,) * len(self.strategies)
        return tuple(tuple(pair for pair in given if pair[0] in names) for names in self.takes)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The name of each axis as a column: its own, with "set_" before it where a figure is called so."""
        return tuple(f"set_{axis.name}" if axis.name in RESERVED else axis.name for axis in self.axes)

    def locate(self, index: int) -> tuple[int, int, int]:
        """Return the positions of a point's market and strategy, and its number among theirs."""
        if not 0 <= index < self.count:
            raise IndexError(f"the sweep has {self.count} points, counted from 0; there is no point {index}")
        market, rest = divmod(index, self.count // len(self.markets))
        strategy = 0
        while rest >= self.sizes[strategy]:
            rest -= self.sizes[strategy]
            strategy += 1
        return market, strategy, rest

    def chosen(self, strategy: int, number: int) -> tuple[Value, ...]:
        """Return the value on each axis of a strategy's point."""
        axes = self.axes_of(strategy)
        if self.sample is not None:
            kind, count, seed = self.sample
            spans = any(axis.span for axis in axes)
            if kind == "latin":
                return tuple(latin(axis, number, count, seed) for axis in axes)
            if spans:
                return tuple(axis.at(uniform(number, key_of(seed, axis.name))) for axis in axes)
            number = shuffled(number, math.prod(len(axis) for axis in axes), key_of(seed))
        values: list[Value] = []
        for axis in reversed(axes):
            number, place = divmod(number, len(axis))
            values.append(axis.values[place])
        return tuple(reversed(values))

    def config(self, index: int) -> RunConfig:
        """Return the configuration of a point."""
        market, strategy, number = self.locate(index)
        chosen = self.chosen(strategy, number)
        parameters, account = dict(self.bases[strategy]), dict(self.base.account)
        for axis, value in zip(self.axes_of(strategy), chosen, strict=True):
            if axis.account:
                account[axis.setting] = value
            else:
                parameters[axis.name] = value
        ordered = tuple((name, account[name]) for name in ACCOUNT if name in account)
        return replace(
            self.base,
            strategy=self.strategies[strategy],
            market=self.markets[market],
            parameters=tuple(parameters.items()),
            account=ordered,
        )

    def values(self, index: int) -> dict[str, Any]:
        """Return the value on each axis of a point, by column, None where its strategy has no such parameter."""
        market, strategy, number = self.locate(index)
        chosen = dict(zip(self.axes_of(strategy), self.chosen(strategy, number), strict=True))
        found: dict[str, Any] = {}
        if len(self.markets) > 1:
            found["market"] = self.markets[market]
        if len(self.strategies) > 1:
            found["strategy"] = self.strategies[strategy]
        return found | {column: chosen.get(axis) for axis, column in zip(self.axes, self.columns, strict=True)}


def latin(axis: Axis, number: int, count: int, seed: int) -> Value:
    """Return one axis of a Latin hypercube: each of `count` equal parts of the axis holds one of the points.

    Source: McKay, Beckman & Conover, Technometrics 21(2), 1979.
    """
    key = key_of(seed, axis.name)
    part = shuffled(number, count, key)
    return axis.at((part + (uniform(number, key + 1) if axis.span else 0.0)) / count)


def make_space(
    strategies: str | Sequence[str],
    grid: Iterable[str] | None = None,
    *,
    markets: Sequence[str] = (),
    base: RunConfig | None = None,
    random: int | None = None,
    latin: int | None = None,
    seed: int = 0,
) -> Space:
    """Return the space of strategies, axes as text (see `read_axis`) and markets, checked before anything runs.

    base: every other setting; random, latin: how many points to draw for each strategy and market, instead of all
    combinations; seed: of the draws. What makes no sense is a ConfigError or a StrategyError that says what to do.
    """
    names = (strategies,) if isinstance(strategies, str) else tuple(dict.fromkeys(strategies))
    base = base or RunConfig("")
    if base.engine is not None:
        check_engine(base.engine)
    axes = read_axes(list(grid or ()), names)
    makers = [load_maker(name) for name in names]
    takes = tuple(maker.names for maker in makers)
    for name, value in base.parameters:
        if any(axis.name == name and not axis.account for axis in axes):
            raise ConfigError(f"`{name}` is both swept and set to {value!r}; leave one of them out.")
        owners = [maker for maker in makers if name in maker.names]
        (owners or makers)[0].read(name, value)
    for name, value in base.account:
        if any(axis.account and axis.setting == name for axis in axes):
            raise ConfigError(f"`{name}` of the account is both swept and set to {value!r}; leave one of them out.")
    sample = sample_of(random, latin, seed)
    spans = [axis for axis in axes if axis.span]
    if sample is None and spans:
        low, high = spans[0].span or (0, 0)
        raise ConfigError(
            f"The range of `{spans[0].name}` from {low:g} to {high:g} has no step; give one ({low:g}:{high:g}:STEP), or draw "
            "from it with --random N or --latin N."
        )
    space = Space(names, tuple(dict.fromkeys(markets)) or (base.market,), axes, base, sample, takes)
    check_sample(space)
    return space


def sample_of(random: int | None, latin: int | None, seed: int) -> Sample | None:
    if random is not None and latin is not None:
        raise ConfigError(
            f"A sample is random or a Latin hypercube, not both; got --random {random} and --latin {latin}."
        )
    for kind, count in (("random", random), ("latin", latin)):
        if count is not None and count < 1:
            raise ConfigError(f"`--{kind}` must be a number of points from 1, got {count}.")
    if random is not None:
        return "random", random, seed
    return None if latin is None else ("latin", latin, seed)


def check_sample(space: Space) -> None:
    if space.sample is None or space.sample[0] == "latin" or any(axis.span for axis in space.axes):
        return
    every = max(math.prod(len(axis) for axis in space.axes_of(s)) for s in range(len(space.strategies)))
    if space.sample[1] > every:
        raise ConfigError(
            f"`--random {space.sample[1]}` asks for more points than the grid has, {every:,}; leave it out to run all of them."
        )
