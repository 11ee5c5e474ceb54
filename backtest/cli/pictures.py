"""What `show` draws of a run: in the terminal, or as a picture with its market."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.errors import LevelbreakError

if TYPE_CHECKING:
    from backtest.catalogue import SavedRun
    from backtest.model import Market

__all__ = ["market_and_levels", "write_png"]


def write_png(saved: "SavedRun", path: Path) -> tuple[Path, str]:
    """Write the picture of a run, and return its path, and a sentence where there is no price in it."""
    from backtest.report.png import png_run

    market, levels, problem = market_and_levels(saved)
    return png_run(saved, path, market, levels), problem


def market_and_levels(saved: "SavedRun") -> "tuple[Market | None, Mapping[str, Any] | None, str]":
    """Return the market of a run with the levels that its strategy looks at, or None and why it can't be had."""
    from backtest.cli.keeping import watched
    from backtest.plugins import load_strategy
    from backtest.runner import market_of

    try:
        market = market_of(saved.config)
    except LevelbreakError as error:
        return None, None, f"The picture has no price: {error}"
    if changed(saved, market):
        return None, None, "The picture has no price: the data of the market are not those of the run any more."
    try:
        strategy = load_strategy(saved.config.strategy, dict(saved.config.parameters))
        return market, watched(strategy, market, saved.config), ""
    except LevelbreakError:  # without its strategy a run has the levels of its configuration
        return market, None, ""


def changed(saved: "SavedRun", market: "Market") -> bool:
    """Return whether the market's series are others than those that the run recorded."""
    recorded = {(s.get("name"), s.get("sha256")) for s in saved.summary.get("passport", {}).get("series", ())}
    return any((s.name, s.sha256) not in recorded for s in market.passport.series)
