"""Who is at the other end: a signed cookie, and the token that a form must bring back to be believed.

Nothing is kept of a session but the logouts, for as long as a session lasts. What is signed names the person and a number drawn
at login; a changed password, or a name that is gone from the file, ends it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

COOKIE = "meshwright_console"
#: Seconds for which a login holds, and logouts that are remembered meanwhile.
HOURS_8, LOGOUTS = 8 * 3600, 10_000


@dataclass(frozen=True, slots=True)
class Visit:
    """One browser: the number drawn for it, and the person who logged in there (empty for nobody yet)."""

    number: str
    person: str = ""
    fresh: bool = False


class Sessions:
    """Makes and reads the cookies. `proof(person)` changes when their password does; it is None for somebody who may not come in."""

    def __init__(
        self,
        key: bytes,
        proof: Callable[[str], str | None],
        *,
        secure: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._proof = proof
        self._secure = secure
        self._clock = clock
        self._cookies = URLSafeSerializer(
            key, salt="session", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )
        self._over: OrderedDict[str, float] = OrderedDict()

    def read(self, cookie: str | None) -> Visit:
        """The visit that a cookie names; a fresh one for a cookie that is missing, old, or not ours."""
        try:
            content = self._cookies.loads(cookie or "")
            number, person, proof, began = (content[name] for name in "npvt")
        except (BadSignature, KeyError, TypeError):
            return Visit(secrets.token_urlsafe(16), fresh=True)
        old = not 0 <= self._clock() - began <= HOURS_8
        if old or number in self._over or (person and proof != self._proof(person)):
            return Visit(secrets.token_urlsafe(16), fresh=True)
        return Visit(number, person)

    def begin(self, person: str) -> Visit:
        """A login: a new number, so that one who knew the old one has nothing."""
        return Visit(secrets.token_urlsafe(16), person, fresh=True)

    def end(self, visit: Visit) -> None:
        """A logout: the cookie counts no more, wherever a copy of it lies."""
        now = self._clock()
        self._over[visit.number] = now
        while self._over and (len(self._over) > LOGOUTS or next(iter(self._over.values())) < now - HOURS_8):
            self._over.popitem(last=False)

    def header(self, visit: Visit) -> str:
        """The `Set-Cookie` of a visit."""
        content: dict[str, Any] = {
            "n": visit.number,
            "p": visit.person,
            "v": self._proof(visit.person) if visit.person else "",
            "t": int(self._clock()),
        }
        attributes = f"Path=/; HttpOnly; SameSite=Lax; Max-Age={HOURS_8}" + (
            "; Secure" if self._secure else ""
        )
        return f"{COOKIE}={self._cookies.dumps(content)}; {attributes}"

    def token(self, visit: Visit) -> str:
        """What a form of this visit brings back."""
        return hmac.new(self._key, f"form:{visit.number}".encode(), hashlib.sha256).hexdigest()

    def is_token(self, visit: Visit, token: str) -> bool:
        return hmac.compare_digest(self.token(visit).encode(), token.encode(errors="replace"))
