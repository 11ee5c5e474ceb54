"""Every kind of detector by name, with its defaults: for checks that go over all of them, and for lists."""

from backtest.levels.detector import Detector
from backtest.levels.spec import KINDS
from backtest.levels.table import Levels

__all__ = ["DETECTORS"]

DETECTORS: dict[str, Detector | Levels] = {name: make() for name, make in KINDS.items() if name != "fixed"}
"""Name -> the detector at its defaults; `fixed` has none, its prices are given."""
