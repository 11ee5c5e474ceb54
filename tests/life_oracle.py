"""The life of levels once more, bar by bar as `life` says it, with nothing passed over: slow, and written apart from the walk."""

from dataclasses import dataclass, field

import numpy as np

from backtest.levels import atr

DAY = 86_400_000_000_000


@dataclass
class Watch:
    """One level on its way through the bars; `left`: a close went far enough off since the last bar in the zone."""

    level: float
    width: float
    rules: object
    soon: int
    state: str = ""
    was_support: bool = False
    left: bool = False
    touch: int | None = None
    waiting: bool = False
    broken_at: int = 0
    counts: dict = field(default_factory=lambda: {"touches": 0, "bounces": 0, "returns": 0})
    told: list = field(default_factory=list)

    def tell(self, bar, state, broke=False):
        self.state = state
        self.told.append((bar, state, *self.counts.values(), broke))

    def end(self, bar):
        if self.state:
            self.tell(bar, "retired")

    def start_anew(self, left):
        self.left, self.waiting = left, False

    def meet(self, bar, price, far):
        self.was_support = price >= self.level
        self.start_anew(abs(price - self.level) > far)
        self.tell(bar, "active" if self.was_support else "broken")

    def comes_into_zone(self, bar, low, high, zone, from_below=False):
        """Whether it is a touch; a retest from below waits for its rejection even where it comes too soon for one."""
        if low > self.level + zone or high < self.level - zone:
            return False
        came, self.left = self.left, False
        late = self.touch is None or bar - self.touch >= self.rules.quiet_bars
        if came and late:
            self.touch = bar
        if came and (late or from_below):
            self.waiting = True
        return came and late

    def comes_back(self, bar, left):
        if self.was_support:
            self.counts["returns"] += 1
        false = self.was_support and self.state == "broken" and bar - self.broken_at <= self.soon
        self.was_support = True
        self.start_anew(left)
        self.tell(bar, "reclaimed" if false else "active")

    def take(self, bar, low, high, price, through, span):
        known = not np.isnan(span)
        zone = max(self.rules.zone * span if known else 0.0, self.width)
        delta = max(self.rules.buffer_atr * span if known else 0.0, self.rules.buffer * self.level)
        far = max(self.rules.away * span, zone) if known else np.inf
        gone = max(self.rules.leave * span, zone) if known else np.inf
        if not self.state:
            return self.meet(bar, price, far)
        if self.state in ("broken", "flipped"):
            return self.from_below(bar, low, high, price, zone, delta, far, gone)
        return self.from_above(bar, low, high, price, through, zone, delta, far, gone)

    def from_above(self, bar, low, high, price, through, zone, delta, far, gone):
        if self.comes_into_zone(bar, low, high, zone):
            self.counts["touches"] += 1
            self.tell(bar, "tested")
        if through < self.level - delta:
            self.start_anew(price < self.level - far)
            self.broken_at = bar
            self.tell(bar, "broken", True)
            if price > self.level + delta:
                self.comes_back(bar, price > self.level + far)
            return
        if self.waiting and price > self.level + gone:
            self.waiting = False
            self.counts["bounces"] += 1
            self.tell(bar, self.state)
        self.left = self.left or price > self.level + far

    def from_below(self, bar, low, high, price, zone, delta, far, gone):
        if price > self.level + delta or (not self.was_support and price >= self.level):
            return self.comes_back(bar, price > self.level + far)
        self.comes_into_zone(bar, low, high, zone, from_below=True)
        if self.waiting and price < self.level - gone:
            self.waiting = False
            if self.state == "broken":
                self.tell(bar, "flipped")
        self.left = self.left or price < self.level - far


def lives(bars, levels, rules):
    """Return (row, bar, state, touches, bounces, returns, broke) of every event, by row and time."""
    spans, closes = atr(bars, rules.atr_bars), bars.known_at.tolist()
    found = []
    for row, one in enumerate(levels):
        lasting = one.kind in rules.permanent
        most = np.inf if lasting or rules.round_trips is None else rules.round_trips
        old = (
            np.inf if lasting or rules.life_days is None else max(one.known_at, closes[0]) + int(rules.life_days * DAY)
        )
        soon = rules.reclaim_bars or (5 if bars.interval >= DAY else 24)
        watch = Watch(one.price, one.half_width, rules, soon)
        for t, close in enumerate(closes):
            last = close == one.until  # at this close a newer one takes its place; the bar is still its own
            if close > one.until or (close >= old and not last):
                watch.end(t)
                break
            price = bars.close[t]
            if not np.isnan(price) and close >= one.known_at:
                through = bars.low[t] if rules.rule == "wick" else price
                watch.take(t, bars.low[t], bars.high[t], price, through, spans[t])
            if watch.counts["returns"] >= most or last:
                watch.end(t)
                break
        found += [(row, *event) for event in watch.told]
    return found
