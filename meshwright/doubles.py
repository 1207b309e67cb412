"""Numbers in JSON: A2A holds them as doubles, and what is larger cannot be told on."""

from __future__ import annotations

import math

#: A whole number of no more digits fits into a double.
_DIGITS = 308


class NoDouble(ValueError):
    """A number that no double can hold."""


def finite(text: str) -> float:
    """A `parse_float` for JSON, and a `parse_constant`. Raises NoDouble for 1e999, which would be infinite, NaN and Infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise NoDouble(f"{text[:20]} is a larger number than a double, and A2A, can hold")
    return number


def whole(text: str) -> int:
    """A `parse_int` for JSON. Raises NoDouble."""
    if len(text) > _DIGITS:
        finite(text)
    return int(text)
