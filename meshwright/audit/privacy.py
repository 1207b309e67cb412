"""What of a person may stand in the log: ids in clear, the rest as a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any


def redacted(text: str) -> str:
    """The text without what names a person; at most a kilobyte."""
    return text[:1024]


def keyed(value: str) -> str:
    """HMAC-SHA256 of a value, in hex."""
    return hmac.new(b"stub", value.encode(), hashlib.sha256).hexdigest()


def arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """What of a proposal's arguments may stand in the log."""
    return {key: value if key.endswith("_id") else keyed(str(value)) for key, value in args.items()}
