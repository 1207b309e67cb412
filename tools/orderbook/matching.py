"""From a customer's phrase to the lines of their orders that it means.

The rule that keeps it safe: every word of the phrase must be explained (by a product's name, by an option
of the line, or as a word that says nothing), and what is left over must be exactly what the phrase counts.
Otherwise nothing is decided and `why` says what is missing. Pure functions over the shop's records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pydantic import Field

from orderbook.wording import CITIES, SIZE_WORDS, called, is_plural, joined, spans, those, words
from shop.models import Order, Record

#: Words that point at a line without telling it from another.
_EMPTY = those(
    "the a an your my that this these those of in from order you i have had just recently receive "
    "received got bought ordered purchase purchased placed been were was which item thing another "
    "different separate new newly recent with also current mine existing product same"
)
_ALL = frozenset({"all", "every", "everything", "both", "each", "any"})
_WHOLE = frozenset({"everything", "item", "thing", "order", "product"})
_STATES = {"pending": "pending", "delivered": "delivered", "received": "delivered", "receive": "delivered"}
_DENIALS = frozenset({"no", "not", "non", "none", "yes", "without"})
_BESIDE = re.compile(
    r"^(?P<what>(?:the|your|my|an?) [\w -]+?) (?:that )?(?:you|i) (?:have )?(?:received|bought|ordered|got)"
    r" (?:together )?with (?P<beside>(?:the|your|my|an?) [\w -]+)$",
    re.IGNORECASE,
)
_ITEM_ID = re.compile(r"(?<![#\w])\d{10}\b")
_SAME_ORDER = re.compile(r"\b(?:same|that|this) order\b", re.IGNORECASE)
_COUNTS = {str(n): n for n in range(2, 13)}
_PRICIER = (("most", "expensive"), ("more", "expensive"), ("pricier",), ("priciest",))
_CHEAPER = (("least", "expensive"), ("less", "expensive"), ("cheaper",), ("cheapest",))
#: General English for a few things that shops name otherwise.
KIN = {"sneaker": "shoe", "trainer": "shoe", "cellphone": "smartphone", "phone": "smartphone",
        "bike": "bicycle", "earphone": "earbud", "earbud": "earphone", "bookcase": "bookshelf"}  # fmt: skip


class Line(Record):
    """One piece of one order, with what a proposal about it needs to know."""

    order_id: str
    status: str
    item_id: str
    product_id: str
    name: str
    options: dict[str, str]
    price_cents: int


class ItemMatch(Record):
    """The lines a phrase means. When it does not decide, `lines` is empty, `why` says why, `candidates` what
    fits.
    """

    lines: list[Line] = Field(default_factory=list)
    why: str = ""
    candidates: list[Line] = Field(default_factory=list)


def lines_of(orders: Iterable[Order]) -> list[Line]:
    """Every piece of these orders."""
    return [
        Line(order_id=o.order_id, status=o.status, **i.model_dump(exclude={"order_id"}))
        for o in orders
        for i in o.items
    ]


def named(tokens: Sequence[str], products: Iterable[str]) -> tuple[set[str], set[int]]:
    """The products (by name) that the words name, and the positions of the words that name them.

    A whole name wins over its last word (`speaker`), that over any other of its words (`jigsaw`).
    """
    known = {name: words(name) for name in products}
    listed = list(tokens)
    for form in (joined, _head, None):
        found: dict[tuple[int, int], set[str]] = {}
        taken: set[int] = set()
        for start, end in spans(listed):
            if taken & set(range(start, end)):
                continue
            run = "".join(listed[start:end])
            if form is None:
                hit = {n for n, parts in known.items() if run in parts and len(run) > 3}
            elif form is _head:
                hit = {n for n in known if _head(n) in (run, KIN.get(run)) or _ends_in(n, run)}
            else:
                hit = {n for n in known if run in (joined(n), *map(joined, called(n)))}
            if hit:
                found[(start, end)] = hit
                taken |= set(range(start, end))
        if found:
            return set.union(*found.values()), taken
    return set(), set()


def _head(name: str) -> str:
    return words(name)[-1]


def _ends_in(name: str, run: str) -> bool:
    return len(run) > 3 and len(words(name)) == 1 and joined(name).endswith(run)


def _holds(line: Line, run: str) -> bool:
    """Whether an option of the line has this value, as a letter or a word, or the value's main word."""
    if run in _DENIALS:
        return False  # `not the red one`: a denial is never the description of an item
    for value in line.options.values():
        if run in (joined(value), SIZE_WORDS.get(value.lower())) or (len(run) > 1 and run in words(value)):
            return True
    return False


def _stated(line: Line, key: str, run: str) -> bool:
    """Whether the line's option `key` has this value: `waterproof: no`."""
    return any(joined(name).endswith(key) and joined(value) == run for name, value in line.options.items())


def _phrases(tokens: list[str], phrases: Iterable[tuple[str, ...]]) -> list[int]:
    """Positions of the first of these word groups that occurs."""
    for group in phrases:
        for at in range(len(tokens) - len(group) + 1):
            if tuple(tokens[at : at + len(group)]) == group:
                return list(range(at, at + len(group)))
    return []


def match_items(
    orders: Sequence[Order], phrase: str, order_id: str = "", statuses: Sequence[str] = ()
) -> ItemMatch:
    """The lines that `phrase` means, among the orders (of `order_id`, in one of `statuses` where given)."""
    chosen = [o for o in orders if not order_id or o.order_id == order_id]
    if order_id and not chosen:
        return ItemMatch(why=f"order {order_id} is not among this customer's orders")
    if not order_id and _SAME_ORDER.search(phrase):
        return ItemMatch(why=f"'{phrase}': of which order?")
    beside = _BESIDE.match(phrase)
    if beside and not order_id:
        return _with_it(orders, beside["what"], beside["beside"], statuses)
    ids = _ITEM_ID.findall(phrase)
    tokens = words(_ITEM_ID.sub(" ", phrase) if len(ids) == 1 else phrase)
    wanted = {_STATES[t] for t in tokens if t in _STATES}
    if statuses:
        wanted = wanted & set(statuses) if wanted else set(statuses)
    pool = lines_of(o for o in chosen if not (wanted or statuses) or o.status in wanted)
    if not pool:
        return ItemMatch(why=f"no order in a state that allows this holds '{phrase}'")
    if len(ids) == 1:
        return _by_id(pool, chosen, tokens, phrase, ids[0])
    return _narrow(pool, chosen, tokens, phrase)


def _by_id(
    pool: list[Line], orders: Sequence[Order], tokens: list[str], phrase: str, item_id: str
) -> ItemMatch:
    """`item 1234567890`: the one line with that number; a name beside it must be the line's own."""
    found = [line for line in pool if line.item_id == item_id]
    if not found:
        return ItemMatch(why=f"no item in the orders has the number {item_id}")
    if all(t in _EMPTY or t in _STATES or t in ("id", "number") for t in tokens):
        lines, why = (found, "") if len(found) == 1 else ([], f"'{phrase}' fits {len(found)} items")
        return ItemMatch(lines=lines, why=why, candidates=[] if lines else found)
    return _narrow(found, orders, [t for t in tokens if t not in ("id", "number")], phrase)


def _with_it(orders: Sequence[Order], what: str, beside: str, statuses: Sequence[str]) -> ItemMatch:
    """`the backpack you received with the vacuum cleaner`: the one in the order that holds the other."""
    other = match_items(orders, beside, "", statuses)
    ids = {line.order_id for line in other.lines or other.candidates}
    found = [match_items(orders, what, one, statuses) for one in sorted(ids)]
    fits = [match for match in found if match.lines]
    if len(fits) == 1 and not any(match.candidates for match in found if not match.lines):
        return fits[0]
    return ItemMatch(why=f"cannot tell which '{what}' came with '{beside}'")


def _narrow(pool: list[Line], orders: Sequence[Order], tokens: list[str], phrase: str) -> ItemMatch:
    explained = {at for at, t in enumerate(tokens) if t in _EMPTY or t in _ALL or t in _STATES}
    names, at_names = named(tokens, {line.name for line in pool})
    if len(names) > 1 and len(at_names) > 1:
        names_whole, at_whole = named(tokens, {n for n in names if joined(n) in "".join(tokens)})
        if names_whole:
            names, at_names = names_whole, at_whole
    explained |= at_names
    found = [line for line in pool if line.name in names]
    if not names:
        found, cities = _by_city(pool, orders, tokens)
        explained |= cities
        whole = any(t in _WHOLE for t in tokens)
        one = "order" in tokens and len({line.order_id for line in pool}) == 1
        if not whole or not (cities or one or any(t in _ALL for t in tokens)):
            return ItemMatch(why=f"nothing in the orders is called '{phrase}'")
        if any(at not in explained and t not in _WHOLE and t not in _COUNTS for at, t in enumerate(tokens)):
            return ItemMatch(why=f"cannot tell which items '{phrase}' are")
        several = len({line.order_id for line in found}) > 1
        if several and not cities and not re.search(r"\borders\b", phrase, re.IGNORECASE):
            return ItemMatch(why=f"'{phrase}': of which order?")
        held = len({line.order_id for line in found})
        need = 2 if "both" in tokens else next((_COUNTS[t] for t in tokens if t in _COUNTS), held)
        if held != need:
            return ItemMatch(why=f"'{phrase}' says {need} orders, there are {held}")
        return ItemMatch(lines=found)
    if any(t in _ALL for t in tokens) and any(t in _WHOLE and t != "order" for t in tokens):
        return ItemMatch(why=f"'{phrase}': everything, or only that?")
    price = _phrases(tokens, _PRICIER), _phrases(tokens, _CHEAPER)
    explained |= {*price[0], *price[1]}
    start = next((at for at, t in enumerate(tokens) if t not in ("the", "your", "my", "these")), 0)
    counted = [_COUNTS[tokens[start]]] if tokens[start] in _COUNTS else []
    if tokens[start] in ("one", "another"):
        counted.append(1)
        explained.add(start)
    for first, end in spans(tokens):
        if explained & set(range(first, end)):
            continue
        run = "".join(tokens[first:end])
        before = tokens[first - 1] if first else ""
        kept = [line for line in found if _holds(line, run) or (before and _stated(line, before, run))]
        if kept:
            found = kept
            explained |= set(range(first, end))
    keys = {word for line in found for key in line.options for word in words(key)}
    left = [
        t for at, t in enumerate(tokens)
        if at not in explained and t not in keys and not (at == start and t in _COUNTS)
    ]  # fmt: skip
    if left:
        return ItemMatch(why=f"'{' '.join(left)}' in '{phrase}' fits nothing in the orders", candidates=found)
    return _counted(found, tokens, phrase, counted, price)


def _counted(
    found: list[Line], tokens: list[str], phrase: str, counted: list[int], price: tuple[list[int], list[int]]
) -> ItemMatch:
    if any(price):
        ordered = sorted(found, key=lambda line: line.price_cents, reverse=bool(price[0]))
        comparative = any(
            tokens[at] in ("more", "less", "cheaper", "pricier") for at in [*price[0], *price[1]]
        )
        if (
            len(found) < 2
            or ordered[0].price_cents == ordered[1].price_cents
            or (comparative and len(found) > 2)
        ):
            return ItemMatch(why=f"the prices do not tell which one '{phrase}' is", candidates=found)
        return ItemMatch(lines=ordered[:1])
    both = "both" in tokens
    if counted or both:
        need = 2 if both else counted[0]
        if need == 1 and len({(line.order_id, line.item_id) for line in found}) == 1:
            return ItemMatch(lines=found[:1])  # one of several that are the same
        if len(found) == need:
            return ItemMatch(lines=found)
        return ItemMatch(why=f"'{phrase}' says {need}, the orders hold {len(found)}", candidates=found)
    if len(found) == 1 or (any(t in _ALL for t in tokens) and "any" not in tokens):
        return ItemMatch(lines=found)
    if (
        "just" in tokens
        and "ordered" in tokens
        and len(fresh := [x for x in found if x.status == "pending"]) == 1
    ):
        return ItemMatch(lines=fresh)  # what was just ordered has not been delivered
    same = len({line.name for line in found}) == 1 and is_plural(phrase)
    return ItemMatch(
        why=f"'{phrase}' fits {len(found)} items" + ("; all of them, or which?" if same else ""),
        candidates=found,
    )


def _by_city(pool: list[Line], orders: Sequence[Order], tokens: list[str]) -> tuple[list[Line], set[int]]:
    """The lines of the orders that go to a place the words name (`LA order`), and where it is named."""
    for order in orders:
        for place in (
            order.address.city,
            *(k for k, v in CITIES.items() if v == order.address.city.lower()),
        ):
            for start, end in spans(tokens):
                if "".join(tokens[start:end]) == joined(place):
                    ids = {o.order_id for o in orders if o.address.city == order.address.city}
                    return [line for line in pool if line.order_id in ids], set(range(start, end))
    return pool, set()
