"""Our errors as A2A's, for every binding: the code of the table goes along as the error's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from a2a.utils.errors import InternalError, InvalidParamsError, TaskNotFoundError, UnsupportedOperationError

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


@contextmanager
def told(context: ServerCallContext) -> Iterator[None]:
    """Around an operation. Raises an A2AError for each MeshError."""
    try:
        yield
    except NotFound as error:
        raise TaskNotFoundError(message=str(error)) from None
    except AlreadyDecided as error:
        raise UnsupportedOperationError(message=str(error)) from None
    except CallerError as error:
        raise InvalidParamsError(message=str(error), data={"code": wire_of(error).code}) from None
    except (Overloaded, StoreUnavailable) as error:
        busy = Busy(error)
        busy.note(context)
        raise busy from None
    except MeshError as error:
        raise InternalError(message=str(error)) from None
