"""What the page's script draws from, as plain data with packed arrays; app.js is its only reader."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.model.arrays import SECOND
from backtest.model.result import EXIT_REASONS, NO_TIME
from backtest.report.html.lists import shown_trades
from backtest.report.html.pack import packed, packed_times, packed_whole
from backtest.report.html.parts import price
from backtest.report.html.series import Chart
from backtest.report.html.view import RunView
from backtest.report.words import printable

__all__ = ["comparison_data", "run_data"]

PRICE, FLOW = 7, 5  # digits of a price and of an amount: more than a screen shows
STOPS = ("stop", "close_stop", "trail")


def run_data(view: RunView, charts: Sequence[Chart]) -> dict[str, Any]:
    return {
        "kind": "run",
        "charts": [chart_data(chart) for chart in charts],
        "equity": equity_data(view),
        "trades": trade_data(view, charts),
    }


def comparison_data(views: Sequence[RunView], names: Sequence[str]) -> dict[str, Any]:
    runs = [{"name": printable(name), **equity_data(view)} for view, name in zip(views, names, strict=True)]
    return {"kind": "comparison", "runs": runs}


def equity_data(view: RunView) -> dict[str, Any]:
    return {
        "t": packed_times(view.time, view.summary.interval),
        "v": packed(view.equity, PRICE),
        "cash": view.summary.cash,
    }


def chart_data(chart: Chart) -> dict[str, Any]:
    prices = {name: packed(getattr(chart, name), PRICE) for name in ("open", "high", "low", "close")}
    flows = {name: packed(getattr(chart, name), FLOW) for name in ("volume", "open_interest", "longs", "shorts")}
    return {
        "symbol": printable(chart.symbol),
        "t": packed_times(chart.time, chart.interval),
        **prices,
        **flows,
        "unit": printable(chart.unit),
        "funding": {"bar": packed_whole(chart.funding_bar), "rate": packed(chart.funding, FLOW)},
        "levels": [level_data(line) for line in chart.levels],
    }


def level_data(line: Any) -> dict[str, Any]:
    parts = [[start // SECOND, end // SECOND, state] for start, end, state in line.stretches]
    return {"price": line.price, "label": f"{price(line.price)} {printable(line.kind)}", "parts": parts}


def trade_data(view: RunView, charts: Sequence[Chart]) -> dict[str, Any]:
    """Return the trades' columns; an open trade's end is that of the last bar, and its `kind` says so."""
    t, n = view.trades, shown_trades(view)
    order = {chart.symbol: k for k, chart in enumerate(charts)}
    last = int(view.time[-1]) if len(view.time) else 0
    exits = np.where(t.exit_time[:n] == NO_TIME, last, t.exit_time[:n])
    return {
        "n": n,
        "number": packed_whole(t.trade[:n]),
        "chart": packed_whole([order.get(t.symbols[s], -1) for s in t.symbol[:n]]),
        "side": packed_whole(t.side[:n]),
        "in": packed_whole(t.entry_time[:n] // SECOND),
        "out": packed_whole(exits // SECOND),
        "inPrice": packed(t.entry_price[:n], PRICE),
        "outPrice": packed(t.exit_price[:n], PRICE),
        "pnl": packed(t.pnl[:n], FLOW),
        "kind": packed_whole([kind_of(int(code)) for code in t.reason[:n]]),
    }


def kind_of(reason: int) -> int:
    """Return 0 for an ordinary exit, 1 for a stop, 2 for a liquidation, 3 for a trade that is still open."""
    name = EXIT_REASONS[reason]
    return 2 if name == "liquidation" else 3 if name == "open" else 1 if name in STOPS else 0
