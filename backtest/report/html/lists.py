"""The long tables of a run: trades, breaks and drawdowns; and the configuration that makes the run again."""

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.catalogue.toml import config_to_toml
from backtest.errors import ConfigError
from backtest.model.config import DEFAULT_MARKET, DEFAULT_VENUE, RunConfig
from backtest.model.result import EXIT_REASONS, NO_TIME
from backtest.report import words
from backtest.report.html.parts import NOTHING, clock, duration, part_of, price, section, signed
from backtest.report.html.series import Chart
from backtest.report.html.tags import Markup, el, escaped, joined, table
from backtest.report.html.view import RunView

__all__ = ["breaks", "command", "configuration", "drawdowns", "shown_trades", "trades"]

MOST_TRADES = 2_000
MOST_BREAKS = 300
OPTIONS = {"cash": "--cash", "leverage": "--leverage", "margin_mode": "--margin", "intrabar": "--intrabar"}


# --- trades -----------------------------------------------------------------------------------------------------


def shown_trades(view: RunView) -> int:
    """Return how many trades, from the first on, a page shows."""
    return min(len(view.trades), MOST_TRADES)


def trades(view: RunView, charted: bool) -> Markup:
    """Return the table of trades; where there is a chart, each leads to its place there."""
    n = shown_trades(view)
    if n == 0:
        return section("trades", "Trades", el("p", "No trade."))
    headers = [
        "trade",
        "symbol",
        "side",
        "in (UTC)",
        "at",
        "out (UTC)",
        "at",
        "held",
        "return",
        "PnL",
        "fees",
        "funding",
        "why",
    ]
    rows = trade_rows(view, n, charted)
    whole = table(headers, rows, caption="Trades", left=(0, 1, 2, 3, 5, 12), class_="trades", tall=True)
    left_out = len(view.trades) - n
    note = "Fees and funding are inside the PnL; a return is PnL over what the position was worth at its entry."
    more = f" The first {n:,} are shown; {left_out:,} more are in trades.parquet." if left_out else ""
    return section("trades", "Trades", whole, *stats(view), note=note + more)


def stats(view: RunView) -> list[Markup]:
    """Return the figures of groups of trades, folded away: by side, level and rung, where the assessment has them."""
    found = part_of(view.assessment, "trade_stats") or {}
    folded = []
    for name, rows in found.items():
        figures = list(dict.fromkeys(figure for row in rows.values() for figure in row))
        if not any(row.get("trades") for row in rows.values()):
            continue
        cells = [[str(label), *(stat(figure, row.get(figure)) for figure in figures)] for label, row in rows.items()]
        headers = [name, *(figure.replace("_", " ") for figure in figures)]
        told = f"Closed trades by {name}"
        folded.append(el("details", el("summary", told), table(headers, cells, caption=told, tall=True)))
    return folded


def stat(figure: str, value: Any) -> str:
    """Return a figure of a group of trades as text."""
    number = float("nan") if value is None else float(value)
    if figure in ("win_rate", "mean_return", "mae", "mfe"):
        return words.percent(number)
    if figure in ("trades", "open_trades", "liquidations"):
        return words.count(number)
    return words.ratio(number) if figure in ("payoff", "profit_factor") else words.money([number])[0]


def trade_rows(view: RunView, n: int, charted: bool) -> list[list[Any]]:
    t, rows, returns = view.trades, [], view.trade_returns
    pnl, fees, funding = words.same_digits([t.pnl[:n].tolist(), t.fees[:n].tolist(), t.funding[:n].tolist()])
    end = int(view.time[-1]) + view.summary.interval if len(view.time) else 0
    for i in range(n):
        left = None if t.exit_time[i] == NO_TIME else int(t.exit_time[i])
        side = "long" if t.side[i] > 0 else "short"
        number = str(int(t.trade[i]))
        rows.append(
            [
                jump(i, number, f"Show trade {number} on the chart") if charted else number,
                t.symbols[t.symbol[i]],
                side,
                clock(int(t.entry_time[i])),
                price(float(t.entry_price[i])),
                clock(left) if left is not None else "open",
                price(float(t.exit_price[i])),
                duration((left if left is not None else end) - int(t.entry_time[i])),
                signed(float(t.pnl[i]), words.percent(float(returns[i]), sign=True)),
                signed(float(t.pnl[i]), pnl[i]),
                fees[i],
                funding[i],
                EXIT_REASONS[t.reason[i]].replace("_", " "),
            ]
        )
    return rows


def jump(trade: int, text: str, label: str) -> Markup:
    """Return a button that leads to a trade on the chart, as the header of its row."""
    return el("th", el("button", text, type="button", data_trade=trade, aria_label=label), scope="row", class_="l")


# --- breaks and drawdowns ---------------------------------------------------------------------------------------


def breaks(view: RunView, charts: Sequence[Chart]) -> Markup:
    """Return every break of a watched level, what came of it, and the trades that were entered at the next open."""
    title = "Breaks of the levels"
    if not view.levels:
        return section("breaks", title, el("p", "The strategy names no levels, so there is no break to list."))
    if not charts:
        return section("breaks", title, el("p", "The market was not at hand, so its breaks were not looked for."))
    found = sorted(((row, chart, k) for k, chart in enumerate(charts) for row in chart.breaks), key=lambda x: x[0].time)
    if not found:
        return section("breaks", title, el("p", "None of the levels broke in this span."))
    several = len({chart.symbol for _, chart, _ in found}) > 1
    rows = [break_cells(view, row, chart, k, several) for row, chart, k in found[:MOST_BREAKS]]
    headers = ["broken (UTC)", *(["symbol"] if several else []), "level", "kind", "close", "below", "lowest", "after"]
    headers += ["outcome", "reclaimed (UTC)", "trades"]
    s = int(several)
    whole = table(headers, rows, caption="Breaks", left=(0, s, 2 + s, 7 + s, 8 + s, 9 + s), tall=True)
    more = f" The first {MOST_BREAKS} of {len(found):,} are shown." if len(found) > MOST_BREAKS else ""
    note = (
        "By the strategy's own rule and buffer where it has them, else by closes 0.3% below. Lowest: until the reclaim, or the "
        "end. A false break is reclaimed within 24 bars, 5 of daily ones."
    )
    return section("breaks", title, whole, note=note + more)


def break_cells(view: RunView, row: Any, chart: Chart, k: int, several: bool) -> list[Any]:
    when = clock(row.time)
    show = el(
        "button", when, type="button", data_chart=k, data_time=row.time // 10**9, aria_label=f"Show the break of {when}"
    )
    return [
        el("th", show, scope="row", class_="l"),
        *([chart.symbol] if several else []),
        price(row.level),
        row.kind,
        price(row.close),
        words.percent(row.close / row.level - 1),
        words.percent(row.lowest / row.level - 1),
        f"{row.bars:,} bars",
        row.outcome,
        clock(row.reclaimed),
        ", ".join(entered(view, chart.symbol, row.time)) or NOTHING,
    ]


def entered(view: RunView, symbol: str, time: int) -> list[str]:
    """Return the numbers of the trades in a symbol that were entered in the bar after a break."""
    t = view.trades
    if symbol not in t.symbols:
        return []
    soon = (t.entry_time >= time) & (t.entry_time < time + view.summary.interval)
    return [str(int(n)) for n in t.trade[np.asarray(soon & (np.asarray(t.symbol) == t.symbols.index(symbol)))]]


def drawdowns(view: RunView) -> Markup | None:
    """Return the deepest drawdowns, where the assessment lists them."""
    found = part_of(view.assessment, "drawdowns") or ()
    rows = [
        [
            clock(as_time(part_of(one, "start"))),
            clock(as_time(part_of(one, "trough"))),
            clock(as_time(part_of(one, "recovery"))) if as_time(part_of(one, "recovery")) else "not yet",
            words.percent(float(part_of(one, "depth", float("nan")))),
            words.count(float(part_of(one, "bars", float("nan")))),
        ]
        for one in found
    ]
    if not rows:
        return None
    headers = ["from (UTC)", "lowest (UTC)", "recovered (UTC)", "depth", "bars"]
    return section("drawdowns", "Deepest drawdowns", table(headers, rows, caption="Drawdowns", left=(0, 1, 2)))


def as_time(value: Any) -> int | None:
    return None if value is None or value != value or int(value) in (0, NO_TIME) else int(value)


# --- configuration ----------------------------------------------------------------------------------------------


def configuration(views: Sequence[RunView]) -> Markup:
    """Return what makes the runs again: a command each, and each configuration as TOML."""
    configs = [(view, view.config) for view in views if view.config is not None]
    if not configs:
        told = "The run came from a plan of a script, so no command makes it again."
        return section("configuration", "Configuration", el("p", told))
    parts = []
    for view, config in configs:
        parts.append(el("pre", command(config), tabindex=0, class_="command"))
        rest = [name for name, _ in config.account if name not in OPTIONS]
        if rest:
            parts.append(el("p", f"The command line has no option for {', '.join(rest)}; from Python: ", class_="note"))
            parts.append(el("pre", python_call(config), tabindex=0))
        title = " · ".join(["config.toml", *([f"run {view.identity}"] if view.identity else [])])
        parts.append(el("details", el("summary", title), el("pre", toml(config), tabindex=0)))
    return section("configuration", "Make it again", *parts)


def command(config: RunConfig) -> str:
    """Return the command that makes a run again.

    >>> command(RunConfig("support_break", parameters=(("levels", (75_000.0, 70_000.0)),), engine="fast"))
    'backtest run support_break --market deleveraging-2026 --set levels=75000.0,70000.0 --engine fast'
    """
    given = ["backtest", "run", config.strategy, "--market", config.market or DEFAULT_MARKET]
    for name, value in config.parameters:
        given += ["--set", f"{name}={setting(value)}"]
    if config.venue != DEFAULT_VENUE:
        given += ["--venue", config.venue]
    for name, value in config.account:
        if name in OPTIONS:
            given += [OPTIONS[name], setting(value)]
    rest = {"--engine": config.engine, "--seed": config.seed, "--assume-funding": config.assume_funding}
    for option, chosen in rest.items():
        if chosen is not None:
            given += [option, setting(chosen)]
    return shlex.join(given)


def setting(value: Any) -> str:
    """Return a value as the command line takes it, to the last digit."""
    if isinstance(value, (tuple, list)):
        return ",".join(setting(v) for v in value)
    return repr(value) if isinstance(value, float) else words.value_words(value)


def python_call(config: RunConfig) -> str:
    names = ("market", "venue", "engine", "seed", "assume_funding")
    told = [repr(config.strategy), *(f"{k}={getattr(config, k)!r}" for k in names if getattr(config, k) is not None)]
    return f"run({', '.join(told)}, account={dict(config.account)!r}, parameters={dict(config.parameters)!r})"


def toml(config: RunConfig) -> Markup:
    try:
        lines = config_to_toml(config).rstrip("\n").split("\n")
    except ConfigError as error:
        return escaped(error)
    return joined([escaped(line) for line in lines], Markup("\n"))
