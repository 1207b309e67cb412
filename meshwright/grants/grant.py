"""A grant: one write, once, by one process, with exactly these arguments. Signed after the gate, verified by the tool server.

On the wire it is a JWS (`typ: grant+jwt`) of the process that gates, beside the token that says who is calling. Who may sign one is
data at the tool server; a token is no grant and a grant no token. The same process signs and calls: a grant in other hands is nothing.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meshwright.deadline import Deadline
from meshwright.errors import Forbidden, Unauthenticated
from meshwright.extension import canonical
from meshwright.inbound.identity import LEEWAY, LIFETIME, Signer, Trust

KIND = "grant+jwt"
#: Characters of a grant. What is longer is not looked at.
MAX_SIZE = 8192
#: Characters of the policy's name that a grant carries.
POLICY = 400


class Ruling(BaseModel):
    """What the gate said: a grant is only ever made for `apply`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    decision: Literal["apply"] = "apply"
    policy: str = Field(default="", max_length=POLICY)


class Grant(BaseModel):
    """The claims of a grant, named as on the wire. An unknown claim is refused: it may have been meant as a limit.

    `args` is the SHA-256 (hex) of the arguments as they are sent, in canonical JSON. `ticket` is the run. Times are seconds since
    the epoch. `iss`, `aud`, `iat` and `exp` are empty until it is signed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    jti: str = Field(min_length=8, max_length=80)
    tool: str
    args: str
    key: str = Field(min_length=1)
    ticket: str = ""
    verdict: Ruling = Ruling()
    approvers: list[str] = Field(default_factory=list)
    iss: str = ""
    aud: str = ""
    iat: int = 0
    exp: int = 0

    @classmethod
    def of(
        cls,
        tool: str,
        arguments: dict[str, Any],
        *,
        key: str,
        ticket: str = "",
        policy: str = "",
        approvers: tuple[str, ...] = (),
    ) -> Grant:
        """A grant that nobody has signed yet, with an id of its own."""
        return cls(
            jti=secrets.token_urlsafe(12),
            tool=tool,
            args=digest(arguments),
            key=key,
            ticket=ticket,
            verdict=Ruling(policy=policy[:POLICY]),
            approvers=list(approvers),
        )

    def signed(self, signer: Signer, audience: str, by: Deadline) -> str:
        """The grant for the tool server `audience`, good for a minute or until `by`, whichever is sooner (in whole seconds)."""
        now = int(time.time())
        life = min(LIFETIME, max(1, math.ceil(by.remaining)))
        times = {"iss": signer.name, "aud": audience, "iat": now, "exp": now + life}
        return signer.signed(KIND, self.model_copy(update=times).model_dump())

    def require(self) -> None:
        """Raises Forbidden unless it is good at this moment, by the wall clock and with a leeway for those who disagree on it."""
        now = time.time()
        if now > self.exp + LEEWAY:
            raise Forbidden("the grant has expired")
        if now < self.iat - LEEWAY or not 0 < self.exp - self.iat <= LIFETIME:
            raise Forbidden("the grant is of no time that it could be used in")


def digest(arguments: dict[str, Any]) -> str:
    """What a grant is bound to: SHA-256, hex, of the arguments as they are sent."""
    return hashlib.sha256(canonical(arguments).encode()).hexdigest()


def read(token: object, trust: Trust) -> Grant:
    """A grant that was signed by a process we know, for us, and is good now. Raises Forbidden.

    It is the caller's business who that process is, and whether the grant is for what is asked.
    """
    if not isinstance(token, str) or not token:
        raise Forbidden("a write needs a grant, signed after a gate")
    if len(token) > MAX_SIZE:
        raise Forbidden("the grant is too large")
    try:
        name, claims = trust.verified(KIND, token)
        grant = Grant.model_validate(claims)
    except (Unauthenticated, ValidationError):
        raise Forbidden("the grant does not verify") from None
    if (grant.iss, grant.aud) != (name, trust.me):
        raise Forbidden("the grant is not for this server, or not of the key that signed it")
    grant.require()
    return grant
