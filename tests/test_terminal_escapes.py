"""What an error quotes of a file can't move the cursor of a terminal or rename its window."""

import os
import re
import subprocess

import pytest
from command import COMMAND, MARKET, write_market

from backtest.cli.app import say_error

ESCAPE = "\\u001b[2J\\u001b]0;x\\u0007"  # clear the screen, set the title, as TOML spells it
CSI = "\\u009b2J"  # the same in one byte


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def on_a_terminal(*arguments, cwd):
    """Return the exit code and what a command writes on a terminal."""
    import pty

    mine, theirs = pty.openpty()
    command, env = [*COMMAND, *arguments], {**os.environ, "COLUMNS": "70"}
    child = subprocess.run(command, stderr=theirs, stdout=theirs, cwd=cwd, env=env, check=False)
    os.close(theirs)
    said = os.read(mine, 10_000)
    os.close(mine)
    return child.returncode, said.decode()


@pytest.mark.skipif(os.name == "nt", reason="there are no terminals of this kind")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"bars.csv"', f'{{ file = "bars.csv", "{ESCAPE}" = 1 }}'),
        ('"bars.csv"', f'"{ESCAPE}.csv"'),
        ("[BTCUSDT]", f'["{ESCAPE}{CSI}"]'),
    ],
)
def test_a_market_file_with_escape_sequences(here, old, new):
    bars = new.replace("bars.csv", "none.csv") if "file" in new else new
    code, said = on_a_terminal(
        "run", "buy_and_hold", "--market", write_market(here, market=MARKET.replace(old, bars)), cwd=here
    )
    assert code == 2
    assert "?[2J?]0;x?" in re.sub(r"\s", "", said)
    left = re.sub(r"\x1b\[[0-9;]*m", "", said)  # the colours of "error: "
    assert [c for c in left if not c.isprintable() and c not in "\r\n"] == []


@pytest.mark.skipif(os.name == "nt", reason="there are no terminals of this kind")
def test_the_header_of_a_csv_with_escape_sequences(here):
    market = write_market(here)
    (here / "bars.csv").write_text("time,\x1b[2J\x07\n1767225600,1\n")
    code, said = on_a_terminal("run", "buy_and_hold", "--market", market, cwd=here)
    assert (code, "\x1b[2J" in said, "\x07" in said) == (2, False, False)
    assert "?[2J?" in said


def test_line_breaks_are_kept(capsys):
    say_error("one:\n  \x1b[2Jtwo\n\tthree")
    assert capsys.readouterr().err == "error: one:\n  ?[2Jtwo\n        three\n"
