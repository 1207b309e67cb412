"""A call that broke off below A2A, in our words."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from meshwright.errors import (
    WIRE,
    AncestryRefused,
    BreakerOpen,
    CallerError,
    DeadlineExceeded,
    DelegationLoop,
    MeshError,
    PeerAnsweredBadly,
    PeerCold,
    PeerOverloaded,
    PeerRefused,
    PeerUnreachable,
    Unauthenticated,
)


def never_sent(error: BaseException) -> bool:
    """Whether nobody can have heard of what was asked: no connection came about."""
    import aiohttp

    no_connection = (
        *(ConnectionRefusedError, httpx.ConnectError),
        *(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError),
    )
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, no_connection):
            return True
        # httpx-aiohttp calls each connection that breaks a ConnectTimeout, also one that broke after the request was heard.
        broke = isinstance(cause.__cause__, aiohttp.ClientConnectionError)
        if isinstance(cause, httpx.ConnectTimeout) and not broke:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def by_status(peer: str, status: int, headers: Mapping[str, str]) -> MeshError:
    """What an HTTP status other than 200 says about `peer`: overloaded, not letting us in, broken, or refusing."""
    if status in (429, 503):
        return PeerOverloaded(peer, f"answered {status}", retry_after(headers))
    if status == 401:
        return Unauthenticated(f"{peer} does not accept who we are; check MESHWRIGHT_TRUST there")
    if status >= 500:
        return PeerUnreachable(peer, f"answered {status}")
    return PeerRefused(peer, f"answered {status}")


def unheard(error: MeshError) -> bool:
    """Whether nobody can have begun with what was asked: it was not sent, or turned away at the door."""
    turned_away = PeerRefused | PeerOverloaded | PeerCold | CallerError
    return isinstance(error, BreakerOpen | DeadlineExceeded | turned_away) or never_sent(error)


#: What a peer says of the chain of agents above it means the same here as there.
_ABOUT_ANCESTRY = {WIRE[kind].code: kind for kind in (AncestryRefused, DelegationLoop)}


def refused(peer: str, why: str, code: object) -> MeshError:
    """What a peer's refusal with a code of the extension (None: without one) is to us."""
    if isinstance(code, str) and (kind := _ABOUT_ANCESTRY.get(code)) is not None:
        return kind(f"{peer}: {why[:600]}")
    return PeerRefused(peer, why[:300])


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds after which whoever answered wants to be asked again; None where it does not say."""
    after = headers.get("retry-after", "")
    return float(after) if after.isascii() and after.isdigit() and len(after) <= 6 else None


def broken(peer: str, error: httpx.RequestError) -> MeshError:
    """What it says about `peer` that a request did not come to its end."""
    if isinstance(error, httpx.DecodingError):
        return PeerAnsweredBadly(peer, str(error))
    return PeerUnreachable(peer, f"cannot be reached ({type(error).__name__})")


def translated(peer: str, error: Exception) -> MeshError:
    """What an error of the SDK's client says about `peer`: what its status says, unreachable, or not speaking A2A."""
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        return by_status(peer, cause.response.status_code, cause.response.headers)
    if isinstance(cause, httpx.RequestError):
        return broken(peer, cause)
    return PeerAnsweredBadly(peer, "not an A2A answer")
