"""What goes through a worker's pipe arrives as it was, or not at all."""

from __future__ import annotations

import json

import pytest

from meshwright.errors import (
    WIRE,
    BreakerOpen,
    LeaseLost,
    MeshError,
    Overloaded,
    PeerOverloaded,
    PeerUnreachable,
    StoreUnavailable,
    ToolRefused,
)
from meshwright.isolation.frames import MAX_TOLD, packed
from meshwright.outbound import http, toolanswer
from meshwright.trouble import MAX_WORDS, Lie, Trouble

OURS = (LeaseLost, StoreUnavailable)


@pytest.mark.parametrize(
    "error",
    [
        ToolRefused("not like this"),
        PeerUnreachable("orderbook", "cannot be reached"),
        PeerOverloaded("orderbook", "has too much to do", 3.0),
        BreakerOpen("orderbook", 1.5),
        Overloaded("too much", 2.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_what_it_is(error: MeshError) -> None:
    trouble = Trouble.of(error)
    assert trouble is not None
    arrived = Trouble.model_validate_json(trouble.model_dump_json()).error()
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == {name: value for name, value in vars(error).items() if value != ""}


@pytest.mark.parametrize("kind", sorted(kind.__name__ for kind in WIRE if kind not in OURS))
def test_every_error_of_the_tree_can_arrive(kind: str) -> None:
    assert type(Trouble(kind=kind, words="x").error()).__name__ == kind


@pytest.mark.parametrize("kind", [*(kind.__name__ for kind in OURS), "ValueError"])
def test_what_a_worker_cannot_say_is_a_lie(kind: str) -> None:
    with pytest.raises(Lie):
        Trouble(kind=kind, words="x").error()


def test_a_class_of_ones_own_arrives_as_the_nearest_of_the_tree() -> None:
    class Unpaintable(ToolRefused):
        """An author's own."""

    trouble = Trouble.of(Unpaintable("no colour"))
    assert trouble is not None
    assert trouble.kind == "ToolRefused"


@pytest.mark.parametrize("error", [ValueError("4711"), *(kind("4711") for kind in OURS)])
def test_what_is_no_error_of_the_mesh_or_ours_alone_is_none(error: Exception) -> None:
    assert Trouble.of(error) is None


def test_words_without_end_are_cut() -> None:
    trouble = Trouble.of(ToolRefused("x" * 10_000))
    assert trouble is not None
    assert len(trouble.words) == MAX_WORDS


@pytest.mark.parametrize("letter", ["x", "é", "語", "🙂", "\n"])
def test_what_peers_and_tools_may_answer_a_worker_may_be_told(letter: str) -> None:
    said = len(json.dumps(letter * 1000, ensure_ascii=False).encode())
    told = len(packed(letter * 1000))
    assert told / said * max(http.MAX_ANSWER, toolanswer.MAX_ANSWER) < MAX_TOLD
