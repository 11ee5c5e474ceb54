"""Files of published numbers: what a run takes from one, what it leaves out by name, and what it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from levels_vectors import ADAPTERS
from vector_files import TOPICS, area, cases_of, left_out, waits

HERE = Path(__file__).parent
ROUND = {"id": "round", "topic": "levels.round", "fn": "round_grid", "inputs": {"price": 67_490, "step": 5_000}}
CASCADES = [{"id": name, "topic": f"cascade.{topic}", "fn": "x"} for name, topic in ("ay", "by", "cz")]


def write(folder, *cases):
    path = folder / "some.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    return path


def run(path):
    """Run the published numbers of a file, and return the output and the exit code."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/test_vectors.py",
        "--vectors",
        str(path),
    ]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False, env=alone)
    return done.stdout + done.stderr, done.returncode


def test_the_shipped_numbers_cover_every_part_and_leave_nothing_out():
    cases = cases_of(HERE / "vectors")
    assert {area(case) for case in cases if "formula" not in case} == set(TOPICS)
    assert sum("formula" in case for case in cases) == 128
    assert sum("formula" not in case for case in cases) == 65
    assert left_out(HERE / "vectors") == []
    assert all(case["source"] for case in cases)


def test_what_waits_is_left_out_by_name(tmp_path):
    path = write(tmp_path, ROUND, *CASCADES, {"id": "d", "topic": "results.psr", "fn": "psr"})
    assert [waits(case) for case in cases_of(path)] == [False, True, True, True, False]
    assert left_out(path) == [
        "left out of some.json: 3 of 5 numbers, topic cascade.*: the package has no model of a cascade yet",
        "  cascade.y: a, b",
        "  cascade.z: c",
    ]


def test_a_run_fails_what_no_adapter_knows_and_names_what_it_leaves_out(tmp_path):
    unknown = {"inputs": {}, "expected": 0, "tolerance": 0}
    told, code = run(
        write(
            tmp_path,
            ROUND | {"expected": [65_000, 70_000], "tolerance": 0},
            ROUND | {"id": "wrong", "expected": [65_000, 75_000], "tolerance": 0},
            unknown | {"id": "fn", "topic": "levels.round", "fn": "round_gird"},
            unknown | {"id": "topic", "topic": "hedges.round", "fn": "round_grid"},
            unknown | {"id": "formula", "formula": "wb_com"},
            *CASCADES,
        )
    )
    assert code == 1
    assert "4 failed, 1 passed, 3 deselected" in told
    assert "3 of 8 numbers, topic cascade.*: the package has no model of a cascade yet\n  cascade.y: a, b\n" in told
    assert "no adapter for the fn 'round_gird' of the topic levels.round" in told
    assert "no topic 'hedges.round'; there are levels, breaks, leverage, contagion, results" in told
    assert "no adapter for the formula wb_com" in told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "can't be read as a file of published numbers"),
        ("[{", "can't be read as a file of published numbers"),
        ("[]", "must hold a list of cases, each with an `id`."),
        ('{"id": "x"}', "must hold a list of cases, each with an `id`."),
        ('[{"fn": "x"}]', "must hold a list of cases, each with an `id`."),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, sentence):
    path = tmp_path / "some.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(pytest.UsageError) as error:
        cases_of(path)
    assert str(path) in str(error.value)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("prices", "labels"),
    [
        ([1.0, 0.9, 1.2], [1, -1, 1]),
        ([1.0, 1.01, 0.9], [-1, 1, -1]),
        ([1.0, 1.01, 1.02], [-1, 0, 1]),  # nothing is confirmed: the ends alone
        ([1.05, 1.01, 1.0], [1, 0, -1]),
        ([1.0, 1.05, 1.02], [-1, 0, -1]),  # the high before the end is not confirmed, and no label
        ([1.0, 1.2, 1.05, 1.15], [-1, 1, 0, 1]),
        ([10.0, 5.0, 0.0], [1, 0, -1]),
    ],
)
def test_the_ends_of_an_offline_zigzag(prices, labels):
    assert ADAPTERS["zigzag"]({"x": prices, "up": 0.1, "down": -0.1}) == labels
