"""The tree is that of RFC 6962: known answers, and proofs that hold for what is there and for nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.audit.merkle import Tree, consistency, continues, includes, inclusion, node, root_of

#: The leaves and roots of Certificate Transparency's own tests (merkle_tree_test.cc).
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
#: From the same tests: (leaf, size) to its path, and (old, new) to the proof.
PATHS = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
}
PROOFS = {
    (1, 8): PATHS[0, 8],
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_that_are_known(size: int) -> None:
    known = ROOTS[size - 1] if size else hashlib.sha256().hexdigest()
    assert root_of(LEAVES[:size]).hex() == known


def test_the_proofs_are_those_that_are_known() -> None:
    for (index, size), path in PATHS.items():
        assert [each.hex() for each in inclusion(index, LEAVES[:size])] == list(path)
    for (old, new), proof in PROOFS.items():
        assert [each.hex() for each in consistency(old, LEAVES[:new])] == list(proof)


def leaves_of(size: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(size)]


@pytest.mark.parametrize("size", [*range(1, 34), 100])
def test_every_leaf_is_proved_and_no_other_in_its_place(size: int) -> None:
    leaves = leaves_of(size)
    root = root_of(leaves)
    for index in range(size):
        path = inclusion(index, leaves)
        assert includes(root, size, index, leaves[index], path)
        assert not includes(root, size, index, b"other", path)
        assert not includes(root, size, (index + 1) % size, leaves[index], path) or size == 1
        assert not includes(root, size, index + size, leaves[index], path)
        assert not includes(root, size, index, leaves[index], [*path, root])
        assert not path or not includes(root, size, index, leaves[index], path[:-1])


@pytest.mark.parametrize("new", [*range(1, 34), 100])
def test_every_beginning_is_proved_and_no_other(new: int) -> None:
    leaves = leaves_of(new)
    root = root_of(leaves)
    for old in range(1, new + 1):
        before = root_of(leaves[:old])
        proof = consistency(old, leaves)
        assert continues(old, before, new, root, proof)
        assert not continues(old, root_of([*leaves[: old - 1], b"other"]), new, root, proof)
        assert not continues(old, before, new, node(root, root), proof)
        assert not continues(old, before, new, root, [*proof, root])
        assert not proof or not continues(old, before, new, root, proof[:-1])


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=4), max_size=70), st.integers(0, 70))
def test_a_tree_that_grows_has_the_root_of_one_that_was_built_at_once(leaves: list[bytes], cut: int) -> None:
    def by_the_book(part: list[bytes]) -> bytes:
        if len(part) < 2:
            return hashlib.sha256(b"\0" + part[0]).digest() if part else hashlib.sha256().digest()
        half = 1
        while half * 2 < len(part):
            half *= 2
        return node(by_the_book(part[:half]), by_the_book(part[half:]))

    tree = Tree()
    for leaf in leaves[:cut]:
        tree.add(leaf)
    copy = tree.copy()
    for leaf in leaves[cut:]:
        copy.add(leaf)
    assert tree.root == by_the_book(leaves[:cut])
    assert copy.root == by_the_book(leaves)
