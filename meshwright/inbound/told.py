"""Our errors as A2A's, for every binding: the code of the table goes along as the error's data."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from a2a.utils.errors import (
    A2AError,
    InternalError,
    InvalidParamsError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from meshwright.errors import (
    AlreadyDecided,
    CallerError,
    MeshError,
    NotFound,
    Overloaded,
    StoreUnavailable,
    wire_of,
)
from meshwright.inbound.busy import Busy

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext


class told:
    """Around an operation. Raises an A2AError for each MeshError."""

    __slots__ = ("_context",)

    def __init__(self, context: ServerCallContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, MeshError):
            raise _as_a2a(error, self._context) from None


def _as_a2a(error: MeshError, context: ServerCallContext) -> A2AError:
    if isinstance(error, NotFound):
        return TaskNotFoundError(message=str(error))
    if isinstance(error, AlreadyDecided):
        return UnsupportedOperationError(message=str(error))
    if isinstance(error, CallerError):
        return InvalidParamsError(message=str(error), data={"code": wire_of(error).code})
    if isinstance(error, Overloaded | StoreUnavailable):
        busy = Busy(error)
        busy.note(context)
        return busy
    return InternalError(message=str(error))
