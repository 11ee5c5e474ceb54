"""The backtrader engine against every case of native orders that was worked by hand."""

import importlib
from typing import Any

import native_law
import pytest

for part in ("orders", "inside", "brackets", "scaling", "margin"):
    importlib.import_module(f"native_law_{part}")

NAMES = [c[0] for c in native_law.CASES]


@pytest.mark.parametrize(("market", "script", "venue", "expected"), [c[1:] for c in native_law.CASES], ids=NAMES)
def test_native_law(market: Any, script: Any, venue: Any, expected: dict[str, Any]) -> None:
    native_law.check_native(native_law.play(market, script, venue), expected)


def test_the_cases_are_as_many_as_their_names() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60
