"""Options of the test run, and which published numbers and which tests in a browser it leaves out."""

from pathlib import Path

import pytest
from browser_files import browser_left_out, needs_browser
from no_network import stay_on_loopback  # noqa: F401 - a fixture for every test
from vector_files import left_out, waits


def pytest_addoption(parser: pytest.Parser) -> None:
    default = Path(__file__).parent / "vectors"
    parser.addoption(
        "--vectors",
        type=Path,
        default=default,
        help="file, or folder of files, of published numbers for test_vectors.py",
    )
    parser.addoption(
        "--browser", action="store_true", help="run the tests that open reports in Chromium, and fail without it"
    )
    parser.addoption("--full", action="store_true", help="run the large forms of the tests that have one")
    parser.addoption("--examples", type=int, default=2_400, help="cases drawn by test_engines.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what waits for a part of the package, and the browser unless it is asked for; the summary names both."""
    numbers = [i for i in items if i.path.name == "test_vectors.py" and isinstance(i, pytest.Function)]
    later = [i for i in numbers if hasattr(i, "callspec") and waits(i.callspec.params["case"])]
    if not config.getoption("--browser"):
        later += [i for i in items if needs_browser(i.path)]
    if later:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in set(later)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in left_out(config.getoption("--vectors")):
        terminalreporter.write_line(line)
    for line in [] if config.getoption("--browser") else browser_left_out():
        terminalreporter.write_line(line)
