"""How the walks of levels are compiled: kept on disk where a folder can be written, plain Python without the compiler."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Return the function compiled; `function.py_func` is its plain source."""
    try:
        return numba.njit(cache=not numba.config.DISABLE_JIT)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder for a cache can be written, so every process compiles anew
        return numba.njit(function)  # type: ignore[no-any-return]
