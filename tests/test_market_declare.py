"""The declaration of a market: what its keys mean, and a sentence with file and key for each mistake."""

from pathlib import Path

import pytest

from backtest.errors import MarketError
from backtest.market import describe_market, market_names
from backtest.market.clock import interval_text, parse_interval, parse_time
from backtest.market.declare import read_declaration
from backtest.market.declare_series import derives

HOUR = 3_600_000_000_000
HERE = Path(__file__).parent / "markets"
TOP = 'interval = "1h"\nstart = "2025-07-01"\nend = "2025-08-01"\n'
BTC = '[BTC]\nbars = "b.csv"\nfunding = "f.csv"\n'


def write(folder: Path, text: str, name: str = "mine") -> str:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_form_of_a_source():
    d = read_declaration(str(HERE / "forms.toml"))
    assert (d.name, d.description, d.gaps) == ("forms", "Every form of a source, once.", "halt")
    assert d.symbols == ("BTCUSDT", "SOLUSDT", "ETHUSDT", "SPOT")
    assert (d.interval, d.start, d.trade_from) == (HOUR, 1_751_328_000_000_000_000, 1_751_500_800_000_000_000)
    btc, sol, eth, spot = (d.series[s] for s in d.symbols)
    assert btc.bars is not None
    assert (btc.bars.file, btc.bars.tz, btc.bars.columns) == ("btc.csv", "Europe/Paris", {"close": "last"})
    assert btc.mark is not None
    assert btc.mark.column == "mark_px"
    assert btc.funding is not None
    assert (btc.funding.file, btc.funding.column, btc.funding.unit) == ("f.csv", "rate_pct", "percent")
    oi = btc.feeds["open_interest"]
    assert (oi.file, oi.column, oi.unit, oi.known_at, oi.interval, oi.lag) == (
        "oi.csv",
        "oi",
        "usd",
        "close",
        24 * HOUR,
        HOUR,
    )
    assert sol.bars is not None
    assert (sol.bars.store, sol.bars.origin) == ("binance", "real")
    assert sol.funding is not None
    assert (sol.funding.proxy, sol.funding.origin) == ("BTCUSDT", "proxy")
    assert eth.bars is not None
    assert (eth.bars.scenario, eth.bars.origin) == ("deleveraging", "simulated")
    assert eth.funding is not None
    assert (eth.funding.assume, eth.funding.every, eth.funding.origin) == (0.0001, 8 * HOUR, "assumed")
    assert spot.funding is not None
    assert spot.funding.none
    assert (d.feeds["vix"].known_at, d.feeds["vix"].interval) == ("at", None)
    assert d.feeds["rates"].assume == 4.5
    assert (d.fine_interval, d.fine_gaps, list(d.fine)) == (HOUR // 60, "drop", ["BTCUSDT"])


def test_every_key_of_a_store(tmp_path):
    text = """
[BTCUSDT]
bars = { store = "binance", symbol = "BTC/USDT:USDT", interval = "60m", check = "yahoo:BTC-USD" }
mark = { proxy = "last" }
funding = { store = "bybit", symbol = "BTCUSD", series = "funding" }
open_interest = { store = "binance-archive", interval = "5m", unit = "usd" }
long_liquidations = { proxy = "open_interest" }
short_liquidations = "store:coinalyze"
[feeds.vix]
store = "yahoo"
symbol = "^VIX"
interval = "1d"
column = "close"
"""
    d = read_declaration(write(tmp_path, TOP + text))
    btc, vix = d.series["BTCUSDT"], d.feeds["vix"]
    assert btc.bars is not None
    assert (btc.bars.store, btc.bars.symbol, btc.bars.interval, btc.bars.check) == (
        "binance",
        "BTC/USDT:USDT",
        HOUR,
        "yahoo:BTC-USD",
    )
    assert btc.mark is not None
    assert (btc.mark.proxy, btc.mark.origin, derives("mark", btc.mark)) == ("last", "proxy", True)
    assert btc.funding is not None
    assert (btc.funding.symbol, btc.funding.series, btc.funding.origin) == ("BTCUSD", "funding", "real")
    assert (btc.feeds["open_interest"].interval, btc.feeds["open_interest"].unit) == (HOUR // 12, "usd")
    assert derives("long_liquidations", btc.feeds["long_liquidations"])
    assert (btc.feeds["short_liquidations"].store, btc.feeds["short_liquidations"].interval) == ("coinalyze", None)
    assert (vix.store, vix.symbol, vix.column, vix.known_at) == ("yahoo", "^VIX", "close", "close")


def test_only_liquidations_and_marks_are_derived(tmp_path):
    text = TOP + BTC + 'basis = { proxy = "open_interest" }\nopen_interest = { file = "oi.csv", interval = "1d" }\n'
    basis = read_declaration(write(tmp_path, text)).series["BTC"].feeds["basis"]
    assert not derives("basis", basis)


def test_a_description_reads_no_series():
    found = describe_market(str(HERE / "forms.toml"))
    assert found.symbols == ("BTCUSDT", "SOLUSDT", "ETHUSDT", "SPOT")
    assert (found.interval, found.start, found.end) == ("1h", 1_751_328_000_000_000_000, 1_754_006_400_000_000_000)
    assert found.origins == ("assumed", "proxy", "real", "simulated")


def test_a_scenario_alone_leaves_the_rest_to_it(tmp_path):
    found = describe_market(write(tmp_path, 'scenario = "deleveraging"\nend = "2025-08-01"\n'))
    assert (found.symbols, found.interval, found.start, found.origins) == ((), None, None, ("simulated",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("intervall = 1\n" + TOP + BTC, "`intervall` is not a key of a market. Did you mean 'interval'?"),
        (TOP, "the market has no symbol"),
        (TOP.replace('interval = "1h"\n', "") + BTC, '`interval` is missing; add interval = "1h".'),
        (TOP.replace("1h", "1 hour") + BTC, '`interval` must be an interval like "15m", "1h" or "1d", got \'1 hour\'.'),
        (TOP.replace("2025-07-01", "July") + BTC, '`start` must be a time like "2025-07-01"'),
        (TOP.replace("2025-07-01", "2025-09-01") + BTC, "`start` must lie before `end`."),
        (TOP.replace("2025-07-01", "2025-07-01T00:30") + BTC, "`start` does not stand on the 1h grid of the bars."),
        ('trade_from = "2025-08-01"\n' + TOP + BTC, "`trade_from` must lie between `start` and `end`."),
        ('gaps = "fill"\n' + TOP + BTC, "`gaps` must be one of error, forward_fill, drop, halt, got 'fill'."),
        ("symbols = []\n" + TOP + BTC, "`symbols` must be a list of names, got []."),
        ('symbols = ["BTC", "ETH"]\n' + TOP + BTC, "`symbols` names 'ETH', which has no table."),
        ('symbols = ["BTCC"]\n' + TOP + BTC, "[BTC] is not one of `symbols`. Did you mean 'BTCC'?"),
        ('symbols = ["BTC", "BTC"]\n' + TOP + BTC, "`symbols` names a symbol twice: BTC, BTC."),
        (TOP + '[BTC]\nfunding = "none"\n', "`BTC.bars` is missing"),
        (TOP + BTC + "[feed.vix]\nfile = 'x.csv'\n", "Did you mean 'feeds'?"),
        (TOP + '[BTC]\nbars = 3\nfunding = "none"\n', "`BTC.bars` must be a path"),
        (
            TOP + '[BTC]\nbars = { fil = "x" }\nfunding = "none"\n',
            "`BTC.bars.fil` is not a key of bars. Did you mean 'file'?",
        ),
        (
            TOP + '[BTC]\nbars = { tz = "UTC" }\nfunding = "none"\n',
            "`BTC.bars` needs exactly one of file, store, scenario; it has none.",
        ),
        (TOP + '[BTC]\nbars = ""\nfunding = "none"\n', "`BTC.bars` needs exactly one of"),
        (TOP + '[BTC]\nbars = { file = 3 }\nfunding = "none"\n', "`BTC.bars.file`: should be a valid string, got 3."),
        (TOP + '[BTC]\nbars = { file = "x", columns = { clos = "y" } }\nfunding = "none"\n', "Did you mean 'close'?"),
        (TOP + BTC.replace('"f.csv"', "{ assume = 0.0001 }"), "needs `assume` and `every` together"),
        (TOP + BTC.replace('"f.csv"', '{ assume = 0.3, every = "8h" }'), "give a fraction, not percent"),
        (
            TOP + BTC.replace('"f.csv"', '{ assume = nan, every = "8h" }'),
            "`BTC.funding.assume`: should be a finite number",
        ),
        (
            TOP + BTC.replace('"f.csv"', '{ file = "f", unit = "pct" }'),
            '`BTC.funding.unit` must be "fraction" or "percent"',
        ),
        (
            TOP + BTC.replace('"f.csv"', '{ proxy = "ETH", assume = 0.0, every = "8h" }'),
            "has both `proxy` and `assume`",
        ),
        (TOP + BTC + 'oi = "oi.csv"\n', "`BTC.oi.interval` is missing"),
        (
            TOP + BTC + 'oi = { file = "oi.csv", known_at = "later" }\n',
            "`BTC.oi.known_at`: should be 'close', 'open' or 'at'",
        ),
        (TOP + BTC + "[fine]\nBTC = 'x'\n", "`fine.interval` is missing"),
        (TOP + BTC + "[fine]\ninterval = '7m'\nBTC = 'x'\n", "`fine.interval` 7m must divide the market's interval 1h"),
        (TOP + BTC + "[fine]\ninterval = '1m'\nETH = 'x'\n", "`fine.ETH` is not a symbol of the market."),
        (
            TOP + '[BTC]\nbars = { file = "x", symbol = "y" }\nfunding = "none"\n',
            "`BTC.bars.symbol` goes with `store`; a series from elsewhere has no use for it.",
        ),
        (TOP + '[BTC]\nbars = { store = "x", symbol = "" }\nfunding = "none"\n', "`BTC.bars.symbol` is empty"),
        (
            TOP + '[BTC]\nbars = { store = "x", series = "mark" }\nfunding = "none"\n',
            "`BTC.bars.series` can't be 'mark'. There are: bars.",
        ),
        (TOP + BTC + 'oi = { store = "x", series = "open_intrest" }\n', "Did you mean 'open_interest'?"),
        (
            TOP + '[BTC]\nbars = { store = "x", check = "yahoo" }\nfunding = "none"\n',
            "`BTC.bars.check` must name a source and a symbol, such as \"yahoo:BTC-USD\", got 'yahoo'.",
        ),
        (TOP + BTC + 'oi = { store = "x", check = "yahoo:BTC-USD" }\n', "`BTC.oi.check` is not a key of feed."),
        (
            TOP + '[BTC]\nbars = { store = "x", interval = "5m" }\nfunding = "none"\n',
            "`BTC.bars.interval` is 5m where the bars are of 1h; leave it out.",
        ),
        (
            TOP + BTC + '[fine]\ninterval = "1m"\nBTC = { store = "x", interval = "5m" }\n',
            "`fine.BTC.interval` is 5m where the bars are of 1m; leave it out.",
        ),
        (
            TOP + BTC + 'mark = { proxy = "index" }\n',
            "`BTC.mark.proxy` must be \"last\", the last price, got 'index'.",
        ),
        (
            TOP + BTC + 'long_liquidations = { proxy = "open_interest" }\n',
            "`BTC.long_liquidations` is to be derived from open interest, but [BTC] has no `open_interest`; declare it.",
        ),
        ("name = 3\n" + TOP + BTC, "`name` must be a text, got 3."),
        ("feeds = 3\n" + TOP + BTC, "`feeds` must be a table, got 3."),
        ("interval = [\n", "is not a readable TOML file"),
    ],
)
def test_every_mistake_names_the_file_and_the_key(tmp_path, text, told):
    with pytest.raises(MarketError) as error:
        read_declaration(write(tmp_path, text))
    assert str(error.value).startswith("mine.toml")
    assert told in str(error.value)


def test_a_symbol_without_funding_is_told_the_four_choices(tmp_path):
    with pytest.raises(MarketError) as error:
        read_declaration(write(tmp_path, TOP + '[BTC]\nbars = "b.csv"\n'))
    for choice in ("`BTC.funding` is missing", "funding_8h.parquet", "proxy", "assume", '"none"'):
        assert choice in str(error.value)


def test_a_market_is_found_in_the_working_folder_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "markets"
    folder.mkdir(parents=True)
    write(folder, TOP + BTC, "home-made")
    assert "home-made" in market_names()
    assert describe_market("home-made").name == "home-made"
    with pytest.raises(MarketError, match=r"No market named 'homemade'. Did you mean 'home-made'"):
        describe_market("homemade")
    with pytest.raises(MarketError, match=r"no market file '\./none.toml'"):
        describe_market("./none.toml")


def test_times_and_intervals():
    assert [parse_interval(t) // HOUR for t in ("60m", "8h", "1d", "1w")] == [1, 8, 24, 168]
    assert [interval_text(parse_interval(t)) for t in ("60m", "30m", "24h", "90s")] == ["1h", "30m", "1d", "90s"]
    assert parse_time("2025-07-01T08:00+08:00") == parse_time("2025-07-01T00:00Z") == 1_751_328_000_000_000_000
    for wrong in ("0h", "h", "1.5h", 3, None):
        with pytest.raises(ValueError, match="interval like"):
            parse_interval(wrong)
    for wrong in ("soon", 20250701, "1960-01-01"):
        with pytest.raises(ValueError, match="time like"):
            parse_time(wrong)
