"""Zero settled events rewritten, on the real hourly history: what was said up to a cut stays what it is, to the last bit."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from bars_made import columns
from real_market import COINS, HISTORY, feed, file, needs_history, write

from backtest import load_market
from backtest.errors import MarketError
from backtest.levels import RULES, LifeRules, bounces, break_events, breaks, fixed, fractal, life, round_numbers
from backtest.levels.catalogue import DETECTORS
from backtest.signals import SIGNALS

pytestmark = needs_history

ALL = {**DETECTORS, "composed": (fixed([75_000.0, 3_000.0, 100.0, 2.0]) | fractal(k=5) | round_numbers()).within(0.005)}
FULL = {"BTC": "2019-09-09", "ETH": "2020-03-01", "SOL": "2022-01-01", "XRP": "2020-03-01", "BNB": "2020-03-01"}
END = "2026-03-25"


@pytest.fixture(scope="session")
def full(pytestconfig):
    return pytestconfig.getoption("--full")


# --- levels and their events -------------------------------------------------------------------------------------


def bars_of(folder, coin, start):
    symbol = f"{coin}USDT"
    span = f'interval = "1h"\nstart = "{start}"\nend = "{END}"'
    bars = file(f"{coin.lower()}usdt_perp_1h_binance")
    return load_market(write(folder, coin, [span, f"[{symbol}]", f"bars = {bars}", 'funding = "none"']))


def events_of(bars, table):
    """Every kind of event of a table of levels; the first column is the bar whose close shows it."""
    return {
        "life": life(bars, table),
        "life by wicks": life(bars, table, LifeRules(rule="wick", life_days=None, round_trips=None)),
        **{f"breaks by {rule}": breaks(bars, table, rule) for rule in RULES},
        "bounces": bounces(bars, table),
        "every break": break_events(bars, table, buffer_atr=0.25),
    }


def rows_of(events, cut, number):
    """Return name -> the values up to the cut; `number`: row in the table -> row among those known at the cut."""
    before = events.bar < cut
    skipped = ("bars", "levels", "rules")
    arrays = {f.name: getattr(events, f.name) for f in fields(events) if f.name not in skipped}
    rows = {k: v[before] for k, v in arrays.items() if isinstance(v, np.ndarray) and v.shape == before.shape}
    if "reclaim_bar" in rows:  # what became of a break later is told when it is known
        rows["reclaim_bar"] = np.where(rows["reclaim_bar"] < cut, rows["reclaim_bar"], -1)
    order = np.lexsort((number[rows["row"]], rows["bar"]))
    return {k: (number[v] if k == "row" else v)[order] for k, v in rows.items()}


def compare(market, detector, table, events, cut):
    """Demand what the market cut there says, and return how many levels and events were the same."""
    head = market.head(cut)
    bars, time = head[head.symbols[0]], int(head.known_at[-1])
    known, part = table.known(time), detector.find(bars)
    assert columns(part) == columns(known)
    number = np.full(len(table), -1)
    number[np.flatnonzero(table.known_at <= time)] = np.arange(len(known))
    counts = [len(part)]
    for name, then in events_of(bars, part).items():
        mine, theirs = rows_of(events[name], cut, number), rows_of(then, cut, np.arange(len(part)))
        for column, values in mine.items():
            np.testing.assert_array_equal(values, theirs[column], err_msg=f"{name}, {column} cut at {cut}")
        counts.append(mine["bar"].size)
    return np.array(counts)


def cuts_of(n, events, full):
    """Two cuts in the middle, and one right behind a break, where looking one bar ahead shows."""
    breaking = events["life"].bar[events["life"].broke]
    behind = [
        int(breaking[int(share * breaking.size)]) + 1 for share in ((0.5, 0.9) if full else (0.9,)) if breaking.size
    ]
    shares = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.999) if full else (0.3, 0.6)
    return sorted({*(int(n * share) for share in shares), *behind})


@pytest.mark.parametrize("coin", COINS)
def test_no_level_and_no_event_is_rewritten(tmp_path, coin, full):
    market = bars_of(tmp_path, coin, FULL[coin] if full else "2025-06-01")
    bars, counted = market[f"{coin}USDT"], {}
    for name, detector in ALL.items():
        table = detector.find(bars)
        events = events_of(bars, table)
        counted[name] = sum(compare(market, detector, table, events, cut) for cut in cuts_of(len(bars), events, full))
    total = np.sum(list(counted.values()), axis=0)
    print(f"{coin}: {total[0]} levels and {total[1:].sum()} events the same")
    assert all(of[0] > 0 and of[1] > 0 for of in counted.values()), counted
    assert (total > 500).all(), total  # levels, and events of every kind
    assert total.sum() > (1_000_000 if full else 100_000)


def test_an_event_that_is_rewritten_would_be_noticed(tmp_path):
    market = bars_of(tmp_path, "BTC", "2025-12-01")

    class Best:
        """The three lowest lows of all the bars there are."""

        def find(self, bars):
            lows = fractal().find(bars)
            return lows.take(np.sort(np.argsort(lows.price)[:3]))

    table = Best().find(market["BTCUSDT"])
    with pytest.raises(AssertionError):
        compare(market, Best(), table, events_of(market["BTCUSDT"], table), 900)
    honest = fractal()
    table = honest.find(market["BTCUSDT"])
    events = events_of(market["BTCUSDT"], table)
    late = events["life"]
    early = replace(late, bar=np.maximum(late.bar - 1, 0))
    with pytest.raises(AssertionError, match="life, "):
        compare(market, honest, table, {**events, "life": early}, int(late.bar[late.broke][5]))


# --- signals -----------------------------------------------------------------------------------------------------

DERIVED = {
    "basis": ("btc_basis_1d_coinglass", "1d", lambda frame: frame["close_basis"] / 100),
    "taker_ratio": ("btc_taker_volume_4h_coinglass", "4h", lambda frame: frame["buy_usd"] / frame["sell_usd"]),
}
BITCOIN = {
    "open_interest": ("btc_open_interest_1d_coinglass", "oi_close", "usd", "1d"),
    "long_liquidations": ("btc_liquidations_4h_coinglass", "long_usd", "usd", "4h"),
    "short_liquidations": ("btc_liquidations_4h_coinglass", "short_usd", "usd", "4h"),
    "top_trader_ratio": ("btc_top_ls_ratio_1d_coinglass", "ratio", "ratio", "1d"),
}
WORLD = {"vix": ("vix_1d_cboe", "close"), "sp500": ("sp500_1d", "close"), "dollar": ("dxy_1d", "close"),
         "sentiment": ("fear_greed_1d", "fng")}  # fmt: skip


def with_feeds(folder, start):
    """The market of the five coins with every feed that the history has, and a ratio and a basis made of it."""
    lines = [f'interval = "1h"\nstart = "{start}"\nend = "{END}"']
    for coin in COINS:
        low, own = coin.lower(), coin not in ("SOL", "BNB")
        funding = file(f"{low}usdt_funding_8h_binance") if own else '{ proxy = "BTCUSDT" }'
        lines += [f"[{coin}USDT]", f"bars = {file(f'{low}usdt_perp_1h_binance')}", f"funding = {funding}"]
        lines += own_feeds(folder) if coin == "BTC" else []
    lines += ["[feeds]", *(f"{name} = {feed(*source, 'index', '1d')}" for name, source in WORLD.items())]
    return load_market(write(folder, "whole", lines))


def own_feeds(folder):
    lines = [f"{name} = {feed(*source)}" for name, source in BITCOIN.items()]
    for name, (source, interval, made) in DERIVED.items():
        made(pd.read_parquet(HISTORY / f"{source}.parquet")).to_frame("value").to_parquet(folder / f"{name}.parquet")
        lines.append(
            f'{name} = {{ file = "{name}.parquet", column = "value", known_at = "close", interval = "{interval}" }}'
        )
    return lines


ABSENT = {
    "long_short_ratio": "BTCUSDT.long_short_ratio", "estimated_leverage": "BTCUSDT.exchange_reserve",
    "unrealised_from_realised_price": "BTCUSDT.realised_price", "open_interest_to_market_cap": "BTCUSDT.market_cap",
}  # fmt: skip
SLOW = ("delta_covar", "lead_lag", "tail_dependence")
OF_BITCOIN = {
    "open_interest", "open_interest_change", "open_interest_z", "liquidations", "liquidation_z", "liquidation_intensity",
    "liquidation_imbalance", "forced_share", "top_trader_ratio", "taker_ratio", "basis", "basis_z", "deleveraging", "recovery",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory, full):
    return with_feeds(tmp_path_factory.mktemp("world"), "2023-07-01" if full else "2025-09-01")


@pytest.mark.parametrize("name", [name for name in SIGNALS if name not in ABSENT])
def test_no_value_of_a_signal_is_rewritten(world, full, name):
    n, known = len(world), 0
    symbols = ("BTCUSDT",) if name in OF_BITCOIN else world.symbols
    symbols = symbols[1:2] if name in SLOW and not full else symbols
    shares = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.999) if full else (0.5, 0.9)
    for cut in (*(int(n * share) for share in shares), n - 1):
        head = world.head(cut)
        for symbol in symbols:
            whole, part = SIGNALS[name](world, symbol), SIGNALS[name](head, symbol)
            np.testing.assert_array_equal(part, whole[:cut], err_msg=f"{name} of {symbol} cut at {cut}")
            known += int(np.isfinite(part).sum())
    print(f"{name}: {known} values the same")
    assert known > 500


def test_the_signals_left_out_have_no_feed_here(world):
    for name, missing in ABSENT.items():
        with pytest.raises(MarketError, match=f"needs the feed '{missing}'"):
            SIGNALS[name](world, "BTCUSDT")
