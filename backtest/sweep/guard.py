"""What ends this process when a point hangs in it where no alarm reaches it, and says which point that was."""

import faulthandler
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backtest.errors import ConfigError
from backtest.model import RunConfig
from backtest.sweep.watch import patience

__all__ = ["Note", "guarded", "late_points", "words"]

Note = Callable[[RunConfig], None]
"""Called with each point before it starts."""
HERALD = """
import sys
late, sentence = sys.argv[1:]
point = None
for line in sys.stdin.buffer:
    text = line.decode("utf-8", "replace")
    if text.startswith("\\0"):
        point = text[1:].rstrip("\\n")
    elif point is not None:
        if late:
            with open(late, "a", encoding="utf-8") as file:
                file.write(point + "\\n")
        sys.stderr.write(sentence.format(point))
        break
"""
SAID = "The point {{}} took longer than {limit:g} s in code that can't be interrupted, so this process had to end; {rest}\n"
ALONE = "leave it out, or give it more with --time-limit."
AGAIN = "what was tried is kept, and the same command goes on without that point."


def words(config: RunConfig) -> str:
    """Return what tells a point from others, on one line.

    >>> words(RunConfig("turns", parameters=(("hold", 3), ("side", "long")), account=(("leverage", 2.0),)))
    'hold=3, side=long, leverage=2.0'
    """
    told = ", ".join(f"{name}={value}" for name, value in (*config.parameters, *config.account))
    return " ".join(told.replace("\0", " ").split())


def late_points(late: Path) -> frozenset[str]:
    """Return the words of the points that the guard wrote down as it ended earlier processes."""
    try:
        return frozenset(late.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return frozenset()


@contextmanager
def guarded(limit: float | None, late: Path | None = None) -> Iterator[Note]:
    """Give what notes each point before it starts; one that stays over its time and can't be interrupted ends the process.

    limit: seconds a point, None for no guard, as in a thread that no alarm reaches: a point that takes long there can be waited
    for. late: where the words of that point are added, so that the next start can leave it out. The exit code is 1, and the
    sentence is said by a small process: this one can't any more.
    """
    if limit is not None and not limit > 0:
        raise ConfigError(f"The time limit of a point must be above 0 s, got {limit:g}; leave it out for none.")
    if limit is None or threading.current_thread() is not threading.main_thread():
        yield lambda _: None
        return
    said = SAID.format(limit=limit, rest=ALONE if late is None else AGAIN)
    command = [sys.executable, "-I", "-S", "-c", HERALD, "" if late is None else str(late.absolute()), said]
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True) as herald:
        guard = Guard(limit, herald.stdin)
        try:
            yield guard
        finally:
            guard.rest()
            herald.kill()


class Guard:
    """Tells the herald each point, and sets the time at which this process is ended; `pipe`: to the herald."""

    def __init__(self, limit: float, pipe: Any) -> None:
        self.limit = limit
        self.pipe = pipe
        self.armed: float | None = None

    def __call__(self, config: RunConfig) -> None:
        with suppress(OSError):  # without the herald the process still ends
            self.pipe.write(f"\0{words(config)}\n".encode("utf-8", "replace"))
        if (
            self.armed is None or time.monotonic() - self.armed > 1.0
        ):  # arming starts a thread: not for each short point
            self.armed = time.monotonic()
            faulthandler.dump_traceback_later(patience(self.limit), exit=True, file=self.pipe)

    def rest(self) -> None:
        """Watch nothing any more."""
        if self.armed is not None:
            self.armed = None
            faulthandler.cancel_dump_traceback_later()
