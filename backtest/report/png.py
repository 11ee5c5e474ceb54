"""A run as one picture for a chat or a paper: price with levels and trades, equity, drawdown. Needs matplotlib."""

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.catalogue.runs import SavedRun
from backtest.errors import ConfigError, ResultsError
from backtest.model.arrays import Int64, utc_text
from backtest.model.market import Market
from backtest.model.result import NO_TIME
from backtest.report import words
from backtest.report.html.series import Chart, charts_of
from backtest.report.html.view import RunView, view_of
from backtest.report.terminal import strategy_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["png_run"]

SIZE = (10.0, 7.5)  # inches
DPI = 150
# Colours that readers who confuse red and green can tell apart: Okabe & Ito.
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#777777"
STROKES = {"active": "-", "tested": "-", "broken": "--", "reclaimed": "-.", "flipped": ":"}
SETTINGS: Any = {
    "agg.path.chunksize": 10_000,  # a longer path may be too much for the renderer
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
}


def png_run(
    saved: SavedRun | RunView,
    path: str | os.PathLike[str],
    market: Market | None = None,
    levels: Mapping[str, Any] | None = None,
) -> Path:
    """Write a picture of a run and return its path: equity and drawdown, above them the price where there is a market.

    market: of the run; the symbol that was traded most is drawn, with the levels (by symbol) that the strategy looks at.
    The same run gives the same bytes. A path that is no .png or can't be written, and a missing matplotlib: an error.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() != ".png":
        raise ConfigError(f"A picture is a PNG file; name it {target.with_suffix('.png').name!r}, not {target.name!r}.")
    view = saved if isinstance(saved, RunView) else view_of(saved, levels=levels)
    data = picture(view, next(iter(charts_of(view, market)), None))
    write(target, data)
    return target


def write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ResultsError(f"The picture {path} can't be written: {error.strerror}.") from error


def picture(view: RunView, chart: Chart | None) -> bytes:
    """Return the picture as PNG bytes, drawn without a display and whatever a user's settings of matplotlib are."""
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("A picture needs matplotlib: pip install 'levelbreak[png]'.") from error
    if not len(view.time):
        raise ConfigError("The run has no bar to draw.")
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        draw(figure, view, chart)
        buffer = BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def draw(figure: "Figure", view: RunView, chart: Chart | None) -> None:
    panels = 2 if chart is None else 3
    heights = {2: (3, 2), 3: (3, 2, 1.3)}[panels]
    axes = figure.subplots(panels, 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    heading(figure, view)
    if chart is not None:
        draw_price(axes[0], view, chart)
    draw_equity(axes[-2], view)
    draw_drawdown(axes[-1], view)
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes[-1].xaxis.set_major_locator(locator)
    dates = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes[-1].xaxis.set_major_formatter(dates)
    closes = moments(view.time + view.summary.interval)
    axes[-1].set_xlim(moments(view.time[:1])[0], closes[-1])


def heading(figure: "Figure", view: RunView) -> None:
    """Write what the picture shows; names are no formulas, whatever signs are in them."""
    s = view.summary
    name = f"{words.printable(strategy_name(s.strategy))} on {words.printable(s.market)}"
    facts = [
        words.span_words(utc_text(s.start), utc_text(s.end)),
        f"return {words.percent(s.total_return, sign=True)}",
        f"deepest fall {words.percent(s.max_drawdown)}",
        f"{s.trades:,} trades",
        f"grade {s.grade}",
    ]
    simulated = "SIMULATED MARKET: it says nothing about the past\n" if s.grade == "D" else ""
    told = figure.suptitle(f"{simulated}{name}\n{' · '.join(facts)}", fontsize=10)
    told.set_parse_math(False)


def moments(time: Int64) -> Any:
    return np.asarray(time, dtype=np.int64).astype("datetime64[ns]")


def draw_price(ax: "Axes", view: RunView, chart: Chart) -> None:
    """Draw closes, levels as they were known, entries and exits."""
    ax.plot(moments(chart.time + chart.interval), chart.close, color=GREY, linewidth=0.8)
    known = chart.close[np.isfinite(chart.close)]
    if known.size:
        room = max(0.03 * float(known.max()), 0.08 * float(np.ptp(known)))
        low, high = float(known.min()) - room, float(known.max()) + room
        ax.set_ylim(low, high)
        draw_levels(ax, chart, low, high)
    draw_trades(ax, view, chart.symbol)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    label(ax, f"{words.printable(chart.symbol)}, closes")


def draw_levels(ax: "Axes", chart: Chart, low: float, high: float) -> None:
    for level in chart.levels:
        if not low <= level.price <= high:
            continue
        for start, end, state in level.stretches:
            edges = moments(np.array([start, end]))
            ax.plot(edges, [level.price] * 2, color=ORANGE, linewidth=0.9, linestyle=STROKES.get(state, "-"))
        first = moments(np.array([level.stretches[0][0]]))[0]
        ax.annotate(
            f"{level.price:,.10g}", (first, level.price), (2, 2), textcoords="offset points", color=ORANGE, fontsize=7
        )


def draw_trades(ax: "Axes", view: RunView, symbol: str) -> None:
    trades = view.trades
    mine = np.array([trades.symbols[code] == symbol for code in np.asarray(trades.symbol)], np.bool_)
    side = np.asarray(trades.side)
    for rows, marker, colour, name in (
        (mine & (side > 0), "^", GREEN, "long"),
        (mine & (side < 0), "v", RED, "short"),
    ):
        if rows.any():
            ax.scatter(
                moments(trades.entry_time[rows]),
                trades.entry_price[rows],
                18,
                colour,
                marker=marker,
                label=name,
                zorder=3,
            )
    left = mine & (np.asarray(trades.exit_time) != NO_TIME)
    if left.any():
        ax.scatter(
            moments(trades.exit_time[left]), trades.exit_price[left], 14, "black", marker="x", label="exit", zorder=3
        )
    if mine.any():
        ax.legend(loc="best", fontsize=7, framealpha=0.7)


def draw_equity(ax: "Axes", view: RunView) -> None:
    ax.plot(moments(view.time + view.summary.interval), view.equity, color=BLUE, linewidth=1.0)
    ax.axhline(view.summary.cash, color=GREY, linewidth=0.8, linestyle=":")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    label(ax, "equity, quote units")


def draw_drawdown(ax: "Axes", view: RunView) -> None:
    ax.fill_between(moments(view.time + view.summary.interval), view.drawdown, 0.0, color=RED, alpha=0.5, linewidth=0)
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    label(ax, "drawdown")


def label(ax: "Axes", text: str) -> None:
    ax.set_ylabel(text).set_parse_math(False)
