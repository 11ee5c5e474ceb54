"""A series leaves the same bytes in the store, whatever pages it came in and in whatever order."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from store_made import DAY, HOUR, JULY, LATER, NOW, files, same

from backtest.market.sources.base import COLUMNS, Page
from backtest.market.store.entry import open_entry
from backtest.market.store.partitions import decode, encode, split
from backtest.market.store.spans import inside, joined, outside

START = JULY - 40 * HOUR  # pages run over the end of a month and, with days, of a year
ODD = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, np.nan, 60_000.5])
INTERVALS = {"bars": HOUR, "mark": DAY, "funding": 0, "open_interest": HOUR, "liquidations": DAY}
OPTIONAL = {"funding": "mark", "liquidations": "long_coins"}


@st.composite
def series(draw):
    """A series with holes and odd numbers, and the span that it was asked for."""
    kind = draw(st.sampled_from(sorted(INTERVALS)))
    interval, n = INTERVALS[kind], draw(st.integers(1, 60))
    step = interval or 8 * HOUR
    there = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    time = (START + step * np.arange(n, dtype=np.int64))[there]
    names = [*COLUMNS[kind], *([OPTIONAL[kind]] if kind in OPTIONAL and draw(st.booleans()) else [])]
    values = {k: np.array(draw(st.lists(ODD, min_size=time.size, max_size=time.size))) for k in names}
    if draw(st.booleans()):
        late = np.array(draw(st.lists(st.sampled_from([0, 0, HOUR]), min_size=time.size, max_size=time.size)), np.int64)
        values["known_at"] = time + interval + late
    return kind, interval, step, {"time": time, **values}, START, START + n * step


@st.composite
def cuts(draw, step: int, start: int, end: int):
    """Pages that cover a span, overlapping, in any order, some of them asked for twice."""
    n = (end - start) // step
    inner = draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=6))
    edges = sorted({0, n, *draw(st.lists(st.integers(0, n), max_size=4))})
    whole = list(pairwise(edges))
    spans = [(a, b) for a, b in [*whole, *inner] if a < b]
    return [(start + a * step, start + b * step) for a, b in draw(st.permutations(spans))]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_cut_in_any_order_gives_the_same_files(data):
    kind, interval, step, columns, start, end = data.draw(series())
    once = dict(columns)
    with tempfile.TemporaryDirectory() as place:
        whole = open_entry(Path(place), "a", "X", kind, interval)
        whole.write(Page(once, start, end), closed_before=LATER, retrieved_at=NOW)
        parts = open_entry(Path(place), "b", "X", kind, interval)
        for a, b in data.draw(cuts(step, start, end)):
            mine = (columns["time"] >= a) & (columns["time"] < b)
            wrote = parts.write(
                Page({k: v[mine] for k, v in columns.items()}, a, b), closed_before=LATER, retrieved_at=NOW
            )
            assert (wrote.revised, wrote.vanished, wrote.duplicates) == (0, 0, 0)
        assert files(parts.folder) == files(whole.folder)
        a, b = whole.manifest, parts.manifest
        assert (a.covered, a.partitions, a.rows, a.gaps, a.missing) == (
            b.covered,
            b.partitions,
            b.rows,
            b.gaps,
            b.missing,
        )
        assert a.covered == ((start, end),)
        assert (a.revisions, b.revisions) == ((), ())
        found = open_entry(Path(place), "b", "X", kind, interval).read()
        assert np.array_equal(found["time"], columns["time"])
        for name in COLUMNS[kind]:
            assert np.array_equal(found[name], columns[name], equal_nan=True)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))), st.integers(0, 30), st.integers(0, 30))
def test_spans_are_sets_of_points(spans, start, end):
    points = {t for a, b in spans for t in range(a, b)}
    one = joined(spans)
    assert {t for a, b in one for t in range(a, b)} == points
    assert all(b < c for (_, b), (c, _) in pairwise(one)), "sorted, and none that touch"
    window = set(range(start, end))
    assert {t for a, b in inside(one, start, end) for t in range(a, b)} == points & window
    assert {t for a, b in outside(one, start, end) for t in range(a, b)} == window - points


def test_rows_survive_their_bytes():
    rows = {
        "time": np.array([-DAY, 0, JULY]),
        "value": np.array([np.nan, np.inf, 5e-324]),
        "known_at": np.array([1, 2, 3]),
    }
    assert encode(rows) == encode({k: v.copy() for k, v in rows.items()})
    assert same(decode(encode(rows)), rows)


def test_months_and_years_before_the_epoch():
    time = (
        np.array([-63_158_400, -1, 0, 2_678_399, 2_678_400]) * 10**9
    )  # 1968-01-01, 1969-12-31, 1970-01-01, -01-31, -02-01
    assert [(part, rows.stop - rows.start) for part, rows in split(time, HOUR)] == [
        ("1968-01", 1), ("1969-12", 1), ("1970-01", 2), ("1970-02", 1),
    ]  # fmt: skip
    assert [part for part, _ in split(time, DAY)] == ["1968", "1969", "1970"]
