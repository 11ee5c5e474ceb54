"""Native orders worked by hand: scaling in and out, turning round, sizes and refusals (see native_law.py)."""

from law import ISOLATED, F, at, flat, instrument, market, refused, trade, venue
from native_law import buy, case, sell

from backtest.model import Instrument

# ---------------------------------------- scaling in

# (10*100 + 10*110)/20 = 105: 20*(115 - 105)
case(
    "pyramiding averages the entry",
    market([F, F, (110, 116, 110, 115)]),
    {0: [buy(10)], 1: [buy(10)]},
    equity=[1000.0, 1000.0, 1200.0],
    wallet=1000.0,
    trades=[trade("open", quantity=20.0, entry_price=105.0, entry_time=at(1), exit_price=115.0, pnl=0.0)],
)
# average of the shorts 95; 5*(95 - 80) = 75; 15*(95 - 80) = 225
case(
    "a short is scaled in and out",
    market([F, F, flat(90), flat(80)]),
    {0: [sell(10)], 1: [sell(10)], 2: [buy(5)]},
    ledger=[("trade_pnl", 75.0, -15.0, 80.0)],
    equity=[1000.0, 1000.0, 1100.0, 1300.0],
    trades=[trade("open", side=-1, quantity=20.0, entry_price=95.0, pnl=75.0)],
)
# 5*(120 - 100) = 100; then (5*100 + 5*110)/10 = 105: 10*(110 - 105)
case(
    "a partial close leaves the average, the next addition moves it",
    market([F, F, flat(120), flat(110)]),
    {0: [buy(10)], 1: [sell(5)], 2: [buy(5)]},
    ledger=[("trade_pnl", 100.0, 5.0, 120.0)],
    equity=[1000.0, 1000.0, 1200.0, 1150.0],
    trades=[trade("open", quantity=10.0, entry_price=105.0, pnl=100.0)],
)
# (10*98 + 10*96)/20 = 97
case(
    "two limits of one bar scale in inside it",
    market([F, (100, 100, 95, 97), flat(99)]),
    {0: [buy(10, exectype="Limit", price=98.0), buy(10, exectype="Limit", price=96.0)]},
    equity=[1000.0, 1000.0, 1040.0],
    trades=[trade("open", quantity=20.0, entry_price=97.0)],
)
# 20 at 98, the stop sells all of it, cut to the position: 20*(90 - 98)
case(
    "a reduce-only stop serves a position that has grown",
    market([F, (100, 100, 95, 96), (96, 96, 89, 91)]),
    {0: [buy(10), buy(10, exectype="Limit", price=96.0), sell(99, exectype="Stop", price=90.0, reduce_only=True)]},
    wallet=840.0,
    trades=[trade("stop", quantity=20.0, entry_price=98.0, exit_price=90.0)],
)
# M = 500 + 330, q = 80, E = 8300/80 = 103.75: P* = (830 - 8300)/(-79.2) = 94.31818, P_b = 103.75 - 10.375
case(
    "isolated: an addition adds its notional/L to the margin, and the liquidation price moves",
    market([F, F, flat(110), (100, 100, 94.32, 100), (100, 100, 94.31, 100)]),
    {0: [buy(50)], 1: [buy(30)]},
    ISOLATED,
    ledger=[("liquidation_loss", -830.0, 0.0, 93.375)],
    equity=[1000.0, 1000.0, 1500.0, 700.0, 170.0],
    trades=[trade("liquidation", quantity=80.0, entry_price=103.75, exit_price=93.375, exit_time=at(4))],
)

# ---------------------------------------- scaling out

# 10*10 + 10*20 + 10*30 = 600; fees 3 in, 1.1, 1.2 and 1.3 out
case(
    "each partial close realises its own pnl",
    market([F, F, flat(110), flat(120), flat(130)]),
    {0: [buy(30)], 1: [sell(10)], 2: [sell(10)], 3: [sell(10)]},
    venue(taker=0.001),
    ledger=[
        ("fee", -3.0, 30.0),
        ("trade_pnl", 100.0, 20.0),
        ("fee", -1.1, 20.0),
        ("trade_pnl", 200.0, 10.0),
        ("fee", -1.2, 10.0),
        ("trade_pnl", 300.0, 0.0),
        ("fee", -1.3, 0.0),
    ],
    trades=[trade("exit", quantity=30.0, entry_price=100.0, exit_time=at(4), pnl=593.4, fees=-6.6)],
)
# in doubles 0.9 - 0.3 - 0.3 - 0.3 is not zero: no dust is left, the next order opens a trade of its own
case(
    "reduced to zero the trade is over, however the lots round",
    market([F, F, F, F]),
    {0: [buy(0.9)], 1: [sell(0.3), sell(0.3), sell(0.3)], 2: [buy(0.9)]},
    venue(Instrument(0.1, 0.0, instrument().tables)),
    trades=[trade("exit", quantity=0.9, exit_time=at(2)), trade("open", quantity=0.9, entry_time=at(3))],
    rejections=[],
)
# 20*10 = 200; M = 500*30/50 = 300, free 1200 - 300 = 900: 82*110/10 = 902 is too much, 81*110/10 = 891 is not
case(
    "isolated: a partial close realises pnl and releases margin in proportion",
    market([F, F, flat(110)]),
    {0: [buy(50)], 1: [sell(20), buy(82, name="much"), buy(81, name="less")]},
    ISOLATED,
    ledger=[("trade_pnl", 200.0, 30.0)],
    trades=[trade("open", quantity=111.0, entry_price=11910 / 111)],
    rejections=refused((2, "insufficient_margin")),
    orders={"much": "Margin", "less": "Completed"},
)
# what is left has M = 300 for 30: still P* = 90.909, P_b = 90
case(
    "isolated: a partial close leaves the liquidation price where it was",
    market([F, F, flat(110), (100, 100, 90.91, 100), (100, 100, 90.9, 100)]),
    {0: [buy(50)], 1: [sell(20)]},
    ISOLATED,
    ledger=[("trade_pnl", 200.0, 30.0), ("liquidation_loss", -300.0, 0.0, 90.0)],
    wallet=900.0,
    trades=[trade("liquidation", quantity=50.0, pnl=-100.0, exit_time=at(4))],
)

# ---------------------------------------- turning round

# close 10*10 = 100, fee 10*110*0.001; open 15, fee 15*110*0.001; 15*(110 - 108) = 30
case(
    "an order larger than the position turns it round",
    market([F, F, flat(110), flat(108)]),
    {0: [buy(10)], 1: [sell(25, name="r")]},
    venue(taker=0.001),
    ledger=[
        ("fee", -1.0, 10.0),
        ("trade_pnl", 100.0, 0.0, 110.0),
        ("fee", -1.1, 0.0),
        ("fee", -1.65, -15.0, 110.0),
    ],
    equity=[1000.0, 999.0, 1096.25, 1126.25],
    trades=[trade("reverse", side=1, pnl=97.9), trade("open", side=-1, quantity=15.0, entry_price=110.0)],
    fills={"r": (-25.0, 110.0)},
    orders={"r": "Completed"},
)
# 90 closed first free their 900: 90*100/10 <= 1000
case(
    "the margin of what an order closes is free for what it opens",
    market([F, F, F]),
    {0: [buy(90)], 1: [sell(180)]},
    ISOLATED,
    trades=[trade("reverse"), trade("open", side=-1, quantity=90.0)],
    rejections=[],
)
# 10*10, then a short of 5 that goes at the price at which it came
case(
    "two turns at one open are two trades",
    market([F, F, flat(110), flat(200)]),
    {0: [buy(10)], 1: [sell(15), buy(5)]},
    ledger=[("trade_pnl", 100.0, 0.0, 110.0)],
    wallet=1100.0,
    trades=[
        trade("reverse", side=1, quantity=10.0, exit_time=at(2)),
        trade("exit", side=-1, quantity=5.0, entry_time=at(2), exit_time=at(2), pnl=0.0),
    ],
)
# wallet 1100; 120*110/10 = 1320
case(
    "a turn whose opening part lacks margin has closed all the same",
    market([F, F, flat(110), flat(200)]),
    {0: [buy(10)], 1: [sell(130, name="r")]},
    wallet=1100.0,
    trades=[trade("reverse", exit_price=110.0)],
    rejections=[{"row": 1, "bar": 1, "time": at(2), "reason": "insufficient_margin"}],
    orders={"r": "Partial Margin"},
    fills={"r": (-10.0, 110.0)},
)
# 2*110 = 220 < 500
case(
    "a turn whose opening part is too small has closed all the same",
    market([F, F, flat(110), flat(200)]),
    {0: [buy(10)], 1: [sell(12, name="r")]},
    venue(instrument(minimum=500.0)),
    wallet=1100.0,
    trades=[trade("reverse")],
    rejections=refused((1, "below_minimum")),
    orders={"r": "Partial Rejected"},
)
case(
    "a reduce-only order does not turn the position round",
    market([F, F, flat(110), flat(200)]),
    {0: [buy(10)], 1: [sell(25, reduce_only=True, name="r")]},
    wallet=1100.0,
    trades=[trade("exit")],
    fills={"r": (-10.0, 110.0)},
)
case(
    "a reduce-only order with nothing to reduce is refused",
    market([F, F, F]),
    {0: [sell(5, reduce_only=True, name="flat")], 1: [sell(5, reduce_only=True, name="still")]},
    trades=[],
    rejections=refused((0, "no_position"), (1, "no_position")),
    orders={"flat": "Rejected", "still": "Rejected"},
)

# ---------------------------------------- sizes and refusals

case(
    "sizes are floored to the lot; nothing is below the minimum",
    market([F, F]),
    {0: [buy(1.23456), buy(0.0004, name="dust")]},
    trades=[trade("open", quantity=1.234)],
    rejections=refused((1, "below_minimum")),
    orders={"dust": "Rejected"},
)
# 2*100 = 200 < 500; 10*40 = 400 < 500, but it takes the whole: 10*(40 - 100)
case(
    "the minimum notional binds a part, never the whole of a position",
    market([F, F, F, flat(40)]),
    {0: [buy(4, name="small"), buy(10)], 1: [sell(2, name="part")], 2: [sell(10, name="whole")]},
    venue(instrument(minimum=500.0)),
    wallet=400.0,
    trades=[trade("exit", quantity=10.0)],
    rejections=refused((0, "below_minimum"), (2, "below_minimum")),
    orders={"small": "Rejected", "part": "Rejected", "whole": "Completed"},
)
# 99.5: 995 + 9.95 > 1000; 99: 990 + 9.9 <= 1000
case(
    "the fee counts in the margin that an order needs",
    market([F, F]),
    {0: [buy(99.5, name="a"), buy(99, name="b")]},
    venue(taker=0.001),
    ledger=[("fee", -9.9)],
    orders={"a": "Margin", "b": "Completed"},
    rejections=refused((0, "insufficient_margin")),
)
# 40*100 + 20*100 = 6000 is in the tier that allows 5; 4000 + 900 is not
case(
    "the tier of the whole position limits the leverage of an addition",
    market([F, F, F]),
    {0: [buy(40)], 1: [buy(20, name="a"), buy(9, name="b")]},
    venue(instrument((0.0, 5000.0), (0.01, 0.05), (125.0, 5.0))),
    trades=[trade("open", quantity=49.0)],
    rejections=refused((1, "leverage_above_tier")),
    orders={"a": "Margin", "b": "Completed"},
)
# mmr 20% > 1/10: P* = 100*0.9/0.8 = 112.5 lies above the fill
case(
    "isolated: an order beyond its own liquidation price is refused",
    market([F, F]),
    {0: [buy(50, name="a")]},
    venue(instrument(mmr=(0.2,)), margin_mode="isolated"),
    trades=[],
    rejections=refused((0, "would_liquidate")),
    orders={"a": "Margin"},
)
# 49: 1000 > 0.2*4900; with 1 more 1000 <= 0.2*5000
case(
    "cross: an addition that would put the account in breach is refused",
    market([F, F, F]),
    {0: [buy(49)], 1: [buy(1, name="a")]},
    venue(instrument(mmr=(0.2,))),
    trades=[trade("open", quantity=49.0)],
    rejections=refused((1, "would_liquidate")),
    orders={"a": "Margin"},
)
# the limits reserve nothing; 60 at 98 take 588; in bar 2, at its open 98, 60*90/10 = 540 > 1000 - 588; 60*(90 - 98)
case(
    "a resting order reserves no margin and is tested when it fills",
    market([F, (100, 100, 97, 98), (98, 98, 89, 90)]),
    {0: [buy(60, exectype="Limit", price=98.0, name="a"), buy(60, exectype="Limit", price=90.0, name="b")]},
    rejections=[{"row": 1, "bar": 0, "time": at(2), "reason": "insufficient_margin"}],
    orders={"a": "Completed", "b": "Margin"},
    equity=[1000.0, 1000.0, 520.0],
)
# bar 0 warms up: `next` is not called for it; given at the close of bar 1, 10*(101 - 100)
case(
    "the first order is the one that acts at the start of trading",
    market([F, F, F, (100, 101, 100, 101)], trade_from=at(2)),
    {0: [buy(10, name="early")], 1: [buy(10, name="a")]},
    equity=[1000.0, 1010.0],
    trades=[trade("open", entry_time=at(2), quantity=10.0)],
    rejections=[],
    orders={"a": "Completed"},
)
