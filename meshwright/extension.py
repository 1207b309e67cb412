"""The names that the mesh adds to A2A and MCP, in one place. All of them are optional for a peer that does not know them."""

from __future__ import annotations

import json
from typing import Any

#: Declared in every card; names the metadata under which usage, gaps and decision ids come back.
URI = "urn:meshwright:extension:mesh:v1"

#: Keys of an MCP request's `_meta`.
META_DEADLINE = "meshwright/deadline-ms"
META_KEY = "meshwright/idempotency-key"
META_TICKET = "meshwright/ticket"
META_PRIORITY = "meshwright/priority"
META_GRANT = "meshwright/grant"

#: How a tool server ends the text of a read that was stopped because its time was up.
RAN_LATE = "the deadline passed while it worked"
#: How it ends the text of a write that it did not decide on: an earlier call with the same key may have been applied.
UNDECIDED = " (this does not say whether it was applied)"

#: Headers of an A2A request, next to those of `deadline` and `budget`.
HEADER_RUN = "x-mesh-run"

#: Where gRPC carries the code of an error about the request; over HTTP it is in the metadata of A2A's ErrorInfo.
TRAILING_CODE = "x-mesh-code"

#: The scope of a token that comes with a grant: such a call goes before the reads that wait. It allows nothing.
SCOPE_APPLY = "apply"


def canonical(value: Any) -> str:
    """JSON in one form only: keys sorted, no spaces. Raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
