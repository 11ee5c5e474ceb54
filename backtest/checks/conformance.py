"""What every strategy, detector and signal has to keep: frozen, repeatable, documented, and at ease with a market of nothing."""

import ast
import inspect
import os
import pickle
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from backtest.checks.futures import flat_like, walk_like
from backtest.checks.observe import first_change
from backtest.checks.subject import Subject, subject_of, the_market
from backtest.errors import FundingHoleError
from backtest.levels import Composed, Levels
from backtest.model import Market, Plan, Venue
from backtest.model.arrays import BoolArray, utc_text
from backtest.model.plan_rules import ENTER
from backtest.plugins import describe_strategy, make_plan
from backtest.plugins.describe import written_fields

__all__ = ["Conformance", "Finding", "check_conformance"]


@dataclass(frozen=True)
class Finding:
    """One rule: its name, whether it is kept, and what was found, "" where there is nothing to say."""

    rule: str
    passes: bool
    told: str = ""


@dataclass(frozen=True)
class Conformance:
    """Which rules a strategy, detector or signal keeps; rules that its form can't break are not there."""

    strategy: str
    market: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        return all(finding.passes for finding in self.findings)

    def sentence(self) -> str:
        """Return the outcome in a sentence, with every rule that is broken."""
        broken = [f"{f.rule}: {f.told}" for f in self.findings if not f.passes]
        return f"{self.strategy} " + (f"breaks rules; {'; '.join(broken)}" if broken else "keeps every rule") + "."

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return {"check": "conformance", "passes": self.passes, **asdict(self)}


Told = Iterator[str]
"""Sentences about what is wrong; none where the rule is kept."""

Rule = Callable[[Subject, Market], Told]


def check_conformance(
    subject: Any,
    market: Market | str | os.PathLike[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    venue: Venue | None = None,
) -> Conformance:
    """Return which of the rules a strategy, a detector or a signal keeps.

    The arguments are those of `check_foresight`; the market is needed for its symbols and feeds, and for a plan to look at.
    Of strategies with a plan: frozen; comes back from pickle and from its repr; the same plan again, also from an equal
    strategy and after another market; valid rows, an entry at the market with its stop, target and close-stop on the right
    side of its bar's close; runs on a market of no bar, of one bar and of flat prices. Of strategies of backtrader: the same
    orders and ledger again; flat prices (backtrader's indicators refuse a market shorter than they are). Of both, where they
    come from a file: a docstring, and a meaning for each parameter. Of detectors what is asked of plans, but for the rows; of
    functions: the same values again, and the three small markets; of both a docstring that names every setting. What can't
    run on the market raises the error of a run.
    """
    asked = subject_of(subject, parameters, venue)
    home = the_market(market)
    asked.ask(home)
    found = ((name, next(rule(asked, home), None)) for name, rule in rules_of(asked).items())
    return Conformance(asked.name, home.name, tuple(Finding(name, told is None, told or "") for name, told in found))


def rules_of(asked: Subject) -> dict[str, Rule]:
    if asked.native or asked.planned:
        rules = EVERY | ({} if asked.native else OBJECTS | PLANNED | SMALL)
        return rules if asked.file else {name: rule for name, rule in rules.items() if rule is not documented}
    if isinstance(asked.value, (Composed, Levels)):  # made of prices and detectors, which have rules of their own
        return {name: rule for name, rule in (EVERY | SMALL).items() if rule is not documented}
    return EVERY | {"parameters documented": explained} | (OBJECTS if asked.detects else {}) | SMALL


def error_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".")


# --- rules of plans ----------------------------------------------------------------------------------------------


def frozen(asked: Subject, market: Market) -> Told:
    """Only a dataclass can be frozen; a change that goes through would reach the next run."""
    if not is_dataclass(asked.value):
        yield "it is no dataclass; write @dataclass(frozen=True) above the class"
        return
    for field in fields(asked.value):
        try:
            setattr(asked.value, field.name, getattr(asked.value, field.name))
        except FrozenInstanceError:
            continue
        yield f"`{field.name}` can be changed; write @dataclass(frozen=True) above the class"
    try:
        hash(asked.value)
    except TypeError as error:
        yield f"it can't be hashed, {error}; take tuples for lists"


def picklable(asked: Subject, market: Market) -> Told:
    try:
        same = pickle.loads(pickle.dumps(asked.value)) == asked.value
    except Exception as error:
        yield f"it can't be pickled, so it can't go to another process: {error_words(error)}"
        return
    if not same:
        yield "what comes back from pickle is not equal to it"


def told_by_repr(asked: Subject, market: Market) -> Told:
    text = repr(asked.value)
    try:
        same = read_back(ast.parse(text, mode="eval").body, asked.value) == asked.value
    except Exception as error:
        yield f"its repr can't be read back, {error_words(error)}: {text}"
        return
    if not same:
        yield f"what its repr says is not equal to it: {text}"


def read_back(call: ast.expr, value: Any) -> Any:
    """Return what the call in a repr makes; a setting that has settings itself, like a detector's, is a call too."""
    assert isinstance(call, ast.Call)
    assert not call.args
    inner = {k.arg: getattr(value, str(k.arg)) for k in call.keywords if isinstance(k.value, ast.Call)}
    given = {
        str(k.arg): read_back(k.value, inner[k.arg]) if k.arg in inner else ast.literal_eval(k.value)
        for k in call.keywords
    }
    return type(value)(**given)


def valid_rows(asked: Subject, market: Market) -> Told:
    """Prices that a plan's own rules can't judge, since they need the close: those of entries at the market."""
    plan = make_plan(asked.value, market)
    if len(plan) == 0:
        return
    columns = np.array([market.position(s) if s in market.symbols else 0 for s in plan.symbols])
    close = market.close[plan.bar, columns[plan.symbol]]
    yield from no_price(plan, np.isnan(close), market)
    for name, side in (("stop", 1), ("close_stop", 1), ("target", -1)):
        price = getattr(plan, name)
        wrong = at_market(plan) & (np.sign(plan.exposure) * side * (close - price) < 0)
        for row in np.flatnonzero(wrong)[:1]:
            where = "below" if plan.exposure[row] * side > 0 else "above"
            long = "long" if plan.exposure[row] > 0 else "short"
            yield (
                f"`{name}` {price[row]:.10g} of a {long} must lie {where} the close {close[row]:.10g} that it was decided at "
                f"({place(plan, int(row), market)}; {int(wrong.sum())} such rows)"
            )


def no_price(plan: Plan, halted: BoolArray, market: Market) -> Told:
    """An entry decided where its symbol did not trade has seen no price."""
    wrong = halted & (plan.kind == ENTER)
    for row in np.flatnonzero(wrong)[:1]:
        yield f"it enters where there is no price ({place(plan, int(row), market)}; {int(wrong.sum())} such rows)"


def at_market(plan: Plan) -> BoolArray:
    return np.asarray((plan.kind == ENTER) & np.isnan(plan.limit) & np.isnan(plan.trigger), dtype=np.bool_)


def place(plan: Plan, row: int, market: Market) -> str:
    bar = int(plan.bar[row])
    return f"{plan.symbols[plan.symbol[row]]}, bar {bar}, {utc_text(int(market.time[bar]))}"


# --- rules of detectors and signals ----------------------------------------------------------------------------------


def explained(asked: Subject, market: Market) -> Told:
    """The meaning of a setting stands in a docstring, by its name, or as the comment at the end of its line.

    A function's may stand in that of another function of its file, since what several share is said once. A lambda can't
    have any.
    """
    thing: Any = type(asked.value) if asked.detects else inspect.unwrap(asked.value)
    if getattr(thing, "__name__", "") == "<lambda>":
        return
    doc = getattr(thing, "__doc__", None) or ""
    if not doc or doc.startswith(f"{asked.name}("):  # the one that a dataclass writes itself
        yield "it has no docstring; say what it is, its settings with their units, and its source"
        return
    names = [f.name for f in fields(thing) if f.init] if is_dataclass(thing) else settings_of(thing)
    beside = [] if asked.detects else vars(inspect.getmodule(thing)).values()
    told = " ".join(
        [doc, *(f.__doc__ or "" for f in beside if inspect.isfunction(f) and f.__module__ == thing.__module__)]
    )
    said = set(re.findall(r"\w+", told)) | {name for name, (_, meaning) in comments(thing).items() if meaning}
    missing = [f"`{name}`" for name in names if name not in said]
    if missing:
        yield f"its docstring does not say what {', '.join(missing)} {'is' if len(missing) == 1 else 'are'}"


def settings_of(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("market", "symbol", "bars")]


def comments(thing: Any) -> dict[str, tuple[str, str]]:
    try:
        return written_fields(textwrap.dedent(inspect.getsource(thing)), [thing.__name__])
    except (OSError, TypeError):  # made where there is no file
        return {}


# --- rules of all -----------------------------------------------------------------------------------------


def documented(asked: Subject, market: Market) -> Told:
    """The meaning of a parameter is the comment at the end of its line."""
    info = describe_strategy(str(asked.file))
    if not info.doc:
        yield "the file has no docstring; say the idea, when it should fail, and its source"
    missing = [parameter.name for parameter in info.parameters if not parameter.meaning]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        yield f"{names} {'has' if len(missing) == 1 else 'have'} no meaning; write it as the comment at the end of the line"


def deterministic(asked: Subject, market: Market) -> Told:
    """Asked again, asked after another market, and asked as a copy, it has to say the same; nothing may be left over."""
    before = asked.ask(market)
    state = np.random.get_state()  # noqa: NPY002 - what a strategy that draws would draw from
    np.random.seed(20_260_201)  # noqa: NPY002
    try:
        asked.ask(walk_like(market, seed=1, bars=300))
    except FundingHoleError:
        pass
    finally:
        again = asked.ask(market)
        np.random.set_state(state)  # noqa: NPY002
    tables = [again]
    if (asked.planned or asked.detects) and is_dataclass(asked.value):
        copy: Any = asked.value
        tables.append(replace(asked, value=replace(copy)).ask(market))
    for other in tables:
        changes = [
            c for a, b in zip(before, other, strict=True) if (c := first_change(a, b, len(market) + 1)) is not None
        ]
        if changes:
            c = min(changes, key=lambda change: change.bar)
            of = f" of {c.symbol}" if c.symbol else ""
            yield f"asked twice, it says something else at bar {c.bar}{of}, {c.what}: {c.column} {c.first} became {c.second}"


def runs_on(name: str, make: Callable[[Market], Market]) -> Rule:
    def rule(asked: Subject, market: Market) -> Told:
        made = replace(make(market), trade_from=None, name=name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                asked.ask(made)
        except FundingHoleError:
            return  # one bar has no rhythm of funding
        except Exception as error:
            yield f"it fails there: {error_words(error)}"

    return rule


EVERY: dict[str, Rule] = {
    "parameters documented": documented,
    "deterministic": deterministic,
    "runs on flat prices": runs_on("flat prices", flat_like),
}
OBJECTS: dict[str, Rule] = {
    "frozen": frozen,
    "comes back from pickle": picklable,
    "comes back from its repr": told_by_repr,
}
PLANNED: dict[str, Rule] = {"rows valid": valid_rows}
SMALL: dict[str, Rule] = {
    "runs on no bar": runs_on("no bar", lambda market: market.head(0)),
    "runs on one bar": runs_on("one bar", lambda market: market.head(1)),
}
