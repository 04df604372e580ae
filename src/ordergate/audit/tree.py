"""The Merkle tree of RFC 6962, and its proofs. Pure.

A leaf is the seal of one event, which stands for the whole record and for all records of its account
before it. `Frontier` grows a tree of any size out of the few hashes on its right edge; proofs are
made from all leaves, or of what was added to an edge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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


def growth_proof(edge: Frontier, added: Sequence[bytes]) -> list[bytes]:
    """The same for a tree of which only the right edge is known, and the leaves that were added to it."""
    if not edge.size or not added:
        return []
    new = [leaf_hash(data) for data in added]
    perfect: dict[int, bytes] = {}
    at = 0
    for height in range(edge.size.bit_length() - 1, -1, -1):
        if edge.size >> height & 1:
            perfect[at] = edge.hashes[len(perfect)]
            at += 1 << height
    return _edge_subproof(edge.size, perfect, new, 0, edge.size + len(new), whole=True)


def _edge_subproof(
    earlier: int, perfect: Mapping[int, bytes], new: Sequence[bytes], start: int, end: int, *, whole: bool
) -> list[bytes]:
    """As `_subproof` from leaf `start` to `end`; of the older ones only perfect subtrees are known."""
    if earlier == end:
        if whole:
            return []
        *rest, node = [perfect[at] for at in sorted(perfect) if at >= start]
        for left in reversed(rest):
            node = node_hash(left, node)
        return [node]
    split = start + _split(end - start)
    if earlier <= split:
        right = _root(new[split - earlier : end - earlier])
        return [*_edge_subproof(earlier, perfect, new, start, split, whole=whole), right]
    return [*_edge_subproof(earlier, perfect, new, split, end, whole=False), perfect[start]]


def grew(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2: true when the path proves that the later tree begins with the earlier one."""
    if old_size == size:
        return not path and old_root == root
    if not 0 <= old_size < size:
        return False
    if old_size == 0:
        return not path
    steps = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not steps:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if not last:
            return False
        if node & 1 or node == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, step)
        node, last = node >> 1, last >> 1
    return not last and (before, after) == (old_root, root)


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
