"""The windows of known crises: what the shipped file holds, what the real files say of it, and a sentence for each mistake."""

import re
from itertools import pairwise

import numpy as np
import pytest
from real_market import HISTORY, needs_history

from backtest.errors import MarketError
from backtest.market.crises import Crisis, load_crises
from backtest.model.arrays import HOUR

GOOD = 'title = "A"\nstart = 2020-03-12\nend = 2020-03-14\nsources = ["who, what, 2020-03-13"]\n'


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_crises(path)


def test_the_shipped_ones_in_the_order_of_time():
    crises = load_crises()
    assert [c.name for c in crises] == [
        "black-thursday-2020-03-12",
        "crash-2021-05-19",
        "credit-2022-06",
        "ftx-2022-11",
        "carry-2024-08-05",
        "liquidations-2025-10-10",
        "break-2026-02",
    ]
    assert all(a.end <= b.start for a, b in pairwise(crises))


@pytest.mark.parametrize("crisis", load_crises(), ids=lambda c: c.name)
def test_every_source_ends_with_its_date(crisis):
    assert len(crisis.sources) >= 2
    for source in crisis.sources:
        assert re.search(r", 20\d\d(-\d\d-\d\d)?$", source), source
        assert source.count(", ") >= 2  # who, title, date


def test_a_file_of_ones_own(tmp_path):
    text = '["b"]\n' + GOOD.replace("2020", "2021") + '["a"]\n' + GOOD + '["c"]\n' + GOOD
    a, c, b = load(tmp_path, text)
    assert a == Crisis("a", "A", 1_583_971_200_000_000_000, 1_584_144_000_000_000_000, ("who, what, 2020-03-13",))
    assert (b.name, c.name) == ("b", "c")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a", "mine.toml is not a readable TOML file"),
        ("a = 1", "mine.toml: `a` must be a table with title, start, end, sources."),
        ("[a]\n" + GOOD + "strat = 1", "`a.strat` is not a key of a crisis. Did you mean 'start'?"),
        ("[a]\n" + GOOD.replace('title = "A"\n', ""), "`a.title` is missing."),
        ("[a]\n" + GOOD.replace('"A"', '""'), "`a.title` must be a text, got ''."),
        ("[a]\n" + GOOD.replace('["who, what, 2020-03-13"]', "[]"), "`a.sources` must be a list of texts, at least one, got []."),
        ("[a]\n" + GOOD.replace('["who, what, 2020-03-13"]', "[1]"), "`a.sources` must be a list of texts"),
        ("[a]\n" + GOOD.replace("2020-03-14", "2020-03-12"), "`a.start` must lie before `a.end`."),
        ("[a]\n" + GOOD.replace("2020-03-14", '"soon"'), "`a.end` must be a time like \"2025-07-01\""),
    ],
)  # fmt: skip
def test_a_sentence_for_each_mistake(tmp_path, text, told):
    with pytest.raises(MarketError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MarketError, match=r"nowhere.toml is not a readable TOML file"):
        load_crises(tmp_path / "nowhere.toml")


@needs_history
@pytest.mark.parametrize("crisis", load_crises(), ids=lambda c: c.name)
def test_bitcoin_fell_by_a_tenth_or_more_inside_each(crisis):
    import pyarrow.parquet as pq

    table = pq.read_table(HISTORY / "btcusdt_perp_1h_binance.parquet")
    time = table["time"].cast("int64").to_numpy()
    inside = (time >= crisis.start) & (time < crisis.end)
    assert inside.sum() == (crisis.end - crisis.start) // HOUR
    high, low = table["high"].to_numpy()[inside], table["low"].to_numpy()[inside]
    assert np.max(1 - low / np.maximum.accumulate(high)) > 0.1


@needs_history
def test_the_window_of_2026_holds_both_breaks():
    import pyarrow.parquet as pq

    table = pq.read_table(HISTORY / "btcusdt_perp_1h_binance.parquet")
    time, close = table["time"].cast("int64").to_numpy(), table["close"].to_numpy()
    window = load_crises()[-1]
    of_2026 = time >= 1_767_225_600_000_000_000
    for level in (75_000, 70_000):
        first = time[np.argmax(of_2026 & (close < level))]
        assert window.start <= first < window.end
