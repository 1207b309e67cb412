"""Money as whole cents: how it comes in from files that hold dollars, and how it is said."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def cents(dollars: object) -> int:
    """Dollars, as JSON has them, in cents. Raises ValueError when it is no amount, or finer than a cent."""
    if isinstance(dollars, bool) or not isinstance(dollars, int | float | Decimal):
        raise ValueError(f"{dollars!r} is not an amount of money")  # noqa: TRY004  (pydantic collects ValueErrors)
    try:
        # str() first: the float 54.04 means 54.04, not its nearest binary fraction
        exact = Decimal(str(dollars)) * 100
        whole = int(exact.to_integral_value())
    except (InvalidOperation, OverflowError, ValueError):
        raise ValueError(f"{dollars!r} is not an amount of money") from None
    if abs(exact - whole) > Decimal("0.001"):
        raise ValueError(f"{dollars!r} is finer than a cent")
    return whole


def said(amount_cents: int) -> str:
    """`12345` as `$123.45`."""
    sign = "-" if amount_cents < 0 else ""
    return f"{sign}${abs(amount_cents) // 100:,}.{abs(amount_cents) % 100:02d}"
