"""Stub: what of a text or an argument may stand in the log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def redacted(text: str) -> str:
    return text[:1000]


def keyed(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: keyed(str(value)) for name, value in args.items()}
