"""The note of a run: one line of the user's own, in a file of its folder, so that it goes wherever the folder goes."""

import os
import uuid
from pathlib import Path

from backtest.errors import ConfigError, ResultsError

__all__ = ["NOTE", "keep_note", "read_note", "write_note"]

NOTE = "note.txt"
LONGEST = 500  # characters


def read_note(folder: Path) -> str:
    """Return the note in a run's folder as one line; "" where there is none that can be read."""
    try:
        with (folder / NOTE).open("rb") as file:
            text = file.read(4 * LONGEST)
    except OSError:
        return ""
    return one_line(text.decode("utf-8", "replace"))[:LONGEST]


def write_note(folder: Path, text: str) -> str:
    """Write the note of a run, spaces and line breaks as single spaces, and return it; empty text removes it."""
    note = one_line(text.encode("utf-8", "replace").decode())
    if len(note) > LONGEST:
        raise ConfigError(f"A note has up to {LONGEST} characters, got {len(note):,}.")
    draft = folder / f".writing-{uuid.uuid4().hex}"
    try:
        if not note:
            (folder / NOTE).unlink(missing_ok=True)
            return note
        draft.write_text(note + "\n", encoding="utf-8")
        os.replace(draft, folder / NOTE)
    except OSError as error:
        raise ResultsError(f"The note of {folder.name} can't be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return note


def keep_note(old: Path, new: Path) -> None:
    """Take the note of a folder that is about to be replaced along."""
    if note := read_note(old):
        (new / NOTE).write_text(note + "\n", encoding="utf-8")


def one_line(text: str) -> str:
    return " ".join(text.split())
