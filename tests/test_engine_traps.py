"""The traps that others fell into, one test each, with numbers worked by hand.

Bars are an hour long and hour 0 is midnight UTC; a row at bar 0 acts at the open of bar 1. Unless a test says otherwise: 1,000
in cash, cross margin, leverage 10, no fees, no slippage, a maintenance rate of 1%.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from law import NAN, F, at, flat, instrument, long, market, short, venue

from backtest.engines import get_engine
from backtest.engines.fast import execute
from backtest.errors import FundingHoleError, MarketError, PlanError
from backtest.model import Funding, Instrument, Market, Passport, Plan, Result, Series, TierTable
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS, REJECTION_REASONS

ISOLATED = venue(margin_mode="isolated")


def with_stamps(m: Market, *hours: float, rate: float = 0.001, mark: float = NAN, jitter: int = 0) -> Market:
    """The market with funding of A at these hours; `jitter` in ns."""
    k = len(hours)
    times = np.array([at(h) + jitter for h in hours], np.int64)
    series = Funding(times, np.zeros(k, np.int32), np.full(k, rate), np.full(k, mark), frozenset(m.symbols[1:]))
    return replace(m, funding=series)


def booked(result: Result, kind: str) -> list[float]:
    return result.ledger_table.amount[result.ledger_table.kind == LEDGER_KINDS.index(kind)].tolist()


def reasons(result: Result) -> list[str]:
    return [EXIT_REASONS[k] for k in result.trades_table.reason]


def refusals(result: Result) -> list[tuple[int, str]]:
    found = result.rejections_table
    return [(int(row), REJECTION_REASONS[k]) for row, k in zip(found.row, found.reason, strict=True)]


# ---------------------------------------- funding

DAY = market([F] * 25)


# 1,000 notional pays 1 a stamp; in at hour 1, held to hour 25; the stamp of hour 1 is not paid
@pytest.mark.parametrize(("gap", "stamps"), [(1, 23), (4, 6), (8, 3)])
def test_funding_is_charged_at_the_symbols_own_interval(gap: int, stamps: int) -> None:
    result = execute(with_stamps(DAY, *range(0, 33, gap)), long("A", at=[0]), venue())
    assert booked(result, "funding") == pytest.approx([-1.0] * stamps)


def test_funding_is_not_charged_on_a_fixed_grid_of_hours() -> None:
    result = execute(with_stamps(DAY, -5, 3, 11, 19, 27), long("A", at=[0]), venue())
    assert result.ledger_table.time.tolist() == [at(3), at(11), at(19)]


# every 8 hours until hour 8, every 4 from then on: 8, 12, 16, 20, 24
def test_funding_follows_a_change_of_interval() -> None:
    result = execute(with_stamps(DAY, -8, 0, 8, 12, 16, 20, 24, 28), long("A", at=[0]), venue())
    assert booked(result, "funding") == pytest.approx([-1.0] * 5)


def test_finer_data_does_not_multiply_funding() -> None:
    quarters = with_stamps(market([F] * 100, step=0.25), 0, 8, 16, 24, 32)
    hours = with_stamps(DAY, 0, 8, 16, 24, 32)
    for m in (quarters, hours, replace(hours, fine=market([F] * 100, step=0.25))):
        rule = "worst" if m.fine is None else "fine"
        result = execute(m, long("A", at=[0]), venue(intrabar=rule))
        assert booked(result, "funding") == pytest.approx([-1.0] * 3)
        assert result.ledger_table.time.tolist() == [at(8), at(16), at(24)]


# each stamp is late by 4 ms; snapped to the second, the position opened at hour 2 is free then and pays when it leaves at 3
def test_a_stamp_a_few_milliseconds_late_belongs_to_the_full_second() -> None:
    m = with_stamps(market([F] * 5), 0, 1, 2, 3, 4, 5, jitter=4_000_000)
    result = execute(m, long("A", at=[1]) + Plan.exit("A", at=[2]), venue())
    assert booked(result, "funding") == pytest.approx([-1.0])
    assert result.ledger_table.time.tolist() == [at(3)]


# 10 units at 1%: at the event's own mark of 110, else at the mark series' open of 105, else at the open of 100
def test_the_funding_mark_is_the_events_own_else_the_mark_open_else_the_open() -> None:
    bare = market([F] * 4)
    marked = market([F] * 4, marks=[F, F, (105, 105, 100, 100), F])
    for m, mark, amount in ((marked, 110.0, -11.0), (marked, NAN, -10.5), (bare, NAN, -10.0)):
        result = execute(with_stamps(m, 0, 2, 4, rate=0.01, mark=mark), long("A", at=[0]), venue())
        assert booked(result, "funding") == pytest.approx([amount])
        assert ("mark_is_last" in result.assumptions) == (m is bare)


HOLE = with_stamps(market([F] * 12), 0, 1, 2, 3, 7, 8, 9, 10, 11, 12)


def test_missing_funding_is_an_error_that_names_symbol_and_times() -> None:
    sentence = r"^A has no funding between 2023-11-15T03:00Z and 2023-11-15T07:00Z"
    with pytest.raises(FundingHoleError, match=sentence):
        execute(HOLE, long("A", at=[0]), venue())


def test_a_symbol_without_any_stamp_that_does_not_say_so_is_an_error() -> None:
    nothing = replace(market([F] * 4), funding=Funding.empty())
    with pytest.raises(FundingHoleError, match="A has no funding between"):
        execute(nothing, long("A", at=[0]), venue())


# in at 1, out at 3, in again at 7: pays at 2, 3, 8, 9, 10 and 11
def test_a_hole_in_which_the_account_is_flat_is_none() -> None:
    result = execute(HOLE, long("A", at=[0, 6]) + Plan.exit("A", at=[2]), venue())
    assert booked(result, "funding") == pytest.approx([-1.0] * 6, rel=1e-2)


def test_stamps_that_were_made_up_are_counted() -> None:
    m = with_stamps(market([F] * 4), 0, 1, 2, 3, 4)
    result = execute(replace(m, funding=replace(m.funding, assumed=3)), long("A", at=[0]), venue())
    assert result.assumptions["assumed_funding"] == 3


# ---------------------------------------- liquidation


# P* = (500 - 5000)/(50*(0.01 - 1)) = 90.909
def test_a_wick_liquidates_though_the_close_is_back() -> None:
    result = execute(market([F, (100, 100, 90.9, 100), F]), long("A", at=[0], exposure=5), ISOLATED)
    assert reasons(result) == ["liquidation"]
    assert result.equity_values.tolist() == pytest.approx([1000.0, 500.0, 500.0])


# q = 250; P* = (1000 - 25000)/(250*(0.01 - 1)) = 96.969697; 1000 - 250*3.030303
def test_a_25x_long_in_cross_margin_is_liquidated() -> None:
    result = execute(market([F, (100, 100, 96.9, 100), F]), long("A", at=[0], exposure=25), venue(leverage=25.0))
    assert reasons(result) == ["liquidation"]
    assert result.trades_table.exit_price.tolist() == pytest.approx([96.969697])
    assert result.final_wallet == pytest.approx(242.424242)


@pytest.mark.parametrize("mode", ["isolated", "cross"])
@pytest.mark.parametrize("rate", [0.004, 0.05, 0.5])
def test_a_1x_long_is_never_liquidated(mode: str, rate: float) -> None:
    m = market([F, (100, 100, 0.01, 0.01), flat(0.01), flat(120)])
    result = execute(m, long("A", at=[0]), venue(instrument(mmr=(rate,)), margin_mode=mode, leverage=1.0))
    assert reasons(result) == ["open"]
    assert result.equity_values.tolist() == pytest.approx([1000.0, 0.1, 0.1, 1200.0])


# equity 1000 - 500 = 500: below the initial margin of 950 at 95, above the maintenance of 95
@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_maintenance_is_not_the_initial_margin(mode: str) -> None:
    m = market([F, (100, 100, 95, 100)])
    result = execute(m, long("A", at=[0], exposure=10), venue(margin_mode=mode))
    assert reasons(result) == ["open"]


# notional 10,000 is in the second tier, the collateral of 1,000 in the first (which would give 90.909)
# cum = 5000*0.04 = 200; P* = (1000 + 200 - 10000)/(100*(0.05 - 1)) = 92.631579; 1000 - 100*7.368421
def test_the_tier_is_that_of_the_notional_not_of_the_collateral() -> None:
    tiered = instrument((0.0, 5000.0), (0.01, 0.05), (125.0, 125.0))
    result = execute(market([F, (100, 100, 92, 100)]), long("A", at=[0], exposure=10), venue(tiered))
    assert result.trades_table.exit_price.tolist() == pytest.approx([92.631579])
    assert result.final_wallet == pytest.approx(263.157895)


def utc(day: str) -> int:
    return int(np.datetime64(day, "ns").astype(np.int64))


# 2021-06-01, 09-09, 12-18, 2022-03-28, 07-06; P* = 90.909 at 1% and 90/0.95 = 94.737 at 5%
def test_a_tier_table_of_today_is_not_applied_to_2021() -> None:
    time = utc("2021-06-01") + 100 * 24 * 3_600_000_000_000 * np.arange(5)
    dip = (100, 100, 93, 100)
    tables = tuple(
        TierTable(f"table of {year}", utc(f"{year}-01-01"), "by hand", (0.0,), (rate,), (125.0,))
        for year, rate in ((2022, 0.05), (2021, 0.01), (2030, 0.2))
    )
    both = replace(market([F, dip, dip, dip, F]), time=time)
    early = replace(market([F, dip, dip]), time=time[:3])
    at_venue = venue(Instrument(0.001, 0.0, tables), margin_mode="isolated")
    result = execute(both, long("A", at=[0], exposure=5), at_venue)
    assert reasons(result) == ["liquidation"]
    assert result.trades_table.exit_time.tolist() == [utc("2022-03-28")]
    assert result.tier_tables == ("table of 2021", "table of 2022")
    result = execute(early, long("A", at=[0], exposure=5), at_venue)
    assert reasons(result) == ["open"]
    assert result.tier_tables == ("table of 2021",)


def test_a_table_used_before_its_date_is_named_as_an_assumption() -> None:
    late = TierTable("late", at(1000), "by hand", (0.0,), (0.01,), (125.0,))
    result = execute(market([F, F]), long("A", at=[0]), venue(Instrument(0.001, 0.0, (late,))))
    assert result.assumptions["tiers_before_their_date"] == 1
    assert result.tier_tables == ("late",)


# ---------------------------------------- ruin


# 100 units, open 85: -1500, of which the account can pay 1000
def test_equity_does_not_run_on_below_zero_and_recover() -> None:
    m = market([F, F, flat(85), flat(200), flat(400)])
    result = execute(m, long("A", at=[0, 2, 3], exposure=10), venue())
    assert result.equity_values.tolist() == [1000.0, 1000.0, 0.0, 0.0, 0.0]
    assert refusals(result) == [(1, "ruined"), (2, "ruined")]


def test_what_the_trader_cannot_pay_is_insurance() -> None:
    result = execute(market([F, F, flat(85)]), long("A", at=[0], exposure=10), venue())
    assert booked(result, "liquidation_loss") == pytest.approx([-1500.0])
    assert booked(result, "insurance") == pytest.approx([500.0])
    assert result.trades_table.pnl.tolist() == pytest.approx([-1500.0])
    assert result.final_wallet == 0.0


# ---------------------------------------- stops and targets


def test_a_stop_through_a_gap_fills_at_the_open_not_at_its_price() -> None:
    result = execute(market([F, F, (90, 99, 90, 99)]), long("A", at=[0], stop=95.0), venue())
    assert result.trades_table.exit_price.tolist() == [90.0]
    assert result.final_wallet == pytest.approx(900.0)


# P* = 5500/(50*1.01) = 108.91 for the short of 50; the stop at 105 is nearer to 100: -250
def test_liquidation_does_not_come_before_a_nearer_stop() -> None:
    m = market([F, (100, 115, 100, 115)])
    for mode in ("isolated", "cross"):
        result = execute(m, short("A", at=[0], exposure=5, stop=105.0), venue(margin_mode=mode))
        assert reasons(result) == ["stop"]
        assert result.final_wallet == pytest.approx(750.0)


# P* = 90.909 is nearer than the stop at 85
def test_a_stop_behind_the_liquidation_price_does_not_save_the_position() -> None:
    result = execute(market([F, (100, 100, 80, 80)]), long("A", at=[0], exposure=5, stop=85.0), ISOLATED)
    assert reasons(result) == ["liquidation"]
    assert result.final_wallet == pytest.approx(500.0)


@pytest.mark.parametrize(("rule", "reason", "wallet"), [("worst", "stop", 950.0), ("best", "target", 1050.0)])
def test_a_target_does_not_come_before_the_stop_of_the_same_bar(rule: str, reason: str, wallet: float) -> None:
    m = market([F, (100, 106, 94, 100)])
    result = execute(m, long("A", at=[0], stop=95.0, target=105.0), venue(intrabar=rule))
    assert reasons(result) == [reason]
    assert result.final_wallet == pytest.approx(wallet)
    assert result.assumptions["ambiguous_bars"] == 1


# ---------------------------------------- warm-up

WARM = market([F, (100, 150, 50, 100), F, F, flat(110)], trade_from=at(3))


# rows at bars 0 and 1 would act before hour 3, that of bar 2 acts at hour 3: 10 units, +100
def test_nothing_acts_before_trading_starts() -> None:
    result = execute(WARM, long("A", at=[0, 1], exposure=50) + long("A", at=[2]), venue())
    assert result.time.tolist() == [at(3), at(4)]
    assert result.equity_values.tolist() == pytest.approx([1000.0, 1100.0])
    assert result.trades_table.entry_time.tolist() == [at(3)]
    assert len(result.rejections_table) == 0


def test_a_pending_entry_of_the_warm_up_does_not_live_on() -> None:
    result = execute(WARM, long("A", at=[0], limit=99.0, valid_bars=10), venue())
    assert len(result.trades_table) == len(result.rejections_table) == 0


@pytest.mark.parametrize("column", ["limit", "trigger"])
def test_a_warm_up_value_of_zero_is_not_taken_for_an_entry_price(column: str) -> None:
    with pytest.raises(PlanError, match=f"`{column}`"):
        long("A", at=[0], **{column: 0.0})


def test_a_warm_up_value_of_zero_never_triggers_a_longs_stop() -> None:
    m = market([F, (100, 100, 0.01, 0.01), F])
    result = execute(m, long("A", at=[0], stop=0.0, close_stop=0.0), venue(leverage=1.0))
    assert reasons(result) == ["open"]


# ---------------------------------------- what a result says about itself


@pytest.mark.parametrize("engine", ["fast", "backtrader"])
def test_fine_needs_finer_bars(engine: str) -> None:
    with pytest.raises(MarketError, match="`intrabar` 'fine' needs finer bars, and the market market has none"):
        get_engine(engine)(market([F, F]), long("A", at=[0]), venue(intrabar="fine"))


# held in bars 1, 2 and 3, of which bar 3 is the exit's; no mark in any of them
def test_assumptions_are_named_and_counted() -> None:
    passport = Passport(
        (
            Series("A.bars", "simulated", "a seed", gaps=5, filled=3),
            Series("A.funding", "proxy", "another venue"),
            Series("vix", "assumed", "a constant"),
        )
    )
    guessed = TierTable("guess", 0, "a guess", (0.0,), (0.01,), (125.0,), assumed=True)
    m = replace(market([F, F, F, F, F]), passport=passport)
    plan = long("A", at=[0]) + Plan.exit("A", at=[2])
    result = execute(m, plan, venue(Instrument(0.001, 0.0, (guessed,)), slippage=0.001))
    wanted: dict[str, Any] = {
        "mark_is_last": 3,
        "slippage_is_a_constant": 1,
        "assumed_tiers": 1,
        "gaps_filled": 3,
        "proxy_feed:A.funding": 1,
        "assumed_feed:vix": 1,
        "simulated_data": 1,
    }
    assert dict(result.assumptions) == wanted
