"""The names that the mesh adds to A2A and MCP, in one place. All of them are optional for a peer that does not know them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: Declared in every card; names the metadata under which usage, gaps and decision ids come back.
URI = "urn:meshwright:extension:mesh:v1"

#: Keys of an MCP request's `_meta`.
META_DEADLINE = "meshwright/deadline-ms"
META_KEY = "meshwright/idempotency-key"
META_TICKET = "meshwright/ticket"
META_PRIORITY = "meshwright/priority"

#: How a tool server ends the text of a read that was stopped because its time was up.
RAN_LATE = "the deadline passed while it worked"

#: Headers of an A2A request, next to those of `deadline` and `budget`.
HEADER_RUN = "x-mesh-run"

#: Where gRPC carries the code of an error about the request; over HTTP it is in the metadata of A2A's ErrorInfo.
TRAILING_CODE = "x-mesh-code"

#: The scope a token needs for a write tool; only the apply step asks for it.
SCOPE_APPLY = "apply"


def canonical(value: Any) -> str:
    """JSON in one form only: keys sorted, no spaces. Raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def effect_hash(tool: str, arguments: dict[str, Any], key: str) -> str:
    """What an apply token is bound to: exactly this tool, these arguments, this idempotency key (SHA-256, hex)."""
    return hashlib.sha256(canonical([tool, arguments, key]).encode()).hexdigest()
