"""A peer is asked by letter: written down before it leaves, with what it may cost, so that a crash neither asks nor answers twice."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from meshwright.budget import Amount, used_in
from meshwright.deadline import Deadline
from meshwright.errors import LeaseLost, MeshError, PeerOverloaded, PeerTaskFailed, StoreUnavailable
from meshwright.findings import Asks
from meshwright.outbound.answers import cost_of
from meshwright.outbound.peer import Answer, Peer
from orchestrator.explained import short_of_budget
from orchestrator.work import Drive

#: The part of its time for which a peer that still starts is waited for: the rest is for its work, or for the next in line.
COLD_SHARE = 0.5


async def sent(
    drive: Drive,
    peer: Peer,
    by: Deadline,
    key: str,
    body: dict[str, Any],
    want: Amount,
    accepts: Callable[[Answer], object],
    *,
    hears: bool = False,
    answers: tuple[str, str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Answer:
    """Ask one peer through the outbox: who does this again after a crash finds the letter, the peer's task, or the answer.

    `hears`, `answers` and `about` are those of `Peer.ask`.

    What it may spend, `want` at most, is reserved with the letter. Raises LeaseLost, StoreUnavailable, or what `peer.ask` raises.
    """
    purse, heard = drive.purse, False
    letter = drive.letters.get(key) or await drive.outbox.post(
        key, peer.url, body, purse.reserving(key, want, by.remaining), answers[0] if answers else ""
    )
    if letter.answer is not None:
        known = letter.answer
        asks = Asks.model_validate(known["asks"]) if known.get("asks") else None
        return Answer(letter.remote, known["data"], known["text"], known["notes"], asks)
    if letter.state == "off":
        raise PeerTaskFailed(peer.name, f"asked before the restart: {letter.why}")

    async def began(task_id: str) -> None:
        nonlocal heard
        heard = True
        await drive.outbox.sent(key, task_id)

    granted = await purse.granted(key)
    short_of_budget(drive.minutes, key, peer.name, want, granted, about or {}, money=purse.money)
    try:
        send = functools.partial(
            peer.ask,
            letter.body["content"],
            by=by,
            text=letter.body["text"],
            tokens=granted.tokens,
            micros=granted.micros if purse.money else None,
            origin=drive.origin,
            message_id=key,
            remote=letter.remote,
            answers=answers,
            hears=hears,
            began=began,
            accepts=accepts,
            minutes=drive.minutes,
            about=about,
        )
        answer = await _once_warm(drive, peer, by, send)
    except (LeaseLost, StoreUnavailable):
        raise
    except MeshError as error:
        cost = cost_of(error, heard or bool(letter.remote), money=purse.money)
        await drive.outbox.given_up(key, str(error), purse.settling(key, cost))
        raise
    said = {"data": answer.data, "text": answer.text, "notes": dict(answer.notes)}
    if answer.asks is not None:
        said["asks"] = answer.asks.model_dump(mode="json")
    along = purse.settling(key, used_in(answer.notes, money=purse.money))
    await drive.outbox.answered(key, said, along, waits=answer.asks is not None)
    return answer


async def _once_warm(drive: Drive, peer: Peer, by: Deadline, send: Callable[[], Awaitable[Answer]]) -> Answer:
    """Send once the peer is ready, and again if it turns out that it had just started anew. Raises PeerCold, or what `send` raises."""
    until = by.share(COLD_SHARE)
    await drive.directory.require_warm(peer, until)
    try:
        return await send()
    except PeerOverloaded:
        if not await drive.directory.is_cold(peer, until):
            raise
    await drive.directory.require_warm(peer, until)
    return await send()
