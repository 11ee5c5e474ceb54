"""What the passport says of a stored series: where it came from and when, and what its manifest knows against it."""

from backtest.market.store.manifest import Manifest
from backtest.market.validate import count

__all__ = ["findings_of", "source_of"]


def source_of(label: str, manifest: Manifest) -> str:
    """Return a series as the passport names it, with the days on which it came.

    "store:binance/BTCUSDT_1h, retrieved 2026-03-01", or "retrieved 2025-07-01 to 2026-03-01".
    """
    days = sorted({fetch.retrieved_at[:10] for fetch in manifest.fetches}) or ["never"]
    return f"store:{label}, retrieved {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")


def findings_of(label: str, manifest: Manifest) -> tuple[str, ...]:
    """Return what the manifest knows: what the source has revised since, and what was noted when it came."""
    return (*stood_in(label, manifest), *revised(label, manifest), *noted(label, manifest))


def stood_in(label: str, manifest: Manifest) -> tuple[str, ...]:
    """Return a sentence on the servers that were asked in place of the source's own."""
    servers = sorted({fetch.address for fetch in manifest.fetches if fetch.address})
    if not servers:
        return ()
    return (f"{label} came from {', '.join(servers)}, not from the servers of {manifest.source}.",)


def revised(label: str, manifest: Manifest) -> tuple[str, ...]:
    """Return a sentence on the rows that came again with other numbers, with the checksums of the last change."""
    if not manifest.revisions:
        return ()
    largest, last = max(manifest.revisions, key=lambda r: r.largest), manifest.revisions[-1]
    rows = count(sum(r.rows for r in manifest.revisions), "row")
    how = f"the largest change is {largest.largest:.2%}, in {', '.join(largest.columns)}"
    hashes = f"SHA-256 of {last.part} {last.before_sha256[:12]} before and {last.after_sha256[:12]} after"
    return (f"{label}: the source has revised {rows} since they were first stored; {how}; {hashes}.",)


def noted(label: str, manifest: Manifest) -> tuple[str, ...]:
    """Return a sentence with the first of the notes, and how many there are."""
    notes = list(dict.fromkeys(note for fetch in manifest.fetches for note in fetch.notes))
    if not notes:
        return ()
    return (f"{label}: {count(len(notes), 'note')} when it was stored, the first: {notes[0].removesuffix('.')}.",)
