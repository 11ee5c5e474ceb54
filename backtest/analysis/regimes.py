"""In which state of leverage the market was at each bar: levered up, deleveraging, recovering, or not known."""

from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import LevelbreakError, MarketError
from backtest.model.arrays import DAY, HOUR, Float, Int64, frozen_array
from backtest.model.market import Funding, Market
from backtest.model.memo import memoised
from backtest.signals import RECOVERY, deleveraging, recovery

__all__ = ["REGIMES", "Regimes", "regimes"]

REGIMES = ("leveraged", "deleveraging", "recovery", "unknown")
LEVERAGED, DELEVERAGING, RECOVERING, UNKNOWN = range(4)

STEP = 8 * HOUR
"""[D] The signals are read this often: a state that is made of 30 and 90 days needs no finer look."""
RECOVERY_DAYS, RECOVERY_SCORE = 30.0, 0.5
"""[D] How long after deleveraging a recovery may be one, and the share of its signs that must be there."""


@dataclass(frozen=True, eq=False)
class Regimes:
    """The regime of each bar: code (n,) of `REGIMES`; symbol: whose signals say so; notes: which of them are not there."""

    code: Int64
    symbol: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", frozen_array(self.code, np.int64))


@memoised
def regimes(market: Market, symbol: str | None = None) -> Regimes:
    """Return the regime in which each bar of a market began, from what was known at its open.

    deleveraging: the signal of that name is on. recovery [D]: it is off, was on in the 30 days before, and at least half of
    the signs of the recovery score are there (of those whose feeds the market has). leveraged: it is off otherwise.
    unknown: a signal that decides is NaN, or its feed is missing, which `notes` says. The signals of one symbol speak
    for the market: of `symbol`, by default the first that has what deleveraging needs. They are read every 8 hours [D].
    An unknown symbol is a MarketError.
    """
    asked = market.symbols if symbol is None else (market.symbols[market.position(symbol)],)
    whys = []
    for name in asked:
        coarse = alone(market, name, max(STEP, market.interval))
        try:
            on = deleveraging(coarse, name)
        except LevelbreakError as error:
            whys.append(str(error))
            continue
        score, notes = recovery_score(coarse, name)
        known = np.searchsorted(coarse.known_at, market.time, side="right") - 1
        codes = np.append(states(coarse.time, on, score), UNKNOWN)  # before the first, -1: unknown
        return Regimes(codes[known], name, notes)
    note = f"The regimes are unknown: {whys[0]}" if whys else "The regimes are unknown: the market has no symbol."
    return Regimes(np.full(len(market), UNKNOWN), asked[0] if asked else "", (note,))


def states(time: Int64, on: Float, score: Float) -> Int64:
    """Return (n,) the regime at each bar's close from the signal (1, 0, NaN) and the score (0 to 1, NaN).

    >>> day = 86_400_000_000_000
    >>> states(day * np.arange(4), np.array([np.nan, 1.0, 0.0, 0.0]), np.array([np.nan, 0.0, 0.6, 0.4])).tolist()
    [3, 1, 2, 0]
    """
    last_on = np.maximum.accumulate(np.where(on == 1, time, np.iinfo(np.int64).min // 2))
    recent = time - last_on <= RECOVERY_DAYS * DAY
    after = np.where(np.isnan(score), UNKNOWN, np.where(score >= RECOVERY_SCORE, RECOVERING, LEVERAGED))
    off = np.where(recent, after, LEVERAGED)
    return np.where(np.isnan(on), UNKNOWN, np.where(on == 1, DELEVERAGING, off)).astype(np.int64)


def recovery_score(market: Market, symbol: str) -> tuple[Float, tuple[str, ...]]:
    """Return the share of the signs of recovery that are there, of those that can be told, and what can not."""
    found, missing = [], []
    for name in RECOVERY:
        try:
            found.append(recovery(market, symbol, (name,)).score)
        except MarketError:
            missing.append(name)
    note = f"The recovery score of {symbol} leaves out {', '.join(missing)}: the market has no such feed."
    score = np.mean(np.vstack(found), axis=0) if found else np.full(len(market), np.nan)
    return score, ((note,) if missing else ())


def alone(market: Market, symbol: str, step: int) -> Market:
    """Return one symbol's market in bars of `step` (ns), each made of the bars that it traded; the feeds stay as they are."""
    j, bars = market.position(symbol), market[symbol]
    traded = np.flatnonzero(np.isfinite(bars.close))
    slot = bars.time[traded] // step
    first = np.flatnonzero(np.diff(slot, prepend=slot[0] - 1)) if slot.size else np.empty(0, np.int64)
    last = np.append(first[1:], slot.size)[: first.size] - 1
    opened, high, low, close, volume = (
        getattr(bars, name)[traded] for name in ("open", "high", "low", "close", "volume")
    )
    mine = market.funding.symbol == j
    f = market.funding
    funding = Funding(f.time[mine], np.zeros(int(mine.sum()), np.int32), f.rate[mine], f.mark[mine], f.none, f.assumed)
    return replace(
        market,
        time=slot[first] * step,
        interval=step,
        symbols=(symbol,),
        open=opened[first],
        high=np.maximum.reduceat(high, first) if first.size else high,
        low=np.minimum.reduceat(low, first) if first.size else low,
        close=close[last],
        volume=np.add.reduceat(volume, first) if first.size else volume,
        funding=funding,
        mark=None,
        fine=None,
        trade_from=None,
    )
