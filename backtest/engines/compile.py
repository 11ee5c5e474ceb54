"""Compile the kernels, and keep what was compiled in a cache that knows every file of the engine."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from platformdirs import user_cache_path

__all__ = ["compiled", "compiled_entry", "inlined", "summed"]

F = TypeVar("F", bound=Callable[..., Any])
# The kernels allocate nothing, so they need no reference counts: the caller holds every array. Counting is atomic, and a desk
# and a panel have some twenty arrays that go through every call.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}


def source_digest() -> str:
    """Return a digest of every source file of the engine and of the compiler's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compiled(function: F) -> F:
    """Compile a kernel that other kernels call; the plain source stays at `.py_func`."""
    return numba.njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def inlined(function: F) -> F:
    """Compile a kernel into those that call it: a call copies every array's description, which costs more than a short kernel."""
    return numba.njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)(function)


def summed(function: F) -> F:
    """Inline a kernel whose sums may be made in any order, and whose numbers are no NaN: several terms are added at once."""
    return numba.njit(
        **OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, fastmath={"reassoc", "nnan", "nsz"}
    )(function)


def compiled_entry(function: F) -> F:
    """Compile a kernel that Python calls, cached on disk.

    Numba looks only at the file of the function itself to see whether a cached kernel is stale, not at those it calls, so the
    cache lies in a folder named by the digest of all of them. NUMBA_CACHE_DIR, where it is set, is used as it is.
    """
    before = numba.config.CACHE_DIR
    if not before:
        numba.config.CACHE_DIR = str(user_cache_path("levelbreak", appauthor=False) / source_digest())
    try:
        return numba.njit(**OPTIONS, cache=not numba.config.DISABLE_JIT)(function)
    except RuntimeError:  # no folder for a cache can be written, so every process compiles anew
        return numba.njit(**OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = before
