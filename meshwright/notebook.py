"""What a task was told so far: tools' results, peers' findings, answers. With it a playbook runs again from its start.

An agent that asks in the middle of its work is not kept waiting: its turn ends, and with the answer its playbook runs again. What
it did before is not done again: the same call gets the result that it got then, also where the effect that it asked for has
changed the world since. So it takes the same way to the place where it asked, and goes on from there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from meshwright.agent import Tools
from meshwright.errors import InvalidRequest, MeshError
from meshwright.extension import canonical
from meshwright.findings import Answers, Asks
from meshwright.parts import read_as
from meshwright.trouble import Trouble

#: Bytes of a notebook. Who has read more than that cannot ask in the middle of it.
MAX_BYTES = 4_194_304


@dataclass(slots=True)
class Notebook:
    """One task's. `subtask`, `text` and `message` are of the task's first message; `used` is what was called and asked."""

    subtask: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    message: str = ""
    used: list[str] = field(default_factory=list)
    #: Results and errors by the name of what was called, each as JSON.
    told: dict[str, str] = field(default_factory=dict)
    #: Answers by the name of what was asked.
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What the task waits for now.
    open: dict[str, Any] | None = None
    #: Peers' tasks that wait for an answer, by the name of the question that they have from us: {url, remote, asks}.
    underway: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What was said between a model and us; None where the playbook works.
    transcript: list[dict[str, Any]] | None = field(default_factory=list)

    @classmethod
    def read(cls, body: str) -> Notebook:
        return cls(**json.loads(body))

    def written(self) -> str:
        """As it is kept. Raises InvalidRequest for one that is too large."""
        body = json.dumps(asdict(self))
        if len(body) > MAX_BYTES:
            raise InvalidRequest(
                f"it was told {len(body)} bytes before it asked, and {MAX_BYTES} are the most that is kept"
            )
        return body

    async def once(self, name: str, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """What `work` came to when something of that name was first done, or comes to now. Raises the MeshError that it raised."""
        kept = self.told.get(name)
        if kept is not None:
            known = json.loads(kept)
            if "failed" in known:
                raise Trouble.model_validate(known["failed"]).error()
            result: dict[str, Any] = known["result"]
            return result
        try:
            fresh = await work()
        except MeshError as error:
            trouble = Trouble.of(error)
            if trouble is not None:
                self.told[name] = json.dumps({"failed": trouble.model_dump(exclude_defaults=True)})
            raise
        self.told[name] = json.dumps({"result": fresh})
        return fresh

    def hear(self, data: Sequence[Any], text: str) -> str:
        """Write down what a message answers; else the reason why it is no answer to what is open."""
        assert self.open is not None
        wanted = Asks.model_validate(self.open)
        try:
            said = next(
                (read_as(Answers, c["answers"]) for c in data if isinstance(c, dict) and "answers" in c), None
            )
        except InvalidRequest as error:
            return str(error)
        if said is None and text and wanted.question is not None:
            said = Answers(id=wanted.id, text=text[:8_000])
        if said is None:
            return "it waits for an answer: a data part {'answers': {'id': …, 'settled' or 'text': …}}"
        if said.id in self.answers:
            return ""  # the first answer counts, and this may well be the message that brought it
        if said.id != wanted.id:
            return f"nobody asked {said.id!r} here"
        if (said.settled is None) != (wanted.proposal is None):
            return "a proposal is answered with what was settled, a question with a text"
        self.answers[said.id] = said.model_dump(mode="json", exclude_none=True)
        return ""


class KeptTools:
    """The tools, each call of which is made once in a task's life."""

    def __init__(self, tools: Tools, notebook: Notebook) -> None:
        self._tools = tools
        self._notebook = notebook
        self._called: Counter[str] = Counter()

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """See `Tools.call`. The same call again within one run of the playbook is another one."""
        what = canonical([tool, arguments])
        name = named("tool", what, self._called[what])
        self._called[what] += 1

        async def call() -> dict[str, Any]:
            return await self._tools.call(tool, **arguments)

        return await self._notebook.once(name, call)


def named(*parts: Any) -> str:
    """A short name for what `parts` say. Raises ValueError or TypeError for what is no JSON."""
    return sha256(canonical(parts).encode()).hexdigest()[:32]
