"""Times in a file to ns UTC: epochs in s, ms, us or ns by their size, and ISO texts with or without a zone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from backtest.market.clock import EPOCH

__all__ = ["epoch_ns", "iso_ns"]

# (unit, ns, smallest, largest): from 1973 to what int64 ns can hold, so that no number fits two units.
UNITS = (("s", 10**9, 1e8, 9.2e9), ("ms", 10**6, 1e11, 9.2e12), ("us", 10**3, 1e14, 9.2e15), ("ns", 1, 1e17, 9.2e18))


def epoch_ns(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return epoch times as int64 ns; the unit follows from the size and is one for the column. ValueError otherwise.

    Fractions of a unit are kept to the microsecond, which is what a float64 of this size still holds.

    >>> epoch_ns(np.array([1_770_138_000, 1_770_141_600])).tolist()
    [1770138000000000000, 1770141600000000000]
    """
    masks = {unit: (values >= low) & (values <= high) for unit, _, low, high in UNITS}
    odd = np.flatnonzero(~np.logical_or.reduce(list(masks.values())))
    if odd.size:
        raise ValueError(f"row {odd[0] + 1} holds {values[odd[0]]}, which is no epoch time in s, ms, us or ns")
    found = [unit for unit, mask in masks.items() if mask.any()]
    if len(found) > 1:
        rows = ", ".join(f"{unit} from row {int(np.argmax(masks[unit])) + 1}" for unit in found)
        raise ValueError(f"epoch times in mixed units: {rows}; use one unit for the whole column")
    factor = next((size for unit, size, _, _ in UNITS if unit == found[0]), 1) if found else 1
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64) * factor
    return np.round(values * (factor / 1000)).astype(np.int64) * 1000


def iso_ns(texts: list[str]) -> tuple[npt.NDArray[np.int64], bool]:
    """Return ISO texts as int64 ns, and whether they carry a zone; with some zoned and some not, ValueError.

    >>> iso_ns(["2024-03-01T05:30+05:30"])[0].tolist() == iso_ns(["2024-03-01"])[0].tolist()
    True
    """
    if all(text.isascii() and text.isdigit() and len(text) > 8 for text in texts):
        return epoch_ns(np.array([int(text) for text in texts], dtype=np.int64)), True
    odd_one_out(texts)
    moments = [moment(i, text) for i, text in enumerate(texts)]
    naive = [m.tzinfo is None for m in moments]
    if any(naive) and not all(naive):
        odd = naive.index(not naive[0])
        raise ValueError(
            f"row 1 is {texts[0]!r} and row {odd + 1} is {texts[odd]!r}: some times have a zone and some have none"
        )
    micro = timedelta(microseconds=1)
    stamps = [((m if m.tzinfo else m.replace(tzinfo=UTC)) - EPOCH) // micro for m in moments]
    if any(abs(s) > 9_200_000_000_000_000 for s in stamps):
        raise ValueError("a time lies outside the years 1678 to 2261")
    return np.array(stamps, dtype=np.int64) * 1000, not any(naive)


def odd_one_out(texts: list[str]) -> None:
    """Refuse a text that is no number in a column of epochs; without this the numbers would be blamed."""
    numeric = [text.isascii() and text.isdigit() for text in texts]
    if sum(numeric) > len(texts) / 2:
        i = numeric.index(False) if not all(numeric) else 0
        raise ValueError(f"row {i + 1} holds {texts[i][:40]!r}, not an epoch time like the other rows")


def moment(i: int, text: str) -> datetime:
    """Return one ISO text as a time."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"row {i + 1} holds {text[:40]!r}, not an ISO time such as 2024-03-01T05:00Z") from None
