"""Draws by number: the i-th of a shuffle or of a sample, without making the ones before it."""

import hashlib

__all__ = ["key_of", "shuffled", "uniform"]

MASK = (1 << 64) - 1
ROUNDS = 6


def key_of(*parts: object) -> int:
    """Return a key of 64 bits for the draws that belong to some plain values."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def mixed(x: int) -> int:
    """Return 64 bits that depend on each bit of x. Source: SplitMix64, Steele, Lea & Flood, OOPSLA 2014."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def uniform(index: int, key: int) -> float:
    """Return the draw of that number in [0, 1)."""
    return (mixed(mixed(key) ^ index) >> 11) / (1 << 53)


def shuffled(index: int, size: int, key: int) -> int:
    """Return where a shuffle of range(size) puts a number; each place is taken once.

    Formula: a Feistel network over the next power of 4, walked until it lands inside. Source: Black & Rogaway, "Ciphers with
    arbitrary finite domains", CT-RSA 2002.

    >>> sorted(shuffled(i, 10, key=7) for i in range(10)) == list(range(10))
    True
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    while True:
        left, right = index >> half, index & low
        for turn in range(ROUNDS):
            left, right = right, left ^ (mixed(key + turn * 0x632BE59BD9B4E019 ^ right) & low)
        index = left << half | right
        if index < size:
            return index
