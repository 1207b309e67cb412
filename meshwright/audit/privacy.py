"""What of a person may stand in a log that is never changed: text with the telling parts masked, and hashes under a key.

By field first: what is not known to be an id or a number is hashed. By pattern second, for the few texts that people have to read. The
key is not in the database. Whoever destroys it makes the hashes say nothing more, and the chain still holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import re
import secrets
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Bytes of a block of SHA-256, and what HMAC makes of the bytes of its key.
_BLOCK = 64
_INNER, _OUTER = bytes(b ^ 0x36 for b in range(256)), bytes(b ^ 0x5C for b in range(256))
#: Bytes of an excerpt.
EXCERPT = 1024
#: Of a proposal's arguments: how many, and how deep, before the rest is hashed as a whole.
MANY, DEEP = 64, 4
KEYED = "hmac:"

#: The two hashes of HMAC (RFC 2104) as they stand once they have read the key: what is hashed is short, and there is much of it.
_begun: tuple[hashlib._Hash, hashlib._Hash] | None = None

#: Each runs in a time linear in the text.
_MASKS = (
    (re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "[e-mail]"),
    (
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"),
        "[account]",
    ),
    (re.compile(r"(?<![\w#])\d(?:[ .-]?\d){12,18}(?!\w)"), "[card]"),
    (
        re.compile(r"(?<![\w#])(?!\d{4}-\d\d-\d\d(?!\d))(?:\+|\()?\d(?:[ ()./-]{0,3}\d){6,14}(?!\w)"),
        "[phone]",
    ),
    (re.compile(r"(?<![\w+/=.-])[\w+/=.-]{24,}"), "[token]"),
)
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ID_FIELD = re.compile(r"(?:.*_)?ids?")
_ID = re.compile(r"[#\w][\w.:/-]{0,63}", re.ASCII)
#: A field with one of these in its name is about a person, whatever its value looks like.
_PERSONAL = re.compile(
    r"(?:^|_)(?:account|address|birth|city|country|customer|e?mail|first|iban|last|names?|password|person|phone|postal|secret|ssn"
    r"|state|street|token|user|username|zip)\d*(?:_|$)"
)


def hold(path: Path) -> None:
    """Use the key in this file from now on, in this process. It is made, for this user only, if it is not there.

    Raises OSError where that cannot be, and ValueError for a file that holds no key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        try:
            os.link(draft, path)  # unlike a rename this never replaces what another process has just made
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    held = bytes.fromhex(path.read_text().strip())
    if len(held) < 16:
        raise ValueError(f"{path} holds no key: it should be 64 hexadecimal digits")
    _use(held)


def derive(key: bytes) -> None:
    """Use a key that follows from the private key of this process: what replicas have in common where they share no file."""
    _use(hmac.digest(key, b"meshwright audit hashes", "sha256"))


def keyed(value: str) -> str:
    """HMAC-SHA256 of a value under the key, in hex: equal values are equal, and without the key nobody can try values.

    A process that holds no key yet uses one of its own that dies with it.
    """
    if _begun is None:
        _use(secrets.token_bytes(32))
    assert _begun is not None
    inner, outer = _begun[0].copy(), _begun[1].copy()
    inner.update(value.encode("utf-8", "surrogatepass"))
    outer.update(inner.digest())
    return outer.hexdigest()


def _use(key: bytes) -> None:
    global _begun
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    _begun = hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def redacted(text: str) -> str:
    """An excerpt of at most EXCERPT bytes in which e-mail addresses, accounts, cards, telephones and long tokens are masked.

    Names and streets have no pattern: what is about a person belongs into `keyed`.
    """
    # cut first, because masking costs time, and between words, so that no half of anything is left unmasked
    if len(text) > 2 * EXCERPT:
        words = text[: 2 * EXCERPT].rsplit(None, 1)
        text = f"{words[0]} …" if len(words) > 1 else "[token]"
    # a full-width @ is an @, and an invisible character hides nothing
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Cc") or c in "\n\t")
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    whole = text.encode()
    return (
        text
        if len(whole) <= EXCERPT
        else whole[: EXCERPT - 4].decode("utf-8", "ignore").rsplit(" ", 1)[0] + " …"
    )


def arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """What of a proposal's arguments may stand in the log: ids, numbers and truth values in clear, all else hashed.

    Of a field that is about a person by its name nothing is in clear.
    """
    return {_named(name): _shown(name, value, 1) for name, value in list(args.items())[:MANY]} | (
        {"more": KEYED + keyed(_json(args))} if len(args) > MANY else {}
    )


def is_personal(field: str) -> bool:
    """Whether a field is about a person, by its name."""
    return _PERSONAL.search(field.lower()) is not None


def is_id_field(field: str) -> bool:
    """Whether a field holds ids, by its name."""
    return _ID_FIELD.fullmatch(field) is not None


def _named(field: str) -> str:
    return field if _FIELD.fullmatch(field) else KEYED + keyed(field)


def _shown(field: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if depth < DEEP and isinstance(value, Mapping) and len(value) <= MANY:
        return {_named(str(name)): _shown(f"{field}_{name}", each, depth + 1) for name, each in value.items()}
    if depth < DEEP and isinstance(value, list) and len(value) <= MANY:
        return [_shown(field, each, depth + 1) for each in value]
    if not is_personal(field):
        # a telephone number can be a number, too
        if isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e9:
            return value
        if isinstance(value, str) and is_id_field(field) and _ID.fullmatch(value):
            return value
    return KEYED + keyed(value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
