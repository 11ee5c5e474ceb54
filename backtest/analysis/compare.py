"""Several runs beside each other: ranked, held against the best and against buying and holding, on the days they share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from backtest.analysis.alike import Shared, correlations, daily, labels, shared_days, what_differs
from backtest.analysis.overlap import Overlap, overlap
from backtest.analysis.significance import Bootstrap, Superior, block_length, bootstrap, figures_of_days
from backtest.analysis.summary import METRICS, Summary, analyze, as_plain
from backtest.errors import ConfigError, did_you_mean
from backtest.model.arrays import Float, Int64
from backtest.model.config import RunConfig
from backtest.model.notebook import html_table
from backtest.model.passport import Passport
from backtest.model.result import Result, Trades

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BEST_IS_HIGH", "BEST_IS_LOW", "BUY_AND_HOLD", "FIGURE", "Comparison", "Difference", "Run", "compare"]

FIGURE = "total_return"  # after all costs; a Sharpe ratio would put the wilder of two losers first
BUY_AND_HOLD = "buy_and_hold"
BEST_IS_HIGH = ("total_return", "cagr", "sharpe", "sortino", "max_drawdown", "calmar", "win_rate")
BEST_IS_LOW = ("volatility", "funding_paid", "fees", "liquidations")
DIFFERING = ("total_return", "sharpe")
SHORT = {"return": "total_return", "drawdown": "max_drawdown", "equity": "final_equity"}


class Run(Protocol):
    """What a comparison needs of a run, as a report's view of it has."""

    @property
    def summary(self) -> Summary: ...
    @property
    def time(self) -> Int64: ...
    @property
    def equity(self) -> Float: ...
    @property
    def trades(self) -> Trades: ...
    @property
    def passport(self) -> Passport: ...
    @property
    def config(self) -> RunConfig | None: ...
    @property
    def assessment(self) -> Any: ...
    @property
    def identity(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Live:
    """A result that has just been made, as a comparison sees it."""

    summary: Summary
    time: Int64
    equity: Float
    trades: Trades
    passport: Passport
    config: RunConfig | None
    assessment: Any = None
    identity: str = ""


@dataclass(frozen=True)
class Difference:
    """How far a run's figure lies above another's: value, and the 95% interval of paired resampling; NaN where undefined."""

    run: str
    other: str
    figure: str
    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


Differences = tuple[Difference, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs beside each other, the best first.

    names: of the runs, each once; sort: the figure they are ranked by; ranks: from 1, equals share one, None without that
    figure; figures: name -> a value a run, fractions and quote units, of each run's own span where all have the same, of
    the days that all share (return, risk and drawdown) where they don't; best: figure -> positions of the best, none
    where all are the same; days: (n,) shared UTC days since 1970; returns: (n, k) their returns, fractions; correlation:
    (k, k) of these; to_best, to_hold: differences of return and Sharpe to the first run and to buying and
    holding; superior: benchmark -> Hansen's test of all the others; notes: what limits the comparison, in sentences.
    """

    names: tuple[str, ...]
    identities: tuple[str, ...]
    summaries: tuple[Summary, ...]
    assessments: tuple[Any, ...]
    sort: str
    ranks: tuple[int | None, ...]
    figures: Mapping[str, tuple[float, ...]]
    best: Mapping[str, tuple[int, ...]]
    days: Int64
    returns: Float
    correlation: Float
    overlap: Overlap
    to_best: Differences = ()
    to_hold: Differences = ()
    hold: str = ""
    superior: Mapping[str, Superior] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def rank_words(self, row: int) -> str:
        """Return a run's rank: "1", "2=" where it shares it, a dash where it has none."""
        rank = self.ranks[row]
        return "\N{EN DASH}" if rank is None else f"{rank}{'=' if self.ranks.count(rank) > 1 else ''}"

    def sentences(self) -> tuple[str, ...]:
        """Return what Hansen's test says against each benchmark, in words."""
        told = []
        for benchmark, found in self.superior.items():
            names = tuple(name for name in self.names if benchmark == "flat" or name != self.hold)
            told.append(found.sentence(names, {BUY_AND_HOLD: "buy-and-hold"}.get(benchmark, benchmark)))
        return tuple(told)

    def verdicts(self) -> tuple[tuple[str, str], ...]:
        """Return (name, sentence) of each run that was judged against luck."""
        found = [(name, luck_sentence(one)) for name, one in zip(self.names, self.assessments, strict=True)]
        return tuple((name, sentence) for name, sentence in found if sentence)

    def to_frame(self) -> "pd.DataFrame":
        """Return the figures as a data frame, a row a run, the best first."""
        import pandas as pd

        frame = pd.DataFrame({name: list(values) for name, values in self.figures.items()})
        return frame.set_axis(pd.Index(self.names, name="run"), axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data for JSON, NaN as None."""
        rows = []
        for i, (name, s) in enumerate(zip(self.names, self.summaries, strict=True)):
            figures = {figure: values[i] for figure, values in self.figures.items()}
            head = {"name": name, "id": self.identities[i], "rank": self.ranks[i], "strategy": s.strategy}
            facts = {"market": s.market, "grade": s.grade, "standing": s.standing, "findings": s.findings}
            rows.append({**head, **facts, "parameters": s.parameters, "figures": figures})
        plain = {
            "sort": self.sort,
            "runs": rows,
            "best": {figure: [self.names[i] for i in rows] for figure, rows in self.best.items()},
            "shared_days": [str(day) for day in self.days.astype("datetime64[D]")[[0, -1]]] if self.days.size else [],
            "days": int(self.days.size),
            "correlation": self.correlation.tolist(),
            "overlap": {name: getattr(self.overlap, name).tolist() for name in ("together", "trades", "same_side")},
            "to_best": [vars(one) for one in self.to_best],
            "to_buy_and_hold": [vars(one) for one in self.to_hold],
            "superior": {name: vars(one) for name, one in self.superior.items()},
            "sentences": self.sentences(),
            "verdicts": dict(self.verdicts()),
            "notes": self.notes,
        }
        return dict(as_plain(plain))

    def _repr_html_(self) -> str:
        from backtest.analysis.notebook import comparison_rows

        return html_table(*comparison_rows(self))


def luck_sentence(assessment: Any) -> str:
    luck = getattr(assessment, "luck", None)
    return str(getattr(luck, "sentence", "") or "")


# --- comparing --------------------------------------------------------------------------------------------------


def compare(
    runs: Sequence[Run | Result],
    sort: str = FIGURE,
    *,
    benchmark: Run | Result | None = None,
    seed: int = 0,
    replicates: int = 1000,
    superior: bool = True,
) -> Comparison:
    """Return runs beside each other, the best by `sort` first, on the days that all of them cover.

    benchmark: a run of buy_and_hold, else the first among the runs; replicates: of the stationary bootstrap behind the
    intervals, in which every run lives through the same drawn days; superior: whether to test the lot against flat and
    against the benchmark, which takes seconds. Fewer than two runs, the same run twice or an unknown figure: ConfigError.
    """
    sort, views = figure_named(sort), [live(run) for run in runs]
    check_runs(views)
    shared = shared_days(views)
    values = figures_of(views, shared)
    order = ranking(values[sort], sort)
    views = [views[i] for i in order]
    figures = {name: tuple(column[i] for i in order) for name, column in values.items()}
    names, returns = labels(views), returns_on(views, shared)
    comparable = shared.days.size > 0
    held, hold, note = benchmark_of(views, names, shared, None if benchmark is None else live(benchmark))
    drawn = resampled(returns, held, replicates, seed) if shared.days.size > 1 else []
    return Comparison(
        names=names,
        identities=tuple(view.identity for view in views),
        summaries=tuple(view.summary for view in views),
        assessments=tuple(view.assessment for view in views),
        sort=sort,
        ranks=ranks(figures[sort], sort) if comparable else (None,) * len(views),
        figures=figures,
        best=best_of(figures) if comparable else {},
        days=shared.days,
        returns=returns,
        correlation=correlations(returns),
        overlap=overlap([view.trades for view in views], shared.start, shared.end),
        to_best=differences(names, drawn, drawn[0], names[0]) if drawn else (),
        to_hold=differences(names, drawn, drawn[-1], hold) if drawn and held is not None else (),
        hold=hold,
        superior=tests(names, returns, held, hold, replicates, seed) if superior and comparable else {},
        notes=(*what_differs(views, shared), *note),
    )


def live(run: Run | Result) -> Run:
    if not isinstance(run, Result):
        return run
    equity = np.asarray(run.equity_values, dtype=np.float64)
    return Live(analyze(run), run.time, equity, run.trades_table, run.passport, run.config)


def check_runs(views: Sequence[Run]) -> None:
    if len(views) < 2:
        raise ConfigError(f"A comparison needs at least two runs, got {len(views)}; `backtest list` names them.")
    seen: set[str] = set()
    for identity in (view.identity for view in views if view.identity):
        if identity in seen:
            raise ConfigError(f"The run {identity} is named twice; a comparison needs different runs.")
        seen.add(identity)


def figure_named(name: str) -> str:
    """Return the figure of that name; "return" and "drawdown" will do for theirs."""
    found = name.strip().lower().replace("-", "_")
    found = SHORT.get(found, found)
    if found not in METRICS:
        raise ConfigError(f"There is no figure {name!r} to rank by.{did_you_mean(found, [*METRICS, *SHORT])}")
    return found


def figures_of(views: Sequence[Run], shared: Shared) -> dict[str, list[float]]:
    """Return the figures of each run: of its summary where the spans are the same, else return and risk of shared days."""
    values = {name: [float(getattr(view.summary, name)) for view in views] for name in METRICS}
    if not shared.same and shared.days.size:
        found = [figures_of_days(column) for column in returns_on(views, shared).T]
        values |= {name: [of[name] for of in found] for name in found[0]}
    return values


def returns_on(views: Sequence[Run], shared: Shared) -> Float:
    """Return (n, k) returns on the shared days, a column a run; the first day of a run is from its cash."""
    columns = np.empty((shared.days.size, len(views)))
    for k, view in enumerate(views):
        days, earned = daily(view)
        columns[:, k] = earned[np.isin(days, shared.days)]
    return columns


# --- ranks ------------------------------------------------------------------------------------------------------


def merit(values: Sequence[float], figure: str) -> list[float]:
    """Return the values so that more is better; what is undefined is less than anything."""
    sign = -1.0 if figure in BEST_IS_LOW else 1.0
    return [-math.inf if math.isnan(v) else sign * v for v in values]


def ranking(values: Sequence[float], figure: str) -> list[int]:
    """Return the positions of the values, the best first; equals stay in their order, the undefined come last."""
    worth = merit(values, figure)
    return sorted(range(len(values)), key=lambda i: (math.isnan(values[i]), -worth[i]))


def ranks(values: Sequence[float], figure: str) -> tuple[int | None, ...]:
    """Return each value's rank, one more than there are better ones; None for an undefined one.

    >>> ranks([0.2, 0.1, 0.1, float("nan"), -0.3], "total_return")
    (1, 2, 2, None, 4)
    """
    worth = merit(values, figure)
    return tuple(
        None if math.isnan(v) else 1 + sum(other > mine for other in worth)
        for v, mine in zip(values, worth, strict=True)
    )


def best_of(figures: Mapping[str, Sequence[float]]) -> dict[str, tuple[int, ...]]:
    """Return the positions of the best of each figure of which more is a merit; none where no run stands out.

    >>> best_of({"sharpe": [1.0, 2.0, 2.0], "calmar": [1.0, 1.0, 1.0], "trades": [1.0, 2.0, 3.0]})
    {'sharpe': (1, 2)}
    """
    found = {}
    for name in BEST_IS_HIGH:
        values = [v for v in figures.get(name, ()) if not math.isnan(v)]
        if values and max(values) > min(values):
            found[name] = tuple(i for i, v in enumerate(figures[name]) if v == max(values))
    return found


# --- differences and benchmarks ---------------------------------------------------------------------------------


def benchmark_of(
    views: Sequence[Run], names: Sequence[str], shared: Shared, given: Run | None
) -> tuple[Float | None, str, tuple[str, ...]]:
    """Return the shared days' returns of buying and holding, the name of that run, and a sentence where there is none."""
    if not shared.days.size:
        return None, "", ()
    for view, name in zip(views, names, strict=True):
        if strategy_of(view) == BUY_AND_HOLD:
            return returns_on([view], shared)[:, 0], name, ()
    if given is None:
        told = f"No run of {BUY_AND_HOLD} is beside them; `backtest run {BUY_AND_HOLD}` makes one to be held against."
        return None, "", (told,)
    if not np.isin(shared.days, daily(given)[0]).all():
        return None, "", (f"The run of {BUY_AND_HOLD} does not cover their days.",)
    return returns_on([given], shared)[:, 0], BUY_AND_HOLD, ()


def strategy_of(view: Run) -> str:
    return view.summary.strategy.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")


def resampled(returns: Float, held: Float | None, replicates: int, seed: int) -> list[Bootstrap]:
    """Return the figures of each run, and of buying and holding, and of their replicates, all from the same drawn days.

    returns: (n, k); held: (n,). The stationary bootstrap draws in blocks as long as the most dependent of the runs, and of
    their differences to the best and to buying and holding, needs. Sources: Politis & Romano, The Stationary Bootstrap,
    Journal of the American Statistical Association 89 (1994); on pairs: Ledoit & Wolf, Robust Performance Hypothesis Testing
    with the Sharpe Ratio, Journal of Empirical Finance 15 (2008).
    """
    columns = [*returns.T, *([] if held is None else [held])]
    others = [columns[0], *([] if held is None else [held])]
    pairs = [column - other for column in columns for other in others]
    block = math.ceil(float(np.nanmax([1.0, *(block_length(column) for column in [*columns, *pairs])])))
    return [bootstrap(column, replicates=replicates, seed=seed, block=block) for column in columns]


def differences(names: Sequence[str], drawn: Sequence[Bootstrap], other: Bootstrap, against: str) -> Differences:
    """Return how far each run's return and Sharpe ratio lie above another's, with the interval of the paired replicates."""
    pairs = [(name, mine) for name, mine in zip(names, drawn, strict=False) if name != against]
    return tuple(difference(name, against, figure, mine, other) for name, mine in pairs for figure in DIFFERING)


def difference(run: str, other: str, figure: str, mine: Bootstrap, theirs: Bootstrap) -> Difference:
    value = mine.estimates[figure] - theirs.estimates[figure]
    spread = mine.replicates[figure] - theirs.replicates[figure]
    low, high = Bootstrap({figure: value}, {figure: spread}, mine.block).interval(figure)
    return Difference(run, other, figure, value, low, high)


def tests(
    names: Sequence[str], returns: Float, held: Float | None, hold: str, replicates: int, seed: int
) -> dict[str, Superior]:
    """Return Hansen's test of all runs against flat, and of the others against buying and holding."""
    from backtest.analysis.significance import superior_ability

    found = {"flat": superior_ability(returns, replicates=replicates, seed=seed)}
    others = [i for i, name in enumerate(names) if name != hold]
    if held is not None and others:
        found[BUY_AND_HOLD] = superior_ability(returns[:, others], held, replicates=replicates, seed=seed)
    return found
