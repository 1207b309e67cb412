"""Who has no grant for exactly this write, made by a process that may grant it, writes nothing; and a grant writes once."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from meshwright.grants.grant import digest
from meshwright.testing import Keyring

CANCEL = {"order_id": "#W1", "reason": "no longer needed"}
REFUND = {"order_id": "#W2", "amount_cents": 100, "payment_method_id": "credit_card_1", "reason": "caf\u00e9"}
NOW = int(time.time())


def compact(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A JWS that nobody signed."""
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
    )
    return ".".join((*parts, ""))


async def test_a_grant_allows_its_write_and_the_journal_says_who_allowed_it(counter: Any) -> None:
    receipt = await counter.write(counter.signed())
    [effect] = await counter.journal()
    assert (receipt["state"], receipt["grant"]) == ("cancelled", "a-grant-of-the-test")
    assert (effect.grant, effect.policy, effect.approvers) == ("a-grant-of-the-test", "test", ["ann"])
    assert (effect.key, effect.ticket, effect.caller) == ("key-1", "ticket-1", "orchestrator")


@pytest.mark.parametrize("who", ["orders", "clerk", "console", "operator", "desk", "orderbook"])
async def test_no_other_process_writes_whatever_it_signs_or_holds(
    counter: Any, refused: Any, who: str
) -> None:
    for grant in (
        None,
        counter.signed(),  # the orchestrator's, stolen
        counter.signed(who, iss=who),  # its own
        counter.signed(who),  # its own, in the orchestrator's name
    ):
        for scope in ("", "apply", "apply write admin"):
            with pytest.raises(refused, match=r"may not write with orderbook\.cancel_order"):
                await counter.write(grant, who=who, scope=scope)
    assert await counter.untouched()


async def test_a_stranger_is_not_even_heard(counter: Any, refused: Any) -> None:
    with pytest.raises(refused, match="401"):
        await counter.write(counter.signed(), who=None)
    ring = Keyring("orchestrator")  # the right name, and a key of somebody else
    grant = ring.signer("orchestrator").signed("grant+jwt", counter.claims())
    with pytest.raises(refused, match="401"):
        await counter.write(grant, bearer=ring.signer("orchestrator").token("orderbook"))
    with pytest.raises(refused, match="does not verify"):
        await counter.write(grant)
    assert await counter.untouched()


async def test_a_name_alone_writes_nothing_not_even_the_orchestrators(counter: Any, refused: Any) -> None:
    for scope in ("", "apply"):
        with pytest.raises(refused, match="a write needs a grant"):
            await counter.write(None, scope=scope)
    assert await counter.untouched()


@pytest.mark.parametrize("by", ["orders", "console", "operator", "clerk", "orderbook"])
async def test_the_orchestrator_cannot_be_made_to_use_anothers_grant(
    counter: Any, refused: Any, by: str
) -> None:
    with pytest.raises(refused, match="other hands"):
        await counter.write(counter.signed(by, iss=by))
    with pytest.raises(refused, match="not of the key that signed it"):
        await counter.write(counter.signed(by))
    assert await counter.untouched()


async def test_a_process_that_may_grant_some_writes_may_grant_no_others(counter: Any, refused: Any) -> None:
    letter = {"ticket_id": "t1", "text": "Hello."}
    mine = {"iss": "clerk", "tool": "reply", "arguments": letter, "aud": "desk"}
    sent = {"tool": "reply", "who": "clerk", "server": "desk"}
    assert (await counter.write(counter.signed("clerk", **mine), letter, **sent))["state"] == "answered"
    with pytest.raises(refused, match=r"may not write with orderbook\.cancel_order"):
        await counter.write(counter.signed("clerk", iss="clerk"), who="clerk")
    assert len(await counter.journal()) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "desk"}, "not for this server"),
        ({"aud": None}, "not for this server"),
        ({"tool": "change_payment"}, "not made for exactly this call"),
        ({"args": digest({**CANCEL, "order_id": "#W6"})}, "not made for exactly this call"),
        ({"key": "key-2"}, "not made for exactly this call"),
        ({"ticket": "ticket-2"}, "not made for exactly this call"),
        ({"iat": NOW - 120, "exp": NOW - 60}, "has expired"),
        ({"iat": NOW + 3600, "exp": NOW + 3660}, "of no time"),
        ({"iat": NOW, "exp": NOW + 3600}, "of no time"),
        ({"iat": NOW + 3, "exp": NOW}, "of no time|has expired"),
        ({"exp": None}, "does not verify|of no time|has expired"),
        ({"iat": str(NOW)}, "does not verify"),
        ({"exp": True}, "does not verify"),
        ({"jti": None}, "does not verify"),
        ({"jti": "x"}, "does not verify"),
        ({"key": ""}, "does not verify"),
        ({"verdict": {"decision": "review", "policy": ""}}, "does not verify"),
        ({"verdict": {"decision": "reject", "policy": ""}}, "does not verify"),
        ({"only_below": 100}, "does not verify"),  # a limit that this build does not know
    ],
)
async def test_a_grant_for_something_else_is_none(counter: Any, refused: Any, changes: Any, why: str) -> None:
    with pytest.raises(refused, match=why):
        await counter.write(counter.signed(**changes))
    assert await counter.untouched()


@pytest.mark.parametrize(
    "sent",
    [
        {**REFUND, "amount_cents": 10_000},
        {**REFUND, "amount_cents": 100.0},
        {**REFUND, "amount_cents": "100"},
        {**REFUND, "order_id": "#W1"},
        {**REFUND, "reason": "cafe\u0301"},  # the same to the eye, another text
        {**REFUND, "reason": "caf\u00e9\u200b"},
        {**REFUND, "reason": "caf\u00e9 "},
        {**REFUND, "note": None},
        {name: value for name, value in REFUND.items() if name != "reason"},
    ],
)
async def test_approved_were_these_arguments_and_no_others_run(counter: Any, refused: Any, sent: Any) -> None:
    grant = counter.signed(tool="refund", arguments=REFUND)
    with pytest.raises(refused):
        await counter.write(grant, sent, tool="refund")
    assert await counter.untouched()
    turned = dict(reversed(REFUND.items()))  # the order of keys has no meaning
    assert (await counter.write(grant, turned, tool="refund"))["amount_cents"] == 100


async def test_arguments_that_mean_two_things_are_refused_before_anybody_reads_them(counter: Any) -> None:
    twice = '{"order_id": "#W6", "order_id": "#W1", "reason": "no longer needed"}'
    body = (
        '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":'
        f' {{"name": "cancel_order", "arguments": {twice}, "_meta": META}}}}'
    )
    assert (await counter.post(counter.signed(), body=body)).status_code == 400
    assert await counter.untouched()


@pytest.mark.parametrize("left", ["-1", '"5000"', "[5000]"])
async def test_a_time_that_is_none_is_refused_in_words(counter: Any, left: str) -> None:
    meta = (
        '{"io.modelcontextprotocol/protocolVersion": "2026-07-28",'
        f' "io.modelcontextprotocol/clientCapabilities": {{}}, "meshwright/deadline-ms": {left}}}'
    )
    call = f'{{"name": "cancel_order", "arguments": {json.dumps(CANCEL)}, "_meta": {meta}}}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {call}}}'
    said = (await counter.post(None, body=body)).json()["result"]["content"][0]["text"]
    assert "must be the milliseconds that remain" in said


async def test_a_number_that_is_none_does_not_get_as_far_as_the_tool(counter: Any) -> None:
    call = f'{{"name": "cancel_order", "arguments": {json.dumps(CANCEL)}, "_meta": {{"meshwright/deadline-ms": 1e999}}}}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {call}}}'
    assert (await counter.post(counter.signed(), body=body)).status_code == 400
    assert await counter.untouched()


async def test_what_is_no_grant_is_refused(counter: Any, refused: Any) -> None:
    claims = counter.claims()
    header = {"typ": "grant+jwt", "kid": "orchestrator"}
    signer = counter.ring.signer("orchestrator")
    for grant in (
        compact({**header, "alg": "none"}, claims),
        compact({**header, "alg": "HS256"}, claims),
        signer.signed("at+jwt", claims),  # signed by the right key, as another kind of thing
        signer.signed("mesh-link+jwt", claims),
        signer.token("orderbook", scope="apply"),
        counter.signed()[:-3] + "AAA",
        counter.signed(approvers=["x" * 100] * 100),
        "",
        "x",
        "a.b.c",
        {"jti": "a-grant-of-the-test"},
        [counter.signed()],
        True,
    ):
        with pytest.raises(refused, match="grant"):
            await counter.write(grant)
    for bearer in (counter.signed(), signer.signed("grant+jwt", {**claims, "sub": "orchestrator"})):
        with pytest.raises(refused, match="401"):
            await counter.write(counter.signed(), bearer=bearer)
    assert await counter.untouched()


async def test_clocks_may_differ_by_a_few_seconds(counter: Any) -> None:
    now = int(time.time())
    assert not (await counter.write(counter.signed(iat=now + 3, exp=now + 10)))["replayed"]
    letter = {"ticket_id": "t1", "text": "Hello."}
    late = {"tool": "reply", "arguments": letter, "aud": "desk", "iat": now - 30, "exp": now - 2}
    grant = counter.signed(jti="another-grant", key="key-2", **late)
    await counter.write(grant, letter, tool="reply", server="desk", key="key-2")


async def test_a_grant_that_was_used_gives_its_receipt_again_and_nothing_more(
    counter: Any, refused: Any
) -> None:
    grant = counter.signed()
    first = await counter.write(grant)
    again = await counter.write(grant)
    fresh = await counter.write(counter.signed(jti="a-second-grant"))
    assert again == fresh == {**first, "replayed": True}
    for changed in ({"key": "key-2"}, {"ticket": "ticket-2"}):
        with pytest.raises(refused, match="not made for exactly this call"):
            await counter.write(grant, **changed)
    with pytest.raises(refused, match="used for another key"):
        await counter.write(counter.signed(key="key-2"), key="key-2")  # the same id, signed anew
    other = {**CANCEL, "order_id": "#W6"}
    with pytest.raises(refused, match="key already stands for another write"):
        await counter.write(counter.signed(jti="a-third-grant", arguments=other), other)
    assert len(await counter.journal()) == 1


async def test_a_grant_that_was_refused_stays_refused_though_the_world_changes(
    counter: Any, refused: Any
) -> None:
    sent = {**CANCEL, "order_id": "#W3"}
    grants = [counter.signed(arguments=sent, jti=f"grant-number-{n}") for n in range(2)]
    with pytest.raises(refused, match="it is processed"):
        await counter.write(grants[0], sent)
    await counter.shop.write(lambda db: db.execute("UPDATE orders SET status = 'pending'"))
    for grant in grants:  # replayed by who listened, and a call that was on its way all the time
        with pytest.raises(refused, match="it is processed"):
            await counter.write(grant, sent)
    assert await counter.journal() == []


async def test_of_many_uses_at_once_one_has_an_effect(counter: Any) -> None:
    grants = [counter.signed(jti=f"grant-number-{n % 3}") for n in range(12)]
    receipts = await asyncio.gather(*(counter.write(grant) for grant in grants))
    assert sum(not receipt["replayed"] for receipt in receipts) == 1
    assert len({receipt["grant"] for receipt in receipts}) == 1
    assert len(await counter.journal()) == 1
