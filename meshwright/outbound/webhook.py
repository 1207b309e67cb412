"""Push notifications, one POST each: to an address that was looked at first, and signed so that the receiver can tell.

The address is a client's word, so it is screened twice: when it is given, and when it is used. The connection then goes to the
very address that was screened, not to what the name resolves to a moment later.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshwright.errors import PeerOverloaded, PeerTimedOut, PeerUnreachable
from meshwright.outbound.lost import retry_after
from meshwright.records.tracing import trace_headers
from meshwright.tasks import pushes
from meshwright.tasks.accept import first_headers
from meshwright.tasks.courier import Parcel, Undeliverable

if TYPE_CHECKING:
    from a2a.types import TaskPushNotificationConfig

    from meshwright.database import Transaction
    from meshwright.inbound.identity import Identity
    from meshwright.tasks.book import TaskBook

MEDIA_TYPE = "application/a2a+json"
#: Seconds a receiver has to answer.
SECONDS = 10.0
#: Names that are looked up at once, and seconds until one is as good as one that stands for nothing just now.
LOOKUPS, LOOKUP_SECONDS = 4, 3.0
#: Where instances of clouds learn their own secrets: never, whatever is allowed.
METADATA = frozenset({ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")})

#: Where a gateway puts an address of version 4, and where only a network's own translator knows what stands behind it
#: (RFC 6052, RFC 8215, RFC 2765); to Python all of them are public.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
TRANSLATED = (ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("::ffff:0:0:0/96"))
#: What a screen says of a name that stands for nothing just now.
UNRESOLVED = "its host cannot be resolved"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolved(host: str, port: int) -> list[str]:
    """Every address a name stands for; none if it stands for none."""
    look = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(_lookups(), look)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


@functools.cache
def _lookups() -> ThreadPoolExecutor:
    """Threads of their own: the names are a client's, and may take their time. Everybody else here needs the loop's."""
    return ThreadPoolExecutor(LOOKUPS, "webhook-names")


class Screen:
    """Which addresses a notification may go to: public ones over https, and those in `allowed` (names, *.names, networks)."""

    def __init__(
        self, allowed: Sequence[str], resolve: Resolve = resolved, patience: float = LOOKUP_SECONDS
    ) -> None:
        self._resolve, self._patience = resolve, patience
        self._names: list[str] = []
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.append(entry.lower())

    async def __call__(self, url: str) -> str:
        """Why no notification may go to `url`; empty if one may. A name that stands for nothing now may stand for something when one goes."""
        why, _ = await self.look(url)
        return "" if why == UNRESOLVED else why

    async def look(self, url: str) -> tuple[str, str]:
        """(why not, the address to connect to)."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or {"https": 443}.get(parts.scheme, 80)
        except ValueError:
            return "it is no URL", ""
        if parts.scheme not in ("http", "https") or not host:
            return "it must be an http or https URL", ""
        if parts.username is not None or parts.password is not None:
            return "it must not hold a user or a password", ""
        named = any(host == n or (n.startswith("*.") and host.endswith(n[1:])) for n in self._names)
        try:
            async with asyncio.timeout(self._patience):
                found = [_address(each) for each in await self._resolve(host, port)]
        except TimeoutError:
            found = []
        if not found:
            return UNRESOLVED, ""
        for address in found:
            if address in METADATA:
                return "its host is not to be reached from here", ""
            allowed = named or any(address in network for network in self._networks)
            if not allowed and not _is_public(address):
                return "its host is not a public address", ""
            if not allowed and parts.scheme != "https":
                return "a public address needs https", ""
        return "", str(found[0])


def _address(text: str) -> Address:
    """The address, or the one of version 4 that it stands for."""
    address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    compatible = int(address) >> 32 == 0 and int(address) > 1
    if inside is None and (address in NAT64 or compatible):
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inside if inside is not None else address


def _is_public(address: Address) -> bool:
    if address.is_multicast or not address.is_global:
        return False
    return isinstance(address, ipaddress.IPv4Address) or not (
        address.is_site_local or any(address in network for network in TRANSLATED)
    )


class Webhooks:
    """Delivers the notifications of one agent's tasks."""

    def __init__(self, book: TaskBook, screen: Screen, identity: Identity) -> None:
        self._book, self._screen, self._identity = book, screen, identity

    @functools.cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made for the first notification: its pool and certificates cost each start 40 ms, and most servers send none."""
        return httpx.AsyncClient(
            timeout=httpx.Timeout(SECONDS, connect=3.0), follow_redirects=False, trust_env=False
        )

    async def aclose(self) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def deliver(self, parcel: Parcel) -> None:
        """POST one notification. Raises Undeliverable for what will not get better, else a PeerError."""

        async def op(tx: Transaction) -> tuple[list[TaskPushNotificationConfig], dict[str, str]]:
            return await pushes.kept(tx, parcel.task_id), await first_headers(tx, parcel.task_id)

        kept, first = await self._book.database.read(op)
        config = next((each for each in kept if each.id == parcel.remote), None)
        if config is None:
            raise Undeliverable("nobody wants it any more")
        why, address = await self._screen.look(config.url)
        parts = urlsplit(config.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if why == UNRESOLVED:
            raise PeerUnreachable(origin, why)
        if why:
            raise Undeliverable(why)
        kind, body = MEDIA_TYPE, parcel.body.encode()
        if pushes.LEGACY in first:
            kind, body = "application/json", await self._as_of_old(parcel)
        headers = {"content-type": kind, "x-mesh-notification": parcel.id}
        # who is told is no part of the mesh: the trace goes along, its baggage does not
        headers |= {k: v for k, v in trace_headers().items() if k != "baggage"}
        if config.token:
            headers["x-a2a-notification-token"] = config.token
        if config.authentication.scheme:
            headers["authorization"] = f"{config.authentication.scheme} {config.authentication.credentials}"
        if self._identity.signer is not None:
            headers["x-mesh-signature"] = self._identity.signer.token(
                origin, jti=parcel.id, sha256=hashlib.sha256(body).hexdigest()
            )
        try:
            target = httpx.URL(config.url)  # which writes a name in other letters as DNS and HTTP have it
            request = self._client.build_request(
                *("POST", target.copy_with(host=address)),
                content=body,
                headers={"host": target.netloc.decode(), **headers},
                extensions={"sni_hostname": target.raw_host.decode()},
            )
            answer = await self._client.send(request, stream=True)
            await answer.aclose()
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError):
            raise Undeliverable("no request can be made of its URL, token or credentials") from None
        except httpx.TimeoutException:
            raise PeerTimedOut(origin, "no answer in time") from None
        except httpx.HTTPError as error:
            raise PeerUnreachable(origin, f"cannot be reached ({type(error).__name__})") from None
        if answer.status_code in (429, 503):
            raise PeerOverloaded(origin, f"answered {answer.status_code}", retry_after(answer.headers))
        if answer.status_code in (408, 425) or answer.status_code >= 500:
            raise PeerUnreachable(origin, f"answered {answer.status_code}")
        if answer.status_code >= 300:
            redirects = "; redirects are not followed" if answer.status_code < 400 else ""
            raise Undeliverable(f"the receiver answered {answer.status_code}{redirects}")

    async def _as_of_old(self, parcel: Parcel) -> bytes:
        """What A2A 0.3 tells: the task, as it was when this happened to it."""
        # It imports the types of another protocol, which most servers never see.
        from a2a.compat.v0_3.conversions import to_compat_task

        version = int(parcel.id.split(":")[1])
        task = to_compat_task(await self._book.as_it_was(parcel.task_id, version))
        return str(task.model_dump_json(exclude_none=True)).encode()


def key_routes(identity: Identity) -> list[Route]:
    """Where a receiver finds the key that signs: `/.well-known/jwks.json`."""
    keys = [identity.signer.key.as_dict(private=False)] if identity.signer else []
    body = json.loads(json.dumps({"keys": keys}))

    async def jwks(request: Request) -> JSONResponse:
        return JSONResponse(body, headers={"cache-control": "max-age=300"})

    return [Route("/.well-known/jwks.json", jwks)]
