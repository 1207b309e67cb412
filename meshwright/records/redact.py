"""What of arguments, results and reasons is written down: enough to see why, and nothing that is about a person.

By field first: what a field's name says is personal is not there at all. By pattern second, in the texts and numbers that are left.
What is long is cut, and a keyed hash of the whole says whether two were the same. What comes out is JSON, whatever went in. Honest
limit: a name in running text has no pattern.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from meshwright.audit import privacy

#: Characters of a text, members of a list or object, depth, and characters of all of it as JSON.
TEXT, MANY, DEEP, WHOLE = 200, 32, 6, 2_048
PERSONAL = "[personal]"
#: How a thing stands, unless it stands beside what is about a person: then it is where they live.
STATE = "state"
#: From here on a number may be one of a telephone, an account or a card.
LARGE = 1_000_000_000
#: A text of letters that is shorter than this holds nothing that a mask would find.
SHORT = 24
_PLAIN = re.compile(r"[A-Za-z _]+")

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode
_ID = re.compile(r"[#\w][\w.:/-]{0,63}", re.ASCII)
#: A text without any of these has nothing that a mask would find; most have none, and the masks cost far more.
_SUSPECT = re.compile(
    r"[@\x00-\x08\x0b-\x1f]|[^\x00-\x7f]|\d[\d ()./-]{5,}\d|[\w+/=.-]{24,}|[A-Z]{2}\d{2} ?[A-Z0-9]{4}"
)


def reason(text: object) -> str:
    """A sentence that says why, for people."""
    words = str(text)[: 2 * privacy.EXCERPT + 1]
    if len(words) > 2 * privacy.EXCERPT or _SUSPECT.search(
        words
    ):  # what is too long is cut between words there
        return privacy.redacted(words)
    return words


def shown(value: Any) -> Any:
    """`value` (JSON) as it may be looked at: pruned to at most about WHOLE characters, what is personal replaced."""
    return _shown(value, "", 1, [WHOLE])


def keyed(value: Any) -> tuple[str, int]:
    """A keyed hash of a whole value (JSON), and its size in characters."""
    try:
        text = _canonical(value)
    except (TypeError, ValueError, RecursionError):  # no JSON, or too deep for it
        return "", 0
    return privacy.keyed(text)[:16], len(text)


def field_name(name: object) -> str:
    """The name of a field, which may be anybody's word, as it may be shown."""
    return _field(str(name))[0]


@functools.lru_cache(2_048)
def _field(name: str) -> tuple[str, str]:
    """A field's name as it may be shown, and what it is by its name: personal, id, STATE, or none of these (empty)."""
    clean = name if _ID.fullmatch(name) else privacy.redacted(name[:TEXT])
    if name == STATE:
        return clean, STATE
    if privacy.is_personal(name):
        return clean, "personal"
    return clean, "id" if privacy.is_id_field(name) or name.endswith("_ids") else ""


def _shown(value: Any, what: str, depth: int, left: list[int]) -> Any:
    """`what` is the field that it stands in, as `_field` says. The order of the questions is that of how often they are true."""
    kind = type(value)
    if kind is str:
        return _text(value, what, left)
    if kind is dict:
        return _object(value, depth, left) if depth <= DEEP else "{…}"
    if kind is list or kind is tuple:
        return _list(value, what, depth, left) if depth <= DEEP else "[…]"
    left[0] -= 8
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return _number(value, what)
    return _unusual(value, what, depth, left)


def _unusual(value: Any, what: str, depth: int, left: list[int]) -> Any:
    """What a playbook may pass on as JSON, such as the member of an enum; of what is none only its kind."""
    if isinstance(value, str):
        return _text("".join(value), what, left)
    if isinstance(value, int | float):
        return _number(value + 0, what)
    if isinstance(value, Mapping):
        return _shown(dict(value), what, depth, left)
    return f"[{type(value).__name__}]"


def _text(value: str, what: str, left: list[int]) -> str:
    size = len(value)
    left[0] -= size + 2 if size <= TEXT else TEXT + 2
    if size < SHORT and value.isascii() and _PLAIN.fullmatch(value):
        return value
    if what == "id" and _ID.fullmatch(value):
        return value
    if size <= TEXT:
        return privacy.redacted(value) if _SUSPECT.search(value) else value
    # masked before it is cut, and cut between words, so that no half of anything is left unmasked
    words = value[: 2 * TEXT].rsplit(None, 1)
    text = words[0] if len(words) > 1 else "[token]"
    masked = privacy.redacted(text) if _SUSPECT.search(text) else text
    return f"{masked[: TEXT - 1]}…"


def _number(value: float, what: str) -> Any:
    if -LARGE < value < LARGE or (what == "id" and isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return privacy.redacted(f"{value:.0f}") if abs(value) < 1e30 else "[number]"


def _object(value: dict[Any, Any], depth: int, left: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, each in value.items():
        if len(found) >= MANY or left[0] <= 0:
            found["…"] = len(value) - len(found)
            break
        name, what = _field(key if isinstance(key, str) else str(key))
        left[0] -= len(name) + 4
        if name in found:
            name = f"{name} {len(found)}"
        if what == STATE and any(_field(str(beside))[1] == "personal" for beside in value):
            what = "personal"
        if what == "personal" and each is not None and each is not True and each is not False:
            found[name] = PERSONAL
        else:
            found[name] = _shown(each, what, depth + 1, left)
    return found


def _list(value: list[Any] | tuple[Any, ...], what: str, depth: int, left: list[int]) -> list[Any]:
    found: list[Any] = []
    for each in value:
        if len(found) >= MANY or left[0] <= 0:
            found.append(f"… {len(value) - len(found)} more")
            break
        found.append(_shown(each, what, depth + 1, left))
    return found
