import inspect
import time
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import ta
from hypothesis import given, settings
from hypothesis import strategies as st
from markets_made import HOUR, START, bars_of, candles, closes, walks

from backtest import Bars
from backtest.errors import ConfigError
from backtest.signals.technical import INDICATORS, Many, One, technical, technical_names

nan = np.nan

# name -> line -> the first row with a value under the defaults of `ta` (a window of 20 for `sma`), worked by hand
FIRST = {
    "acc_dist": {"acc_dist_index": 0},
    "adx": {"adx": 27, "adx_pos": 15, "adx_neg": 15},
    "aroon": {"aroon_up": 25, "aroon_down": 25, "aroon_indicator": 25},
    "atr": {"average_true_range": 13},
    "awesome": {"awesome_oscillator": 33},
    "bollinger": {f"bollinger_{line}": 19 for line in (
        "mavg", "hband", "lband", "wband", "pband", "hband_indicator", "lband_indicator")},
    "cci": {"cci": 19},
    "cmf": {"chaikin_money_flow": 19},
    "cumulative_return": {"cumulative_return": 0},
    "daily_log_return": {"daily_log_return": 1},
    "daily_return": {"daily_return": 1},
    "donchian": {f"donchian_channel_{line}": 19 for line in ("mband", "hband", "lband", "wband", "pband")},
    "dpo": {"dpo": 19},
    "ease_of_movement": {"ease_of_movement": 1, "sma_ease_of_movement": 14},
    "ema": {"ema_indicator": 13},
    "force_index": {"force_index": 13},
    "ichimoku": {
        "ichimoku_conversion_line": 8, "ichimoku_base_line": 25, "ichimoku_a": 25, "ichimoku_b": 51},
    "kama": {"kama": 10},
    "keltner": {f"keltner_channel_{line}": 19 for line in (
        "mband", "hband", "lband", "wband", "pband", "hband_indicator", "lband_indicator")},
    "kst": {"kst": 44, "kst_sig": 52, "kst_diff": 52},
    "macd": {"macd": 25, "macd_signal": 33, "macd_diff": 33},
    "mass_index": {"mass_index": 40},
    "mfi": {"money_flow_index": 14},
    "nvi": {"negative_volume_index": 0},
    "obv": {"on_balance_volume": 0},
    "ppo": {"ppo": 25, "ppo_signal": 33, "ppo_hist": 33},
    "psar": {"psar": 2, "psar_up": 2, "psar_down": 2, "psar_up_indicator": 3, "psar_down_indicator": 3},
    "pvo": {"pvo": 25, "pvo_signal": 33, "pvo_hist": 33},
    "roc": {"roc": 12},
    "rsi": {"rsi": 14},
    "sma": {"sma_indicator": 19},
    "stc": {"stc": 71},
    "stoch": {"stoch": 13, "stoch_signal": 15},
    "stoch_rsi": {"stochrsi": 27, "stochrsi_k": 29, "stochrsi_d": 31},
    "trix": {"trix": 43},
    "tsi": {"tsi": 37},
    "ulcer_index": {"ulcer_index": 26},
    "ultimate": {"ultimate_oscillator": 28},
    "vortex": {"vortex_indicator_pos": 14, "vortex_indicator_neg": 14, "vortex_indicator_diff": 14},
    "vpt": {"volume_price_trend": 1},
    "vwap": {"volume_weighted_average_price": 13},
    "williams_r": {"williams_r": 13},
    "wma": {"wma": 8},
}  # fmt: skip
NEEDED = {"sma": {"window": 20}}
VARIANTS = [
    *((name, NEEDED.get(name, {})) for name in sorted(FIRST)),
    ("keltner", {"original_version": False, "window": 8, "window_atr": 12}),
    ("ichimoku", {"visual": True, "window1": 3, "window2": 5, "window3": 8}),
    ("donchian", {"window": 5, "offset": 3}),
    ("vpt", {"smoothing_factor": 4}),
    ("trix", {"window": 1}),
    ("dpo", {"window": 2}),
    ("kst", {f"{key}{i}": 2 + i for key in ("roc", "window") for i in range(1, 5)}),
    ("bollinger", {"window": 4, "window_dev": 1.5}),
    *((name, {"window": 3}) for name in ("adx", "atr", "kama", "mfi", "rsi", "stoch_rsi", "ulcer_index", "vortex", "wma")),
]  # fmt: skip


def drawn(n: int, seed: int = 7, drift: float = 0.0) -> Bars:
    """Bars of a random walk with wicks and volumes; no value of any indicator is undefined on it."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(drift, 0.01, n)))
    opens = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opens, close) * (1 + rng.uniform(0.001, 0.01, n))
    low = np.minimum(opens, close) * (1 - rng.uniform(0.001, 0.01, n))
    return Bars("BTCUSDT", HOUR, START + HOUR * np.arange(n), opens, high, low, close, rng.uniform(1, 9, n))


def lines(bars, name, params):
    found = technical(bars, name, **params)
    return found if isinstance(found, dict) else {technical_names()[name][0]: found}


def plain(bars, name, params):
    """What `ta` itself says, NaN and all."""
    indicator = INDICATORS[name]
    place, _, cls = indicator.place.partition(".")
    columns = {c: pd.Series(getattr(bars, c)) for c in indicator.takes}
    made = getattr(getattr(ta, place), cls)(**columns, **params)
    return {line: getattr(made, line)().to_numpy() for line in indicator.lines}


# --- the names ---


def test_every_class_of_ta_has_a_name():
    places = (ta.momentum, ta.others, ta.trend, ta.volatility, ta.volume)
    classes = {
        f"{place.__name__.removeprefix('ta.')}.{cls}"
        for place in places
        for cls, made in inspect.getmembers(place, inspect.isclass)
        if made.__module__ == place.__name__
    }
    assert {indicator.place for indicator in INDICATORS.values()} == classes


def test_the_names_and_their_lines_are_listed():
    assert {name: tuple(first) for name, first in FIRST.items()} == technical_names()
    assert technical_names()["stoch"] == ("stoch", "stoch_signal")
    assert {*get_args(One)} == {name for name, found in FIRST.items() if len(found) == 1}
    assert {*get_args(Many)} == {name for name, found in FIRST.items() if len(found) > 1}


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("bolinger", {}, "No technical indicator named 'bolinger'. Did you mean 'bollinger'?"),
        ("atr", {"windw": 5}, "The indicator atr has no parameter 'windw'. Did you mean 'window'?"),
        (
            "kst",
            {"fillna": True},
            "`fillna` = True is refused: it fills or drops rows of kst, from the future too; warm-up rows are NaN.",
        ),
        ("vpt", {"dropnans": True}, "`dropnans` = True is refused: it fills or drops rows of vpt, from the future too; "
         "warm-up rows are NaN."),
        ("sma", {}, "`window` of sma must be a whole number of bars from 1, got nothing; it has no default."),
        ("atr", {"window": 0}, "`window` of atr must be a whole number of bars from 1, got 0."),
        ("atr", {"window": 2.5}, "`window` of atr must be a whole number of bars from 1, got 2.5."),
        ("atr", {"window": True}, "`window` of atr must be a whole number of bars from 1, got True."),
        ("psar", {"step": nan}, "`step` of psar must be a number above 0, got nan."),
        ("bollinger", {"window_dev": "2"}, "`window_dev` of bollinger must be a number above 0, got '2'."),
        ("ichimoku", {"visual": 1}, "`visual` of ichimoku must be True or False, got 1."),
        (
            "donchian",
            {"offset": -1},
            "`offset` of donchian must be a whole number of bars from 0; below 0 it shows the future, got -1.",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(name, params, sentence):
    with pytest.raises(ConfigError) as error:
        technical(drawn(60), name, **params)
    assert str(error.value) == sentence


# --- warm-up ---


@pytest.mark.parametrize("name", sorted(FIRST))
def test_rows_that_are_not_warm_are_nan_and_the_next_has_a_value(name):
    found = lines(drawn(120, seed=0), name, NEEDED.get(name, {}))
    for line, values in found.items():
        first = FIRST[name][line]
        assert np.isnan(values[:first]).all(), line
        if line not in ("psar_up", "psar_down"):  # these are NaN while the trend is the other one
            assert np.isfinite(values[first:]).all(), line


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_after_the_warm_up_it_is_what_ta_says(name, params):
    bars = drawn(300)
    expected = plain(bars, name, params)
    for line, values in lines(bars, name, params).items():
        warm = np.isfinite(values)
        assert warm.sum() > 100, line
        np.testing.assert_allclose(values[warm], expected[line][warm], rtol=1e-9, atol=1e-9, err_msg=line)


@pytest.mark.parametrize("name", sorted(FIRST))
@pytest.mark.parametrize("n", [0, 1, 2, 3, 13, 14, 15, 16, 27, 28, 52])
def test_a_short_history_has_only_what_is_warm(name, n):
    found = lines(drawn(n), name, NEEDED.get(name, {}))
    for line, values in found.items():
        assert values.shape == (n,)
        assert np.isnan(values[: FIRST[name][line]]).all()


def test_a_flat_market_gives_numbers_or_nan_without_a_word():
    bars = bars_of(closes([100.0] * 90))
    for name in FIRST:
        for values in lines(bars, name, NEEDED.get(name, {})).values():
            assert not np.isinf(values).any()


# --- by hand ---


def test_atr_by_hand():
    # true ranges 4, 3 (high 13 - close before 10), 6 (close before 12 - low 6): their mean, then (13/3 * 2 + 2) / 3
    bars = bars_of(candles([(10, 12, 8, 10), (11, 13, 11, 12), (8, 9, 6, 8), (8, 9, 7, 8)]))
    np.testing.assert_allclose(technical(bars, "atr", window=3), [nan, nan, 13 / 3, 32 / 9])


def test_wma_by_hand():
    bars = bars_of(closes([1.0, 2.0, 6.0, 4.0]))
    np.testing.assert_allclose(technical(bars, "wma", window=3), [nan, nan, 23 / 6, 26 / 6])


def test_psar_by_hand():
    # Up from close 10 towards the high 11: 10 + 0.02 * (11 - 10) = 10.02, held back to the low 9 of two bars before; then the
    # low 8 goes through 9 + 0.04 * (14 - 9) = 9.2: turned, the stop is the high 14.
    rows = [(10, 11, 9, 10), (10, 12, 10, 10), (12, 14, 11, 13), (13, 13, 8, 9)]
    found = technical(bars_of(candles(rows)), "psar")
    np.testing.assert_allclose(found["psar"], [nan, nan, 9.0, 14.0])
    np.testing.assert_array_equal(found["psar_up"], [nan, nan, 9.0, nan])
    np.testing.assert_array_equal(found["psar_down_indicator"], [nan, nan, nan, 1.0])


def test_kama_starts_at_the_first_whole_window():
    # Changes 1, 1: efficiency 1, pace (2/3)^2 = 4/9; the value before is the close 2: 2 + 4/9 * (3 - 2)
    bars = bars_of(closes([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(technical(bars, "kama", window=2), [nan, nan, 2 + 4 / 9])


def test_kst_knows_no_mean_of_what_comes():
    sizes = {f"{key}{i}": 1 for key in ("roc", "window") for i in range(1, 5)}
    found = technical(bars_of(closes([1.0, 2.0, 3.0])), "kst", nsig=1, **sizes)
    np.testing.assert_allclose(found["kst"], [nan, 1000.0, 500.0])  # 100 * (1 + 2 + 3 + 4) * the change of 1 and of 1/2


def test_bars_that_did_not_trade_are_left_out():
    halted = [(10, 10, 10, 10), (nan,) * 4, (12, 12, 12, 12), (13, 13, 13, 13)]
    np.testing.assert_allclose(technical(bars_of(candles(halted)), "sma", window=2), [nan, nan, 11.0, 12.5])


# --- no look-ahead ---


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_nothing_knows_a_later_bar(name, params):
    bars = drawn(160, seed=11)
    whole = lines(bars, name, params)
    wild = bars_after(bars, 90)
    for cut in (1, 2, 14, 15, 28, 60, 90, 91, 159):
        for line, values in lines(head(bars, cut), name, params).items():
            np.testing.assert_array_equal(values, whole[line][:cut], err_msg=f"{line} at {cut}")
    for line, values in lines(wild, name, params).items():
        np.testing.assert_array_equal(values[:90], whole[line][:90], err_msg=line)


@settings(max_examples=15, deadline=None)
@given(walks(largest=150), st.data())
def test_no_name_knows_a_later_bar_of_a_drawn_walk(market, data):
    cut = data.draw(st.integers(0, len(market)))
    for name in FIRST:
        whole = lines(bars_of(market), name, NEEDED.get(name, {}))
        for line, values in lines(bars_of(market.head(cut)), name, NEEDED.get(name, {})).items():
            np.testing.assert_array_equal(values, whole[line][:cut], err_msg=f"{name} {line} at {cut}")


def head(bars, n):
    return Bars(bars.symbol, bars.interval, *(getattr(bars, c)[:n] for c in COLUMNS))


def bars_after(bars, n):
    """The same bars up to n, and prices a thousandfold from there on."""
    later = (np.where(np.arange(len(bars)) < n, getattr(bars, c), 1_000 * getattr(bars, c)) for c in COLUMNS[1:])
    return Bars(bars.symbol, bars.interval, bars.time, *later)


COLUMNS = ("time", "open", "high", "low", "close", "volume")


# --- long data ---


@pytest.mark.parametrize("name", ["atr", "psar", "wma", "adx"])
def test_the_fast_paths_are_equal_to_ta_on_long_data(name, request):
    bars = drawn(100_000 if request.config.getoption("--full") else 5_000, seed=3)
    expected = plain(bars, name, {})
    for line, values in lines(bars, name, {}).items():
        warm = np.arange(len(bars)) >= FIRST[name][line]
        np.testing.assert_allclose(values[warm], expected[line][warm], rtol=1e-9, atol=1e-9, err_msg=line)


@pytest.mark.parametrize("name", ["atr", "psar", "wma", "adx", "kama", "nvi"])
def test_long_data_takes_well_below_a_second(name):
    bars = drawn(100_000)
    technical(head(bars, 100), name)  # the import of `ta` is not what is measured
    start = time.process_time()
    technical(bars, name)
    assert time.process_time() - start < 1.0
