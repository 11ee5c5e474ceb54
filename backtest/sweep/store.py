"""The folder of a sweep: what was asked, and the rows as they finish; a kill at any moment leaves it readable."""

import os
import shutil
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.catalogue.folders import complete_folder, reason
from backtest.catalogue.runs import folder_name, results_folder
from backtest.catalogue.toml import config_from_toml, config_to_toml, key, literal
from backtest.errors import ConfigError, LevelbreakError, ResultsError, did_you_mean
from backtest.model.arrays import BoolArray, Int64
from backtest.sweep.axes import Axis
from backtest.sweep.columns import integers, lengths, numbers
from backtest.sweep.limit import late_limit
from backtest.sweep.point import FIGURES
from backtest.sweep.space import Space

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Store", "Sweep", "load_sweep", "open_store", "sweep_name"]

ASKED = "sweep.toml"
COUNTED = ".counted"  # there when every row is on record as a trial
LOCK = ".lock"
SMALL = 4096  # rows below which a part is merged with others
MANY = 64  # small parts that are merged at once
WRITTEN: dict[str, Any] = {
    "compression": "zstd",
    "write_page_checksum": True,
    "use_dictionary": False,  # few values of a chunk are alike
    "write_statistics": False,
}
LOWER = frozenset(("volatility", "fees", "funding_paid", "liquidations", "open_trades"))


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder, opened: what was asked, and the rows that are finished."""

    folder: Path
    space: Space

    def table(self, columns: Sequence[str] | None = None) -> "pa.Table":
        """Return the finished rows by point; columns: which, None for all but `seconds`, which no two runs agree on."""
        import pyarrow as pa

        from backtest.sweep.rows import schema_of

        schema = schema_of(self.space)
        names = [n for n in schema.names if n != "seconds"] if columns is None else list(columns)
        for name in names:
            if name not in schema.names:
                raise ResultsError(f"The sweep has no column {name!r}.{did_you_mean(name, schema.names)}")
        wanted = list(dict.fromkeys(["point", *names]))
        parts = [read_part(path, wanted) for path in parts_in(self.folder)]
        whole = pa.concat_tables(parts) if parts else schema.empty_table().select(wanted)
        points, first = np.unique(integers(whole["point"]), return_index=True)
        if points.size < whole.num_rows or not np.array_equal(first, np.arange(points.size)):
            whole = whole.take(first)
        return whole.select(names).combine_chunks()

    def best(self, metric: str = "sharpe", count: int = 10) -> list[int]:
        """Return the points with the best values of a figure, best first; what failed or is undefined is not among them."""
        known_figure(metric, FIGURES)
        table = self.table(["point", metric, "error"])
        value = numbers(table[metric])
        there = np.flatnonzero(np.isfinite(value) & (lengths(table["error"]) == 0))
        sign = 1.0 if metric.removesuffix("_worst").removesuffix("_best") in LOWER else -1.0
        order = there[np.argsort(sign * value[there], kind="stable")][:count]
        return [int(point) for point in integers(table["point"])[order]]

    @property
    def done(self) -> int:
        """The points that are finished, failed ones included."""
        return self.table(["point"]).num_rows

    @property
    def failed(self) -> int:
        """The points that have a reason instead of figures."""
        return int(np.count_nonzero(lengths(self.table(["error"])["error"])))


def known_figure(name: str, known: Sequence[str]) -> None:
    """Raise a ConfigError for what is no figure of a sweep."""
    if name not in known:
        raise ConfigError(f"A sweep has no figure {name!r}.{did_you_mean(name, known)}")


class Store:
    """The folder of a sweep while it runs; one process at a time holds it."""

    def __init__(self, folder: Path, space: Space, identity: str) -> None:
        self.folder = folder
        self.space = space
        self.identity = identity
        for path in folder.glob(".writing-*"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    @property
    def sweep(self) -> Sweep:
        return Sweep(self.folder, self.space)

    @cached_property
    def marks(self) -> BoolArray:
        """(points,) whether each point is finished."""
        marks = np.zeros(self.space.count, np.bool_)
        for path in parts_in(self.folder):
            marks[points_in(path, self.space)] = True
        return marks

    def forget_late(self, limit: float | None) -> None:
        """Take out the rows of points that were over a time limit which was lower than this one, so that they are run again."""
        import pyarrow as pa

        for path in parts_in(self.folder):
            reasons = read_part(path, ["error"])["error"]
            if not lengths(reasons).any():
                continue
            limits = [late_limit(reason or "") for reason in reasons.to_pylist()]
            kept = [i for i, old in enumerate(limits) if old is None or (limit is not None and limit <= old)]
            if len(kept) < len(limits):
                if kept:
                    self.put(read_part(path).take(pa.array(kept, pa.int64())).combine_chunks())
                path.unlink(missing_ok=True)

    def add(self, rows: "pa.Table") -> None:
        """Write rows as a part of their own, which appears when it is whole."""
        if rows.num_rows:
            self.put(rows)
            self.marks[integers(rows["point"])] = True
            self.merge()

    def put(self, rows: "pa.Table") -> Path:
        from pyarrow import parquet

        final = self.folder / f"part-{rows['point'][0].as_py():09d}-{uuid.uuid4().hex[:8]}.parquet"
        draft = self.folder / f".writing-{uuid.uuid4().hex}"
        try:
            parquet.write_table(rows, draft, **WRITTEN)
            os.replace(draft, final)
        except OSError as error:
            raise ResultsError(reason(error, self.folder)) from error
        finally:
            draft.unlink(missing_ok=True)
        return final

    def merge(self) -> None:
        """Make one part of many small ones; a kill in between leaves rows twice, which are read once."""
        import pyarrow as pa
        from pyarrow import parquet

        small = [path for path in parts_in(self.folder) if path.stat().st_size < SMALL * 8 * len(FIGURES)]
        if len(small) < MANY:
            return
        small = [path for path in small if parquet.read_metadata(path).num_rows < SMALL]
        if len(small) >= MANY:
            self.put(pa.concat_tables([read_part(path) for path in small]).sort_by("point").combine_chunks())
            for path in small:
                path.unlink(missing_ok=True)

    @property
    def counted(self) -> bool:
        """Whether every row is on record as a trial."""
        return (self.folder / COUNTED).exists()

    @counted.setter
    def counted(self, value: bool) -> None:
        mark = self.folder / COUNTED
        mark.touch() if value else mark.unlink(missing_ok=True)


def parts_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def read_part(path: Path, columns: list[str] | None = None) -> "pa.Table":
    """Return a part's rows; a damaged one is a ResultsError."""
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path, page_checksum_verification=True)
        missing = [name for name in columns or () if name not in file.schema_arrow.names]
        if missing:
            raise ValueError(f"no column {missing[0]!r}")
        return file.read(columns, use_threads=False)
    except (OSError, ValueError, ArrowException) as error:
        raise damaged(path, str(error).splitlines()[0]) from error


def damaged(path: Path, why: str) -> ResultsError:
    return ResultsError(f"{path} can't be read ({why}); delete it and start the sweep again, which makes it anew.")


def points_in(path: Path, space: Space) -> Int64:
    """Return the points of a part; one that the sweep has not is a ResultsError."""
    points = integers(read_part(path, ["point"])["point"])
    if points.size and not 0 <= int(points.min()) <= int(points.max()) < space.count:
        raise damaged(path, "it holds points that the sweep does not have")
    return points


# --- the folder --------------------------------------------------------------------------------------------------


def sweep_name(space: Space, identity: str) -> str:
    """Return the name of a sweep's folder."""
    strategy, market = space.strategies[0], space.markets[0]
    name = folder_name(strategy, market, identity)
    return f"sweep_{name}"


@contextmanager
def open_store(results: str | os.PathLike[str] | None, space: Space, identity: str) -> Iterator[Store]:
    """Give the folder of a sweep, new or with what an earlier start of it left; another sweep in its way is a ResultsError."""
    import filelock

    folder = results_folder(results) / sweep_name(space, identity)
    if folder.exists() or folder.is_symlink():
        check_mine(folder, identity)
    else:
        with complete_folder(folder) as draft:
            (draft / ASKED).write_text(space_to_toml(space, identity), encoding="utf-8")
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ResultsError(f"Another process is running this sweep, in {folder}; wait for it, or stop it.") from error
    except OSError as error:
        raise ResultsError(reason(error, folder)) from error
    try:
        yield Store(folder, space, identity)
    finally:
        lock.release()


def check_mine(folder: Path, identity: str) -> None:
    try:
        found = tomllib.loads((folder / ASKED).read_text(encoding="utf-8")).get("id")
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{folder} is in the way of this sweep and is none itself ({type(error).__name__}); move it away, or choose another "
            "`--results`."
        ) from error
    if found != identity:
        raise ResultsError(
            f"{folder} holds the rows of another sweep ({found}, this one is {identity}); move it away, or choose another "
            "`--results`."
        )


def load_sweep(name: str | os.PathLike[str], results: str | os.PathLike[str] | None = None) -> Sweep:
    """Return a sweep by its folder, its folder's name, its id or the beginning of that, or "last"."""
    text = os.fspath(name)
    if (Path(text) / ASKED).is_file():
        return read_sweep(Path(text))
    folders = [path.parent for path in results_folder(results).glob(f"sweep_*/{ASKED}")]
    if text == "last" and folders:
        return read_sweep(max(folders, key=lambda folder: folder.stat().st_mtime))
    found = [f for f in folders if f.name == text or (text and f.name.rpartition("_")[2].startswith(text))]
    if len(found) != 1:
        several = f" It could be {', '.join(sorted(f.name for f in found))}." if found else ""
        raise ResultsError(f"No sweep named {text!r}.{several or did_you_mean(text, (f.name for f in folders))}")
    return read_sweep(found[0])


def read_sweep(folder: Path) -> Sweep:
    try:
        return Sweep(folder, space_from_toml((folder / ASKED).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, LevelbreakError) as error:
        raise ResultsError(f"{folder / ASKED} can't be read: {error}.") from error


# --- what was asked, as TOML ---------------------------------------------------------------------------------------


def space_to_toml(space: Space, identity: str) -> str:
    """Return a space as TOML; `space_from_toml` gives the same again."""
    lines = [
        f"id = {literal(identity)}",
        f"strategies = {literal(space.strategies)}",
        f"markets = {literal(space.markets)}",
    ]
    lines += [f"points = {space.count}", f"takes = {literal(space.takes)}"]
    if space.sample is not None:
        kind, count, seed = space.sample
        lines += [f"sample = {{ kind = {literal(kind)}, count = {count}, seed = {seed} }}"]
    for axis in space.axes:
        lines += ["", "[[axes]]"]
        lines += [
            f"{f.name} = {literal(getattr(axis, f.name))}" for f in fields(Axis) if getattr(axis, f.name) is not None
        ]
    lines += ["", "[base]"]
    for line in config_to_toml(space.base).splitlines():
        lines.append(f"[base.{line[1:]}" if line.startswith("[") else line)
    return "\n".join(lines) + "\n"


def space_from_toml(text: str) -> Space:
    """Return the space of a sweep's TOML."""
    data = tomllib.loads(text)
    axes = tuple(Axis(**{name: frozen(value) for name, value in axis.items()}) for axis in data.get("axes", ()))
    base = data["base"]
    lines = [f"{key(name)} = {literal(value)}" for name, value in base.items() if not isinstance(value, dict)]
    for table in ("parameters", "account"):
        lines += [f"[{table}]", *(f"{key(n)} = {literal(v)}" for n, v in base.get(table, {}).items())]
    drawn: dict[str, Any] | None = data.get("sample")
    sample = None if drawn is None else (drawn["kind"], drawn["count"], drawn["seed"])
    names = tuple(data["strategies"]), tuple(data["markets"])
    return Space(*names, axes, config_from_toml("\n".join(lines)), sample, frozen(data["takes"]))


def frozen(value: Any) -> Any:
    return tuple(frozen(one) for one in value) if isinstance(value, list) else value
