"""Every shipped market of real events, from one command to runs without a network: its sources answer on loopback."""

import itertools
import re

import pytest
from command import call, document, tables
from servers.binance_archive import SECOND, Archive, price

from backtest.market.declare import read_declaration
from backtest.market.fetching.needs import needs_of
from backtest.places import shipped
from tests.servers.yahoo import YahooServer, anything

# name -> the span (start, trade_from, end) that is fetched where the whole would take too long; declarations stay. The proxies of
# liquidations need thirty days before their first value.
CUT = {
    "black-thursday-2020-03-12": None,
    "crash-2021-05-19": ("2021-03-25", "2021-05-01", "2021-05-06"),
    "credit-2022-06": ("2022-05-05", "2022-06-05", "2022-06-08"),
    "ftx-2022-11": ("2022-10-01", "2022-11-01", "2022-11-04"),
    "liquidations-2025-10-10": ("2025-09-10", "2025-10-10", "2025-10-13"),
    "break-2026-02": ("2026-01-05", "2026-02-06", "2026-02-09"),
    "break-2026-02-daily": ("2025-11-20", "2026-01-05", "2026-02-10"),
    "long-daily": None,
}
FIVE = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT"]
# What else than this a market has: symbols with open interest, and how the tiers stand, which are those of their date.
INTEREST = {"crash-2021-05-19": 1, "break-2026-02-daily": 1, "long-daily": 0, "black-thursday-2020-03-12": 0}
SUBJECTS = ("price", "mark", "funding", "open interest", "liquidations", "macro")


def coin(name, second):
    """A coin's price at Yahoo is the archive's."""
    return price(name.replace("-USD", "USDT"), second * SECOND)


@pytest.fixture
def internet(tmp_path, monkeypatch):
    """The archive and Yahoo on loopback, and an empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.01")
    monkeypatch.setenv("COLUMNS", "120")
    with Archive() as archive, YahooServer({}, asked_for=anything(coin)) as yahoo:
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", archive.url)
        monkeypatch.setenv("BACKTEST_URL_YAHOO", yahoo.url)
        yield archive, yahoo


def cut_to(folder, name, span):
    """Put a market's file with another span before the shipped one."""
    text = (shipped("data/markets") / f"{name}.toml").read_text(encoding="utf-8")
    for key, day in zip(("start", "trade_from", "end"), span, strict=True):
        text, n = re.subn(rf'^{key} = "[\d-]+"', f'{key} = "{day}"', text, flags=re.MULTILINE)
        assert n == 1
    (folder / "data" / "markets").mkdir(parents=True)
    (folder / "data" / "markets" / f"{name}.toml").write_text(text)


@pytest.mark.parametrize("name", CUT)
def test_one_command_fetches_a_market_and_runs_need_no_network(name, internet, tmp_path, request):
    if CUT[name] and not request.config.getoption("--full"):
        cut_to(tmp_path, name, CUT[name])
    needs = needs_of(read_declaration(name))
    told = document(call("fetch", name, "--json"))
    assert sorted(key for row in told["series"] for key in row["of"]) == sorted(need.of for need in needs)
    assert [row for row in told["series"] if row["error"] or row["missing"] or not row["added"]] == []
    check_agreement(told)
    for server in internet:
        server.stop()
    check_listed(name)
    assert sum(row["arrived"] for row in document(call("fetch", name, "--json"))["series"]) == 0
    first, second = (run(name) for _ in "ab")
    for one, other in zip(tables(first["folder"]), tables(second["folder"]), strict=True):
        assert one.equals(other)
    assert len(tables(first["folder"])[0])
    check_standing(name, first)


NUMBERS = itertools.count()


def check_agreement(told):
    """The second source has the same prices, and the bars of every coin are compared with it."""
    for row in told["series"]:
        if row["source"] == "binance-archive" and row["kind"] == "bars":
            found = row["quality"]["agreement"]
            assert (found["other"][:6], found["beyond"]) == ("yahoo:", 0)


def check_listed(name):
    found = next(m for m in document(call("markets", "--json"))["markets"] if m["name"] == name)
    assert {row["state"] for row in found["series"]} == {"here"}
    assert found["fetch"] is None


def run(name):
    return document(call("run", "buy_and_hold", "--market", name, "--results", f"runs{next(NUMBERS)}", "--json"))[
        "runs"
    ][0]


def check_standing(name, summary):
    """What a run says of its data: how each subject stands, the grade, the proxies by name, source and hash."""
    lines = {line["name"]: line for line in summary["passport"]["series"]}
    symbols, interested = summary["symbols"], FIVE[: INTEREST.get(name, 5)]
    n, most = len(interested), len(symbols)
    some = {"missing": most - n} if n < most else {}
    macro = {"real": 1}
    expected = [{"real": most}] * 3 + [some | ({"real": n} if n else {}), some | ({"proxy": n} if n else {}), macro]
    proxies = [f"{s}.{side}_liquidations" for s in interested for side in ("long", "short")]
    if name == "long-daily":
        expected[:2], proxies = [{"proxy": 5}, {"missing": 5}], [f"{s}.bars" for s in FIVE]
    assert {subject: summary["standing"][subject] for subject in SUBJECTS} == dict(zip(SUBJECTS, expected, strict=True))
    assert [n for n, line in lines.items() if line["origin"] == "proxy" and not n.endswith(".tiers")] == proxies
    assert [a for a in summary["assumptions"] if a.startswith("proxy_feed:")] == [f"proxy_feed:{n}" for n in proxies]
    assert (
        summary["grade"] == "B"
    )  # Black Thursday's, of which all series are real, for its tiers: none are known of that time
    for line in lines.values():
        assert re.fullmatch("[0-9a-f]{64}", line["sha256"]), line["name"]
    source = (
        "yahoo/BTC-USD_1d"
        if name == "long-daily"
        else f"binance-archive/BTCUSDT_{summary['interval'] // 3_600 // SECOND}h"
    )
    assert lines["BTCUSDT.bars"]["source"].startswith(f"store:{source.replace('24h', '1d')}, retrieved ")
    assert lines["vix"]["source"].startswith("store:yahoo/")
