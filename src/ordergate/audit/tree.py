"""The Merkle tree of RFC 6962, and its proofs. Pure.

A leaf is the seal of one event, which stands for the whole record and for all records of its account
before it. `Frontier` grows a tree of any size out of the few hashes on its right edge; proofs are
made from all leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the perfect subtrees that a tree of `size` leaves is made of, the largest first."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count() or any(len(one) != HASH_BYTES for one in hashes):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees")
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def add(self, data: bytes) -> None:
        """One more leaf, at index `size`."""
        node, size = leaf_hash(data), self.size
        while size & 1:
            node = node_hash(self._hashes.pop(), node)
            size >>= 1
        self._hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self._hashes:
            return EMPTY_ROOT
        *rest, node = self._hashes
        for left in reversed(rest):
            node = node_hash(left, node)
        return node

    def copy(self) -> Frontier:
        return Frontier(self.size, self._hashes)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over the leaves' data."""
    tree = Frontier()
    for data in leaves:
        tree.add(data)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 6962, 2.1.1: what proves that the leaf at `index` is in the tree over `leaves`."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"there is no leaf {index} in a tree of {len(leaves)}")
    return _path([leaf_hash(data) for data in leaves], index)


def consistency_proof(leaves: Sequence[bytes], earlier: int) -> list[bytes]:
    """RFC 6962, 2.1.2: what proves that the tree over the first `earlier` leaves grew into this one."""
    if not 0 < earlier <= len(leaves):
        raise ValueError(f"a tree of {len(leaves)} leaves did not grow out of one of {earlier}")
    return _subproof([leaf_hash(data) for data in leaves], earlier, whole=True)


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    split = _split(len(hashes))
    if index < split:
        return [*_path(hashes[:split], index), _root(hashes[split:])]
    return [*_path(hashes[split:], index - split), _root(hashes[:split])]


def _subproof(hashes: Sequence[bytes], earlier: int, *, whole: bool) -> list[bytes]:
    if earlier == len(hashes):
        return [] if whole else [_root(hashes)]
    split = _split(len(hashes))
    if earlier <= split:
        return [*_subproof(hashes[:split], earlier, whole=whole), _root(hashes[split:])]
    return [*_subproof(hashes[split:], earlier - split, whole=False), _root(hashes[:split])]


def _root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves, level by level."""
    level = list(hashes)
    while len(level) > 1:
        pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = [*pairs, level[-1]] if len(level) % 2 else pairs
    return level[0]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
