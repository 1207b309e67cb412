"""When two values of one subject are the same, however they are written: case, spaces, `$1,234.50` and `1234.5`."""

from __future__ import annotations

import re
from decimal import Decimal

from meshwright.contradictions import folded

_SIGNS = {"$": "usd", "us$": "usd", "€": "eur", "£": "gbp", "¥": "jpy"}
_CODE = r"(?:us\$|[$€£¥]|usd|eur|gbp|jpy|chf)"
_MONEY = re.compile(
    rf"(?P<minus>-?)(?P<before>{_CODE})? ?(?P<number>-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?) ?(?P<after>{_CODE})?"
)


def same(one: str, other: str) -> bool:
    """Whether two values say the same. A number without a currency is the same number with one."""
    a, b = folded(one).rstrip("."), folded(other).rstrip(".")
    if a == b:
        return True
    left, right = _amount(a), _amount(b)
    if left is None or right is None or left[0] != right[0]:
        return False
    return left[1] == right[1] or not (left[1] and right[1])


def _amount(text: str) -> tuple[Decimal, str] | None:
    """The number and the currency, where it is written."""
    found = _MONEY.fullmatch(text)
    if found is None or (found["before"] and found["after"]):
        return None
    written = found["before"] or found["after"] or ""
    number = Decimal(found["number"].replace(",", ""))
    return (-number if found["minus"] else number), _SIGNS.get(written, written)
