"""A market's feeds in backtrader: what a strategy sees at each bar, and nothing that became known later."""

import math
import struct
from datetime import UTC, datetime

import backtrader as bt
import numpy as np
import pytest
from law import HALT, F, at, flat, market, venue

from backtest.engines.bt import execute_strategy, make_cerebro
from backtest.engines.bt.feeds import line_names, make_feeds
from backtest.errors import MarketError, StrategyError
from backtest.model import Feed, Funding, Market, Passport

NAN = math.nan
MINUTE = 60_000_000_000
SECOND = 1_000_000_000
# 2026-02-03T17:07Z, a minute that falls on no round number
ODD = 1_770_138_420_000_000_000


def feed(name, *values):
    """A feed whose values become known at (hour, value); the open of bar i is hour i, its close hour i + 1."""
    return Feed(name, np.array([at(hour) for hour, _ in values], np.int64), np.array([v for _, v in values]))


def with_feeds(*names, bars=(F, F)):
    return market(bars, feeds={name: feed(name, (0.0, float(i))) for i, name in enumerate(names)})


def every(interval, n=3, start=ODD):
    """A market of n bars, each an interval long."""
    prices = (np.full((n, 1), 100.0) for _ in range(5))
    none = Funding.empty(frozenset(["A"]))
    return Market(start + interval * np.arange(n), interval, ("A",), *prices, none, Passport(()))


class Watch(bt.Strategy):
    """Writes down, at each bar, the stamp and the asked lines of each data that has begun."""

    params = (("lines", ("close",)), ("seen", None))

    def prenext(self):
        self.next()

    def next(self):
        row = []
        for data in self.datas:
            if len(data):
                row.append((len(data), *(getattr(data, line)[0] for line in self.p.lines)))
            else:
                row.append(None)
        self.p.seen.append(row)


def watched(m, *lines, prepare=None, **settings):
    """What `Watch` saw: by bar, by data, (length, *lines)."""
    seen = []
    cerebro = make_cerebro(m, venue(), **settings)
    if prepare:
        prepare(cerebro)
    cerebro.addstrategy(Watch, lines=lines or ("close",), seen=seen)
    cerebro.run()
    return seen


def column(seen, line=1, data=0):
    return [row[data][line] for row in seen]


# --- names, order, stamps


def test_there_is_one_feed_a_symbol_in_the_markets_order():
    feeds = make_feeds(market([F], [F], [F]))
    assert [(f._name, f._dataname) for f in feeds] == [("A", "A"), ("B", "B"), ("C", "C")]


def test_a_strategy_finds_them_as_datas_and_by_name():
    class Look(bt.Strategy):
        def __init__(self):
            assert self.data is self.data0 is self.datas[0] is self.getdatabyname("A") is self.dnames.A
            assert self.data1 is self.datas[1] is self.getdatabyname("B")
            assert self.getdatanames() == ["A", "B"]

    execute_strategy(market([F, F], [F, F]), Look, {}, venue())


def test_symbols_that_are_no_identifiers_are_found_by_name():
    base = market([F, F])
    m = Market(base.time, base.interval, ("BTC/USDT:USDT",), base.open, base.high, base.low, base.close, base.volume,
               Funding.empty(frozenset(["BTC/USDT:USDT"])), Passport(()))  # fmt: skip

    class Look(bt.Strategy):
        def __init__(self):
            assert self.getdatabyname("BTC/USDT:USDT") is self.data

    execute_strategy(m, Look, {}, venue())


def bits(value):
    return struct.pack("<d", value)


@pytest.mark.parametrize("interval", [MINUTE, 15 * MINUTE, 60 * MINUTE, 90 * SECOND, 1440 * MINUTE])
def test_the_stamps_are_the_open_times_bit_for_bit_as_backtrader_makes_them(interval):
    m = every(interval, 500)
    (made,) = make_feeds(m)
    stamps = made.p.columns["datetime"].tolist()
    expected = [bt.date2num(datetime.fromtimestamp(t // SECOND, UTC).replace(tzinfo=None)) for t in m.time.tolist()]
    assert [bits(s) for s in stamps] == [bits(e) for e in expected]


def test_a_strategy_reads_the_open_time_in_utc():
    times = []

    class Clock(bt.Strategy):
        def next(self):
            times.append((self.data.datetime.datetime(0), self.data.num2date(), self.data.datetime.date(0)))

    execute_strategy(every(MINUTE, 2), Clock, {}, venue())
    first, second = datetime(2026, 2, 3, 17, 7), datetime(2026, 2, 3, 17, 8)
    assert times == [(first, first, first.date()), (second, second, second.date())]


@pytest.mark.parametrize(
    ("interval", "frame", "compression"),
    [
        (MINUTE, bt.TimeFrame.Minutes, 1),
        (15 * MINUTE, bt.TimeFrame.Minutes, 15),
        (60 * MINUTE, bt.TimeFrame.Minutes, 60),
        (240 * MINUTE, bt.TimeFrame.Minutes, 240),
        (1440 * MINUTE, bt.TimeFrame.Days, 1),
        (7 * 1440 * MINUTE, bt.TimeFrame.Days, 7),
        (90 * SECOND, bt.TimeFrame.Seconds, 90),
        (SECOND // 2, bt.TimeFrame.MicroSeconds, 500_000),
    ],
)
def test_the_interval_is_said_as_backtrader_says_it(interval, frame, compression):
    (made,) = make_feeds(every(interval))
    assert (made._timeframe, made._compression) == (frame, compression)


def test_prices_and_volume_are_the_markets():
    m = market([(100, 103, 99, 102), (102, 105, 101, 104)])
    lines = ("open", "high", "low", "close", "volume")
    assert watched(m, *lines) == [[(1, 100, 103, 99, 102, 1)], [(2, 102, 105, 101, 104, 1)]]


# --- further lines


def test_the_lines_are_backtraders_then_funding_then_the_feeds():
    m = with_feeds("A.open_interest", "vix", "A.long_liquidations")
    (made,) = make_feeds(m)
    assert made.getlinealiases() == (
        *("close", "low", "high", "open", "volume", "openinterest", "datetime"),
        *("funding", "open_interest", "long_liquidations", "vix"),
    )


def test_each_symbol_has_its_own_feeds_and_those_of_the_market():
    m = market([F], [F], feeds={name: feed(name, (0, 1.0)) for name in ("B.oi", "vix", "A.oi", "A.basis")})
    assert line_names(m, "A") == {"oi": "A.oi", "basis": "A.basis", "vix": "vix"}
    assert line_names(m, "B") == {"oi": "B.oi", "vix": "vix"}


def test_funding_is_the_last_rate_that_was_settled_by_the_close():
    # settled at 00:30 (inside bar 0), 02:00 (the close of bar 1), 03:30 (inside bar 3)
    m = market([F] * 5, funding=[(0.5, 0.0001), (2.0, 0.0002), (3.5, -0.0003)])
    assert column(watched(m, "funding")) == [0.0001, 0.0002, 0.0002, -0.0003, -0.0003]


def test_funding_is_nan_before_the_first_and_where_there_is_none():
    m = market([F] * 3, [F] * 3, funding=[(1.5, 0.0001)])
    seen = watched(m, "funding")
    assert np.isnan(column(seen)).tolist() == [True, False, False]
    assert np.isnan(column(seen, data=1)).all()


def test_a_feed_has_the_last_value_known_at_the_close():
    # known at 01:00 exactly, the close of bar 0; 1 ns after the close of bar 1; 03:59
    m = market([F] * 4, feeds={"oi": feed("oi", (1.0, 7.0), (2 + 1e-9, 8.0), (3.99, 9.0))})
    assert column(watched(m, "oi")) == [7.0, 7.0, 8.0, 9.0]


def test_a_feed_is_nan_before_its_first_value():
    m = market([F] * 3, feeds={"oi": feed("oi", (2.5, 7.0))})
    assert np.isnan(column(watched(m, "oi"))).tolist() == [True, True, False]


def test_nothing_is_seen_before_it_is_known():
    """Whatever a feed or the funding holds, the value at a bar is the one that the market cut at that bar's close has."""
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(0, 30, 80))
    values = feed("oi", *((t, float(i)) for i, t in enumerate(times)))
    m = market([F] * 30, funding=[(t, i / 1e6) for i, t in enumerate(times[::7])], feeds={"oi": values})
    seen = watched(m, "oi", "funding")
    for i, row in enumerate(seen):
        cut = m.head(i + 1)
        last = watched(cut, "oi", "funding")[-1]
        np.testing.assert_array_equal(row[0], last[0])


def test_openinterest_repeats_the_open_interest_and_is_nan_without():
    m = market([F] * 2, [F] * 2, feeds={"A.open_interest": feed("A.open_interest", (1.0, 5.0), (2.0, 6.0))})
    seen = watched(m, "openinterest")
    assert column(seen) == [5.0, 6.0]
    assert np.isnan(column(seen, data=1)).all()


def test_a_feed_called_openinterest_is_the_openinterest():
    m = with_feeds("vix", "A.openinterest")
    assert line_names(m, "A") == {"openinterest": "A.openinterest", "vix": "vix"}
    assert column(watched(m, "openinterest")) == [1.0, 1.0]


def test_a_feed_of_the_market_named_like_the_symbols_own_is_told_apart():
    m = with_feeds("oi", "A.oi")
    assert line_names(m, "A") == {"oi": "A.oi", "market_oi": "oi"}
    assert [watched(m, "oi", "market_oi")[0][0][k] for k in (1, 2)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("A.close", "close_"), ("A.datetime", "datetime_"), ("A.funding", "funding_"), ("A.lines", "lines_"),
        ("A.l", "l_"), ("A.p", "p_"), ("A.params", "params_"), ("A.data", "data_"), ("A.size", "size_"),
        ("A.class", "class_"), ("A._name", "_name_"), ("A.line3", "line3_"), ("A.tick_close", "tick_close_"),
        ("A.bars", "bars_"),
        ("close", "market_close"), ("funding", "market_funding"), ("lines", "market_lines"), ("p", "market_p"),
        ("data", "market_data"), ("from", "market_from"), ("openinterest", "openinterest"),
        ("A.1h-basis", "_1h_basis"), ("fear & greed", "fear___greed"), ("A.oi.usd", "oi_usd"), ("X.oi", "X_oi"),
        ("A", "A"), ("preis.€", "preis__"), ("A.", "_"),
    ],
)  # fmt: skip
def test_a_name_that_is_taken_or_no_identifier_gets_one_that_works(name, line):
    m = market([flat(100), flat(101)], feeds={name: feed(name, (0.0, 7.0))})
    assert line_names(m, "A") == {line: name}
    seen = watched(m, line, "close", "open", "datetime")
    assert column(seen) == [7.0, 7.0]
    assert [row[0][0] for row in seen] == [1, 2]
    assert column(seen, 2) == column(seen, 3) == [100.0, 101.0]


def test_names_that_become_the_same_stay_two_lines():
    m = with_feeds("A.a-b", "A.a_b", "a b", "a.b")
    assert line_names(m, "A") == {"a_b": "A.a-b", "a_b_": "A.a_b", "market_a_b": "a b", "market_a_b_": "a.b"}


def test_indicators_take_a_feeds_line():
    values = []

    class Mean(bt.Strategy):
        def __init__(self):
            self.mean = bt.indicators.SMA(self.data.oi, period=2)

        def next(self):
            values.append(self.mean[0])

    m = market([F] * 3, feeds={"A.oi": feed("A.oi", (1.0, 5.0), (2.0, 6.0), (3.0, 9.0))})
    execute_strategy(m, Mean, {}, venue())
    assert values == [5.5, 7.5]


# --- halts, late listings, no bars


def test_a_halt_is_left_out_of_a_strategys_feed():
    m = market([flat(1), flat(2), HALT, flat(4)], [flat(5)] * 4)
    assert watched(m) == [
        [(1, 1.0), (1, 5.0)], [(2, 2.0), (2, 5.0)], [(2, 2.0), (3, 5.0)], [(3, 4.0), (4, 5.0)],
    ]  # fmt: skip


def test_a_halt_stays_in_the_feed_of_a_replay():
    m = market([flat(1), HALT, flat(3)])
    (kept,), (left_out,) = make_feeds(m, keep_halts=True), make_feeds(m)
    assert kept.p.columns["close"].tolist() == pytest.approx([1.0, NAN, 3.0], nan_ok=True)
    assert kept.p.bars == [0, 1, 2]
    assert left_out.p.columns["close"].tolist() == [1.0, 3.0]
    assert left_out.p.bars == [0, 2]


def test_a_feed_that_moves_in_a_halt_is_seen_at_the_next_bar():
    m = market([F, HALT, F], feeds={"A.oi": feed("A.oi", (1.0, 5.0), (2.0, 6.0), (2.5, 7.0))})
    assert column(watched(m, "oi")) == [5.0, 7.0]


def test_a_symbol_listed_later_begins_later():
    m = market([flat(1)] * 4, [HALT, HALT, flat(2), flat(3)])
    assert watched(m) == [
        [(1, 1.0), None], [(2, 1.0), None], [(3, 1.0), (1, 2.0)], [(4, 1.0), (2, 3.0)],
    ]  # fmt: skip


def test_next_waits_for_the_symbol_listed_last():
    called = []

    class Wait(bt.Strategy):
        def next(self):
            called.append(len(self))

    execute_strategy(market([F] * 4, [HALT, HALT, F, F]), Wait, {}, venue())
    assert called == [3, 4]


def test_a_symbol_without_a_bar_is_told_to_a_strategy_that_would_wait_for_ever():
    class Wait(bt.Strategy):
        def next(self):
            pass

    m = market([F] * 2, [HALT] * 2)
    sentence = (
        "B has no bars in the market market, and Wait waits for every symbol's first. "
        "Leave it out, or give the strategy a `prenext`."
    )
    with pytest.raises(MarketError) as error:
        execute_strategy(m, Wait, {}, venue())
    assert str(error.value) == sentence
    with pytest.raises(MarketError, match="B has no bars"):
        make_cerebro(m, venue()).addstrategy(Wait)


def test_a_symbol_without_a_bar_may_be_there_where_the_strategy_does_not_wait():
    class Eager(bt.Strategy):
        def prenext(self):
            if len(self) == 1:
                assert self.broker.getvalue([self.data1]) == 0.0
                assert not self.getposition(self.data1)
                self.buy(size=1)

    m = market([flat(100), flat(100), flat(110)], [HALT] * 3)
    result = execute_strategy(m, Eager, {}, venue())
    assert result.equity_values.tolist() == [1000.0, 1000.0, 1010.0]
    assert watched(m) == [[(1, 100.0), None], [(2, 100.0), None], [(3, 110.0), None]]


# --- the ways in which backtrader runs


MOVING = [(100 + i % 7, 110 + i % 7, 95 + i % 7, 101 + (3 * i) % 8) for i in range(40)]
LATE = [HALT if i < 6 or 20 <= i < 24 else (50 + i, 53 + i, 47 + i, 51 + i) for i in range(40)]
RUNS = [
    {"preload": False}, {"runonce": False}, {"preload": False, "runonce": False}, {"exactbars": 1}, {"exactbars": -1},
    {"exactbars": -2}, {"oldsync": True, "runonce": False},
]  # fmt: skip


@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_every_way_of_running_shows_the_same(settings):
    oi = feed("A.oi", *((i / 3, float(i)) for i in range(100)))
    m = market(MOVING, LATE, funding=[(i * 2.5, i / 1000) for i in range(16)], feeds={"A.oi": oi})
    if settings.get("exactbars") == 1 or "oldsync" in settings:  # for these backtrader wants bars at the same times
        m = market(MOVING, MOVING[::-1], funding=[(i * 2.5, i / 1000) for i in range(16)], feeds={"A.oi": oi})
    lines = ("open", "high", "low", "close", "volume", "datetime", "funding", "openinterest")
    np.testing.assert_equal(watched(m, *lines, **settings), watched(m, *lines))


def test_keeping_one_bar_is_refused_where_symbols_trade_at_different_times():
    with pytest.raises(StrategyError) as error:
        watched(market(MOVING, LATE), exactbars=1)
    assert str(error.value) == (
        "backtrader can't run with `exactbars=1` on symbols that do not all trade in every bar; take -1, or leave it out."
    )


# --- coarser forms


FOUR_HOURS = {"timeframe": bt.TimeFrame.Minutes, "compression": 240}
UP = [(100 + i, 102 + i, 99 + i, 101 + i) for i in range(9)]  # from 2023-11-15T00:00Z


def coarser(how, **settings):
    return lambda cerebro: getattr(cerebro, how)(cerebro.datas[0], **settings)


def test_a_bar_of_four_hours_is_the_exchanges_and_comes_at_its_close():
    # opens 00:00 to 03:00: 100, max(102..105), min(99..102), 104; then 104, 109, 103, 108; the last is what there is of it
    seen = watched(market(UP), "open", "high", "low", "close", prepare=coarser("resampledata", **FOUR_HOURS))
    first, second, third = (1, 100, 105, 99, 104), (2, 104, 109, 103, 108), (3, 108, 110, 107, 109)
    assert [row[1] for row in seen] == [None] * 3 + [first] * 4 + [second] * 2 + [third]
    assert [row[0][0] for row in seen] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_a_replayed_bar_grows_from_the_exchanges_open():
    seen = watched(market(UP), "open", "high", "low", "close", prepare=coarser("replaydata", **FOUR_HOURS))
    grown = [row[1] for row in seen]
    assert grown[:5] == [
        (1, 100, 102, 99, 101), (1, 100, 103, 99, 102), (1, 100, 104, 99, 103), (1, 100, 105, 99, 104),
        (2, 104, 106, 103, 105),
    ]  # fmt: skip


def test_an_offset_of_ones_own_is_kept():
    prepare = coarser("resampledata", **FOUR_HOURS, boundoff=0)
    seen = watched(market(UP), "open", "close", prepare=prepare)
    # backtrader's: a bar of its own for 00:00, then the opens 01:00 to 04:00
    assert [row[1] for row in seen][:5] == [(1, 100, 101)] * 4 + [(2, 101, 105)]


def test_a_day_is_a_day():
    bars = [(100 + i, 102 + i, 99 + i, 101 + i) for i in range(25)]
    seen = watched(market(bars), "open", "high", "low", "close",
                   prepare=coarser("resampledata", timeframe=bt.TimeFrame.Days))  # fmt: skip
    assert [row[1] for row in seen][23:25] == [None, (1, 100, 125, 99, 124)]


def test_a_strategy_reads_the_coarser_and_trades_the_original():
    class Both(bt.Strategy):
        def __init__(self):
            self.mean = bt.indicators.SMA(self.data1.close, period=2)

        def next(self):
            if not self.position and self.data.close[0] > self.mean[0]:
                self.buy(size=2)

    m = market([(100 + i, 102 + i, 99 + i, 101 + i) for i in range(12)])
    cerebro = make_cerebro(m, venue())
    cerebro.resampledata(cerebro.datas[0], name="A 4h", **FOUR_HOURS)
    cerebro.addstrategy(Both)
    cerebro.run()
    result = cerebro.result()
    # the closes of 4h are 104 and 108, known at bar 7, whose close is 108 > 106: bought at the open of bar 8, 108
    assert result.trades_table.entry_bar.tolist() == [8]
    assert result.trades_table.entry_price.tolist() == [108.0]
    assert result.equity_values[-1] == 1000 + 2 * (112 - 108)


def test_what_is_traded_on_the_coarser_is_traded_in_the_symbol():
    trades, sizes = [], []

    class Coarse(bt.Strategy):
        def next(self):
            sizes.append((self.getposition(self.data1).size, self.position.size))
            if len(self) == 5:
                order = self.order_target_size(self.data1, 2.5)
                assert order.comminfo.p.lot == 0.001
            if len(self) == 7:
                self.close()

        def notify_trade(self, trade):
            trades.append((trade.data._name, trade.size, trade.pnl, trade.isclosed))

    cerebro = make_cerebro(market(UP), venue())
    cerebro.resampledata(cerebro.datas[0], name="A 4h", **FOUR_HOURS)
    cerebro.addstrategy(Coarse)
    cerebro.run()
    # bought at the open of bar 5, 105, sold at that of bar 7, 107
    assert sizes == [(0, 0), (0, 0), (2.5, 2.5), (2.5, 2.5), (0, 0), (0, 0), (0, 0)]
    assert trades == [("A", 2.5, 0.0, False), ("A", 0.0, 5.0, True)]
    assert cerebro.result().final_wallet == 1005.0


# --- a data of the user's own beside the market's


class Other(bt.feed.DataBase):
    """Bars at the given hours, all at one price."""

    params = (("hours", ()), ("price", 7.0))

    def start(self):
        super().start()
        self.left = list(self.p.hours)

    def _load(self):
        if not self.left:
            return False
        self.lines.datetime[0] = bt.date2num(datetime(2023, 11, 15)) + self.left.pop(0) / 24
        for line in ("open", "high", "low", "close"):
            getattr(self.lines, line)[0] = self.p.price
        return True


def test_a_data_that_begins_before_the_market_does_not_move_the_markets_clock():
    values = []

    class Early(bt.Strategy):
        def prenext(self):
            self.next()

        def next(self):
            values.append((len(self.data), len(self.data1), self.broker.getvalue()))
            if len(self.data) == 1:
                self.buy(size=1)

    cerebro = make_cerebro(market([flat(100), flat(101), flat(103)]), venue())
    cerebro.adddata(Other(hours=[-2, -1, 0, 1, 2], timeframe=bt.TimeFrame.Minutes, compression=60))
    cerebro.addstrategy(Early)
    cerebro.run()
    assert values == [(0, 1, 1000.0), (0, 2, 1000.0), (1, 3, 1000.0), (2, 4, 1000.0), (3, 5, 1002.0)]
    assert cerebro.result().equity_values.tolist() == [1000.0, 1000.0, 1002.0]


def test_there_is_no_position_in_a_data_of_ones_own():
    seen = []

    class Look(bt.Strategy):
        def next(self):
            seen.append((self.getposition(self.data1).size, self.broker.getvalue([self.data1])))

    cerebro = make_cerebro(market([F, F]), venue())
    cerebro.adddata(Other(hours=[0, 1], name="vix"))
    cerebro.addstrategy(Look)
    cerebro.run()
    assert seen == [(0, 0.0)] * 2
