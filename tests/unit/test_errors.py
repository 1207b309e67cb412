"""One tree, one table to the wire."""

from __future__ import annotations

import pytest

from meshwright import errors
from meshwright.errors import (
    WIRE,
    CallerError,
    InvalidRequest,
    MeshError,
    PeerError,
    PeerTimedOut,
    kind_of,
    wire_of,
)

TREE = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MeshError)}


class Unpayable(InvalidRequest):
    """An author's own."""


class Unlucky(MeshError):
    """An author's own, of no kind that is known."""


class Hasty(Unlucky, PeerTimedOut):
    """An author's own, of two kinds."""


def test_every_error_has_its_place_on_the_wire() -> None:
    assert set(WIRE) == TREE


def test_no_two_errors_share_a_code() -> None:
    codes = [wire.code for wire in WIRE.values()]
    assert len(codes) == len(set(codes))


def test_only_the_other_side_can_be_indicted() -> None:
    assert all(issubclass(error, PeerError) for error in TREE if error.outcome.indicts)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (InvalidRequest("which one?"), InvalidRequest, 400),
        (CallerError("not so"), CallerError, 400),
        (PeerError("orders", "something"), PeerError, 502),
        (MeshError("something"), MeshError, 500),
        (Unpayable("too poor"), InvalidRequest, 400),
        (Unlucky("a bad day"), MeshError, 500),
        (Hasty("orders", "too slow"), PeerTimedOut, 504),
    ],
)
def test_a_branch_or_a_class_of_ones_own_is_told_as_the_nearest_of_the_tree(
    error: MeshError, kind: type[MeshError], status: int
) -> None:
    assert kind_of(error) is kind
    assert wire_of(error) == WIRE[kind]
    assert wire_of(error).status == status
