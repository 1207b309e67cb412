"""Passwords as they are kept: scrypt, with what it takes to check one in the same line."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

#: Memory is 128 * N * R bytes (16 MiB), time about 50 ms.
_N, _R, _P, _LENGTH = 2**14, 8, 1, 32
#: The most that a line may ask for: 64 MiB and a second, so that a wrong file is no way to stop the process.
_MAX_N, _MAX_R, _MAX_P = 2**16, 8, 4
_FORM = re.compile(
    r"scrypt\$(\d{1,6})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{16,64})\$([A-Za-z0-9+/=]{40,128})"
)
#: Characters of a password, so that nobody makes us hash a book.
LONGEST, SHORTEST = 256, 10


def hashed(password: str) -> str:
    """A password as `scrypt$N$R$P$salt$hash`, with a salt of its own. Raises ValueError for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    salt = secrets.token_bytes(16)
    found = _scrypt(password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(found).decode()}"


def is_hash(line: str) -> bool:
    """Whether a text is such a line, and asks for no more than we give."""
    return _parts(line) is not None


def matches(password: str, line: str) -> bool:
    """Whether a password is the one whose line this is. False, too, for a line that is none. It takes about 50 ms of CPU."""
    parts = _parts(line)
    if parts is None or len(password) > LONGEST:
        return False
    n, r, p, salt, expected = parts
    return hmac.compare_digest(_scrypt(password, salt, n, r, p), expected)


def _parts(line: str) -> tuple[int, int, int, bytes, bytes] | None:
    found = _FORM.fullmatch(line)
    if found is None:
        return None
    n, r, p = (int(found[place]) for place in (1, 2, 3))
    if not (2 <= n <= _MAX_N and n & (n - 1) == 0 and 1 <= r <= _MAX_R and 1 <= p <= _MAX_P):
        return None
    try:
        salt, expected = (base64.b64decode(found[place], validate=True) for place in (4, 5))
    except binascii.Error:
        return None
    return (n, r, p, salt, expected) if len(expected) == _LENGTH else None


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode(errors="surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=_LENGTH
    )
