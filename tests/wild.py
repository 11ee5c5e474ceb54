"""Strategies of backtrader that order at random: every kind of order with every option, sized to live dangerously."""

from typing import Any

import backtrader as bt
import numpy as np

Order = bt.Order
KINDS = (Order.Market, Order.Close, Order.Limit, Order.Stop, Order.StopLimit, Order.StopTrail, Order.StopTrailLimit)
ACTIONS = ("order", "close", "target", "bracket", "cancel", "nothing")


class Wild(bt.Strategy):
    """Orders at random; keeps its orders, the orders and closed trades that it heard of, and what the broker said."""

    params = (("seed", 0), ("often", 0.5), ("leverage", 5.0))

    def __init__(self) -> None:
        self.rng = np.random.default_rng(self.p.seed)
        self.sent: list[Any] = []
        self.heard: list[tuple[int, str]] = []
        self.forced: list[Any] = []
        self.closed: list[Any] = []
        self.said: list[tuple[int, float, tuple[float, ...]]] = []

    def prenext(self) -> None:
        self.next()

    def notify_order(self, order: Any) -> None:
        self.heard.append((order.ref, order.getstatusname()))
        if order.info.get("reason") == "liquidation":
            self.forced.append(order)
        if not order.alive() and self.rng.random() < 0.1:
            self.act(order.data)

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.closed.append(trade)

    def next(self) -> None:
        self.said.append((self.broker.bar, self.broker.getvalue(), tuple(self.getposition(d).size for d in self.datas)))
        for data in self.datas:
            if len(data) and self.rng.random() < self.p.often:
                self.act(data)

    def act(self, data: Any) -> None:
        action = self.rng.choice(ACTIONS, p=[0.5, 0.1, 0.12, 0.15, 0.08, 0.05])
        if action == "order":
            self.keep(self.either()(data=data, **self.options(data)))
        elif action == "close":
            self.keep(self.close(data=data))
        elif action == "target":
            self.target(data)
        elif action == "bracket":
            self.bracket(data)
        elif action == "cancel" and self.sent:
            self.cancel(self.sent[int(self.rng.integers(max(0, len(self.sent) - 6), len(self.sent)))])

    def either(self) -> Any:
        return self.buy if self.rng.random() < 0.5 else self.sell

    def keep(self, *orders: Any) -> None:
        self.sent += [order for order in orders if order is not None]

    def size(self, data: Any) -> float:
        """A part of what the account can carry; now and then what is held, or more than it can."""
        held = abs(self.getposition(data).size)
        if held and self.rng.random() < 0.35:
            return held * float(self.rng.choice([0.3, 0.5, 1.0, 1.0, 2.0]))
        part = float(self.rng.choice([0.02, 0.2, 0.5, 0.9, 1.3]))
        return part * self.p.leverage * self.broker.getvalue() / data.close[0]

    def near(self, data: Any) -> float:
        """A price around the last close, often one that the next bar reaches."""
        away = float(self.rng.choice([0.0, 0.003, 0.01, 0.03, 0.1])) * float(self.rng.choice([-1, 1]))
        return max(round(data.close[0] * (1 + away) * 2) / 2, 0.5)

    def options(self, data: Any) -> dict[str, Any]:
        rng = self.rng
        kind = int(rng.choice(KINDS))
        given: dict[str, Any] = {"size": self.size(data), "exectype": kind}
        if kind in (Order.StopTrail, Order.StopTrailLimit):
            given |= {"trailpercent": float(rng.choice([0.005, 0.02, 0.1]))}
            if rng.random() < 0.3:
                given |= {"trailpercent": None, "trailamount": 0.02 * data.close[0]}
            if kind == Order.StopTrailLimit:
                given |= {"price": data.close[0], "plimit": self.near(data)}
        elif kind not in (Order.Market, Order.Close):
            given["price"] = self.near(data)
            if kind == Order.StopLimit:
                given["plimit"] = self.near(data)
        if rng.random() < 0.25:
            given["valid"] = self.valid(data)
        if rng.random() < 0.2 and self.sent:
            given["oco"] = self.sent[-1]
        if rng.random() < 0.15:
            given["reduce_only"] = True
        return given

    def valid(self, data: Any) -> Any:
        now = data.datetime.datetime(0)
        later = bt.datetime.timedelta(minutes=int(self.rng.choice([1, 60, 600, 6000])))
        return [0, later, now + later, bt.date2num(now + later)][int(self.rng.integers(4))]

    def target(self, data: Any) -> None:
        part = float(self.rng.choice([-0.8, -0.3, 0.0, 0.3, 0.8])) * self.p.leverage
        value = part * self.broker.getvalue()
        how = int(self.rng.integers(3))
        if how == 0:
            self.keep(self.order_target_percent(data=data, target=part))
        elif how == 1:
            self.keep(self.order_target_value(data=data, target=value))
        else:
            self.keep(self.order_target_size(data=data, target=value / data.close[0]))

    def bracket(self, data: Any) -> None:
        long = bool(self.rng.random() < 0.5)
        kind = int(self.rng.choice([Order.Market, Order.Limit, Order.Stop]))
        price = self.near(data)
        away = price * float(self.rng.choice([0.005, 0.02, 0.1]))
        sign = 1 if long else -1
        given: dict[str, Any] = {
            "data": data, "size": self.size(data), "exectype": kind, "price": price,
            "stopprice": price - sign * away, "limitprice": price + sign * away,
        }  # fmt: skip
        leave_out = self.rng.random()
        if leave_out < 0.15:
            given["stopexec"] = None
        elif leave_out < 0.3:
            given["limitexec"] = None
        self.keep(*(self.buy_bracket if long else self.sell_bracket)(**given))
