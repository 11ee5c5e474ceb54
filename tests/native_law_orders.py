"""Native orders worked by hand: stop-limits, trailing stops, lives of orders and cancellations (see native_law.py)."""

from datetime import datetime, timedelta

from law import F, at, flat, market, refused, trade, venue
from native_law import buy, cancel, case, sell

# ---------------------------------------- stop-limits

# reached in bar 1; the close 102 lies below 103, so the limit was met: 10*103*0.001; 10*(102 - 103)
case(
    "a stop-limit reached inside the bar fills in it when the close lies through the limit, as maker",
    market([F, (100, 106, 100, 102)]),
    {0: [buy(10, exectype="StopLimit", price=105.0, plimit=103.0)]},
    venue(maker=0.001, taker=0.01, slippage=0.01),
    ledger=[("fee", -1.03, 10.0, 103.0)],
    equity=[1000.0, 988.97],
)
# the close 104 does not prove it; resting from bar 2 on: 10*(103.5 - 103)
case(
    "a stop-limit reached inside the bar rests from the next one otherwise",
    market([F, (100, 106, 100, 104), (104, 104, 102.9, 103.5)]),
    {0: [buy(10, exectype="StopLimit", price=105.0, plimit=103.0)]},
    equity=[1000.0, 1000.0, 1005.0],
    trades=[trade("open", entry_price=103.0, entry_time=at(2))],
)
# a close of 103 is not through 103, and a limit that rests is not filled by a touch either
case(
    "a stop-limit whose limit is only touched rests on",
    market([F, (100, 106, 100, 103), (103, 104, 103, 104)]),
    {0: [buy(10, exectype="StopLimit", price=105.0, plimit=103.0)]},
    trades=[],
    rejections=refused((0, "end_of_data")),
)
# 105.5*1.01 = 106.555, capped by 106: memo 10*(106 - 105.5); taker 10*106*0.01
case(
    "a stop-limit that the open has reached is a limit read at that open",
    market([F, flat(105.5)]),
    {0: [buy(10, exectype="StopLimit", price=105.0, plimit=106.0)]},
    venue(slippage=0.01, taker=0.01),
    ledger=[("fee", -10.6, 10.0, 106.0), ("slippage", -5.0)],
)
# the open 107 has reached 105 but not 106; traded through inside: maker 10*106*0.001
case(
    "a stop-limit that the open has carried beyond its limit waits for it",
    market([F, (107, 108, 105.9, 107)]),
    {0: [buy(10, exectype="StopLimit", price=105.0, plimit=106.0)]},
    venue(slippage=0.01, taker=0.01, maker=0.001),
    ledger=[("fee", -1.06, 10.0, 106.0)],
)
# the open 90 has reached 95, but nobody pays 94 in bar 2; in bar 3: 10*(94 - 100)
case(
    "a stop-limit can miss",
    market([F, F, (90, 93, 90, 92), (93, 94.5, 93, 94)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopLimit", price=95.0, plimit=94.0)]},
    equity=[1000.0, 1000.0, 920.0, 940.0],
    trades=[{"exit_price": 94.0, "exit_time": at(3)}],
)
# reached, and the close 94.6 lies above 94: 10*(94 - 100), maker 10*94*0.001
case(
    "a reducing stop-limit fills at its limit when the close lies through it",
    market([F, F, (100, 100, 93.5, 94.6)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopLimit", price=95.0, plimit=94.0)]},
    venue(maker=0.001, slippage=0.01),
    ledger=[("slippage", -10.0), ("trade_pnl", -70.0, 0.0, 94.0), ("fee", -0.94)],
)

# ---------------------------------------- trailing stops

# 102 - 5 = 97 for bar 2 (its high 120 counts for nothing); 110 - 5 = 105 for bar 3: 10*5
case(
    "a trailing stop by an amount follows the close, for the next bar",
    market([F, (100, 102, 99, 102), (102, 120, 98, 110), (110, 111, 104, 106)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopTrail", trailamount=5.0, name="t")]},
    wallet=1050.0,
    trades=[trade("trail", exit_price=105.0, exit_time=at(3))],
    orders={"t": "Completed"},
)
# 102 - 5 = 97 stays though bar 2 closes at 99: 10*(97 - 100)
case(
    "a trailing stop never moves back",
    market([F, (100, 102, 99, 102), (102, 102, 98, 99), (99, 99, 96.5, 98)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopTrail", trailamount=5.0)]},
    wallet=970.0,
    trades=[trade("trail", exit_price=97.0, exit_time=at(3))],
)
# 102*0.9 = 91.8; 110*0.9 = 99: 10*(99 - 100)
case(
    "a trailing stop by a fraction",
    market([F, (100, 102, 99, 102), (102, 120, 92, 110), (110, 111, 98, 100)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopTrail", trailpercent=0.1)]},
    wallet=990.0,
    trades=[trade("trail", exit_price=99.0, exit_time=at(3))],
)
# the open 103 is below 105: 103*0.99 = 101.97; entry 101: 10*0.97
case(
    "a trailing stop through a gap fills at the slipped open",
    market([F, (100, 102, 99, 102), (102, 120, 98, 110), flat(103)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopTrail", trailamount=5.0)]},
    venue(slippage=0.01),
    wallet=1009.7,
    trades=[trade("trail", exit_price=101.97)],
)
# 100 + 5 = 105 for bar 1; 96 + 5 = 101 for bar 2: 10*(102 - 101)
case(
    "a trailing stop can be an entry",
    market([F, (100, 104, 95, 96), (96, 102, 96, 102)]),
    {0: [buy(10, exectype="StopTrail", trailamount=5.0)]},
    equity=[1000.0, 1000.0, 1010.0],
    trades=[trade("open", side=1, entry_price=101.0)],
)
# given with the entry: 100 - 5 = 95 in bar 1, 107 - 5 = 102 in bar 2: 10*2
case(
    "a trailing stop given with the entry counts from the close that was known",
    market([F, (100, 108, 96, 107), (107, 107, 101, 105)]),
    {0: [buy(10), sell(10, exectype="StopTrail", trailamount=5.0, reduce_only=True)]},
    wallet=1020.0,
    trades=[trade("trail", exit_price=102.0)],
)
# short: 98 + 5 = 103 for bar 2, 90 + 5 = 95 for bar 3: 10*(100 - 95)
case(
    "a trailing stop of a short",
    market([F, (100, 100, 97, 98), (98, 102, 88, 90), (90, 96, 90, 92)]),
    {0: [sell(10)], 1: [buy(10, exectype="StopTrail", trailamount=5.0)]},
    wallet=1050.0,
    trades=[trade("trail", side=-1, exit_price=95.0)],
)

# `price` is what the distance is measured from at first: 98 - 5 = 93, which 94 does not reach; then 99 - 5 = 94: 10*(94 - 100)
case(
    "a trailing stop with a price starts from that price",
    market([F, (100, 102, 99, 102), (102, 102, 94, 99), (99, 99, 93.5, 95)]),
    {0: [buy(10)], 1: [sell(10, exectype="StopTrail", price=98.0, trailamount=5.0)]},
    wallet=940.0,
    trades=[trade("trail", exit_price=94.0, exit_time=at(3))],
)
# stop 102 - 5 = 97, limit 1 below it as 101 is below 102; then 110 - 5 = 105 and 104 for bar 3, which closes beyond: 10*(104 - 100)
trailed = {0: [buy(10)], 1: [sell(10, exectype="StopTrailLimit", price=102.0, plimit=101.0, trailamount=5.0, name="t")]}
case(
    "the limit of a trailing stop-limit keeps its distance",
    market([F, (100, 102, 99, 102), (102, 110, 98, 110), (110, 110, 104.5, 106)]),
    trailed,
    wallet=1040.0,
    trades=[trade("trail", exit_price=104.0, exit_time=at(3))],
    orders={"t": "Completed"},
)
# reached in bar 3, which closes at 103: a limit at 104 from bar 4 on, traded through in bar 5 only
case(
    "a trailing stop-limit that is jumped over waits as a limit",
    market(
        [
            F,
            (100, 102, 99, 102),
            (102, 110, 98, 110),
            (110, 110, 102, 103),
            (103, 103.5, 100, 102),
            (102, 105, 102, 104),
        ]
    ),
    trailed,
    wallet=1040.0,
    trades=[trade("trail", exit_price=104.0, exit_time=at(5))],
)

# ---------------------------------------- lives of orders

# both live until 02:00, the open of bar 2: bar 2 fills the one, the open of bar 3 is too late for the other
case(
    "an order that is valid until the open of a bar still acts in that bar",
    market([F, F, (100, 100, 94, 96), (96, 96, 80, 85)]),
    {
        0: [
            buy(1, exectype="Limit", price=95.0, valid=datetime(2023, 11, 15, 2), name="a"),
            buy(1, exectype="Limit", price=90.0, valid=datetime(2023, 11, 15, 2), name="b"),
        ]
    },
    trades=[trade("open", entry_price=95.0, quantity=1.0, entry_time=at(2))],
    rejections=[{"row": 1, "bar": 0, "time": at(3), "kind": "enter", "reason": "expired"}],
    notes=[(1, "b", "Submitted"), (1, "b", "Accepted"), (3, "b", "Expired")],
)
# given in bar 1 (01:00) for an hour: dead at the open of bar 3, where 80 would have filled it
case(
    "a time span counts from the open of the bar in which the order was given",
    market([F, F, F, flat(80)]),
    {1: [buy(1, exectype="Limit", price=95.0, valid=timedelta(hours=1), name="a")]},
    trades=[],
    rejections=[{"row": 0, "bar": 1, "time": at(3), "reason": "expired"}],
    orders={"a": "Expired"},
)
case(
    "an order without an end is good till cancelled",
    market([F, F, F, F, F, F, (100, 100, 94, 95)]),
    {0: [buy(1, exectype="Limit", price=95.0, valid=None, name="a")]},
    trades=[trade("open", entry_price=95.0, entry_time=at(6))],
    orders={"a": "Completed"},
)
# bars at 00:00 and 12:00. a acts in bar 1 only (day 1); b and c in bars 2 and 3 (day 2)
case(
    "a day order lives to the end of the day in which it is first read",
    market([F, F, (100, 100, 98, 100), (100, 100, 94, 100), flat(70)], step=12.0),
    {
        0: [buy(1, exectype="Limit", price=99.0, valid=0, name="a")],
        1: [
            buy(1, exectype="Limit", price=95.0, valid=0, name="b"),
            buy(1, exectype="Limit", price=80.0, valid=0, name="c"),
        ],
    },
    trades=[trade("open", entry_price=95.0, entry_time=at(36))],
    rejections=[{"row": 0, "reason": "expired", "time": at(24)}, {"row": 2, "reason": "expired", "time": at(48)}],
    orders={"a": "Expired", "b": "Completed", "c": "Expired"},
)

# ---------------------------------------- cancellations

case(
    "a cancellation acts before the next open",
    market([F, F, flat(90)]),
    {0: [buy(1, exectype="Limit", price=95.0, name="a")], 1: [cancel("a")]},
    trades=[],
    rejections=[{"row": 0, "bar": 0, "time": at(2), "kind": "enter", "reason": "cancelled"}],
    notes=[(1, "a", "Submitted"), (1, "a", "Accepted"), (2, "a", "Canceled")],
)
case(
    "an order that is cancelled in the bar in which it was given never acts",
    market([F, F]),
    {0: [buy(1, name="a"), cancel("a")]},
    trades=[],
    rejections=refused((0, "cancelled")),
    orders={"a": "Canceled"},
)
case(
    "to cancel an order that is filled does nothing",
    market([F, F, F, flat(101)]),
    {0: [buy(10, name="a")], 1: [cancel("a")], 2: [cancel("a")]},
    equity=[1000.0, 1000.0, 1000.0, 1010.0],
    rejections=[],
    notes=[(1, "a", "Submitted"), (1, "a", "Accepted"), (1, "a", "Completed")],
)
# cancelled at the close of bar 1, but bar 1 had filled it: 10*(96 - 95)
case(
    "a cancellation comes too late for a fill in the bar that is over",
    market([F, (100, 100, 94, 96)]),
    {0: [buy(10, exectype="Limit", price=95.0, name="a")], 1: [cancel("a")]},
    equity=[1000.0, 1010.0],
    rejections=[],
    orders={"a": "Completed"},
)
# the stop is cancelled and given anew at 93: 10*(93 - 100)
case(
    "a stop is moved by cancelling it and giving another",
    market([F, F, F, (100, 100, 94, 95), (95, 95, 92, 94)]),
    {
        0: [buy(10)],
        1: [sell(10, exectype="Stop", price=95.0, name="old")],
        2: [cancel("old"), sell(10, exectype="Stop", price=93.0, name="new")],
    },
    wallet=930.0,
    trades=[trade("stop", exit_price=93.0, exit_time=at(4))],
    rejections=refused((1, "cancelled")),
    orders={"old": "Canceled", "new": "Completed"},
)

# ---------------------------------------- the end of the data

case(
    "orders at the last bar and orders still resting are end_of_data",
    market([F, F, F]),
    {0: [buy(1, exectype="Limit", price=90.0)], 2: [buy(1)]},
    trades=[],
    rejections=[
        {"row": 0, "bar": 0, "kind": "enter", "reason": "end_of_data"},
        {"row": 1, "bar": 2, "kind": "enter", "reason": "end_of_data"},
    ],
)
case(
    "closing what is not held leaves a row",
    market([F, F, F]),
    {1: [("close", {})]},
    trades=[],
    rejections=[{"bar": 1, "kind": "exit", "reason": "no_position"}],
)
# 10*(103 - 100)
case(
    "close ends the position at the next open",
    market([F, F, flat(103)]),
    {0: [buy(10)], 1: [("close", {"name": "c"})]},
    wallet=1030.0,
    trades=[trade("exit", exit_price=103.0)],
    fills={"c": (-10.0, 103.0)},
    rejections=[],
)
