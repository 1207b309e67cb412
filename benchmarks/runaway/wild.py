"""An agent that behaves as its instruction says: well, or in one of the ways in which an agent runs away.

MESHWRIGHT_PORT=8430 python -m benchmarks.runaway.wild
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.runaway.asking import ASKING
from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.errors import InvalidRequest, MeshError, ToolRefused
from meshwright.findings import Finding, Subtask

CARD = {
    "name": "wild",
    "description": "Behaves as it is told to.",
    "version": "1.0.0",
    "capabilities": {"streaming": True},
    "defaultInputModes": ["application/json", "text/plain"],
    "defaultOutputModes": ["application/json", "text/plain"],
    "skills": [{"id": "behave", "name": "Behave", "description": "Behaves as told.", "tags": ["test"]}],
}
#: What the last invocation in this process left behind, if there was one.
LEFT: list[str] = []
#: Iterations of a loop that takes about 5 ms of CPU.
SOME_WORK = 100_000
#: What a bomb stops at where nobody stops it, so that a broken fence is a red test and not a dead machine: pieces of 8 MB, processes.
MOST_MEMORY, MOST_CHILDREN = 250, 50


async def well(job: Job) -> Finding:
    """A bit of work, as a rule-following agent has it."""
    total = sum(number * number for number in range(SOME_WORK))
    await asyncio.sleep(0)
    return Finding(reply=f"{total}", facts={"pid": os.getpid()})


async def nothing(job: Job) -> Finding:
    return Finding()


async def spin(job: Job) -> Finding:
    while True:
        pass


async def swallow(job: Job) -> Finding:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def block(job: Job) -> Finding:
    time.sleep(3600)  # noqa: ASYNC251  that is the point
    return Finding()


async def regex(job: Job) -> Finding:
    """One call of C that never lets go of the interpreter."""
    re.fullmatch(r"(a|aa|a?)*b", "a" * 60)
    return Finding()


async def memory(job: Job) -> Finding:
    _eat()
    return Finding()


async def stubborn_memory(job: Job) -> Finding:
    """Goes on when there is none left."""
    while True:
        with contextlib.suppress(MemoryError):
            _eat()


def _eat() -> None:
    hoard = []
    for _ in range(MOST_MEMORY):
        hoard.append(bytearray(8_000_000))


async def fork(job: Job) -> Finding:
    """Makes processes, each in a session of its own, that listen to nobody."""
    made = 0
    while True:
        with contextlib.suppress(OSError):
            if made < MOST_CHILDREN and os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.alarm(30)
                signal.pause()
            made += 1


async def leave(job: Job) -> Finding:
    os._exit(3)


async def crash(job: Job) -> Finding:
    ctypes.string_at(0)
    return Finding()


def _pipe() -> socket.socket:
    """This worker's pipe to its server: the socket that was made by its parent."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and os.path.lexists(f"/proc/self/fd/{name}"):
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
                made_by, _, _ = struct.unpack(
                    "3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                )
                if made_by == os.getppid():
                    pipe = found.dup()
                    pipe.setblocking(True)
                    return pipe
    raise LookupError("no pipe")


async def flood(job: Job) -> Finding:
    """Says what is far too long, without an end."""
    pipe = _pipe()
    while True:
        pipe.sendall(b"\xff" * 65_536)


async def chatter(job: Job) -> Finding:
    """Says what is allowed, without an end."""
    pipe = _pipe()
    number = 0
    while True:
        body = b'{"id":%d,"tool":"look_at","arguments":{"thing":"x"}}' % (number % 200)
        pipe.sendall(struct.pack("!I", len(body)) + body)
        number += 1


def lie(text: str) -> Callable[[Job], Awaitable[Finding]]:
    """Says `text` in place of an answer, and then nothing."""

    async def lying(job: Job) -> Finding:
        _pipe().sendall(struct.pack("!I", len(text.encode())) + text.encode())
        await asyncio.sleep(3600)
        return Finding()

    return lying


async def tool(job: Job) -> Finding:
    seen = await asyncio.gather(*(job.tools.call("look_at", thing=f"t{number}") for number in range(20)))
    return Finding(facts={"seen": [thing["name"] for thing in seen]})


async def refused(job: Job) -> Finding:
    """The errors of tools, as this side of the pipe sees them."""
    facts: dict[str, str] = {}
    for name, arguments in (("look_at", {"thing": "gone"}), ("nothing", {}), ("break_down", {})):
        try:
            await job.tools.call(name, **arguments)
        except MeshError as error:
            facts[name] = f"{type(error).__name__}|{error}|{getattr(error, 'peer', '')}"
    return Finding(facts=facts)


async def hang_on_a_tool(job: Job) -> Finding:
    await job.tools.call("take_long")
    return Finding()


async def says_no(job: Job) -> Finding:
    raise ToolRefused("not like this")


async def understands_nothing(job: Job) -> Finding:
    raise InvalidRequest("which one?")


async def breaks(job: Job) -> Finding:
    raise RuntimeError("the secret is 4711")


async def exits(job: Job) -> Finding:
    sys.exit(7)


def _surroundings(job: Job) -> Finding:
    """All that a worker has of its server, as far as a playbook can look."""
    paths = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd") if int(name) > 2]
    files = [os.readlink(path) for path in paths if os.path.lexists(path)]
    LEFT.append("somebody was here")
    return Finding(
        facts={
            "environment": sorted(os.environ),
            "block": Path("/proc/self/environ").read_bytes().replace(b"\0", b"").decode(),
            "title": Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").decode(),
            "sockets": sum(name.startswith("socket:") for name in files),
            "files": sorted(name for name in files if name.startswith("/")),
            "left": len(LEFT),
            "pid": os.getpid(),
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "remaining": job.by.remaining,
            "tokens": job.budget.left,
        }
    )


async def surroundings(job: Job) -> Finding:
    return await asyncio.to_thread(_surroundings, job)


async def kill_everybody(job: Job) -> Finding:
    """Signals that do no harm where they arrive, as all others would arrive too."""
    refusals = []
    for whom in (-1, os.getppid()):
        try:
            os.kill(whom, 0)
        except OSError as error:
            refusals.append(error.errno)
    return Finding(facts={"refusals": refusals})


#: The ways to run away that only the deadline ends, and those that come to an end before it.
ENDLESS: dict[str, Callable[[Job], Awaitable[Finding]]] = {
    "spin": spin,
    "swallow": swallow,
    "block": block,
    "regex": regex,
    "stubborn-memory": stubborn_memory,
    "fork": fork,
}
SHORT: dict[str, Callable[[Job], Awaitable[Finding]]] = {
    "memory": memory,
    "leave": leave,
    "flood": flood,
    "chatter": chatter,
}
LIES = {
    "lie-no-json": "hello",
    "lie-shape": '{"result": 1}',
    "lie-nan": '{"answer": {"facts": {"x": NaN}}}',
    "lie-schema": '{"answer": {"replies": "x"}}',
    "lie-huge-number": '{"id": 100000, "tool": "look_at", "arguments": {}}',
    "lie-self": '{"id": 0, "tool": "look_at", "arguments": {"self": 1}}',
    "lie-drop": '{"drop": 0}',
    "lie-share": '{"id": 0, "skill": "x", "instruction": "x", "details": {}, "share": 2}',
    "lie-lease": '{"failed": {"kind": "LeaseLost", "words": "x"}}',
    "lie-store": '{"failed": {"kind": "StoreUnavailable", "words": "x"}}',
    "lie-kind": '{"failed": {"kind": "Nonsense", "words": "x"}}',
    "lie-deep": '{"answer": {"facts": {"x": ' + "[" * 2000 + "]" * 2000 + "}}}",
}
BEHAVIOURS: dict[str, Callable[[Job], Awaitable[Finding]]] = {
    "nothing": nothing,
    "well": well,
    **ENDLESS,
    **SHORT,
    "crash": crash,
    "tool": tool,
    "refused": refused,
    "hang-on-a-tool": hang_on_a_tool,
    "says-no": says_no,
    "understands-nothing": understands_nothing,
    "breaks": breaks,
    "exits": exits,
    "surroundings": surroundings,
    "kill-everybody": kill_everybody,
    **ASKING,
    **{name: lie(text) for name, text in LIES.items()},
}


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """Behave as the instruction says; first leave word of who does it, where the subtask says to."""
    if "note" in subtask.details:
        Path(subtask.details["note"]).write_text(str(os.getpid()))  # noqa: ASYNC240
    return await BEHAVIOURS[subtask.instruction](job)


AGENT = Agent("wild", playbook=playbook, isolation="process")

if __name__ == "__main__":
    serve("wild", "benchmarks.runaway.wild:AGENT")
