"""Of what an agent picks the customer has to have spoken, and not only of another thing that is called the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.policy import Policy
from meshwright.policy.facts import Lookups
from meshwright.policy.provenance import provenance
from meshwright.policy.spoken import spoken
from meshwright.settings import SettingsError

LOOKUPS = Lookups.model_validate(
    {
        "facts": {"shelf": {"tool": "look", "arguments": {}}},
        "spoken": {"thing": {"names": "shelf.names", "all": ["everything", "all of them"]}},
    }
)
NAMES = {
    "t1": ["vase", "blue vase"],
    "t2": ["vase", "red vase"],
    "c1": ["gift card", "card"],
    "c2": ["card"],
    "k": ["Kettle"],
}


def heard(words: str, thing: Any, names: Any = NAMES) -> bool:
    return spoken({"thing": thing}, words, {"shelf": {"names": names}}, LOOKUPS)["thing"]


@pytest.mark.parametrize(
    ("words", "thing", "said"),
    [
        ("the KETTLE, please", "k", True),
        ("the ｋｅｔｔｌｅ, please", "k", True),
        ("the kettles, please", "k", False),
        ("nothing of the kind", "k", False),
        ("the vase", "t1", False),
        ("the blue vase", "t1", True),
        ("the blue vase", "t2", False),
        ("the vase that is blue", "t1", False),
        ("both: vase and vase", ["t1", "t2"], True),
        ("the vase", ["t1", "k"], False),
        ("the blue vase and the kettle", ["t1", "k"], True),
        ("the blue vase", ["t1", "k"], False),
        ("my gift card", "c1", True),
        ("my gift card", "c2", False),
        ("my card", "c2", False),
        ("my card", ["c1", "c2"], True),
        ("t1 it is", "t1", True),
        ("t1 and the kettle", ["t1", "k"], True),
        ("t1 and something", ["t1", "k"], False),
        ("everything", "t1", True),
        ("everything", ["t1", "k"], False),
        ("All of them", ["t1", "t2", "c1", "c2", "k"], True),
        ("all of the others", "t1", False),
        ("the kettle", "t9", False),
        ("everything", "t9", False),
        ("the kettle", [], False),
        ("the kettle", "", False),
        ("the kettle", None, False),
        ("the kettle", 1, False),
        ("the kettle", {"a": ["k"]}, True),
    ],
)
def test_it_is_spoken_of_what_is_called_so_and_nothing_else_is(words: str, thing: Any, said: bool) -> None:
    assert heard(words, thing) is said


def test_the_only_one_that_there_is_need_not_be_named() -> None:
    assert heard("please", "k", {"k": ["kettle"]})
    assert not heard("please", "t1", {"k": ["kettle"]})


@pytest.mark.parametrize(
    "names", [None, {}, [], "k", 1, {"k": None}, {"k": "kettle"}, {"k": [1], "t1": ["x"]}]
)
def test_a_table_that_is_not_there_or_no_table_names_nothing(names: Any) -> None:
    assert not heard("the kettle", "k", names)


def test_a_look_alike_is_not_what_was_said() -> None:
    assert not heard("t1 it is", "ｔ1")
    assert not heard("t1 it is", "t\u200b1")


def test_what_is_not_proposed_is_not_asked_about() -> None:
    assert spoken({"other": "k"}, "the kettle", {"shelf": {"names": NAMES}}, LOOKUPS) == {}


def test_what_things_are_called_is_no_source_of_an_argument() -> None:
    assert provenance({"street": "red vase"}, "", {"shelf": {"names": NAMES}}, LOOKUPS) == {"street": "agent"}


def test_a_way_into_no_fact_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(SettingsError, match=r"spoken\.thing_id: shelf\.names leads into no fact"):
        Policy.load(write(facts='[spoken.thing_id]\nnames = "shelf.names"'))


WORDS = st.lists(
    st.sampled_from(
        [
            "the",
            "vase",
            "blue",
            "red",
            "gift",
            "card",
            "kettle",
            "t1",
            "k",
            "everything",
            "all",
            "of",
            "them",
            "and",
        ]
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    words=WORDS,
    thing=st.lists(st.sampled_from([*NAMES, "t9"]), min_size=1, max_size=3),
    gone=st.sampled_from(list(NAMES)),
)
def test_a_name_that_is_missing_never_makes_it_spoken_of(
    words: list[str], thing: list[str], gone: str
) -> None:
    """Of one that was picked; the others are only there to tell it from, and are told all or not at all."""
    text = " ".join(words)
    if gone in thing and not heard(text, thing):
        assert not heard(text, thing, {**NAMES, gone: []})
        assert not heard(text, thing, {name: called for name, called in NAMES.items() if name != gone})
