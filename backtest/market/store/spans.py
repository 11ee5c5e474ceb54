"""Spans of time as sorted, disjoint pairs [start, end): joined, cut out of one another, measured."""

from collections.abc import Iterable

__all__ = ["Spans", "inside", "joined", "outside"]

Spans = tuple[tuple[int, int], ...]


def joined(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return spans in order, those that touch or overlap as one; empty ones are left out.

    >>> joined([(5, 9), (0, 2), (2, 4), (7, 12), (20, 20)])
    ((0, 4), (5, 12))
    """
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return tuple(result)


def inside(spans: Spans, start: int, end: int) -> Spans:
    """Return what spans have of [start, end).

    >>> inside(((0, 4), (5, 12)), 3, 7)
    ((3, 4), (5, 7))
    """
    return joined((max(start, a), min(end, b)) for a, b in spans)


def outside(spans: Spans, start: int, end: int) -> list[tuple[int, int]]:
    """Return what spans leave of [start, end).

    >>> outside(((0, 4), (5, 12)), 3, 20)
    [(4, 5), (12, 20)]
    """
    covered = inside(spans, start, end)
    edges = [start, *(edge for span in covered for edge in span), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
