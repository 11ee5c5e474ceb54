"""Time the loading of a million stored 1-minute bars, checksums and validation included, against the bare reading.

    python tests/bench_data.py

Ours: the manifest, the SHA-256 of every file, decoding, and all of `load_bars`: order, grid, gaps, impossible prices, the
passport's line with the SHA-256 of what was loaded. The bare reading: pyarrow's own `read_table` of the same files, with its
threads; and, to compare, of the same rows in one file of the same encoding, and in one of pyarrow's defaults. Rounds are
interleaved and warm; the figures are the best of them, which other work on the machine disturbs least. The ratio to the bare
reading of the same files is to stay below 3.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from store_made import JULY, LATER, MINUTE, NOW, bars, cut

from backtest.market.bars import Span, load_bars
from backtest.market.declare import Source
from backtest.market.obtain import Sources
from backtest.market.store.entry import open_entry, read_entry, store_root
from backtest.market.store.partitions import arrow, encode

BARS = 1_000_000
ROUNDS = 30
LIMIT = 3.0
SAME = "pyarrow, the same files"


def timed(work: Callable[[], object]) -> float:
    """Return the milliseconds that some work takes."""
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        os.environ["BACKTEST_DATA"] = place
        columns = {k: v.round(2) if k != "time" else v for k, v in bars(BARS, step=MINUTE).items()}
        columns["high"], columns["low"] = (columns["high"] + 1).round(2), (columns["low"] - 1).round(2)
        span = Span(JULY, JULY + BARS * MINUTE, MINUTE)
        entry = open_entry(store_root(), "bench", "BTCUSDT", "bars", MINUTE)
        wrote = timed(lambda: entry.write(cut(columns, span.start, span.end), closed_before=LATER, retrieved_at=NOW))
        single, plain = Path(place) / "single.parquet", Path(place) / "plain.parquet"
        single.write_bytes(encode(columns))
        pq.write_table(arrow(columns), plain)
        parts = sorted(entry.folder.glob("*.parquet"))
        works: dict[str, Callable[[], object]] = {
            SAME: lambda: pa.concat_tables([pq.read_table(path) for path in parts]),
            "pyarrow, one file": lambda: pq.read_table(single),
            "pyarrow, its defaults": lambda: pq.read_table(plain),
            "Entry.read": lambda: read_entry(entry.folder).read(),
            "load_bars": lambda: load_bars(
                Sources(Path(place), "bench"), "BTCUSDT", Source(store="bench"), span, "error"
            ),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(ROUNDS + 2):
            for name, work in works.items():
                times[name].append(timed(work))
        best = {name: min(t[2:]) for name, t in times.items()}
        stored = sum(path.stat().st_size for path in parts)
        print(f"{BARS:,} bars: {stored / 1e6:.1f} MB in {len(parts)} files, written in {wrote:.0f} ms")
        for name, took in best.items():
            print(f"{name:24} {took:7.1f} ms")
        for name in list(works)[:3]:
            print(f"load_bars / {name:24} {best['load_bars'] / best[name]:.2f}")
        return 0 if best["load_bars"] / best[SAME] < LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
