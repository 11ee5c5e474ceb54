"""Where the money came from: worked by hand, and adding up on runs drawn at random, with liquidations and funding."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import cases, random_case
from hypothesis import given, settings
from made_result import HOUR, NO_TIME, START, bars, make_ledger, make_result, make_trades, make_venue
from markets_made import candles

from backtest.analysis import PARTS, Attribution, attribute
from backtest.engines import get_engine
from backtest.errors import FundingHoleError
from backtest.market.crises import load_crises
from backtest.model import Mark, Plan
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS

SPLITS = ("by_trade", "by_symbol", "by_side", "by_month", "by_regime", "by_crisis")


@dataclass(frozen=True)
class Stretch:
    name: str
    start: int
    end: int


def parts(**named):
    return pytest.approx({part: named.get(part, 0.0) for part in PARTS}, abs=1e-9)


def test_the_parts_of_a_result_worked_by_hand():
    # equity 1000 -> 1015.085: PnL 20 and unrealised -5, both with 0.04 of slippage inside
    found = attribute(make_result())
    assert found.change == pytest.approx(15.085)
    assert found.total == parts(price=15.04, fees=-0.215, funding=0.3, slippage=-0.04)
    assert list(found.total) == list(PARTS)


def test_by_trade_symbol_and_side():
    found = attribute(make_result())
    first, second = parts(price=20.04, fees=-0.19, funding=0.3, slippage=-0.04), parts(price=-5.0, fees=-0.025)
    assert found.by_trade == {"1": first, "2": second}
    assert found.by_symbol == {"BTCUSDT": first, "ETHUSDT": second}
    assert found.by_side == {"short": first, "long": second}


def test_by_month_a_bar_belongs_to_the_month_in_which_it_closes():
    # bars close at 22:00 ... 02:00 around the turn of the year; funding of bar 2 closes at midnight
    shift = 3 * HOUR
    result = make_result(
        time=bars(0, 1, 2, 3, 4) - shift,
        ledger_table=replace(make_ledger(), time=make_ledger().time - shift),
        trades_table=replace(make_trades(), exit_time=np.array([START, NO_TIME])),
    )
    found = attribute(result).by_month
    assert list(found) == ["2025-12", "2026-01"]
    assert found["2025-12"] == parts(price=10.04, fees=-0.1, funding=0.3, slippage=-0.04)  # 1000 -> 1010.2
    assert found["2026-01"] == parts(price=5.0, fees=-0.115)  # 1010.2 -> 1015.085


def test_by_crisis_a_bar_belongs_to_the_window_in_which_it_closes():
    fall, later = (
        Stretch("fall", START + 2 * HOUR, START + 4 * HOUR),
        Stretch("later", START + 90 * HOUR, START + 95 * HOUR),
    )
    found = attribute(make_result(), crises=[fall, later]).by_crisis
    assert list(found) == ["fall", "outside"]
    assert found["fall"] == parts(price=20.0, fees=-0.115, funding=0.3)  # bars 2 and 3: 999.9 -> 1020.085
    assert found["outside"] == parts(price=-4.96, fees=-0.1, slippage=-0.04)


def test_where_windows_overlap_the_first_one_counts():
    wide, narrow = Stretch("wide", START, START + 9 * HOUR), Stretch("narrow", START, START + 2 * HOUR)
    assert list(attribute(make_result(), crises=[wide, narrow]).by_crisis) == ["wide"]
    assert set(attribute(make_result(), crises=[narrow, wide]).by_crisis) == {"narrow", "wide"}


def test_the_shipped_crises_are_such_windows():
    february = next(c for c in load_crises() if c.name == "break-2026-02")
    time = february.start + HOUR * np.arange(5)
    moved = replace(make_ledger(), time=time[[1, 1, 2, 3, 3, 3]])
    found = attribute(make_result(time=time, ledger_table=moved), crises=load_crises())
    assert list(found.by_crisis) == ["break-2026-02"]
    assert found.by_crisis["break-2026-02"] == pytest.approx(found.total)


def liquidated():
    """A long of 19.801 at 101 (slipped from 100), 10x isolated: its margin of 199.9901 is lost in the next bar."""
    market = candles([(100, 100, 100, 100), (100, 101, 99, 100), (100, 100, 50, 60)])
    venue = make_venue(slippage=0.01, leverage=10.0, margin_mode="isolated", taker=0.0, maker=0.0)
    return market, get_engine("fast")(market, Plan.long("BTCUSDT", at=[0], exposure=2.0), venue)


def test_the_slippage_of_a_liquidated_trade_is_taken_out_of_its_liquidation():
    market, result = liquidated()
    found = attribute(result, market)
    assert found.change == pytest.approx(-199.9901)
    assert found.total == parts(slippage=-19.801, liquidation=-180.1891)
    assert found.by_trade["1"] == pytest.approx(found.total)
    assert found.by_month["2026-02"] == pytest.approx(found.total)


def test_entry_and_liquidation_of_one_trade_in_two_windows():
    market, result = liquidated()
    entry = Stretch("entry", int(market.time[1]), int(market.time[2]))
    found = attribute(result, market, crises=[entry]).by_crisis
    assert found["entry"] == parts(slippage=-19.801)  # bought at 101, marked at 100
    assert found["outside"] == parts(liquidation=-180.1891)


def test_open_trades_share_what_the_marks_add():
    # a short of 2 BTC at 100 and a long of 5 ETH at 10, both open; last closes 90 and 9; the equity says 3 more than these
    trades = replace(
        make_trades(), reason=np.full(2, EXIT_REASONS.index("open"), np.int8), exit_time=np.array([NO_TIME] * 2)
    )
    kept = np.flatnonzero(make_ledger().kind != LEDGER_KINDS.index("trade_pnl"))
    ledger = make_ledger()
    ledger = replace(
        ledger,
        **{c: getattr(ledger, c)[kept] for c in ("time", "symbol", "trade", "kind", "amount", "position", "price")},
    )
    result = make_result(
        trades_table=trades,
        ledger_table=ledger,
        position_bar=np.array([1, 3]),
        position_symbol=np.array([0, 1]),
        position_quantity=np.array([-2.0, 5.0]),
        final_wallet=1000.085,
        equity_values=np.array([1000.0, 999.9, 1010.2, 1020.085, 1018.085]),
    )
    found = attribute(result).by_trade  # 20 - 5 + 3; notionals 180 and 45
    assert found["1"]["price"] == pytest.approx(20.0 + 3 * 180 / 225 + 0.04)
    assert found["2"]["price"] == pytest.approx(-5.0 + 3 * 45 / 225)


def test_an_open_trade_is_marked_at_the_mark():
    flat = np.full((3, 1), 100.0)
    market = replace(candles([(100, 100, 100, 100)] * 3), mark=Mark(flat, flat * 1.1, flat, flat * 1.05))
    result = get_engine("fast")(market, Plan.long("BTCUSDT", at=[0], exposure=1.0), make_venue(taker=0.0, maker=0.0))
    assert attribute(result, market).by_trade["1"] == parts(price=50.0)


def test_what_belongs_to_no_trade_is_outside():
    ledger = make_ledger()
    of_nobody = replace(ledger, trade=np.array([1, 1, 99, 1, 1, 2]))  # the funding of a trade that is not listed
    found = attribute(make_result(ledger_table=of_nobody))
    assert found.by_trade["outside"] == parts(funding=0.3)
    assert found.by_symbol["outside"] == found.by_side["outside"] == parts(funding=0.3)


def test_without_a_market_it_says_why_there_are_no_regimes():
    found = attribute(make_result())
    assert (found.by_regime, found.by_level, found.by_rung, found.by_crisis) == (None, None, None, None)
    assert found.notes[0] == "Not split by regime: the market of the run is not at hand."
    assert found.notes[1].startswith("Not split by level and rung: the market or the levels")


def test_without_its_feeds_the_regime_is_unknown_and_the_notes_say_which():
    market, result = liquidated()
    found = attribute(result, market)
    assert found.by_regime == {"unknown": pytest.approx(found.total)}
    assert "open_interest" in found.notes[0]


def test_a_run_without_a_bar():
    none = np.empty(0, np.int64)
    result = make_result(
        time=none,
        equity_values=np.empty(0),
        final_wallet=1000.0,
        position_bar=none,
        position_symbol=none,
        position_quantity=none,
        trades_table=replace(make_trades(), **{c: getattr(make_trades(), c)[:0] for c in COLUMNS}),
        ledger_table=replace(make_ledger(), **{c: getattr(make_ledger(), c)[:0] for c in LEDGER}),
    )
    found = attribute(result, crises=[Stretch("any", 0, 1)])
    assert found.total == parts()
    assert (found.by_trade, found.by_month, found.by_crisis) == ({}, {}, {})


COLUMNS = (
    *("trade", "symbol", "side", "quantity", "entry_time", "entry_price", "exit_time", "exit_price", "pnl", "fees"),
    *("funding", "slippage", "reason", "entry_bar", "exit_bar"),
)
LEDGER = ("time", "symbol", "trade", "kind", "amount", "position", "price")


def test_it_is_json_and_comes_back():
    found = attribute(make_result(), crises=[Stretch("fall", START, START + HOUR)])
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Attribution.from_dict(json.loads(text)) == found


# --- on every run ----------------------------------------------------------------------------------------------------


def assert_adds_up(case, engine="fast"):
    """The parts add up to the change of equity, and every split to the parts, to 1e-9 of the money that moved."""
    market, plan, venue = case
    try:
        result = get_engine(engine)(market, plan, venue)
    except FundingHoleError:
        return None
    time, n = result.time, len(result)
    stretches = [Stretch("a", int(time[n // 4]), int(time[n // 2])), Stretch("b", int(time[n // 3]), int(time[-1]))]
    found = attribute(result, market, crises=stretches)
    near = 1e-9 * (venue.cash + float(np.abs(result.ledger_table.amount).sum()))
    assert found.change == float(result.equity_values[-1]) - venue.cash
    assert sum(found.total.values()) == pytest.approx(found.change, abs=near)
    for name in SPLITS:
        split = getattr(found, name)
        for part in PARTS:
            assert sum(row[part] for row in split.values()) == pytest.approx(found.total[part], abs=near), (name, part)
        assert name == "by_crisis" or "outside" not in split
    for trade, pnl, out in zip(
        result.trades_table.trade, result.trades_table.pnl, result.trades_table.reason, strict=True
    ):
        if out != EXIT_REASONS.index("open"):
            insured = found.by_trade[str(trade)]["insurance"]
            whole = sum(found.by_trade[str(trade)].values())
            assert whole == pytest.approx(pnl, abs=near) or whole == pytest.approx(pnl + insured, abs=near)
    return found


@settings(deadline=None, max_examples=150)
@given(cases())
def test_it_adds_up_on_every_run(case):
    assert_adds_up(case)


def test_the_drawn_runs_have_every_part_that_an_engine_books():
    seen = dict.fromkeys(PARTS, 0)
    for seed in range(120):
        found = assert_adds_up(random_case(seed))
        for part, amount in (found.total if found else {}).items():
            seen[part] += amount != 0
    assert min(seen[part] for part in PARTS if part not in ("haircut", "frozen")) > 2


@pytest.mark.parametrize("seed", range(4))
def test_it_adds_up_on_runs_of_the_other_engine(seed):
    assert_adds_up(random_case(seed, bars=20), engine="backtrader")
