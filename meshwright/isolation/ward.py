"""A playbook that runs in a process of its own: for whoever calls it, a playbook like any other."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from meshwright.errors import DeadlineExceeded, InvalidRequest, MeshError, WorkerFailed
from meshwright.isolation.fence import FILE_BYTES, Limits
from meshwright.isolation.frames import (
    MAX_CALLS,
    MAX_SAID,
    MAX_TALK,
    Answered,
    Broke,
    Call,
    Failed,
    Lie,
    Said,
    Trouble,
    body_from,
    packed,
    understood,
)
from meshwright.isolation.workplace import OUT_OF_MEMORY
from meshwright.parts import read_as

if TYPE_CHECKING:
    from meshwright.agent import Agent, Job
    from meshwright.findings import Part, Subtask
    from meshwright.isolation.workers import Worker, Workers

log = logging.getLogger(__name__)

#: Tool calls of one invocation at the same time; more wait in the pipe.
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
            visit.leave()
            self._workers.end(worker, grace)

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
    """One job in one worker: it is told what to do, its tools are called for it, and it says what came of it."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self._worker = worker
        self._job = job
        self._heard = 0
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._asked = 0
        self._pipe: asyncio.StreamWriter | None = None

    async def converse(self, subtask: Subtask) -> dict[str, object]:
        """The worker's answer, unvalidated. Raises what it reports, Lie, or (it is gone) IncompleteReadError or ConnectionError."""
        job = self._job
        reader, self._pipe = await asyncio.open_unix_connection(sock=self._worker.pipe, limit=MAX_SAID)
        order = {
            "subtask": subtask.model_dump(mode="json"),
            "seconds": job.by.remaining,
            "tokens": job.budget.left,
            "micros": job.budget.micros,
            "text": job.text,
            "caller": job.caller,
            "run": job.run,
        }
        self._pipe.write(packed(order))
        while True:
            match await self._next(reader):
                case Call() as call:
                    await self._begin(call, reader)
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

    async def _begin(self, call: Call, reader: asyncio.StreamReader) -> None:
        self._asked += 1
        if self._asked > MAX_CALLS or call.call in self._calls:
            raise Lie("it called more tools than it may, or one twice")
        if len(self._calls) >= AT_ONCE:
            await asyncio.wait(self._calls.values(), return_when=asyncio.FIRST_COMPLETED)
        serving = self._calls[call.call] = asyncio.ensure_future(self._serve(call))

        def served(task: asyncio.Task[None]) -> None:
            self._calls.pop(call.call, None)
            if not task.cancelled() and isinstance(error := task.exception(), Exception):
                reader.set_exception(error)  # ours to answer for, as where the playbook runs in this process

        serving.add_done_callback(served)

    async def _serve(self, call: Call) -> None:
        """One tool call, with the server's keys, deadline and breakers."""
        assert self._pipe is not None
        try:
            reply = {"id": call.call, "result": await self._job.tools.call(call.tool, **call.arguments)}
        except MeshError as error:
            trouble = Trouble.of(error)
            if trouble is None:
                raise
            reply = {"id": call.call, "failed": trouble.model_dump(exclude_defaults=True)}
        self._pipe.write(packed(reply))
        await self._pipe.drain()

    def leave(self) -> None:
        """Close the pipe, which tells the worker to stop, and call no more tools for it."""
        for task in list(self._calls.values()):
            task.cancel()
        if self._pipe is not None:
            self._pipe.transport.abort()
        else:
            self._worker.pipe.close()
