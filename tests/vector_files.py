"""Files of published numbers: the cases that they hold, and those that wait for a part of the package.

A file is a list of cases, each with `id`, `inputs`, `expected`, `tolerance`, and the quantity: a `formula` of perpetual
futures, or an `fn` with its `topic` ("levels.fractal"). A folder stands for all its JSON files.
"""

import json
from pathlib import Path
from typing import Any

import pytest

Case = dict[str, Any]

TOPICS = ("levels", "breaks", "leverage", "contagion", "results")
"""First words of the topics whose every case has to go through an adapter."""
LATER = {
    "cascade": "the package has no model of a cascade yet",
}
"""First words of the topics that wait for their part, and why; their cases are left out by name."""


def cases_of(path: Path) -> list[Case]:
    """Return the cases of a file, or of a folder's files by name; what is neither ends the run with a sentence."""
    if path.is_dir():
        return [case for file in sorted(path.glob("*.json")) for case in cases_of(file)]
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--vectors: {path} can't be read as a file of published numbers: {error}") from None
    if not isinstance(found, list) or not found or not all(isinstance(case, dict) and "id" in case for case in found):
        raise pytest.UsageError(f"--vectors: {path} must hold a list of cases, each with an `id`.")
    return found


def area(case: Case) -> str:
    """Return the first word of a case's topic, empty where it has a formula instead."""
    return str(case.get("topic", "")).partition(".")[0]


def waits(case: Case) -> bool:
    return area(case) in LATER


def left_out(path: Path) -> list[str]:
    """Return a sentence for each part that is waited for, then a line for each topic with the names of its cases."""
    cases, lines = cases_of(path), []
    for name, reason in LATER.items():
        waiting = [case for case in cases if area(case) == name]
        if waiting:
            lines.append(f"left out of {path.name}: {len(waiting)} of {len(cases)} numbers, topic {name}.*: {reason}")
        topics = dict.fromkeys(case["topic"] for case in waiting)
        lines += [f"  {topic}: {', '.join(c['id'] for c in waiting if c['topic'] == topic)}" for topic in topics]
    return lines
