"""A plan played back through backtrader: a strategy that hands each row to the broker at the close of its bar."""

import backtrader as bt

from backtest.engines.bt.plans import PlanRow, plan_rows
from backtest.model import Market, Plan

__all__ = ["PlanReplay", "rows_by_bar"]


class PlanReplay(bt.Strategy):
    """Hands the rows decided at a bar to the broker when backtrader calls `next` of that bar, and not before."""

    params = (("rows", None), ("late", None))

    def next(self) -> None:
        rows: list[PlanRow] | None = self.p.rows.get(len(self) - 1)
        if rows is not None:
            self.broker.desk.read(rows)

    def stop(self) -> None:
        self.broker.desk.never_read(self.p.late)


def rows_by_bar(market: Market, plan: Plan) -> tuple[dict[int, list[PlanRow]], list[PlanRow]]:
    """Return the rows by the bar that they are decided at, and those that no bar follows; rows before the start are left out."""
    first, last = market.start_bar - 1, len(market) - 1
    by_bar: dict[int, list[PlanRow]] = {}
    late: list[PlanRow] = []
    for row in plan_rows(market, plan):
        if row.bar >= last:
            late.append(row)
        elif row.bar >= first:
            by_bar.setdefault(row.bar, []).append(row)
    return by_bar, late
