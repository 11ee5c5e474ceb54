"""Native orders worked by hand: liquidation, cross margin, funding, halts and dated tiers (see native_law.py)."""

from datetime import timedelta

from law import (
    HALT,
    ISOLATED,
    F,
    at,
    dated,
    flat,
    half,
    instrument,
    market,
    pair,
    parted,
    pays,
    refused,
    tiered,
    trade,
    venue,
)
from native_law import bracket, buy, case, sell

# ---------------------------------------- isolated: liquidation among the orders of a bar

# M = 500; P* = (500 - 5000)/(50*(0.01 - 1)) = 90.909, nearer than 90.5; P_b = 90
case(
    "isolated: the liquidation price comes before a farther stop, and cancels it",
    market([F, F, (100, 100, 90, 95), flat(70)]),
    {0: [buy(50)], 1: [sell(50, exectype="Stop", price=90.5, name="s")]},
    ISOLATED,
    ledger=[("liquidation_loss", -500.0, 0.0, 90.0)],
    trades=[trade("liquidation", exit_price=90.0, exit_time=at(2))],
    rejections=[{"row": 1, "bar": 1, "time": at(2), "reason": "cancelled"}],
    orders={"s": "Canceled"},
)
# 50*(95 - 100)
case(
    "isolated: a nearer stop for the whole comes before the liquidation price",
    market([F, F, (100, 100, 80, 80)]),
    {0: [buy(50)], 1: [sell(50, exectype="Stop", price=95.0)]},
    ISOLATED,
    ledger=[("trade_pnl", -250.0, 0.0, 95.0)],
    trades=[trade("stop")],
)
# 20*(95 - 100) = -100; 30 are left with M = 300 and P* = 90.909
case(
    "isolated: a nearer stop for a part, then the liquidation of the rest",
    market([F, F, (100, 100, 90, 95)]),
    {0: [buy(50)], 1: [sell(20, exectype="Stop", price=95.0)]},
    ISOLATED,
    ledger=[("trade_pnl", -100.0, 30.0, 95.0), ("liquidation_loss", -300.0, 0.0, 90.0)],
    wallet=600.0,
    trades=[trade("liquidation", pnl=-400.0, quantity=50.0)],
)
# 10*(95 - 100) = -50, 10*(91.5 - 100) = -85; 30 are left with M = 300
case(
    "isolated: two nearer stops for parts, then the liquidation of the rest",
    market([F, F, (100, 100, 90, 95)]),
    {0: [buy(50)], 1: [sell(10, exectype="Stop", price=91.5), sell(10, exectype="Stop", price=95.0)]},
    ISOLATED,
    ledger=[
        ("trade_pnl", -50.0, 40.0, 95.0),
        ("trade_pnl", -85.0, 30.0, 91.5),
        ("liquidation_loss", -300.0, 0.0, 90.0),
    ],
    wallet=565.0,
)
# the low 79 would have filled it, after the liquidation that cancels it
case(
    "isolated: a liquidation cancels a limit below it before the bar can fill it",
    market([F, (100, 100, 79, 95), F]),
    {0: [buy(50), buy(1, exectype="Limit", price=80.0, name="x")]},
    ISOLATED,
    wallet=500.0,
    trades=[trade("liquidation", exit_time=at(1))],
    orders={"x": "Canceled"},
)
# fill 102, M = 49.019*10.2 = 499.9938, P_b = 91.8, P* = 91.8/0.99 = 92.727; 93*0.98 = 91.14 < 91.8, for 20 as for all
for size in (20, 49.019):
    case(
        f"isolated: a stop for {size} that would fill beyond the bankruptcy price is a liquidation of all",
        market([F, F, (100, 100, 92.9, 95)]),
        {0: [buy(49.019)], 1: [sell(size, exectype="Stop", price=93.0)]},
        venue(margin_mode="isolated", slippage=0.02),
        ledger=[("slippage", -98.038), ("liquidation_loss", -499.9938, 0.0, 91.8)],
        trades=[trade("liquidation", exit_price=91.8)],
    )
# the mark 95 spares P* = 90.909, but an order at the last price 85 would fill beyond P_b = 90
for size in (20, 50):
    case(
        f"isolated: a market order for {size} that would fill beyond the bankruptcy price is a liquidation of all",
        parted,
        {0: [buy(50)], 1: [sell(size)]},
        ISOLATED,
        ledger=[("liquidation_loss", -500.0, 0.0, 90.0)],
        trades=[trade("liquidation", exit_time=at(2), quantity=50.0)],
    )
# the open 85 has reached 90.909 before any order acts: -500, not 50*(85 - 100)
case(
    "isolated: a gap beyond the liquidation price comes before the stop that it has passed",
    market([F, F, F, flat(85), flat(60)]),
    {0: [buy(50)], 1: [sell(50, exectype="Stop", price=95.0, name="s")]},
    ISOLATED,
    ledger=[("liquidation_loss", -500.0)],
    trades=[trade("liquidation", exit_time=at(3))],
    orders={"s": "Canceled"},
)
# after 110: M = 100 + 440 = 540, E = 5400/50 = 108, P* = (540 - 5400)/(-49.5) = 98.18, P_b = 97.2; the low is 98
added = market([F, F, (100, 111, 98, 105)])
adding = {0: [buy(10)], 1: [buy(40, exectype="Stop", price=110.0)]}
case(
    "isolated, worst: the low counts against what a stop has added in the same bar",
    added,
    adding,
    ISOLATED,
    ledger=[("liquidation_loss", -540.0, 0.0, 97.2)],
    trades=[trade("liquidation", quantity=50.0, entry_price=108.0)],
)
# 50*(105 - 108) = -150
case(
    "isolated, best: the low does not count against what a stop has added in the same bar",
    added,
    adding,
    venue(margin_mode="isolated", intrabar="best"),
    equity=[1000.0, 1000.0, 850.0],
    trades=[trade("open", quantity=50.0, entry_price=108.0)],
)
# shorts 50 at 100 and 30 at 90: M = 770, E = 96.25: P* = (770 + 7700)/(80*1.01) = 104.8267, P_b = 96.25 + 9.625
case(
    "isolated: an addition moves the liquidation price of a short",
    market([F, F, flat(90), (100, 104.82, 100, 100), (100, 104.83, 100, 100)]),
    {0: [sell(50)], 1: [sell(30)]},
    ISOLATED,
    ledger=[("liquidation_loss", -770.0, 0.0, 105.875)],
    trades=[trade("liquidation", side=-1, quantity=80.0, entry_price=96.25, exit_time=at(4))],
)
# 40 at 100 and 30 at 110: M = 730, cum = 200: P* = (730 + 200 - 7300)/(70*(0.05 - 1)) = 95.789, notional 6705 in tier 1;
# P_b = (7300 - 730)/70
case(
    "isolated: an addition may bring the position into a higher tier",
    market([F, F, flat(110), (100, 100, 95.8, 100), (100, 100, 95.78, 100)]),
    {0: [buy(40)], 1: [buy(30)]},
    venue(tiered, margin_mode="isolated"),
    ledger=[("liquidation_loss", -730.0, 0.0, 6570 / 70)],
    trades=[trade("liquidation", exit_time=at(4))],
)
# 50 at 100 and 30 at 110: maintenance 8300*0.01 = 83: P* = 103.75 - (830 - 83)/80 = 94.4125
case(
    "isolated: maintenance on the entry value of a scaled position",
    market([F, F, flat(110), (100, 100, 94.42, 100), (100, 100, 94.41, 100)]),
    {0: [buy(50)], 1: [buy(30)]},
    venue(margin_mode="isolated", maintenance="entry"),
    ledger=[("liquidation_loss", -830.0, 0.0, 93.375)],
    trades=[trade("liquidation", exit_time=at(4))],
)
# the mark stays at 95, above 90.909; the last price reaches the stop: 50*(92 - 100)
case(
    "isolated: the last price triggers a stop, the mark a liquidation",
    market([F, F, (100, 100, 80, 100)], marks=[F, F, (100, 100, 95, 99)]),
    {0: [buy(50)], 1: [sell(50, exectype="Stop", price=92.0)]},
    ISOLATED,
    wallet=600.0,
    trades=[trade("stop", exit_price=92.0)],
)
# mmr 20%: P* = 95*0.9/0.8 = 106.875 is passed from the start; M = 10*95/10
case(
    "isolated: a limit that rested is not refused, though it is liquidated at once",
    market([F, (100, 100, 94, 96)]),
    {0: [buy(10, exectype="Limit", price=95.0, name="a")]},
    venue(instrument(mmr=(0.2,)), margin_mode="isolated"),
    ledger=[("liquidation_loss", -95.0, 0.0, 85.5)],
    trades=[trade("liquidation", entry_price=95.0, exit_time=at(1))],
    orders={"a": "Completed"},
)
# bar 1 takes A's 500 and its orders; B's limit lives and fills at 50: 60 - 50; z, given later, acts: 5*(101 - 100)
case(
    "isolated: a liquidation cancels the orders of its symbol only, and later ones act as usual",
    market([F, (100, 100, 90.9, 100), F, F, flat(101)], [F, F, F, (100, 100, 49, 60), flat(60)]),
    {
        0: [
            buy(50),
            buy(1, exectype="Limit", price=80.0, name="x"),
            buy(1, data=1, exectype="Limit", price=50.0, name="y"),
        ],
        2: [buy(5, name="z")],
    },
    ISOLATED,
    equity=[1000.0, 500.0, 500.0, 510.0, 515.0],
    rejections=[{"row": 1, "bar": 0, "symbol": "A", "time": at(1), "reason": "cancelled"}],
    orders={"x": "Canceled", "y": "Completed", "z": "Completed"},
)
case(
    "isolated: a liquidation takes the children of the bracket with it",
    market([F, (100, 106, 90.9, 100), flat(60)]),
    {0: [bracket(50, 90.5, 120.0, exectype="Market", name="b")]},
    ISOLATED,
    wallet=500.0,
    trades=[trade("liquidation")],
    rejections=[],
    orders={"b": "Completed", "b.stop": "Canceled", "b.target": "Canceled"},
)

# ---------------------------------------- cross

# P* = 90.909: 100*(90.909 - 100), fee 100*90.909*0.005
case(
    "cross: a liquidation cancels the orders of all symbols",
    market([F, (100, 100, 90, 95), flat(40)], [F, F, flat(40)]),
    {
        0: [
            buy(100),
            sell(100, exectype="Limit", price=130.0, name="x"),
            buy(1, data=1, exectype="Limit", price=50.0, name="y"),
        ]
    },
    venue(liquidation_fee=0.005),
    ledger=[("liquidation_loss", -909.0909091, 0.0, 90.9090909), ("liquidation_fee", -45.4545455)],
    wallet=45.4545455,
    rejections=[
        {"row": 1, "symbol": "A", "time": at(1), "reason": "cancelled"},
        {"row": 2, "symbol": "B", "time": at(1), "reason": "cancelled"},
    ],
    orders={"x": "Canceled", "y": "Canceled"},
)
# half out at 95: -250; at 88: 1000 - 250 - 600 = 150, above 0.01*50*88 (and 0.01*50*95 more); 50*(90 - 100) at the close
case(
    "cross: a stop for half on the way saves the account",
    market([F, F, (100, 100, 88, 90)]),
    {0: [buy(100)], 1: [sell(50, exectype="Stop", price=95.0)]},
    ledger=[("trade_pnl", -250.0, 50.0, 95.0)],
    equity=[1000.0, 1000.0, 250.0],
    trades=[trade("open", quantity=100.0, pnl=-250.0)],
)
# half out at 95: -250; 1000 - 250 - 50*14 = 50 at the low 86, above 0.01*50*86 = 43; 50*(90 - 100) at the close
case(
    "cross: after a nearer stop for half only the rest needs maintenance",
    market([F, F, (100, 100, 86, 90)]),
    {0: [buy(100)], 1: [sell(50, exectype="Stop", price=95.0)]},
    ledger=[("trade_pnl", -250.0, 50.0, 95.0)],
    equity=[1000.0, 1000.0, 250.0],
    trades=[trade("open", quantity=100.0, pnl=-250.0)],
)
# half out at 95: -250; 750 + 50*(P - 100) = 0.5*P: P* = 4250/49.5 = 85.8586, loss 50*14.1414
case(
    "cross: a nearer stop for half, then the liquidation of the rest",
    market([F, F, (100, 100, 85, 90)]),
    {0: [buy(100)], 1: [sell(50, exectype="Stop", price=95.0)]},
    ledger=[("trade_pnl", -250.0, 50.0, 95.0), ("liquidation_loss", -707.0707071, 0.0, 85.8585859)],
    wallet=42.9292929,
    trades=[trade("liquidation", quantity=100.0)],
)
# 50 at 100 and 30 at 110: 1000 + 80*(P - 103.75) = 0.8*P: P* = 7300/79.2 = 92.1717; 80*(92.1717 - 103.75)
case(
    "cross: a pyramid is liquidated where its account is in breach",
    market([F, F, flat(110), (100, 100, 92.18, 100), (100, 100, 92.17, 100)]),
    {0: [buy(50)], 1: [buy(30)]},
    ledger=[("liquidation_loss", -926.2626263, 0.0, 92.1717172)],
    trades=[trade("liquidation", quantity=80.0, entry_price=103.75, exit_time=at(4))],
)
# 1000 - 480 - 480 = 40 <= 0.01*2*40*88
case(
    "cross: two positions meet at their adverse prices",
    market(pair, pair),
    {0: [buy(40), buy(40, data=1)]},
    ledger=[("liquidation_loss", -480.0), ("liquidation_loss", -480.0)],
    wallet=40.0,
    trades=[trade("liquidation", symbol="A"), trade("liquidation", symbol="B")],
    assumptions={"cross_extremes_coincide": 1},
)
# each at its stop: 1000 - 200 - 200 = 600
case(
    "cross: two stops on the way save the account",
    market([F, *pair], [F, *pair]),
    {
        0: [buy(40), buy(40, data=1)],
        1: [sell(40, exectype="Stop", price=95.0), sell(40, data=1, exectype="Stop", price=95.0)],
    },
    ledger=[("trade_pnl", -200.0), ("trade_pnl", -200.0)],
    wallet=600.0,
    trades=[trade("stop", symbol="A"), trade("stop", symbol="B")],
)
# B's 60 take 600 of 1000, A's 60 need 600
case(
    "cross: market orders of two symbols fill in the order of submission, not of the market",
    market([F, F], [F, F]),
    {0: [buy(60, data=1, name="b"), buy(60, data=0, name="a")]},
    trades=[trade("open", symbol="B")],
    rejections=[{"row": 1, "symbol": "A", "reason": "insufficient_margin"}],
    orders={"b": "Completed", "a": "Margin"},
)
# A gains 50*20: cross free = 2000 - 50*120/10 = 1400 = 140*100/10; isolated free = 1000 - 500
gain = market([F, F, flat(120)], [F, F, F])
grow = {0: [buy(50)], 1: [buy(141, data=1, name="much"), buy(140, data=1, name="all")]}
case(
    "cross: what one symbol has gained backs an order in another",
    gain,
    grow,
    rejections=refused((1, "insufficient_margin")),
    orders={"much": "Margin", "all": "Completed"},
)
case(
    "isolated: what one symbol has gained backs nothing",
    gain,
    grow,
    ISOLATED,
    rejections=refused((1, "insufficient_margin"), (2, "insufficient_margin")),
    orders={"much": "Margin", "all": "Margin"},
)
# 60 at 100 and 50 at 110: cost 11500; at the open 90: 110*90 - 11500 = -1600, 600 more than there is
case(
    "cross: a pyramid through a gap leaves no debt: insurance, equity zero, ruin",
    market([F, F, flat(110), flat(90), flat(200)]),
    {0: [buy(60)], 1: [buy(50)], 3: [buy(1, name="late")]},
    ledger=[("liquidation_loss", -1600.0, 0.0, 90.0), ("insurance", 600.0)],
    equity=[1000.0, 1000.0, 1600.0, 0.0, 0.0],
    trades=[trade("liquidation", quantity=110.0, pnl=-1600.0, exit_price=90.0)],
    rejections=[{"row": 2, "bar": 3, "time": at(4), "reason": "ruined"}],
    orders={"late": "Margin"},
)

# the open 85 of A breaks the account before B's limit can fill at its open 90: 100*(85 - 100) = -1500
case(
    "cross: a breach at the open cancels the limits that this open has passed",
    market([F, F, flat(85), flat(85)], [F, F, flat(90), flat(95)]),
    {
        0: [buy(100), buy(1, data=1, exectype="Limit", price=95.0, name="y")],
        2: [bracket(1, 80.0, 200.0, exectype="Market", name="b")],
    },
    ledger=[("liquidation_loss", -1500.0), ("insurance", 500.0)],
    equity=[1000.0, 1000.0, 0.0, 0.0],
    trades=[trade("liquidation", symbol="A")],
    rejections=[
        {"row": 1, "symbol": "B", "time": at(2), "reason": "cancelled"},
        {"row": 2, "symbol": "A", "time": at(3), "reason": "ruined"},
    ],
    orders={"y": "Canceled", "b": "Margin", "b.stop": "Canceled", "b.target": "Canceled"},
)
# M = 1000 is lost; nothing is left for B
case(
    "isolated: an order that outlives ruin finds no margin",
    market([F, (100, 100, 90, 95), F], [F, F, flat(90)]),
    {0: [buy(100), buy(1, data=1, exectype="Limit", price=95.0, name="y")]},
    ISOLATED,
    wallet=0.0,
    trades=[trade("liquidation", symbol="A")],
    orders={"y": "Margin"},
)

# ---------------------------------------- funding

# at 2:00 the 10 that came in pay 10*100*0.01, not the 10 bought then; at 3:00 all 20 pay
case(
    "funding is paid on what was held before the orders of that open",
    market([F, F, F, F], funding=[*pays, (4, 0.01)]),
    {0: [buy(10)], 1: [buy(10)]},
    ledger=[("funding", -10.0), ("funding", -20.0)],
    trades=[trade("open", quantity=20.0, funding=-30.0, pnl=-30.0)],
)
case(
    "funding follows a position that is scaled out",
    market([F, F, F, F], funding=[*pays, (4, 0.01)]),
    {0: [buy(10)], 1: [sell(5)], 2: [("close", {})]},
    ledger=[("funding", -10.0, 10.0), ("funding", -5.0, 5.0)],
    trades=[trade("exit", funding=-15.0)],
)
# M = 600 + 400, nothing free: 100*100*0.01 = 100 out of M; P* = (900 - 10000)/(-99) = 91.919; P_b = 91
case(
    "isolated: funding that the free balance lacks comes out of the margin of a scaled position",
    market([F, F, (100, 100, 91.5, 100)], funding=pays),
    {0: [buy(60), buy(40)]},
    ISOLATED,
    ledger=[("funding", -100.0), ("liquidation_loss", -900.0, 0.0, 91.0)],
    wallet=0.0,
    trades=[trade("liquidation", quantity=100.0)],
)
# 10 pay at 1.5 and at 2.5, though half is stopped out in bar 2: 5*(95 - 100)
case(
    "a payment inside the bar is due on all that was held before the stop",
    market([F, F, (100, 100, 94, 96)], funding=half),
    {0: [buy(10)], 1: [sell(5, exectype="Stop", price=95.0)]},
    ledger=[("funding", -10.0), ("funding", -10.0), ("trade_pnl", -25.0, 5.0, 95.0)],
)
# 10*100*0.01, the mark is the bar's open
case(
    "what a limit bought inside the bar pays the funding of that bar",
    market([F, (100, 100, 94, 95)], funding=half),
    {0: [buy(10, exectype="Limit", price=95.0)]},
    ledger=[("funding", -10.0)],
    assumptions={"funding_inside_bar": 1},
)

# ---------------------------------------- halts and dated tiers

case(
    "in a halt an entry at the market is refused",
    market([F, F, HALT, F]),
    {1: [buy(10, name="a")]},
    trades=[],
    rejections=[{"row": 0, "bar": 1, "time": at(2), "kind": "enter", "reason": "not_trading"}],
    orders={"a": "Rejected"},
)
case(
    "in a halt an entry at the close is refused",
    market([F, F, HALT, F]),
    {1: [buy(10, exectype="Close", name="a")]},
    trades=[],
    rejections=refused((0, "not_trading")),
    orders={"a": "Rejected"},
)
# marked at the last close 102; out at the open of bar 3; a bar without any price is none that the strategy sees
case(
    "in a halt a reducing order waits for the next price",
    market([F, (100, 103, 100, 102), HALT, flat(99)]),
    {0: [buy(10)], 1: [sell(10, name="x")]},
    equity=[1000.0, 1020.0, 1020.0, 990.0],
    trades=[trade("exit", exit_time=at(3), exit_price=99.0)],
    rejections=[],
    notes=[(3, "x", "Submitted"), (3, "x", "Accepted"), (3, "x", "Completed")],
    assumptions={"marked_at_last_close": 1},
)
# 10*(96 - 95)
case(
    "a limit lives through a halt",
    market([F, F, HALT, (100, 100, 94, 96)]),
    {0: [buy(10, exectype="Limit", price=95.0)]},
    equity=[1000.0, 1000.0, 1000.0, 1010.0],
    trades=[trade("open", entry_price=95.0, entry_time=at(3))],
)
case(
    "an order expires in a halt",
    market([F, F, HALT, (100, 100, 94, 96)]),
    {0: [buy(10, exectype="Limit", price=95.0, valid=timedelta(hours=1), name="a")]},
    trades=[],
    rejections=[{"row": 0, "time": at(2), "reason": "expired"}],
    orders={"a": "Expired"},
)
# 10*(90 - 100)
case(
    "a stop waits through a halt and fills at the open after it",
    market([F, F, HALT, (90, 96, 90, 96)]),
    {0: [buy(10), sell(10, exectype="Stop", price=95.0)]},
    wallet=900.0,
    trades=[trade("stop", exit_price=90.0, exit_time=at(3))],
)
# A stands still in bar 2, B goes on: the strategy is told in bar 2, the order fills in bar 3
case(
    "one symbol's halt is a bar like any other where another trades",
    market([F, F, HALT, flat(99)], [F, F, F, F]),
    {0: [buy(10)], 1: [sell(10, name="x"), buy(1, data=1, name="b")]},
    trades=[trade("exit", symbol="A", exit_price=99.0, exit_time=at(3)), trade("open", symbol="B", entry_time=at(2))],
    notes=[
        (2, "x", "Submitted"),
        (2, "x", "Accepted"),
        (3, "x", "Completed"),
        (2, "b", "Submitted"),
        (2, "b", "Accepted"),
        (2, "b", "Completed"),
    ],
)
# P* = 90.909 under the old table, 90/0.95 = 94.737 under the new one, in force from bar 2 on: the open 94 has reached it
case(
    "a tier table acts from its date on, for an order filled before it as well",
    market([F, (100, 100, 93, 94), flat(94)]),
    {0: [buy(30), buy(20)]},
    venue(dated, margin_mode="isolated"),
    equity=[1000.0, 700.0, 500.0],
    trades=[trade("liquidation", exit_time=at(2), quantity=50.0)],
)
