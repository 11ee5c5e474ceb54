"""The comparison of a whole strategy: its runs and its ambiguous events under worst, best and on the finer bars."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

from backtest.checks.intrabar.bars import note_on_bars
from backtest.checks.intrabar.course import Course
from backtest.checks.intrabar.events import ANSWERS, REASONS, Event, events_of
from backtest.checks.intrabar.panels import two_scales
from backtest.checks.intrabar.runs import CAUSES, EXPLAINED, FIGURES, WholeRun, whole_run, window
from backtest.engines.fast import execute
from backtest.errors import ConfigError, StrategyError
from backtest.model import Market, Result, RunConfig
from backtest.plugins import BacktraderStrategy, load_strategy, make_plan
from backtest.runner import configure, market_of, parameters_of, venue_of, with_tiers

__all__ = ["WINDOWS", "Intrabar", "compared", "intrabar", "totals"]

WINDOWS = 12
"""Parts of the span that are run by themselves besides the whole [D]: months of a year."""


@dataclass(frozen=True)
class Intrabar:
    """One strategy under worst, best and on the finer bars.

    whole: the run over the whole span; windows: the runs over its parts, each from a flat account; events: the ambiguous ones of
    the whole run under worst, each from the state that it had there; result: that run in full, with what it assumes and how its
    data stand; coarse, fine: intervals in ns; drawn: the finer bars are simulated; notes: sentences on what the comparison
    can't see.
    """

    config: RunConfig
    market: str
    grade: str
    symbols: tuple[str, ...]
    coarse: int
    fine: int
    bars: tuple[int, int]
    drawn: bool
    whole: WholeRun
    windows: tuple[WholeRun, ...]
    events: tuple[Event, ...]
    result: Result
    notes: tuple[str, ...] = field(default=())

    @property
    def runs(self) -> tuple[WholeRun, ...]:
        return (self.whole, *self.windows)

    @property
    def answers(self) -> dict[str, int]:
        """How many events the finer bars settle as worst, as best, between the two and outside."""
        found = Counter(event.answer for event in self.events)
        return {answer: found[answer] for answer in ANSWERS}

    @property
    def causes(self) -> dict[str, int]:
        """How many runs have a return that lies outside, by cause."""
        found = Counter(run.cause for run in self.runs if "total_return" in run.outside)
        return {cause: found[cause] for cause in CAUSES}

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data for JSON: the configuration's settings flat, times as text in UTC."""
        config = {k: v for k, v in asdict(self.config).items() if k not in ("engine", "market")}
        tables = {name: dict(getattr(self.config, name)) for name in ("parameters", "account")}
        plain = {
            name: getattr(self, name) for name in ("market", "grade", "symbols", "coarse", "fine", "drawn", "notes")
        }
        return {
            **config,
            **tables,
            **plain,
            "bars": dict(zip(("coarse", "fine"), self.bars, strict=True)),
            "whole": self.whole.to_dict(),
            "windows": [run.to_dict() for run in self.windows],
            "outside": {"runs": len(self.runs), **self.causes},
            "answers": {**self.answers, "unsettled": sum(not event.settled for event in self.events)},
            "events": [event.to_dict() for event in self.events],
        }


def intrabar(
    config: RunConfig | str, *, coarse: str | None = None, windows: int | None = None, **changes: Any
) -> Intrabar:
    """Run a strategy's plan on coarse bars under worst and best, and on the finer bars that say what happened inside them.

    config, changes: those of `backtest.run`; the account's `intrabar` is not looked at. coarse: interval of the coarse bars as
    text, None for the market's own where it has finer bars, else "1h"; windows: parts of the span that are run by themselves
    besides the whole, 1 for none, None for `WINDOWS`. The market has bars of a minute, or `fine` ones; a simulated one without
    them gets simulated minutes inside its bars. A strategy of backtrader's is a StrategyError: it has no plan that could be
    walked on finer bars.
    """
    config = configure(config, **changes)
    return compared(two_scales(market_of(config), coarse, config.seed), config, windows)


def compared(market: Market, config: RunConfig, windows: int | None = None) -> Intrabar:
    """Make the comparison on a market that has its finer bars already; see `intrabar`."""
    strategy = load_strategy(config.strategy, dict(config.parameters))
    if isinstance(strategy, BacktraderStrategy):
        raise StrategyError(
            f"{strategy.name} is a strategy of backtrader: it runs bar by bar and has no plan that could be walked on finer "
            "bars as it stands."
        )
    windows, venue, fine = windows_of(market, windows), venue_of(config, market), market.fine
    assert fine is not None
    plan = make_plan(strategy, market)
    config = replace(config, engine=None, parameters=parameters_of(strategy, config))
    result = execute(market, plan, replace(venue, intrabar="worst"))
    return Intrabar(
        config=config,
        market=market.name,
        grade=market.passport.grade,
        symbols=market.symbols,
        coarse=market.interval,
        fine=fine.interval,
        bars=(len(market) - market.start_bar, len(fine)),
        drawn=any(s.name.endswith(".fine") and s.origin == "simulated" for s in market.passport.series),
        whole=whole_run(market, plan, venue),
        windows=tuple(whole_run(part, plan, venue) for part in parts(market, windows)) if windows > 1 else (),
        events=tuple(events_of(Course.of(market, plan, venue))) if "ambiguous_bars" in result.assumptions else (),
        result=replace(result, config=config, passport=with_tiers(result)),
        notes=tuple(notes_on(market)),
    )


def windows_of(market: Market, wanted: int | None) -> int:
    """Return how many windows the span has: those wanted, else `WINDOWS`, or fewer where it has not so many bars."""
    traded = len(market) - market.start_bar
    if wanted is not None and not 1 <= wanted <= traded:
        raise ConfigError(f"`windows` must be 1 to the {traded:,} bars that are traded, got {wanted}.")
    return min(WINDOWS, traded) if wanted is None else wanted


def parts(market: Market, windows: int) -> Iterable[Market]:
    """Give the traded bars in so many windows, one after the other, each of about the same number of bars."""
    start, n = market.start_bar, len(market)
    ends = [start + (n - start) * k // windows for k in range(windows + 1)]
    return (window(market, a, b) for a, b in pairwise(ends))


def notes_on(market: Market) -> Iterable[str]:
    fine = market.fine
    assert fine is not None
    if market.mark is not None and fine.mark is None:
        yield "The finer bars have no mark prices; on them the last price liquidates."
    if told := note_on_bars(market):
        yield told


def totals(found: Iterable[Intrabar]) -> dict[str, Any]:
    """Return, of several comparisons together, how many runs end outside and by which cause, and what the events came to.

    figures: name -> in how many runs that figure of the truth lies outside what worst and best span; beyond: name -> by how much
    at most; causes, drawdown_causes: of the runs whose return, and whose max drawdown, lies outside.
    """
    found = tuple(found)
    runs = [run for one in found for run in one.runs]
    events = [event for one in found for event in one.events]
    reasons = Counter(event.reason for event in events if event.reason)
    return {
        "runs": len(runs),
        "ambiguous_runs": sum(run.ambiguous[0] > 0 for run in runs),
        "outside": sum("total_return" in run.outside for run in runs),
        **{f"{kind}causes": causes_of(runs, name) for kind, name in zip(("", "drawdown_"), EXPLAINED, strict=True)},
        "figures": {name: sum(run.beyond(name) != 0.0 for run in runs) for name in FIGURES},
        "beyond": {name: max((abs(run.beyond(name)) for run in runs), default=0.0) for name in FIGURES},
        "events": len(events),
        "answers": {answer: sum(event.answer == answer for event in events) for answer in ANSWERS},
        "reasons": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
        "unsettled": sum(not event.settled for event in events),
    }


def causes_of(runs: Iterable[WholeRun], figure: str) -> dict[str, int]:
    """Return cause -> how many runs that figure lies outside in for it."""
    found = Counter(run.cause for run in runs if figure in run.outside)
    return {cause: found[cause] for cause in CAUSES}
