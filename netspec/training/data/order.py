"""Who comes when: splits and the order of an epoch, as pure functions of a seed, the same on every machine and NumPy.

Random bits are Philox's (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), a function of a key and a counter: the
seed is the key, and the counter holds what the bits are for and the epoch. Rows are sorted by such bits. NumPy promises that its bit
generators stay as they are, which it does not of `permutation` and `shuffle`. No other random state is read or changed.
"""

from __future__ import annotations

import numpy as np

from netspec.diagnostics.model import Refusal

#: what random bits are for: a word of the counter
ORDER, SPLIT, BUCKETS = 0, 1, 2

_WORD = (1 << 64) - 1


def bits(count: int, seed: int, purpose: int, epoch: int = 0) -> np.ndarray:
    """Random uint64 numbers, [count]: the same for the same arguments, independent for others."""
    return np.random.Philox(key=seed & _WORD, counter=[0, 0, epoch & _WORD, purpose]).random_raw(count)


def permutation(count: int, seed: int, purpose: int = ORDER, epoch: int = 0) -> np.ndarray:
    """The numbers from 0 in a random order, int64 [count]: each stands in the last bits of a random number, and these are sorted,
    which is several times as fast as to sort the numbers by them."""
    room = np.uint64(max(count - 1, 1).bit_length())
    keys = (bits(count, seed, purpose, epoch) << room) | np.arange(count, dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64((1 << int(room)) - 1)).astype(np.int64)


def in_windows(rows: np.ndarray, block: int, window: int, seed: int, epoch: int) -> np.ndarray:
    """Rows in a random order that reads a file block by block: blocks of `block` rows are drawn in random order, and rows are mixed
    among `window` blocks at a time. With all blocks in one window it is a plain permutation's equal."""
    blocks, place = np.unique(rows // block, return_inverse=True)
    turn = np.empty(len(blocks), np.int64)
    turn[permutation(len(blocks), seed, BUCKETS, epoch)] = np.arange(len(blocks))
    return rows[np.lexsort((bits(len(rows), seed, ORDER, epoch), turn[place] // window))]


def by_length(order: np.ndarray, lengths: np.ndarray, batch: int, seed: int, epoch: int, batches: int = 64) -> np.ndarray:
    """An order in which the samples of a batch are of about one length: among every `batches` batches of the given order the samples
    are sorted by length, cut into batches, and the whole batches mixed. `lengths` are those of all rows of the table."""
    parts = []
    for start in range(0, len(order), batch * batches):
        some = order[start : start + batch * batches]
        some = some[np.argsort(lengths[some], kind="stable")]
        whole = len(some) // batch
        turns = permutation(whole, seed, BUCKETS, (epoch << 20) + start // (batch * batches) + (1 << 60))
        parts += [some[: whole * batch].reshape(whole, batch)[turns].reshape(-1), some[whole * batch :]]
    return np.concatenate(parts) if parts else order


def split(count: int, fractions: tuple[float, ...], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows for training, validation and testing, int64, each in ascending order: disjoint, and together all `count`.

    `fractions` are the three shares, or the first two, which then are all, or none (everything is for training). A part ends at the
    share of all rows, summed up to it, rounded. Rows are drawn by the seed without regard to their labels. Raises Refusal NS808 for
    fractions that are no shares of 1, and where one that is not 0 gets no row.
    """
    shares = tuple(fractions) or (1.0,)
    if len(shares) > 3 or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        written = ", ".join(f"{share:g}" for share in shares)
        raise Refusal(
            "NS808", f"the split [{written}] is no two or three shares that sum to 1", helps=("split = [0.8, 0.1, 0.1]",), status=2
        )
    rows, ends = permutation(count, seed, SPLIT), [0]
    for index in range(3):
        ends.append(count if index + 1 >= len(shares) else int(sum(shares[: index + 1]) * count + 0.5))
    parts = tuple(np.sort(rows[start:end]) for start, end in zip(ends, ends[1:]))
    for share, part, name in zip(shares, parts, ("training", "validation", "test")):
        if share > 0 and not len(part):
            raise Refusal("NS808", f"of {count} samples, a share of {share:g} leaves none for the {name} data")
    return parts  # type: ignore[return-value]
