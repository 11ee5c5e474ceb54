"""Mistakes in strategies of backtrader: each is one sentence with the strategy, the bar's time, the file and the line."""

import importlib.util
import sys
import textwrap

import backtrader as bt
import pytest
from law import F, flat, market, venue

from backtest.engines.bt import execute_strategy, make_cerebro
from backtest.errors import FundingHoleError, MarketError, StrategyError

HEAD = '"""A strategy."""\n\nimport backtrader as bt\n\n\nclass Bad(bt.Strategy):\n    params = (("period", 3),)\n\n'  # 8 lines
ONE = market([(100 + i, 102 + i, 99 + i, 101 + i) for i in range(8)])  # from 2023-11-15T00:00Z
TWO = market([F] * 4, [F] * 4)
NO_CHEATING = (
    "There is no cheating here: cheat-on-open and cheat-on-close fill at a price that the order could not know; "
    "order in `next`, and the order fills at the next open."
)
TOO_EARLY = "An order came before the first bar; there is no price yet. Order in `next`."
NOT_SETTABLE = "The venue and the account say the cash, the fees and the slippage; a strategy can't change them."
FIRST = "at the bar of 2023-11-15T00:00Z"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("made_for_test_")]:
        del sys.modules[name]


def load(body, name="bad", head=HEAD):
    """The class of a file `bad.py` below the current folder; the body of the class starts in line 9."""
    with open(f"{name}.py", "w", encoding="utf-8") as file:
        file.write(head + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n")
    return imported(name).Bad


def imported(name):
    spec = importlib.util.spec_from_file_location(f"made_for_test_{name}", f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sentence(strategy, m=ONE, kind=StrategyError, **parameters):
    with pytest.raises(kind) as error:
        execute_strategy(m, strategy, parameters, venue(), "bad")
    assert type(error.value) is kind
    return str(error.value)


def in_next(line):
    return f"def next(self):\n    {line}\n"


def in_init(line):
    return f"def __init__(self):\n    {line}\n"


# --- wherever it raises


ORDERS = "def next(self):\n    self.buy(size=1)\n\n"
RAISED = {
    "__init__": (in_init("1 / 0"), "before the first bar", 10),
    "start": ("def start(self):\n    1 / 0", "before the first bar", 10),
    "prenext": ("def __init__(self):\n    self.s = bt.ind.SMA(period=3)\n\ndef prenext(self):\n    1 / 0", FIRST, 13),
    "nextstart": ("def nextstart(self):\n    1 / 0", FIRST, 10),
    "next": ("def next(self):\n    if len(self) == 3:\n        1 / 0", "at the bar of 2023-11-15T02:00Z", 11),
    "notify_order": (ORDERS + "def notify_order(self, order):\n    1 / 0", "at the bar of 2023-11-15T01:00Z", 13),
    "notify_trade": (ORDERS + "def notify_trade(self, trade):\n    1 / 0", "at the bar of 2023-11-15T01:00Z", 13),
    "notify_cashvalue": ("def notify_cashvalue(self, cash, value):\n    1 / 0", FIRST, 10),
    "stop": ("def stop(self):\n    1 / 0", "after the last bar", 10),
}


@pytest.mark.parametrize("method", RAISED)
def test_what_a_method_raises_is_told_with_its_bar_and_line(method):
    body, when, line = RAISED[method]
    assert sentence(load(body)) == (
        f"bad failed in `{method}` {when} (bad.py, line {line}): ZeroDivisionError: division by zero."
    )


def test_the_name_is_the_classs_where_none_is_given():
    with pytest.raises(StrategyError, match=r"^Bad failed in `next`"):
        execute_strategy(ONE, load(in_next("1 / 0")), {}, venue())


def test_the_line_is_that_of_the_strategys_own_code_however_deep_it_raises():
    body = (
        "def next(self):\n    self.deeper()\n\ndef deeper(self):\n    import numpy as np\n    np.zeros(3).reshape(2, 2)"
    )
    assert sentence(load(body)) == (
        f"bad failed in `next` {FIRST} (bad.py, line 14): ValueError: cannot reshape array of size 3 into shape (2,2)."
    )


def test_the_line_is_that_of_a_base_in_another_file():
    load(in_next("1 / 0"), "base")
    head = "from made_for_test_base import Bad as Base\n\n\nclass Bad(Base):\n"
    strategy = load("params = dict(period=5)", head=head)
    assert (
        sentence(strategy) == f"bad failed in `next` {FIRST} (base.py, line 10): ZeroDivisionError: division by zero."
    )


def test_the_line_is_that_of_an_indicator_in_another_file(here):
    indicator = "import backtrader as bt\n\n\nclass Mine(bt.Indicator):\n    lines = ('a',)\n\n    def next(self):\n        1 / 0\n"
    (here / "mine.py").write_text(indicator)
    imported("mine")
    strategy = load("def __init__(self):\n    import made_for_test_mine as mine\n    self.i = mine.Mine()")
    assert sentence(strategy) == (
        "bad failed in `next` before the first bar (mine.py, line 8): ZeroDivisionError: division by zero."
    )


def test_a_file_elsewhere_is_shown_with_its_whole_path(here, monkeypatch):
    strategy = load(in_next("1 / 0"))
    (here / "sub").mkdir()
    path = here / "bad.py"
    strategy.next.__code__ = strategy.next.__code__.replace(co_filename=str(path))
    sys.modules["made_for_test_bad"].__file__ = str(path)
    monkeypatch.chdir(here / "sub")
    assert f"({path}, line 10)" in sentence(strategy)


def test_text_over_several_lines_becomes_one():
    assert sentence(load(in_next("raise ValueError('one\\n  two.')"))).endswith("ValueError: one two.")


def test_an_error_without_words_is_told_by_its_kind():
    assert sentence(load(in_next("raise ValueError"))).endswith("(bad.py, line 10): ValueError.")


def test_an_error_of_the_strategys_own_keeps_its_words():
    body = "from backtest.errors import StrategyError\ndef next(self):\n    raise self.StrategyError('No funds?')"
    assert sentence(load(body)) == f"bad failed in `next` {FIRST} (bad.py, line 11): No funds?"


def test_leaving_python_is_a_mistake_too():
    assert sentence(load(in_next("raise SystemExit(3)"))).endswith("(bad.py, line 10): SystemExit: 3.")
    assert sentence(load(in_next("import sys; sys.exit()"))).endswith("(bad.py, line 10): SystemExit.")


def test_an_interrupt_passes_through():
    with pytest.raises(KeyboardInterrupt):
        execute_strategy(ONE, load(in_next("raise KeyboardInterrupt")), {}, venue())


def test_an_error_of_the_market_passes_through():
    m = market([F] * 30, funding=[(1, 0.0), (2, 0.0), (3, 0.0), (20, 0.0), (21, 0.0)])
    message = sentence(load(in_next("self.buy(size=1)")), m, FundingHoleError)
    assert message.startswith("A has no funding between 2023-11-15T03:00Z and 2023-11-15T20:00Z")


def test_a_market_without_bars_is_refused():
    assert sentence(load(in_next("pass")), ONE.head(0), MarketError) == (
        "The market market has no bars to trade; it has 0 in all."
    )


# --- orders that no venue would take


@pytest.mark.parametrize("order", ["buy()", "buy(size=1)", "sell(size=1)", "close()", "order_target_size(target=1)",
                                   "buy_bracket(size=1, price=1.0)", "order_target_percent(target=0.5)"])  # fmt: skip
@pytest.mark.parametrize("method", ["__init__", "start"])
def test_an_order_before_the_data_is_refused(method, order):
    message = sentence(load(f"def {method}(self):\n    self.{order}\n"))
    start = f"bad failed in `{method}` before the first bar (bad.py, line 10): "
    assert message.startswith(start)
    if order != "order_target_percent(target=0.5)":  # which asks for a price first
        assert message == start + TOO_EARLY


def test_an_order_for_a_symbol_that_is_not_listed_yet_is_refused():
    m = market([F] * 3, [(float("nan"),) * 4, (float("nan"),) * 4, F])
    message = sentence(load("def prenext(self):\n    self.buy(data=self.data1, size=1)"), m)
    assert message == (
        f"bad failed in `prenext` {FIRST} (bad.py, line 10): "
        "An order came before the first bar of B; there is no price yet."
    )


NAN_ORDERS = {
    "size=float('nan')": "size nan",
    "size=1, exectype=bt.Order.Limit, price=float('nan')": "price nan",
    "size=1, exectype=bt.Order.StopLimit, price=100.0, plimit=float('nan')": "plimit nan",
    "size=1, exectype=bt.Order.StopTrail, trailamount=float('nan')": "trailamount nan",
    "size=1, exectype=bt.Order.StopTrail, trailpercent=float('inf')": "trailpercent inf",
}


@pytest.mark.parametrize("given", NAN_ORDERS)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_order_with_what_is_no_number_is_refused(side, given):
    assert sentence(load(in_next(f"self.{side}({given})"))) == (
        f"bad failed in `next` {FIRST} (bad.py, line 10): An order has the {NAN_ORDERS[given]}; "
        "wait until the indicator behind it has a value, or leave it out."
    )


@pytest.mark.parametrize("kind", ["StopTrail", "StopTrailLimit"])
def test_a_trailing_stop_needs_its_distance(kind):
    assert sentence(load(in_next(f"self.sell(size=1, exectype=bt.Order.{kind})"))).endswith(
        "(bad.py, line 10): A trailing stop needs `trailamount` or `trailpercent`."
    )


@pytest.mark.parametrize("kind", ["'Limit'", "8", "-1"])
def test_an_unknown_kind_of_order_is_refused(kind):
    assert sentence(load(in_next(f"self.buy(size=1, exectype={kind}, price=90.0)"))).endswith(
        f"(bad.py, line 10): An order has the exectype {kind}; write one of backtrader's, like bt.Order.Limit."
    )


def test_historical_orders_are_refused():
    assert "Historical orders belong to a broker" in sentence(
        load(in_next("self.buy(size=1, exectype=bt.Order.Historical)"))
    )


def test_closing_what_is_not_held_is_a_rejection():
    result = execute_strategy(TWO, load("def next(self):\n    self.close() if len(self) == 2 else None"), {}, venue())
    (row,) = result.rejections_table.to_frame().to_dict("records")
    assert (row["row"], row["bar"], row["symbol"], row["kind"], row["reason"]) == (0, 1, "A", "exit", "no_position")


@pytest.mark.parametrize("which", ["data=self.data1", "data='B'", "self.datas[1]"])
def test_closing_what_is_not_held_names_the_symbol(which):
    result = execute_strategy(TWO, load(in_next(f"self.close({which})")), {}, venue())
    assert result.rejections_table.to_frame().symbol.tolist() == ["B"] * 4


def test_closing_nothing_of_what_is_held_is_no_rejection():
    body = "def next(self):\n    self.close(size=0) if self.position else self.buy(size=1)"
    assert len(execute_strategy(ONE, load(body), {}, venue()).rejections_table) == 0


def test_ordering_more_than_the_margin_allows_is_a_rejection():
    heard = []
    body = """
        def next(self):
            self.buy(size=101) if len(self) == 1 else None

        def notify_order(self, order):
            self.heard(order)
    """
    strategy = load(body)
    strategy.heard = lambda self, order: heard.append(order.getstatusname())
    result = execute_strategy(market([F] * 3), strategy, {}, venue())  # 101 * 100 / 10 > 1000
    assert heard == ["Submitted", "Accepted", "Margin"]
    assert result.rejections_table.to_frame().reason.tolist() == ["insufficient_margin"]


# --- data that are not there


MISSING = {
    "self.datas[3].close[0]": "IndexError: there are not that many datas. There is data0 A.",
    "self.data7.close[0]": "there is no `self.data7`. There is data0 A.",
    "self.data1_close[0]": "there is no `self.data1_close`. There is data0 A.",
    "self.getdatabyname('DOGE')": "KeyError: there is no data named 'DOGE'. There is data0 A.",
    "self.buy(data='DOGE', size=1)": "KeyError: there is no data named 'DOGE'. There is data0 A.",
    "self.dnames.DOGE": "KeyError: there is no data named 'DOGE'. There is data0 A.",
    "self.data.fundin[0]": "A has no line `fundin`. Did you mean 'funding'?",
    "self.data.lines.fundin[0]": "A has no line `fundin`. Did you mean 'funding'?",
    "self.data.vix[0]": (
        "A has no line `vix`. There are: close, datetime, funding, high, low, open, openinterest, volume."
    ),
    "self.p.periode": "there is no parameter `periode`. Did you mean 'period'?",
    "self.period": "there is no `self.period`. It is a parameter: `self.p.period`.",
    "self.mean": "there is no `self.mean`.",
    "{}['a']": "KeyError: 'a'.",
    "[][0]": "IndexError: list index out of range.",
}


@pytest.mark.parametrize("line", MISSING)
def test_what_is_not_there_is_told_with_what_there_is(line):
    assert sentence(load(in_next(line))) == f"bad failed in `next` {FIRST} (bad.py, line 10): {MISSING[line]}"


def test_every_symbol_is_told():
    assert sentence(load(in_init("self.mean = bt.ind.SMA(self.data2)")), TWO) == (
        "bad failed in `__init__` before the first bar (bad.py, line 10): there is no `self.data2`. There are data0 A, data1 B."
    )


def test_a_line_of_an_indicator_that_is_not_there():
    body = "def __init__(self):\n    self.bands = bt.ind.BollingerBands(period=2)\n\ndef next(self):\n    self.bands.topp[0]"
    assert sentence(load(body)).endswith("(bad.py, line 13): there is no line `topp`. Did you mean 'top'?")


def test_an_indicator_longer_than_the_market_is_told():
    assert sentence(load(in_init("self.mean = bt.ind.SMA(period=20)"))) == (
        "bad failed before the first bar (bad.py): an indicator needs more bars than A has, 8. "
        "Give it a shorter period, or the market a longer stretch."
    )


# --- cheating, and what the venue decides


@pytest.mark.parametrize("method", ["next_open", "nextstart_open", "prenext_open"])
def test_methods_of_cheat_on_open_are_refused(method):
    strategy = load(f"def {method}(self):\n    self.buy(size=1)")
    expected = (
        f"has a `{method}`, which backtrader calls before the bar's orders fill (cheat-on-open): no venue lets an order know "
        "the open that it fills at. Put the orders into `next`; they fill at the next open."
    )
    assert sentence(strategy) == f"bad {expected}"
    with pytest.raises(StrategyError) as error:
        make_cerebro(ONE, venue()).addstrategy(strategy)
    assert str(error.value) == f"Bad {expected}"


@pytest.mark.parametrize("call", ["set_coc(True)", "set_coo(True)"])
def test_cheating_settings_of_the_broker_are_refused(call):
    assert sentence(load(in_init(f"self.broker.{call}"))) == (
        f"bad failed in `__init__` before the first bar (bad.py, line 10): {NO_CHEATING}"
    )


def test_saying_that_nobody_cheats_is_no_cheating():
    execute_strategy(ONE, load(in_init("self.broker.set_coc(False), self.broker.set_coo(False)")), {}, venue())


@pytest.mark.parametrize("settings", [{"cheat_on_open": True}, {"cheat_on_open": True, "broker_coo": False}], ids=str)
@pytest.mark.parametrize("given", ["made", "run"])
def test_a_cerebro_that_cheats_is_refused(settings, given):
    cerebro = make_cerebro(ONE, venue(), **(settings if given == "made" else {}))
    cerebro.addstrategy(load(in_next("pass")))
    with pytest.raises(StrategyError) as error:
        cerebro.run(**(settings if given == "run" else {}))
    assert str(error.value) == NO_CHEATING


def test_a_timer_that_cheats_is_refused():
    body = "def __init__(self):\n    self.add_timer(when=bt.timer.SESSION_START, cheat=True)\n"
    assert sentence(load(body)).endswith(f"(bad.py, line 10): {NO_CHEATING}")
    with pytest.raises(StrategyError, match="no cheating"):
        make_cerebro(ONE, venue()).add_timer(when=bt.timer.SESSION_START, strats=True, cheat=True)


def test_a_timer_that_does_not_cheat_orders_for_the_next_open():
    body = """
        def __init__(self):
            import datetime
            self.add_timer(when=datetime.time(2), cheat=False)

        def notify_timer(self, timer, when, *args, **kwargs):
            self.buy(size=1)
    """
    result = execute_strategy(ONE, load(body), {}, venue())
    assert result.trades_table.entry_bar.tolist() == [3]


@pytest.mark.parametrize(
    "call",
    ["setcash(1e6)", "set_cash(1e6)", "add_cash(5.0)", "setcommission(commission=0.001)", "set_slippage_perc(0.01)",
     "set_slippage_fixed(1.0)", "addcommissioninfo(None)"],
)  # fmt: skip
def test_what_the_venue_decides_is_not_the_strategys(call):
    assert sentence(load(in_init(f"self.broker.{call}"))).endswith(f"(bad.py, line 10): {NOT_SETTABLE}")
    with pytest.raises(StrategyError) as error:
        eval(f"cerebro.broker.{call}", {"cerebro": make_cerebro(ONE, venue())})
    assert str(error.value) == NOT_SETTABLE


@pytest.mark.parametrize("call", ["set_filler(None)", "set_shortcash(True)", "set_int2pnl(True)", "set_checksubmit(False)",
                                  "set_eosbar(True)", "set_fundmode(True)", "set_fundstartval(1.0)"])  # fmt: skip
def test_settings_without_a_meaning_are_refused(call):
    assert sentence(load(in_next(f"self.broker.{call}"))).endswith(
        "This setting of a broker has no meaning at a venue for perpetual futures; leave it out."
    )


# --- parameters


@pytest.mark.parametrize(
    ("given", "told"),
    [("periode", " Did you mean 'period'?"), ("x", " There are: period.")],
)
def test_an_unknown_parameter_is_refused(given, told):
    strategy = load(in_next("pass"))
    assert sentence(strategy, **{given: 5}) == f"bad has no parameter {given!r}.{told}"
    with pytest.raises(StrategyError) as error:
        make_cerebro(ONE, venue()).addstrategy(strategy, **{given: 5})
    assert str(error.value) == f"Bad has no parameter {given!r}.{told}"


def test_an_argument_of_the_class_is_as_good_as_a_parameter():
    strategy = load("def __init__(self, extra, **more):\n    self.extra = extra, more")
    (made,) = run(strategy, extra=1, other=2, period=7)
    assert (made.extra, made.p.period) == ((1, {"other": 2}), 7)
    (made,) = run(load("def __init__(self, extra):\n    self.extra = extra"), extra=1)
    assert made.extra == 1


def run(strategy, **parameters):
    cerebro = make_cerebro(ONE, venue())
    cerebro.addstrategy(strategy, **parameters)
    return cerebro.run()


def test_a_missing_argument_is_told():
    assert sentence(load("def __init__(self, extra):\n    pass")).startswith(
        "bad failed before the first bar (bad.py): TypeError: "
    )


# --- what a Cerebro is not for


def test_two_strategies_can_not_share_the_account():
    cerebro = make_cerebro(ONE, venue())
    cerebro.addstrategy(load(in_next("pass")))
    with pytest.raises(StrategyError, match="The account is one strategy's; give a second one a Cerebro of its own"):
        cerebro.addstrategy(load(in_next("pass")))


def test_optimising_and_plotting_are_refused():
    cerebro = make_cerebro(ONE, venue())
    with pytest.raises(StrategyError, match="`optstrategy` is not for this broker"):
        cerebro.optstrategy(load(in_next("pass")), period=range(3))
    with pytest.raises(StrategyError, match="`plot` is not for this broker"):
        cerebro.plot()


def test_there_is_no_result_before_the_run():
    cerebro = make_cerebro(ONE, venue())
    with pytest.raises(StrategyError, match="There is no result before `run`"):
        cerebro.result()


def test_there_is_no_result_of_a_run_that_failed():
    cerebro = make_cerebro(ONE, venue())
    cerebro.addstrategy(load("def next(self):\n    if len(self) == 3:\n        1 / 0"))
    with pytest.raises(ZeroDivisionError):
        cerebro.run()
    with pytest.raises(StrategyError, match="There is no result before `run`"):
        cerebro.result()


def test_the_broker_wants_the_feeds_of_its_market():
    cerebro = make_cerebro(ONE, venue())
    cerebro.broker = make_cerebro(TWO, venue()).broker
    with pytest.raises(StrategyError, match="The broker needs the feeds of its own market"):
        cerebro.run()


def test_a_data_of_ones_own_can_not_be_traded():
    class Mine(bt.feed.DataBase):
        def _load(self):
            if len(self) > 1:
                return False
            self.lines.datetime[0] = bt.date2num(bt.datetime.datetime(2023, 11, 15))
            self.lines.close[0] = self.lines.open[0] = self.lines.high[0] = self.lines.low[0] = 1.0
            return True

    cerebro = make_cerebro(market([flat(100)] * 3), venue())
    cerebro.adddata(Mine(name="vix"))
    cerebro.addstrategy(load(in_next("self.buy(data=self.data1, size=1)")))
    with pytest.raises(StrategyError) as error:
        cerebro.run()
    assert str(error.value) == "There is nothing to trade in the data 'vix'; the market holds A."
