"""A playbook that runs in a process of its own: for whoever calls it, a playbook like any other."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from meshwright.errors import DeadlineExceeded, InvalidRequest, MeshError, WorkerFailed
from meshwright.isolation.fence import FILE_BYTES, Limits
from meshwright.isolation.frames import (
    MAX_CALLS,
    MAX_SAID,
    MAX_TALK,
    Answered,
    Ask,
    Broke,
    Call,
    Drop,
    Failed,
    Omit,
    Pose,
    Propose,
    Said,
    Wanted,
    body_from,
    packed,
    purse,
    understood,
)
from meshwright.isolation.workplace import OUT_OF_MEMORY
from meshwright.parts import read_as
from meshwright.trouble import Lie, Trouble

if TYPE_CHECKING:
    from meshwright.agent import Agent, Job
    from meshwright.findings import Part, Subtask
    from meshwright.isolation.workers import Worker, Workers

log = logging.getLogger(__name__)

#: What one invocation asks for at the same time, of tools and of agents; more waits.
AT_ONCE = 16


class PlaybookBroke(Exception):
    """A playbook raised what is no error of the mesh. The text is the traceback, for our log only."""


class Ward:
    """Runs one agent's playbook, each invocation in a worker that has done nothing before and does nothing after."""

    def __init__(self, agent: Agent, limits: Limits, workers: Workers) -> None:
        self._agent = agent
        self._limits = limits
        self._workers = workers

    async def __call__(self, subtask: Subtask, job: Job) -> Part:
        """The playbook's answer. Raises what it raised, or WorkerFailed; when cancelled, its worker ends after the grace."""
        worker = await self._workers.take()
        self._workers.end(worker, max(job.by.remaining, 0.0) + self._limits.grace)
        visit, grace = Visit(worker, job), 0.0
        try:
            return self._read(await visit.converse(subtask))
        except Lie as lie:
            log.warning("a worker of %s was ended: %s", self._agent.name, lie)
            raise WorkerFailed(f"its worker was ended, because {lie}") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            self._workers.end(worker)  # closing the pipe alone is no death
            why = self._cause(await worker.gone)
            log.warning("a worker of %s is gone: %s", self._agent.name, why)
            if job.by.expired:
                raise DeadlineExceeded("the deadline passed before the work was done") from None
            raise WorkerFailed(f"its worker {why}") from None
        except asyncio.CancelledError:
            grace = self._limits.grace
            raise
        finally:
            self._workers.end(worker, grace)
            await visit.leave()

    def _read(self, answer: dict[str, object]) -> Part:
        try:
            return read_as(self._agent.answers, answer)
        except InvalidRequest as error:
            raise WorkerFailed(f"its answer is none: {error}") from None

    def _cause(self, status: int) -> str:
        """What a wait status says, in words for the caller."""
        limits = self._limits
        if os.WIFSIGNALED(status):
            match os.WTERMSIG(status):
                case signal.SIGXCPU:
                    return f"had used its {limits.cpu} s of CPU"
                case signal.SIGXFSZ:
                    return f"wrote a file of more than {FILE_BYTES} bytes"
                case signal.SIGKILL:
                    return "was killed from outside (memory may be short), or had closed its pipe"
                case number:
                    return f"crashed ({signal.strsignal(number) or number})"
        if os.WEXITSTATUS(status) == OUT_OF_MEMORY:
            return f"had used its {limits.memory} MiB of memory"
        return f"ended by itself, with exit code {os.WEXITSTATUS(status)}"


class Visit:
    """One job in one worker: it is told what to do, tools and agents are asked for it, and it says what came of it."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self._worker = worker
        self._job = job
        self._heard = 0
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._asked = self._dropped = 0
        self._room = asyncio.Semaphore(AT_ONCE)
        self._pipe: asyncio.StreamWriter | None = None

    async def converse(self, subtask: Subtask) -> dict[str, object]:
        """The worker's answer, unvalidated. Raises what it reports, Lie, or (it is gone) IncompleteReadError or ConnectionError."""
        job = self._job
        reader, self._pipe = await asyncio.open_unix_connection(sock=self._worker.pipe, limit=MAX_SAID)
        order = {
            "subtask": subtask.model_dump(mode="json"),
            "seconds": job.by.remaining,
            "budget": purse(job.budget),
            "text": job.text,
            "caller": job.caller,
            "run": job.run,
        }
        self._pipe.write(packed(order))
        while True:
            match await self._next(reader):
                case Call() | Ask() | Propose() | Pose() as question:
                    self._begin(question, reader)
                case Omit(omit=key, why=why, size=size):
                    job.omitted(key, why, size=size)
                case Drop(drop=number):
                    self._drop(number)
                case Answered(answer=answer):
                    return answer
                case Failed(failed=trouble):
                    raise trouble.error()
                case Broke(broke=text):
                    raise PlaybookBroke(text)

    async def _next(self, reader: asyncio.StreamReader) -> Said:
        body = await body_from(reader, MAX_SAID)
        self._heard += len(body)
        if self._heard > MAX_TALK:
            raise Lie(f"it said more than {MAX_TALK} bytes")
        return understood(body)

    def _begin(self, question: Wanted, reader: asyncio.StreamReader) -> None:
        self._asked += 1
        if self._asked > MAX_CALLS or question.id in self._calls:
            raise Lie("it asked for more than it may, or for one thing twice")
        serving = self._calls[question.id] = asyncio.ensure_future(self._serve(question))

        def served(task: asyncio.Task[None]) -> None:
            self._calls.pop(question.id, None)
            if not task.cancelled() and isinstance(error := task.exception(), Exception):
                reader.set_exception(error)  # ours to answer for, as where the playbook runs in this process

        serving.add_done_callback(served)

    def _drop(self, number: int) -> None:
        self._dropped += 1
        if self._dropped > self._asked:
            raise Lie("it takes back more than it asked for")
        if number in self._calls:  # else it has been answered just now
            self._calls[number].cancel()

    async def _serve(self, question: Wanted) -> None:
        """One question, asked with the server's keys, its deadline, its budget and its breakers."""
        assert self._pipe is not None
        async with self._room:
            reply: dict[str, Any] = {"id": question.id}
            try:
                reply["result"] = await self._result(question)
            except MeshError as error:
                trouble = Trouble.of(error)
                if trouble is None:
                    raise
                reply["failed"] = trouble.model_dump(exclude_defaults=True)
            if isinstance(question, Ask):
                reply["budget"] = purse(self._job.budget)
            self._pipe.write(packed(reply))
            await self._pipe.drain()

    async def _result(self, question: Wanted) -> dict[str, Any]:
        job = self._job
        if isinstance(question, Call):
            return await job.tools.call(question.tool, **question.arguments)
        if isinstance(
            question, Propose
        ):  # what is asked for the first time is not answered: this turn ends then
            return (await job.propose(question.proposal)).model_dump(mode="json")
        if isinstance(question, Pose):
            return {"text": await job.ask(question.question.text, about=question.question.about)}
        details, share = question.details, question.share
        finding = await job.peers.ask(question.skill, question.instruction, details=details, share=share)
        return finding.model_dump(mode="json")

    async def leave(self) -> None:
        """Close the pipe, which tells the worker to stop, and call off what it asked for: what that cost is settled then."""
        if self._pipe is not None:
            self._pipe.transport.abort()
        else:
            self._worker.pipe.close()
        serving = list(self._calls.values())
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)
