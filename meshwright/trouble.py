"""An error of the mesh as data, and back again: on its way through a worker's pipe, or into a task's notebook."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshwright.errors import WIRE, LeaseLost, MeshError, StoreUnavailable, kind_of
from meshwright.findings import Name, Part

#: Characters of an error's text.
MAX_WORDS = 1_000
_KINDS = {kind.__name__: kind for kind in WIRE}
#: About our own hold on a task: not for others to hear, nor to say.
_OURS = (LeaseLost, StoreUnavailable)


class Lie(Exception):
    """What somebody wrote is nothing that they say. The text says why."""


class Trouble(Part):
    """A MeshError as data: its class by name, its words, and what else it carries."""

    kind: Name
    words: Annotated[str, Field(max_length=MAX_WORDS)]
    peer: Annotated[str, Field(max_length=200)] = ""
    retry_after: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    retry_in: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @classmethod
    def of(cls, error: BaseException) -> Trouble | None:
        """An error of the tree as its nearest class there; None for what is none of it, or about our hold on the task."""
        if not isinstance(error, MeshError) or isinstance(error, _OURS):
            return None
        carried = {name: getattr(error, name, None) for name in ("retry_after", "retry_in")}
        peer = str(getattr(error, "peer", ""))[:200]
        return cls(kind=kind_of(error).__name__, words=str(error)[:MAX_WORDS], peer=peer, **carried)

    def error(self) -> MeshError:
        """The same error again. Raises Lie for a class that there is not, or that is not for others to raise."""
        kind = _KINDS.get(self.kind)
        if kind is None or kind in _OURS:
            raise Lie(f"it reports an error {self.kind[:40]!r}")
        # Past __init__, which would make the words anew, each class from other arguments.
        error = kind.__new__(kind, self.words)
        vars(error).update(self.model_dump(exclude={"kind", "words"}, exclude_defaults=True))
        return error
