"""A call that broke off below A2A, in our words."""

from __future__ import annotations

import httpx

from meshwright.errors import (
    WIRE,
    AncestryRefused,
    DelegationLoop,
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


#: What a peer says of the chain of agents above it means the same here as there.
_ABOUT_ANCESTRY = {WIRE[kind].code: kind for kind in (AncestryRefused, DelegationLoop)}


def refused(peer: str, why: str, code: object) -> MeshError:
    """What a peer's refusal with a code of the extension (None: without one) is to us."""
    if isinstance(code, str) and (kind := _ABOUT_ANCESTRY.get(code)) is not None:
        return kind(f"{peer}: {why[:600]}")
    return PeerRefused(peer, why[:300])


def translated(peer: str, error: Exception) -> MeshError:
    """What an error of the SDK's client says about `peer`: overloaded, unreachable, refusing, or not speaking A2A."""
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        status = cause.response.status_code
        if status in (429, 503):
            after = cause.response.headers.get("retry-after", "")
            return PeerOverloaded(peer, f"answered {status}", float(after) if after.isdigit() else None)
        if status == 401:
            return Unauthenticated(f"{peer} does not accept who we are; check MESHWRIGHT_TRUST there")
        if status >= 500:
            return PeerUnreachable(peer, f"answered {status}")
        return PeerRefused(peer, f"answered {status}")
    if isinstance(cause, httpx.RequestError):
        return PeerUnreachable(peer, f"cannot be reached ({type(cause).__name__})")
    return PeerAnsweredBadly(peer, "not an A2A answer")
