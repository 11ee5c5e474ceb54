"""Hand-worked cases of the accounting law, as data: what goes in, and what an engine must answer.

Bars are an hour long; a row at bar 0 acts at the open of bar 1. Unless a case says otherwise: 1,000 in cash, cross
margin, leverage 10, no fees, no slippage, one tier with a maintenance rate of 1%, and lots of 0.001.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from backtest.errors import FundingHoleError
from backtest.model import Funding, Instrument, Mark, Market, Passport, Plan, TierTable, Venue

HOUR = 3_600_000_000_000
START = 1_700_006_400_000_000_000
NAN = math.nan
HALT = (NAN, NAN, NAN, NAN)
Bar = tuple[float, float, float, float]
Case = tuple[str, Market, Plan, Venue, dict[str, Any]]


def at(hours: float) -> int:
    """The time of the open of a bar (bar 1.5: half way through bar 1)."""
    return START + round(hours * HOUR)


def market(*columns: Sequence[Bar], funding: Sequence[tuple[float, ...]] = (), **more: Any) -> Market:
    """Bars of A, B, ...; funding: (hour, rate) or (hour, rate, mark) of A, none for others; marks: bars of A's mark."""
    symbols = tuple("ABC"[: len(columns)])
    prices = np.array(columns, dtype=float).transpose(2, 1, 0)
    events = [(*event, NAN)[:3] for event in funding]
    series = Funding(
        np.array([at(e[0]) for e in events], np.int64),
        np.zeros(len(events), np.int32),
        np.array([e[1] for e in events], float),
        np.array([e[2] for e in events], float),
        frozenset(symbols[1:] if events else symbols),
    )
    marks = more.pop("marks", None)
    mark = None if marks is None else Mark(*np.array([marks], dtype=float).transpose(2, 1, 0))
    step = more.pop("step", 1.0)
    time = np.array([at(step * i) for i in range(prices.shape[1])], np.int64)
    volume = np.ones_like(prices[0])
    return Market(time, round(step * HOUR), symbols, *prices, volume, series, Passport(()), mark=mark, **more)


def instrument(
    floors: tuple[float, ...] = (0.0,),
    mmr: tuple[float, ...] = (0.01,),
    top: tuple[float, ...] = (125.0,),
    minimum: float = 0.0,
) -> Instrument:
    return Instrument(0.001, minimum, (TierTable("one", 0, "by hand", floors, mmr, top),))


def venue(contract: Instrument | None = None, **more: Any) -> Venue:
    return Venue("by hand", contract or instrument(), **{**FREE, **more})


FREE: dict[str, Any] = {"cash": 1000.0, "maker": 0.0, "taker": 0.0, "leverage": 10.0, "margin_mode": "cross"}
ISOLATED = venue(margin_mode="isolated")


def flat(price: float) -> Bar:
    return (price, price, price, price)


F = flat(100.0)
long, short = Plan.long, Plan.short


def trade(reason: str, **more: Any) -> dict[str, Any]:
    return {"reason": reason, **more}


def refused(*reasons: tuple[int, str]) -> list[dict[str, Any]]:
    return [{"row": row, "reason": reason} for row, reason in reasons]


def check(result: Any, expected: dict[str, Any]) -> None:
    """Assert every part that a case expects: all trades by id, all rejections by row; dicts may leave fields out."""
    if "equity" in expected:
        assert result.equity == pytest.approx(expected["equity"], abs=1e-6)
    if "wallet" in expected:
        assert result.wallet == pytest.approx(expected["wallet"], abs=1e-6)
    if "ledger" in expected:
        assert [row["kind"] for row in result.ledger] == [kind for kind, _ in expected["ledger"]]
        assert [row["amount"] for row in result.ledger] == pytest.approx([a for _, a in expected["ledger"]], abs=1e-6)
    for name in ("trades", "rejections"):
        if name in expected:
            key = "trade" if name == "trades" else "row"
            rows = sorted(getattr(result, name), key=lambda row: row[key])
            assert len(rows) == len(expected[name]), rows
            for row, wanted in zip(rows, expected[name], strict=True):
                for field, value in wanted.items():
                    assert row[field] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), row
    for name, count in expected.get("assumptions", {}).items():
        assert result.assumptions.get(name, 0) == count, name


CASES: list[Case] = []
ERRORS: list[tuple[str, Market, Plan, Venue, type[Exception]]] = []


def case(name: str, m: Market, p: Plan, v: Venue | None = None, **expected: Any) -> None:
    CASES.append((name, m, p, v or venue(), expected))


# ---------------------------------------- time, fills, fees

# q = 1*1000/100 = 10; marked at 102 and 103: 1000 + 10*2, 1000 + 10*3
case(
    "a row acts at the next open and stays open",
    market([F, (100, 105, 95, 102), (102, 103, 101, 103)]),
    long("A", at=[0]),
    equity=[1000.0, 1020.0, 1030.0],
    wallet=1000.0,
    ledger=[],
    trades=[trade("open", side=1, quantity=10.0, entry_time=at(1), exit_time=None, exit_price=103.0, pnl=0.0)],
)
# q = 10*1000/(100*(1 + 10*0.001)) = 99.0099 -> 99.009; fee 99.009*100*0.001 = 9.9009; 990.09 + 9.9009 <= 1000
case(
    "exposure equal to leverage fits with the fee",
    market([F, F]),
    long("A", at=[0], exposure=10),
    venue(taker=0.001),
    ledger=[("fee", -9.9009)],
    equity=[1000.0, 990.0991],
    trades=[trade("open", quantity=99.009)],
    rejections=[],
)
# fill 101, q = 1000/101 -> 9.900; memo -9.9*1; out at 99: 9.9*(99 - 101) = -19.8, memo -9.9
case(
    "slippage on both sides is a memo inside the pnl",
    market([F, F, F]),
    long("A", at=[0]) + Plan.exit("A", at=[1]),
    venue(slippage=0.01),
    ledger=[("slippage", -9.9), ("trade_pnl", -19.8), ("slippage", -9.9)],
    wallet=980.2,
    trades=[trade("exit", entry_price=101.0, exit_price=99.0, pnl=-19.8, slippage=-19.8, exit_time=at(2))],
)
# q = 10, (100 - 90)*10 = 100
case(
    "a short gains when the price falls",
    market([F, (100, 100, 90, 90), flat(90)]),
    short("A", at=[0]) + Plan.exit("A", at=[1]),
    wallet=1100.0,
    equity=[1000.0, 1100.0, 1100.0],
    trades=[trade("exit", side=-1, pnl=100.0)],
)
# slipped open 102, capped by 101; q = 1000/101 -> 9.900; memo 9.9*(101 - 100)
case(
    "a limit that the open has passed fills at the slipped open, capped by the limit",
    market([F, F]),
    long("A", at=[0], limit=101.0),
    venue(slippage=0.02),
    ledger=[("slippage", -9.9)],
    trades=[trade("open", entry_price=101.0, quantity=9.9)],
)
case(
    "a limit that is only touched does not fill",
    market([F, (100, 100, 95, 99), F]),
    long("A", at=[0], limit=95.0),
    trades=[],
    rejections=[{"row": 0, "reason": "expired", "time": at(1), "bar": 0, "kind": "enter", "symbol": "A"}],
)
# q = 1000/(95*1.001) = 10.5158 -> 10.515; fee 10.515*95*0.001 = 0.998925; + 10.515*(96 - 95)
case(
    "a limit that is traded through fills at its price as maker",
    market([F, (100, 100, 94.5, 96)]),
    long("A", at=[0], limit=95.0),
    venue(maker=0.001, taker=0.01, slippage=0.01),
    ledger=[("fee", -0.998925)],
    equity=[1000.0, 1009.516075],
)
# q = 1000/95 -> 10.526; 10.526*(92 - 95) = -31.578
case(
    "a resting limit fills at its own price through a gap",
    market([F, (100, 100, 98, 98), (90, 93, 90, 92)]),
    long("A", at=[0], limit=95.0, valid_bars=3),
    venue(slippage=0.01),
    equity=[1000.0, 1000.0, 968.422],
    trades=[trade("open", entry_price=95.0, entry_time=at(2))],
)
# in at 95, out at the open: 10.526*(90 - 95) = -52.63
case(
    "a resting limit whose stop the gap has passed too leaves at once",
    market([F, (100, 100, 98, 98), (90, 99, 90, 99)]),
    long("A", at=[0], limit=95.0, stop=92.0, valid_bars=3),
    ledger=[("trade_pnl", -52.63)],
    trades=[trade("stop", entry_time=at(2), exit_time=at(2), exit_price=90.0)],
)
case(
    "a resting limit equal to open and low rests on",
    market([F, F, (95, 96, 95, 96), F]),
    long("A", at=[0], limit=95.0, valid_bars=2),
    trades=[],
    rejections=[{"row": 0, "reason": "expired", "time": at(2)}],
)
# 105*1.01 = 106.05, q = 1000/106.05 -> 9.429; memo 9.429*1.05; 9.429*(107 - 106.05) = 8.95755
case(
    "a trigger that is touched fills slipped",
    market([F, (100, 107, 100, 107)]),
    long("A", at=[0], trigger=105.0),
    venue(slippage=0.01),
    ledger=[("slippage", -9.90045)],
    equity=[1000.0, 1008.95755],
)
# q = 1000/108 -> 9.259
case(
    "a trigger that the open has passed fills at the open",
    market([F, flat(108)]),
    long("A", at=[0], trigger=105.0),
    trades=[trade("open", entry_price=108.0, quantity=9.259)],
)
# valid for bars 1, 2, 3; short at 90 in bar 3: q = 1000/90 -> 11.111
case(
    "a trigger lives its bars and fills in the last",
    market([F, F, F, (100, 100, 90, 95)]),
    short("A", at=[0], trigger=90.0, valid_bars=3),
    trades=[trade("open", entry_price=90.0, entry_time=at(3), quantity=11.111)],
)
case(
    "an entry whose stop the open has touched is refused",
    market([F, flat(98)]),
    long("A", at=[0], stop=98.0),
    trades=[],
    rejections=[{"row": 0, "reason": "stop_passed", "time": at(1)}],
)
# in at 102; high 103 > 102: out at 102, nothing gained
case(
    "a target equal to the open is not passed, and fills when traded through",
    market([F, (102, 103, 101, 101)]),
    long("A", at=[0], target=102.0),
    wallet=1000.0,
    trades=[trade("target", entry_price=102.0, exit_price=102.0, pnl=0.0)],
)
case(
    "an entry whose target the open has passed is refused",
    market([F, flat(102.5)]),
    long("A", at=[0], target=102.0),
    rejections=refused((0, "target_passed")),
    trades=[],
)

# ---------------------------------------- exits

# 10*(90 - 100)
case(
    "a stop through a gap fills at the open",
    market([F, F, (90, 96, 90, 96)]),
    long("A", at=[0], stop=95.0),
    wallet=900.0,
    trades=[trade("stop", exit_price=90.0, exit_time=at(2))],
)
# 95*0.99 = 94.05; entry 101, q = 9.9: 9.9*(94.05 - 101) = -68.805
case(
    "a stop that is touched fills at its price, slipped",
    market([F, (100, 101, 95, 100)]),
    long("A", at=[0], stop=95.0),
    venue(slippage=0.01),
    wallet=931.195,
    trades=[trade("stop", exit_price=94.05)],
)
# touched in bar 1, through in bar 2: 10*5 - 10*105*0.001 maker
case(
    "a target that is only touched does not fill; through it does, as maker",
    market([F, (100, 105, 100, 104), (104, 106, 104, 104)]),
    long("A", at=[0], target=105.0),
    venue(maker=0.001),
    wallet=1048.95,
    ledger=[("trade_pnl", 50.0), ("fee", -1.05)],
    trades=[trade("target", exit_price=105.0, exit_time=at(2), fees=-1.05, pnl=48.95)],
)
case(
    "a target that the open has passed fills at its own price",
    market([F, F, flat(110)]),
    long("A", at=[0], target=105.0),
    wallet=1050.0,
    trades=[trade("target", exit_price=105.0)],
)
both = market([F, (100, 106, 94, 100)])
case(
    "worst: the stop comes before the target of the same bar",
    both,
    long("A", at=[0], stop=95.0, target=105.0),
    wallet=950.0,
    trades=[trade("stop")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: the target comes before the stop of the same bar",
    both,
    long("A", at=[0], stop=95.0, target=105.0),
    venue(intrabar="best"),
    wallet=1050.0,
    trades=[trade("target")],
    assumptions={"ambiguous_bars": 1},
)
# q = 10.526; worst keeps it: 10.526*(100 - 95) = 52.63
case(
    "worst: a limit entry's target is only possible in its bar",
    market([F, (100, 110, 94, 100)]),
    long("A", at=[0], limit=95.0, target=105.0),
    equity=[1000.0, 1052.63],
    trades=[trade("open")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: a limit entry's possible target is taken",
    market([F, (100, 110, 94, 100)]),
    long("A", at=[0], limit=95.0, target=105.0),
    venue(intrabar="best"),
    wallet=1105.26,
    trades=[trade("target")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "worst: a limit entry's target is certain when the close lies beyond it",
    market([F, (100, 110, 94, 106)]),
    long("A", at=[0], limit=95.0, target=105.0),
    wallet=1105.26,
    trades=[trade("target")],
    assumptions={"ambiguous_bars": 0},
)
# q = 1000/105 -> 9.523; 9.523*(100 - 105) = -47.615
case(
    "worst: a trigger entry's possible stop is taken",
    market([F, (102, 106, 99, 104)]),
    long("A", at=[0], trigger=105.0, stop=100.0),
    wallet=952.385,
    trades=[trade("stop")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: a trigger entry's possible stop is not taken",
    market([F, (102, 106, 99, 104)]),
    long("A", at=[0], trigger=105.0, stop=100.0),
    venue(intrabar="best"),
    equity=[1000.0, 990.477],
    trades=[trade("open")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: a trigger entry's stop is certain when the close lies beyond it",
    market([F, (102, 106, 99, 99.5)]),
    long("A", at=[0], trigger=105.0, stop=100.0),
    venue(intrabar="best"),
    wallet=952.385,
    trades=[trade("stop")],
    assumptions={"ambiguous_bars": 0},
)
# a close of 95 is not beyond 95; a close of 94 is: out at the open 97
case(
    "a close_stop acts on a close beyond it, at the next open",
    market([F, (100, 100, 90, 95), (95, 96, 94, 94), flat(97)]),
    long("A", at=[0], close_stop=95.0),
    wallet=970.0,
    trades=[trade("close_stop", exit_time=at(3), exit_price=97.0)],
)
case(
    "max_bars leaves at the open of entry bar + k",
    market([F, F, flat(101), flat(102)]),
    long("A", at=[0], max_bars=2),
    wallet=1020.0,
    trades=[trade("max_bars", entry_time=at(1), exit_time=at(3))],
)
# best close 120 (not the high 130): 120*0.9 = 108
case(
    "a trail follows the best close",
    market([F, (100, 130, 95, 120), (115, 116, 107, 110)]),
    long("A", at=[0], trail=0.1),
    wallet=1080.0,
    trades=[trade("trail", exit_price=108.0, exit_time=at(2))],
)
# stop 100*(1 - 0.05) = 95, entry unslipped; slipped 94.05; fill 101, q = 9.9: 9.9*(94.05 - 101)
case(
    "a stop_fraction counts from the unslipped entry",
    market([F, (100, 100, 95, 99)]),
    long("A", at=[0], stop_fraction=0.05),
    venue(slippage=0.01),
    wallet=931.195,
    trades=[trade("stop", exit_price=94.05)],
)

# ---------------------------------------- rows

# long 10: +10*10 = 100; short 1100/110 = 10: 10*(110 - 105) = 50
case(
    "an entry of the opposite sign reverses",
    market([F, F, flat(110), flat(105)]),
    long("A", at=[0]) + short("A", at=[1]),
    ledger=[("trade_pnl", 100.0)],
    equity=[1000.0, 1000.0, 1100.0, 1150.0],
    trades=[trade("reverse", trade=1, side=1), trade("open", trade=2, side=-1, quantity=10.0)],
)
case(
    "a reverse that is refused has closed all the same",
    market([F, F, flat(110)]),
    long("A", at=[0]) + short("A", at=[1], exposure=11),
    wallet=1100.0,
    trades=[trade("reverse")],
    rejections=refused((1, "insufficient_margin")),
)
# 1000 + 100; again long 1100/110 = 10
case(
    "exit followed by enter makes two trades",
    market([F, F, flat(110)]),
    long("A", at=[0]) + Plan.exit("A", at=[1]) + long("A", at=[1]),
    trades=[trade("exit", pnl=100.0), trade("open", quantity=10.0)],
    rejections=[],
)
case(
    "an entry of the held sign does nothing and leaves no row",
    market([F, F, F]),
    long("A", at=[0]) + long("A", at=[1], exposure=2),
    trades=[trade("open", quantity=10.0)],
    rejections=[],
)
case(
    "replaced, cancelled, no_position, bad_amend and end_of_data",
    market([F, F, F, F, F]),
    long("A", at=[0], limit=90.0, valid_bars=5)
    + Plan.amend("A", at=[1], stop=90.0)
    + long("A", at=[1], limit=91.0, valid_bars=5)
    + Plan.exit("A", at=[2])
    + Plan.resize("A", at=[2 + 1], exposure=1.0)
    + long("A", at=[4]),
    trades=[],
    rejections=refused((0, "replaced"), (1, "bad_amend"), (2, "cancelled"), (4, "no_position"), (5, "end_of_data")),
)
case(
    "a pending entry alive at the end is end_of_data",
    market([F, F, F]),
    long("A", at=[0], limit=90.0, valid_bars=3),
    rejections=[{"row": 0, "reason": "end_of_data", "time": at(2)}],
)
case(
    "a pending entry whose life ends on the last bar has expired",
    market([F, F, F]),
    long("A", at=[0], limit=90.0, valid_bars=2),
    rejections=[{"row": 0, "reason": "expired", "time": at(2)}],
)
# fills at the open 105*0.99 = 103.95; entry 101, q = 9.9: 9.9*2.95 = 29.205
case(
    "an amended target that the open has passed fills at that open, slipped",
    market([F, F, flat(105)]),
    long("A", at=[0]) + Plan.amend("A", at=[1], target=103.0),
    venue(slippage=0.01),
    wallet=1029.205,
    trades=[trade("target", exit_price=103.95)],
)
case(
    "an amended target fills at the old one's price when the open had passed that too",
    market([F, F, flat(105)]),
    long("A", at=[0], target=104.0) + Plan.amend("A", at=[1], target=103.0),
    wallet=1040.0,
    trades=[trade("target", exit_price=104.0)],
)
case(
    "an amended stop acts from that open on",
    market([F, F, (100, 100, 97, 99)]),
    long("A", at=[0], stop=90.0) + Plan.amend("A", at=[1], stop=98.0),
    wallet=980.0,
    trades=[trade("stop", exit_price=98.0)],
)
# equity 1100 at 110: 2*1100/110 = 20, +10 at 110; average 105; then 0.5*1100/110 = 5: 15*(110 - 105) = 75
case(
    "resize adds at an average and takes off in part",
    market([F, F, flat(110), flat(110)]),
    long("A", at=[0]) + Plan.resize("A", at=[1], exposure=2.0) + Plan.resize("A", at=[2], exposure=0.5),
    ledger=[("trade_pnl", 75.0)],
    equity=[1000.0, 1000.0, 1100.0, 1100.0],
    trades=[trade("open", quantity=20.0, entry_price=105.0, pnl=75.0)],
)
# 60/100 = 6 lots of 0.1; to 5/6*60/100 = 5 lots; then 5 lots off. In doubles 6*0.1 - 0.1 is above 5*0.1: no dust is left
case(
    "a resize to next to nothing takes the whole position, however the lots round",
    market([F, F, F, F, F]),
    long("A", at=[0])
    + Plan.resize("A", at=[1], exposure=5 / 6)
    + Plan.resize("A", at=[2], exposure=1e-12)
    + long("A", at=[3]),
    venue(Instrument(0.1, 0.0, instrument().tables), cash=60.0),
    trades=[trade("exit", quantity=0.6, exit_time=at(3)), trade("open", quantity=0.6, entry_time=at(4))],
    rejections=[],
)
case(
    "the refusals of sizes",
    market([F, F, F, F]),
    long("A", at=[0], exposure=0.05) + long("A", at=[1], exposure=11) + long("A", at=[2], exposure=0.000_05),
    venue(instrument(minimum=100.0)),
    trades=[],
    rejections=refused((0, "below_minimum"), (1, "insufficient_margin"), (2, "below_minimum")),
)
# mmr 20% > 1/10: P* = 100*0.9/0.8 = 112.5 lies above the fill
case(
    "an entry beyond its own liquidation price is refused",
    market([F, F]),
    long("A", at=[0], exposure=5),
    venue(instrument(mmr=(0.2,)), margin_mode="isolated"),
    trades=[],
    rejections=refused((0, "would_liquidate")),
)
case(
    "a row decided before the start of trading is dropped",
    market([F, F, F, (100, 101, 100, 101)], trade_from=at(2)),
    long("A", at=[0]) + long("A", at=[1]),
    equity=[1000.0, 1010.0],
    trades=[trade("open", entry_time=at(2))],
    rejections=[],
)

# ---------------------------------------- margin and liquidation

# M = 50*100/10 = 500; P* = (500 - 5000)/(50*(0.01 - 1)) = 90.909; P_b = 90
case(
    "isolated: a wick to the liquidation price takes the margin, and the recovery does not bring it back",
    market([F, (100, 120, 90.9, 120), flat(130)]),
    long("A", at=[0], exposure=5),
    ISOLATED,
    ledger=[("liquidation_loss", -500.0)],
    equity=[1000.0, 500.0, 500.0],
    trades=[trade("liquidation", exit_price=90.0, pnl=-500.0)],
)
case(
    "isolated: a low just above the liquidation price does nothing",
    market([F, (100, 100, 90.91, 100)]),
    long("A", at=[0], exposure=5),
    ISOLATED,
    trades=[trade("open")],
)
case(
    "isolated: a gap far beyond loses the margin and no more",
    market([F, F, flat(50)]),
    long("A", at=[0], exposure=5),
    ISOLATED,
    wallet=500.0,
    trades=[trade("liquidation", exit_time=at(2), exit_price=90.0)],
)
# P* = (500 + 5000)/(50*1.01) = 108.911; P_b = 110
case(
    "isolated: a short is liquidated above",
    market([F, (100, 109, 100, 100)]),
    short("A", at=[0], exposure=5),
    ISOLATED,
    wallet=500.0,
    trades=[trade("liquidation", exit_price=110.0)],
)
# 100*(95 - 100) = -500; P* = 90.909 is farther
case(
    "isolated: a stop nearer than the liquidation price acts first",
    market([F, (100, 100, 80, 80)]),
    long("A", at=[0], exposure=10, stop=95.0),
    ISOLATED,
    wallet=500.0,
    trades=[trade("stop", exit_price=95.0)],
)
# no maintenance: P* = P_b = 90 = stop
case(
    "isolated: stop and liquidation price at the same place is a liquidation",
    market([F, (100, 100, 90, 95)]),
    long("A", at=[0], exposure=5, stop=90.0),
    venue(instrument(mmr=(0.0,)), margin_mode="isolated"),
    trades=[trade("liquidation", exit_price=90.0)],
)
# fill 102, q = 5000/102 -> 49.019, M = 499.9938, P_b = 91.8, P* = 91.8/0.99 = 92.727; stop 93*0.98 = 91.14 < P_b
case(
    "isolated: a stop that would fill beyond the bankruptcy price is a liquidation",
    market([F, (100, 100, 92.9, 95)]),
    long("A", at=[0], exposure=5, stop=93.0),
    venue(margin_mode="isolated", slippage=0.02),
    ledger=[("slippage", -98.038), ("liquidation_loss", -499.9938)],
    trades=[trade("liquidation", exit_price=91.8)],
)
# the mark 95 spares P* = 90.909, but an order at the last price 85 would fill beyond P_b = 90
parted = market([F, F, flat(85)], marks=[F, F, flat(95)])
for name, row in (("an exit", Plan.exit("A", at=[1])), ("a reducing resize", Plan.resize("A", at=[1], exposure=1.0))):
    case(
        f"isolated: {name} that would fill beyond the bankruptcy price is a liquidation",
        parted,
        long("A", at=[0], exposure=5) + row,
        venue(margin_mode="isolated", taker=0.0),
        ledger=[("liquidation_loss", -500.0)],
        trades=[trade("liquidation", exit_price=90.0, exit_time=at(2), quantity=50.0)],
        rejections=[],
    )
case(
    "a 1x long is never liquidated",
    market([F, (100, 100, 1, 1), flat(2)]),
    long("A", at=[0]),
    venue(instrument(mmr=(0.05,)), margin_mode="isolated", leverage=1.0),
    equity=[1000.0, 10.0, 20.0],
    trades=[trade("open")],
)
# the mark stays at 95: no liquidation at 90.909
case(
    "isolated: the mark decides, not the last price",
    market([F, (100, 100, 80, 100)], marks=[F, (100, 100, 95, 99)]),
    long("A", at=[0], exposure=5),
    ISOLATED,
    equity=[1000.0, 950.0],
    trades=[trade("open")],
    assumptions={"mark_is_last": 0},
)
case(
    "isolated: the mark liquidates though the last price stays",
    market([F, (100, 100, 95, 100)], marks=[F, (100, 100, 90, 100)]),
    long("A", at=[0], exposure=5),
    ISOLATED,
    trades=[trade("liquidation")],
)
# cum = 5000*(0.05 - 0.01) = 200; P* = (1000 + 200 - 10000)/(100*(0.05 - 1)) = 92.6316, notional 9263 in tier 1
tiered = instrument((0.0, 5000.0), (0.01, 0.05), (125.0, 125.0))
case(
    "isolated: the tier is that of the notional at the liquidation price",
    market([F, (100, 100, 92.7, 99), (99, 99, 92.6, 99)]),
    long("A", at=[0], exposure=10),
    venue(tiered, margin_mode="isolated"),
    wallet=0.0,
    trades=[trade("liquidation", exit_time=at(2))],
)
case(
    "leverage above what the tier of the notional allows",
    market([F, F, F]),
    long("A", at=[0], exposure=6) + long("A", at=[1], exposure=4),
    venue(instrument((0.0, 5000.0), (0.01, 0.05), (125.0, 5.0))),
    trades=[trade("open", quantity=40.0)],
    rejections=refused((0, "leverage_above_tier")),
)
# until bar 2 P* = 90.909; from bar 2 on P* = 90/0.95 = 94.737: the open 94 has reached it
dated = Instrument(
    0.001,
    0.0,
    (
        TierTable("old", at(1), "by hand", (0.0,), (0.01,), (125.0,)),
        TierTable("new", at(2), "by hand", (0.0,), (0.05,), (125.0,)),
    ),
)
case(
    "a tier table acts from its date on",
    market([F, (100, 100, 93, 94), flat(94)]),
    long("A", at=[0], exposure=5),
    venue(dated, margin_mode="isolated"),
    equity=[1000.0, 700.0, 500.0],
    trades=[trade("liquidation", exit_time=at(2))],
)
# maintenance 50*100*0.01 = 50: P* = 100 - (500 - 50)/50 = 91
case(
    "maintenance on the entry value",
    market([F, (100, 100, 91, 100)]),
    long("A", at=[0], exposure=5),
    venue(margin_mode="isolated", maintenance="entry"),
    trades=[trade("liquidation")],
)
# q = 5000/105 -> 47.619; M = 476.19; P* = 90/(1 - 0.02) = 91.837; wallet 1000 - 47.619 - 476.19
case(
    "the taker fee in the maintenance rate",
    market([F, (100, 100, 91.5, 100)]),
    long("A", at=[0], exposure=5),
    venue(margin_mode="isolated", taker=0.01, taker_in_maintenance=True),
    wallet=476.191,
    trades=[trade("liquidation", fees=-47.619)],
)
# free balance 0: funding 100*100*0.01 = 100 out of M = 900; P* = (900 - 10000)/(-99) = 91.919; P_b = 91
case(
    "isolated: funding that the free balance lacks moves the liquidation price",
    market([F, F, (100, 100, 91.5, 100)], funding=[(0, 0.01), (1, 0.01), (2, 0.01), (3, 0.01)]),
    long("A", at=[0], exposure=10),
    ISOLATED,
    ledger=[("funding", -100.0), ("liquidation_loss", -900.0)],
    wallet=0.0,
    trades=[trade("liquidation", exit_price=91.0)],
)
# funding 100*150*0.1 = 1500: M = 1000 - 1500 = -500; P* = (-500 - 10000)/(-99) = 106.06; P_b = 105
case(
    "isolated: a margin below zero loses nothing more and is insurance",
    market([F, (100, 150, 100, 150), flat(150), flat(104)], funding=[(0, 0.0), (2, 0.1), (4, 0.0)]),
    long("A", at=[0], exposure=10),
    ISOLATED,
    ledger=[("funding", -1500.0), ("insurance", 500.0)],
    equity=[1000.0, 6000.0, 4500.0, 0.0],
    trades=[trade("liquidation", exit_price=105.0, pnl=-1500.0, exit_time=at(3))],
)
# q = 10000/120 -> 83.333, fee 166.666; out at 91: 83.333*-9 = -749.997, fee 83.333*91*0.02 = 151.66606
case(
    "isolated: a closing fee is taken also where the free balance lacks it",
    market([F, F, flat(91), flat(91)]),
    long("A", at=[0], exposure=10) + Plan.exit("A", at=[1]) + long("A", at=[2]),
    venue(margin_mode="isolated", taker=0.02),
    ledger=[("fee", -166.666), ("trade_pnl", -749.997), ("fee", -151.66606), ("insurance", 68.32906)],
    wallet=0.0,
    trades=[trade("exit", pnl=-1068.32906)],
    rejections=refused((2, "ruined")),
)
# P* = 90.909: loss 909.0909, fee 100*90.909*0.005 = 45.4545
case(
    "cross: a single position closes at its liquidation price with the liquidation fee",
    market([F, (100, 100, 90, 95)]),
    long("A", at=[0], exposure=10),
    venue(liquidation_fee=0.005, taker=0.0),
    ledger=[("liquidation_loss", -909.0909091), ("liquidation_fee", -45.4545455)],
    wallet=45.4545455,
    trades=[trade("liquidation", exit_price=90.9090909)],
    assumptions={"cross_extremes_coincide": 0},
)
# open 85: 100*-15 = -1500, insurance 500; flat and empty: ruined
case(
    "cross: a gap at the open floors the wallet at zero, and that is ruin",
    market([F, F, flat(85), flat(200)]),
    long("A", at=[0], exposure=10) + long("A", at=[2]),
    ledger=[("liquidation_loss", -1500.0), ("insurance", 500.0)],
    equity=[1000.0, 1000.0, 0.0, 0.0],
    trades=[trade("liquidation", exit_price=85.0, pnl=-1500.0)],
    rejections=refused((1, "ruined")),
)
# 1000 - 480 - 480 = 40 <= 0.01*2*40*88 = 70.4
pair = [F, (100, 100, 88, 100)]
case(
    "cross: two positions meet at their adverse prices",
    market(pair, pair),
    long("A", at=[0], exposure=4) + long("B", at=[0], exposure=4),
    ledger=[("liquidation_loss", -480.0), ("liquidation_loss", -480.0)],
    wallet=40.0,
    trades=[trade("liquidation", symbol="A"), trade("liquidation", symbol="B")],
    assumptions={"cross_extremes_coincide": 1},
)
# 1000 - 400 = 600 > 0.01*(3600 + 4000)
case(
    "cross: the account backs both sides",
    market([F, (100, 100, 90, 90)], [F, F]),
    long("A", at=[0], exposure=4) + short("B", at=[0], exposure=4),
    equity=[1000.0, 600.0],
    trades=[trade("open"), trade("open")],
)
# counted at its stop: 1000 - 500 = 500 > 95
case(
    "cross: a stop on the way saves the account",
    market([F, (100, 100, 85, 85)]),
    long("A", at=[0], exposure=10, stop=95.0),
    wallet=500.0,
    trades=[trade("stop", exit_price=95.0)],
)
case(
    "cross: a liquidation cancels every pending entry",
    market([F, (100, 100, 90, 95)], [F, F]),
    long("A", at=[0], exposure=10) + long("B", at=[0], limit=50.0, valid_bars=5),
    trades=[trade("liquidation")],
    rejections=[{"row": 1, "reason": "cancelled", "time": at(1)}],
)

# in at 95: q = 5000/95 -> 52.631, M = 52.631*9.5 = 499.9945, P* = 85.5/0.99 = 86.36; the open 80 is beyond
case(
    "isolated: a resting limit that a gap carries beyond the liquidation price is liquidated before its stop",
    market([F, (100, 100, 98, 98), (80, 99, 80, 99)]),
    long("A", at=[0], exposure=5, limit=95.0, stop=92.0, valid_bars=3),
    ISOLATED,
    ledger=[("liquidation_loss", -499.9945)],
    trades=[trade("liquidation", entry_time=at(2), exit_time=at(2), exit_price=85.5)],
)
# e = 5: 1000 <= 0.2*5000; e = 4.9: 1000 > 0.2*4900
case(
    "cross: an entry that would put the account in breach is refused",
    market([F, F, F]),
    long("A", at=[0], exposure=5) + long("A", at=[1], exposure=4.9),
    venue(instrument(mmr=(0.2,))),
    trades=[trade("open", quantity=49.0)],
    rejections=refused((0, "would_liquidate")),
)
# worst: 1000 - 960 = 40 <= 70.4; best: A leaves with +400 first, then 1400 - 480 = 920 > 35.2
case(
    "cross, best: a target that is taken leaves before the account is tested",
    market([F, (100, 112, 88, 100)], pair),
    long("A", at=[0], exposure=4, target=110.0) + long("B", at=[0], exposure=4),
    venue(intrabar="best"),
    equity=[1000.0, 1400.0],
    trades=[trade("target", symbol="A", pnl=400.0), trade("open", symbol="B")],
    assumptions={"ambiguous_bars": 2, "cross_extremes_coincide": 0},
)
# bought at 100, in bar 1 the low 60 came before or after the entry: worst takes it, P* = 90.909 clamped to the range
case(
    "cross, worst: a trigger entry counts at the extreme of its bar",
    market([F, (90, 101, 60, 100)]),
    long("A", at=[0], exposure=10, trigger=100.0),
    wallet=90.9090909,
    trades=[trade("liquidation", exit_price=90.9090909)],
    assumptions={"ambiguous_bars": 1},
)

# ---------------------------------------- funding

pays = [(0, 0.01), (1, 0.01), (2, 0.01), (3, 0.01)]
# entered at hour 1: pays at hour 2 only, on 10*100, though it leaves at hour 2
case(
    "funding at the open: not for what opens, but for what closes",
    market([F, F, F], funding=pays),
    long("A", at=[0]) + Plan.exit("A", at=[1]),
    ledger=[("funding", -10.0)],
    wallet=990.0,
    trades=[trade("exit", funding=-10.0, pnl=-10.0)],
)
case(
    "a short receives what a long pays, at the event's own mark",
    market([F, F, F], funding=[(0, 0.0), (2, 0.01, 110.0), (4, 0.0)]),
    short("A", at=[0]),
    ledger=[("funding", 11.0)],
)
half = [(0.5, 0.01), (1.5, 0.01), (2.5, 0.01)]
# stamps at 1.5 and 2.5: 10 each, at any time of the day
case(
    "funding inside a bar is paid",
    market([F, F, F], funding=half),
    long("A", at=[0]),
    ledger=[("funding", -10.0), ("funding", -10.0)],
    assumptions={"funding_inside_bar": 0},
)
case(
    "a payment inside the bar counts also when the stop comes in that bar",
    market([F, (100, 100, 90, 90)], funding=half),
    long("A", at=[0], stop=95.0),
    ledger=[("funding", -10.0), ("trade_pnl", -50.0)],
    assumptions={"funding_inside_bar": 1},
)
case(
    "a receipt inside the bar is lost when the position does not stand at its end",
    market([F, (100, 110, 100, 110)], funding=half),
    short("A", at=[0], stop=105.0),
    ledger=[("trade_pnl", -50.0)],
    assumptions={"funding_inside_bar": 1},
)
# q = 1000/95 -> 10.526; pays 10.526*100*0.01 = 10.526, the mark is the bar's open
case(
    "a position entered inside the bar pays",
    market([F, (100, 100, 94, 95)], funding=half),
    long("A", at=[0], limit=95.0),
    ledger=[("funding", -10.526)],
    assumptions={"funding_inside_bar": 1},
)
case(
    "a position entered inside the bar does not receive",
    market([F, (100, 106, 100, 105)], funding=half),
    short("A", at=[0], limit=105.0),
    ledger=[],
    assumptions={"funding_inside_bar": 1},
)
# a bar of 4 hours with stamps at 4 (entry, free), 5, 6, 7, 8: four payments of 10, the last at the open of bar 2
case(
    "a bar longer than the funding interval pays every stamp once",
    market([F, F, F], step=4.0, funding=[(float(h), 0.01) for h in range(13)]),
    long("A", at=[0]) + Plan.exit("A", at=[1]),
    ledger=[("funding", -10.0)] * 4,
    wallet=960.0,
)
# the halted bar 2 is no bar whose mark could be missing: bars 1 and 3 count
case(
    "in a halt the last price stands in for no mark",
    market([F, F, HALT, F]),
    long("A", at=[0]),
    assumptions={"mark_is_last": 2, "marked_at_last_close": 1},
)
ERRORS.append(
    (
        "a position held through a hole in the funding is an error",
        market([F] * 10, funding=[(h, 0.01) for h in (0.0, 1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 10.0)]),
        long("A", at=[3]),
        venue(),
        FundingHoleError,
    )
)
# in at 1, out at 3: the hole is (3, 7); pays at 2 and 3
case(
    "a position that leaves where the hole starts is none",
    market([F] * 10, funding=[(h, 0.01) for h in (0.0, 1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 10.0)]),
    long("A", at=[0]) + Plan.exit("A", at=[2]),
    ledger=[("funding", -10.0)] * 2,
)

# ---------------------------------------- halts, finer bars

# marked at the last close 102 in the halt; the exit of bar 1 waits for the open of bar 3
case(
    "in a halt an exit waits, and the position counts at its last close",
    market([F, (100, 103, 100, 102), HALT, flat(99)]),
    long("A", at=[0]) + Plan.exit("A", at=[1]),
    equity=[1000.0, 1020.0, 1020.0, 990.0],
    trades=[trade("exit", exit_time=at(3), exit_price=99.0)],
    assumptions={"marked_at_last_close": 1},
)
case(
    "in a halt an entry is refused and a pending one expires",
    market([F, F, HALT, F], [F, HALT, F, F]),
    long("A", at=[0], limit=90.0, valid_bars=2) + long("B", at=[0]),
    trades=[],
    rejections=[
        {"row": 0, "reason": "expired", "time": at(2), "symbol": "A"},
        {"row": 1, "reason": "not_trading", "time": at(1), "symbol": "B"},
    ],
)
finer = market([F, F, (100, 106, 100, 101), (101, 101, 94, 100)], step=0.5)
case(
    "finer bars tell that the target came first",
    market([F, (100, 106, 94, 100)], fine=finer),
    long("A", at=[0], stop=95.0, target=105.0),
    venue(intrabar="fine"),
    wallet=1050.0,
    trades=[trade("target", exit_price=105.0)],
    assumptions={"ambiguous_bars": 0},
)
# entered at hour 1; stamps at 2 and at no other time in the finer bars
case(
    "finer bars do not multiply funding",
    market([F, F, F], funding=[(0, 0.01), (1, 0.01), (2, 0.01), (3, 0.01)], fine=market([F] * 6, step=0.5)),
    long("A", at=[0]),
    venue(intrabar="fine"),
    ledger=[("funding", -10.0)],
)
# the second half of bar 1 is a halt in the finer bars only: 50 bought at 100 count at the last close, 100
case(
    "a halt in the finer bars only counts at the last finer close",
    market([F] * 4, fine=market([F, F, F, HALT, F, F, F, F], step=0.5)),
    long("A", at=[0], exposure=5),
    venue(intrabar="fine"),
    equity=[1000.0, 1000.0, 1000.0, 1000.0],
    wallet=1000.0,
    trades=[trade("open", quantity=50.0, exit_price=100.0)],
)
# M = 500; at 1% P* = (500 - 5000)/(50*(0.01 - 1)) = 90.909, from hour 3.5 on at 5% (500 - 5000)/(50*(0.05 - 1)) = 94.737 > 94
tables = tuple(
    TierTable(name, at(hour), "by hand", (0.0,), (rate,), (125.0,))
    for name, hour, rate in (("old", 0, 0.01), ("new", 3.5, 0.05))
)
case(
    "a tier table dated inside the last bar is in force in its finer bars",
    market([F] * 3 + [(100, 100, 94, 94)], fine=market([F] * 7 + [(100, 100, 94, 94)], step=0.5)),
    long("A", at=[0], exposure=5),
    venue(Instrument(0.001, 0.0, tables), margin_mode="isolated", intrabar="fine"),
    wallet=500.0,
    trades=[trade("liquidation", exit_price=90.0, pnl=-500.0)],
)
# without the finer bars the last bar began under the old table
case(
    "a tier table dated inside a bar is not in force before the next one",
    market([F] * 3 + [(100, 100, 94, 94)]),
    long("A", at=[0], exposure=5),
    venue(Instrument(0.001, 0.0, tables), margin_mode="isolated"),
    equity=[1000.0, 1000.0, 1000.0, 700.0],
    trades=[trade("open")],
)
