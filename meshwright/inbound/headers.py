"""The headers of a request over HTTP, read once for all who look at them on its way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

_KEY = "mesh.headers"


def headers_of(scope: Scope) -> dict[str, str]:
    """Values by name in lower case. Of two headers of one name the first; nobody may change what is returned."""
    known: dict[str, str] | None = scope.get(_KEY)
    if known is None:
        pairs = reversed(scope["headers"])
        known = scope[_KEY] = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    return known


def all_of(scope: Scope, name: str) -> list[str]:
    """Every value of one header."""
    if name not in headers_of(scope):
        return []
    wanted = name.encode("latin-1")
    return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]
