"""Random numbers addressed by (seed, block, purpose, month, subscriber): no draw depends on another.

Common random numbers: a treated subscriber, a longer province or another order of work never shifts a draw.
"""

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_WEYL = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_MOST_EVENTS = 5


def _mixed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014), in place."""
    words ^= words >> np.uint64(30)
    words *= _MIX_A
    words ^= words >> np.uint64(27)
    words *= _MIX_B
    words ^= words >> np.uint64(31)
    return words


class Draws:
    """Every draw of one block of a seeded province; the same address gives the same number for ever."""

    def __init__(self, seed: int, block: int) -> None:
        self._name = f"{seed}/{block}"

    def _key(self, purpose: str, month: int) -> np.uint64:
        digest = hashlib.blake2b(f"{self._name}/{purpose}/{month}".encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "big"))

    def uniform(self, purpose: str, month: int, rows: Ints) -> Floats:
        """One number in (0, 1) for each row number; `month` is an ordinal (0 for facts without a month)."""
        words = _mixed(rows.astype(np.uint64) * _WEYL + self._key(purpose, month))
        return ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, purpose: str, month: int, rows: Ints) -> Floats:
        """One standard normal number for each row number (Box-Muller)."""
        radius = np.sqrt(-2.0 * np.log(self.uniform(purpose, month, rows)))
        angle = 2.0 * np.pi * self.uniform(purpose + "/angle", month, rows)
        return np.asarray(radius * np.cos(angle))

    def poisson(self, purpose: str, month: int, rows: Ints, mean: Floats) -> Ints:
        """A count (at most 5) for each row by inversion: more mean never shifts another row's count."""
        share = self.uniform(purpose, month, rows)
        term = np.exp(-mean)
        reached = term.copy()
        count = np.zeros(len(rows), dtype=np.int64)
        for number in range(1, _MOST_EVENTS + 1):
            count += share > reached
            term = term * mean / number
            reached += term
        return count

    def pick(self, purpose: str, month: int, rows: Ints, weights: list[float]) -> Ints:
        """An index into `weights` for each row, in proportion to them."""
        edges = np.cumsum(np.asarray(weights)) / sum(weights)
        found = np.searchsorted(edges, self.uniform(purpose, month, rows), side="right")
        return np.minimum(found, len(weights) - 1).astype(np.int64)
