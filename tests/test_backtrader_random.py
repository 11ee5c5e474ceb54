"""Strategies of backtrader that order at random: whatever they do, the books are right."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from backtrader_acts import bytes_of, lived
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backtest.model.result import LEDGER_KINDS

KIND = {kind: code for code, kind in enumerate(LEDGER_KINDS)}
ENDS = {
    "Margin": ("insufficient_margin", "leverage_above_tier", "would_liquidate", "ruined"),
    "Expired": ("expired",),
    "Rejected": ("below_minimum", "not_trading", "no_position", "end_of_data"),
}
LIVES = [["Submitted", *accepted, *part, end] for accepted in ([], ["Accepted"]) for part in ([], ["Partial"])
         for end in ("Completed", "Canceled", "Expired", "Margin", "Rejected")]  # fmt: skip


def check_money(v, result, turnover):
    """Cash and every row of the ledger but the memo make the wallet; the equity is never below zero."""
    amounts = money_of(result)
    assert v.cash + amounts.sum() == pytest.approx(result.final_wallet, rel=1e-9, abs=1e-9 * (v.cash + turnover))
    assert np.isfinite(result.equity_values).all()
    assert (result.equity_values >= 0).all()


def money_of(result):
    return np.where(result.ledger_table.kind == KIND["slippage"], 0.0, result.ledger_table.amount)


def check_trades(v, result, turnover):
    """Each trade is the sum of its rows of the ledger."""
    t, rows = result.trades_table, result.ledger_table
    assert sorted(t.trade) == list(range(1, len(t) + 1))
    of_trade = {"pnl": None, "fees": ("fee", "liquidation_fee"), "funding": ("funding",), "slippage": ("slippage",)}
    paid = (rows.kind != KIND["slippage"]) & (rows.kind != KIND["insurance"])
    for name, kinds in of_trade.items():
        chosen = paid if kinds is None else np.isin(rows.kind, [KIND[k] for k in kinds])
        sums = np.bincount(rows.trade[chosen], rows.amount[chosen], minlength=len(t) + 1)
        assert getattr(t, name) == pytest.approx(sums[t.trade], rel=1e-9, abs=1e-9 * (v.cash + turnover)), name


def check_positions(m, v, strategy, result):
    """What the broker said at each bar is what the result has there, and at the end what the ledger has."""
    held = result.positions
    for bar, value, sizes in strategy.said:
        if bar >= m.start_bar:
            i = bar - m.start_bar
            assert sizes == tuple(held[i])
            assert value == result.equity_values[i] or (result.equity_values[i] == 0 and value < 1e-20)
    for j, data in enumerate(strategy.datas):
        at_end = held[-1, j]
        assert strategy.broker.getposition(data).size == at_end
        rows = result.ledger_table.symbol == j
        if rows.any() and v.maker and v.taker and v.liquidation_fee:  # else a fill may leave no row
            assert result.ledger_table.position[rows][-1] == at_end


def check_orders(m, strategy, result):
    """Every order comes to an end: filled, cancelled, or with one row in the rejections that says why."""
    refused = result.rejections_table.to_frame()
    assert refused.row.is_unique
    for order in strategy.sent:
        assert not order.alive(), order.getstatusname()
    entered = Counter(refused[refused.kind == "enter"].reason)
    ends = Counter(order.getstatusname() for order in strategy.sent)
    for status, reasons in ENDS.items():
        assert sum(entered[reason] for reason in reasons) == ends[status], status
    assert entered["cancelled"] <= ends["Canceled"]  # a partner of what filled or failed has no row of its own
    if (result.trades_table.to_frame().reason == "liquidation").sum() > len(strategy.forced):
        return  # one in a halt at the end, which no bar tells of any more
    orders = [*strategy.sent, *strategy.forced]
    for j, data in enumerate(strategy.datas):
        sizes = [o.executed.size for o in orders if o.data is data]
        assert sum(sizes) == pytest.approx(result.positions[-1, j], abs=1e-6)


def check_what_was_heard(strategy):
    """Each order is heard of in the order of its life, once a status, but for parts and for what came after the last bar."""
    heard = defaultdict(list)
    for ref, status in strategy.heard:
        heard[ref].append(status)
    for order in strategy.sent:
        mine = heard[order.ref]
        assert mine in [life[:k] for life in LIVES for k in range(len(life) + 1)], mine


def check_trades_heard(v, strategy, result, turnover):
    """What backtrader counts of each closed trade is the trade's of the result, but for its funding."""
    if (result.ledger_table.kind == KIND["insurance"]).any():
        return
    t = result.trades_table
    for j, data in enumerate(strategy.datas):
        mine = [trade for trade in strategy.closed if trade.data is data]
        ours = np.flatnonzero((t.symbol == j) & (t.exit_bar >= 0))
        ours = ours[np.argsort(t.trade[ours])][: len(mine)]
        assert len(ours) == len(mine)
        close = {"rel": 1e-9, "abs": 1e-9 * (v.cash + turnover)}
        assert [trade.size for trade in mine] == [0] * len(mine)
        assert [trade.commission for trade in mine] == pytest.approx(list(-t.fees[ours]), **close)
        assert [trade.pnlcomm for trade in mine] == pytest.approx(list((t.pnl - t.funding)[ours]), **close)


def check_life(life):
    m, v, strategy, result = life
    turnover = float(np.nansum(np.abs(result.trades_table.quantity * result.trades_table.entry_price)))
    check_money(v, result, turnover)
    check_trades(v, result, turnover)
    check_positions(m, v, strategy, result)
    check_orders(m, strategy, result)
    check_what_was_heard(strategy)
    check_trades_heard(v, strategy, result, turnover)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(4620)  # liquidated in a halt that lasts to the end
def test_whatever_a_strategy_orders_the_books_are_right(seed):
    life = lived(seed)
    if life is not None:
        check_life(life)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_same_orders_come_to_the_same_bytes(seed):
    first, second = lived(seed), lived(seed)
    if first is None or second is None:
        assert first is second
    else:
        assert bytes_of(first[3]) == bytes_of(second[3])
