"""Native brackets worked by hand: a parent and its two children (see native_law.py)."""

from datetime import timedelta

from law import F, at, flat, market, refused, trade, venue
from native_law import bracket, buy, cancel, case, given, sell

BEST = venue(intrabar="best")
LIMIT = {0: [bracket(10, 92.0, 105.0, price=95.0, name="b")]}
TRIGGER = {0: [bracket(10, 100.0, 110.0, price=105.0, exectype="Stop", name="b")]}
MARKET = {0: [bracket(10, 95.0, 105.0, exectype="Market", name="b")]}

# ---------------------------------------- a limit parent

# 10*(105 - 95)
case(
    "a bracket: in at the limit, out at the target, the stop is gone",
    market([F, (100, 100, 94, 96), (96, 106, 96, 105)]),
    LIMIT,
    wallet=1100.0,
    trades=[trade("target", entry_price=95.0, exit_price=105.0, entry_time=at(1), exit_time=at(2))],
    rejections=[],
    notes=[
        (1, "b", "Submitted"),
        (1, "b", "Accepted"),
        (1, "b", "Completed"),
        (1, "b.stop", "Submitted"),
        (1, "b.stop", "Accepted"),
        (2, "b.stop", "Canceled"),
        (1, "b.target", "Submitted"),
        (1, "b.target", "Accepted"),
        (2, "b.target", "Completed"),
    ],
)
# 10*(92 - 95)
for name, v in (("worst", venue()), ("best", BEST)):
    case(
        f"{name}: the stop of a limit parent is certain in the bar of the entry",
        market([F, (100, 100, 91, 93)]),
        LIMIT,
        v,
        wallet=970.0,
        trades=[trade("stop", entry_time=at(1), exit_time=at(1), exit_price=92.0)],
        rejections=[],
        assumptions={"ambiguous_bars": 0},
    )
# 10*(100 - 95)
case(
    "worst: the target of a limit parent is only possible in the bar of the entry",
    market([F, (100, 110, 94, 100)]),
    LIMIT,
    equity=[1000.0, 1050.0],
    trades=[trade("open")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: the possible target of a limit parent is taken",
    market([F, (100, 110, 94, 100)]),
    LIMIT,
    BEST,
    wallet=1100.0,
    trades=[trade("target")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "worst: the target of a limit parent is certain when the close lies beyond it",
    market([F, (100, 110, 94, 106)]),
    LIMIT,
    wallet=1100.0,
    trades=[trade("target", exit_price=105.0)],
    assumptions={"ambiguous_bars": 0},
)
# in at 95 as maker (10*95*0.001), out at the open 90 as taker (10*90*0.002): 10*(90 - 95)
case(
    "a limit parent filled through a gap that has passed its stop too leaves at once",
    market([F, (100, 100, 98, 98), (90, 99, 90, 99)]),
    LIMIT,
    venue(maker=0.001, taker=0.002),
    ledger=[("fee", -0.95, 10.0, 95.0), ("trade_pnl", -50.0, 0.0, 90.0), ("fee", -1.8)],
    trades=[trade("stop", entry_time=at(2), exit_time=at(2))],
    orders={"b": "Completed", "b.stop": "Completed", "b.target": "Canceled"},
)
# the target 97 sleeps while the price is 100; in at 95, out at 97: 10*2
case(
    "children sleep until the parent is filled",
    market([F, F, (100, 100, 94, 96), (96, 98, 96, 97.5)]),
    {0: [bracket(10, 92.0, 97.0, price=95.0)]},
    wallet=1020.0,
    trades=[trade("target", side=1, entry_time=at(2), exit_time=at(3), exit_price=97.0)],
)
# 10*(92 - 95), like a bracket
case(
    "a bracket may be put together by hand",
    market([F, (100, 100, 91, 93)]),
    {
        0: [
            buy(10, exectype="Limit", price=95.0, transmit=False, name="p"),
            sell(10, exectype="Stop", price=92.0, parent="p", name="s"),
        ]
    },
    wallet=970.0,
    trades=[trade("stop", exit_price=92.0)],
    orders={"p": "Completed", "s": "Completed"},
)
# 10*(105 - 95)
case(
    "a bracket of a short",
    market([F, (100, 106, 100, 104), (104, 104, 94, 95)]),
    {0: [given("sell_bracket", size=10, price=105.0, stopprice=108.0, limitprice=95.0, name="b")]},
    wallet=1100.0,
    trades=[trade("target", side=-1, entry_price=105.0, exit_price=95.0)],
    orders={"b.target": "Completed", "b.stop": "Canceled"},
)

# ---------------------------------------- a stop as the parent

# 10*(110 - 105)
case(
    "the target of a stop parent is certain in the bar of the entry",
    market([F, (102, 111, 101, 108)]),
    TRIGGER,
    wallet=1050.0,
    trades=[trade("target", entry_price=105.0, exit_price=110.0, exit_time=at(1))],
    assumptions={"ambiguous_bars": 0},
)
# 10*(100 - 105)
case(
    "worst: the possible stop of a stop parent is taken",
    market([F, (102, 106, 99, 104)]),
    TRIGGER,
    wallet=950.0,
    trades=[trade("stop", exit_price=100.0, exit_time=at(1))],
    assumptions={"ambiguous_bars": 1},
)
# 10*(104 - 105)
case(
    "best: the possible stop of a stop parent is not taken",
    market([F, (102, 106, 99, 104)]),
    TRIGGER,
    BEST,
    equity=[1000.0, 990.0],
    trades=[trade("open")],
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: the stop of a stop parent is certain when the close lies beyond it",
    market([F, (102, 106, 99, 99.5)]),
    TRIGGER,
    BEST,
    wallet=950.0,
    trades=[trade("stop")],
    assumptions={"ambiguous_bars": 0},
)

# ---------------------------------------- a parent at the market

for name, v, wallet, reason in (("worst", venue(), 950.0, "stop"), ("best", BEST, 1050.0, "target")):
    case(
        f"{name}: both children of a parent at the market are certain",
        market([F, (100, 106, 94, 100)]),
        MARKET,
        v,
        wallet=wallet,
        trades=[trade(reason)],
        assumptions={"ambiguous_bars": 1},
    )
# bought and sold at the open 97
case(
    "a parent at the market whose stop the open has passed leaves at that open",
    market([F, (97, 99, 96, 99)]),
    {0: [bracket(10, 98.0, 105.0, exectype="Market")]},
    wallet=1000.0,
    trades=[trade("stop", entry_price=97.0, exit_price=97.0, exit_time=at(1))],
)
# 10*(95 - 100)
case(
    "a bracket may have a stop only",
    market([F, (100, 106, 94, 100)]),
    {0: [bracket(10, 95.0, None, exectype="Market", name="b")]},
    BEST,
    wallet=950.0,
    trades=[trade("stop")],
    rejections=[],
)
# 100 - 5 = 95 in bar 1, 110 - 5 = 105 in bar 2: 10*5
case(
    "a bracket whose stop trails",
    market([F, (100, 112, 96, 110), (110, 110, 104, 106)]),
    {0: [bracket(10, None, None, exectype="Market", stopexec="StopTrail", stopargs={"trailamount": 5.0})]},
    wallet=1050.0,
    trades=[trade("trail", exit_price=105.0)],
)

# ---------------------------------------- parents and children that go

gone = [{"row": row, "bar": 0, "time": at(2), "reason": "cancelled"} for row in range(3)]
case(
    "a parent that is cancelled takes its children with it",
    market([F, F, (100, 120, 80, 100)]),
    {**LIMIT, 1: [cancel("b")]},
    trades=[],
    rejections=gone[:1],
    orders={"b": "Canceled", "b.stop": "Canceled", "b.target": "Canceled"},
)
case(
    "a parent that expires takes its children with it",
    market([F, F, (100, 120, 80, 100)]),
    {0: [bracket(10, 92.0, 105.0, price=95.0, oargs={"valid": timedelta(hours=1)}, name="b")]},
    trades=[],
    rejections=[{**gone[0], "reason": "expired"}],
    orders={"b": "Expired", "b.stop": "Canceled", "b.target": "Canceled"},
)
case(
    "a parent that is refused takes its children with it",
    market([F, (100, 120, 80, 100)]),
    {0: [bracket(200, 95.0, 105.0, exectype="Market", name="b")]},
    trades=[],
    rejections=refused((0, "insufficient_margin")),
    orders={"b": "Margin", "b.stop": "Canceled", "b.target": "Canceled"},
)
# 4 sold at 100, the stop of 10 sells the 6 that are left: 6*(95 - 100)
case(
    "a child is cut to the position that is left",
    market([F, F, F, (100, 100, 94, 96), flat(80)]),
    {**MARKET, 1: [sell(4)]},
    wallet=970.0,
    trades=[trade("stop", quantity=10.0, pnl=-30.0)],
    fills={"b.stop": (-6.0, 95.0)},
)
case(
    "children of a position that was closed by hand are cancelled",
    market([F, F, F, (100, 120, 80, 100)]),
    {**MARKET, 1: [("close", {})]},
    wallet=1000.0,
    trades=[trade("exit")],
    rejections=[],
    orders={"b.stop": "Canceled", "b.target": "Canceled"},
)
# the bracket of the first trade has gone with it: the second is not stopped out at 95: 10*(96 - 100)
case(
    "children do not outlive their position into the next one",
    market([F, F, F, F, (100, 106, 94, 96)]),
    {**MARKET, 1: [("close", {})], 2: [buy(10)]},
    trades=[trade("exit"), trade("open", quantity=10.0, entry_time=at(3))],
    equity=[1000.0, 1000.0, 1000.0, 1000.0, 960.0],
    rejections=[],
)
# 10*(95 - 100)
case(
    "to cancel a parent that is filled leaves its children in force",
    market([F, F, (100, 100, 94, 96)]),
    {**MARKET, 1: [cancel("b")]},
    wallet=950.0,
    trades=[trade("stop", exit_price=95.0)],
    orders={"b": "Completed", "b.stop": "Completed", "b.target": "Canceled"},
)
# 10*(97 - 100), then 10*(94 - 100)
case(
    "two brackets in one position act one by one",
    market([F, (100, 100, 96.5, 98), (98, 98, 93, 95)]),
    {
        0: [
            bracket(10, 94.0, 110.0, exectype="Market", name="far"),
            bracket(10, 97.0, 110.0, exectype="Market", name="near"),
        ]
    },
    ledger=[("trade_pnl", -30.0, 10.0, 97.0), ("trade_pnl", -60.0, 0.0, 94.0)],
    trades=[trade("stop", quantity=20.0, exit_time=at(2))],
    orders={"far.target": "Canceled", "near.target": "Canceled"},
)
# 20 at 97.5; the parent's stop sells its 10: 10*(92 - 97.5) = -55; 10 are left: 10*(93 - 97.5)
case(
    "a bracket that adds inside the bar stops out its own size in it",
    market([F, F, (100, 100, 91, 93)]),
    {0: [buy(10)], 1: [bracket(10, 92.0, 105.0, price=95.0)]},
    ledger=[("trade_pnl", -55.0, 10.0, 92.0)],
    equity=[1000.0, 1000.0, 900.0],
    trades=[trade("open", quantity=20.0, entry_price=97.5)],
)
# nothing is left of the bracket: 10*(94 - 100)
case(
    "a child that is cancelled takes the other with it",
    market([F, F, (100, 106, 94, 94)]),
    {**MARKET, 1: [cancel("b.stop")]},
    equity=[1000.0, 1000.0, 940.0],
    trades=[trade("open")],
    rejections=refused((1, "cancelled")),
)
