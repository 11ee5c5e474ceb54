"""One page into a stored series, without touching the disk: the new manifest, the files it needs, what was found."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from backtest.market.sources.base import Page
from backtest.market.store.manifest import Asked, Fetched, Manifest, Partition, Revision
from backtest.market.store.partitions import Overlap, Rows, canonical, encode, holes, merge, split, tidy
from backtest.market.store.spans import inside, joined
from backtest.market.validate import count
from backtest.model.arrays import HOUR, SECOND

__all__ = ["Merged", "Written", "merge_page"]

LATE = HOUR  # a source may show a bar this much after its close; until then a missing one is asked for again
TOGETHER = timedelta(hours=1)  # pages that follow one another within this are one line of the manifest


@dataclass(frozen=True)
class Written:
    """What became of a page's rows.

    added: new ones; repeated: stored already, the same; revised: stored already, with other numbers, which are replaced
    (largest: the largest relative difference, a fraction); duplicates: the same time twice in the page, the last is kept;
    open: not closed yet, not stored; strangers: outside the page's span, not stored; vanished: stored rows that the page
    lacks, kept.
    """

    added: int = 0
    repeated: int = 0
    revised: int = 0
    largest: float = 0.0
    duplicates: int = 0
    open: int = 0
    strangers: int = 0
    vanished: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the page, in sentences."""
        told = {
            f"{count(self.duplicates, 'row')} came twice with the same time; the last one was kept.": self.duplicates,
            f"{count(self.strangers, 'row')} outside the requested span came along; left out.": self.strangers,
            f"{count(self.vanished, 'stored row')} did not come again from the source; kept.": self.vanished,
        }
        return tuple(text for text, n in told.items() if n)


@dataclass(frozen=True, eq=False)
class Merged:
    """A manifest after a page; files: the bytes of those that it names newly."""

    manifest: Manifest
    files: dict[str, bytes]
    written: Written


@dataclass(frozen=True, eq=False)
class Accepted:
    """A page's rows that may be stored, and up to when they cover it."""

    rows: Rows
    start: int
    end: int
    duplicates: int
    open: int
    strangers: int


def merge_page(
    manifest: Manifest,
    label: str,
    page: Page,
    closed_before: int,
    load: Callable[[str], Rows],
    retrieved_at: int,
    request: Asked | None = None,
    address: str = "",
) -> Merged:
    """Return the manifest with a page in it. load: gives the rows of one of its files; retrieved_at: ns UTC; address: see
    `Fetched`.

    Rows that were stored already are compared, and replaced where they differ: the newest answer stands, and the
    manifest keeps the checksums of both. Which pages a series came in leaves no trace in its files.
    """
    m, when = manifest, iso_text(retrieved_at)
    got = accepted(label, m, page, closed_before)
    covered = joined((*m.covered, (got.start, got.end)))
    parts, files = dict(m.partitions), dict[str, bytes]()
    revisions, met = list(m.revisions), list[Overlap]()
    for part, old_name, new in affected(m, got):
        rows, overlap = merge_part(m, got, load(old_name) if old_name else None, new)
        data = encode(rows)
        sha = hashlib.sha256(data).hexdigest()
        name = f"{part}.{sha[:12]}.parquet"
        before = parts.pop(old_name).sha256 if old_name else ""
        parts[name] = described(rows, sha, m.interval, covered)
        met.append(overlap)
        if name != old_name:
            files[name] = data
        if overlap.revised:
            revisions.append(revision(when, part, overlap, before, sha))
    written = told(got, met)
    notes, rows_seen = (*page.notes, *written.notes), int(got.rows["time"].size)
    fetch = Fetched(retrieved_at=when, start=got.start, end=got.end, rows=rows_seen, notes=notes, address=address)
    changes = {
        "request": asked(m.request, request or Asked(start=page.start, end=page.end)),
        "covered": covered,
        "partitions": dict(sorted(parts.items())),
        "fetches": gathered((*m.fetches, fetch)),
        "revisions": tuple(revisions),
    }
    return Merged(totalled(m.model_copy(update=changes)), files, written)


def merge_part(m: Manifest, got: Accepted, old: Rows | None, new: Rows) -> tuple[Rows, Overlap]:
    """Return the rows of a month or year with a page's in it, and what the page met there."""
    if old is None:
        return canonical(new, m.kind, m.interval), Overlap()
    rows, overlap = merge(old, new, m.interval)
    again = old["time"][(old["time"] >= got.start) & (old["time"] < got.end)]
    gone = int(np.isin(again, new["time"], invert=True).sum())
    return canonical(rows, m.kind, m.interval), replace(overlap, vanished=gone)


def accepted(label: str, m: Manifest, page: Page, closed_before: int) -> Accepted:
    """Return the rows of a page that lie in its span and are closed: over, and known, by `closed_before`."""
    rows, duplicates = tidy(label, m.kind, page.columns)
    within = (rows["time"] >= page.start) & (rows["time"] < page.end)
    strangers = int((~within).sum())
    rows = {name: column[within] for name, column in rows.items()}
    due = rows["time"] + m.interval
    closed = np.maximum(due, rows.get("known_at", due)) <= closed_before
    kept = {name: column[closed] for name, column in rows.items()}
    end = page.end
    if end > closed_before - max(m.interval, LATE):
        seen = int(kept["time"][-1]) + max(m.interval, 1) if kept["time"].size else page.start
        end = min(end, seen)
    if not closed.all():
        end = min(end, int(rows["time"][~closed][0]))
    return Accepted(kept, page.start, end, duplicates, int((~closed).sum()), strangers)


def affected(m: Manifest, got: Accepted) -> list[tuple[str, str, Rows]]:
    """Return the parts that a page touches: the part, its file ("" for none yet) and the page's rows in it."""
    files = {name.partition(".")[0]: name for name in m.partitions}
    mine = {part: {n: c[rows] for n, c in got.rows.items()} for part, rows in split(got.rows["time"], m.interval)}
    nothing = {n: c[:0] for n, c in got.rows.items()}
    touched = {
        part for part, name in files.items()
        if m.partitions[name].start < got.end and got.start < m.partitions[name].end
    }  # fmt: skip
    return [(part, files.get(part, ""), mine.get(part, nothing)) for part in sorted(touched | set(mine))]


def described(rows: Rows, sha: str, interval: int, covered: tuple[tuple[int, int], ...]) -> Partition:
    """Return the manifest's line on a file."""
    time = rows["time"]
    gaps, missing = holes(time, interval, covered)
    return Partition(
        sha256=sha, rows=time.size, start=int(time[0]), end=int(time[-1]) + interval, gaps=gaps, missing=missing
    )


def revision(when: str, part: str, overlap: Overlap, before: str, after: str) -> Revision:
    """Return the manifest's line on rows that the source changed."""
    return Revision(
        retrieved_at=when, part=part, rows=overlap.revised, largest=overlap.largest, columns=overlap.columns,
        before_sha256=before, after_sha256=after,
    )  # fmt: skip


def told(got: Accepted, met: list[Overlap]) -> Written:
    """Return what became of a page's rows, over all of its parts."""
    repeated, revised = sum(o.repeated for o in met), sum(o.revised for o in met)
    return Written(
        added=int(got.rows["time"].size) - repeated - revised,
        repeated=repeated,
        revised=revised,
        largest=max((o.largest for o in met), default=0.0),
        duplicates=got.duplicates,
        open=got.open,
        strangers=got.strangers,
        vanished=sum(o.vanished for o in met),
    )


def asked(before: Asked | None, new: Asked) -> Asked:
    """Return what was asked so far, with a request."""
    if before is None:
        return new
    return new.model_copy(update={"start": min(before.start, new.start), "end": max(before.end, new.end)})


def gathered(fetches: tuple[Fetched, ...]) -> tuple[Fetched, ...]:
    """Return the pages, the newest one joined to those that it follows or precedes; those with notes stay alone."""
    *rest, new = fetches
    joint = True
    while joint:
        joint = next((old for old in rest if follows(old, new)), None) is not None
        for old in [old for old in rest if follows(old, new)][:1]:
            rest.remove(old)
            start, end = min(old.start, new.start), max(old.end, new.end)
            new = new.model_copy(update={"start": start, "end": end, "rows": old.rows + new.rows})
    return (*rest, new)


def follows(a: Fetched, b: Fetched) -> bool:
    """Whether two pages without notes touch, and came soon after one another from the same server."""
    apart = abs(datetime.fromisoformat(b.retrieved_at) - datetime.fromisoformat(a.retrieved_at))
    alike = not a.notes and not b.notes and a.address == b.address
    return alike and (a.end == b.start or b.end == a.start) and apart <= TOGETHER


def totalled(m: Manifest) -> Manifest:
    """Return a manifest with the sums of its files, and the gaps between them."""
    parts = sorted(m.partitions.values(), key=lambda p: p.start)
    between = [
        sum((b - a) // m.interval for a, b in inside(m.covered, before.end, after.start)) if m.interval else 0
        for before, after in pairwise(parts)
    ]
    gaps = sum(p.gaps for p in parts) + sum(size > 0 for size in between)
    missing = sum(p.missing for p in parts) + sum(between)
    return m.model_copy(update={"rows": sum(p.rows for p in parts), "gaps": gaps, "missing": missing})


def iso_text(time: int) -> str:
    """Return a time in ns UTC as ISO text to the second."""
    return datetime.fromtimestamp(time // SECOND, UTC).isoformat().replace("+00:00", "Z")
