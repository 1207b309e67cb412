"""What is tried at the gateway, by an agent of ours and by one that takes no notice of budgets. What counts is what reaches the model server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.gateway.agent import SCRIPT, asked
from benchmarks.gateway.proxy import Gateway
from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import MeshError
from meshwright.outbound.model import Model

WORDS = "one two three four five six seven eight nine ten "


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: figures, and in words what should not have been."""

    figures: dict[str, Any]
    breaches: list[str] = field(default_factory=list)


async def an_agent_of_ours_works(gateway: Gateway, folder: Path) -> Trial:
    """Its model is asked twice, through the gateway, and its ledger says what the model server says."""
    reached, used = len(gateway.model.asked), gateway.model.used
    gateway.model.says(SCRIPT)
    answer = await asked(gateway, folder)
    finding = answer.data[0]
    figures = {"mode": finding["mode"], "tokens": answer.notes["usage"]["tokens"]}
    right = finding["reply"] == "It costs 10." and len(gateway.model.asked) - reached == 2
    right = right and figures == {"mode": "model", "tokens": gateway.model.used - used}
    return Trial(figures, [] if right else [f"it answered {finding} for {gateway.model.used - used} tokens"])


async def who_has_no_key_gets_nothing(gateway: Gateway, folder: Path) -> Trial:
    async with _rogue(gateway, "sk-nobody") as rogue:
        return _refused(gateway, {"status": (await _ask(rogue)).status_code}, {"status": 401}, 0)


async def what_an_agent_must_not_say_is_refused(gateway: Gateway, folder: Path) -> Trial:
    """Retries and fallbacks are calls that nobody has reserved; an end of the answer that is no number is none."""
    before, answers = len(gateway.model.asked), []
    async with _rogue(gateway, gateway.keys["orders"]) as rogue:
        for wish in (
            {"num_retries": 3},
            {"n": 50},
            {"fallbacks": ["desk"]},
            {"max_tokens": None},
            {"max_tokens": -1},
            {"model": "another"},
        ):
            answers.append((await _ask(rogue, **wish)).status_code)
        answers.append((await _ask(rogue, {"x-litellm-num-retries": "3"})).status_code)
        answers.append((await rogue.post("/key/generate", json={})).status_code)
        answers.append((await rogue.get("/v1/models")).status_code)
    right = [*[400] * 7, 403, 403]
    return _refused(gateway, {"statuses": answers}, {"statuses": right}, len(gateway.model.asked) - before)


async def tokens_by_the_minute_are_an_end(gateway: Gateway, folder: Path) -> Trial:
    """Sixteen at once, 64 in all, each worth a twentieth of the limit, and the model uses every token it may."""
    agent, prompt, room = "triage", WORDS * 40, 9_500
    limit, at_once = gateway.limits[agent]["tpm_limit"], gateway.limits[agent]["max_parallel_requests"]
    gateway.model.says([WORDS * 800])
    first = len(gateway.model.bills)
    async with _rogue(gateway, gateway.keys[agent]) as rogue:
        places = asyncio.Semaphore(at_once)

        async def one() -> httpx.Response:
            async with places:
                return await _ask(rogue, prompt=prompt, max_tokens=room)

        answers = await asyncio.gather(*(one() for _ in range(64)))
    bills = gateway.model.bills[first:]
    used = sum(read + written for read, written in bills)
    # It estimates four characters a token, and counts the truth afterwards: who is under way at the same time is estimated.
    estimated = at_once * (max(read for read, _ in bills) - len(prompt) // 4)
    refused = [a for a in answers if a.status_code == 429]
    figures = {
        "limit": limit,
        "used": used,
        "calls": len(bills),
        "refused": len(refused),
        "retry_after_s": int(refused[0].headers["retry-after"]) if refused else None,
    }
    breaches = [f"{used} tokens of {limit}"] if used > limit + estimated else []
    breaches += (
        [] if refused and used > limit * 0.8 else [f"{used} of {limit} tokens, {len(refused)} refused"]
    )
    return Trial(figures, breaches)


async def calls_at_once_are_limited(gateway: Gateway, folder: Path) -> Trial:
    """And whoever hangs up is hung up on the other side, and frees its place."""
    agent = "returns"
    limit = gateway.limits[agent]["max_parallel_requests"]
    gateway.model.says([{"hang": True}])
    before = len(gateway.model.asked)
    async with _rogue(gateway, gateway.keys[agent]) as rogue:
        calls = [asyncio.ensure_future(_ask(rogue)) for _ in range(limit + 8)]
        while sum(call.done() for call in calls) < 8 or len(gateway.model.asked) - before < limit:
            await asyncio.sleep(0.05)
        reached, refused = (
            len(gateway.model.asked) - before,
            [c.result().status_code for c in calls if c.done()],
        )
        gateway.model.hung_up.clear()
        began = time.monotonic()
        for call in calls:
            call.cancel()
        await gateway.model.hung_up.wait()
        seconds = round(time.monotonic() - began, 3)
        await asyncio.wait(calls)
        gateway.model.says(["there is room again"])
        after = (await _ask(rogue)).status_code
    figures = {"limit": limit, "reached": reached, "hung_up_after_s": seconds}
    right = (reached, refused, after) == (limit, [429] * 8, 200)
    return Trial(figures, [] if right else [f"{reached} of {limit} at once; refused {refused}; then {after}"])


async def calls_by_the_minute_are_limited(gateway: Gateway, folder: Path) -> Trial:
    """This one also holds what its tokens do not: calls that fail, or are broken off, are not counted in tokens."""
    agent = "accounts"
    limit = gateway.limits[agent]["rpm_limit"]
    gateway.model.says([{"status": 500}])
    before = len(gateway.model.asked)
    async with _rogue(gateway, gateway.keys[agent]) as rogue:
        places = asyncio.Semaphore(8)

        async def one() -> int:
            async with places:
                return (await _ask(rogue)).status_code

        began = time.monotonic()
        answers = Counter(await asyncio.gather(*(one() for _ in range(limit + 20))))
        seconds = time.monotonic() - began
    reached = len(gateway.model.asked) - before
    figures = {"limit": limit, "reached": reached, "seconds": round(seconds, 1)}
    right = reached == limit and answers == {500: limit, 429: 20}
    # On a machine so slow that this takes a minute, another minute has begun.
    return Trial(
        figures, [] if right or seconds > 50 else [f"{reached} of {limit} a minute; {dict(answers)}"]
    )


async def our_client_knows_what_it_is_told(gateway: Gateway, folder: Path) -> Trial:
    """No key, and no tokens left this minute (after the trial of tokens): what is told apart, and costs nothing."""
    told = {"no key": await _said(gateway, ""), "tokens": await _said(gateway, "triage", 9_500)}
    right = told == {"no key": "PeerRefused", "tokens": "PeerOverloaded, after 60 s"}
    return Trial(told, [] if right else [f"our client says {told}"])


async def _said(gateway: Gateway, agent: str, room: int = 20) -> str:
    """How our client calls what the gateway answers, and that it is charged for nothing."""
    model, budget = Model("openai/desk", gateway.url, gateway.keys.get(agent, "sk-nobody")), Budget(100_000)
    try:
        await model.chat(
            [{"role": "user", "content": "hello"}], by=Deadline.after(30), budget=budget, max_tokens=room
        )
    except MeshError as error:
        after = getattr(error, "retry_after", None)
        costs = f", for {budget.spent} tokens" if budget.spent else ""
        return type(error).__name__ + (f", after {after:.0f} s" if after is not None else "") + costs
    return "an answer"


def _refused(gateway: Gateway, figures: dict[str, Any], right: dict[str, Any], reached: int) -> Trial:
    return Trial(
        figures, [] if figures == right and not reached else [f"{figures}, and {reached} calls got through"]
    )


def _rogue(gateway: Gateway, key: str) -> httpx.AsyncClient:
    """A client that knows nothing of budgets."""
    return httpx.AsyncClient(
        base_url=gateway.url,
        headers={"authorization": f"Bearer {key}"},
        timeout=60,
        limits=httpx.Limits(max_connections=None),
    )


async def _ask(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, prompt: str = "hello", **wishes: Any
) -> httpx.Response:
    body = {"model": "desk", "messages": [{"role": "user", "content": prompt}], "max_tokens": 10, **wishes}
    return await client.post("/chat/completions", json=body, headers=headers)


#: In this order: one looks at what another has left.
TRIALS: tuple[Callable[[Gateway, Path], Awaitable[Trial]], ...] = (
    an_agent_of_ours_works,
    who_has_no_key_gets_nothing,
    what_an_agent_must_not_say_is_refused,
    tokens_by_the_minute_are_an_end,
    our_client_knows_what_it_is_told,
    calls_at_once_are_limited,
    calls_by_the_minute_are_limited,
)
