"""The indicators of the package `ta`, by name, without what they would know too early.

`ta` says 0.0 while ATR and ADX are not warm yet, fills first rows with the mean of the whole series (KST, DPO, Vortex, TRIX,
Ichimoku for charts), wraps around the end of the series (KAMA), and loops in Python where the data is long. Here a row that
is not warm is NaN, no value knows a later bar, and the slow ones are done at once.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from backtest.errors import ConfigError, did_you_mean
from backtest.model.arrays import Float
from backtest.model.market import Bars
from backtest.model.memo import memoised
from backtest.signals.technical_own import FAST, FAST_AVERAGE, Columns, Lines, Own, Params, series

__all__ = ["Many", "One", "technical", "technical_names"]

One = Literal[
    "acc_dist", "atr", "awesome", "cci", "cmf", "cumulative_return", "daily_log_return", "daily_return", "dpo", "ema",
    "force_index", "kama", "mass_index", "mfi", "nvi", "obv", "roc", "rsi", "sma", "stc", "trix", "tsi", "ulcer_index",
    "ultimate", "vpt", "vwap", "williams_r", "wma",
]  # fmt: skip
"""Indicators of one line."""

Many = Literal[
    "adx", "aroon", "bollinger", "donchian", "ease_of_movement", "ichimoku", "keltner", "kst", "macd", "ppo", "psar",
    "pvo", "stoch", "stoch_rsi", "vortex",
]  # fmt: skip
"""Indicators of several lines."""

First = Callable[[Params], int]


@dataclass(frozen=True)
class Indicator:
    """One class of `ta`: where it is, the columns that it takes, and for each of its methods the first row that is warm."""

    place: str
    takes: tuple[str, ...]
    lines: Mapping[str, First]


@overload
def technical(bars: Bars, name: One, **params: Any) -> Float: ...
@overload
def technical(bars: Bars, name: Many, **params: Any) -> dict[str, Float]: ...
@overload
def technical(bars: Bars, name: str, **params: Any) -> Float | dict[str, Float]: ...
@memoised
def technical(bars: Bars, name: str, **params: Any) -> Float | dict[str, Float]:
    """Return an indicator of `ta`: (n,) on the bars, or by the names of `ta`'s methods where it has several lines.

    name: one of `technical_names()`; params: those of the class in `ta` with its defaults (`window`, ...), except
    `fillna` and `dropnans`, which would put invented values into the rows, or take rows away. Units are those of
    `ta`: prices in quote units, oscillators from 0 to 100, returns and bands' widths in percent.

    NaN until a row has its whole history: also where `ta` says 0.0 (ATR, ADX), computes on a part of the window
    (Keltner, Ichimoku, KST's signal) or counts the missing change before the first bar as 0 (RSI, MFI). Bars that did
    not trade are left out of the history and are NaN; so is what is not defined (a division by zero that `ta` leaves).
    Each value uses its bar and earlier ones only.

    Errors (ConfigError): what is not one symbol's bars; a name or a parameter that `ta` does not have, with the nearest
    one; a window that is not a whole number from 1; a shift into the future (`offset` below 0). Source: `ta` 0.11, whose
    docstrings name the author of each indicator; Wilder, "New Concepts in Technical Trading Systems", 1978, for ATR, ADX,
    RSI and PSAR.

    >>> from backtest.signals.technical import technical_names
    >>> technical_names()["stoch"]
    ('stoch', 'stoch_signal')
    """
    if not isinstance(bars, Bars):
        raise ConfigError(
            f"Indicators are computed on the bars of one symbol, `market['BTCUSDT']`, got {type(bars).__name__}."
        )
    indicator, settings = asked(name, params)
    traded = np.isfinite(bars.close)
    columns = {column: np.asarray(getattr(bars, column)[traded]) for column in indicator.takes}
    own = FAST.get(name, FAST_AVERAGE if name == "keltner" and not settings["original_version"] else None)
    lines = warmed(indicator, settings, columns, own)
    whole = {line: spread(values, traded) for line, values in lines.items()}
    return whole if len(whole) > 1 else next(iter(whole.values()))


def technical_names() -> dict[str, tuple[str, ...]]:
    """Return each indicator's name with the names of its lines, those of `ta`'s methods."""
    return {name: tuple(INDICATORS[name].lines) for name in sorted(INDICATORS)}


def asked(name: str, params: Params) -> tuple[Indicator, dict[str, Any]]:
    """Return the indicator and all its parameters, checked, defaults included."""
    if name not in INDICATORS:
        raise ConfigError(f"No technical indicator named {name!r}.{did_you_mean(str(name), INDICATORS)}")
    indicator = INDICATORS[name]
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(ta_class(indicator)).parameters.items()
        if key not in indicator.takes
    }
    for key, value in params.items():
        if key in ("fillna", "dropnans"):
            raise ConfigError(
                f"`{key}` = {value!r} is refused: it fills or drops rows of {name}, from the future too; warm-up rows are NaN."
            )
        if key not in known:
            others = sorted(set(known) - {"fillna", "dropnans"})
            raise ConfigError(f"The indicator {name} has no parameter {key!r}.{did_you_mean(key, others)}")
    settings = {key: params.get(key, default) for key, default in known.items() if key not in ("fillna", "dropnans")}
    for key, value in settings.items():
        check_setting(name, key, value)
    return indicator, settings


NUMBERS = {"window_dev", "constant", "multiplier", "weight1", "weight2", "weight3", "step", "max_step"}
SWITCHES = {"visual", "original_version"}


def check_setting(name: str, key: str, value: Any) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if key in SWITCHES:
        right, must = isinstance(value, bool), "must be True or False"
    elif key in NUMBERS:
        number = whole or isinstance(value, (float, np.floating))
        right, must = number and 0 < value < float("inf"), "must be a number above 0"
    elif key == "offset":
        right, must = whole and value >= 0, "must be a whole number of bars from 0; below 0 it shows the future"
    else:
        right, must = whole and value >= 1, "must be a whole number of bars from 1"
        right = right or (key == "smoothing_factor" and value is None)
    if not right:
        got = "nothing; it has no default" if value is inspect.Parameter.empty else repr(value)
        raise ConfigError(f"`{key}` of {name} {must}, got {got}.")


def ta_class(indicator: Indicator) -> Any:
    from ta import momentum, others, trend, volatility, volume  # imported late: it imports all of pandas

    places = {"momentum": momentum, "others": others, "trend": trend, "volatility": volatility, "volume": volume}
    place, _, cls = indicator.place.partition(".")
    return getattr(places[place], cls)


def warmed(indicator: Indicator, settings: dict[str, Any], columns: Columns, own: Own | None) -> Lines:
    """Return the lines on bars that all traded; a line is computed only where at least one row of it is warm."""
    n = next(iter(columns.values())).size
    starts = {line: first(settings) for line, first in indicator.lines.items()}
    if n <= min(starts.values()):
        return {line: np.full(n, np.nan) for line in starts}
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = own(columns, settings) if own else by_ta(indicator, settings, columns)
    rows = np.arange(n)
    return {line: np.where((rows >= starts[line]) & np.isfinite(raw[line]), raw[line], np.nan) for line in starts}


def by_ta(indicator: Indicator, settings: dict[str, Any], columns: Columns) -> Lines:
    given = {column: series(values) for column, values in columns.items()}
    made = ta_class(indicator)(**given, **settings)
    return {line: getattr(made, line)().to_numpy(dtype=np.float64) for line in indicator.lines}


def spread(values: Float, traded: Any) -> Float:
    """Put what was computed on the bars that traded back on all bars."""
    whole = np.full(traded.size, np.nan)
    whole[traded] = values
    return whole


# --- the table: name, class of `ta`, columns, and for each line the first row that is warm ---


def at(row: int) -> First:
    return lambda p: row


def window(p: Params) -> int:
    return int(p["window"])


def full(p: Params) -> int:
    return window(p) - 1


def slow(p: Params) -> int:
    return int(max(p["window_slow"], p["window_fast"])) - 1


def slow_signal(p: Params) -> int:
    return slow(p) + int(p["window_sign"]) - 1


def sized(*names: str) -> First:
    return lambda p: int(max(p[name] for name in names)) - 1


def later(first: First, extra: First) -> First:
    return lambda p: first(p) + extra(p)


def shown(first: First) -> First:
    """Return the first row of a span that `visual` moves right; `ta` fills the rows before it with the mean of all rows."""
    return lambda p: first(p) + (int(p["window2"]) if p["visual"] else 0)


def kst_warm(p: Params) -> int:
    return max(int(p[f"roc{i}"]) + int(p[f"window{i}"]) for i in range(1, 5)) - 1


def stoch_rsi(*smooth: str) -> First:
    return lambda p: 2 * window(p) - 1 + sum(int(p[name]) - 1 for name in smooth)


def stc_warm(p: Params) -> int:
    return slow(p) + 2 * (int(p["cycle"]) - 1) + int(p["smooth1"]) + int(p["smooth2"]) - 2


def keltner_warm(p: Params) -> int:
    return full(p) if p["original_version"] else int(max(p["window"], p["window_atr"])) - 1


def vpt_warm(p: Params) -> int:
    return int(p["smoothing_factor"] or 1)


CLOSE, RANGE, HLC = ("close",), ("high", "low"), ("high", "low", "close")
FLOW, ALL = ("close", "volume"), ("high", "low", "close", "volume")


def bands(prefix: str, warm: First, *flags: str, middle: str = "mband") -> dict[str, First]:
    return {f"{prefix}_{line}": warm for line in (middle, "hband", "lband", "wband", "pband", *flags)}


CROSSINGS = ("hband_indicator", "lband_indicator")

# fmt: off
INDICATORS: dict[str, Indicator] = {
    "acc_dist": Indicator("volume.AccDistIndexIndicator", ALL, {"acc_dist_index": at(0)}),
    "adx": Indicator("trend.ADXIndicator", HLC, {
        "adx": lambda p: 2 * window(p) - 1, "adx_pos": later(window, at(1)), "adx_neg": later(window, at(1))}),
    "aroon": Indicator("trend.AroonIndicator", RANGE, {
        "aroon_up": window, "aroon_down": window, "aroon_indicator": window}),
    "atr": Indicator("volatility.AverageTrueRange", HLC, {"average_true_range": full}),
    "awesome": Indicator("momentum.AwesomeOscillatorIndicator", RANGE, {
        "awesome_oscillator": sized("window1", "window2")}),
    "bollinger": Indicator("volatility.BollingerBands", CLOSE, bands("bollinger", full, *CROSSINGS, middle="mavg")),
    "cci": Indicator("trend.CCIIndicator", HLC, {"cci": full}),
    "cmf": Indicator("volume.ChaikinMoneyFlowIndicator", ALL, {"chaikin_money_flow": full}),
    "cumulative_return": Indicator("others.CumulativeReturnIndicator", CLOSE, {"cumulative_return": at(0)}),
    "daily_log_return": Indicator("others.DailyLogReturnIndicator", CLOSE, {"daily_log_return": at(1)}),
    "daily_return": Indicator("others.DailyReturnIndicator", CLOSE, {"daily_return": at(1)}),
    "donchian": Indicator("volatility.DonchianChannel", HLC, bands(
        "donchian_channel", lambda p: full(p) + int(p["offset"]))),
    "dpo": Indicator("trend.DPOIndicator", CLOSE, {"dpo": lambda p: max(full(p), window(p) // 2 + 1)}),
    "ease_of_movement": Indicator("volume.EaseOfMovementIndicator", ("high", "low", "volume"), {
        "ease_of_movement": at(1), "sma_ease_of_movement": window}),
    "ema": Indicator("trend.EMAIndicator", CLOSE, {"ema_indicator": full}),
    "force_index": Indicator("volume.ForceIndexIndicator", FLOW, {"force_index": window}),
    "ichimoku": Indicator("trend.IchimokuIndicator", RANGE, {
        "ichimoku_conversion_line": sized("window1"), "ichimoku_base_line": sized("window2"),
        "ichimoku_a": shown(sized("window1", "window2")), "ichimoku_b": shown(sized("window3"))}),
    "kama": Indicator("momentum.KAMAIndicator", CLOSE, {"kama": window}),
    "keltner": Indicator("volatility.KeltnerChannel", HLC, bands("keltner_channel", keltner_warm, *CROSSINGS)),
    "kst": Indicator("trend.KSTIndicator", CLOSE, {
        "kst": kst_warm, "kst_sig": later(kst_warm, sized("nsig")), "kst_diff": later(kst_warm, sized("nsig"))}),
    "macd": Indicator("trend.MACD", CLOSE, {"macd": slow, "macd_signal": slow_signal, "macd_diff": slow_signal}),
    "mass_index": Indicator("trend.MassIndex", RANGE, {
        "mass_index": lambda p: 2 * (int(p["window_fast"]) - 1) + int(p["window_slow"]) - 1}),
    "mfi": Indicator("volume.MFIIndicator", ALL, {"money_flow_index": window}),
    "nvi": Indicator("volume.NegativeVolumeIndexIndicator", FLOW, {"negative_volume_index": at(0)}),
    "obv": Indicator("volume.OnBalanceVolumeIndicator", FLOW, {"on_balance_volume": at(0)}),
    "ppo": Indicator("momentum.PercentagePriceOscillator", CLOSE, {
        "ppo": slow, "ppo_signal": slow_signal, "ppo_hist": slow_signal}),
    "psar": Indicator("trend.PSARIndicator", HLC, {
        "psar": at(2), "psar_up": at(2), "psar_down": at(2),
        "psar_up_indicator": at(3), "psar_down_indicator": at(3)}),
    "pvo": Indicator("momentum.PercentageVolumeOscillator", ("volume",), {
        "pvo": slow, "pvo_signal": slow_signal, "pvo_hist": slow_signal}),
    "roc": Indicator("momentum.ROCIndicator", CLOSE, {"roc": window}),
    "rsi": Indicator("momentum.RSIIndicator", CLOSE, {"rsi": window}),
    "sma": Indicator("trend.SMAIndicator", CLOSE, {"sma_indicator": full}),
    "stc": Indicator("trend.STCIndicator", CLOSE, {"stc": stc_warm}),
    "stoch": Indicator("momentum.StochasticOscillator", HLC, {
        "stoch": full, "stoch_signal": later(full, sized("smooth_window"))}),
    "stoch_rsi": Indicator("momentum.StochRSIIndicator", CLOSE, {
        "stochrsi": stoch_rsi(), "stochrsi_k": stoch_rsi("smooth1"), "stochrsi_d": stoch_rsi("smooth1", "smooth2")}),
    "trix": Indicator("trend.TRIXIndicator", CLOSE, {"trix": lambda p: 3 * full(p) + 1}),
    "tsi": Indicator("momentum.TSIIndicator", CLOSE, {"tsi": lambda p: p["window_slow"] + int(p["window_fast"]) - 1}),
    "ulcer_index": Indicator("volatility.UlcerIndex", CLOSE, {"ulcer_index": lambda p: 2 * full(p)}),
    "ultimate": Indicator("momentum.UltimateOscillator", HLC, {
        "ultimate_oscillator": later(sized("window1", "window2", "window3"), at(1))}),
    "vortex": Indicator("trend.VortexIndicator", HLC, {
        "vortex_indicator_pos": window, "vortex_indicator_neg": window, "vortex_indicator_diff": window}),
    "vpt": Indicator("volume.VolumePriceTrendIndicator", FLOW, {"volume_price_trend": vpt_warm}),
    "vwap": Indicator("volume.VolumeWeightedAveragePrice", ALL, {"volume_weighted_average_price": full}),
    "williams_r": Indicator("momentum.WilliamsRIndicator", HLC, {"williams_r": sized("lbp")}),
    "wma": Indicator("trend.WMAIndicator", CLOSE, {"wma": full}),
}
# fmt: on
