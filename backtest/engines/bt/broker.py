"""The broker that backtrader talks to: it takes orders, walks the day of each bar, and tells of what happened."""

from collections import defaultdict, deque
from typing import Any, NoReturn

import backtrader as bt

from backtest.engines.bt.account import Fill
from backtest.engines.bt.commission import PerpetualCommission
from backtest.engines.bt.day import Day
from backtest.engines.bt.feeds import SymbolFeed
from backtest.engines.bt.matching import OrderDesk
from backtest.errors import StrategyError
from backtest.model import Market, Venue

__all__ = ["PerpetualBroker"]

THE_VENUE_SAYS = "The venue and the account say the cash, the fees and the slippage; a strategy can't change them."
NO_MEANING = "This setting of a broker has no meaning at a venue for perpetual futures; leave it out."
# Analyzers divide by the equity and take its logarithm, so after ruin they are told this fraction of the cash, not 0.
RUINED = 1e-30
TOO_EARLY = "An order came before the first bar; there is no price yet. Order in `next`."
ROUNDING = 1e-9  # relative: what of a forced close is left below it is rounding
KINDS = range(len(bt.Order.ExecTypes))
TERMS = (
    "plimit", "exectype", "valid", "tradeid", "oco", "trailamount", "trailpercent", "parent", "transmit", "histnotify",
)  # fmt: skip
CHEAT = (
    "cheat-on-open and cheat-on-close fill at a price that the order could not know; "
    "order in `next`, and the order fills at the next open."
)


def refusal(sentence: str) -> Any:
    """A method that refuses whatever it is called with."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise StrategyError(sentence)

    return refuse


class PerpetualBroker(bt.BrokerBase):
    """A venue for perpetual futures as a broker: funding, margin, dated tiers, liquidation, and a ledger of all of it.

    market: the Market that the feeds were made of; venue: every number of the exchange and the account; desk: what reads the
    orders, `OrderDesk` for those of backtrader's strategies. `getcash` is the balance that margin can still be taken of,
    `getvalue` the equity at the last close, `getvalue([data])` a position's signed notional.
    """

    params = (("market", None), ("venue", None), ("desk", OrderDesk))

    def init(self) -> None:
        """Begin anew; backtrader calls it when the broker is made and when a run starts."""
        market, venue = self.p.market, self.p.venue
        self.market: Market = market
        self.venue: Venue = venue
        self.startingcash = self.value = venue.cash
        self.comminfo = {symbol: commission_of(venue, symbol) for symbol in market.symbols}
        self.comminfo[None] = commission_of(venue, "")
        self.positions: defaultdict[Any, bt.Position] = defaultdict(bt.Position)
        self.notifs: deque[bt.Order] = deque()
        self.feeds: list[SymbolFeed] = []
        self.columns: dict[int, int] = {}
        self.traded: defaultdict[int, dict[int, float]] = defaultdict(dict)  # signed size by column and tradeid
        self.bar = -1
        self.walking = False
        self.last_bar = len(market) - 1
        self.start_bar = market.start_bar
        self.day: Any = None

    def start(self) -> None:
        """Open the account; the feeds must be those of the market."""
        super().start()
        known = {data.p.dataname: data for data in self.cerebro.datas if isinstance(data, SymbolFeed)}
        if set(known) != set(self.market.symbols):
            raise StrategyError("The broker needs the feeds of its own market; add them as `make_cerebro` does.")
        self.feeds = [known[symbol] for symbol in self.market.symbols]
        listens = self.p.desk is OrderDesk
        self.day = Day(self.market, self.venue, self.p.desk, self if listens else None)
        self.desk, self.account = self.day.desk, self.day.account
        if listens:
            self.desk.connect(self)

    # --- the clock

    def next(self) -> None:
        """Walk every bar up to the one that backtrader has come to."""
        feeds = self.feeds
        count = len(feeds[0])
        now = feeds[0].bars[count - 1] if count and len(feeds) == 1 else self.newest()
        if self.bar < now:
            self.walk(now)

    def walk(self, last: int) -> None:
        self.walking = True
        while self.bar < last:
            self.bar += 1
            if self.bar >= self.start_bar:
                self.day.bar(self.bar)
        if self.day.equity:
            self.value = self.day.equity[-1]
        self.walking = False

    def next_open(self) -> int:
        """The open at which an order of now is first read, ns UTC."""
        return int(self.market.time[self.bar]) + self.market.interval

    def time_now(self) -> int:
        """The open of the bar being walked; between two bars, that of the next, ns UTC."""
        return self.account.seg.time if self.walking else self.next_open()

    def newest(self) -> int:
        return max((feed.bars[len(feed) - 1] for feed in self.feeds if len(feed)), default=-1)

    def stop(self) -> None:
        """Walk the bars that no feed delivered (halts at the end), and close the books."""
        self.walk(self.last_bar)
        self.walking = True
        self.day.finish()

    # --- what a strategy may ask

    def getcash(self) -> float:
        """The free balance at the last close, quote units."""
        if self.day is None:
            return self.startingcash
        account = self.account
        return account.free_at_close(self.bar) if account.positions else account.wallet or RUINED * self.startingcash

    get_cash = getcash

    def getvalue(self, datas: Any = None) -> float:
        """The equity at the last close (never quite 0), or the signed notional of the positions in the given datas."""
        if datas is None:
            return self.value or RUINED * self.startingcash
        held = ((data, self.held(data).size) for data in datas)
        return sum(size * data.close[0] for data, size in held if size)

    get_value = getvalue

    def get_leverage(self) -> float:
        """The notional of all positions over the equity."""
        gross = sum(abs(p.size) * data.close[0] for data, p in self.positions.items() if p.size)
        return gross / self.value if self.value else 0.0

    def getposition(self, data: Any, clone: bool = True) -> bt.Position:
        """The position of a data as it is now; that of a resampled one is its symbol's."""
        position = self.held(data)
        return position.clone() if clone else position

    def held(self, data: Any) -> bt.Position:
        j = self.find(data)
        return self.positions[self.feeds[j]] if j >= 0 else bt.Position()

    def getcommissioninfo(self, data: Any) -> PerpetualCommission:
        """What a data's contract costs; that of a resampled one is its symbol's."""
        j = self.find(data)
        return self.comminfo[self.market.symbols[j] if j >= 0 else None]

    def get_orders_open(self, safe: bool = False) -> list[bt.Order]:
        """The orders that wait, as clones where `safe`."""
        return [order.clone() if safe else order for order in self.desk.resting()]

    def orderstatus(self, order: bt.Order) -> int:
        """The status of an order."""
        return int(order.status)

    def column(self, data: Any) -> int:
        """The market's column of a data."""
        j = self.find(data)
        if j < 0:
            held = ", ".join(self.market.symbols)
            raise StrategyError(f"There is nothing to trade in the data {data._name!r}; the market holds {held}.")
        return j

    def find(self, data: Any) -> int:
        """The market's column of a data, or of the one that it was resampled from; -1 where it is none of the market's."""
        j = self.columns.get(id(data))
        if j is None:
            source = data
            while not isinstance(source, SymbolFeed) and hasattr(source, "data"):
                source = source.data
            ours = isinstance(source, SymbolFeed)
            j = self.columns[id(data)] = self.market.symbols.index(source.p.dataname) if ours else -1
            if ours and source is not data:
                data.compensate(source)  # backtrader then counts what is traded on either as one trade
        return j

    # --- orders

    def buy(self, owner: Any, data: Any, size: float, price: float | None = None, **more: Any) -> bt.Order:
        """Take an order to buy, with backtrader's keywords; it acts from the next bar on. Other keywords go into `order.info`."""
        return self.take(bt.order.BuyOrder, owner, data, size, price, more)

    def sell(self, owner: Any, data: Any, size: float, price: float | None = None, **more: Any) -> bt.Order:
        """Take an order to sell, with backtrader's keywords; it acts from the next bar on. Other keywords go into `order.info`."""
        return self.take(bt.order.SellOrder, owner, data, size, price, more)

    def check_time(self, data: Any) -> None:
        symbol = self.market.symbols[self.column(data)]
        if self.bar < 0:
            raise StrategyError(TOO_EARLY)
        if not len(data):
            raise StrategyError(f"An order came before the first bar of {data._name or symbol}; there is no price yet.")

    def take(
        self, make: type[bt.Order], owner: Any, data: Any, size: float, price: float | None, more: dict[str, Any]
    ) -> bt.Order:
        self.check_time(data)
        terms = {name: value for name, value in more.items() if name in TERMS}
        order = make(owner=owner, data=data, size=size, price=price, pricelimit=terms.pop("plimit", None), **terms)
        if order.exectype not in KINDS:
            raise StrategyError(
                f"An order has the exectype {order.exectype!r}; write one of backtrader's, like bt.Order.Limit."
            )
        order.addinfo(**{name: value for name, value in more.items() if name not in TERMS})
        order.addcomminfo(self.getcommissioninfo(self.feeds[self.column(order.data)]))
        self.desk.submit(order, self.column(order.data))
        return order

    def cancel(self, order: bt.Order) -> bool:
        """Ask for a cancellation, which acts before the next open; False where the order is done already."""
        return bool(order is not None and self.desk.cancel(order))

    def close_refused(self, data: Any) -> None:
        """Take note that a strategy closed what it does not hold."""
        if self.bar < 0:
            raise StrategyError(TOO_EARLY)
        self.desk.nothing_to_close(self.column(data))

    def get_notification(self) -> bt.Order | None:
        """The next order whose status changed, as it was at that moment."""
        return self.notifs.popleft() if self.notifs else None

    def announce(self, order: bt.Order) -> None:
        """Tell the strategy of an order's status."""
        self.notifs.append(order.clone())

    def filled(self, fill: Fill) -> None:
        """Write a fill into backtrader's position and order; a forced close gets orders of its own, one a tradeid."""
        data = self.feeds[fill.j]
        self.positions[data].set(fill.size_after, fill.price_after)
        if fill.tag is not None and fill.reason != "liquidation":
            self.execute(fill.tag, fill, fill.quantity)
            return
        for tradeid, quantity in self.by_tradeid(fill.j, fill.quantity):
            order = self.forced_order(data, quantity, tradeid, fill.reason)
            self.execute(order, fill, quantity)
            self.announce(order)

    def execute(self, order: bt.Order, fill: Fill, quantity: float) -> None:
        """Write a signed quantity of a fill into an order."""
        traded = self.traded[fill.j]
        traded[order.tradeid] = traded.get(order.tradeid, 0.0) + quantity
        share = quantity / fill.quantity
        fee, closed, opened = fill.fee * share, fill.closed * share, fill.opened * share
        part = abs(fill.closed / fill.quantity)
        order.execute(
            self.feeds[fill.j].datetime[0], quantity, fill.price,
            closed, -closed * fill.price_before, fee * part,
            opened, opened * fill.price, fee * (1 - part),
            fill.opened_margin, fill.pnl * share, fill.size_after, fill.price_after,
        )  # fmt: skip

    def by_tradeid(self, j: int, quantity: float) -> list[tuple[int, float]]:
        """What a forced close takes off each tradeid, as strategies may keep several trades in one position."""
        parts, left = [], quantity
        for tradeid, size in self.traded[j].items():
            if size * left < 0:
                part = -size if abs(size) <= abs(left) * (1 + ROUNDING) else left
                parts.append((tradeid, part))
                left = 0.0 if abs(left - part) < ROUNDING * abs(quantity) else left - part
        return parts

    def forced_order(self, data: Any, quantity: float, tradeid: int, reason: str) -> bt.Order:
        make = bt.order.BuyOrder if quantity > 0 else bt.order.SellOrder
        order = make(owner=None, data=data, size=abs(quantity), exectype=bt.Order.Market, tradeid=tradeid)
        order.addcomminfo(self.getcommissioninfo(data))
        order.addinfo(reason=reason)
        order.accept(self)
        return order

    # --- what the venue decides

    def set_coc(self, coc: bool) -> None:
        """Refuse cheat-on-close."""
        if coc:
            raise StrategyError(f"There is no cheating here: {CHEAT}")

    def set_coo(self, coo: bool) -> None:
        """Refuse cheat-on-open."""
        if coo:
            raise StrategyError(f"There is no cheating here: {CHEAT}")

    set_cash = setcash = add_cash = refusal(THE_VENUE_SAYS)
    setcommission = addcommissioninfo = set_slippage_perc = set_slippage_fixed = refusal(THE_VENUE_SAYS)
    set_filler = set_shortcash = set_int2pnl = set_checksubmit = set_eosbar = seteosbar = refusal(NO_MEANING)
    set_fundmode = set_fundstartval = add_order_history = set_fund_history = refusal(NO_MEANING)


def commission_of(venue: Venue, symbol: str) -> PerpetualCommission:
    leverage = venue.leverage if venue.leverage != float("inf") else 1e9
    return PerpetualCommission(commission=venue.taker, leverage=leverage, lot=venue.instrument(symbol).lot)
