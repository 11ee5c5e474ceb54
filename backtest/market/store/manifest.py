"""The manifest of a stored series: what was asked, what is there, its checksums, and what the source changed since."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from backtest.errors import MarketError
from backtest.market.store.spans import Spans, outside

__all__ = ["MANIFEST", "Asked", "Fetched", "Manifest", "Partition", "Revision", "manifest_text", "read_manifest"]

MANIFEST = "manifest.json"
VERSION = 1
OPENING = b'{\n "sha256": "'  # the manifest's own checksum stands first; it is taken with zeros in its place
BLANK = b"0" * 64


class Record(BaseModel):
    """A part of a manifest; times in ns UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Partition(Record):
    """One file: its SHA-256 and its rows, from the first row's time to the last one's plus the interval.

    gaps: stretches without rows between them that the source was asked for; missing: how many bars these would hold.
    """

    sha256: str
    rows: int
    start: int
    end: int
    gaps: int = 0
    missing: int = 0


class Asked(Record):
    """What was asked of the source, all requests together; file, columns: of an import, the file and its own names."""

    start: int
    end: int
    file: str = ""
    columns: dict[str, str] = {}


class Fetched(Record):
    """Pages that followed one another: when the last came (ISO text), what they cover, their rows, what was noted.

    address: of the server that stood in for the source's own, "" for that.
    """

    retrieved_at: str
    start: int
    end: int
    rows: int
    notes: tuple[str, ...] = ()
    address: str = ""


class Revision(Record):
    """Rows that the source gave again with other numbers; largest: the largest relative difference, a fraction.

    part: the month or year; before_sha256, after_sha256: of its file with the old numbers and with the new ones.
    """

    retrieved_at: str
    part: str
    rows: int
    largest: float
    columns: tuple[str, ...]
    before_sha256: str
    after_sha256: str


class Manifest(Record):
    """All that is known about a stored series; interval in ns, 0 for stamps; partitions by file name.

    covered: the spans that need not be asked again, even where rows are missing in them.
    """

    version: Literal[1] = 1
    source: str
    symbol: str
    kind: str
    interval: int
    request: Asked | None = None
    covered: Spans = ()
    rows: int = 0
    gaps: int = 0
    missing: int = 0
    partitions: dict[str, Partition] = {}
    fetches: tuple[Fetched, ...] = ()
    revisions: tuple[Revision, ...] = ()

    @property
    def span(self) -> tuple[int, int]:
        """The first row's time and the end of the last one, ns UTC; (0, 0) without any."""
        parts = self.partitions.values()
        return (min(p.start for p in parts), max(p.end for p in parts)) if parts else (0, 0)

    @property
    def retrieved_at(self) -> str:
        """When the last page came, as ISO text; "" before the first."""
        return max((f.retrieved_at for f in self.fetches), default="")

    def uncovered(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the spans of [start, end) that were not fetched yet."""
        return outside(self.covered, start, end)


def manifest_text(manifest: Manifest) -> bytes:
    """Return a manifest as the bytes of its file, with their own checksum in front."""
    text = OPENING + BLANK + b'",' + manifest.model_dump_json(indent=1).encode()[1:] + b"\n"
    return text.replace(BLANK, hashlib.sha256(text).hexdigest().encode(), 1)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a series' folder, None where there is none; MarketError for one that was changed."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MarketError(f"{path} can't be read ({error.strerror}).") from None
    label, at = f"{folder.parent.name}/{folder.name}", len(OPENING)
    checksum = hashlib.sha256(text[:at] + BLANK + text[at + 64 :]).hexdigest()
    if not text.startswith(OPENING) or text[at : at + 64] != checksum.encode():
        raise MarketError(
            f"{label}: the file {MANIFEST} of the series was changed or cut off after it was written; put the original "
            f"back, or delete the folder {folder} and fetch the series again."
        )
    try:
        return Manifest.model_validate_json(b"{" + text[at + 64 + len(b'",') :])
    except ValidationError as error:
        what = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise MarketError(
            f"{label}: {MANIFEST} is of another version of the program (`{what}` is not as expected); use that version, "
            f"or delete the folder {folder} and fetch the series again."
        ) from None
