"""The tickets of a data set, read from a file of JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class TicketsUnreadable(Exception):
    """The file is not what is expected; the text says which line, and what is wrong."""


@dataclass(frozen=True, slots=True)
class TicketCase:
    """One ticket and the writes that a right handling makes."""

    id: str
    who: str
    text: str
    manner: str
    gold: tuple[dict[str, Any], ...]

    @property
    def message(self) -> str:
        """What is sent: who, text, manner, in this order."""
        return f"{self.who} {self.text} {self.manner}"


def load(path: Path) -> list[TicketCase]:
    """All tickets of the file, in its order. Raises TicketsUnreadable."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TicketsUnreadable(f"cannot read tickets from {path}: {error}") from None
    cases = [_case(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise TicketsUnreadable(f"{path} holds no tickets")
    return cases


def _case(line: str, where: str) -> TicketCase:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise TicketsUnreadable(f"{where}: not JSON: {error.msg}") from None
    if not isinstance(found, dict):
        raise TicketsUnreadable(f"{where}: a ticket must be an object")
    texts = {}
    for key in ("id", "who", "text", "manner"):
        if not isinstance(found.get(key), str):
            raise TicketsUnreadable(f"{where}: '{key}' must be a text")
        texts[key] = found[key]
    gold = found.get("gold_writes")
    if not isinstance(gold, list):
        raise TicketsUnreadable(f"{where}: 'gold_writes' must be a list")
    for one in gold:
        if not (
            isinstance(one, dict)
            and isinstance(one.get("name"), str)
            and isinstance(one.get("arguments"), dict)
        ):
            raise TicketsUnreadable(f"{where}: every gold write needs a 'name' and 'arguments'")
    return TicketCase(**texts, gold=tuple(gold))
