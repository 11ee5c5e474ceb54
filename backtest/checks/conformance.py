"""What every strategy has to keep, whatever its idea: frozen, repeatable, documented, and at ease with a market of nothing."""

import ast
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from backtest.checks.futures import flat_like, walk_like
from backtest.checks.observe import first_change
from backtest.checks.subject import Subject, subject_of, the_market
from backtest.errors import ConfigError, FundingHoleError
from backtest.model import Market, Plan, Venue
from backtest.model.arrays import BoolArray, utc_text
from backtest.model.plan import ENTER
from backtest.plugins import describe_strategy, make_plan

__all__ = ["Conformance", "Finding", "check_conformance"]


@dataclass(frozen=True)
class Finding:
    """One rule: its name, whether it is kept, and what was found, "" where there is nothing to say."""

    rule: str
    passes: bool
    told: str = ""


@dataclass(frozen=True)
class Conformance:
    """Which rules a strategy keeps; rules that its form can't break are not there."""

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
    """Return which of the rules of strategies one keeps.

    The arguments are those of `check_foresight`; the market is needed for its symbols and feeds, and for a plan to look at.
    Of strategies with a plan: frozen; comes back from pickle and from its repr; the same plan again, also from an equal
    strategy and after another market; valid rows, an entry at the market with its stop, target and close-stop on the right
    side of its bar's close; runs on a market of no bar, of one bar and of flat prices. Of strategies of backtrader: the same
    orders and ledger again; flat prices (backtrader's indicators refuse a market shorter than they are). Of both, where they
    come from a file: a docstring, and a meaning for each parameter. A strategy that can't run on the market raises the error
    of a run.
    """
    asked = subject_of(subject, parameters, venue)
    home = the_market(market)
    if not (asked.native or asked.planned):
        raise ConfigError(
            f"Conformance is for strategies, got the function {asked.name}; functions have the prefix test."
        )
    asked.ask(home)
    rules = {**BOTH, **({} if asked.native else PLANNED)}
    found = (
        (name, next(rule(asked, home), None)) for name, rule in rules.items() if asked.file or rule is not documented
    )
    return Conformance(asked.name, home.name, tuple(Finding(name, told is None, told or "") for name, told in found))


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
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        given = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        same = not call.args and type(asked.value)(**given) == asked.value
    except Exception as error:
        yield f"its repr can't be read back, {error_words(error)}: {text}"
        return
    if not same:
        yield f"what its repr says is not equal to it: {text}"


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


# --- rules of both kinds -----------------------------------------------------------------------------------------


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
    if asked.planned and is_dataclass(asked.value):
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


BOTH: dict[str, Rule] = {
    "parameters documented": documented,
    "deterministic": deterministic,
    "runs on flat prices": runs_on("flat prices", flat_like),
}
PLANNED: dict[str, Rule] = {
    "frozen": frozen,
    "comes back from pickle": picklable,
    "comes back from its repr": told_by_repr,
    "rows valid": valid_rows,
    "runs on no bar": runs_on("no bar", lambda market: market.head(0)),
    "runs on one bar": runs_on("one bar", lambda market: market.head(1)),
}
