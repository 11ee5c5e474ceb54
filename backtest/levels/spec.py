"""Levels as text, for commands, files and the parameters of strategies: `fractal(k=3) | round | fixed(75000, 70000)`."""

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from backtest.errors import ConfigError, did_you_mean
from backtest.levels.avwap import avwap
from backtest.levels.cluster import cluster
from backtest.levels.compose import Composed
from backtest.levels.detector import Detector
from backtest.levels.donchian import Donchian
from backtest.levels.fixed import fixed
from backtest.levels.fractal import fractal
from backtest.levels.pivot import pivot
from backtest.levels.prior import prior
from backtest.levels.profile import profile
from backtest.levels.round_numbers import round_numbers
from backtest.levels.table import Levels
from backtest.levels.zigzag import zigzag
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["KINDS", "named_levels", "read_levels"]

Found = Detector | Levels


def given_prices(*prices: float, known_from: int | str | None = None) -> Levels:
    return fixed(prices, known_from)


KINDS: dict[str, Callable[..., Found]] = {
    "fixed": given_prices,
    "fractal": fractal,
    "zigzag": zigzag,
    "donchian": Donchian,
    "prior": prior,
    "pivot": pivot,
    "avwap": avwap,
    "profile": profile,
    "cluster": cluster,
    "round": round_numbers,
}
"""Name in the text -> what makes the detector."""

EXAMPLE = "'round | fractal(k=3)'"
LONGEST = 1000  # characters; deeper text than that is no list of levels


@memoised
def read_levels(text: str) -> Found:
    """Return the levels that a text names: kinds with settings, combined with `|`, merged as `.within(...)` says.

    A kind alone has its defaults. Settings are numbers, words in quotes, lists of them, or a kind (`avwap(fractal(k=3))`).
    The text is read, never run. Text that is none, unknown kinds and settings are a ConfigError.

    >>> read_levels("round")
    RoundNumbers(finest=0.02, coarsest=0.1, reach=0.25, step=None)
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"Levels are named in text like {EXAMPLE}, got {text!r}.")
    try:
        if len(text) > LONGEST:
            raise ValueError
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(f"Levels are named in text like {EXAMPLE}, can't read {text[:80]!r}.") from None
    return found(tree)


@memoised
def named_levels(bars: Bars, prices: Sequence[float], kinds: str | None = None) -> Levels:
    """Return given prices, and the levels of further kinds (text as for `read_levels`) in the bars, merged into one table.

    Errors (ConfigError): those of `fixed` and of `read_levels`.
    """
    given = fixed(prices)
    return given if kinds is None else (given | read_levels(kinds)).find(bars)


def found(node: ast.expr) -> Found:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return found(node.left) | found(node.right)
    if isinstance(node, ast.Name):
        return made(node.id, [], {}, node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return made(node.func.id, *settings(node), node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "within":
        return merged(found(node.func.value), *settings(node), node)
    raise ConfigError(f"Levels are named in text like {EXAMPLE}; {ast.unparse(node)!r} names none.")


def settings(node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ConfigError(f"{ast.unparse(node)!r} has a setting without a name.")
    return [value(arg) for arg in node.args], {str(k.arg): value(k.value) for k in node.keywords}


def value(node: ast.expr) -> Any:
    if isinstance(node, (ast.Name, ast.Call)) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)):
        return found(node)
    try:
        given = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        said = ast.unparse(node)
        raise ConfigError(f"A setting of levels is a number, a word in quotes or a kind, got {said!r}.") from None
    return tuple(given) if isinstance(given, list) else given  # detectors are frozen


def made(kind: str, given: list[Any], named: dict[str, Any], node: ast.expr) -> Found:
    if kind not in KINDS:
        raise ConfigError(f"No kind of level named {kind!r}.{did_you_mean(kind, KINDS)}")
    return called(KINDS[kind], kind, given, named, node)


def merged(levels: Found, given: list[Any], named: dict[str, Any], node: ast.expr) -> Found:
    if not isinstance(levels, Composed):
        raise ConfigError(
            f"`.within` belongs to several kinds, like '(round | fractal).within(0.01)', got {ast.unparse(node)!r}."
        )
    return called(levels.within, "within", given, named, node)


def called(make: Callable[..., Found], name: str, given: list[Any], named: dict[str, Any], node: ast.expr) -> Found:
    """Call with settings whose names and count fit; what their values break is the maker's own sentence."""
    known = [p.name for p in inspect.signature(make).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    for setting in named:
        if setting not in known:
            hint = did_you_mean(setting, known)
            raise ConfigError(f"`{name}` has no setting named {setting!r}.{hint}")
    try:
        inspect.signature(make).bind(*given, **named)
    except TypeError as error:
        raise ConfigError(f"{ast.unparse(node)!r} does not fit `{name}`: {error}.") from None
    return make(*given, **named)
