"""Random cases told as short stories, each written with the coming bars in sight, so that rare paths of the law are met.

A story opens a position or lets an entry rest, and then does to it what random rows seldom do at the right bar: a target
amended to where the next open has passed it, an order that meets a gap or a halt, a level equal to an extreme.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from cases import (
    COLUMNS,
    NAN,
    Case,
    Taste,
    Weather,
    chance,
    enter_row,
    random_exposure,
    random_market,
    random_venue,
    rows_of_bar,
)

from backtest.model import Instrument, Market, Plan, TierTable, Venue

ROUGH = Weather(missing=0.35, halts=2.5, jumps=0.12, heavy=0.3, off=(0.0, 0.02, 0.08))
ENTER, EXIT, AMEND, RESIZE = range(4)
TICK = 0.5


def rare_case(seed: int) -> Case:
    """Return a market, a plan and a venue drawn from the seed."""
    rng = np.random.default_rng((seed, 1))
    intrabar = str(rng.choice(["worst", "best", "fine"], p=[0.5, 0.3, 0.2]))
    market = random_market(rng, int(rng.integers(8, 31)), intrabar == "fine", ROUGH)
    venue = rough_venue(rng, market, intrabar)
    taste = Taste(venue.leverage, float(rng.choice([0.1, 0.4, 1.0])), float(rng.choice([0.5, 1.02])))
    return market, Script(rng, market, taste).plan(), venue


def rough_venue(rng: np.random.Generator, market: Market, intrabar: str) -> Venue:
    # An odd sum: a wallet in round cents may end at 1e-9 of the cash to the last bit, and ruin would hang on rounding.
    venue = replace(random_venue(rng, market, intrabar), cash=float(rng.choice([1_000.37, 10_003.7])))
    if math.isinf(venue.leverage):
        return venue
    calm = {"default": lenient_instrument(rng, market, venue.cash), "instruments": {}} if chance(rng, 0.7) else {}
    leverage, slippage = float(rng.choice([2.0, 5.0, 10.0, 20.0, 50.0])), float(rng.choice([0.0, 0.0, 0.001, 0.01]))
    if chance(rng, 0.3):
        # The slippage of a round trip is as large as the posted margin: closes beyond the bankruptcy price.
        leverage, slippage = ((50.0, 0.01), (20.0, 0.03))[int(rng.integers(2))]
    return replace(
        venue,
        **calm,
        taker=float(rng.choice([0.0, 0.0005, 0.0005, 0.01])),
        leverage=leverage,
        slippage=slippage,
        margin_mode="isolated" if chance(rng, 0.6) else "cross",
    )


def lenient_instrument(rng: np.random.Generator, market: Market, cash: float) -> Instrument:
    """Tables that let most entries through; sometimes one that takes over in mid-run and asks for much more."""
    lot = float(rng.choice([0.001, 0.1]))
    tables = [TierTable("lenient", 0, "random", (0.0, 2 * cash), (0.0041, 0.0083), (125.0, 75.0))]
    if chance(rng, 0.4):
        date = int(market.time[int(rng.integers(2, len(market)))])
        tables.append(TierTable("strict", date, "random", (0.0, cash), (0.0173, 0.0619), (50.0, 20.0)))
    return Instrument(lot, float(rng.choice([0.0, 0.0, 100.0])), tuple(tables))


@dataclass
class Script:
    """The rows of a plan by bar and symbol, and the stories that write them."""

    rng: np.random.Generator
    market: Market
    taste: Taste
    rows: dict[tuple[int, int], list[dict[str, Any]]] = field(default_factory=dict)

    def plan(self) -> Plan:
        market, rng = self.market, self.rng
        for j in range(len(market.symbols)):
            bar = int(rng.integers(0, 3))
            while bar < len(market) - 1:
                story = STORIES[int(rng.integers(len(STORIES)))]
                bar = story(self, bar, j) + int(rng.choice([0, 0, 1, 2]))
            self.last_bars(j)
        self.scatter()
        bars = sorted(self.rows, key=lambda at: (at[0], rng.random()))
        rows = [{**row, "bar": bar, "symbol": j} for bar, j in bars for row in self.rows[bar, j]]
        if not rows:
            return Plan.empty()
        columns: dict[str, Any] = {name: [row.get(name, NAN) for row in rows] for name in COLUMNS[:9]}
        columns["valid_bars"] = [row.get("valid_bars", 1) for row in rows]
        columns["max_bars"] = [row.get("max_bars", 0) for row in rows]
        for name in ("bar", "symbol", "kind"):
            columns[name] = [row[name] for row in rows]
        return Plan(market.symbols, **columns)

    # ---------------------------------------- rows

    def put(self, bar: int, j: int, kind: int, **columns: float) -> None:
        """Add a row where the bar still takes it: one action, or exit and then enter; any number of amends."""
        here = self.rows.setdefault((bar, j), [])
        actions = [row["kind"] for row in here if row["kind"] != AMEND]
        if kind == AMEND or not actions or (actions == [EXIT] and kind == ENTER):
            here.append({"kind": kind, **columns})

    def scatter(self) -> None:
        """Strew some rows of no story between the others."""
        for bar in range(len(self.market)):
            for j in range(len(self.market.symbols)):
                if (bar, j) not in self.rows and chance(self.rng, 0.1):
                    side = {j: int(self.rng.choice([-1, 1]))}
                    self.rows[bar, j] = rows_of_bar(self.rng, self.market, bar, j, side, self.taste)

    def last_bars(self, j: int) -> None:
        """Rows that are read at the last open, or at none."""
        for bar in (len(self.market) - 2, len(self.market) - 1):
            if chance(self.rng, 0.3):
                kind = int(self.rng.integers(4))
                if kind == AMEND:
                    self.put(bar, j, AMEND, **self.levels(bar, j))
                elif kind == EXIT:
                    self.put(bar, j, EXIT)
                else:
                    self.put(bar, j, kind, exposure=self.side() * self.exposure())

    def side(self) -> int:
        return int(self.rng.choice([-1, 1]))

    def exposure(self) -> float:
        """Often all that the leverage allows, so that a liquidation takes the account."""
        top = 10.0 if math.isinf(self.taste.leverage) else self.taste.leverage
        return top * float(self.rng.choice([0.5, 0.8, 0.9, 1.0])) if chance(self.rng, 0.4) else self.small_exposure()

    def small_exposure(self) -> float:
        """So little that the account outlives a liquidation of isolated margin, and the next story has money."""
        return random_exposure(self.rng, self.taste) if chance(self.rng, 0.2) else float(self.rng.uniform(0.1, 2.0))

    def price(self, what: str, bar: int, j: int) -> float:
        """A price of a coming bar; of the last one where the data ends, 100 where the symbol does not trade."""
        value = float(getattr(self.market, what)[min(bar, len(self.market) - 1), j])
        return value if math.isfinite(value) else 100.0

    def favourable(self, bar: int, j: int, side: int) -> float:
        return self.price("high" if side > 0 else "low", bar, j)

    def near(self, bar: int, j: int) -> float:
        """A price of a bar, or half a tick or a tick beside it."""
        what = str(self.rng.choice(["open", "high", "low", "close"]))
        beside = float(self.rng.choice([0.0, 0.0, -0.5, 0.5, -1.0, 1.0])) * TICK
        return max(self.price(what, bar, j) + beside, TICK)

    def levels(self, bar: int, j: int) -> dict[str, float]:
        """Levels for an amend, near the prices of the bars in which they will act."""
        found: dict[str, float] = {}
        for name, p in (("stop", 0.4), ("close_stop", 0.3), ("target", 0.5)):
            if chance(self.rng, p):
                found[name] = self.near(bar + int(self.rng.integers(1, 4)), j)
        if chance(self.rng, 0.35):
            found["trail"] = float(self.rng.choice([0.005, 0.01, 0.03, 0.1]))
        return found

    def before_gap(self, bar: int, j: int) -> int:
        """The bar two before the next that opens outside the range of the one before it, if there is one soon."""
        for at in range(bar, min(bar + 8, len(self.market) - 2)):
            opened = self.market.open[at + 2, j]
            if opened < self.market.low[at + 1, j] or opened > self.market.high[at + 1, j]:
                return at
        return bar

    # ---------------------------------------- stories

    def amended_target(self, bar: int, j: int) -> int:
        """A target is amended to where the next open has passed it, often when that has passed the old one too."""
        bar = self.before_gap(bar, j)
        rng, opened, then = self.rng, self.price("open", bar + 1, j), self.price("open", bar + 2, j)
        side = 1 if then > opened else -1
        reached = self.favourable(bar + 1, j, side)
        old = reached + side * TICK
        if side * (then - reached) > 0:
            old = reached + float(rng.choice([0.0, 0.25, 0.5, 1.0])) * (then - reached)
        brackets = {"target": old} if side * (old - opened) >= 0 and old > 0 and chance(rng, 0.85) else {}
        self.put(bar, j, ENTER, exposure=side * self.small_exposure(), **brackets)
        for _ in range(int(rng.choice([1, 1, 2]))):
            new = then - side * TICK * float(rng.choice([0.0, 0.5, 1.0, 3.0, -1.0]))
            self.put(bar + 1, j, AMEND, target=max(new, TICK))
        return bar + 2

    def gapped_limit(self, bar: int, j: int) -> int:
        """A limit rests, and a gap carries the price beyond it, its stop and its liquidation price."""
        bar = self.before_gap(bar, j)
        rng, then = self.rng, self.price("open", bar + 2, j)
        side = 1 if then < self.price("open", bar + 1, j) else -1
        adverse = self.favourable(bar + 1, j, -side)
        limit = adverse
        if side * (adverse - then) > 0:
            limit = then + float(rng.choice([0.0, 0.1, 0.5, 1.0])) * (adverse - then)
        row: dict[str, float] = {"limit": limit, "valid_bars": int(rng.integers(2, 5))}
        if chance(rng, 0.2):
            row["trigger"] = row.pop("limit")
            side = -side
        stop = limit - side * TICK * float(rng.choice([1.0, 4.0, 20.0]))
        if chance(rng, 0.4) and stop > 0:
            row["stop"] = stop
        if chance(rng, 0.3):
            row["trail"] = float(rng.choice([0.01, 0.1]))
        if chance(rng, 0.3):
            row["target_fraction"] = 0.02
        self.put(bar, j, ENTER, exposure=side * self.exposure(), **row)
        if chance(rng, 0.3):
            self.put(bar + 1, j, AMEND, **self.levels(bar + 1, j))
        return bar + 3

    def long_hold(self, bar: int, j: int) -> int:
        """A position is held for some bars, on the side that gains or loses, amended late, and left in some way."""
        rng = self.rng
        end = bar + int(rng.integers(2, 11))
        gains = 1 if self.price("close", end, j) > self.price("open", bar + 1, j) else -1
        side = gains if chance(rng, 0.6) else -gains
        row: dict[str, float] = {"max_bars": int(rng.integers(2, 10))} if chance(rng, 0.2) else {}
        if chance(rng, 0.2):
            row["trail"] = 0.1
        self.put(bar, j, ENTER, exposure=side * self.exposure(), **row)
        for at in range(bar + 1, end):
            if chance(rng, 0.25):
                self.put(at, j, AMEND, **self.levels(at, j))
        self.leave(end, j, side)
        return end

    def leave(self, bar: int, j: int, side: int) -> None:
        """Exit, reverse, reduce, or leave the position alone."""
        how = str(self.rng.choice(["exit", "reverse", "again", "reduce", "stay"]))
        if how in ("exit", "again"):
            self.put(bar, j, EXIT)
        if how == "again":
            self.put(bar, j, ENTER, exposure=self.side() * self.small_exposure())
        if how == "reverse":
            self.put(bar, j, ENTER, **enter_row(self.rng, self.price("open", bar + 1, j), TICK, -side, self.taste))
        if how == "reduce":
            self.put(bar, j, RESIZE, exposure=side * 0.2)

    def resizes(self, bar: int, j: int) -> int:
        """A position grows and shrinks, down to nothing at times."""
        side = self.side()
        self.put(bar, j, ENTER, exposure=side * self.exposure())
        end = bar + int(self.rng.integers(2, 7))
        for at in range(bar + 1, end):
            sign = side if chance(self.rng, 0.9) else -side
            kind = self.rng.random()
            wanted = 1e-12 if kind < 0.2 else self.small_exposure() * (0.2 if kind < 0.6 else 1.0)
            self.put(at, j, RESIZE, exposure=sign * wanted)
        return end

    def halted(self, bar: int, j: int) -> int:
        """Orders and rows that have to wait through a halt."""
        rng = self.rng
        asleep = np.flatnonzero(np.isnan(self.market.open[bar + 2 :, j]))
        if asleep.size == 0 or np.isnan(self.market.open[bar + 1, j]):
            return self.long_hold(bar, j)
        halt, side = bar + 2 + int(asleep[0]), self.side()
        start = max(bar, halt - int(rng.integers(2, 6)))
        row: dict[str, float] = {}
        if chance(rng, 0.3):
            row["close_stop"] = max(self.price("close", halt - 1, j) + side * TICK, TICK)
        if chance(rng, 0.3):
            row["max_bars"] = halt - start - 1 + int(rng.integers(0, 2))
        if chance(rng, 0.3):
            row["limit"] = self.near(halt - 2, j)
            row["valid_bars"] = int(rng.integers(1, 8))
        self.put(start, j, ENTER, exposure=side * self.exposure(), **row)
        for at in range(halt - 1, min(halt + 3, len(self.market))):
            kind = str(rng.choice(["exit", "enter", "amend", "resize", "none"]))
            if kind == "exit":
                self.put(at, j, EXIT)
            elif kind == "enter":
                self.put(at, j, ENTER, **enter_row(rng, self.price("open", at + 1, j), TICK, self.side(), self.taste))
            elif kind == "amend":
                self.put(at, j, AMEND, **self.levels(at, j))
            elif kind == "resize":
                self.put(at, j, RESIZE, exposure=side * self.small_exposure())
        return halt + 3

    def inside_entry(self, bar: int, j: int) -> int:
        """An entry inside a bar, its levels at the extremes and the close of that very bar."""
        rng, side = self.rng, self.side()
        how = str(rng.choice(["limit", "trigger"]))
        price = self.near(bar + 1, j)
        row: dict[str, float] = {how: price, "valid_bars": int(rng.integers(1, 4))}
        stop, target = self.near(bar + 1, j), self.near(bar + 1, j)
        if side * (price - stop) > 0 and chance(rng, 0.6):
            row["stop"] = stop
        if side * (target - price) > 0 and chance(rng, 0.6):
            row["target"] = target
        self.put(bar, j, ENTER, exposure=side * self.exposure(), **row)
        if chance(rng, 0.3):
            self.put(bar + 1, j, AMEND, **self.levels(bar + 1, j))
        return bar + 1 + int(rng.integers(0, 4))


STORIES: tuple[Callable[[Script, int, int], int], ...] = (
    Script.amended_target,
    Script.gapped_limit,
    Script.long_hold,
    Script.long_hold,
    Script.resizes,
    Script.halted,
    Script.inside_entry,
)
