"""A chain of agents is believed only as a whole, by the one it was made for; a loop or a chain too long ends with a clear error."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.errors import AncestryRefused, DelegationLoop, MeshError, Unauthenticated
from meshwright.inbound.ancestry import KIND, Ancestry, handed_on, split
from meshwright.inbound.identity import Identity, Trust
from meshwright.testing import Keyring

NAMES = ("alpha", "beta", "gamma", "delta")
RING = Keyring(*NAMES)
STRANGE = Keyring(*NAMES)


def chain(*names: str, ring: Keyring = RING, above: str = "") -> str:
    """`alpha, beta, gamma`: alpha asked beta, and beta asks gamma; what gamma is sent."""
    for agent, to in itertools.pairwise(names):
        above = handed_on(above, ring.identity(agent), to, task=f"task of {agent}", run="r1")
    return above


def door(me: str, *, depth: int = 8, clock: Callable[[], float] = time.time) -> Ancestry:
    return Ancestry(Trust.from_document(me, RING.document), depth, clock=clock)


def keyless(name: str) -> Identity:
    return Identity(name, None, Trust(name, {}, open_to_strangers=True))


def test_a_chain_says_who_asked_whom_for_which_task() -> None:
    links = door("gamma").check(chain("alpha", "beta", "gamma"), "beta")
    assert [(link.agent, link.to, link.task, link.run) for link in links] == [
        ("alpha", "beta", "task of alpha", "r1"),
        ("beta", "gamma", "task of beta", "r1"),
    ]


def test_without_a_chain_the_caller_is_where_it_begins() -> None:
    assert door("gamma").check("", "alpha") == ()


def test_an_agent_that_stands_above_itself_is_a_loop_and_the_error_names_it() -> None:
    with pytest.raises(DelegationLoop, match="alpha → beta → alpha"):
        door("alpha").check(chain("alpha", "beta", "alpha"), "beta")


def test_a_loop_that_somebody_above_let_pass_is_one_as_well() -> None:
    with pytest.raises(DelegationLoop, match="alpha → beta → alpha → gamma"):
        door("gamma").check(chain("alpha", "beta", "alpha", "gamma"), "alpha")


def test_a_chain_may_be_as_long_as_the_depth_and_no_longer() -> None:
    assert len(door("gamma", depth=2).check(chain("alpha", "beta", "gamma"), "beta")) == 2
    with pytest.raises(DelegationLoop, match="3 agents stand above"):
        door("delta", depth=2).check(chain("alpha", "beta", "gamma", "delta"), "gamma")


def test_a_depth_that_is_exceeded_is_refused_before_a_signature_is_looked_at() -> None:
    with pytest.raises(DelegationLoop, match="5000 agents"):
        door("gamma").check(",".join(["a.b.c"] * 5000), "beta")


def without_the_middle() -> str:
    first, _, last = split(chain("alpha", "beta", "gamma", "delta"))
    return f"{first}, {last}"


def made_again_without_the_middle() -> str:
    """gamma was asked by beta, and says that it was alpha."""
    first = split(chain("alpha", "beta"))[0]
    return chain("gamma", "delta", above=first)


def grafted() -> str:
    """What alpha signed for another of its tasks stands above what beta signed."""
    other = handed_on("", RING.identity("alpha"), "beta", task="another task", run="r2")
    return ", ".join([other, *split(chain("alpha", "beta", "gamma", "delta"))[1:]])


def in_another_name() -> str:
    """beta says that alpha asked it, under its own key."""
    claims = {"iss": "alpha", "aud": "beta", "above": "", "task": "t", "run": "r"}
    now = int(time.time())
    link = RING.signer("beta").signed(KIND, {**claims, "iat": now, "exp": now + 60})
    return chain("beta", "gamma", "delta", above=link)


def token_as_link() -> str:
    return RING.signer("gamma").token("delta")


@pytest.mark.parametrize(
    ("header", "caller"),
    [
        (chain("alpha", "beta", "gamma", "delta", ring=STRANGE), "gamma"),
        (chain("gamma", "delta", above=chain("alpha", "beta", "gamma", ring=STRANGE)), "gamma"),
        (without_the_middle(), "gamma"),
        (made_again_without_the_middle(), "gamma"),
        (", ".join(reversed(split(chain("alpha", "gamma", "delta")))), "gamma"),
        (chain("alpha", "beta"), "alpha"),
        (chain("gamma", "delta"), "beta"),
        (chain("alpha", "beta", "delta"), "gamma"),
        (in_another_name(), "gamma"),
        (grafted(), "gamma"),
        (token_as_link(), "gamma"),
        ("nonsense", "gamma"),
        ("e30", "gamma"),
        ("e30, " + chain("gamma", "delta"), "gamma"),
        ("," * 3, "gamma"),
        ("a.b.c", "gamma"),
        ("a" * 20_000, "gamma"),
        (handed_on("", keyless("gamma"), "delta", task="t", run="r"), "gamma"),
        (chain("gamma", "delta", above=handed_on(chain("alpha", "beta"), keyless("beta"), "gamma", task="", run="")), "gamma"),
    ],
    ids=[
        "all forged",
        "forged above",
        "cut",
        "cut by who signs again",
        "reordered",
        "for somebody else",
        "sent by another",
        "taken from another",
        "in another name",
        "grafted",
        "a token",
        "no link",
        "no claims",
        "no claims above",
        "empty links",
        "no signature",
        "too long",
        "not signed",
        "not signed in the middle",
    ],
)  # fmt: skip
def test_any_other_chain_is_refused(header: str, caller: str) -> None:
    with pytest.raises(AncestryRefused):
        door("delta").check(header, caller)


@given(st.data())
def test_no_character_of_a_chain_can_be_changed(data: Any) -> None:
    header = chain("alpha", "beta", "gamma", "delta")
    place = data.draw(st.integers(0, len(header) - 1))
    other = data.draw(st.sampled_from("AZaz09-_.,"))
    changed = header[:place] + other + header[place + 1 :]
    try:
        links = door("delta").check(changed, "gamma")
    except MeshError:
        return
    # Spaces carry nothing, and neither do the last bits of a base64 text.
    assert links == door("delta").check(header, "gamma")


def test_a_chain_is_good_for_a_minute_at_the_next_agent() -> None:
    header = chain("alpha", "beta")
    for later in (-7, 70):
        with pytest.raises(AncestryRefused, match="expired"):
            door("beta", clock=lambda later=later: time.time() + later).check(header, "alpha")  # type: ignore[misc]


def test_links_further_up_may_be_old_because_work_waits() -> None:
    with_old = chain("alpha", "beta")
    tomorrow = time.time() + 86_400
    claims = {"iss": "beta", "aud": "gamma", "iat": int(tomorrow), "exp": int(tomorrow) + 60}
    above = handed_on(with_old, RING.identity("beta"), "gamma", task="t", run="r")
    _, claimed = Trust.from_document("gamma", RING.document).verified(KIND, split(above)[1])
    link = RING.signer("beta").signed(KIND, {**claimed, **claims})
    assert len(door("gamma", clock=lambda: tomorrow).check(f"{with_old}, {link}", "beta")) == 2


def test_from_a_stranger_a_chain_can_only_forbid() -> None:
    me = keyless("beta")
    open_door = Ancestry(me.trust, 2)
    header = handed_on("", keyless("alpha"), "beta", task="t", run="r")
    assert [link.agent for link in open_door.check(header, "")] == ["alpha"]
    with pytest.raises(DelegationLoop):
        Ancestry(keyless("alpha").trust, 2).check(handed_on(header, me, "alpha", task="t", run="r"), "")


def test_who_has_a_key_hands_on_a_beginning_that_had_none() -> None:
    begun = handed_on("", keyless("alpha"), "beta", task="t", run="r")
    signed = handed_on(begun, RING.identity("beta"), "gamma", task="t", run="r")
    assert [link.signed for link in door("gamma").check(signed, "beta")] == [False, True]


def test_a_link_passes_for_no_token() -> None:
    with pytest.raises(Unauthenticated):
        Trust.from_document("beta", RING.document).caller(f"Bearer {split(chain('alpha', 'beta'))[0]}")
