"""A run made again and held against the first: the same to the byte, or what changed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from backtest.catalogue.runs import SavedRun
from backtest.errors import ResultsError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Again", "Change", "compare_again"]

TABLES = ("ledger", "trades", "equity", "rejections")

Sameness = Literal["bytes", "content", "different"]


@dataclass(frozen=True)
class Change:
    """Something that a run rests on, before and now; None where it was not there."""

    what: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Again:
    """A run and the same run made again.

    tables: name -> the same "bytes", the same "content" in other bytes, or "different"; writers: of the Parquet files, before
    and now; changes: what the run rests on that is not the same; unknown: what the first run did not record; figures: name ->
    before and now, those that differ; first: the first row of the ledger that differs, in words.
    """

    tables: Mapping[str, Sameness]
    writers: tuple[str, str]
    changes: tuple[Change, ...]
    unknown: tuple[str, ...]
    figures: Mapping[str, tuple[Any, Any]]
    first: str

    @property
    def identical(self) -> bool:
        """Whether every table holds the same."""
        return "different" not in self.tables.values()


def compare_again(old: SavedRun, new: SavedRun) -> Again:
    """Return what is the same and what is not; a table that can't be read is a ResultsError."""
    tables = {name: sameness(name, old, new) for name in TABLES}
    first = first_difference(old.table("ledger"), new.table("ledger")) if tables["ledger"] == "different" else ""
    names = dict.fromkeys([*old.metrics, *new.metrics])
    pairs = {name: (old.metrics.get(name), new.metrics.get(name)) for name in names}
    figures = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    changes = (*config_changes(old, new), *source_changes(old, new), *series_changes(old, new))
    changes = (*changes, *mapping_changes("venue", "venue", old, new), *version_changes(old, new))
    return Again(tables, (writer(old), writer(new)), changes, unknown(old, new), figures, first)


# --- the tables --------------------------------------------------------------------------------------------------


def sameness(name: str, old: SavedRun, new: SavedRun) -> Sameness:
    """Return how alike two Parquet files are: where their writers differ, the same rows are other bytes."""
    if data_of(old, name) == data_of(new, name):
        return "bytes"
    return "content" if old.table(name).equals(new.table(name)) else "different"


def data_of(run: SavedRun, name: str) -> bytes:
    try:
        return (run.path / f"{name}.parquet").read_bytes()
    except OSError as error:
        raise ResultsError(f"The run {run.path.name} has no readable {name}.parquet: {error.strerror}.") from error


def writer(run: SavedRun) -> str:
    from pyarrow import ArrowException, parquet

    try:
        return str(parquet.read_metadata(run.path / "ledger.parquet").created_by)
    except (OSError, ArrowException):
        return "unknown"


def first_difference(old: "pd.DataFrame", new: "pd.DataFrame") -> str:
    """Return in words where two ledgers part.

    >>> import pandas as pd
    >>> row = {"time": [pd.Timestamp("2026-01-01T03:00Z")], "symbol": ["BTCUSDT"], "kind": ["fee"]}
    >>> first_difference(pd.DataFrame({**row, "amount": [-0.1]}), pd.DataFrame({**row, "amount": [-0.2]}))
    'row 1 of 1, fee of BTCUSDT at 2026-01-01T03:00Z: amount was -0.1 and is -0.2'
    """
    import numpy as np

    columns, both = list(old.columns), min(len(old), len(new))
    if columns != list(new.columns):
        return f"its columns were {', '.join(columns)} and are {', '.join(new.columns)}"
    a, b = old.head(both), new.head(both)
    differs = np.asarray(a.astype(object).ne(b.astype(object)) & ~(a.isna() & b.isna()))
    rows = np.flatnonzero(differs.any(axis=1))
    if not rows.size and len(old) == len(new):
        return "the same values in columns of other types"
    if not rows.size:
        return f"{len(old):,} rows, now {len(new):,}; the first {both:,} are the same"
    i = int(rows[0])
    row = old.iloc[i]
    told = [f"{c} was {a[c].iloc[i]} and is {b[c].iloc[i]}" for j, c in enumerate(columns) if differs[i, j]]
    at = row["time"].strftime("%Y-%m-%dT%H:%MZ")
    return f"row {i + 1:,} of {len(old):,}, {row['kind']} of {row['symbol']} at {at}: {', '.join(told)}"


# --- what it rests on --------------------------------------------------------------------------------------------


def config_changes(old: SavedRun, new: SavedRun) -> list[Change]:
    """Return the settings and parameters that differ; the configuration was the same, so these are new defaults."""
    found = []
    for f in fields(old.config):
        before, now = getattr(old.config, f.name), getattr(new.config, f.name)
        if f.name in ("parameters", "account"):
            found += differing(f"{f.name.removesuffix('s')} ", dict(before), dict(now))
        else:
            found += differing("", {f.name: before}, {f.name: now})
    return found


def source_changes(old: SavedRun, new: SavedRun) -> list[Change]:
    before, now = old.summary.get("source_sha256"), new.summary.get("source_sha256")
    return [Change("the strategy's source", before, now)] if before and before != now else []


def series_changes(old: SavedRun, new: SavedRun) -> list[Change]:
    """Return the series whose origin or hash is another, and those that came and went."""
    return differing("data ", series_of(old), series_of(new))


def series_of(run: SavedRun) -> dict[str, Any]:
    try:
        return {s["name"]: f"{s['origin']} {s['sha256']}" for s in run.summary["passport"]["series"]}
    except (KeyError, TypeError):
        return {}


def mapping_changes(key: str, words: str, old: SavedRun, new: SavedRun) -> list[Change]:
    before, now = old.summary.get(key), new.summary.get(key)
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return []
    return differing(f"{words} ", flat(before), flat(now))


def flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the entries of those inside it under both names.

    >>> flat({"cash": 1.0, "lots": {"BTCUSDT": [0.001, 5.0]}})
    {'cash': 1.0, 'lots BTCUSDT': [0.001, 5.0]}
    """
    plain = {name: value for name, value in found.items() if not isinstance(value, Mapping)}
    inner = {f"{name} {k}": v for name, value in found.items() if isinstance(value, Mapping) for k, v in value.items()}
    return plain | inner


def version_changes(old: SavedRun, new: SavedRun) -> list[Change]:
    before, now = old.summary.get("version"), new.summary.get("version")
    own = [Change("version levelbreak", before, now)] if before != now else []
    return [*own, *mapping_changes("versions", "version", old, new)]


def differing(words: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys([*before, *now])
    return [Change(words + n, before.get(n), now.get(n)) for n in names if not same(before.get(n), now.get(n))]


def same(a: Any, b: Any) -> bool:
    return bool(a == b) or repr(a) == repr(b)  # NaN is NaN


def unknown(old: SavedRun, new: SavedRun) -> tuple[str, ...]:
    """Return what the first run, of an earlier version, did not record; where the ids agree, source and venue do too."""
    told = {
        "source_sha256": "the strategy's source",
        "venue": "the venue's numbers",
        "versions": "the packages' versions",
    }
    same = ("source_sha256", "venue") if old.id == new.id else ()
    return tuple(words for key, words in told.items() if not old.summary.get(key) and key not in same)
