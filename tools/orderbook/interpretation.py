"""What a wish says about each option of a product: values, steps, what is free, what is preferred.

Every word is explained by the product's own options, or says nothing; what is neither raises Unclear.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Literal

from orderbook.scales import Step, Unclear, steps_in
from orderbook.wording import SIZE_WORDS, joined, spans, those, words
from shop.models import Product, Variant

_EMPTY = those(
    "the a an one ones version variant option item model type product instead be is it are in of "
    "with for to that has have having your my and but available new something spec specification "
    "color size kind style id number i you attribute following sort made another level"
)
#: Devices are named for the speaker and for who speaks in it.
_KNOWN_AS = {"compatible with": "", "google home": "google assistant", "amazon echo": "amazon alexa"}
_SAME = frozenset({"same", "keep", "keeping", "unchanged", "retain", "retaining", "maintain", "maintaining"})
_REST = frozenset(
    {
        "other",
        "rest",
        "everything",
        "else",
        "spec",
        "specification",
        "option",
        "feature",
        "attribute",
        "detail",
    }
)
_OTHERS_STAY = re.compile(
    r"\b(?:without changing|keep(?:ing)?|with|and|but)? ?(?:(?:all|any) )?(?:of )?(?:the |its )?(?:other|rest of the) "
    r"(?:options?|specs?|specifications?|features|details)(?: (?:the )?same| unchanged| as (?:it is|they are))?$"
)
_CHEAPEST = re.compile(r"\b(?:the )?(?:cheapest|least expensive|lowest[- ]priced?)\b")
_DEAREST = re.compile(r"\b(?:the )?(?:most expensive|highest[- ]priced?|priciest)\b")
_ANY = re.compile(
    r"\b(?:any|whatever|do not care about|don't care about|do not mind|regardless of|no matter the)\b"
)
_ITEM_ID = re.compile(r"\b\d{10}\b")


@dataclass
class Reading:
    """What was read: per option values allowed, steps along a scale, what is free, what is preferred."""

    values: dict[str, set[str]] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)
    preferred: list[tuple[str, str]] = field(default_factory=list)
    price: Literal["", "cheapest", "dearest"] = ""
    item_id: str = ""


def read_wish(product: Product, current: Variant, wish: str) -> Reading:
    read = Reading()
    text = wish.strip(" .").lower()
    for said, meant in _KNOWN_AS.items():
        text = text.replace(said, meant)
    text = re.sub(r"\bif (?:it is |it's |that is |both are )?(?:available|possible|in stock)\b", " ", text)
    literal = re.search(r"\{[^}]*\}", text)
    if literal:
        _listed(product, literal.group(), read)
        text = text.replace(literal.group(), " ")
    ids = _ITEM_ID.findall(text)
    if len(ids) == 1 and not literal:
        read.item_id = ids[0]
        text = text.replace(ids[0], " ")
    for pattern, price in ((_CHEAPEST, "cheapest"), (_DEAREST, "dearest")):
        if pattern.search(text):
            read.price = "cheapest" if price == "cheapest" else "dearest"
            text = pattern.sub(" ", text)
    text = re.sub(
        r"^(?:an? )?(?:the )?(?:exact )?same (?:one|item|type|kind|model|product|specs?)?\s*(?:but|except"
        r"|only)\b",
        " ",
        text,
    )
    if _OTHERS_STAY.search(text) and not _ANY.search(text):
        if read.price:
            raise Unclear(f"'{wish}': the price decides, or the other options stay?")
        text = _OTHERS_STAY.sub(" ", text)
    name = product.name.lower()
    mode = ""
    for chunk in _chunks(text):
        mode = _chunk(product, current, chunk, mode, read, set(words(name)) | {joined(name)})
    if not (read.values or read.steps or read.price or read.item_id or read.preferred):
        raise Unclear(f"'{wish}' does not say which {product.name}")
    return read


def _chunks(text: str) -> list[str]:
    """The wish in pieces, each of which says one thing; `prefer` begins a piece and stays in it."""
    text = re.sub(r"\b(?:you(?:'d)? )?(?:would )?prefer(?:ably|ring)?\b", ", prefer ", text)
    liked = re.search(r", prefer (.*)$", text)
    if liked:
        text = text[: liked.start(1)] + re.sub(r"\s*>\s*|\bover\b|\bthan\b", ", prefer ", liked.group(1))
    text = re.sub(r"\binstead of\b|\brather than\b", ", insteadof ", text)
    return [c.strip() for c in re.split(r",|;|\bwhile\b|\bwith\b|\band\b|\bbut\b", text) if c.strip()]


def _listed(product: Product, literal: str, read: Reading) -> None:
    """Options given as `{'color': 'black', ...}`."""
    try:
        listed = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        raise Unclear(f"cannot read {literal}") from None
    known = _options(product)
    for name, wanted in listed.items() if isinstance(listed, dict) else ():
        key = next((k for k in known if joined(k) == joined(str(name))), "")
        value = next((v for v in known.get(key, ()) if v.lower() == str(wanted).lower()), "")
        if not key:
            raise Unclear(f"{product.name} has no option '{name}'")
        read.values[key] = {value or str(wanted)}


def _options(product: Product) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for variant in product.variants:
        for key, value in variant.options.items():
            known.setdefault(key, set()).add(value)
    return known


def _chunk(product: Product, current: Variant, chunk: str, mode: str, read: Reading, name: set[str]) -> str:
    """Read one piece into `read`; returns the mode (`same`, `any`) that a bare option after it inherits."""
    known = _options(product)
    free = bool(_ANY.search(chunk))
    tokens = words(_ANY.sub(" ", chunk))
    same = bool(_SAME & set(tokens))
    prefer, instead = "prefer" in tokens, "insteadof" in tokens
    rest = {at for at, t in enumerate(tokens) if t not in _SAME and t not in ("prefer", "insteadof")}
    keys = {key for key in known for start, end in spans(tokens) if "".join(tokens[start:end]) == joined(key)}
    keyed = {at for at in rest if any(tokens[at] in words(key) for key in known)}
    if not keys:
        keys = {key for key in known if any(tokens[at] in words(key) for at in keyed)}
    steps, stepped = steps_in(known, tokens, rest, keys)
    for key, step in steps.items():
        if key in read.steps:
            raise Unclear(f"two wishes about the {key} of {product.name}")
        read.steps[key] = step
    valued: list[tuple[str, str]] = []
    for start, end in spans(tokens):
        run = set(range(start, end))
        if run <= rest and not run & stepped:
            hits = _values(known, "".join(tokens[start:end]), end - start == 1 and tokens[start] in name)
            hit = _decide(hits, keys, run <= keyed)
            if hit:
                valued.append(hit)
                rest -= run
    negated = _negated(known, tokens, rest, keys)
    valued += negated
    left = [tokens[at] for at in sorted(rest - keyed - stepped) if tokens[at] not in _EMPTY | name | _REST]
    if left:
        raise Unclear(f"'{' '.join(left)}' says nothing about {product.name}")
    spoken = {key for key, _ in valued}
    if steps and (open_keys := keys - spoken - set(steps)) and not (same or free):
        raise Unclear(f"a {', '.join(sorted(open_keys))} is asked for, but not which")
    if valued or stepped:
        for key, value in valued:
            if prefer:
                read.preferred.append((key, value))
                read.free.add(key)
            elif instead and current.options.get(key) != value:
                raise Unclear(f"the {product.name} that was ordered is not {value}")
            elif instead:
                if key not in read.values and key not in read.steps:
                    raise Unclear(f"not {value}, but which {key}?")
            elif free:
                read.free.add(key)
            else:
                if read.values.get(key, {value}) != {value}:
                    raise Unclear(f"two values for {key}")
                read.values[key] = {value}
        return mode if not same else "same"
    mode = "same" if same else "any" if free else mode
    others = bool(set(tokens) & _REST) and mode
    if (keys - spoken) and not mode:
        raise Unclear(f"a {', '.join(sorted(keys))} is asked for, but not which")
    if mode == "any":
        read.free |= set(known) if others else keys
    elif mode == "same":
        for key in keys:
            read.values[key] = {current.options[key]}
    return mode


def _values(known: dict[str, set[str]], run: str, of_name: bool) -> list[tuple[str, str]]:
    """The options that have this value: written out, as a size's word, or by the one word only it has."""
    whole = [(k, v) for k, vs in known.items() for v in vs if run in (joined(v), SIZE_WORDS.get(v.lower()))]
    if whole or of_name or run in _EMPTY or len(run) < 2:
        return whole
    partly = [(k, v) for k, vs in known.items() for v in vs if run in _parts(v)]
    if not partly and len(run) > 3:
        partly = [(k, v) for k, vs in known.items() for v in vs if joined(v).startswith(run)]
    return partly


def _parts(value: str) -> set[str]:
    parts = words(value)
    return {"".join(parts[start:end]) for start, end in spans(parts)} - {"no", "none", "yes", "not"}


def _decide(hits: list[tuple[str, str]], keys: set[str], named: bool) -> tuple[str, str] | None:
    """One of the hits: the only one, or the only one whose option is named beside it. Raises when two are
    left.
    """
    if len(hits) == 1:
        return hits[0]
    near = [hit for hit in hits if hit[0] in keys]
    if len(near) == 1:
        return near[0]
    if hits and not named:
        raise Unclear(f"could be {' or '.join(f'{k} {v}' for k, v in sorted(hits))}")
    return None


def _negated(
    known: dict[str, set[str]], tokens: list[str], rest: set[int], keys: set[str]
) -> list[tuple[str, str]]:
    """`no backlight` → none, `not waterproof` → no, `waterproof` → yes."""
    found = []
    for key in keys:
        yes, no = {"yes"} & known[key], {"no", "none"} & known[key]
        denied = [at for at in rest if tokens[at] in ("no", "not", "non", "without")]
        if denied and len(no) == 1:
            found.append((key, next(iter(no))))
            rest -= set(denied)
        elif yes and not denied and not ({"same", "prefer", "insteadof"} & set(tokens)):
            found.append((key, "yes"))
    return found
