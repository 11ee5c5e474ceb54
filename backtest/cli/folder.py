"""The folder of fetched data that a command works on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["data_folder"]


@contextmanager
def data_folder(folder: Path | None) -> Iterator[None]:
    """Let BACKTEST_DATA name the folder for a while."""
    before = os.environ.get("BACKTEST_DATA")
    if folder is not None:
        os.environ["BACKTEST_DATA"] = str(folder)
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop("BACKTEST_DATA")
            os.environ.update({} if before is None else {"BACKTEST_DATA": before})
