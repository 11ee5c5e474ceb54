"""Published numbers: every case of the files in `vectors/`, through the package's public functions.

A case is `{id, formula, inputs, expected, tolerance}` for perpetual futures, `{id, topic, fn, inputs, ...}` for levels,
breaks, leverage, contagion and results; `--vectors PATH` runs another file, of either form. Each formula and each fn
has one adapter in `perpetual_vectors.py`, `levels_vectors.py`, `signals_vectors.py` or `results_vectors.py`, which
translates the names of the inputs and returns at least the expected keys. The tolerance is absolute. An unknown formula
or fn, an unknown topic and a key that is not returned are failures; topics that wait for their part
(`vector_files.LATER`) are left out, and the end of the run names them.
"""

from typing import Any

import levels_vectors
import perpetual_vectors
import pytest
import results_vectors
import signals_vectors
from vector_files import TOPICS, Case, area, cases_of

METHODS = levels_vectors.ADAPTERS | signals_vectors.ADAPTERS | results_vectors.ADAPTERS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = cases_of(metafunc.config.getoption("--vectors"))
    metafunc.parametrize("case", [pytest.param(case, id=str(case["id"])) for case in cases])


def test_published_number(case: Case) -> None:
    expected, got = case["expected"], computed(case)
    if isinstance(expected, dict):
        missing = set(expected) - set(got)
        assert not missing, f"the adapter returns {sorted(got)}, not {sorted(missing)}"
        got = {key: got[key] for key in expected}
    compare(got, expected, case["tolerance"])


def computed(case: Case) -> Any:
    """Return what the package says; an unknown formula, topic or fn fails the case."""
    if "formula" in case:
        adapter = perpetual_vectors.ADAPTERS.get(case["formula"])
        assert adapter, f"no adapter for the formula {case['formula']}"
    else:
        assert area(case) in TOPICS, f"no topic {case.get('topic')!r}; there are {', '.join(TOPICS)}"
        adapter = METHODS.get(case.get("fn"))
        assert adapter, f"no adapter for the fn {case.get('fn')!r} of the topic {case['topic']}"
    return adapter(case["inputs"])


def compare(got: Any, expected: Any, tolerance: float, where: str = "") -> None:
    """Compare number by number; `null` is no value at all."""
    if isinstance(expected, dict):
        assert set(got) == set(expected), where
        for key, value in expected.items():
            compare(got[key], value, tolerance, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for i, value in enumerate(expected):
            compare(got[i], value, tolerance, f"{where}[{i}]")
    elif expected is None:
        assert got is None, where
    else:
        assert got == pytest.approx(expected, rel=0, abs=tolerance), where
