"""A walk-forward on the disk: its figures as JSON, and the equity of its tests as a table."""

import json
import os
import uuid
from pathlib import Path

import numpy as np

from backtest.catalogue import results_folder
from backtest.catalogue.folders import reason
from backtest.catalogue.runs import folder_name
from backtest.errors import ResultsError
from backtest.sweep.forward import Forward

__all__ = ["keep_forward"]


def keep_forward(found: Forward, results: str | os.PathLike[str] | None = None) -> tuple[Path, Path]:
    """Write `forward_STRATEGY_MARKET_ID.json` and `.parquet` beside the runs and return their paths.

    The table has a row a bar of the tests: `time` (UTC), `equity` (quote units, the tests end to end) and `fold`.
    """
    config = found.result.config
    assert config is not None
    folder = results_folder(results)
    name = f"forward_{folder_name(config.strategy, config.market, found.identity)}"
    document, table = folder / f"{name}.json", folder / f"{name}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".writing-{uuid.uuid4().hex}"
        draft.write_text(json.dumps(found.to_dict(), indent=2, allow_nan=False, default=str) + "\n", encoding="utf-8")
        os.replace(draft, document)
        write_equity(found, draft)
        os.replace(draft, table)
    except OSError as error:
        raise ResultsError(reason(error, folder)) from error
    return document, table


def write_equity(found: Forward, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    result = found.result
    folds = np.concatenate([np.full(len(step.result), step.fold.number, np.int32) for step in found.steps])
    columns = {
        "time": pa.array(result.time, pa.timestamp("ns", tz="UTC")),
        "equity": pa.array(result.equity_values),
        "fold": pa.array(folds),
    }
    parquet.write_table(pa.table(columns), path, compression="zstd")
