"""Options of the test run."""

from pathlib import Path

import pytest
from no_network import stay_on_loopback  # noqa: F401 - a fixture for every test


def pytest_addoption(parser: pytest.Parser) -> None:
    default = Path(__file__).parent / "vectors" / "perpetual.json"
    parser.addoption("--vectors", type=Path, default=default, help="file of published numbers for test_vectors.py")
    parser.addoption("--full", action="store_true", help="run the large forms of the tests that have one")
    parser.addoption("--examples", type=int, default=2_400, help="cases drawn by test_engines.py")
