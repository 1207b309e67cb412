"""The door of a tool server, for a tool that never looks at its grant: what is not good now does not come in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from meshwright.deadline import Deadline
from meshwright.errors import PeerRefused, ToolRefused
from meshwright.grants.grant import Grant
from meshwright.inbound.identity import Identity, Trust
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings, SettingsError
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access, Call, ToolServer

BOX = {"thing": "box"}


class Done(BaseModel):
    painted: str


class Naive:
    """A tool server that paints as often as it is let to, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.ring = Keyring("gate", "naive")
        server = ToolServer("naive", version="1")

        @server.write
        async def paint(thing: str, call: Call) -> Done:
            """Paints."""
            self.calls.append(call)
            return Done(painted=thing)

        identity = self.ring.identity("naive", open_to_strangers=False)
        app = tool_app(server, Settings(), identity, Access({}, {"gate": ("naive.*",)}))
        self.mesh = InProcess({"http://naive": app})

    def box(self, identity: Identity | None = None) -> Toolbox:
        return Toolbox(["http://naive"], self.mesh.client(), identity or self.ring.identity("gate"))


def test_no_tool_takes_the_place_of_another() -> None:
    """A read that is called like a write would be served without a grant, with no more than a line in the log."""
    server = ToolServer("naive", version="1")

    @server.read
    async def paint(thing: str) -> Done:
        return Done(painted=thing)

    for register in (server.read, server.write):
        with pytest.raises(ValueError, match="naive has a tool paint already"):
            register(paint)


async def test_a_tool_is_told_what_allowed_its_call() -> None:
    naive = Naive()
    grant = Grant.of("paint", BOX, key="key-1", ticket="run-1", policy="colours", approvers=("ann",))
    async with naive.mesh.running():
        await naive.box().session(by=Deadline.after(20)).apply(grant, BOX)
    [call] = naive.calls
    assert call.grant is not None
    assert (call.key, call.ticket, call.grant.jti) == ("key-1", "run-1", grant.jti)
    assert (call.grant.verdict.policy, call.grant.approvers, call.grant.iss) == ("colours", ["ann"], "gate")


@pytest.mark.parametrize("seconds", [0.3, 5, 30, 300])
async def test_a_grant_lives_no_longer_than_its_call_and_never_more_than_a_minute(seconds: float) -> None:
    naive = Naive()
    async with naive.mesh.running():
        await naive.box().session(by=Deadline.after(seconds)).apply(Grant.of("paint", BOX, key="k"), BOX)
    grant = naive.calls[0].grant
    assert grant is not None
    assert 1 <= grant.exp - grant.iat <= min(max(1, seconds), 60)


async def test_a_grant_that_ran_out_does_not_come_in() -> None:
    naive, now = Naive(), int(time.time())

    class Stale(Grant):
        def signed(self, signer: Any, audience: str, by: Deadline) -> str:
            times = {"iss": signer.name, "aud": audience, "iat": now - 90, "exp": now - 30}
            return str(signer.signed("grant+jwt", self.model_copy(update=times).model_dump()))

    async with naive.mesh.running():
        with pytest.raises(PeerRefused, match="the grant has expired"):
            await naive.box().session(by=Deadline.after(20)).apply(Stale.of("paint", BOX, key="k"), BOX)
    assert naive.calls == []


async def test_a_process_without_a_key_grants_nothing() -> None:
    naive = Naive()
    async with naive.mesh.running():
        keyless = Identity("gate", None, Trust("gate", {}, open_to_strangers=True))
        box = naive.box(keyless)
        with pytest.raises(ToolRefused, match="without a key"):
            box.grant(Grant.of("paint", BOX, key="k"), box.hosts[0], Deadline.after(20))
    assert naive.calls == []


def test_the_old_table_of_who_may_write_is_an_error_and_not_a_silence(tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text('[read]\n[write]\norchestrator = ["*"]\n')
    with pytest.raises(SettingsError, match=r"there is no \[write\], only \[read\] and \[grant\]"):
        Access.load(tmp_path / "access.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"grant = ['*']", r"grant must be a table \[grant\]"),
        (b"read = 'all'", r"read must be a table \[read\]"),
        (b"[grant]\ngate = '*'", r"\[grant\] gate must be a list"),
        (b"[grant", "access.toml: "),
        (b"# caf\xe9", "access.toml: .*utf-8"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "access.toml"
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=words):
        Access.load(path)
