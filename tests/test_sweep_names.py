"""What `backtest.sweep` offers: everything by its name, and what a sweep does not need only when it is asked for."""

import subprocess
import sys

import pytest

import backtest.sweep as package

LATE = """
import sys
import backtest.sweep
late = ("forward", "heat_map", "keep", "objectives", "optimisation", "overfit", "study", "verdict")
assert not [name for name in late if f"backtest.sweep.{name}" in sys.modules]
assert not {"optuna", "joblib", "distributed", "pandas"} & set(sys.modules)
for name in late:
    __import__(f"backtest.sweep.{name}")
from backtest.sweep import heat, judge_sweep, optimise, walk_forward
assert all(callable(one) for one in (heat, judge_sweep, optimise, walk_forward))
"""


def test_every_name_is_there():
    assert package.__all__ == sorted(package.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


def test_no_module_is_called_like_a_late_name():
    """Python would put the module in the place of the name, once it is imported."""
    assert not set(package.HOMES) & set(package.HOMES.values())
    assert set(package.HOMES) <= set(package.__all__)


def test_an_unknown_name_is_said():
    with pytest.raises(AttributeError, match=r"module 'backtest.sweep' has no attribute 'walk_backward'"):
        _ = package.walk_backward


def test_walking_forward_and_optimising_are_loaded_when_they_are_asked_for():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
