"""The tests that need a browser: whether to run them, and their names where they are left out."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parent / "browser"


def needs_browser(path: Path) -> bool:
    return path.is_relative_to(FOLDER)


def browser_left_out() -> list[str]:
    """Return what the test run leaves out when it is not asked for a browser: a sentence, then a line for each file."""
    names = {file.name: names_in(file) for file in sorted(FOLDER.glob("test_*.py"))}
    count = sum(map(len, names.values()))
    told = f"left out: the {count} tests of the HTML reports in Chromium, which `pytest tests/browser --browser` runs"
    return [told, *(f"  {file}: {', '.join(tests)}" for file, tests in names.items())]


def names_in(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
