"""`backtest new`: what it writes runs and passes as it is, and nothing is overwritten."""

import subprocess
import sys

import pytest
from command import call, document

from backtest import run
from backtest.cli.new import TEMPLATES, new_strategy  # registers the command
from backtest.errors import ConfigError
from backtest.plugins import describe_strategy, strategy_names


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_a_strategy_and_its_test(here):
    done = call("new", "my_break")
    assert (done.exit_code, done.stderr) == (0, "")
    assert sorted(str(p.relative_to(here)) for p in here.rglob("*.py")) == [
        "strategies/my_break.py",
        "tests/test_my_break.py",
    ]
    assert "Wrote strategies/my_break.py: short the break of a support level." in done.stdout
    assert "backtest run my_break · backtest check my_break · python -m pytest tests/test_my_break.py" in done.stdout
    assert "my_break" in strategy_names()
    assert describe_strategy("my_break").class_name == "MyBreak"


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_it_writes_runs_and_its_test_passes(here, template):
    found = document(call("new", "mine", "--template", template, "--json"))
    assert found == {"strategy": "strategies/mine.py", "test": "tests/test_mine.py", "template": template}
    info = describe_strategy("mine")
    assert "$" not in (here / found["strategy"]).read_text() + (here / found["test"]).read_text()
    assert all(parameter.meaning for parameter in info.parameters)
    assert len(run("mine").trades_table) > 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_mine.py"],
        capture_output=True, text=True, check=False, cwd=here,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_it_writes_is_formatted_and_clean(here, template):
    strategy, test = new_strategy("mine", template)
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--isolated", "--line-length", "120"]
    for path in (strategy, test):
        for command in (["check", *settings, "--select", "E,F,W,UP,B"], ["format", "--check", *settings]):
            done = subprocess.run([*ruff, *command, str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("there", ["strategies/mine.py", "tests/test_mine.py"])
def test_nothing_is_overwritten_and_nothing_half_written(here, there):
    (here / there).parent.mkdir()
    (here / there).write_text("mine")
    done = call("new", "mine")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"error: {there} is already there, and is not overwritten; choose another name.\n"
    assert [p.read_text() for p in here.rglob("*.py")] == ["mine"]


def test_a_link_to_nowhere_is_not_written_through(here):
    (here / "strategies").mkdir()
    (here / "strategies" / "mine.py").symlink_to(here / "elsewhere.py")
    assert call("new", "mine").exit_code == 2
    assert not (here / "elsewhere.py").exists()


def test_where_the_test_cannot_be_written_the_strategy_is_not_left(here):
    (here / "tests").write_text("no folder")
    with pytest.raises(ConfigError, match="can't be written"):
        new_strategy("mine")
    assert list((here / "strategies").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["My_Break", "my-break", "2nd", "", "_mine", "a/b", "../x", "mine.py", "stütze", "my break"]
)
def test_a_name_that_will_not_do_is_refused(here, name):
    done = call("new", "--", name)
    assert (done.exit_code, list(here.iterdir())) == (2, [])
    assert f"such as my_break; got {name!r}." in done.stderr


@pytest.mark.parametrize("name", ["class", "plan", "market", "true"])
def test_a_name_that_means_something_else_is_refused(here, name):
    with pytest.raises(ConfigError, match=f"^'{name}' means something else in a strategy's file; choose another name"):
        new_strategy(name)


def test_an_unknown_template_is_told_the_nearest(here):
    done = call("new", "mine", "--template", "brake")
    assert (done.exit_code, done.stderr) == (2, "error: No template named 'brake'. Did you mean 'break'?\n")
