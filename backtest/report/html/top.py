"""The top of a report: what to believe before any figure, the verdict, and the figures."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from backtest.analysis.summary import Summary
from backtest.model.arrays import utc_text
from backtest.model.passport import Passport
from backtest.model.standing import SUBJECTS, standing
from backtest.report import words
from backtest.report.html.parts import NOTHING, clock, items, part_of, price, section, signed
from backtest.report.html.tags import Markup, el, joined, table
from backtest.report.html.view import RunView
from backtest.report.terminal import nothing_words, order_words, venue_words

__all__ = ["assumptions", "banner", "data", "figures", "heading", "luck_of", "sentences", "verdict"]


def heading(title: str, summaries: Sequence[Summary]) -> Markup:
    """Return the title and what was run: market, span, venue and account."""
    lines = [el("p", " · ".join(line), class_="facts") for line in dict.fromkeys(map(market_words, summaries))]
    lines += [el("p", " · ".join(line), class_="facts") for line in dict.fromkeys(map(account_words, summaries))]
    return joined([el("h1", title), *lines])


def market_words(s: Summary) -> tuple[str, ...]:
    bars = f"{s.bars:,} bars of {words.interval_words(s.interval)}"
    span = words.span_words(utc_text(s.start), utc_text(s.end)) if s.bars else "no span"
    return s.market, ", ".join(s.symbols), span, bars


def account_words(s: Summary) -> tuple[str, ...]:
    engine = s.settings.get("engine")
    return (*venue_words(s), *((f"engine {engine}",) if engine else ()))


def banner(summaries: Sequence[Summary]) -> Markup | None:
    """Return the warning of a simulated market."""
    if not any(s.grade == "D" for s in summaries):
        return None
    told = "prices or other series were made by a generator; the figures say nothing about the past."
    return el("p", el("strong", "SIMULATED MARKET"), " ", told, class_="banner", role="note")


# --- what to believe --------------------------------------------------------------------------------------------


def assumptions(summaries: Sequence[Summary]) -> Markup:
    """Return every assumption in force, in plain words, with how often it was."""
    lines = []
    for name in dict.fromkeys(name for s in summaries for name, n in s.assumptions.items() if n):
        counts = [s.assumptions[name] for s in summaries if s.assumptions.get(name)]
        often = words.times(name, counts, len(summaries))
        lines.append(joined([words.assumption(name), " ", el("span", often, class_="dim") if often else None]))
    return section("assumptions", "Assumptions in force", items(lines or ["none"]))


def data(summaries: Sequence[Summary], passports: Sequence[Passport], symbols: Sequence[str]) -> Markup:
    """Return the passport: the grade, how each subject stands for each symbol, the findings, and each series in detail."""
    grades = [el("p", grade_of(grade), class_="grade") for grade in dict.fromkeys(s.grade for s in summaries)]
    findings = list(dict.fromkeys(f for s in summaries for f in s.findings))
    tiers = list(dict.fromkeys(t for s in summaries for t in s.tier_tables))
    told = [*findings, *([f"margin tiers: {', '.join(tiers)}"] if tiers else [])]
    return section(
        "passport",
        "Passport of the data",
        *grades,
        *(stands(passport, symbols) for passport in passports[:1]),
        items(told) if told else None,
        *(detail(passport) for passport in passports[:1]),
        note="The runs are on several passports; this is the first one's." if len(passports) > 1 else None,
    )


def grade_of(grade: str) -> Markup:
    told = words.grade_words(grade)
    name, _, rest = told.partition(":")
    return joined([el("strong", name[:1].upper() + name[1:], class_=f"grade-{grade}"), f":{rest}"])


def stands(passport: Passport, symbols: Sequence[str]) -> Markup:
    """Return how the series stand, a row a symbol."""
    found = standing(passport, symbols)
    rows = [[s, *(origin(one.origin) for one in found if one.symbol == s and one.subject != "macro")] for s in symbols]
    macro = next(one.origin for one in found if one.subject == "macro")
    headers = ["symbol", *SUBJECTS[:-1]]
    left = range(len(headers))
    grid = table(headers, rows, caption="How each series stands", left=left, class_="standing")
    return joined([grid, el("p", "Macro: ", origin(macro), class_="note")])


def origin(word: str) -> Markup:
    return el("span", word, class_=f"origin {word}")


def detail(passport: Passport) -> Markup:
    rows = [
        [
            s.name,
            s.origin,
            s.source,
            clock(s.start) if s.rows else NOTHING,
            clock(s.end) if s.rows else NOTHING,
            words.count(s.rows),
            words.count(s.gaps),
            words.count(s.filled),
            el("code", s.sha256[:12]),
        ]
        for s in passport.series
    ]
    headers = ["series", "origin", "source", "from (UTC)", "to (UTC)", "values", "missing", "filled", "SHA-256"]
    whole = table(headers, rows, caption="Every series", left=(0, 1, 2, 3, 4, 8), tall=True)
    return el("details", el("summary", f"Every series, with source, span and checksum ({len(rows)})"), whole)


# --- verdict ----------------------------------------------------------------------------------------------------


def verdict(view: RunView) -> Markup:
    """Return whether the result is better than luck, where that was asked, and what limits the run."""
    return section(
        "verdict", "Verdict", el("p", luck_of(view), class_="verdict"), *(el("p", told) for told in sentences(view))
    )


def luck_of(view: RunView) -> Markup:
    """Return the verdict and its sentence, which may begin with it; or that the run was not tested."""
    luck = part_of(view.assessment, "luck")
    if luck is None:
        return joined([el("strong", "No verdict."), " The result was not tested against luck."])
    word, sentence = (str(part_of(luck, name, "") or "") for name in ("verdict", "sentence"))
    word = word[:1].upper() + word[1:]
    if sentence.lower().startswith(word.lower()):
        return joined([el("strong", word), sentence[len(word) :]])
    return joined([el("strong", f"{word}."), " ", sentence])


def sentences(view: RunView) -> list[str]:
    """Return what keeps the figures from meaning much: no bars, a ruin, no trade or one, symbols never traded."""
    s, found = view.summary, []
    if len(view.time) == 0:
        return ["Nothing was scored: the run has no bars."]
    ruined = view.ruined_bar
    if ruined is not None:
        at = clock(int(view.time[ruined]) + s.interval)
        found.append(f"Ruined: nothing was left of the account at the close of bar {ruined + 1:,}, {at} UTC.")
    if s.trades == 0:
        found.append("No trade: nothing on this market met the rule; do its parameters suit these prices?")
    elif s.trades == 1:
        found.append("One trade: its figures describe that trade and no rule.")
    never = [symbol for symbol, n in view.traded.items() if n == 0]
    if s.trades and never:
        found.append(f"Never traded: {', '.join(never)}.")
    refused = nothing_words(s) if s.rejections else ""
    if refused:
        found.append(f"Orders that came to nothing: {refused}.")
    return found


# --- figures ----------------------------------------------------------------------------------------------------


def figures(view: RunView) -> Markup:
    """Return the figures of the whole run, with their intervals where they were made."""
    s = view.summary
    intervals = part_of(part_of(view.assessment, "luck"), "intervals", {}) or {}
    shown = [
        ("return", "total_return", signed(s.total_return, words.percent(s.total_return, sign=True))),
        ("final equity", "final_equity", words.money([s.final_equity])[0]),
        ("CAGR", "cagr", words.percent(s.cagr, sign=True)),
        ("Sharpe", "sharpe", words.ratio(s.sharpe)),
        ("Sortino", "sortino", words.ratio(s.sortino)),
        ("max drawdown", "max_drawdown", words.percent(s.max_drawdown)),
        ("Calmar", "calmar", words.ratio(s.calmar)),
        ("volatility, yearly", "volatility", words.percent(s.volatility)),
        ("trades", "trades", joined([words.count(s.trades), f" ({s.open_trades} open)" if s.open_trades else None])),
        ("win rate", "win_rate", words.percent(s.win_rate)),
        ("exposure", "exposure", words.percent(s.exposure)),
        ("funding paid", "funding_paid", words.money([s.funding_paid])[0]),
        ("fees paid", "fees", words.money([s.fees])[0]),
        ("liquidations", "liquidations", words.count(s.liquidations)),
    ]
    tiles = [
        el("div", el("dt", name), el("dd", value), interval_of(intervals.get(key), key)) for name, key, value in shown
    ]
    order = order_words(s)
    note = el("p", order, class_="note") if order else None
    return section("figures", "Figures", el("dl", *tiles, class_="tiles"), note, every_metric(view))


def interval_of(interval: Any, key: str) -> Markup | None:
    """Return a 95% interval as a line below its figure."""
    if interval is None:
        return None
    low, high = (math.nan if x is None else float(x) for x in interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    write = words.percent if key in FRACTIONS else words.ratio
    return el("dd", f"95%: {write(low)} to {write(high)}", class_="interval")


FRACTIONS = ("total_return", "cagr", "max_drawdown", "volatility", "win_rate", "exposure")


def every_metric(view: RunView) -> Markup | None:
    """Return all the numbers of the assessment, folded away."""
    metrics: Mapping[str, Any] = part_of(view.assessment, "metrics", {}) or {}
    rows = [[str(name).replace("_", " "), number(value)] for name, value in metrics.items()]
    if not rows:
        return None
    whole = table(["figure", "value"], rows, caption="Every figure; fractions, never percent", tall=True)
    return el("details", el("summary", f"Every figure ({len(rows)})"), whole)


def number(value: Any) -> str:
    """Return any number as text; what is none is a dash."""
    if value is None or isinstance(value, str):
        return value or NOTHING
    if isinstance(value, (bool, int)):
        return f"{int(value):,}"
    value = float(value)
    if not math.isfinite(value):
        return NOTHING
    return price(value) if abs(value) < 1e15 else f"{value:.4g}"
