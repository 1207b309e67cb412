"""A call that broke off below A2A, in our words."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from meshwright.errors import (
    MeshError,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
    PeerUnreachable,
    Unauthenticated,
)


def never_sent(error: BaseException) -> bool:
    """Whether nobody can have heard of what was asked: no connection came about."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError | httpx.ConnectError | httpx.ConnectTimeout):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def by_status(peer: str, status: int, headers: Mapping[str, str]) -> MeshError:
    """What an HTTP status other than 200 says about `peer`: overloaded, not letting us in, broken, or refusing."""
    if status in (429, 503):
        after = headers.get("retry-after", "")
        return PeerOverloaded(peer, f"answered {status}", float(after) if after.isdigit() else None)
    if status == 401:
        return Unauthenticated(f"{peer} does not accept who we are; check MESHWRIGHT_TRUST there")
    if status >= 500:
        return PeerUnreachable(peer, f"answered {status}")
    return PeerRefused(peer, f"answered {status}")


def translated(peer: str, error: Exception) -> MeshError:
    """What an error of the SDK's client says about `peer`: what its status says, unreachable, or not speaking A2A."""
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        return by_status(peer, cause.response.status_code, cause.response.headers)
    if isinstance(cause, httpx.RequestError):
        return PeerUnreachable(peer, f"cannot be reached ({type(cause).__name__})")
    return PeerAnsweredBadly(peer, "not an A2A answer")
