"""What a server and its worker say to each other: JSON with its length before it, in a few shapes, and of limited size.

The server believes nothing that comes from a worker: a runaway may write anything into its pipe.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from meshwright.findings import Name, Part, Proposal, Question, Text
from meshwright.records.decision import Withheld
from meshwright.trouble import Lie, Trouble

if TYPE_CHECKING:
    from meshwright.budget import Budget

#: Bytes of one thing that a worker says, of all that it says, and of one thing that it is told: a peer's answer has up to a quarter
#: of that, and up to three times as many when it is written in ASCII.
MAX_SAID, MAX_TALK, MAX_TOLD = 1_048_576, 4_194_304, 67_108_864
#: What one invocation may ask for, of tools and of agents: as many as a finding's usage has room for.
MAX_CALLS = 256
#: Characters of a traceback (its end).
MAX_TRACE = 8_000

#: What a worker knows of its budget, which its server keeps.
_PURSE = ("limit", "micros", "spent", "reserved", "paid", "pledged", "exhausted")
_LENGTH = struct.Struct("!I")
#: Names that no tool's argument can have, because the function that calls tools has them.
_TAKEN = {"self", "tool"}


Number = Annotated[int, Field(ge=0, lt=MAX_CALLS)]


class Call(Part):
    """A worker asks for a tool."""

    id: Number
    tool: Name
    arguments: dict[str, Any]


class Ask(Part):
    """A worker asks another agent."""

    id: Number
    skill: Name
    instruction: Text
    details: dict[str, Any]
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Propose(Part):
    """A worker's playbook proposes an effect, and waits for what becomes of it."""

    id: Number
    proposal: Proposal


class Pose(Part):
    """A worker's playbook asks whoever asked it."""

    id: Number
    question: Question


class Omit(Part):
    """A worker's playbook says what it left out; it waits for nothing."""

    omit: Annotated[str, Field(max_length=200)]
    why: Withheld
    size: Annotated[int, Field(ge=0, le=2**53)] = 0


class Drop(Part):
    """A worker does not want to know any more what it has asked."""

    drop: Number


class Answered(Part):
    """The playbook's answer, not yet validated as what the agent promises."""

    answer: dict[str, Any]


class Failed(Part):
    """The playbook raised an error of the tree."""

    failed: Trouble


class Broke(Part):
    """The playbook raised something else; this is the traceback."""

    broke: Text


Wanted = Call | Ask | Propose | Pose
Said = Wanted | Omit | Drop | Answered | Failed | Broke
_SAID: TypeAdapter[Said] = TypeAdapter(Said)


def purse(budget: Budget) -> dict[str, Any]:
    """A budget as its worker is told of it."""
    return {name: getattr(budget, name) for name in _PURSE}


def packed(content: Any) -> bytes:
    """One frame."""
    return framed(json.dumps(content, separators=(",", ":")).encode())


def framed(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


async def body_from(pipe: asyncio.StreamReader, most: int) -> bytes:
    """The next frame's JSON, at most `most` bytes. Raises asyncio.IncompleteReadError at the pipe's end, Lie for a larger one."""
    (length,) = _LENGTH.unpack(await pipe.readexactly(_LENGTH.size))
    if length > most:
        raise Lie(f"it says {length} bytes where {most} are the most")
    return await pipe.readexactly(length)


def understood(body: bytes) -> Said:
    """What a worker says. Raises Lie."""
    from meshwright.errors import InvalidRequest
    from meshwright.inbound.admission import strict_json

    try:
        said = _SAID.validate_python(strict_json(body))
    except InvalidRequest as error:
        raise Lie(str(error)) from None
    except ValidationError:
        raise Lie("it says what no worker says") from None
    if isinstance(said, Call) and _TAKEN & said.arguments.keys():
        raise Lie("it calls a tool as no tool is called")
    return said
