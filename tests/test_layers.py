"""Who may import whom: the layers of the package as a table, checked on the source, imports inside functions included."""

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import backtest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "backtest"

# part -> the parts that it may import. `backtest` is the package's own face, what `from backtest import run` finds.
LAYERS = {
    "errors": "",
    "places": "errors",
    "model": "errors",
    "venues": "model errors places",
    "levels": "model errors",
    "signals": "model errors",
    "market": "model errors places",
    "engines": "model venues errors",
    "plugins": "model errors places",
    "analysis": "model levels signals errors",
    "catalogue": "model errors",
    "runner": "market plugins engines catalogue model venues errors",
    "sweep": "runner market plugins engines analysis catalogue model levels signals venues errors",
    "checks": "engines runner levels signals model plugins errors market venues",
    "testing": "checks model",
    "report": "analysis catalogue model errors",
    "backtest": "market model runner venues",
    "cli": "errors places model venues levels market engines plugins analysis catalogue runner sweep checks report backtest",
}
ALLOWED = {part: set(others.split()) for part, others in LAYERS.items()}
OPEN_TO_STRATEGIES = {"backtest", "levels", "signals"}, {"numpy", "pandas", "ta", "backtrader"}
NETWORK = {
    "aiohttp", "asyncio", "ccxt", "curl_cffi", "ftplib", "http", "httpx", "imaplib", "requests", "smtplib", "socket",
    "ssl", "urllib", "urllib3", "websocket", "websockets", "xmlrpc", "yfinance",
}  # fmt: skip
HEAVY = {"numpy", "pandas", "numba", "pyarrow", "backtrader"}
ENGINE = PACKAGE / "engines" / "bt"
STATED = PACKAGE / "engines" / "stated.py"  # what market and venue assume, said alike by both engines; no rule


def imported(source: str, package: str = "backtest") -> set[str]:
    """Return every module that a source imports, at any depth; `package` is where its relative imports start.

    Of `from x import y`, where y is a part of the package or a module below it, that is x.y, otherwise x.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{a.name}" if is_module(f"{base}.{a.name}") else base for a in node.names}
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            found |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def is_module(name: str) -> bool:
    if not name.startswith("backtest."):
        return False
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or place.is_dir()


def part_of(module: str) -> str:
    """Return the part of the package that a module belongs to: `backtest.market.load` is of `market`."""
    return module.split(".")[1] if "." in module else "backtest"


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if not {"data", "strategies"} & set(p.relative_to(PACKAGE).parts))


def dotted(path: Path) -> str:
    """Return the name of the package in which a file's relative imports start."""
    return ".".join(path.relative_to(ROOT).parent.parts)


def name_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return "backtest" if inside == Path("__init__.py") else inside.parts[0].removesuffix(".py")


def inside(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def broken_layers(part: str, names: set[str]) -> set[str]:
    others = {part_of(n) for n in names if n.split(".")[0] == "backtest"} - {part}
    return others - ALLOWED[part]


def outside(names: set[str]) -> set[str]:
    """Return the third-party packages among the imported names."""
    return {n.split(".")[0] for n in names} - set(sys.stdlib_module_names) - {"backtest", "__future__"}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (lines for name, lines in project["optional-dependencies"].items() if name != "dev")
    return {Requirement(line).name for lines in (project["dependencies"], *extras) for line in lines}


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_part_is_in_the_table():
    assert {name_of(path) for path in modules()} == set(ALLOWED), "a part that comes or goes changes the table"


def test_the_table_has_no_circle():
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        ready = {part for part, others in ALLOWED.items() if others <= done} - done
        assert ready, f"these parts import each other: {sorted(set(ALLOWED) - done)}"
        done |= ready


@pytest.mark.parametrize("path", modules(), ids=inside)
def test_a_module_imports_what_its_layer_may(path):
    names = imported(path.read_text(encoding="utf-8"), dotted(path))
    assert broken_layers(name_of(path), names) == set()


@pytest.mark.parametrize("path", sorted((ROOT / "strategies").glob("*.py")), ids=inside)
def test_a_strategy_imports_little(path):
    names = imported(path.read_text(encoding="utf-8"))
    parts, packages = OPEN_TO_STRATEGIES
    assert {part_of(n) for n in names if n.split(".")[0] == "backtest"} <= parts
    assert outside(names) <= packages & declared()


def test_third_party_packages_are_those_declared():
    sources = [*modules(), *(ROOT / "strategies").glob("*.py")]
    names = set().union(*(imported(path.read_text(encoding="utf-8"), "backtest") for path in sources))
    assert outside(names) == declared(), "what is imported is declared, and what is declared is imported"


def test_only_the_sources_of_markets_touch_the_network():
    guilty = {
        inside(path)
        for path in [*modules(), *(ROOT / "strategies").glob("*.py")]
        if not path.is_relative_to(PACKAGE / "market" / "sources")
        and {n.split(".")[0] for n in imported(path.read_text(encoding="utf-8"), "backtest")} & NETWORK
    }
    assert guilty == set()


def test_only_its_own_engine_imports_backtrader():
    importers = {path for path in modules() if "backtrader" in outside(imported(path.read_text(encoding="utf-8")))}
    assert importers
    assert [inside(path) for path in importers if not path.is_relative_to(ENGINE)] == []


@pytest.mark.parametrize("path", [*sorted(ENGINE.rglob("*.py")), STATED], ids=inside)
def test_the_engine_of_backtrader_shares_no_rule_with_the_fast_one(path):
    assert strangers(imported(path.read_text(encoding="utf-8"), dotted(path))) == set()


def strangers(names: set[str]) -> set[str]:
    """Return what the engine of backtrader may not import: all of ours but model, errors, itself and what a result states."""
    ours = {n for n in names if n.split(".")[0] == "backtest" and part_of(n) not in ("model", "errors")}
    return {n for n in ours if n != "backtest.engines.stated" and not n.startswith("backtest.engines.bt")}


# --- the checks themselves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import backtest.cli", {"cli"}),
        ("import backtest.cli as c, os", {"cli"}),
        ("from backtest import cli", {"cli"}),
        ("from backtest import run", {"backtest"}),
        ("from backtest.market.load import load_market", {"market"}),
        ("def f():\n    if True:\n        from backtest.report import print_report", {"report"}),
        ("try:\n    import backtest.runner\nexcept ImportError: pass", {"runner"}),
        ("from ..market import load", {"market"}),
        ("from .. import cli", {"cli"}),
        ("from .table import Levels", set()),
        ("from backtest.model import Plan\nimport numpy", set()),
        ("importlib.import_module('backtest.engines.fast')", {"engines"}),
    ],
)
def test_an_import_out_of_its_layer_is_found(source, found):
    assert broken_layers("levels", imported(source, "backtest.levels")) == found


def test_a_third_party_import_is_found():
    assert outside(imported("import os, numpy.linalg\ndef f():\n    from scipy import stats")) == {"numpy", "scipy"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from backtest.engines.fills import settle", {"backtest.engines.fills"}),
        ("from backtest.engines import get_engine", {"backtest.engines"}),
        ("from .. import fast", {"backtest.engines.fast"}),
        ("from backtest.venues.margin import maintenance", {"backtest.venues.margin"}),
        ("from backtest.engines.bt.margin import P\nfrom .tape import Tape\nfrom backtest.model import Plan", set()),
    ],
)
def test_an_import_of_the_other_engine_is_found(source, found):
    assert strangers(imported(source, "backtest.engines.bt")) == found


# --- what follows from the layers ------------------------------------------------------------------------------------


def loaded_by(code: str) -> set[str]:
    """Return the names of the packages that a fresh interpreter has loaded after some code."""
    report = "import sys\nprint('loaded:', *sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["show", "-h"], ["check", "-h"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"from backtest.cli import app\ntry:\n    app({arguments!r})\nexcept SystemExit as e:\n    assert not e.code"
    assert loaded_by(code) & HEAVY == set()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import backtest") & HEAVY == set()


@pytest.mark.parametrize("name", backtest.__all__)
def test_the_package_has_what_it_names(name):
    assert getattr(backtest, name).__name__ == name
    assert name in dir(backtest)


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        _ = backtest.runn
    everything: dict[str, object] = {}
    exec("from backtest import *", everything)
    assert set(backtest.__all__) <= set(everything)


@pytest.mark.parametrize("path", modules(), ids=inside)
def test_a_module_has_what_it_names(path):
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    names = getattr(module, "__all__", ())
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(names) == len(set(names))
