"""One tree, one table to the wire."""

from __future__ import annotations

from meshwright.errors import WIRE, MeshError, PeerError, leaves


def test_every_error_that_is_raised_has_its_place_on_the_wire() -> None:
    assert set(WIRE) == set(leaves(MeshError))


def test_no_two_errors_share_a_code() -> None:
    codes = [wire.code for wire in WIRE.values()]
    assert len(codes) == len(set(codes))


def test_only_the_other_side_can_be_indicted() -> None:
    assert all(issubclass(error, PeerError) for error in leaves(MeshError) if error.outcome.indicts)
