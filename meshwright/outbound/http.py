"""The one HTTP client of a process. aiohttp carries it: httpx's own pool was the first bottleneck of the mesh."""

from __future__ import annotations

import httpx

#: Seconds to get a connection. Every other wait is the deadline's business, enforced by `asyncio.timeout`.
CONNECT = 2.0
KEEPALIVE = 30.0


def http_client() -> httpx.AsyncClient:
    """A client without timeouts of its own but for connecting. Does not follow redirects: a peer is where we said."""
    from httpx_aiohttp import HttpxAiohttpClient

    return HttpxAiohttpClient(
        timeout=httpx.Timeout(None, connect=CONNECT),
        limits=httpx.Limits(max_connections=200, keepalive_expiry=KEEPALIVE),
        follow_redirects=False,
        trust_env=False,
    )
