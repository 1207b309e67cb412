"""A worker's life: it waits for one job, runs the playbook on it, says what came of it, and is gone.

Of the server it has a pipe, and nothing else: a tool, or another agent, is a question to the server, which has the keys, the
deadline, the budget and the breakers.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from socket import socket
from typing import TYPE_CHECKING, Any

from meshwright.agent import Agent, Job
from meshwright.asking import proposed
from meshwright.budget import Budget
from meshwright.deadline import Deadline
from meshwright.errors import PeerAnsweredBadly
from meshwright.extension import canonical
from meshwright.findings import Finding, Part, Proposal, Question, Settled, Subtask
from meshwright.isolation.frames import (
    MAX_CALLS,
    MAX_SAID,
    MAX_TOLD,
    MAX_TRACE,
    Ask,
    Call,
    Omit,
    Pose,
    Propose,
    body_from,
    framed,
    packed,
)
from meshwright.trouble import Trouble

if TYPE_CHECKING:
    from meshwright.records.decision import Withheld

#: The exit code of a worker that ran out of memory: there may be none left for words.
OUT_OF_MEMORY = 75


def work(agent: Agent, pipe: socket) -> int:
    """Do one job; the code for this process to end with."""
    gc.enable()  # what was loaded before is frozen; what one invocation leaves counts as its memory
    try:
        return asyncio.run(_work(agent, pipe))
    except MemoryError:
        return OUT_OF_MEMORY


async def _work(agent: Agent, pipe: socket) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=pipe, limit=MAX_TOLD)
    writer.transport.set_write_buffer_limits(high=0)
    try:
        job = json.loads(await body_from(reader, MAX_TOLD))
    except asyncio.IncompleteReadError:
        return 0  # not needed after all
    line = Line(writer, Budget(**job["budget"]))
    listening = asyncio.ensure_future(line.listen(reader))
    playing = asyncio.ensure_future(_playing(agent, job, line))
    await asyncio.wait({playing, listening}, return_when=asyncio.FIRST_COMPLETED)
    if not playing.done():  # the server has closed the pipe: nobody wants to know any more
        playing.cancel()
        await asyncio.wait({playing})
        return 0
    sys.stdout.flush()  # before the answer, because the server ends this process when it has it
    sys.stderr.flush()
    writer.write(_outcome(playing))
    # Not before the server has read it: the end of a process that was still being told something takes its last words with it.
    await asyncio.wait({listening})
    return 0


async def _playing(agent: Agent, job: dict[str, Any], line: Line) -> bytes:
    """The playbook's answer as a frame. What ends a process ends this one, here: a task would hold it back."""
    try:
        answer = await agent.playbook(
            Subtask.model_validate(job["subtask"]),
            Job(
                by=Deadline.after(job["seconds"]),
                tools=PipedTools(line),
                budget=line.budget,
                text=job["text"],
                caller=job["caller"],
                run=job["run"],
                peers=PipedPeers(line),
                asker=PipedAsker(line),
                omissions=PipedOmissions(line),
            ),
        )
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    frame = framed(b'{"answer":' + answer.model_dump_json().encode() + b"}")
    if len(frame) > MAX_SAID:
        raise ValueError(f"the answer has {len(frame)} bytes, and {MAX_SAID} are the most")
    return frame


def _outcome(playing: asyncio.Future[bytes]) -> bytes:
    error = (
        playing.exception()
        if not playing.cancelled()
        else asyncio.CancelledError("the playbook cancelled itself")
    )
    if error is None:
        return playing.result()
    if (trouble := Trouble.of(error)) is not None:
        return packed({"failed": trouble.model_dump(exclude_defaults=True)})
    text = "".join(traceback.format_exception(error))
    return packed({"broke": text[-MAX_TRACE:]})


class Line:
    """Questions to the server, any number of them at the same time. `budget` is what the server last said of the real one."""

    def __init__(self, pipe: asyncio.StreamWriter, budget: Budget) -> None:
        self.budget = budget
        self._pipe = pipe
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def ask(self, whom: str, question: Callable[..., Part]) -> dict[str, Any]:
        """The result of `question`, which is given its `id`. Raises what the server was answered; cancelled, it takes it back."""
        number = next(self._numbers)
        if number >= MAX_CALLS:
            raise PeerAnsweredBadly(whom, f"not asked: one invocation has {MAX_CALLS} questions")
        frame = framed(canonical(question(id=number).model_dump()).encode())
        if len(frame) > MAX_SAID:
            raise PeerAnsweredBadly(whom, f"not asked: {len(frame)} bytes of arguments are too many")
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._pipe.write(frame)
            await self._pipe.drain()
            return await answer
        except asyncio.CancelledError:
            self._pipe.write(packed({"drop": number}))
            raise
        finally:
            del self._asked[number]

    def tell(self, something: Part) -> None:
        """Say something that nobody answers."""
        self._pipe.write(framed(something.model_dump_json().encode()))

    async def listen(self, pipe: asyncio.StreamReader) -> None:
        """Hand results to who waits for them, until the server closes the pipe."""
        while True:
            try:
                told = json.loads(await body_from(pipe, MAX_TOLD))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            for name, value in told.get("budget", {}).items():
                setattr(self.budget, name, value)
            waiting = self._asked.get(told["id"])
            if waiting is None or waiting.done():
                continue  # whoever asked has been cancelled meanwhile
            if "failed" in told:
                waiting.set_exception(Trouble.model_validate(told["failed"]).error())
            else:
                waiting.set_result(told["result"])


class PipedTools:
    """The tools as a playbook in a worker sees them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a read tool. Raises ToolRefused (it said no, in words), or a PeerError."""
        return await self._line.ask(tool, functools.partial(Call, tool=tool, arguments=arguments))


class PipedPeers:
    """The other agents as a playbook in a worker sees them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def ask(
        self,
        skill: str,
        instruction: str,
        *,
        details: Mapping[str, Any] | None = None,
        share: float = 0.6,
    ) -> Finding:
        """Ask whoever offers `skill`. Raises NoPeer, DelegationLoop, DeadlineExceeded, BreakerOpen, or a PeerError."""
        content = {"skill": skill, "instruction": instruction, "details": dict(details or {}), "share": share}
        return Finding.model_validate(await self._line.ask(skill, functools.partial(Ask, **content)))


class PipedAsker:
    """Whoever asked the agent, as a playbook in a worker sees them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def propose(self, proposal: Proposal) -> Settled:
        """What becomes of a proposal. Raises InvalidRequest."""
        proposed(proposal)
        what = functools.partial(Propose, proposal=proposal)
        return Settled.model_validate(await self._line.ask(proposal.action, what))

    async def ask(self, question: Question) -> str:
        """The answer to a question."""
        answer = await self._line.ask("whoever asked", functools.partial(Pose, question=question))
        return str(answer["text"])


class PipedOmissions:
    """Where a playbook in a worker says what it left out."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def omitted(self, key: str, why: Withheld, size: int = 0) -> None:
        clean = key.encode(errors="replace").decode()
        self._line.tell(Omit(omit=clean, why=why, size=min(size, 2**53)))
