"""The frame: what lies at the top, the licence, the declared versions, and the command that checks it all."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
TOP = {"LICENSE", "README.md", "backtest", "data", "pyproject.toml", "results", "strategies", "tests"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()


def pinned() -> dict[str, Version]:
    pairs = (line.split("==") for line in CONSTRAINTS)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in [*project["dependencies"], *extras]]


def test_the_top_level_reads_as_a_sentence():
    made_by_tools = {"build", "dist"}  # ignored by git
    found = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")}
    assert found - made_by_tools == TOP


@pytest.mark.parametrize("folder", ["data", "data/markets", "data/scenarios", "data/venues", "results", "strategies"])
def test_every_folder_of_files_says_its_format(folder):
    assert len((ROOT / folder / "README.md").read_text(encoding="utf-8")) > 500


def test_the_data_readme_names_every_folder():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[?`(\w+)/`", text, re.MULTILINE)) == {"markets", "scenarios", "venues", "store"}


def test_every_shipped_file_is_in_the_table_of_its_readme():
    for folder, pattern in (("strategies", "*.py"), ("data/scenarios", "*.toml"), ("data/venues", "*.toml")):
        text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        for path in (ROOT / folder).glob(pattern):
            assert f"| `{path.name}`" in text or f"| `{path.stem}`" in text, path


# --- pyproject -------------------------------------------------------------------------------------------------------


def test_the_licence_is_the_gpl_3():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert " ".join(text.split()).startswith("GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007")
    assert len(text.splitlines()) == 674
    assert PROJECT["project"]["license"] == "GPL-3.0-or-later"
    assert PROJECT["project"]["license-files"] == ["LICENSE", "backtest/report/html/vendor/LICENSE"]
    assert all((ROOT / path).is_file() for path in PROJECT["project"]["license-files"])


def test_the_command_and_the_python_are_declared():
    assert PROJECT["project"]["scripts"] == {"backtest": "backtest.cli:main"}
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_the_wheel_carries_what_a_run_reads():
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {
        "strategies": "backtest/strategies",
        "data/crises.toml": "backtest/data/crises.toml",
        "data/markets": "backtest/data/markets",
        "data/scenarios": "backtest/data/scenarios",
        "data/venues": "backtest/data/venues",
    }


# --- versions --------------------------------------------------------------------------------------------------------


def test_constraints_are_names_and_versions_only():
    wrong = [line for line in CONSTRAINTS if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==\d[0-9A-Za-z.]*", line)]
    assert wrong == []
    assert list(pinned()) == sorted(pinned())
    assert len(pinned()) == len(CONSTRAINTS)
    assert "levelbreak" not in pinned()


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_tests_ran_on_the_lower_bound(requirement):
    (bound,) = requirement.specifier
    assert (bound.operator, Version(bound.version)) == (">=", pinned()[canonicalize_name(requirement.name)])


def test_constraints_name_the_whole_set():
    wanted, seen = [Requirement("levelbreak[dev]")], set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        for line in distribution(name).requires or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(needed)
    assert {name for name, *_ in seen} - {"levelbreak"} == set(pinned())


# --- .ci/run ---------------------------------------------------------------------------------------------------------


def test_the_check_is_a_script_that_stops_at_the_first_failure():
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert os.name == "nt" or os.access(script, os.X_OK)


@pytest.mark.skipif(os.name == "nt", reason="a script of bash")
def test_the_check_refuses_an_option_that_it_lacks():
    done = subprocess.run([ROOT / ".ci" / "run", "--fulll"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: .ci/run [--full]\n")


@pytest.mark.skipif(os.name == "nt", reason="a script of bash")
def test_the_check_runs_the_test_command_of_the_readme():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (taken,) = re.findall(r"^test_command\(\) \{ (.*); \}$", text, re.MULTILINE)
    done = subprocess.run(["bash", "-c", taken], capture_output=True, text=True, check=True, cwd=ROOT)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert done.stdout == re.findall(r"^```bash\n(.*?)```$", readme, re.MULTILINE | re.DOTALL)[1]
    assert done.stdout.endswith("&& .venv/bin/pytest\n")
