"""What a clause asks to have done: a verb, the items, the wish, the order, where money goes.

Verbs are taken at their word only as far as it goes: `exchange` and `change` are one kind (`swap`),
because customers use both for pending and delivered orders; the order's state decides. Phrases are handed
on as they stand: the order book explains each of their words, or the request stays open.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from triage.phrases import (
    PAYS,
    beyond,
    cancel_reason,
    hurried,
    listed,
    one_order,
    order_ids,
    payment,
    per_order,
    reason,
)

Do = Literal["return", "swap", "cancel", "readdress", "profile_address", "repay"]

#: `the same type as the one in your pending order`: the wish is an item of another order.
_LIKE = re.compile(
    r"^(?:be |become )?(?:the |an? )?(?:exact |exactly )?(?:the )?(?:same )?(?:type|kind|one|model|version|item"
    r"|specs|options)?\s*(?:as|that is|of)\s*(?:the )?(?:one |same )?(?:that )?"
    r"(?:(?:(?:is |you have )?in|from|of) your (?P<a>pending|delivered) order"
    r"|you (?:have )?(?:already |just )?(?P<b>received)(?: already)?)$",
    re.IGNORECASE,
)
_MINUS = re.compile(
    r"^(?P<all>everything|all(?: of)?(?: the| your)? ?(?:items|things|products)?)(?: in it| you (?:have )?(?:just"
    r" |recently )?(?:received|bought|ordered|got))? (?:except|apart from|other than|but)(?: for)? (?P<minus>.+)$",
    re.IGNORECASE,
)
VERBS = (
    r"return|send back|give back|refund|get (?:a )?(?:full )?refund|exchange|swap|change|modify|switch|replace"
    r"|update|adjust|upgrade|cancel|correct|remove"
)
_WANT = (
    r"(?:you (?:also |now |just |really |both |then |would )*(?:want|wish|need|like|are looking|wanna"
    r"|have decided|decided|intend)(?: the agent)?(?: to)? (?:also )?(?:to )?(?:help you (?:to )?|make sure to )?)"
)
_LEAD = re.compile(
    rf"^(?:{_WANT}|to |(?:please )?make sure (?:to |you |that you )+|(?:you )?ask (?:the agent )?to )?"
    rf"(?:also )?(?:please )?(?:help you (?:to )?)?(?=(?:{VERBS})\b)",
    re.IGNORECASE,
)
_NEXT = re.compile(
    rf"(?:,\s*|\s+)(?:and\s+|so\s+|but\s+)?(?:then\s+|also\s+|now\s+|lastly,?\s+|finally,?\s+)*(?={_WANT}(?:\w+)\b"
    rf"|you (?:also )?(?:want|need|wish|would like) )"
    rf"|(?:,\s*and|\s+and|,|,\s*but)\s+(?:then\s+|also\s+)*(?!refund (?:it|them) (?:back )?(?:to|on|onto|via)\b)"
    rf"(?=(?:{VERBS})\s+(?:the|your|all|both|order|it|them"
    rf"|an?|any|everything|#W\d+)\b)",
    re.IGNORECASE,
)
_TO = re.compile(r"\s+(?:to|for|with|into|by)\s+(?:be\s+|have\s+)?", re.IGNORECASE)
_REPAY = re.compile(
    rf"^(?:{_WANT})?(?:also )?(?:please )?(?:change|modify|switch|update) (?:the |your )?payment(?: "
    rf"method)?(?: (?:of|for|on|in) (?P<what>[^,]+?))? (?:to|with) (?P<pay>{PAYS})$",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"(?:[,;]\s*and|[,;]|\s+and)\s+(?=(?:the|your|a|one|another)\s+[^,{]*?(?:\{[^}]*\})?\s*(?:to|for|into)\s+)"
    r"|[;,]\s*(?:and\s+)?(?=[\w -]+ \{[^}]*\} (?:to|for|into) )",
    re.IGNORECASE,
)
_OPTION_OF = re.compile(
    r"^the (?P<key>[a-z]+(?: [a-z]+)?) (?:of|for|on) (?P<what>(?:the|your) [\w -]+?(?: #W\d+)?) (?:to|into) (?P<value>.+)$"
    r"|^(?P<owner>(?:the|your) [\w -]+?)'s? (?P<option>[a-z]+(?: [a-z]+)?) (?:to|into) (?P<new>.+)$",
    re.IGNORECASE,
)
#: `the lamp from white to black`: what it is now is checked by the order book like any other word.
_FROM_TO = re.compile(
    r"^(?P<what>(?:the|your) [\w -]+?(?: #W\d+)?) from (?:an? |the )?(?P<old>(?!.*\border)[\w -]+?) to (?P<new>[\w -]+?)(?P<of> (?:in|from|of) .*#W\d+)?$",
    re.IGNORECASE,
)
_PASSIVE = re.compile(
    r"^(?:(?P<what>[\w' -]+?)(?: also)? (?:needs?|has|have|should|must)(?: also)? (?:to )?be "
    r"|you (?:also |would )?(?:want|need|like) (?:to have )?(?P<this>(?:the|your|both|all|order) [#\w' -]*?)(?: to be)? )"
    r"(?P<verb>returned|exchanged|cancell?ed)$",
    re.IGNORECASE,
)
_WITH_IT = re.compile(
    r"^(?:the |your )?(?:whole |entire |pending |other )*order (?:with|containing|of|for|that (?:has|includes"
    r"|contains)|including|holding) (?P<items>(?:the|your|an?) .+)$",
    re.IGNORECASE,
)


@dataclass
class Request:
    """One thing to be done. `items` and `wish` are the customer's phrases; `pay` methods, best first."""

    do: Do
    items: list[str] = field(default_factory=list)
    wish: str = ""
    order_id: str = ""
    pay: list[str] = field(default_factory=list)
    reason: str = ""
    whole: bool = False
    otherwise: str = ""
    fallbacks: list[str] = field(default_factory=list)
    like: str = ""
    minus: list[str] = field(default_factory=list)
    address: dict[str, str] = field(default_factory=dict)
    words: str = ""

    def detail(self) -> dict[str, Any]:
        """As it travels in a subtask."""
        return {key: value for key, value in asdict(self).items() if value}


def clauses(sentence: str) -> list[str]:
    """The sentence cut before each new verb of asking."""
    return [part.strip(" ,.") for part in _NEXT.split(sentence) if part and part.strip(" ,.")]


def read(clause: str) -> list[Request] | None:
    """The requests in the clause; None when it is none, or one that is not understood."""
    if passive := _PASSIVE.match(hurried(clause)):
        active = {"r": "return", "e": "exchange", "c": "cancel"}[passive["verb"][0].lower()]
        return read(f"{active} {passive['what'] or passive['this']}")
    if repay := _REPAY.match(clause):
        found = one_order(repay["what"] or "")
        if found is None:
            return None
        text, order_id = found
        if text and order_id and not re.fullmatch(r"(?:the |your |order)*", text):
            return None
        return [
            Request("repay", [] if order_id else listed(text), "", order_id, [repay["pay"]], words=clause)
        ]
    lead = _LEAD.match(clause)
    if not lead:
        return _no_longer_needed(clause)
    plain, why = reason(hurried(clause[lead.end() :]))
    if plain is None:
        return None
    verb = re.match(rf"(?:{VERBS})(?:\s+for|\s+of|\s+out)?\b", plain, re.IGNORECASE)
    if not verb:
        return None
    word = verb.group().lower()
    rest, pay = payment(plain[verb.end() :].strip())
    if re.search(r"\baddress(?:es)?\b|\bpayment\b", rest, re.IGNORECASE):
        return None
    if word.startswith(("cancel", "remove")):
        return _cancel(rest, why, clause) if not pay else None
    if word.startswith(("return", "send", "give", "refund", "get")):
        return _returns(rest, pay, clause)
    return _swaps(rest, pay, clause)


def _no_longer_needed(clause: str) -> list[Request] | None:
    found = re.match(r"^you no longer (?:need|want) (?P<items>.+)$", clause, re.IGNORECASE)
    if not found:
        return None
    read_order = one_order(hurried(found.group("items")))
    if read_order is None:
        return None
    text, order_id = read_order
    whole = bool(order_id) and not text
    return [
        Request(
            "cancel", listed(text), order_id=order_id, whole=whole, reason="no longer needed", words=clause
        )
    ]


def _cancel(rest: str, why: str, clause: str) -> list[Request] | None:
    rest = re.sub(
        r",? (?:with|for|and) (?:the )?(?:cancell?ation )?reason (?:of|as|is|being|:)? ?['\"]?(?P<why>no longer needed"
        r"|ordered by mistake)['\"]?$",
        lambda m: f" \x02{m['why']}",
        rest,
        flags=re.IGNORECASE,
    )
    rest, _, named = rest.partition(" \x02")
    if named and why not in ("", named.lower()):
        return None
    why = why or named.lower()
    ids = order_ids(rest)
    bare = r"(?:the |your |whole |entire |pending |orders?|both |and |two |items |in |all |of |everything |,|#W\d+|\s)*"
    if ids and re.fullmatch(bare, re.sub(r"(?<!#)\b(W\d{4,})", r"#\1", rest), re.IGNORECASE):
        if "both" in rest.lower() and len(ids) != 2:
            return None
        return [Request("cancel", order_id=one, whole=True, reason=why, words=clause) for one in ids]
    found = one_order(rest)
    if found is None:
        return None
    text, order_id = found
    if holding := _WITH_IT.match(text):
        return [
            Request("cancel", listed(holding["items"]), "", order_id, whole=True, reason=why, words=clause)
        ]
    text = re.sub(r"\s+(?:from|in) (?:the|your|that) (?:pending )?order$", "", text, flags=re.IGNORECASE)
    return [Request("cancel", listed(text), order_id=order_id, reason=why, words=clause)] if text else None


def _returns(rest: str, pay: list[str], clause: str) -> list[Request] | None:
    if len(order_ids(rest)) > 1:
        ids = order_ids(rest)
        if re.fullmatch(
            r"(?:both |the |your |orders?|all |and |everything |in |from |of |,|#W\d+|\s)*", rest, re.I
        ):
            return [Request("return", ["everything"], "", one, list(pay), words=clause) for one in ids]
        parts = per_order(rest)
        if parts is None or len({order_id for _, order_id in parts}) != len(ids):
            return None
        return [Request("return", listed(text), "", one, list(pay), words=clause) for text, one in parts]
    if more := beyond(rest):
        parted = [_returns(part, pay, clause) for part in more]
        return None if None in parted else [request for part in parted for request in part or ()]
    found = one_order(rest)
    if found is None:
        return None
    text, order_id = found
    text = (
        re.sub(r"^(?:the |your )?(?:whole|entire|full|(?:whole |entire )?order)$", "", text, flags=re.I)
        if order_id
        else text
    )
    if not text and order_id:
        text = "everything"
    if kept := _MINUS.match(text):
        return [
            Request("return", ["everything"], "", order_id, pay, minus=listed(kept["minus"]), words=clause)
        ]
    return [Request("return", listed(text), order_id=order_id, pay=pay, words=clause)] if text else None


def _swaps(rest: str, pay: list[str], clause: str) -> list[Request] | None:
    rest = re.sub(r"\s+instead$", "", rest, flags=re.IGNORECASE)
    if option := _OPTION_OF.match(rest):
        key, value = option["key"] or option["option"], option["value"] or option["new"]
        if re.search(r"\band the [\w -]+ to\b", value, re.IGNORECASE):
            return None  # another option of it, or of something else?
        rest = f"{option['what'] or option['owner']} to {key} {value}"
    elif old := _FROM_TO.match(rest):
        rest = f"{old['what']}{old['of'] or ''} to {old['new']} instead of {old['old']}"
    good = re.fullmatch(
        r"(?P<what>[^,]+), (?P<wish>[^,]+) would be (?:good|great|fine|nice|perfect)", rest, re.IGNORECASE
    )
    if good:
        rest = f"{good['what']} to {good['wish']}"
    requests = []
    shared = one_order(rest)
    for part in _PAIR.split(rest):
        found = one_order(part)
        if found is None:
            return None
        text, order_id = found
        sides = _TO.split(text, maxsplit=1)
        if len(sides) == 1 and len(_PAIR.split(rest)) == 1 and not pay:
            return [Request("swap", listed(text), "", order_id, words=clause)]
        if len(sides) != 2 or not sides[1].strip():
            return None
        what = re.sub(r"\s+that you(?:'ve| have)? (?:placed|ordered|bought)$", "", sides[0].strip(" ,"))
        wish = sides[1].strip(" ,")
        like = _LIKE.match(wish)
        meant = "" if not like else "delivered" if like["b"] else str(like["a"]).lower()
        order_id = order_id or (shared[1] if shared else "")
        requests.append(Request("swap", listed(what), wish, order_id, list(pay), like=meant, words=clause))
    if shared is None and not all(request.order_id for request in requests):
        return None
    return requests


__all__ = ["PAYS", "Do", "Request", "cancel_reason", "clauses", "read"]
