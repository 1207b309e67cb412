"""Who may pass a gateway without a database: an agent, by the hash of its key, with its limits from keys.json and plain requests only.

LiteLLM loads this file from beside its configuration (`custom_auth: doorman.admit`). It knows no key, only SHA-256 hashes, in the file
that GATEWAY_HASHES names: `{"<hash>": "<agent>"}`, two hashes for one agent while its key is changed. Both files are read again for
each call, some kilobytes beside a model's answer: whose hash is taken out is refused from then on. The master key is nobody's.

    python doorman.py      # prints a new key and its hash
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth
from starlette.requests import Request

LIMITS = Path(__file__).with_name("keys.json")
#: Of keys.json, what the proxy holds without a database. Dollars it forgets.
HELD = ("key_alias", "models", "tpm_limit", "rpm_limit", "max_parallel_requests")
#: Where an agent may knock. Everything else of the proxy is closed.
ROUTES = {"/chat/completions", "/v1/chat/completions"}
#: What a request may say. The proxy would also take orders in it: to try again (each a call that nobody has reserved), to ask another model.
FIELDS = {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format"}
FIELDS |= {"stream", "stream_options", "temperature", "top_p", "stop", "seed", "reasoning_effort"}
FIELDS |= {"max_tokens", "max_completion_tokens"}


async def admit(request: Request, api_key: str) -> UserAPIKeyAuth:
    """The agent whose key this is, as LiteLLM's limits see it. Raises ProxyException, which the proxy answers with its code."""
    limits = await let_in(request, api_key)
    known_as = hashed(api_key)
    return UserAPIKeyAuth(
        api_key=known_as, token=known_as, user_role=LitellmUserRoles.INTERNAL_USER, **limits
    )


async def let_in(request: Request, api_key: str) -> dict[str, Any]:
    """The limits of whoever may make this request. Raises ProxyException."""
    limits = limits_of(hashed(api_key))
    if request.url.path not in ROUTES:
        raise refusal(403, "an agent may ask for chat completions, and for nothing else")
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise refusal(400, "the request is not JSON") from None
    if fault := fault_in(body, request.headers):
        raise refusal(400, fault)
    return limits


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def limits_of(known_as: str) -> dict[str, Any]:
    """What keys.json says of the agent that has the key of this hash. Raises ProxyException, for everybody where there are no hashes."""
    try:
        agent = json.loads(Path(os.environ["GATEWAY_HASHES"]).read_text()).get(known_as)
    except (KeyError, OSError, ValueError) as error:
        raise refusal(503, "GATEWAY_HASHES does not name a file of hashes") from error
    for limits in json.loads(LIMITS.read_text()):
        if limits["key_alias"] == agent:
            return {name: limits[name] for name in HELD}
    raise refusal(401, "this key is nobody's")


def fault_in(body: Any, headers: Mapping[str, str]) -> str:
    """What is wrong with a request, or nothing."""
    if not isinstance(body, dict):
        return "the request is not an object"
    if unknown := sorted(body.keys() - FIELDS):
        return f"not taken here: {', '.join(unknown)[:200]}"
    if orders := sorted(name for name in headers if name.startswith("x-litellm-")):
        return f"not taken here: {', '.join(orders)[:200]}"
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and not (type(body[name]) is int and body[name] > 0):
            return f"{name} must be a whole number, or left out"
    return ""


def refusal(status: int, why: str) -> ProxyException:
    return ProxyException(message=why, type="auth_error", param=None, code=status)


if __name__ == "__main__":
    key = f"sk-{secrets.token_urlsafe(32)}"
    print(key, hashed(key))
