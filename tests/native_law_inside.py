"""Native orders worked by hand: several of them reached in one bar, one-cancels-the-other, finer bars (see native_law.py)."""

from datetime import timedelta

from law import F, at, flat, market, refused, trade, venue
from native_law import bracket, buy, cancel, case, sell

BEST = venue(intrabar="best")
FINE = venue(intrabar="fine")

# ---------------------------------------- one cancels the other

both = market([F, F, (100, 106, 94, 100), F])
linked = {
    0: [buy(10)],
    1: [sell(10, exectype="Stop", price=95.0, name="s"), sell(10, exectype="Limit", price=105.0, name="t", oco="s")],
}
# 10*(95 - 100); 10*(105 - 100)
case(
    "worst: of a linked stop and limit in one bar the stop fills and the limit is gone",
    both,
    linked,
    wallet=950.0,
    trades=[trade("stop", exit_price=95.0)],
    rejections=[],
    orders={"s": "Completed", "t": "Canceled"},
    assumptions={"ambiguous_bars": 1},
)
case(
    "best: of a linked stop and limit in one bar the limit fills and the stop is gone",
    both,
    linked,
    BEST,
    wallet=1050.0,
    trades=[trade("target", exit_price=105.0)],
    rejections=[],
    orders={"s": "Canceled", "t": "Completed"},
    assumptions={"ambiguous_bars": 1},
)
# the first of two linked entries: in at 105 or in at 95, marked at 100
up, down = {"exectype": "Stop", "price": 105.0}, {"exectype": "Limit", "price": 95.0}
for first, second, price in ((up, down, 105.0), (down, up, 95.0)):
    case(
        f"of two linked entries in one bar the one given first fills, here at {price:g}",
        market([F, (100, 106, 94, 100), (100, 106, 94, 100)]),
        {0: [buy(10, name="a", **first), buy(10, name="b", oco="a", **second)]},
        trades=[trade("open", entry_price=price, quantity=10.0)],
        orders={"a": "Completed", "b": "Canceled"},
        rejections=[],
    )
# the market order fills at 110; else the limit would sell 10 short
case(
    "a partner is gone at once, also at the open",
    market([F, F, flat(110), flat(120)]),
    {0: [buy(10)], 1: [sell(10, name="a"), sell(10, exectype="Limit", price=105.0, oco="a", name="b")]},
    wallet=1100.0,
    trades=[trade("exit", exit_price=110.0)],
    orders={"a": "Completed", "b": "Canceled"},
)
case(
    "a group may hold more than two",
    market([F, (100, 100, 94, 94), (94, 120, 80, 95)]),
    {
        0: [
            buy(10, exectype="Stop", price=105.0, name="a"),
            buy(10, exectype="Limit", price=95.0, oco="a", name="b"),
            buy(10, exectype="Limit", price=90.0, oco="a", name="c"),
        ]
    },
    trades=[trade("open", entry_price=95.0, quantity=10.0)],
    orders={"a": "Canceled", "b": "Completed", "c": "Canceled"},
    rejections=[],
)
# bar 3 would fill the partner of what was cancelled, of what expired, of what was refused
alone = market([F, F, F, (100, 120, 100, 120)])
other = buy(1, exectype="Stop", price=110.0, oco="a", name="b")
case(
    "to cancel one is to cancel its partner",
    alone,
    {0: [buy(1, exectype="Limit", price=90.0, name="a"), other], 1: [cancel("a")]},
    trades=[],
    rejections=[{"row": 0, "reason": "cancelled", "time": at(2)}],
)
case(
    "an order that expires takes its partner with it",
    alone,
    {0: [buy(1, exectype="Limit", price=90.0, valid=timedelta(hours=1), name="a"), other]},
    trades=[],
    rejections=[{"row": 0, "reason": "expired", "time": at(2)}],
    orders={"a": "Expired", "b": "Canceled"},
)
case(
    "an order that is refused takes its partner with it",
    alone,
    {0: [buy(200, name="a"), other]},
    trades=[],
    rejections=refused((0, "insufficient_margin")),
    orders={"a": "Margin", "b": "Canceled"},
)

# reached in bar 1, not filled, so its partner stays until it fills at 110; then 102 fills nothing any more
case(
    "a stop-limit that is reached but not filled leaves its partner in force",
    market([F, (100, 106, 100, 104), (104, 111, 104, 110), (110, 110, 102, 110)]),
    {
        0: [
            buy(10, exectype="StopLimit", price=105.0, plimit=103.0, name="a"),
            buy(10, exectype="Stop", price=110.0, oco="a", name="b"),
        ]
    },
    trades=[trade("open", entry_price=110.0, quantity=10.0)],
    orders={"a": "Canceled", "b": "Completed"},
    rejections=[],
)

# ---------------------------------------- several exits in one bar

# 5*(97 - 100), then 5*(94 - 100), though the farther was given first
case(
    "of two stops the nearer comes first",
    market([F, F, (100, 100, 90, 92)]),
    {0: [buy(10)], 1: [sell(5, exectype="Stop", price=94.0), sell(5, exectype="Stop", price=97.0)]},
    ledger=[("trade_pnl", -15.0, 5.0, 97.0), ("trade_pnl", -30.0, 0.0, 94.0)],
    trades=[trade("stop", quantity=10.0, pnl=-45.0)],
)
# 5*3, then 5*6
case(
    "of two targets the nearer comes first",
    market([F, F, (100, 107, 100, 102)]),
    {0: [buy(10)], 1: [sell(5, exectype="Limit", price=106.0), sell(5, exectype="Limit", price=103.0)]},
    ledger=[("trade_pnl", 15.0, 5.0, 103.0), ("trade_pnl", 30.0, 0.0, 106.0)],
    trades=[trade("target", quantity=10.0, pnl=45.0)],
)
# half is stopped out at 95, half leaves at 105
halves = {0: [buy(10)], 1: [sell(5, exectype="Limit", price=105.0), sell(5, exectype="Stop", price=95.0)]}
case(
    "worst: a stop for half and then the limit for the other half",
    both,
    halves,
    ledger=[("trade_pnl", -25.0, 5.0, 95.0), ("trade_pnl", 25.0, 0.0, 105.0)],
    trades=[trade("target")],
)
case(
    "best: the limit for half and then the stop for the other half",
    both,
    halves,
    BEST,
    ledger=[("trade_pnl", 25.0, 5.0, 105.0), ("trade_pnl", -25.0, 0.0, 95.0)],
    trades=[trade("stop")],
)
# -50; the limit, linked to nothing, then sells 10 short at 105: 10*(105 - 100) at the close
case(
    "a limit that outlives the position it was meant for opens one",
    market([F, F, (100, 106, 94, 100)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0), sell(10, exectype="Limit", price=105.0)]},
    ledger=[("trade_pnl", -50.0)],
    equity=[1000.0, 1000.0, 1000.0],
    trades=[trade("stop", pnl=-50.0), trade("open", side=-1, entry_price=105.0, quantity=10.0)],
)
# 10*(97 - 100) = -30; the second stop opens a short at 94: 10*(94 - 95)
case(
    "a second stop for the whole finds nothing left and opens a short",
    market([F, F, (100, 100, 93, 95)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=94.0), sell(10, exectype="Stop", price=97.0)]},
    equity=[1000.0, 1000.0, 960.0],
    trades=[trade("stop", exit_price=97.0), trade("open", side=-1, entry_price=94.0)],
)
case(
    "a second stop that is reduce-only finds nothing left and is refused",
    market([F, F, (100, 100, 93, 95)]),
    {
        0: [buy(10)],
        1: [
            sell(10, exectype="Stop", price=94.0, reduce_only=True, name="far"),
            sell(10, exectype="Stop", price=97.0, reduce_only=True, name="near"),
        ],
    },
    wallet=970.0,
    trades=[trade("stop", exit_price=97.0)],
    rejections=refused((1, "no_position")),
    orders={"near": "Completed", "far": "Rejected"},
)

# ---------------------------------------- entries between adverse and favourable exits

# in again at 96: 20 at 98; then 10*(104 - 98) = 60; 10 left: 10*(100 - 98)
mixed = {0: [buy(10)], 1: [sell(10, exectype="Limit", price=104.0), buy(10, exectype="Limit", price=96.0)]}
between = market([F, F, (100, 105, 95, 100)])
case(
    "worst: entries come before favourable exits",
    between,
    mixed,
    ledger=[("trade_pnl", 60.0, 10.0, 104.0)],
    equity=[1000.0, 1000.0, 1080.0],
    trades=[trade("open", quantity=20.0, entry_price=98.0, pnl=60.0)],
)
# out at 104: 40; in again at 96: 10*(100 - 96)
case(
    "best: favourable exits come before entries",
    between,
    mixed,
    BEST,
    ledger=[("trade_pnl", 40.0, 0.0, 104.0)],
    equity=[1000.0, 1000.0, 1080.0],
    trades=[trade("target", pnl=40.0), trade("open", quantity=10.0, entry_price=96.0)],
)
# stop 97: -30; then the limit opens anew at 96: 10*(98 - 96)
case(
    "worst: adverse exits come before entries",
    market([F, F, (100, 100, 95, 98)]),
    {0: [buy(10)], 1: [buy(10, exectype="Limit", price=96.0), sell(10, exectype="Stop", price=97.0)]},
    ledger=[("trade_pnl", -30.0, 0.0, 97.0)],
    equity=[1000.0, 1000.0, 990.0],
    trades=[trade("stop", pnl=-30.0), trade("open", entry_price=96.0, quantity=10.0)],
)
# bought at 95 on the way down, the low 91 came after it: 10*(92 - 95)
case(
    "a stop of its own order protects what a limit bought in the same bar",
    market([F, (100, 100, 91, 93)]),
    {0: [buy(10, exectype="Limit", price=95.0), sell(10, exectype="Stop", price=92.0)]},
    wallet=970.0,
    trades=[trade("stop", entry_price=95.0, exit_price=92.0, entry_time=at(1), exit_time=at(1))],
)

# stop 92: -80; the limit then opens anew at 95: 10*(93 - 95), though its price is the nearer
case(
    "worst: adverse exits come before entries that lie nearer, too",
    market([F, F, (100, 100, 91, 93)]),
    {0: [buy(10)], 1: [buy(10, exectype="Limit", price=95.0), sell(10, exectype="Stop", price=92.0)]},
    ledger=[("trade_pnl", -80.0, 0.0, 92.0)],
    equity=[1000.0, 1000.0, 900.0],
    trades=[trade("stop", pnl=-80.0), trade("open", entry_price=95.0, quantity=10.0)],
)
# the first opens: bought at 95 or sold at 105; the other, a limit against it, is only possible: 10*5 at the close 100
for name, side, orders in (
    ("buy", 1, [buy(10, exectype="Limit", price=95.0), sell(10, exectype="Limit", price=105.0)]),
    ("sell", -1, [sell(10, exectype="Limit", price=105.0), buy(10, exectype="Limit", price=95.0)]),
):
    case(
        f"worst: of two opposite limits in one bar the {name}, given first, opens and the other does not close it",
        market([F, (100, 110, 94, 100)]),
        {0: orders},
        equity=[1000.0, 1050.0],
        trades=[trade("open", side=side)],
        rejections=refused((1, "end_of_data")),
    )

# ---------------------------------------- orders larger than the position

# 10*(95 - 100) = -50; 10 more open a short at 95: 10*(95 - 94.5)
case(
    "a stop larger than the position turns it round inside the bar",
    market([F, F, (100, 100, 94, 94.5)]),
    {0: [buy(10)], 1: [sell(20, exectype="Stop", price=95.0, name="s")]},
    ledger=[("trade_pnl", -50.0, 0.0, 95.0)],
    equity=[1000.0, 1000.0, 955.0],
    trades=[trade("reverse", exit_price=95.0), trade("open", side=-1, entry_price=95.0, quantity=10.0)],
    orders={"s": "Completed"},
)
# 10*5 = 50 as maker (fee 10*105*0.001), 5 more open a short at 105 (fee 5*105*0.001): 5*(105 - 104)
case(
    "a limit larger than the position turns it round inside the bar, as maker",
    market([F, F, (100, 106, 100, 104)]),
    {0: [buy(10)], 1: [sell(15, exectype="Limit", price=105.0)]},
    venue(maker=0.001),
    ledger=[("trade_pnl", 50.0, 0.0, 105.0), ("fee", -1.05, 0.0), ("fee", -0.525, -5.0)],
    equity=[1000.0, 1000.0, 1053.425],
    trades=[trade("reverse", pnl=48.95), trade("open", side=-1, quantity=5.0)],
)
case(
    "a reduce-only stop larger than the position is cut to it",
    market([F, F, (100, 100, 94, 94.5), flat(80)]),
    {0: [buy(10)], 1: [sell(20, exectype="Stop", price=95.0, reduce_only=True, name="s")]},
    wallet=950.0,
    trades=[trade("stop", exit_price=95.0)],
    fills={"s": (-10.0, 95.0)},
)

# ---------------------------------------- finer bars

case(
    "finer bars tell that the target came before the stop",
    market([F, (100, 106, 94, 100)], fine=market([F, F, (100, 106, 100, 101), (101, 101, 94, 100)], step=0.5)),
    {0: [bracket(10, 95.0, 105.0, exectype="Market", name="b")]},
    FINE,
    wallet=1050.0,
    trades=[trade("target", exit_price=105.0)],
    orders={"b": "Completed", "b.target": "Completed", "b.stop": "Canceled"},
    assumptions={"ambiguous_bars": 0},
)
# bought at 95 in the first half, 110 came in the second: 10*10; or the other way about, and it is still held
for name, halves_of in (
    ("after", [(100, 101, 94, 100), (100, 110, 100, 100)]),
    ("before", [(100, 110, 100, 101), (101, 101, 94, 100)]),
):
    case(
        f"finer bars tell that the target's price came {name} the entry",
        market([F, (100, 110, 94, 100)], fine=market([F, F, *halves_of], step=0.5)),
        {0: [bracket(10, 90.0, 105.0, price=95.0)]},
        FINE,
        wallet=1100.0 if name == "after" else 1000.0,
        trades=[trade("target" if name == "after" else "open", entry_price=95.0)],
    )
# 97 holds through bar 2, whatever its halves closed at (119 - 5 = 114 is not in force); 110 - 5 = 105 in bar 3
case(
    "a trailing stop goes by the closes of the bars, not of the finer ones",
    market(
        [F, (100, 102, 99, 102), (102, 120, 97.5, 110), (110, 110, 104, 106)],
        fine=market(
            [
                *(F, F),
                *((100, 102, 99, 100), (100, 102, 100, 102)),
                *((102, 120, 102, 119), (119, 119, 97.5, 110)),
                *((110, 110, 106, 107), (107, 107, 104, 106)),
            ],
            step=0.5,
        ),
    ),
    {0: [buy(10)], 1: [sell(10, exectype="StopTrail", trailamount=5.0)]},
    FINE,
    wallet=1050.0,
    trades=[trade("trail", exit_price=105.0, exit_time=at(3.5))],
)
# resting through the first half, the second opens below it: 10*(95 - 95), maker 10*95*0.001
case(
    "a limit that rested through a finer bar fills at its own price through the gap to the next",
    market([F, (100, 100, 93, 95)], fine=market([F, F, (100, 100, 96, 96), (94, 96, 93, 95)], step=0.5)),
    {0: [buy(10, exectype="Limit", price=95.0)]},
    venue(intrabar="fine", maker=0.001, taker=0.01, slippage=0.01),
    ledger=[("fee", -0.95, 10.0, 95.0)],
    equity=[1000.0, 999.05],
)
# 10*(103 - 103) at the close of the bar, not of its first half
case(
    "a Close order waits for the close of the bar among finer ones",
    market([F, (100, 104, 99, 103)], fine=market([F, F, (100, 102, 99, 101), (101, 104, 101, 103)], step=0.5)),
    {0: [buy(10, exectype="Close")]},
    FINE,
    equity=[1000.0, 1000.0],
    trades=[trade("open", entry_price=103.0)],
)
