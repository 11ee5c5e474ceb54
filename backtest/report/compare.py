"""Several runs beside each other, in the terminal: ranked, held against the best, and how far they are the same bet."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from backtest.analysis.compare import Comparison, Difference
from backtest.model.arrays import Float
from backtest.report import words
from backtest.report.columns import LONGEST, Column, packed
from backtest.report.luck import print_verdicts
from backtest.report.terminal import (
    bullet,
    line,
    print_assumptions,
    print_data,
    print_failures,
    print_folders,
    print_headings,
    print_pnl,
    print_rejections,
    title,
)

__all__ = ["print_comparison", "print_ranking", "print_relations", "print_runs_beside"]

MOST_RUNS = 8  # whose matrices fit 80 columns
BEST = "*"
HEADERS = {
    "total_return": "return",
    "cagr": "CAGR",
    "sharpe": "Sharpe",
    "sortino": "Sortino",
    "max_drawdown": "max DD",
    "calmar": "Calmar",
    "trades": "trades",
    "win_rate": "win rate",
    "exposure": "exposure",
    "funding_paid": "funding paid",
    "fees": "fees",
    "liquidations": "liq.",
}
WORTH = ("total_return", "cagr", "sharpe", "sortino", "max_drawdown", "calmar")
SIGNED = ("total_return", "cagr")
RATIOS = ("sharpe", "sortino", "calmar")
PERCENT = (*SIGNED, "max_drawdown", "win_rate", "exposure")
MONEY = ("funding_paid", "fees")


def print_comparison(found: Comparison, console: Console, html: Path | None = None) -> None:
    """Print runs beside each other: what they ran on, the ranking, what limits it, differences, likeness, the data."""
    print_headings(found.summaries, console)
    print_ranking(found, console)
    print_relations(found, console)
    print_passports(found, console)
    print_page(html, console)


def print_runs_beside(
    found: Comparison,
    folders: Sequence[Path],
    console: Console,
    html: Path | None = None,
    failures: Mapping[str, str] | None = None,
) -> None:
    """Print runs that were just made: ranked, where the money went, what luck explains, assumptions, data, files.

    folders: of the runs, in any order; html: the page that sets them beside each other.
    """
    summaries = found.summaries
    print_headings(summaries, console)
    print_ranking(found, console)
    print_pnl(summaries, console)
    print_relations(found, console)
    print_assumptions(summaries, console)
    print_data(summaries, console)
    print_rejections(summaries, console)
    print_folders(folders, console)
    print_page(html, console)
    print_failures(failures or {}, console)


def print_page(html: Path | None, console: Console) -> None:
    if html is not None:
        title("Page", console)
        console.print(Text(f"  {words.printable(html)}"), no_wrap=True, crop=False, soft_wrap=True)


def print_ranking(found: Comparison, console: Console) -> None:
    """Print the figures, a row a run, the best first and the best of each column marked."""
    figure = HEADERS.get(found.sort, found.sort.replace("_", " "))
    title(f"{len(found)} runs by {figure}; {BEST} is the best of its column", console)
    groups = [
        [rank_column(found), *(figure_column(found, name) for name in HEADERS if name in WORTH)],
        [figure_column(found, name) for name in HEADERS if name not in WORTH],
    ]
    if found.sort not in HEADERS:
        groups[1].append(figure_column(found, found.sort))
    print_tables(found, groups, console)
    print_names(found, console)
    for note in found.notes:
        line(Text(words.printable(note), style="yellow"), console)


def print_relations(found: Comparison, console: Console) -> None:
    """Print differences with their intervals, what luck explains, and how far the runs are the same bet."""
    print_differences(found, console)
    print_better_than_luck(found, console)
    if shows_matrices(found):
        print_matrices(found, console)
    elif len(found) > MOST_RUNS:
        console.print()
        line(f"How each of {len(found)} runs moves with each other is on the page, and in what --json prints.", console)


def shows_matrices(found: Comparison) -> bool:
    """Return whether every run is shown beside every other; of two, and of very many, it is each beside the best."""
    return 2 < len(found) <= MOST_RUNS


# --- the ranking ------------------------------------------------------------------------------------------------


def print_tables(found: Comparison, groups: Sequence[Sequence[Column]], console: Console) -> None:
    names = short_names(found)
    name = Column("run", names, ["bold"] * len(names), left=True)
    print_packed(name, groups, console)


def short_names(found: Comparison) -> list[str]:
    """Return names for the rows: those of the runs, or the strategy and its place where settings make one too long."""
    if all(len(name) <= LONGEST // 2 + 4 or " " not in name for name in found.names):
        return list(found.names)
    return [f"{i + 1} {name.split(' ')[0]}" for i, name in enumerate(found.names)]


def print_names(found: Comparison, console: Console) -> None:
    """Print the whole names where the rows have short ones."""
    for short, name in zip(short_names(found), found.names, strict=True):
        if short != name and " " in name:
            line(Text(f"{short.split(' ')[0]} is {words.printable(name)}", style="dim"), console)


def rank_column(found: Comparison) -> Column:
    return Column("#", [found.rank_words(i) for i in range(len(found))])


def figure_column(found: Comparison, figure: str) -> Column:
    """Return the column of a figure; a star stands after the best, a space after the others."""
    values, best = found.figures[figure], found.best.get(figure, ())
    cells = texts(figure, values)
    if best:
        cells = [f"{cell}{BEST if i in best else ' '}" for i, cell in enumerate(cells)]
    colours = ["green" if v > 0 else "red" if v < 0 else "" for v in values] if figure in SIGNED else [""] * len(values)
    styles = [f"bold {colour}".strip() if i in best else colour for i, colour in enumerate(colours)]
    return Column(HEADERS.get(figure, figure.replace("_", " ")), cells, styles)


def texts(figure: str, values: Sequence[float]) -> list[str]:
    if figure in PERCENT or figure == "volatility":
        return [words.percent(v, sign=figure in SIGNED) for v in values]
    if figure in RATIOS:
        return [words.ratio(v) for v in values]
    if figure in MONEY or figure in ("final_equity", "unrealised"):
        return words.money(values)
    return [words.count(v) for v in values]


# --- differences and luck ---------------------------------------------------------------------------------------


def print_differences(found: Comparison, console: Console) -> None:
    """Print how far the others are from the best, and all from buying and holding, with intervals of paired days."""
    if found.to_best:
        print_against(found, found.to_best, found.names[0], console)
    same = len(found) == 2 and found.hold in found.names  # the same difference, the other way round
    if found.to_hold and found.hold != found.names[0] and not same:
        print_against(found, found.to_hold, found.hold, console)


def print_against(found: Comparison, all_of: Sequence[Difference], other: str, console: Console) -> None:
    rows = [i for i, name in enumerate(found.names) if name != other]
    title(f"Against {words.printable(other)}", console)
    groups = [difference_columns(found, all_of, rows)]
    alone = not shows_matrices(found) and other == found.names[0]
    if alone:
        groups.append(likeness_columns(found, rows, found.names.index(other)))
    names = short_names(found)
    name = Column("run", [names[i] for i in rows], ["bold"] * len(rows), left=True)
    print_packed(name, groups, console)
    clear = [f"{words.printable(one.run)}'s {HEADERS[one.figure]}" for one in all_of if one.clear]
    told = f"clear of 0: {', '.join(clear)}" if clear else "no interval is clear of 0"
    if any(math.isnan(one.low) for one in all_of):
        told = f"{told}; none where too many of the draws have no trade"
    line(Text(f"differences, 95% intervals from days drawn alike for both; {told}", style="dim"), console)
    if alone:
        said = "both held: of the time; in common: of the row's trades, those that overlap one on the same symbol"
        line(Text(said, style="dim"), console)


def print_packed(name: Column, groups: Sequence[Sequence[Column]], console: Console) -> None:
    for i, table in enumerate(packed(name, groups, console)):
        if i:
            console.print()
        console.print(table)


def difference_columns(found: Comparison, all_of: Sequence[Difference], rows: Sequence[int]) -> list[Column]:
    columns = []
    for figure in ("total_return", "sharpe"):
        mine = {one.run: one for one in all_of if one.figure == figure}
        ones = [mine[found.names[i]] for i in rows]
        styles = ["bold" if one.clear else "" for one in ones]
        columns.append(Column(HEADERS[figure], [amount(one.value, figure) for one in ones], styles))
        columns.append(Column("95% interval", [interval(one) for one in ones], styles))
    return columns


def amount(value: float, figure: str) -> str:
    if figure == "total_return":
        return words.percent(value, sign=True)
    return words.ratio(value) if math.isnan(value) or value <= 0 else f"+{words.ratio(value)}"


def interval(one: Difference) -> str:
    if math.isnan(one.low) or math.isnan(one.high):
        return words.NOTHING
    return f"{amount(one.low, one.figure)} to {amount(one.high, one.figure)}"


def likeness_columns(found: Comparison, rows: Sequence[int], other: int) -> list[Column]:
    """Return how far each run is the same bet as another one: correlation, time held together, trades that overlap."""
    return [
        Column("correlation", [words.ratio(float(found.correlation[i, other])) for i in rows]),
        Column("both held", [words.percent(float(found.overlap.together[i, other])) for i in rows]),
        Column("in common", [words.percent(float(found.overlap.trades[i, other])) for i in rows]),
        Column("same side", [words.percent(float(found.overlap.same_side[i, other])) for i in rows]),
    ]


def print_better_than_luck(found: Comparison, console: Console) -> None:
    """Print what the test of the lot says, and each run's own verdict where there is one."""
    told, lucks = found.sentences(), [getattr(one, "luck", None) for one in found.assessments]
    if not told and not any(lucks):
        return
    title("Better than luck?", console)
    for sentence in told:
        bullet(sentence, console)
    print_verdicts(short_names(found), lucks, console)


def print_passports(found: Comparison, console: Console) -> None:
    """Print what the passports of the data say, market by market."""
    markets = dict.fromkeys(s.market for s in found.summaries)
    if len(markets) == 1:
        print_data(found.summaries, console)
        return
    for market in markets:
        mine = [s for s in found.summaries if s.market == market]
        title(f"Data of {words.printable(market)}", console)
        for told in dict.fromkeys(words.grade_words(s.grade) for s in mine):
            bullet(told, console)
        for told in dict.fromkeys(words.standing_words(s.standing) for s in mine if s.standing):
            bullet(told, console)
        findings = len({finding for s in mine for finding in s.findings})
        if findings:
            bullet(f"{findings} findings, in summary.json", console)


# --- matrices ---------------------------------------------------------------------------------------------------


def print_matrices(found: Comparison, console: Console) -> None:
    """Print who moves with whom, who holds when whom does, and whose trades are others' trades."""
    print_matrix(found, "Correlation of daily returns", found.correlation, words.ratio, console)
    both = "Share of the time in which row and column both hold a position"
    print_matrix(found, both, found.overlap.together, share, console)
    told = "Share of the row's trades that overlap one of the column's on its symbol"
    sides = found.overlap.same_side
    alike = bool(((sides == found.overlap.trades) | (sides != sides)).all())
    print_matrix(found, f"{told}{' and side' if alike else ''}", found.overlap.trades, share, console)
    if not alike:
        print_matrix(found, "The same, on the same side", sides, share, console)


def share(value: float) -> str:
    """Return a share in whole percent.

    >>> share(0.228), share(math.nan)
    ('23%', '–')
    """
    return words.NOTHING if math.isnan(value) else f"{100 * value:.0f}%"


def print_matrix(
    found: Comparison, told: str, values: Float, written: Callable[[float], str], console: Console
) -> None:
    title(told, console)
    names = [f"{i + 1} {name.split(' ')[0]}" for i, name in enumerate(found.names)]
    columns = [Column(str(j + 1), [written(float(v)) for v in values[:, j]]) for j in range(len(found))]
    name = Column("run", names, ["bold"] * len(names), left=True)
    print_packed(name, [columns], console)
