"""Detectors and signals apart from strategies: those that are shipped, those that a file holds, and their checks."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

from backtest.checks.conformance import Conformance, check_conformance
from backtest.checks.foresight import Foresight, check_foresight
from backtest.checks.subject import the_market
from backtest.errors import LevelbreakError, MarketError
from backtest.levels import Detector
from backtest.levels.catalogue import DETECTORS
from backtest.levels.spec import KINDS, read_levels
from backtest.model import Market
from backtest.signals import SIGNALS

__all__ = ["Part", "PartChecked", "Parts", "check_parts", "part_named", "parts_in", "shipped_parts"]

SECONDS = 2.0
"""[D] About how long the prefix test of a part may take on each market; a slow one has fewer cut points."""

WALKS = 1
BARS = 2_000  # that the rules are tried on


@dataclass(frozen=True)
class Part:
    """A detector of levels, or a signal: a function of a market and a symbol, or of a market."""

    name: str
    kind: Literal["detector", "signal"]
    value: Any

    def on(self, market: Market) -> Any:
        """Return what to ask: of a signal the last symbol for which the market has what it needs, else a MarketError.

        The last, since contagion is measured against the first.
        """
        if self.kind == "detector" or "symbol" not in inspect.signature(self.value).parameters:
            return self.value
        beginning, missing = market.head(2), MarketError(f"The market {market.name} has no symbols.")
        for symbol in reversed(market.symbols):
            try:
                self.value(beginning, symbol)
            except MarketError as error:
                missing = error
            except Exception:  # of two bars; on the whole market it may run
                return self.of(symbol)
            else:
                return self.of(symbol)
        raise missing

    def of(self, symbol: str) -> Callable[[Market], Any]:
        """Return the signal of one symbol, as a function of the market alone."""

        @functools.wraps(self.value)
        def asked(market: Market) -> Any:
            return self.value(market, symbol=symbol)

        asked.__name__ = self.name
        return asked


@dataclass(frozen=True)
class PartChecked:
    """What the checks of one part came to, None for one that was not made."""

    name: str
    kind: str
    foresight: Foresight | None = None
    conformance: Conformance | None = None

    @property
    def passes(self) -> bool:
        return all(found is None or found.passes for found in (self.foresight, self.conformance))

    def sentence(self) -> str:
        """Return the outcome of both in a sentence each."""
        return " ".join(one.sentence() for one in (self.foresight, self.conformance) if one is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        found = {"name": self.name, "kind": self.kind, "passes": self.passes}
        documents = {"foresight": self.foresight, "conformance": self.conformance}
        return found | {key: one.to_dict() for key, one in documents.items() if one is not None}


@dataclass(frozen=True)
class Parts:
    """What the checks of several parts came to; left_out: name -> why a part could not be asked on this market."""

    market: str
    found: tuple[PartChecked, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        return all(one.passes for one in self.found)

    @property
    def rows(self) -> int:
        """How many rows there were to be compared."""
        return sum(one.foresight.rows for one in self.found if one.foresight is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        parts = [one.to_dict() for one in self.found]
        return {
            "check": "parts",
            "passes": self.passes,
            "market": self.market,
            "parts": parts,
            "left_out": self.left_out,
        }


def shipped_parts() -> tuple[Part, ...]:
    """Return every kind of detector and every signal, each at its defaults."""
    detectors = (Part(name, "detector", value) for name, value in DETECTORS.items())
    return (*detectors, *(Part(name, "signal", value) for name, value in SIGNALS.items()))


def part_named(text: str) -> Part | None:
    """Return the signal of a name, or the levels that a text names, such as "fractal(k=3) | round"; None for neither."""
    if text in SIGNALS:
        return Part(text, "signal", SIGNALS[text])
    if text in KINDS or "(" in text or "|" in text:
        return Part(text, "detector", read_levels(text))
    return None


def parts_in(module: ModuleType) -> tuple[Part, ...]:
    """Return the detectors and signals that a module defines, by their names; what begins with "_" is none.

    Detectors: those made at the module's level, and classes with a method `find(bars)` whose settings all have defaults.
    Signals: functions of `market`, or of `market` and `symbol`, whatever follows having defaults.
    """
    found = []
    for name, thing in vars(module).items():
        own = getattr(thing, "__module__", None) == module.__name__
        if name.startswith("_"):
            continue
        if isinstance(thing, Detector):
            found.append(Part(name, "detector", thing))
        elif own and inspect.isclass(thing) and callable(getattr(thing, "find", None)) and not required(thing):
            found.append(Part(name, "detector", thing()))
        elif own and inspect.isfunction(thing) and required(thing) in (["market"], ["market", "symbol"]):
            found.append(Part(name, "signal", thing))
    return tuple(found)


def required(thing: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters without a default."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return ["unknown"]
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variable]


def check_parts(
    parts: Iterable[Part] | None = None,
    market: Market | None = None,
    checks: Iterable[str] = ("conformance", "foresight"),
    cuts: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Parts:
    """Make the prefix test of detectors and signals, by default of all that are shipped, and see which rules they keep.

    market: by default the embedded one; a detector is asked for each of its symbols, a signal for one; cuts: cut points, by
    default as many as two seconds allow, 3 to 32; settings: of `check_foresight`. A part that can't run on the market, such as
    a signal whose feed is missing, is left out with its sentence.
    """
    home, wanted = the_market(market), tuple(checks)
    found, left_out = [], {}
    for part in shipped_parts() if parts is None else parts:
        try:
            found.append(check_part(part, home, wanted, cuts, dict(settings or {})))
        except LevelbreakError as error:
            left_out[part.name] = str(error)
        except Exception as error:
            left_out[part.name] = f"It failed: {type(error).__name__}: {error}".rstrip(".") + "."
    return Parts(home.name, tuple(found), left_out)


def check_part(
    part: Part, market: Market, checks: tuple[str, ...], cuts: int | None, settings: dict[str, Any]
) -> PartChecked:
    asked, limits = part.on(market), {"walks": WALKS, "seconds": SECONDS} | settings
    foresight = conformance = None
    if "foresight" in checks:
        foresight = replace(check_foresight(asked, market, cuts=cuts, **limits), strategy=part.name)
    if "conformance" in checks:
        conformance = replace(check_conformance(asked, market.head(BARS)), strategy=part.name)
    return PartChecked(part.name, part.kind, foresight, conformance)
