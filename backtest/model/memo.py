"""What the points of a sweep share: a function of bars or a market that was asked before gives what it gave.

A strategy needs to do nothing for it. Outside a sweep a memoised function is the function itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

__all__ = ["MEMO_BYTES", "Memo", "memoised"]

MEMO_BYTES = 48 << 20
"""What a memo holds at most, bytes; the results that were asked for the longest ago go first."""

SMALL = 4096  # bytes up to which an array is told by its values, and not by being the same array
PLAIN = (str, bytes, bool, int, type(None))

P = ParamSpec("P")
R = TypeVar("R")

ACTIVE: ContextVar["Memo | None"] = ContextVar("memo", default=None)


class UnknownError(Exception):
    """A value that can't be told from another one, or that could be changed later."""


class Entry(NamedTuple):
    """A result, the memory that it takes, and the objects in it that later arguments may be."""

    value: Any
    size: int
    objects: tuple[Any, ...]
    needs: frozenset[int]


class Memo:
    """Results of memoised functions on one market, up to a number of bytes.

    Arguments are told by value where they are plain (numbers, text, tuples, frozen dataclasses and short arrays of those), and
    by identity where they are the market itself or something that a memoised function returned. A call with anything else, such
    as an array of the strategy's own, is not remembered. What is remembered can't be written to: arrays come back read-only.
    """

    def __init__(self, market: Any, most: int = MEMO_BYTES) -> None:
        self.most = most
        self.size = 0
        self.entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self.known: dict[int, Any] = {}
        with suppress(UnknownError):  # of what is no market of ours nothing is shared
            self.known.update((id(one), one) for one in parts(market, []))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Use this memo for the memoised functions called inside."""
        token = ACTIVE.set(self)
        try:
            yield
        finally:
            ACTIVE.reset(token)

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return what the function returns, or returned for the same arguments."""
        needs: list[int] = []
        try:
            key = (
                function,
                self.token(args, needs),
                tuple((k, self.token(v, needs)) for k, v in sorted(kwargs.items())),
            )
        except UnknownError:
            return function(*args, **kwargs)
        entry = self.entries.get(key)
        if entry is None:
            value = function(*args, **kwargs)
            self.keep(key, value, needs, args)
        else:
            self.entries.move_to_end(key)
            value = entry.value
        return dict(value) if type(value) is dict else value

    def token(self, value: Any, needs: list[int]) -> Hashable:
        """Return what tells a value from others; `needs` collects those told by identity. UnknownError where nothing does."""
        kind = type(value)
        if kind in PLAIN:
            return kind, value
        if kind is float:
            return kind, value.hex()
        if kind is tuple or kind is list:
            return kind, tuple([self.token(one, needs) for one in value])
        if id(value) in self.known:
            needs.append(id(value))
            return Memo, id(value)
        if kind is np.ndarray and value.nbytes <= SMALL and not value.dtype.hasobject:
            return value.dtype.str, value.shape, value.tobytes()
        if isinstance(value, np.generic) and not value.dtype.hasobject:
            return kind, value.tobytes()
        if is_dataclass(value) and not isinstance(value, type) and kind.__dataclass_params__.frozen:
            return kind, tuple([self.token(getattr(value, f.name), needs) for f in fields(value)])
        raise UnknownError

    def keep(self, key: Hashable, value: Any, needs: list[int], args: tuple[Any, ...]) -> None:
        """Remember a result that can't change any more, unless it is too large."""
        try:
            objects = parts(value, [])
        except UnknownError:
            return
        arrays = [one for one in objects if isinstance(one, np.ndarray)]
        given = [a for a in args if isinstance(a, np.ndarray) and id(a) not in self.known]
        if any(np.may_share_memory(one, a) for one in arrays for a in given):
            return
        size = weight(value, arrays, self.known)
        if size > self.most:
            return
        for array in arrays:
            array.flags.writeable = False
        new = tuple(one for one in objects if id(one) not in self.known)
        self.entries[key] = Entry(value, size, new, frozenset(needs))
        self.known.update((id(one), one) for one in new)
        self.size += size
        while self.size > self.most:
            self.forget(next(iter(self.entries)))

    def forget(self, key: Hashable) -> None:
        """Drop an entry, and those that were asked with what it holds."""
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        self.size -= entry.size
        gone = {id(one) for one in entry.objects}
        for one in gone:
            del self.known[one]
        for other in [k for k, e in self.entries.items() if e.needs & gone]:
            self.forget(other)


def parts(value: Any, found: list[Any]) -> list[Any]:
    """Return the arrays and objects that a value holds, itself included; UnknownError where one of them could be changed."""
    kind = type(value)
    if kind in PLAIN or kind is float or isinstance(value, np.generic):
        return found
    if kind is np.ndarray and not value.dtype.hasobject:
        found.append(value)
    elif is_dataclass(value) and not isinstance(value, type) and kind.__dataclass_params__.frozen:
        found.append(value)
        for f in fields(value):
            parts(getattr(value, f.name), found)
    elif isinstance(value, tuple):
        for one in {id(one): one for one in value}.values():
            parts(one, found)
    elif isinstance(value, Mapping):
        for one in value.values():
            parts(one, found)
    elif isinstance(value, frozenset):
        for one in value:
            parts(one, found)
    else:
        raise UnknownError
    return found


def weight(value: Any, arrays: list[Any], known: Mapping[int, Any]) -> int:
    """Return the bytes that a result takes: its arrays, those that they are views of, and 8 for each item of a tuple."""
    owners = {id(array if array.base is None else array.base): array for array in arrays if id(array) not in known}
    held = sum(a.nbytes if a.base is None else getattr(a.base, "nbytes", a.nbytes) for a in owners.values())
    return int(held) + 500 + items(value)


def items(value: Any) -> int:
    if isinstance(value, tuple):
        return 8 * len(value) + (0 if len(value) > 100 else sum(items(one) for one in value))
    if is_dataclass(value) and not isinstance(value, type):
        return 100 + sum(items(getattr(value, f.name)) for f in fields(value))
    return 0


def memoised(function: Callable[P, R]) -> Callable[P, R]:
    """Let the points of a sweep share what a function of bars or a market returns; it must depend on its arguments alone."""

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        memo = ACTIVE.get()
        if memo is None:
            return function(*args, **kwargs)
        result: R = memo.call(function, args, kwargs)
        return result

    return remembered
