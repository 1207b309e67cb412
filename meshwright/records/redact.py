"""What of arguments, results and reasons is written down: enough to see why, and nothing that is about a person.

By field first: what a field's name says is personal is not there at all. By pattern second, in the texts that are left. What is long is
cut, and a keyed hash of the whole says whether two were the same. Honest limit: a name in running text has no pattern.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from meshwright.audit import privacy

#: Characters of a text, members of a list or object, depth, and characters of all of it as JSON.
TEXT, MANY, DEEP, WHOLE = 200, 32, 6, 2_048
PERSONAL = "[personal]"

_ID = re.compile(r"[#\w][\w.:/-]{0,63}", re.ASCII)
#: A text without any of these has nothing that a mask would find; most have none, and the masks cost far more.
_SUSPECT = re.compile(
    r"[@\x00-\x08\x0b-\x1f]|[^\x00-\x7f]|\d[\d ()./-]{5,}\d|[\w+/=.-]{24,}|[A-Z]{2}\d{2} ?[A-Z0-9]{4}"
)


def reason(text: object) -> str:
    """A sentence that says why, for people."""
    words = str(text)[: 2 * privacy.EXCERPT]
    return privacy.redacted(words) if _SUSPECT.search(words) else words


def shown(value: Any) -> Any:
    """`value` (JSON) as it may be looked at: pruned to at most about WHOLE characters, what is personal replaced."""
    return _shown(value, 1, [WHOLE])


def keyed(value: Any) -> tuple[str, int]:
    """A keyed hash of a whole value (JSON), and its size in characters."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return privacy.keyed(text)[:16], len(text)


@functools.lru_cache(2_048)
def _of(field: str) -> str:
    """What a field is by its name: personal, id, or neither (empty)."""
    if privacy.is_personal(field):
        return "personal"
    return "id" if privacy.is_id_field(field) else ""


def _shown(value: Any, depth: int, left: list[int]) -> Any:
    if isinstance(value, str):
        text = value if len(value) <= TEXT else f"{value[: TEXT - 1]}…"
        left[0] -= len(text) + 2
        return privacy.redacted(text) if _SUSPECT.search(text) else text
    if isinstance(value, Mapping):
        if depth > DEEP:
            return "{…}"
        found: dict[str, Any] = {}
        for name, each in value.items():
            if len(found) >= MANY or left[0] <= 0:
                found["…"] = len(value) - len(found)
                break
            name = str(name)
            left[0] -= len(name) + 4
            what = _of(name)
            if what == "personal":
                found[name] = each if each is None or isinstance(each, bool) else PERSONAL
            elif what == "id" and isinstance(each, str) and _ID.fullmatch(each):
                found[name] = each
                left[0] -= len(each) + 2
            else:
                found[name] = _shown(each, depth + 1, left)
        return found
    if isinstance(value, list | tuple):
        if depth > DEEP:
            return "[…]"
        members: list[Any] = []
        for each in value:
            if len(members) >= MANY or left[0] <= 0:
                members.append(f"… {len(value) - len(members)} more")
                break
            members.append(_shown(each, depth + 1, left))
        return members
    left[0] -= 8
    return value
