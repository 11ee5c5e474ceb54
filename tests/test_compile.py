"""Compiled loops: one way to compile them, their plain source, and no compiler before it is needed."""

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from backtest.model.compile import compiled

PACKAGE = Path(__file__).resolve().parents[1] / "backtest"


def total(values):
    found = 0.0
    for value in values:
        found += value
    return found


def share(part, whole):
    return part / whole


def lenient_share(part, whole):
    return part / whole


def test_what_is_compiled_keeps_its_plain_source():
    walk = compiled(total)
    assert walk(np.array([1.0, 2.0, 4.0])) == walk.py_func([1.0, 2.0, 4.0]) == 7.0


def test_options_are_those_of_the_compiler():
    with pytest.raises(ZeroDivisionError):
        compiled(share)(1.0, 0.0)
    assert compiled(lenient_share, error_model="numpy")(1.0, 0.0) == np.inf


def test_where_no_folder_can_be_written_it_is_compiled_all_the_same(monkeypatch):
    njit = numba.njit

    def refusing(*given, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*given, **options)

    monkeypatch.setattr(numba, "njit", refusing)
    assert compiled(total)(np.array([1.0, 2.0])) == 3.0


def test_no_part_that_may_import_it_has_a_definition_of_its_own():
    sources = [path for part in ("levels", "signals", "analysis") for path in (PACKAGE / part).rglob("*.py")]
    assert len(sources) > 60
    assert [path.name for path in sources if "numba.njit" in path.read_text("utf-8")] == []


@pytest.mark.parametrize(
    "module", ["model", "levels", "signals", "analysis.event_study.study", "analysis.event_study.settings"]
)
def test_the_compiler_is_imported_when_it_is_needed(module):
    code = f"import sys, backtest.{module}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
