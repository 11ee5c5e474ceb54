"""The README, done as it says: every block runs, in order, in one temporary folder; every option that it names exists."""

import contextlib
import csv
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from backtest import load_market
from backtest.cli import app
from backtest.market.sources import SOURCES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SET_UP = [
    "python3 -m venv .venv && .venv/bin/pip install -c .ci/constraints.txt . && .venv/bin/backtest run",
    'python3 -m venv .venv && .venv/bin/pip install -c .ci/constraints.txt -e ".[dev]" && .venv/bin/pytest',
]


@dataclass(frozen=True)
class Block:
    """A block of the README: its language, its text, and the file that the line before says to save it as."""

    language: str
    text: str
    file: str | None


def blocks(text: str) -> list[Block]:
    found = re.finditer(
        r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    return [Block(m["language"], m["text"], saved_as(m["before"])) for m in found]


def saved_as(line: str) -> str | None:
    told = re.search(r"Save this as `([^`]+)`:$", line)
    return told[1] if told else None


BLOCKS = blocks(TEXT)


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


# --- the files that the market file names ----------------------------------------------------------------------------


def stamps(step: timedelta) -> list[datetime]:
    start, end = datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC)
    return [start + k * step for k in range(int((end - start) / step))]


def bars(start: float, end: float) -> dict[str, list[object]]:
    """Return hourly bars along a wave from one price to another."""
    time = stamps(timedelta(hours=1))
    close = np.linspace(start, end, len(time)) * (1 + 0.03 * np.sin(np.arange(len(time)) / 20))
    before = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(before, close) * 1.001, np.minimum(before, close) * 0.999
    columns = {"open": before, "high": high, "low": low, "close": close, "volume": np.ones(len(time))}
    return {"time": list(time)} | {name: values.tolist() for name, values in columns.items()}


def daily(column: str, value: float) -> dict[str, list[object]]:
    time = stamps(timedelta(days=1))
    return {"time": list(time), column: [value] * len(time)}


def write_csv(path: Path, columns: dict[str, list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        for time, *values in zip(*columns.values(), strict=True):
            rows.writerow([time.strftime("%Y-%m-%dT%H:%M:%SZ"), *values])


def write_series(folder: Path) -> None:
    time = stamps(timedelta(hours=8))
    write_csv(folder / "btcusdt_1h.csv", bars(107_000, 65_000))
    write_csv(folder / "btcusdt_funding_8h.csv", {"time": list(time), "funding_rate": [0.0001] * len(time)})
    for name, columns in (
        ("solusdt_1h", bars(150, 80)),
        ("oi_1d", daily("oi_close", 26e9)),
        ("vix_1d", daily("close", 17.5)),
    ):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with the files that the README says to save, and the series of its market."""
    folder = tmp_path_factory.mktemp("workshop")
    write_series(folder)
    for block in BLOCKS:
        if block.file:
            (folder / block.file).parent.mkdir(exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
    return folder


@contextlib.contextmanager
def working_in(folder: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BACKTEST_RESULTS", raising=False)
        patch.delenv("BACKTEST_DATA", raising=False)
        patch.setenv("COLUMNS", "80")
        yield


def call(folder: Path, *arguments: str) -> str:
    with working_in(folder):
        done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


# --- the two commands ------------------------------------------------------------------------------------------------


def test_the_readme_opens_with_two_commands():
    assert [block.text.strip() for block in BLOCKS[:2]] == SET_UP
    assert [block.language for block in BLOCKS[:3]] == ["bash", "bash", "python"]


def test_no_block_is_of_another_kind():
    assert {block.language for block in BLOCKS} == {"bash", "python", "toml", "text", "csv"}
    assert TEXT.count("\n```") == 2 * len(BLOCKS), "a block without a blank line before it, or without a language"


@pytest.mark.skipif(os.name == "nt", reason="shell commands")
@pytest.mark.parametrize("block", of("bash"), ids=lambda block: block.text[:30])
def test_a_shell_block_parses(block):
    subprocess.run(["bash", "-n", "-c", block.text], check=True)


# --- every block -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [line for block in of("bash")[2:] for line in block.text.splitlines()])
def test_a_command_does_what_it_says(workshop, line):
    name, *arguments = shlex.split(line)
    assert name == "backtest"
    out = call(workshop, *arguments)
    assert all(a in out for a in arguments if a in ("my_break", "donchian_break", "buy_and_hold"))


@pytest.mark.parametrize("block", [b for b in of("python") if not b.file], ids=lambda b: b.text.splitlines()[0])
def test_a_python_block_runs(workshop, block):
    done = subprocess.run([sys.executable, "-c", block.text], capture_output=True, text=True, cwd=workshop, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 2


def test_the_strategy_trades_on_both_markets(workshop):
    for market in ("deleveraging-2026", "winter.toml"):
        out = call(workshop, "run", "my_break", "--market", market, "--json")
        assert int(re.search(r'"trades": (\d+)', out)[1]) > 0


def test_the_market_file_loads(workshop):
    (block,) = of("toml")
    tomllib.loads(block.text)
    with working_in(workshop):
        market = load_market(block.file)
    assert (market.symbols, len(market), market.passport.grade) == (("BTCUSDT", "SOLUSDT"), 257 * 24, "B")
    assert {"vix", "BTCUSDT.open_interest"} <= set(market.feeds)
    assert market.feed("vix")[-1] == 17.5
    assert market.feed("BTCUSDT.open_interest")[-1] == 26e9


def test_the_lines_of_the_series_load(workshop, tmp_path):
    (block,) = of("csv")
    (tmp_path / "lines.csv").write_text(block.text)
    text = 'interval = "1h"\nstart = "2025-07-01"\nend = "2025-07-01T01:00"\n[BTCUSDT]\nbars = "lines.csv"\nfunding = "none"\n'
    (tmp_path / "lines.toml").write_text(text)
    assert load_market(str(tmp_path / "lines.toml"))["BTCUSDT"].close.tolist() == [107_020.4]


GRID = ("--grid", "lookback=24:240:24", "--grid", "buffer=0,0.001,0.002,0.005,0.01")
SAMPLES = (("run", "support_break", "buy_and_hold"), ("sweep", "donchian_break", *GRID), ("levels",))


@pytest.mark.parametrize(("block", "command"), list(zip(of("text"), SAMPLES, strict=True)))
def test_the_sample_is_what_the_command_prints(workshop, tmp_path, block, command):
    """Every line of the sample stands in the output, in this order; only lines may be left out."""
    printed = iter(call(tmp_path, *command).splitlines())
    for line in block.text.splitlines():
        assert line.rstrip() in (p.rstrip() for p in printed), f"{line!r} is not printed (here); mend the sample"


def test_the_first_sample_is_of_the_command_that_is_named():
    assert f"`backtest {' '.join(SAMPLES[0])}`, cut by some lines:\n\n```text" in TEXT


def test_the_commands_about_runs_do_what_they_say(tmp_path):
    table = re.search(r"^## Runs that were made\n.*?(?=^## )", TEXT, re.MULTILINE | re.DOTALL)[0]
    commands = [shlex.split(told)[1:] for told in re.findall(r"^\| `(backtest .*?)` \|", table, re.MULTILINE)]
    assert [name for name, *_ in commands] == ["list", "show", "show", "compare", "rerun", "note", "rm"]
    call(tmp_path, *SAMPLES[0])
    said = [call(tmp_path, *command) for command in commands]
    assert "support_break" in said[0]
    assert "buy_and_hold" not in said[0]
    assert "identical" in said[4]
    assert (tmp_path / "last.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name.split("_deleveraging")[0] for p in (tmp_path / "results").iterdir() if p.is_dir()] == [
        "support_break"
    ]


# --- what it names ---------------------------------------------------------------------------------------------------


def options() -> dict[str, set[str]]:
    commands = typer.main.get_command(app).commands
    return {
        name: {o for p in command.params for o in p.opts if o.startswith("--")} for name, command in commands.items()
    }


def test_options_that_it_names_exist():
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
    of_the_tests = {"--full", "--no-peer"}
    assert named - of_the_tests <= set().union(*options().values())


def test_every_option_of_a_run_is_in_the_table():
    assert set(re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE)) == options()["run"]


def test_commands_that_it_names_exist():
    assert set(re.findall(r"`backtest ([a-z]+)", TEXT)) == set(options()), "and none is left out"


def test_files_that_it_links_and_names_exist():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT) + re.findall(r"(?<![\w/])tests/\w+\.py", TEXT):
        assert (ROOT / target).is_file(), target


def test_venues_and_markets_that_it_names_are_those_there_are():
    row = re.search(r"^\| `--venue NAME` \| (.*) \|$", TEXT, re.MULTILINE)[1]
    assert set(re.findall(r"`([a-z-]+)`", row)) == {p.stem for p in (ROOT / "data" / "venues").glob("*.toml")}
    table = re.search(r"^\| market \| what \| sources \|\n(.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)[1]
    first = " ".join(line.split("|")[1] for line in table.splitlines())
    assert set(re.findall(r"`([^`]+)`", first)) == {p.stem for p in (ROOT / "data" / "markets").glob("*.toml")}


def test_sources_that_it_names_are_those_there_are():
    table = re.search(r"^\| source \| what it gives \|.*?\n(.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)[1]
    first = " ".join(line.split("|")[1] for line in table.splitlines())
    assert set(re.findall(r"`([^`]+)`", first)) == set(SOURCES)


def test_the_table_of_layers_is_the_one_that_is_checked():
    from test_layers import ALLOWED

    rows = re.findall(r"^\| (`[a-z`, ]+) \| [^|]* \| ([a-z, ]+) \|$", TEXT, re.MULTILINE)
    told = {part: set(others.split(", ")) for parts, others in rows for part in re.findall(r"`(\w+)`", parts)}
    assert set(told) == set(ALLOWED) - {"backtest"}
    for part, others in told.items():
        if part not in ("errors", "cli"):
            assert others == ALLOWED[part], part
