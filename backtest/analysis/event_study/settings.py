"""What a study is asked: what counts as a touch and a break, how far it looks, and how many placebo sets it draws."""

from dataclasses import dataclass

from backtest.levels.break_rule import BreakRule
from backtest.levels.checks import whole_bars
from backtest.levels.detector import number, whole
from backtest.model.arrays import DAY, HOUR

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The settings of a study; what has no source is this project's [D]. Widths are in ATRs of `atr_bars` bars.

    reclaim: bars in which a return makes a break a false one, and least bars between two counted breaks of a level; None: 5 on
    daily bars, else 24. effect, power, size: a share has enough events when a difference of `effect` (fraction) is found with
    this power by a two-sided test of this size, and a mean when it has as many; floor: below so many events nothing is tested.
    """

    rule: str = "close"  # what a break is: wick, close, n_closes, retest, reclaim
    buffer: float = 0.003  # least delta, fraction of the level
    buffer_atr: float = 0.25  # least delta, ATRs
    closes: int = 2  # of n_closes
    volume: float = 0.0  # the breaking bar's volume, multiples of the median before it
    reclaim: int | None = None
    zone: float = 0.15  # a touch comes this near
    away: float = 0.5  # ... after a close this far from the level
    leave: float = 1.0  # a close this far above ends a touch as a bounce
    touch_bars: int = 6  # least bars from touch to touch
    atr_bars: int = 14
    sigma_bars: int = 168  # window of the deviation behind the martingale
    hours: tuple[float, ...] = (1.0, 4.0, 24.0, 72.0, 168.0)  # horizons of the forward returns
    excursion_hours: float = 24.0  # how long the farthest rise and fall are looked for
    life_days: float = 180.0  # from becoming known to retirement
    round_trips: int = 2  # returns after a break that retire a level
    permanent: tuple[str, ...] = ("fixed", "round")  # kinds that never retire
    merge: float = 0.003  # levels nearer than this are one, fraction, in steps of 0.1%
    sets: int = 1_000
    seed: int = 0
    effect: float = 0.046
    power: float = 0.8
    size: float = 0.05
    floor: int = 30
    since: int = 0  # the first bar that is scored

    def __post_init__(self) -> None:
        BreakRule(self.rule, self.buffer, self.buffer_atr, self.closes, self.volume, within=self.reclaim)
        for name in ("closes", "touch_bars", "atr_bars", "sigma_bars", "round_trips"):
            whole_bars(name, getattr(self, name))
        for name in ("zone", "away", "leave", "excursion_hours", "life_days"):
            number(name, getattr(self, name), above=True)
        for name in ("merge", "effect", "power", "size"):
            number(name, getattr(self, name), 0, 0.999, above=True)
        for hours in self.hours:
            number("hours", hours, above=True)
        for name, least in (("sets", 1), ("seed", 0), ("floor", 2), ("since", 0)):
            whole(name, getattr(self, name), least)

    @property
    def break_rule(self) -> BreakRule:
        """What a break is."""
        return BreakRule(self.rule, self.buffer, self.buffer_atr, self.closes, self.volume, within=self.reclaim)

    def reclaim_bars(self, interval: int) -> int:
        """Return the bars in which a return makes a break a false one."""
        return self.reclaim or (5 if interval >= DAY else 24)

    def horizons(self, interval: int) -> tuple[float, ...]:
        """Return the horizons that are whole bars of the interval, hours."""
        return tuple(hours for hours in self.hours if hours * HOUR % interval == 0)

    def bars(self, hours: float, interval: int) -> int:
        """Return a span of hours in bars, at least one."""
        return max(1, round(hours * HOUR / interval))
