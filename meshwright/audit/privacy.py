"""What of a person may stand in the log: redacted text and keyed hashes. A stub: plain hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def redacted(text: str) -> str:
    """An excerpt with everything personal masked."""
    return text[:1000]


def keyed(value: str) -> str:
    """A hash that only who has the key can compare."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """A proposal's arguments as they may stand in the log."""
    return {name: keyed(repr(value)) for name, value in args.items()}
