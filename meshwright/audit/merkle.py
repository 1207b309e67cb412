"""RFC 6962, section 2.1: one hash over all entries, proof that an entry is under it, and that one tree goes on where another ended.

The leaves are the hashes of the entries. The checks are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that only grows. It keeps the roots of its complete subtrees, largest first: as many as `size` has bits set."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        digest = sha256(b"\x00" + leaf).digest()
        size = self.size
        peaks = self._peaks
        while size & 1:
            digest = sha256(b"\x01" + peaks.pop() + digest).digest()
            size >>= 1
        peaks.append(digest)
        self.size += 1

    def copy(self) -> Tree:
        tree = Tree()
        tree.size, tree._peaks = self.size, list(self._peaks)
        return tree

    @property
    def root(self) -> bytes:
        if not self._peaks:
            return sha256().digest()
        digest = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            digest = node(peak, digest)
        return digest


def root_of(leaves: Sequence[bytes]) -> bytes:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The audit path of the leaf at `index`, counted from 0, lowest first."""
    path: list[bytes] = []
    while len(leaves) > 1:
        half = _half(len(leaves))
        left, right = leaves[:half], leaves[half:]
        if index < half:
            path.append(root_of(right))
            leaves = left
        else:
            path.append(root_of(left))
            leaves, index = right, index - half
    return path[::-1]


def consistency(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Proof that the tree of the first `old` leaves (at least one) is the beginning of that of all of them."""
    proof: list[bytes] = []
    whole = True  # whether what is left of the old tree is a subtree of its own, which the verifier knows
    while old != len(leaves):
        half = _half(len(leaves))
        left, right = leaves[:half], leaves[half:]
        if old <= half:
            proof.append(root_of(right))
            leaves = left
        else:
            proof.append(root_of(left))
            leaves, old, whole = right, old - half, False
    if not whole:
        proof.append(root_of(leaves))
    return proof[::-1]


def includes(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that `leaf` is at `index` in the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    digest, at, last = sha256(b"\x00" + leaf).digest(), index, size - 1
    for each in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            digest = node(each, digest)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            digest = node(digest, each)
        at, last = at >> 1, last >> 1
    return last == 0 and digest == root


def continues(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` proves that the tree of `new` leaves begins with the tree of `old` leaves."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node(each, before), node(each, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node(after, each)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
