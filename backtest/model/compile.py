"""How loops over bars are compiled: kept on disk where a folder can be written, plain Python without the compiler.

It imports numba, so what may be imported in a moment imports this late. Numba looks only at the file of a function to see whether
what it keeps is stale: whatever a compiled function calls must stand in its own file.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, **options: Any) -> F:
    """Return the function compiled, with options of `numba.njit`; `function.py_func` is its plain source."""
    try:
        return numba.njit(cache=not numba.config.DISABLE_JIT, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder for a cache can be written, so every process compiles anew
        return numba.njit(**options)(function)  # type: ignore[no-any-return]
