"""The swept settings: one axis each, read from text such as "lookback=24:240:8"."""

import math
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from backtest.errors import ConfigError, LevelbreakError, did_you_mean
from backtest.model.config import Value
from backtest.plugins import StrategyMaker, load_maker
from backtest.plugins.parameters import alternatives
from backtest.runner import ACCOUNT, plain

__all__ = ["Axis", "read_axes", "read_axis"]

MOST_VALUES = 1_000_000
CHOICES = {"margin_mode": ("isolated", "cross"), "intrabar": ("worst", "best", "fine")}
FORMS = "24:240:8, 0,0.001,0.002, log:0.005:0.1:9 or lin:0:1:5"


@dataclass(frozen=True)
class Axis:
    """One swept setting with its values, or, for samples, the span that they are drawn from.

    name: a parameter of the strategy or a setting of the account, "account.NAME" where a parameter has that name, too;
    account: which of the two; span: lowest and highest value of a continuous axis, log: drawn evenly in their logarithm,
    whole: rounded to whole numbers.
    """

    name: str
    values: tuple[Value, ...] = ()
    account: bool = False
    span: tuple[float, float] | None = None
    log: bool = False
    whole: bool = False

    @property
    def setting(self) -> str:
        """The name that the configuration knows it by."""
        return self.name.removeprefix("account.") if self.account else self.name

    def __len__(self) -> int:
        return len(self.values)

    def at(self, share: float) -> Value:
        """Return the value at a share in [0, 1) of the axis: that of its values, or a point of its span.

        >>> Axis("a", (1, 2, 3)).at(0.5), Axis("b", span=(1.0, 100.0), log=True).at(0.5)
        (2, 10.0)
        """
        if self.span is None:
            return self.values[int(share * len(self.values))]
        low, high = self.span
        if self.whole:
            return (
                int(low) + int(share * (int(high) - int(low) + 1)) if not self.log else round(between(low, high, share))
            )
        return between(low, high, share) if self.log else low + share * (high - low)


def between(low: float, high: float, share: float) -> float:
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def read_axis(text: str, strategy: str) -> Axis:
    """Return the axis that a text describes for a strategy (a name or a path).

    "lookback=24:240:8" counts from 24 to 240 in steps of 8, the ends included; "buffer=0,0.001" lists values;
    "stop=log:0.005:0.1:9" and "stop=lin:0:1:5" are nine values evenly spaced in their logarithm, five evenly spaced;
    "stop=0.01:0.1" without a step is a span to draw samples from, or every whole number; of a parameter that takes several
    numbers, `;` stands between those and `|` between the values: "levels=75000;70000|80000;75000". What makes no sense is a
    ConfigError or a StrategyError.
    """
    return read_axes([text], [strategy])[0]


def read_axes(texts: Sequence[str], strategies: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of one sweep over one or several strategies; each belongs to at least one of them, or to the account."""
    makers = [load_maker(strategy) for strategy in strategies]
    axes = tuple(one_axis(text, makers) for text in texts)
    names = [(axis.account, axis.setting) for axis in axes]
    for axis, key in zip(axes, names, strict=True):
        if names.count(key) > 1:
            raise ConfigError(f"`{axis.name}` is swept twice; put its values into one --grid.")
    return axes


def one_axis(text: str, makers: Sequence[StrategyMaker]) -> Axis:
    name, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise ConfigError(f"`--grid` needs a name and values, such as --grid lookback=24:240:8; got {text!r}.")
    maker = next((maker for maker in makers if name in maker.names), None)
    account = name.removeprefix("account.")
    account = "margin_mode" if account == "margin" else account
    if maker is None and (account not in ACCOUNT):
        raise unknown(name, makers)
    if not rest:
        raise ConfigError(f"`{name}` has no values; give some, such as --grid {name}={FORMS.split(', ')[0]}.")
    if maker is None:
        label = name if name.startswith("account.") else account
        return made(label, account, rest, float, lambda value: account_value(account, value), True)
    return made(name, name, rest, maker.type_of(name), lambda value: parameter_value(maker, name, value), False)


def unknown(name: str, makers: Sequence[StrategyMaker]) -> LevelbreakError:
    parameters = sorted({n for maker in makers for n in maker.names})
    known = [*parameters, *(n if n not in parameters else f"account.{n}" for n in ACCOUNT)]
    who = makers[0].file.name if len(makers) == 1 else "None of the strategies"
    has = "has no" if len(makers) == 1 else "has a"
    return ConfigError(f"{who} {has} parameter {name!r}, and the account no such setting.{did_you_mean(name, known)}")


def parameter_value(maker: StrategyMaker, name: str, value: Any) -> Value:
    read = maker.read(name, value)
    return "none" if read is None else typing.cast("Value", plain(read))


def account_value(name: str, value: Any) -> Value:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ConfigError(f"`{name}` can't be {value!r}.{did_you_mean(str(value), CHOICES[name])}")
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ConfigError(f"`{name}` of the account must be a number, got {value!r}.")
    return number


def made(label: str, name: str, rest: str, hint: Any, read: Any, account: bool) -> Axis:
    """Return the axis of the values that the text lists."""
    kinds = alternatives(hint)
    whole = int in kinds and float not in kinds
    if name in CHOICES and account:
        items: list[Any] = [read(word.strip()) for word in rest.split(",")]
    elif any(typing.get_origin(kind) is tuple for kind in kinds):
        items = [read(value) for value in tuples(name, rest)]
    elif not {int, float} & set(kinds):
        items = [read(word.strip()) for word in words(rest)]
    else:
        pieces = [piece.strip() for piece in rest.split(",")]
        if len(pieces) == 1 and is_span(pieces[0]) and not (whole and not pieces[0].startswith("log")):
            low, high = span(name, pieces[0])
            logarithmic = pieces[0].startswith("log")
            read(int(low) if whole and low == int(low) else low)
            return Axis(label, (), account, (low, high), logarithmic, whole)
        items = [value for piece in pieces for value in read_all(read, list(numbers(name, piece, whole)), kinds)]
    return Axis(label, tuple(dict.fromkeys(items)), account)


def read_all(read: Any, values: list[Any], kinds: tuple[Any, ...]) -> list[Any]:
    """Return the values as the parameter wants them; of a range of numbers only the ends are read one by one."""
    if len(values) < 3 or len({int, float} & set(kinds)) != 1:
        return [read(value) for value in values]
    wrong = next((v for v in values if int in kinds and not isinstance(v, int)), values[0])
    read(wrong)
    read(values[-1])
    return values if int in kinds else [float(value) for value in values]


def tuples(name: str, rest: str) -> list[str]:
    values = [value.strip() for value in rest.split("|")]
    if any("," in value for value in values) or "" in values:
        raise ConfigError(
            f"`{name}` takes several values at once: put ; between those and | between the points, like "
            f"--grid {name}=75000;70000|80000;75000; got {rest!r}."
        )
    return [value.replace(";", ",") for value in values]


def words(rest: str) -> list[str]:
    """Return the words between commas that stand in no brackets and no quotes.

    >>> words("close,wick"), words("round, fixed(75000, 70000)")
    (['close', 'wick'], ['round', ' fixed(75000, 70000)'])
    """
    found, depth, quote, start = [], 0, "", 0
    for i, c in enumerate(rest):
        if quote or c in "'\"":
            quote = "" if c == quote else quote or c
        elif c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "," and depth == 0:
            found.append(rest[start:i])
            start = i + 1
    return [*found, rest[start:]]


def is_span(piece: str) -> bool:
    kind, colon, rest = piece.partition(":")
    return bool(colon) and (rest if kind == "log" else piece).count(":") == 1


def span(name: str, piece: str) -> tuple[float, float]:
    low, high = (decimal(name, text, piece) for text in piece.removeprefix("log:").split(":"))
    if low >= high:
        raise empty(name, piece)
    if piece.startswith("log") and low <= 0:
        raise ConfigError(f"The range {piece} of `{name}` is logarithmic, so both ends must be above 0.")
    return float(low), float(high)


def numbers(name: str, piece: str, whole: bool) -> Iterable[Any]:
    """Return what a piece between commas stands for: a number, a word, or the values of a range."""
    parts = piece.split(":")
    if len(parts) == 1:
        return [piece]
    if parts[0] in ("log", "lin"):
        return spaced(name, piece, parts, whole)
    if len(parts) not in (2, 3):
        raise ConfigError(f"The range {piece!r} of `{name}` can't be read; write it like {FORMS}.")
    return stepped(name, piece, [decimal(name, text, piece) for text in parts])


def stepped(name: str, piece: str, ends: list[Decimal]) -> list[int | float]:
    low, high, step = (*ends, Decimal(1))[:3]
    if step == 0:
        raise ConfigError(
            f"The step of the range {piece} of `{name}` is zero, so that it never ends; give another one."
        )
    if (high - low) / step < 0:
        raise empty(name, piece)
    count = counted(name, piece, int((high - low) / step) + 1)
    if low == int(low) and step == int(step):
        return list(range(int(low), int(low) + count * int(step), int(step)))
    return [number(low + k * step) for k in range(count)]


def spaced(name: str, piece: str, parts: list[str], whole: bool) -> list[int | float]:
    if len(parts) != 4 or not parts[3].isdigit() or int(parts[3]) < 2:
        raise ConfigError(
            f"The range {piece} of `{name}` needs its ends and how many values, from 2: {parts[0]}:LOW:HIGH:COUNT."
        )
    low, high = (float(decimal(name, text, piece)) for text in parts[1:3])
    if low >= high:
        raise empty(name, piece)
    if parts[0] == "log" and low <= 0:
        raise ConfigError(f"The range {piece} of `{name}` is logarithmic, so both ends must be above 0.")
    count = counted(name, piece, int(parts[3]))
    shares = [k / (count - 1) for k in range(1, count - 1)]
    inner = [between(low, high, s) if parts[0] == "log" else low + s * (high - low) for s in shares]
    values = [low, *inner, high]
    return [round(value) for value in values] if whole else [float(f"{value:.12g}") for value in values]


def counted(name: str, piece: str, count: int) -> int:
    if count > MOST_VALUES:
        told = f"{count:,}" if count < 10**15 else f"about {Decimal(count):.0e}"
        raise ConfigError(f"The range {piece} of `{name}` has {told} values; at most {MOST_VALUES:,} make sense.")
    return count


def decimal(name: str, text: str, piece: str) -> Decimal:
    try:
        value = Decimal(text.strip().replace("_", ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ConfigError(
            f"The range {piece!r} of `{name}` can't be read: {text!r} is no number. Write it like {FORMS}."
        )
    if value and abs(value.adjusted()) > 300:
        raise ConfigError(f"The range {piece!r} of `{name}` reaches beyond what a number can hold: {text.strip()!r}.")
    return value


def number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def empty(name: str, piece: str) -> ConfigError:
    return ConfigError(
        f"The range {piece} of `{name}` is empty: it ends before it starts. Swap its ends or its step's sign."
    )
