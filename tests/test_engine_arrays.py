"""From market, plan and venue to the kernels' arrays and back: symbols in any order, odd sizes, read-only inputs, tables."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from law import HALT, ISOLATED, NAN, F, at, flat, instrument, long, market, short, venue

from backtest.engines import get_engine
from backtest.engines.fast import execute
from backtest.errors import ConfigError, MarketError
from backtest.model import Instrument, Mark, Market, Passport, Plan, Result, TierTable
from backtest.model.market import Funding

# A rises by 10 in bar 2, B falls by 20: 10 of A long gain 100, 10 of B short gain 200
PAIR = market([F, F, flat(110)], [F, F, flat(80)])


def table_rows(result: Result) -> list[tuple[Any, ...]]:
    t = result.trades_table
    return [(t.symbols[j], int(s), float(q)) for j, s, q in zip(t.symbol, t.side, t.quantity, strict=True)]


def test_an_unknown_engine_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"No engine named 'fats'.*Did you mean 'fast'\?"):
        get_engine("fats")


def test_symbols_of_a_plan_may_stand_in_another_order_than_the_markets() -> None:
    plan = short("B", at=[0]) + long("A", at=[0])
    assert plan.symbols == ("B", "A")
    result = execute(PAIR, plan, venue())
    assert table_rows(result) == [("B", -1, 10.0), ("A", 1, 10.0)]
    assert result.symbols == ("A", "B")
    assert result.equity_values.tolist() == pytest.approx([1000.0, 1000.0, 1300.0])
    assert result.positions.tolist() == [[0.0, 0.0], [10.0, -10.0], [10.0, -10.0]]


def test_a_refused_row_names_its_symbol_whatever_the_order() -> None:
    plan = short("B", at=[0]) + Plan.resize("A", at=[1], exposure=1.0)
    frame = execute(PAIR, plan, venue()).rejections_table.to_frame()
    assert frame[["row", "bar", "symbol", "kind", "reason"]].to_numpy().tolist() == [
        [1, 1, "A", "resize", "no_position"]
    ]


def test_a_plan_may_name_some_of_the_symbols_only() -> None:
    result = execute(PAIR, short("B", at=[0]), venue())
    assert table_rows(result) == [("B", -1, 10.0)]
    assert result.final_wallet == 1000.0


def test_a_plan_on_an_unknown_symbol_is_an_error_with_the_nearest_name() -> None:
    named = replace(market([F, F]), symbols=("BTCUSDT",), funding=Funding.empty(frozenset({"BTCUSDT"})))
    with pytest.raises(MarketError, match=r"No symbol named 'BTCUSD' in the market market\. Did you mean 'BTCUSDT'\?"):
        execute(named, Plan.long("BTCUSD", at=[0]), venue())


def test_an_instrument_belongs_to_its_symbol() -> None:
    whole = Instrument(3.0, 0.0, instrument().tables)
    result = execute(PAIR, long("A", at=[0]) + short("B", at=[0]), venue(instruments={"B": whole}))
    assert table_rows(result) == [("A", 1, 10.0), ("B", -1, 9.0)]


# ---------------------------------------- odd sizes


@pytest.mark.parametrize("skip", [True, False])
def test_an_empty_plan_leaves_the_cash(skip: bool) -> None:
    result = execute(PAIR, Plan.empty(), venue(), skip=skip)
    assert result.equity_values.tolist() == [1000.0] * 3
    assert len(result.trades_table) == len(result.ledger_table) == len(result.rejections_table) == 0
    assert result.positions.tolist() == [[0.0, 0.0]] * 3
    assert dict(result.assumptions) == {}
    for table in (result.trades_table, result.ledger_table, result.rejections_table):
        assert len(table.to_frame()) == 0


@pytest.mark.parametrize("skip", [True, False])
def test_a_market_of_one_bar(skip: bool) -> None:
    result = execute(market([F]), long("A", at=[0]), venue(), skip=skip)
    assert result.equity_values.tolist() == [1000.0]
    assert result.rejections_table.to_frame()["reason"].tolist() == ["end_of_data"]
    assert len(result.trades_table) == 0


def test_a_market_without_bars_is_an_error() -> None:
    nothing = np.empty((0, 1))
    bare = Market(np.empty(0, np.int64), 1, ("A",), *[nothing] * 5, Funding.empty(), Passport(()), name="void")
    with pytest.raises(MarketError, match=r"^The market void has no bars to trade; it has 0 in all\.$"):
        execute(bare, Plan.empty(), venue())


def test_a_market_that_ends_before_trading_starts_is_an_error() -> None:
    with pytest.raises(MarketError, match=r"^The market market has no bars to trade; it has 2 in all\.$"):
        execute(market([F, F], trade_from=at(2)), long("A", at=[0]), venue())


def test_a_symbol_that_never_trades() -> None:
    result = execute(market([HALT] * 3, [F] * 3), long("A", at=[0]) + long("B", at=[0]), venue())
    assert table_rows(result) == [("B", 1, 10.0)]
    assert result.rejections_table.to_frame()["reason"].tolist() == ["not_trading"]


# B fills first in plan order, at half of the free balance each
def test_several_symbols_share_one_wallet() -> None:
    result = execute(PAIR, short("B", at=[0], exposure=5) + long("A", at=[0], exposure=5), venue())
    assert table_rows(result) == [("B", -1, 50.0), ("A", 1, 50.0)]
    assert result.equity_values.tolist() == pytest.approx([1000.0, 1000.0, 2500.0])


def test_tier_tables_of_different_widths() -> None:
    narrow = TierTable("narrow", 0, "by hand", (0.0,), (0.01,), (125.0,))
    wide = TierTable("wide", 0, "by hand", (0.0, 100.0, 200.0, 5000.0), (0.01, 0.01, 0.01, 0.05), (125.0,) * 4)
    dip = [F, (100, 100, 92.7, 100), (100, 100, 92.6, 100)]
    at_venue = venue(Instrument(0.001, 0.0, (narrow,)), instruments={"B": Instrument(0.001, 0.0, (wide,))})
    at_venue = replace(at_venue, margin_mode="isolated", cash=2000.0)
    # 100 of each on a margin of 1,000: A's price is 90.909; B's (1000 + 200 - 10000)/(-95) = 92.632
    result = execute(market(dip, dip), long("A", at=[0], exposure=5) + long("B", at=[0], exposure=5), at_venue)
    assert result.trades_table.to_frame()[["symbol", "reason"]].to_numpy().tolist() == [
        ["A", "open"],
        ["B", "liquidation"],
    ]
    assert result.tier_tables == ("narrow", "wide")


# ---------------------------------------- inputs


def test_inputs_are_read_only_and_untouched() -> None:
    pays = [(0, 0.01), (1, 0.01), (2, 0.01), (3, 0.01), (4, 0.01)]
    m = market([F, (100, 106, 95, 104), flat(110), flat(90)], funding=pays, marks=[F, F, (NAN,) * 4, F])
    plan = long("A", at=[0], stop=80.0) + Plan.amend("A", at=[1], stop=95.0) + short("A", at=[2])
    assert m.mark is not None
    arrays = [getattr(m, n) for n in ("time", "open", "high", "low", "close", "volume")]
    arrays += [getattr(m.mark, f.name) for f in fields(Mark)]
    arrays += [getattr(m.funding, n) for n in ("time", "symbol", "rate", "mark")]
    arrays += [getattr(plan, f.name) for f in fields(Plan)[1:]]
    assert not any(a.flags.writeable for a in arrays)
    before = [a.tobytes() for a in arrays]
    for skip in (True, False):
        execute(m, plan, ISOLATED, skip=skip)
    assert [a.tobytes() for a in arrays] == before


def test_prices_in_another_memory_order_are_the_same_prices() -> None:
    columns = {name: np.asfortranarray(getattr(PAIR, name)) for name in ("open", "high", "low", "close")}
    plan = long("A", at=[0]) + short("B", at=[0])
    result = execute(replace(PAIR, **columns), plan, venue())
    assert result.equity_values.tolist() == pytest.approx([1000.0, 1000.0, 1300.0])


def test_finer_bars_must_have_the_markets_symbols_and_lie_inside_its_bars() -> None:
    best = venue(intrabar="fine")
    swapped = replace(market([F] * 4, [F] * 4, step=0.5), symbols=("B", "A"))
    with pytest.raises(MarketError, match="must have the market's symbols, in the same order"):
        execute(replace(market([F, F], [F, F]), fine=swapped), Plan.empty(), best)
    crossing = market([F] * 3, step=0.75)
    with pytest.raises(MarketError, match="A finer bar does not lie inside the bar of 2023-11-15T00:00Z"):
        execute(replace(market([F, F]), fine=crossing), Plan.empty(), best)


# ---------------------------------------- tables

# in at 100 in bar 1 (10 units, fee 1), up to 2x in bar 2 at 110, out in bar 3, then 1x short, left open
STORY = execute(
    market([F, F, flat(110), flat(110), flat(100)]),
    long("A", at=[0]) + Plan.resize("A", at=[1], exposure=2.0) + short("A", at=[2]),
    venue(taker=0.001),
)


# q1 = 1000/100.1 -> 9.99, fee 0.999; at 110: equity 999.001 + 99.9 = 1098.901, 2*1098.901/110 = 19.98001 -> 9.99 more, fee
# 1.0989; average 105; out at 110: 19.98*5 = 99.9, fee 2.1978; 1095.6043 left: short 1095.6043/(110*1.001) = 9.95008 -> 9.95
def test_positions_are_the_quantities_at_each_close() -> None:
    assert STORY.positions.ravel().tolist() == pytest.approx([0.0, 9.99, 19.98, -9.95, -9.95])
    assert STORY.position_bar.tolist() == [1, 2, 3, 3]
    assert STORY.position_quantity.tolist() == pytest.approx([9.99, 19.98, 0.0, -9.95])


def test_positions_count_from_the_first_scored_bar() -> None:
    m = market([F] * 5, trade_from=at(2))
    result = execute(m, long("A", at=[2]) + Plan.exit("A", at=[3]), venue())
    assert result.positions.ravel().tolist() == [0.0, 10.0, 0.0]


def test_trades_as_a_frame() -> None:
    frame = STORY.trades_table.to_frame()
    assert frame["symbol"].tolist() == ["A", "A"]
    assert frame["side"].tolist() == ["long", "short"]
    assert frame["reason"].tolist() == ["reverse", "open"]
    assert frame["quantity"].tolist() == pytest.approx([19.98, 9.95])
    assert frame["entry_price"].tolist() == pytest.approx([105.0, 110.0])
    assert frame["pnl"].tolist() == pytest.approx([99.9 - 0.999 - 1.0989 - 2.1978, -1.0945])
    assert frame["entry_time"].tolist() == [pd.Timestamp(at(1), tz="UTC"), pd.Timestamp(at(3), tz="UTC")]
    assert frame["exit_time"][0] == pd.Timestamp(at(3), tz="UTC")
    assert frame["exit_time"].isna().tolist() == [False, True]
    assert frame["exit_price"].tolist() == [110.0, 100.0]
    assert frame[["entry_bar", "exit_bar"]].to_numpy().tolist() == [[1, 3], [3, -1]]


def test_the_ledger_as_a_frame() -> None:
    frame = STORY.ledger_table.to_frame()
    assert frame["kind"].tolist() == ["fee", "fee", "trade_pnl", "fee", "fee"]
    assert frame["amount"].tolist() == pytest.approx([-0.999, -1.0989, 99.9, -2.1978, -1.0945])
    assert frame["position"].tolist() == pytest.approx([9.99, 19.98, 0.0, 0.0, -9.95])
    assert frame["trade"].tolist() == [1, 1, 1, 1, 2]
    assert str(frame["time"].dtype).endswith("UTC]")


def test_rejections_as_a_frame() -> None:
    result = execute(market([F, F]), long("A", at=[0], exposure=11), venue())
    frame = result.rejections_table.to_frame()
    assert frame[["row", "bar", "symbol", "kind", "reason"]].to_numpy().tolist() == [
        [0, 0, "A", "enter", "insufficient_margin"]
    ]
    assert frame["time"].tolist() == [pd.Timestamp(at(1), tz="UTC")]
