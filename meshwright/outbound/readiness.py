"""Whether a server of this mesh still starts: its port is open and its card served before it can work."""

from __future__ import annotations

import httpx


async def still_starting(http: httpx.AsyncClient, url: str) -> str:
    """What the server at `url` still waits for; empty if it is ready, leaves, or does not know the question.

    Raises httpx.HTTPError when it cannot be reached.
    """
    response = await http.get(url + "/readyz")
    if response.status_code != 503:
        return ""
    try:
        document = response.json()
    except ValueError:
        return ""
    waiting = document.get("waiting_for") if isinstance(document, dict) else None
    return (
        f"still starting: {', '.join(sorted(map(str, waiting)))}"[:200]
        if isinstance(waiting, dict) and waiting
        else ""
    )
