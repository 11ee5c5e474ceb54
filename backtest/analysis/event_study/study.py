"""The event study of levels: do prices do anything at them that they do not do elsewhere?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.analysis.event_study.assumptions import assumptions
from backtest.analysis.event_study.settings import Settings
from backtest.analysis.event_study.survival import Survival
from backtest.errors import ConfigError, did_you_mean
from backtest.levels import Composed, Detector, Levels, read_levels
from backtest.model.market import Market
from backtest.model.standing import SUBJECTS, standing

if TYPE_CHECKING:
    from backtest.analysis.event_study.findings import Finding
    from backtest.analysis.event_study.outcomes import Events

__all__ = ["LEVELS", "Study", "study"]

LEVELS = "round | fractal(k=24)"
"""The levels that are looked at by default: round numbers, and lows that held for a day to each side on hourly bars."""

PRICE_MADE = {"donchian", "avwap", "profile", "cluster"}
"""Kinds of which a newer level takes an older one's place because of what prices did at it."""

SHARES_AT = (24.0, 72.0, 168.0, 720.0)  # hours


@dataclass(frozen=True, eq=False)
class Study:
    """What a study found, and on what.

    levels: as text; found: levels in the tables of all symbols; kept: those counted, since levels that lie together are one;
    placebo_kept: the mean of that over the placebo sets; events: one row each; findings: each statistic against its null;
    waits: hours from a break to the next level.
    """

    market: str
    grade: str
    standing: dict[str, dict[str, int]]
    symbols: tuple[str, ...]
    start: int
    end: int
    interval: int
    bars: int
    levels: str
    settings: Settings
    found: int
    kept: int
    placebo_kept: float
    events: "Events"
    findings: "tuple[Finding, ...]"
    waits: Survival

    def to_dict(self) -> dict[str, Any]:
        """Return the study as plain data for JSON, without the single events."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("events", "waits")}
        reached = {f"{hours:g}": self.waits.reached(hours) for hours in SHARES_AT}
        wait = {"events": waiting(self.waits), "median_hours": self.waits.median, "reached": reached}
        return plain | {
            "settings": asdict(self.settings),
            "findings": [asdict(f) for f in self.findings],
            "touches": int(self.events.bounced.size),
            "breaks": int(self.events.bar.size),
            "time_to_next_level": wait,
            "assumptions": list(assumptions(self.settings, self.interval)),
        }


def waiting(survival: Survival) -> int:
    return int(survival.at_risk[0]) if survival.at_risk.size else 0


def study(
    market: Market,
    symbols: Sequence[str] | None = None,
    levels: str | Detector | Levels = LEVELS,
    **settings: Any,
) -> Study:
    """Return what prices did at the levels of a market, beside what they did at placebo levels and what a martingale does.

    symbols: those of the market that are looked at, None for all; they are pooled, since it takes many events to tell.
    levels: text as for `read_levels`, a detector or a table, found in each symbol's own bars; what lies within the width of an
    older living level counts as that level. settings: the fields of `Settings`, such as `rule`, `buffer`, `reclaim`, `sets`
    and `seed`; the same seed gives the same study.

    Events before the market's `trade_from` are not counted. Placebo sets have as many levels of each kind on each side of the
    price, known at the same bars and as long-lived, at the distances in ATRs of the others of their kind; the levels of a grid
    are moved together. All walk the same lines. Errors (ConfigError): an unknown setting or symbol, a value out of range,
    levels that are none, no level in the bars. Sources: C. Osler, FRBNY Economic Policy Review 6(2), 2000, for bounces at
    artificial levels; B. North, D. Curtis & P. Sham, Am. J. Human Genetics 71 (2002), for (1 + #) / (1 + N).
    """
    from backtest.analysis.event_study.findings import findings  # imported late: what it walks with imports numba
    from backtest.analysis.event_study.lines import Path
    from backtest.analysis.event_study.outcomes import events_of, waits
    from backtest.analysis.event_study.placebo import Grid, count_placebos, count_real, placement
    from backtest.analysis.event_study.sets_walk import KEPT

    names, detector = chosen_symbols(market, symbols), detector_of(levels)
    asked = settings_of(settings, market, detector)
    paths = [Path(market[name], asked) for name in names]
    tables = [unmerged(detector.find(path.bars)) for path in paths]
    placed = placement(paths, tables, asked)
    if not len(placed):
        raise ConfigError(f"The levels {text_of(levels)!r} have no level in the bars of {', '.join(names)}.")
    grid = Grid.of(paths, placed)
    land, totals, noted, facts = count_real(paths, placed, grid, asked)
    events = events_of(paths, placed, land, noted, facts)
    sets = count_placebos(paths, placed, grid, asked)
    closes, names_of_moves = [path.bars.close for path in paths], labels(asked, market.interval)
    moved = sorted(PRICE_MADE & {kind for table in tables for kind in table.kind})
    return Study(
        market=market.name,
        grade=market.passport.grade,
        standing=standing_of(market, names),
        symbols=names,
        start=int(market.time[min(asked.since, len(market) - 1)]),
        end=int(market.known_at[-1]),
        interval=market.interval,
        bars=len(market) - asked.since,
        levels=text_of(levels),
        settings=asked,
        found=len(placed),
        kept=int(totals[KEPT]),
        placebo_kept=float(sets[:, KEPT].mean()),
        events=events,
        findings=findings(events, closes, totals, sets, names_of_moves, moved, asked),
        waits=waits(paths, events),
    )


def chosen_symbols(market: Market, symbols: Sequence[str] | None) -> tuple[str, ...]:
    """Return the symbols that are looked at, each once, which have prices."""
    given = (symbols,) if isinstance(symbols, str) else symbols or market.symbols
    names = tuple(dict.fromkeys(given))
    for name in names:
        market.position(name)
    traded = tuple(name for name in names if np.isfinite(market[name].close).any())
    if not traded:
        raise ConfigError(f"None of {', '.join(names)} has a price in the market {market.name}.")
    return traded


def detector_of(levels: str | Detector | Levels) -> Detector | Levels:
    found = read_levels(levels) if isinstance(levels, str) else levels
    if not isinstance(found, (Detector, Levels)):
        raise ConfigError(f"`levels` must be text like {LEVELS!r}, a detector or a table of levels, got {levels!r}.")
    return found


def text_of(levels: str | Detector | Levels) -> str:
    if isinstance(levels, Levels):
        return f"a table of {len(levels)}"
    return levels if isinstance(levels, str) else repr(levels)


def settings_of(given: dict[str, Any], market: Market, detector: Detector | Levels) -> Settings:
    """Return the settings of the study; levels that were composed bring the width within which they are one."""
    known = [field.name for field in fields(Settings) if field.name != "since"]
    for name in given:
        if name not in known:
            raise ConfigError(f"A study has no setting named {name!r}.{did_you_mean(name, known)}")
    if isinstance(detector, Composed) and detector.atrs > 0:
        raise ConfigError(
            f"A study merges within a fraction of the price; leave `atrs` {detector.atrs:g} out of `.within`."
        )
    own = {"merge": detector.width} if isinstance(detector, Composed) and detector.width > 0 else {}
    return Settings(**{**own, **given}, since=market.start_bar)


def unmerged(levels: Levels) -> Levels:
    """Return the rows that a composed table was made of: the study merges real and placebo levels by one rule."""
    return levels if levels.merged is None else levels.merged.rows


def standing_of(market: Market, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Return, by subject of the data, how many symbols it is real, proxy, simulated, assumed or missing for."""
    found: dict[str, dict[str, int]] = {}
    for one in standing(market.passport, names):
        if one.subject in SUBJECTS:
            of = found.setdefault(one.subject, {})
            of[one.origin] = of.get(one.origin, 0) + 1
    return found


def labels(settings: Settings, interval: int) -> list[str]:
    """Return the names of the moves, in the order of their columns."""
    returns = [f"forward return {hours_words(hours)}" for hours in settings.horizons(interval)]
    ahead = hours_words(settings.excursion_hours)
    return [*returns, f"farthest rise {ahead} (against a short)", f"farthest fall {ahead} (for a short)"]


def hours_words(hours: float) -> str:
    """Return a span of hours as 4h or 3d."""
    return f"{hours / 24:g}d" if hours >= 72 and hours % 24 == 0 else f"{hours:g}h"
