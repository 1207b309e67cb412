"""A coroutine that was begun at once: most of ours never have to wait, and then need no task, no timer and no turn of the loop."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Begun(Generator[Any, Any, T]):
    """Runs `coroutine` up to where it first waits, as part of whoever makes this; `await` runs the rest, in any task, once.

    That is what asyncio.eager_task_factory does, which Python has from 3.12 on. What runs up to there must not look for its own
    task, as asyncio.timeout does: the rest may go on in another. Raises what the coroutine raises.
    """

    __slots__ = ("_coroutine", "_first", "_waited", "result", "waits")

    #: What it came to, where it does not wait.
    result: T

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self.waits = self._first = True
        try:
            self._waited = coroutine.send(None)
        except StopIteration as ended:
            self.waits, self.result = False, ended.value

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, answer: Any) -> Any:
        """What it waits for now: the first time that is known already."""
        if not self.waits:
            raise StopIteration(self.result)
        if self._first:
            self._first = False
            return self._waited
        return self._coroutine.send(answer)

    def throw(self, *error: Any) -> Any:
        """A cancellation is for the one that was begun."""
        return self._coroutine.throw(*error)
